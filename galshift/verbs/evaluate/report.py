"""The report of an evaluation: plain sentences first, then what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.evaluation.calibration import reliability
from galshift.evaluation.gap import gap_sentence
from galshift.provenance import command_line, environment
from galshift.report import Card, ReportData, Section
from galshift.report import scores as parts
from galshift.report.pictures import gallery
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.selection.label_shift import class_mix
from galshift.streams import numpy_stream
from galshift.verbs.evaluate.class_mix import predicted_mix
from galshift.verbs.evaluate.classes import answer, class_losses, unlabelled_words
from galshift.verbs.evaluate.result import Evaluation
from galshift.verbs.evaluate.unknown import unknown_section


def report_data(found: Evaluation, *, samples: int, seed: int) -> ReportData:
    """Return the whole page of one evaluation."""
    rows = labelled_rows(found)
    sections: list[Section | None] = []
    if rows:
        sections.append(_how_well(found, rows))
    sections += [unknown_section(found), *found.sections]
    sections += [_unlabelled_section(found, s) for s in found.sets if not s.labelled]
    sections += [_mix_section(found, s) for s in found.sets if s.labelled and s.name in found.estimates]
    sections += [_samples_section(found, s, samples, seed) for s in found.sets[::-1] if samples]
    if rows:
        sections += [
            parts.confusion_section(rows, found.classes),
            parts.roc_section(_roc_curves(found)),
            parts.reliability_section(_reliability_curves(found)),
        ]
    if found.gaps:
        sections.append(_gap_section(found))
    sections.append(parts.training_section({c.name: c.history for c in found.classifiers}))
    sections.append(_reading_section())
    made = {key: value for key, value in environment().items() if key != "command"}
    return ReportData(
        title=_title(found),
        lede=tuple(answer(found)),
        cards=tuple(_cards(found)),
        warnings=(*found.warnings, *class_losses(found)),
        sections=tuple(section for section in sections if section is not None),
        command=command_line(),
        provenance={**made, "runs": {c.name: _about(c) for c in found.classifiers}},
    )


def labelled_rows(found: Evaluation) -> list[parts.Row]:
    """Return (classifier, data set, metrics) wherever there are labels, reference first."""
    return [
        (c.name, s.name, found.outcomes[c.name, s.name].metrics)
        for s in found.sets
        for c in ordered(found)
        if found.outcomes[c.name, s.name].metrics["labelled"]
    ]


def ordered(found: Evaluation) -> list[Classifier]:
    """Return classifiers as a reader wants them: not adapted first, the reference last of those."""
    return sorted(found.classifiers, key=lambda c: (c.adapted, c.name == found.reference))


def _title(found: Evaluation) -> str:
    main = found.classifiers[0]
    source = next((s.name for s in found.sets if s.role == "source"), None)
    others = [s.name for s in found.sets if s.name != source]
    if source is None or not others:
        return f"{main.name} on {' and '.join(s.name for s in found.sets)}"
    return f"From {source} to {' and '.join(others)}: {main.name}"


def _cards(found: Evaluation) -> list[Card]:
    main = found.classifiers[0]
    cards = []
    for s in found.sets[::-1]:
        metrics = found.outcomes[main.name, s.name].metrics
        if not metrics["labelled"]:
            cards.append(
                Card(f"mean confidence on {s.name}", f"{metrics['mean_confidence']:.0%}", "not an accuracy")
            )
            continue
        low, high = metrics["ci95"].get("accuracy", (np.nan, np.nan))
        note = f"{low:.2f} to {high:.2f}; majority class {metrics['majority_class_accuracy']:.2f}"
        better = low > metrics["majority_class_accuracy"]
        tone = "good" if better else "bad"
        cards.append(Card(f"accuracy on {s.name}", f"{metrics['accuracy']:.2f}", note, tone))
        gain = found.differences.get(main.name, {}).get(s.name)
        if gain:
            change, (low, high) = gain["accuracy"]["difference"], gain["accuracy"]["ci95"]
            tone = "good" if low > 0 else "bad" if high < 0 else ""
            cards.append(
                Card(
                    f"gain over source-only on {s.name}", f"{change:+.2f}", f"{low:+.2f} to {high:+.2f}", tone
                )
            )
    return cards


def _how_well(found: Evaluation, rows: list[parts.Row]) -> Section:
    names = list(dict.fromkeys(row[1] for row in rows))[::-1]
    figures = [parts.comparison_figure(rows, names, metric) for metric in ("accuracy", "macro_f1")]
    tables = [parts.scores_table(rows)]
    text = ["Every classifier is judged on the same galaxies, none of which any of them trained on."]
    if found.seeds:
        text.append(_seeds_sentence(found))
    return Section("How well it works", tuple(text), (*figures, *tables))


def _seeds_sentence(found: Evaluation) -> str:
    spread = []
    for name, by_set in found.seeds.items():
        for where, scores in by_set.items():
            values = scores["accuracy"]
            spread.append(
                f"{name} on {where}: {np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} over "
                f"{len(values)} seeds"
            )
    return "Repeating the training with other seeds gave these accuracies (mean ± standard deviation): " + (
        "; ".join(spread) + "."
    )


def _unlabelled_section(found: Evaluation, s: TestSet) -> Section:
    mixes = {
        c.name: found.outcomes[c.name, s.name].metrics["predicted_mix"] for c in ordered(found)
    } | found.mixes(s)
    return parts.mix_section(mixes, s.name, unlabelled_words(found, s))


def _mix_section(found: Evaluation, s: TestSet) -> Section:
    """The class mix of a labelled set: the truth, what is predicted, and the estimate without labels."""
    mixes = {"true": class_mix(s.labels, len(found.classes))}
    mixes |= {c.name: predicted_mix(found.outcomes[c.name, s.name]) for c in ordered(found)}
    named = {name: dict(zip(found.classes, mix.tolist())) for name, mix in mixes.items()} | found.mixes(s)
    text = (
        "The estimate is what shift of the class mix explains the predictions of "
        f"{found.reference or found.classifiers[0].name} best, given its errors on held-out images of the "
        "source; it is blind to errors that only the other survey causes."
    )
    return parts.mix_section(named, s.name, (text,))


def _samples_section(found: Evaluation, s: TestSet, samples: int, seed: int) -> Section:
    main, reference = found.classifiers[0], found.reference
    outcome = found.outcomes[main.name, s.name]
    order = numpy_stream(seed, "evaluate", "samples", s.name).permutation(len(s.rows))
    chosen = np.sort(order[outcome.usable[order]][:samples])
    images = main.trained.preprocessing.linear(s.dataset.read(s.rows[chosen]))
    titles, notes, tones = [], [], []
    for i in chosen:
        p = outcome.probabilities[i]
        titles.append(f"{found.classes[p.argmax()]} {p.max():.0%}")
        words = [str(s.ids[i])]
        if s.labels[i] >= 0:
            words.append(f"truth: {found.classes[s.labels[i]]}")
        if reference not in (None, main.name):
            before = found.outcomes[reference, s.name].probabilities[i]
            if np.isfinite(before).all() and before.argmax() != p.argmax():
                words.append(f"source-only said {found.classes[before.argmax()]}")
        notes.append("; ".join(words))
        known = s.labels[i] >= 0
        tones.append(("good" if p.argmax() == s.labels[i] else "bad") if known else "")
    text = "A random choice, as the network sees them before its stretch, with the answer and its confidence."
    shown = gallery(images, titles, notes=notes, tones=tones, bands=main.trained.bands)
    return Section(f"Some galaxies of {s.name}", (text,), (shown,))


def _roc_curves(found: Evaluation) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    from sklearn.metrics import roc_curve

    panels: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for c, s, labels, probabilities in _labelled(found):
        for k, label in enumerate(found.classes):
            if 0 < (labels == k).sum() < len(labels):
                false_positive, true_positive, _ = roc_curve(labels == k, probabilities[:, k])
                panels.setdefault(f"{c.name} on {s.name}", {})[label] = _thinned(
                    false_positive, true_positive
                )
    return panels


def _reliability_curves(found: Evaluation) -> dict[str, dict[str, Any]]:
    panels: dict[str, dict[str, Any]] = {}
    for c, s, labels, probabilities in _labelled(found):
        curve = reliability(labels, probabilities)
        panels.setdefault(s.name, {})[c.name] = (curve.confidence, curve.accuracy, curve.n)
    return panels


def _labelled(found: Evaluation) -> list[tuple[Classifier, TestSet, np.ndarray, np.ndarray]]:
    out = []
    for s in found.sets:
        for c in ordered(found):
            outcome = found.outcomes[c.name, s.name]
            keep = outcome.usable & (s.labels >= 0)
            if keep.any():
                out.append((c, s, s.labels[keep], outcome.probabilities[keep]))
    return out


def _gap_section(found: Evaluation) -> Section:
    between = " and ".join(next(iter(found.gaps.values()))["between"])
    shown = {c.name: found.gaps[c.name] for c in ordered(found) if c.name in found.gaps}
    text = [f"In the features of {name}: {gap_sentence(gap)}" for name, gap in shown.items()]
    text.append(
        "A small gap is neither needed nor enough for a good classifier: features that carry nothing "
        "mix perfectly."
    )
    return parts.gap_section(shown, between, text)


def _reading_section() -> Section:
    lines = (
        "Intervals come from drawing whole galaxies again and again, with all their images; they say "
        "how far the "
        "numbers would move on another sample of the same survey, not on another survey.",
        "Accuracy alone flatters a classifier where one class is common: look at the majority-class line, at "
        "balanced accuracy (mean recall) and at macro F1, in which every class counts the same.",
        "The images of each test set were set aside before training, by galaxy: no other view of a test "
        "galaxy was "
        "trained on. Target labels, where there are any, were used for this page alone.",
    )
    return Section("How to read this page", lines)


def _about(c: Classifier) -> dict[str, Any]:
    return {
        "path": str(c.path),
        "method": c.method,
        "seed": c.trained.meta.get("seed"),
        "model": c.trained.model.spec,
    }


def _thinned(x: Sequence[float], y: Sequence[float], most: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Keep a curve drawable: at most `most` points, the ends among them."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).astype(int))
    return np.asarray(x)[keep], np.asarray(y)[keep]
