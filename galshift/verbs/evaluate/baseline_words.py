"""What terminal and report say of baselines: a line each, and whether the network beats them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from galshift.evaluation.baselines import BASELINES
from galshift.evaluation.metric import Metric, shown_in
from galshift.report import Card, Section, Table
from galshift.report.scores import number, with_interval
from galshift.verbs.evaluate.result import Evaluation

Document = Mapping[str, Any]  # what metrics.json has under "baselines"
Named = tuple[str, Mapping[str, Any]]  # a baseline's title and its scores on one test set


def baseline_lines(document: Document | None, metrics: Sequence[Metric]) -> list[str]:
    """Return a line for each baseline, then one for each test set: beaten or not; none without baselines."""
    if not document:
        return []
    by = _decisive(document, metrics)
    lines = []
    for one in document["results"]:
        scores = [f"{with_interval(row, by.key)} on {where}" for where, row in one["domains"].items()]
        lines.append(f"baseline {_title(one)}: {by.name} {', '.join(scores)}")
    told = zip(_sets(document), _verdicts(document, by), strict=True)
    return [*lines, *(f"{where}: {verdict}" for where, verdict in told)]


def baseline_sentences(document: Document | None, metrics: Sequence[Metric]) -> list[str]:
    """Return a sentence for each test set, the target's first: whether the network beats the baselines."""
    if not document:
        return []
    verdicts = _verdicts(document, _decisive(document, metrics))
    told = zip(_sets(document), verdicts, strict=True)
    return [f"On {where}, {verdict}." for where, verdict in told][::-1]


def baseline_card(found: Evaluation, where: str) -> list[Card]:
    """Return the card of the best baseline on a test set; none without one."""
    rows = _on(found.baselines, where) if found.baselines else []
    if not rows:
        return []
    by = _decisive(found.baselines, found.task.metrics())
    title, row = max(rows, key=lambda one: one[1][by.key] or 0.0)
    unbeaten = sum(not one["beaten"] for _, one in rows)
    told = f"{unbeaten} of {len(rows)} not beaten" if unbeaten else "all beaten"
    return [Card(f"best baseline on {where}", number(row[by.key]), f"{by.name}, {title}; {told}")]


def baseline_section(found: Evaluation) -> Section | None:
    """Return the table of baselines beside the network's scores; None without baselines."""
    document = found.baselines
    if not document:
        return None
    metrics = found.task.metrics()
    by, shown = _decisive(document, metrics), shown_in("headline", metrics)
    lines: list[tuple[Any, ...]] = []
    for s in found.sets[::-1]:
        mine = _on(document, s.name)
        own = [(found.main.name, found.metrics(found.main, s))] if mine else []
        for name, row in [*own, *mine]:
            cells = [with_interval(row, m.key) if m.interval else number(row[m.key]) for m in shown]
            difference = _difference(row, by) if "network_minus_baseline" in row else None
            lines.append((s.name, name, row["n_groups"], *cells, difference))
    last = f"{by.name} of {found.main.name} less this"
    columns = ("data set", "classifier", "galaxies", *(m.name for m in shown), last)
    caption = "In brackets: 95% intervals from resampling galaxies; of differences, on the same galaxies."
    titles = {one["name"]: one["title"] for one in document["results"]}
    what = [f"{title[:1].upper()}{title[1:]}: {BASELINES.summary(name)}" for name, title in titles.items()]
    text = (" ".join(what), _how(document))
    return Section("Beside classifiers without a network", text, (Table(columns, tuple(lines), caption),))


def _how(document: Document) -> str:
    """How they were fitted and on what."""
    most, noise = document["most"], document["noise_added_to"]
    lines = [
        f"They learnt from {document['n_train']['source']} images of the source's training part, every class "
        "weighing the same, and are scored on test galaxies of the networks.",
        "Standardised: the features of each domain have zero mean and unit variance over its own training "
        "images, of which no label was asked.",
        f"At most {most['train']:,} training and {most['test']:,} test images of a data set are measured, "
        "drawn by the seed.",
    ]
    if noise:
        lines.append(f"Before that, images of the {noise} got the noise that the other domain has more of.")
    return " ".join(lines)


def _verdicts(document: Document, by: Metric) -> list[str]:
    """For each test set, how many baselines the network does not beat beyond the interval, and the best."""
    found = []
    for where in _sets(document):
        rows = sorted(_on(document, where), key=lambda row: -(row[1][by.key] or 0.0))
        unbeaten = [row for row in rows if not row[1]["beaten"]]
        how = f"does not beat {len(unbeaten)} of {len(rows)}" if unbeaten else f"beats all {len(rows)}"
        if len(unbeaten) == len(rows):
            how = f"beats none of {len(rows)}"
        best = _against((unbeaten or rows)[0], by)
        found.append(f"{document['network']} {how} classifiers without a network, the best of them {best}")
    return found


def _decisive(document: Document, metrics: Sequence[Metric]) -> Metric:
    return next(one for one in metrics if one.key == document["decided_by"])


def _sets(document: Document) -> list[str]:
    return list(dict.fromkeys(where for one in document["results"] for where in one["domains"]))


def _on(document: Document, where: str) -> list[Named]:
    return [(_title(one), one["domains"][where]) for one in document["results"] if where in one["domains"]]


def _title(one: Mapping[str, Any]) -> str:
    return f"standardised {one['title']}" if one["standardised"] else one["title"]


def _against(one: Named, by: Metric) -> str:
    """``morphology forest macro F1 0.81, difference +0.01 (-0.03 to 0.05)``."""
    title, row = one
    return f"{title} {by.name} {number(row[by.key])}, difference {_difference(row, by)}"


def _difference(row: Mapping[str, Any], by: Metric) -> str:
    change = row["network_minus_baseline"][by.key]
    low, high = (number(bound) for bound in change["ci95"])
    shown = f"{change['difference']:+z.2f}"
    return shown if low is None else f"{shown} ({low} to {high})"
