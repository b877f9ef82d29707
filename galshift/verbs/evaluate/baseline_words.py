"""What terminal and report say of the baselines in ``metrics.json``: a line each, and whether they are beaten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from galshift.evaluation.baselines import BASELINES
from galshift.evaluation.metric import Metric, shown_in
from galshift.report import Section, Table
from galshift.report.scores import number, with_interval
from galshift.verbs.evaluate.result import Evaluation

Document = Mapping[str, Any]


def baseline_lines(document: Document | None, metrics: Sequence[Metric]) -> list[str]:
    """Return a line for each baseline, then one for each test set: beaten or not; none without baselines."""
    if not document:
        return []
    by = _decisive(document, metrics)
    lines = []
    for one in document["results"]:
        scores = [f"{with_interval(row, by.key)} on {where}" for where, row in one["domains"].items()]
        lines.append(f"baseline {_title(one)}: {by.name} {', '.join(scores)}")
    for where in _sets(document):
        unbeaten = _rows(document, where, by, beaten=False)
        told = f"{where}: {document['network']}: "
        if unbeaten:
            lines.append(told + "not beaten: " + "; ".join(_against(one, by) for one in unbeaten))
        else:
            nearest = _rows(document, where, by, beaten=True)[0]
            lines.append(f"{told}beats every baseline, the nearest: {_against(nearest, by)}")
    return lines


def baseline_sentences(document: Document | None, metrics: Sequence[Metric]) -> list[str]:
    """Return a sentence for each test set, the target's first: whether the network beats the baselines."""
    if not document:
        return []
    by = _decisive(document, metrics)
    lines = []
    for where in _sets(document)[::-1]:
        unbeaten = _rows(document, where, by, beaten=False)
        if unbeaten:
            lines.append(
                f"Not beaten on {where}: {'; '.join(_against(one, by) for one in unbeaten)}. The network is not "
                "better than these baselines beyond the interval of the difference on the same galaxies."
            )
        else:
            nearest = _rows(document, where, by, beaten=True)[0]
            lines.append(f"On {where} it beats every baseline; the nearest: {_against(nearest, by)}.")
    return lines


def baseline_section(found: Evaluation) -> Section | None:
    """Return the table of baselines beside the network's scores; None without baselines."""
    document = found.baselines
    if not document:
        return None
    metrics = found.task.metrics()
    by, shown = _decisive(document, metrics), shown_in("table", metrics)
    lines: list[tuple[Any, ...]] = []
    for s in found.sets[::-1]:
        mine = [
            (_title(one), one["domains"][s.name]) for one in document["results"] if s.name in one["domains"]
        ]
        if not mine:
            continue
        rows = [(found.main.name, found.metrics(found.main, s), None)]
        rows += [(name, row, _difference(row, by)) for name, row in mine]
        for name, row, difference in rows:
            cells = [with_interval(row, m.key) if m.interval else number(row[m.key]) for m in shown]
            lines.append((s.name, name, row["n_groups"], *cells, difference))
    columns = (
        *("data set", "classifier", "galaxies", *(m.name for m in shown)),
        f"{by.name}: {found.main.name} less this",
    )
    caption = "In brackets: 95% intervals from resampling galaxies, of differences on the same galaxies."
    names = dict.fromkeys(one["name"] for one in document["results"])
    what = " ".join(f"{_plain(document, name)}: {BASELINES.summary(name)}" for name in names)
    return Section(
        "Beside classifiers without a network",
        (what, _how(document)),
        (Table(columns, tuple(lines), caption),),
    )


def _how(document: Document) -> str:
    n, most, noise = document["n_train"], document["most"], document["noise_added_to"]
    other = {"source": "target", "target": "source"}.get(noise)
    depth = (
        f"The {noise}'s images were given the {other}'s noise before they were measured. " if other else ""
    )
    if noise and not other:
        depth = (
            "In each band the deeper images were given the other domain's noise before they were measured. "
        )
    return (
        f"They learnt from {n['source']} images of the source's training part, with every class weighing the "
        "same, and are scored on the networks' test galaxies. Standardised: the features of each domain have zero "
        f"mean and unit variance over its own training images, of which no label was asked. {depth}At most "
        f"{most['train']:,} training images and {most['test']:,} test images of a data set are measured, drawn by "
        "the seed."
    )


def _decisive(document: Document, metrics: Sequence[Metric]) -> Metric:
    return next(one for one in metrics if one.key == document["decided_by"])


def _sets(document: Document) -> list[str]:
    return list(dict.fromkeys(where for one in document["results"] for where in one["domains"]))


def _title(one: Mapping[str, Any]) -> str:
    return f"{one['title']}, standardised" if one["standardised"] else one["title"]


def _plain(document: Document, name: str) -> str:
    title = next(one["title"] for one in document["results"] if one["name"] == name)
    return title[:1].upper() + title[1:]


def _rows(document: Document, where: str, by: Metric, *, beaten: bool) -> list[tuple[str, Mapping[str, Any]]]:
    """The baselines on a test set that are beaten, or those that are not, the strongest first."""
    rows = [(_title(one), one["domains"][where]) for one in document["results"] if where in one["domains"]]
    return sorted(
        (row for row in rows if row[1]["beaten"] is beaten), key=lambda row: -(row[1][by.key] or 0.0)
    )


def _against(one: tuple[str, Mapping[str, Any]], by: Metric) -> str:
    """``morphology forest macro F1 0.81, difference +0.01 (-0.03 to 0.05)``."""
    title, row = one
    return f"{title} {by.name} {number(row[by.key])}, difference {_difference(row, by)}"


def _difference(row: Mapping[str, Any], by: Metric) -> str:
    change = row["network_minus_baseline"][by.key]
    low, high = (number(bound) for bound in change["ci95"])
    shown = f"{change['difference']:+.2f}"
    return shown if low is None else f"{shown} ({low} to {high})"
