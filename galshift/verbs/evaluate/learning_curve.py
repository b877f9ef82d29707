"""How a score on the test set grows with the number of its survey's labels that were learnt."""

from __future__ import annotations

from typing import Any

from galshift.evaluation.metric import Metric, shown_in
from galshift.report import Figure, Section, Table, figures
from galshift.verbs.evaluate.result import Evaluation


def learning_curves(found: Evaluation) -> dict[str, list[dict[str, Any]]]:
    """Return for each labelled test set the points of its learning curve, the fewest labels first.

    A point is a network that was asked for by name: how many labelled images of the set's survey it learnt,
    and its scores with their 95 % intervals.  A set has a curve where these numbers differ.
    """
    metrics, curves = shown_in("figure", found.task.metrics()), {}
    for s in found.sets:
        points = []
        for c in found.classifiers if s.role != "source" else ():
            by_label = found.task.by_label(found.metrics(c, s))
            if c.given and len(by_label) == 1:
                (scores,) = by_label.values()
                own = {one.key: _score(scores, one) for one in metrics if one.key in scores}
                points.append({"name": c.name, "labels": c.roles.n_labels(s.dataset.name), **own})
        if len({point["labels"] for point in points}) > 1:
            curves[s.name] = sorted(points, key=lambda point: point["labels"])
    return curves


def _score(scores: Any, metric: Metric) -> dict[str, Any]:
    return {"value": scores[metric.key], "ci95": scores["ci95"].get(metric.key)}


def curve_sections(found: Evaluation) -> list[Section]:
    """Return a part of the report for each learning curve."""
    return [_section(found, name, points) for name, points in found.learning.items()]


def _section(found: Evaluation, name: str, points: list[dict[str, Any]]) -> Section:
    metrics = [one for one in shown_in("figure", found.task.metrics()) if one.key in points[0]]
    labels = [point["labels"] for point in points]
    lines = {one.name: (labels, [point[one.key]["value"] for point in points]) for one in metrics}
    drawn = figures.curves(lines, x_label=f"labelled images of {name} learnt", y_label="score", marker="o")
    rows = tuple(
        (str(point["labels"]), point["name"], *(_cell(point[one.key]) for one in metrics)) for point in points
    )
    text = (
        f"The same galaxies of {name} judge every network, and no label of theirs was learnt by any. In "
        "brackets: 95% intervals, of this test set; they say nothing of another choice of galaxies to label."
    )
    table = Table(("labels", "network", *(one.name for one in metrics)), rows)
    return Section(f"Learning curve on {name}", (text,), (Figure(drawn), table))


def _cell(score: dict[str, Any]) -> str:
    low, high = score["ci95"] or (float("nan"), float("nan"))
    return f"{score['value']:.3f} ({low:.3f} to {high:.3f})"
