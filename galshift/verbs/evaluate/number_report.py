"""The report of networks that predict numbers: plain sentences first, then what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from galshift.evaluation.gap import gap_sentence
from galshift.provenance import command_line, environment
from galshift.report import Card, ReportData, Section
from galshift.report import numbers as parts
from galshift.report.numbers import digits
from galshift.report.pictures import gallery
from galshift.report.scores import gap_section, training_section
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.streams import numpy_stream
from galshift.verbs.evaluate.number_work import NumberEvaluation
from galshift.verbs.evaluate.numbers import scored


def number_headline(data_set: str, network: str, metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each label of one network on one data set."""
    if not metrics["labelled"]:
        return [f"{data_set}: {network}: no labels, so no error is claimed"]
    return [_headline(data_set, network, name, found) for name, found in scored(metrics).items()]


def _headline(data_set: str, network: str, name: str, found: Mapping[str, Any]) -> str:
    key, words = ("mad", "mean error of a fraction") if name == "votes" else ("rmse", "RMSE")
    low, high = found["ci95"].get(key, (None, None))
    interval = f" ({digits(low)} to {digits(high)})" if digits(low) else ""
    rest = (
        f"winner right {found['accuracy']:.0%}"
        if name == "votes"
        else f"bias {found['bias']:+.3g}, {found['coverage68']:.0%} within 1 sigma"
    )
    always = digits(found["training_mean"][key])
    error = f"{words} {digits(found[key])}{interval}"
    return f"{data_set}: {network}: {name}: {error}, {rest}, training mean {always}"


def number_report(found: NumberEvaluation, *, samples: int, seed: int) -> ReportData:
    """Return the whole page of one evaluation."""
    sections: list[Section | None] = [_how_well(found, name) for name in _names(found)]
    sections += found.sections
    sections += [_unlabelled(found, s) for s in found.sets if not s.labelled]
    sections += [_samples(found, s, samples, seed) for s in found.sets[::-1] if samples]
    sections += [_error_bars(found)]
    if found.gaps:
        sections.append(_gaps(found))
    sections.append(training_section({c.name: c.history for c in found.classifiers}))
    sections.append(_reading(found))
    made = {key: value for key, value in environment().items() if key != "command"}
    return ReportData(
        title=_title(found),
        lede=tuple(_answer(found)),
        cards=tuple(_cards(found)),
        warnings=found.warnings,
        sections=tuple(section for section in sections if section is not None),
        command=command_line(),
        provenance={**made, "runs": {c.name: _about(c) for c in found.classifiers}},
    )


def _names(found: NumberEvaluation) -> tuple[str, ...]:
    """What is scored: each label, or the votes."""
    if not any(s.labelled for s in found.sets):
        return ()
    return ("votes",) if found.kind == "votes" else found.classes


def _rows(found: NumberEvaluation, name: str) -> list[parts.Row]:
    """(network, data set, numbers) wherever there are labels, target first, source-only first."""
    return [
        (c.name, s.name, scored(found.metrics[c.name, s.name])[name])
        for s in found.sets[::-1]
        for c in _ordered(found)
        if found.metrics[c.name, s.name]["labelled"]
    ]


def _ordered(found: NumberEvaluation) -> list[Classifier]:
    return sorted(found.classifiers, key=lambda c: (c.adapted, c.name == found.reference))


def _title(found: NumberEvaluation) -> str:
    main = found.classifiers[0]
    source = next((s.name for s in found.sets if s.role == "source"), None)
    others = [s.name for s in found.sets if s.name != source]
    what = "Votes" if found.kind == "votes" else " and ".join(found.classes)
    if source is None or not others:
        return f"{what}: {main.name} on {' and '.join(s.name for s in found.sets)}"
    return f"{what}, from {source} to {' and '.join(others)}: {main.name}"


def _answer(found: NumberEvaluation) -> list[str]:
    """The opening sentences: how well, compared with what."""
    main, lines = found.classifiers[0], []
    for s in found.sets[::-1]:
        mine = found.metrics[main.name, s.name]
        if not mine["labelled"]:
            lines.append(f"{s.name} has no labels, so nothing is claimed about errors there.")
        for name, numbers in scored(mine).items():
            lines.append(_sentence(found, main, s, name, numbers))
    return lines


