"""The report of a depth study."""

from __future__ import annotations

import math

from galshift.data.paths import bare_name
from galshift.evaluation.classes import ACCURACY, always_majority, class_metrics
from galshift.evaluation.metric import shown_in
from galshift.report import Figure, ReportData, Section, Table, about, figures
from galshift.report.pictures import gallery
from galshift.report.scores import number, with_interval
from galshift.verbs.depth.config import DepthConfig
from galshift.verbs.depth.result import DepthStudy


def opening_sentences(found: DepthStudy) -> list[str]:
    """Return the opening sentences: the best depth, and the shallowest that is not surely worse."""
    best = max(found.rungs, key=lambda rung: rung.metrics[ACCURACY.key])
    key = ACCURACY.key
    low, high = best.metrics["ci95"].get(key, (float("nan"), float("nan")))
    interval = f" ({low:.0%} to {high:.0%})" if low == low else ""
    lines = [
        f"On {best.metrics['n_groups']} galaxies of {found.data_set} the classifier is right for "
        f"{best.metrics[key]:.0%}{interval} at its best, as {best.name}; always answering "
        f"'{best.metrics['majority_class']}' would be right for "
        f"{best.metrics['majority_class_accuracy']:.0%}."
    ]
    enough = next((r for r in found.rungs if r.metrics[key] >= low), best)
    worse = [r for r in found.rungs if r.metrics[key] < low]
    if enough is not best:
        lines.append(f"From {enough.name} on, its accuracy lies within that interval.")
    if worse:
        shown = worse[-1]
        lines.append(f"As {shown.name} it falls below it, to {shown.metrics[key]:.0%}.")
    lines.append("The classifier was not trained anew for any depth; adapted to one, it may do better there.")
    return lines


def depth_report(found: DepthStudy, config: DepthConfig) -> ReportData:
    """Return the whole page: accuracy against depth, then the same galaxies at every depth."""
    bands, metrics = list(found.rungs[0].limit), shown_in("table", class_metrics())
    rows = tuple(
        (
            r.name,
            *(number(r.limit[band]) for band in bands),
            *(with_interval(r.metrics, metric.key) for metric in metrics),
            number(r.metrics["mean_confidence"]),
        )
        for r in found.rungs
    )
    names = (*(metric.name for metric in metrics), "mean confidence")
    table = Table(
        ("as", *(f"limit in {band}" for band in bands), *names),
        rows,
        "Limit: surface brightness of 5 sigma in one square arcsecond of sky [AB mag / arcsec2].",
    )
    bars = [
        (
            r.name,
            r.metrics[ACCURACY.key],
            *r.metrics["ci95"].get(ACCURACY.key, (math.nan, math.nan)),
            always_majority(r.metrics)[ACCURACY.key],
        )
        for r in found.rungs
    ]
    drawn = figures.intervals(bars, x_label=ACCURACY.name, limits=(0, 1))
    middle = bands[len(bands) // 2]
    curve = figures.curves(
        {
            name: ([r.limit[middle] for r in found.rungs], [r.metrics[key] for r in found.rungs])
            for key, name in ((ACCURACY.key, ACCURACY.name), ("mean_confidence", "mean confidence"))
        },
        x_label=f"limit in {middle} [mag / arcsec2]",
        y_label="share",
        marker="o",
        limits=(0, 1.02),
    )
    sections = [
        Section(
            "How well, at which depth",
            ("The same galaxies each time, shallowest first; the short line is the majority class.",),
            (Figure(drawn), Figure(curve), table),
        )
    ]
    sections += _pictures(found) if found.truths else []
    return about(
        f"How deep {found.survey} must be",
        lede=opening_sentences(found),
        warnings=found.notes,
        sections=sections,
        facts={"run": bare_name(config.run), "sim": bare_name(config.sim), "seed": config.seed},
    )


def _pictures(found: DepthStudy) -> list[Section]:
    """The same galaxies at every depth, with the predicted classes."""
    sections = []
    for r in found.rungs:
        tones = ["good" if said == truth else "bad" for (said, _), truth in zip(r.answers, found.truths)]
        notes = [f"truth: {truth}" for truth in found.truths]
        titles = [f"{said} {share:.0%}" for said, share in r.answers]
        shown = gallery(r.images, titles, notes=notes, tones=tones, bands=found.trained.bands)
        sections.append(Section(f"As {r.name}", (), (shown,)))
    return sections
