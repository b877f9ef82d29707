"""The report of a count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.data.paths import bare_name
from galshift.report import Card, Figure, ReportData, Section, Table, about, figures
from galshift.verbs.count.config import CountConfig
from galshift.verbs.count.words import fraction, number

_UNKNOWN = (float("nan"),) * 3
_FORMS = {
    "strata": (
        "Strata: the galaxies that the network gives a class, whose number is known, and all others are two "
        "groups; the labels say how many of each are of the class, with Jeffreys' prior."
    ),
    "prediction-powered": (
        "Prediction-powered: the mean probability, corrected by its mean error on the labels, with a normal "
        "interval (Angelopoulos et al. 2023)."
    ),
    "label shift": (
        "Label shift: the mix that makes the calibrated answers most likely (Saerens et al. 2002); its "
        "interval resamples galaxies of the source and of the data."
    ),
}


def count_report(document: Mapping[str, Any], config: CountConfig) -> ReportData:
    """Return the whole page."""
    sections = [_fractions(document)]
    if document["bins"]:
        sections.append(_by_bin(document))
    if document["test"] is not None:
        sections.append(_premise(document))
    cards = [
        Card(name, f"{one['fraction']:.3f}", f"{one['ci95'][0]:.3f} to {one['ci95'][1]:.3f}")
        for name, one in document["classes"].items()
    ]
    return about(
        f"The classes of {document['data']}",
        lede=document["answer"],
        cards=cards,
        warnings=document["warnings"],
        sections=sections,
        facts={"run": bare_name(config.run), "seed": config.seed},
    )


def _fractions(document: Mapping[str, Any]) -> Section:
    classes = document["classes"]
    labelled = document["with_labels"]
    drawn = figures.intervals(
        [(name, one["fraction"], *one["ci95"], one["predicted_fraction"]) for name, one in classes.items()],
        x_label="fraction of the galaxies",
    )
    rows = []
    for name, one in classes.items():
        shown = (name, fraction(one), number(one), f"{one['predicted_fraction']:.3f}")
        if labelled:
            alone = one["labels_alone_ci95"]
            rows.append(
                (*shown, one["n_labels"], None if alone is None else f"{alone[0]:.3f} to {alone[1]:.3f}")
            )
        else:
            rows.append((*shown, f"{one['by_confusion']:.3f}", f"{one['source_fraction']:.3f}"))
    more = ("labels of it", "from labels alone") if labelled else ("by confusion", "in the source")
    columns = ("class", "fraction (95%)", "galaxies (95%)", "fraction of answers", *more)
    caption = "The short line is the fraction of the network's answers, which has its errors in it."
    text = [_FORMS[form] for form in dict.fromkeys(one["form"] for one in classes.values())]
    return Section(
        "How many of each class", tuple(text), (Figure(drawn, caption), Table(columns, tuple(rows)))
    )


def _by_bin(document: Mapping[str, Any]) -> Section:
    bins, classes = document["bins"], list(document["classes"])
    drawn = figures.points(
        [one["name"] for one in bins],
        {
            name: [_with_ends(one["classes"][name]) if one["classes"] else _UNKNOWN for one in bins]
            for name in classes
        },
        x_label=str(document["by"]),
        y_label="fraction of the galaxies",
    )
    rows = [(one["name"], one["n_galaxies"], *(_cell(one, name) for name in classes)) for one in bins]
    columns = (str(document["by"]), "galaxies", *classes)
    caption = "Points with 95% intervals; a bin without a point could not be counted."
    return Section(
        f"By {document['by']}",
        ("Each bin is counted by itself.",),
        (Figure(drawn, caption), Table(columns, tuple(rows))),
    )


def _with_ends(found: Mapping[str, Any]) -> tuple[float, float, float]:
    return found["fraction"], *found["ci95"]


def _cell(one: Mapping[str, Any], name: str) -> str | None:
    return None if one["classes"] is None else fraction(one["classes"][name])


def _premise(document: Mapping[str, Any]) -> Section:
    test = document["test"]
    rows = tuple((name, f"{p:.2g}") for name, p in test["p_values"].items())
    text = (
        f"Refused where the least of these p values, times their number, is below {test['level']}; here it "
        f"is {test['p']:.2g}.",
        "Mixture: the answers, cut by a number into cells, against the best mixture of what the network "
        "gives for each class of the source. Agreement: the most likely mix against the one that undoes the "
        "confusion of the answers.",
    )
    return Section("Whether the premise holds", text, (Table(("test", "p"), rows),))