def _sentence(
    found: NumberEvaluation, main: Classifier, s: TestSet, name: str, numbers: Mapping[str, Any]
) -> str:
    key = "mad" if name == "votes" else "rmse"
    what = "its vote fractions are off by" if name == "votes" else f"its {name} is off by"
    measure = "on average" if name == "votes" else "(root mean square)"
    low, high = numbers["ci95"].get(key, (np.nan, np.nan))
    text = (
        f"On {s.name}, for the {numbers['n_groups']} galaxies that {main.name} never saw, {what} "
        f"{digits(numbers[key])} {measure}, 95% interval {digits(low)} to {digits(high)}; always saying the "
        f"training mean is off by {digits(numbers['training_mean'][key])}."
    )
    if "photo_z" in numbers:
        z = numbers["photo_z"]
        text += (
            f" Over 1 + z: bias {z['bias']:+.3g}, NMAD {digits(z['nmad'])}, {z['outlier_fraction']:.1%} "
            f"outliers (off by more than {z['outlier_threshold']:g})."
        )
    gain = found.differences.get(main.name, {}).get(s.name, {}).get(name)
    if not gain or not main.adapted:
        return text
    change, (low, high) = gain[key]["difference"], gain[key]["ci95"]
    before = scored(found.metrics[found.reference, s.name])[name][key]
    text += f" Trained on the source alone it is off by {digits(before)}: "
    span = f"(interval {low:+.3g} to {high:+.3g})"
    if not np.isfinite([low, high]).all() or low <= 0 <= high:
        return text + f"a change of {change:+.3g} {span}, which this test set cannot tell from chance."
    if change < 0:
        return text + f"adaptation took {digits(-change)} off the error {span}."
    return text + f"adaptation added {digits(change)} to the error {span}, and it did harm."


def _cards(found: NumberEvaluation) -> list[Card]:
    main, cards = found.classifiers[0], []
    for s in found.sets[::-1]:
        for name, numbers in scored(found.metrics[main.name, s.name]).items():
            key, title = (
                ("mad", "mean error of fractions") if name == "votes" else ("rmse", f"RMSE of {name}")
            )
            low, high = numbers["ci95"].get(key, (np.nan, np.nan))
            always = numbers["training_mean"][key]
            note = f"{digits(low)} to {digits(high)}; training mean {digits(always)}"
            tone = "good" if high < always else "bad"
            cards.append(Card(f"{title} on {s.name}", str(digits(numbers[key])), note, tone))
            if "coverage68" in numbers:
                share = numbers["coverage68"]
                tone = "bad" if share < 0.58 else "good" if share < 0.78 else ""
                cards.append(Card(f"within 1 sigma on {s.name}", f"{share:.0%}", "68% is right", tone))
    return cards


def _how_well(found: NumberEvaluation, name: str) -> Section:
    rows = _rows(found, name)
    key, title = ("mad", "mean error of a vote fraction") if name == "votes" else ("rmse", f"RMSE of {name}")
    shown = [
        parts.comparison(rows, key, title),
        *_scatters(found, name),
        parts.numbers_table(rows, found.kind),
    ]
    text = ["Every network is judged on the same galaxies, none of which any of them trained on."]
    seeds = [
        f"{network} on {where}: {title} {np.mean(values):.3g} ± {np.std(values, ddof=1):.2g}"
        for network, by_set in found.seeds.items()
        for where, by_label in by_set.items()
        for values in [by_label.get(name, {}).get(key, [])]
        if len(values) > 1
    ]
    if seeds:
        text.append(f"Over seeds (mean ± standard deviation): {'; '.join(seeds)}.")
    return Section(
        f"How well {name} {'are' if name == 'votes' else 'is'} predicted", tuple(text), tuple(shown)
    )


def _scatters(found: NumberEvaluation, name: str) -> list[Any]:
    """Predictions against the truth, one drawing for each network on each data set."""
    drawn = []
    for s in found.sets[::-1]:
        for c in _ordered(found) if s.labelled else ():
            said = found.answers[c.name, s.name]
            good = said.usable & np.isfinite(s.truth).all(axis=1)
            truth, centre, width = s.truth[good], said.centre[good], said.width[good]
            if name == "votes":
                shares = truth / truth.sum(axis=1, keepdims=True)
                series = {k: (shares[:, i], centre[:, i], None) for i, k in enumerate(found.classes)}
                label = "vote fraction"
            else:
                k = found.classes.index(name)
                series, label = {name: (truth[:, k], centre[:, k], width[:, k])}, name
            drawn.append(parts.against_truth(series, label=label, title=f"{c.name} on {s.name}"))
    return drawn


