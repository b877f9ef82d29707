"""The report of a comparison of two data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.data.paths import bare_name
from galshift.evaluation.gap import gap_sentence
from galshift.report import Card, Figure, ReportData, Section, Table, about, figures
from galshift.report.pictures import gallery
from galshift.report.scores import gap_section, number
from galshift.verbs.gap.result import Comparison, Side

# Below this Kolmogorov-Smirnov statistic, or above this p, a difference is not worth a sentence.
_KS, _P = 0.3, 0.01

_DRAWN = 8


def gap_report(found: Comparison, *, samples: int) -> ReportData:
    """Return the whole page."""
    a, b = found.sides
    sections = [_facts_section(found), _quantities_section(found)]
    sections += [_images_section(side, samples) for side in found.sides if samples]
    gaps = {"measured quantities": found.images, "the model": found.features}
    gaps = {name: gap for name, gap in gaps.items() if gap is not None}
    if gaps:
        text = [f"By {name}: {gap_sentence(gap)}" for name, gap in gaps.items()]
        sections.append(gap_section(gaps, f"{a.name} and {b.name}", text))
    if found.model and a.mix and b.mix:
        sections.append(_mix_section(found))
    return about(
        f"How {b.name} differs from {a.name}",
        lede=opening_sentences(found),
        cards=_cards(found),
        warnings=found.warnings,
        sections=sections,
        facts={
            "a": bare_name(a.dataset.path),
            "b": bare_name(b.dataset.path),
            "model": None if found.model is None else bare_name(found.model),
        },
    )


def _cards(found: Comparison) -> list[Card]:
    cards = []
    for label, gap in (("measured quantities", found.images), ("the model's features", found.features)):
        if gap is not None:
            right = 1 - gap["domain_classifier_error"]
            cards.append(Card(f"told apart by {label}", f"{right:.0%}", "50% is chance"))
    if found.quantities:
        row = found.quantities[0]
        cards.append(Card("largest difference", f"{row['ks']:.2f}", f"KS statistic of {row['quantity']}"))
    return cards


def _facts_section(found: Comparison) -> Section:
    a, b = found.sides
    rows = tuple((row["what"], row["a"], row["b"]) for row in found.facts)
    return Section("What the files say", (), (Table(("", a.name, b.name), rows),))


def _quantities_section(found: Comparison) -> Section:
    a, b = found.sides
    drawn = tuple(
        Figure(
            figures.histogram(
                {side.name: side.measured[row["quantity"]] for side in found.sides}, x_label=row["quantity"]
            )
        )
        for row in found.quantities[:_DRAWN]
    )
    rows = tuple(
        (row["quantity"], shown(row["median_a"]), shown(row["median_b"]), number(row["ks"]), _p(row["p"]))
        for row in found.quantities
    )
    table = Table(
        ("quantity", f"median, {a.name}", f"median, {b.name}", "KS", "p"),
        rows,
        "KS: the largest difference between the two cumulative distributions, 0 = the same, 1 = no overlap. "
        "p: of that difference by chance, corrected for the number of quantities (Holm). Fluxes are sums "
        "over the galaxy's detected pixels; sizes are of those pixels, not of a model.",
    )
    text = f"From one image of each of {len(a.rows)} and {len(b.rows)} galaxies; most different first."
    return Section("What the images show", (text,), (*drawn, table))


def _images_section(side: Side, samples: int) -> Section:
    rows = side.rows[np.unique(np.linspace(0, len(side.rows) - 1, min(samples, len(side.rows))).astype(int))]
    cutouts = side.dataset.read(rows)
    images = np.array(cutouts.images)
    if cutouts.mask is not None:
        mask = cutouts.mask if cutouts.mask.ndim == 4 else cutouts.mask[:, None]
        images[np.broadcast_to(mask, images.shape)] = np.nan
    text = "As they are in the files, each with its own brightness scale."
    return Section(
        f"Some galaxies of {side.name}",
        (text,),
        (gallery(images, [str(i) for i in cutouts.ids], bands=cutouts.bands),),
    )


def _mix_section(found: Comparison) -> Section:
    classes = list(found.sides[0].mix or {})
    series = {side.name: [float((side.mix or {})[c]) for c in classes] for side in found.sides}
    rows = tuple((c, *(number(values[i]) for values in series.values())) for i, c in enumerate(classes))
    text = "Shares of the model's answers, not of galaxies: where it errs, it has the wrong mix."
    return Section(
        "What the model answers",
        (text,),
        (Figure(figures.bars(classes, series, y_label="share")), Table(("class", *series), rows)),
    )


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def opening_sentences(found: Comparison) -> list[str]:
    """Return the opening sentences."""
    a, b = found.sides
    lines = []
    if found.images is not None:
        lines.append(f"By what can be measured in the images: {_lowered(gap_sentence(found.images))}")
    if found.features is not None:
        lines.append(f"In the features that the model decides on: {_lowered(gap_sentence(found.features))}")
    told = _told(found.quantities)
    if told:
        lines.append(
            "They differ most in " + "; ".join(_difference(row, a.name, b.name) for row in told[:4]) + "."
        )
    elif found.quantities:
        lines.append("No measured quantity differs beyond what chance could make.")
    return lines


def shown(value: float) -> str:
    """Return a measured number with three figures, without powers of ten up to a million."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def worth_saying(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of ``compare`` that differ much and not by chance, the most different first."""
    return [row for row in rows if row["ks"] >= _KS and row["p"] <= _P]


def _told(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The differences worth a sentence: one band stands for all bands of a quantity."""
    families: dict[str, dict[str, Any]] = {}
    for row in worth_saying(rows):
        families.setdefault(row["quantity"].split(" in ")[0].split(" ")[0], row)
    return list(families.values())


def _difference(row: dict[str, Any], a: str, b: str) -> str:
    return f"{row['quantity']} (median {shown(row['median_a'])} in {a}, {shown(row['median_b'])} in {b})"


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
