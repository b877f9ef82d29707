"""The report of an evaluation: plain sentences first, then what they rest on."""

from __future__ import annotations

import numpy as np

from galshift.data.paths import bare_name
from galshift.evaluation.gap import gap_sentence
from galshift.report import ReportData, Section, about
from galshift.report.pictures import gallery
from galshift.report.scores import gap_section, training_section
from galshift.runs.test_sets import TestSet
from galshift.streams import numpy_stream
from galshift.verbs.evaluate.learning_curve import curve_sections
from galshift.verbs.evaluate.result import Evaluation
from galshift.verbs.evaluate.role_words import epoch_words, roles_section

_INTERVALS = (
    "Intervals come from drawing whole galaxies again and again, with all their images; they say how far the "
    "numbers would move on another sample of the same survey, not on another survey."
)


def report_data(found: Evaluation, *, samples: int, seed: int) -> ReportData:
    """Return the whole page of one evaluation."""
    page = found.task.page(found)
    sections = [*found.opening, *page.results, *curve_sections(found), *found.sections]
    sections += [page.sets[s.name] for s in found.sets if s.name in page.sets]
    sections += [_samples(found, s, samples, seed) for s in found.sets[::-1] if samples]
    sections += page.details
    sections += [_gaps(found)] if found.gaps else []
    training = training_section({c.name: c.history for c in found.classifiers}, epoch_words(found))
    sections += [training] if training is not None else []
    sections.append(roles_section(found))
    sections.append(Section("How to read this page", (_INTERVALS, *page.reading)))
    runs = {
        c.name: {
            "path": bare_name(c.path),
            "method": c.method,
            "seed": c.trained.meta.get("seed"),
            "model": c.trained.model.spec,
            "labels": c.trained.head.spec(),
            "trained_on": c.roles.document(),
        }
        for c in found.classifiers
    }
    return about(
        _title(found, page.subject),
        lede=page.lede,
        cards=page.cards,
        warnings=(*found.warnings, *page.warnings),
        sections=sections,
        facts={"runs": runs},
    )


def _title(found: Evaluation, subject: str) -> str:
    source = next((s.name for s in found.sets if s.role == "source"), None)
    others = [s.name for s in found.sets if s.name != source]
    if source is None or not others:
        where = f"{found.main.name} on {' and '.join(s.name for s in found.sets)}"
        return f"{subject}: {where}" if subject else where
    start = f"{subject}, from" if subject else "From"
    return f"{start} {source} to {' and '.join(others)}: {found.main.name}"


def _samples(found: Evaluation, s: TestSet, samples: int, seed: int) -> Section:
    """A random choice of the galaxies of a test set."""
    main = found.main
    usable = found.answers(main, s).usable
    order = numpy_stream(seed, "evaluate", "samples", s.name).permutation(len(s.rows))
    chosen = np.sort(order[usable[order]][:samples])
    images = main.trained.preprocessing.linear(s.dataset.read(s.rows[chosen]))
    pictures = [found.task.sample(found, s, i) for i in chosen]
    shown = gallery(
        images,
        [title for title, _, _ in pictures],
        notes=["; ".join([str(s.ids[i]), *notes]) for i, (_, notes, _) in zip(chosen, pictures, strict=True)],
        tones=[tone for _, _, tone in pictures],
        bands=main.trained.bands,
    )
    what = found.task.samples_text(found)
    text = f"A random choice, as the network sees them before its stretch, with {what}."
    return Section(f"Some galaxies of {s.name}", (text,), (shown,))


def _gaps(found: Evaluation) -> Section:
    between = " and ".join(next(iter(found.gaps.values()))["between"])
    shown = {c.name: found.gaps[c.name] for c in found.ordered() if c.name in found.gaps}
    text = [f"In the features of {name}: {gap_sentence(gap)}" for name, gap in shown.items()]
    text.append(
        "A small gap is neither needed nor enough for a good network: features that carry nothing mix "
        "perfectly."
    )
    return gap_section(shown, between, text)