def _error_bars(found: NumberEvaluation) -> Section | None:
    """Pulls of every network, by label and data set."""
    panels: dict[str, dict[str, np.ndarray]] = {}
    for s in found.sets[::-1] if found.kind == "value" else ():
        for k, name in enumerate(found.classes if s.labelled else ()):
            for c in _ordered(found):
                said = found.answers[c.name, s.name]
                good = said.usable & np.isfinite(s.truth).all(axis=1)
                pull = (said.centre[good, k] - s.truth[good, k]) / said.width[good, k]
                panels.setdefault(f"{name} on {s.name}", {})[c.name] = pull
    rows = {name: _rows(found, name) for name in _names(found)}
    return parts.error_bars_section(panels, rows) if panels else None


def _unlabelled(found: NumberEvaluation, s: TestSet) -> Section:
    """What every network predicts where nothing is known, beside the source for comparison."""
    shown, lines = [], []
    for k, name in enumerate(found.classes):
        series = {c.name: found.answers[c.name, s.name].centre[:, k] for c in _ordered(found)}
        shown.append(parts.distribution(series, f"predicted {name}"))
        for network, values in series.items():
            text = f"{network} predicts {name} of {np.nanmean(values):.3g} on average"
            if found.kind == "value":
                sigma = np.nanmean(found.answers[network, s.name].width[:, k])
                text += f", with a standard deviation of {sigma:.3g} for one image"
            lines.append(f"{text}.")
    text = (
        f"No error is claimed for {s.name}, because it has no labels: what follows is of predictions alone."
    )
    return Section(f"What is predicted for {s.name}", (text, *lines), tuple(shown))


def _samples(found: NumberEvaluation, s: TestSet, samples: int, seed: int) -> Section:
    main = found.classifiers[0]
    said = found.answers[main.name, s.name]
    order = numpy_stream(seed, "evaluate", "samples", s.name).permutation(len(s.rows))
    chosen = np.sort(order[said.usable[order]][:samples])
    images = main.trained.preprocessing.linear(s.dataset.read(s.rows[chosen]))
    titles, notes = [], []
    for i in chosen:
        known = np.isfinite(s.truth[i]).all()
        truth = s.truth[i] / s.truth[i].sum() if found.kind == "votes" else s.truth[i]
        if found.kind == "votes":
            k = int(said.centre[i].argmax())
            titles.append(f"{found.classes[k]} {said.centre[i, k]:.0%}")
            observed = f"observed {truth[k]:.0%}" if known else ""
        else:
            titles.append(f"{digits(said.centre[i, 0])} ± {digits(said.width[i, 0])}")
            observed = f"truth: {digits(truth[0])}" if known else ""
        notes.append("; ".join(filter(None, [str(s.ids[i]), observed])))
    what = "the expected fraction of the votes for the likeliest winner" if found.kind == "votes" else (
        f"{found.classes[0]} with its predicted standard deviation"
    )  # fmt: skip
    text = f"A random choice, as the network sees them before its stretch, with {what}."
    return Section(
        f"Some galaxies of {s.name}",
        (text,),
        (gallery(images, titles, notes=notes, bands=main.trained.bands),),
    )


def _gaps(found: NumberEvaluation) -> Section:
    between = " and ".join(next(iter(found.gaps.values()))["between"])
    shown = {c.name: found.gaps[c.name] for c in _ordered(found) if c.name in found.gaps}
    return gap_section(
        shown, between, [f"In the features of {n}: {gap_sentence(g)}" for n, g in shown.items()]
    )


def _reading(found: NumberEvaluation) -> Section:
    lines = [
        "Intervals come from drawing whole galaxies again and again, with all their images; they say how far "
        "the numbers would move on another sample of the same survey, not on another survey.",
        "The training-mean line is what a network that looks at no image reaches; only what lies clearly "
        "below it was learnt.",
        "The images of each test set were set aside before training, by galaxy. Target labels, where there "
        "are any, were used for this page alone.",
    ]
    if found.kind == "value":
        lines.append(
            "Each predicted value comes with its own standard deviation, learnt by a Gaussian likelihood on "
            "the source. Under a shift between surveys it may be too small: the figures above show it."
        )
    return Section("How to read this page", tuple(lines))


def _about(c: Classifier) -> dict[str, Any]:
    return {
        "path": str(c.path),
        "method": c.method,
        "seed": c.trained.meta.get("seed"),
        "model": c.trained.model.spec,
        "labels": c.trained.head.spec(),
    }
