"""What an evaluation says of classes that only the test sets have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from galshift.evaluation.classes import hard_labels
from galshift.evaluation.unknown import unknown_metrics
from galshift.methods.pulse import known_share
from galshift.report import Section, Table
from galshift.runs.test_sets import TestSet
from galshift.selection.guards import little_known
from galshift.training.unknown import THRESHOLD
from galshift.verbs.evaluate.result import Evaluation

#: Key in ``metrics.json`` to the report's column.
_COLUMNS = {
    "known_share": "looks known",
    "share_flagged": "flagged",
    "n_unknown": "unknown images",
    "auroc": "AUROC",
    "h_score": "H-score",
    "known_right": "known right",
    "unknown_found": "unknown found",
}


def foreign(s: TestSet, classes: Sequence[str]) -> np.ndarray:
    """Return where images (N,) bool have a label that names none of `classes`."""
    labels = s.dataset.info.labels
    given = hard_labels(None if labels is None else np.asarray(labels)[s.rows], len(s.rows))
    names = s.dataset.info.classes
    return (given >= 0) & (s.labels < 0) if set(names) - set(classes) else np.zeros(len(s.rows), dtype=bool)


def unknown_part(
    scores: np.ndarray | None,
    s: TestSet,
    classes: Sequence[str],
    probabilities: np.ndarray,
    source: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the ``unknown`` part of a data set's metrics; empty where there is nothing to say.

    Parameters
    ----------
    scores : ndarray or None
        (N,) of the method; without them ``1 - max p``, which has no threshold, stands in.
    s : TestSet
    classes : sequence of str
    probabilities : ndarray
        (N, K), NaN where an image could not be used.
    source : ndarray or None
        (M,) scores of held-out images of the source: with them ``known_share`` says how much of the data set
        looks like the source, and ``reasons`` why the score should not be believed, if anything.
    """
    outside = foreign(s, classes)
    if scores is None and not outside.any():
        return {}
    own = scores is not None
    values = scores if own else 1 - probabilities.max(axis=1)
    usable = np.isfinite(values)
    found: dict[str, Any] = {"score": "method" if own else "1 - max p"}
    if own:
        found |= {"threshold": THRESHOLD, "share_flagged": float((values[usable] > THRESHOLD).mean())}
        found |= _against_source(values[usable], source, s.name)
    known = usable & (outside | (s.labels >= 0))
    if outside[known].any():
        right = probabilities[known].argmax(axis=1) == s.labels[known]
        found |= unknown_metrics(values[known], outside[known], right, THRESHOLD if own else None)
    return {"unknown": found}


def _against_source(scores: np.ndarray, source: np.ndarray | None, name: str) -> dict[str, Any]:
    """Return how much of a data set looks like the source, and what follows, where both have images."""
    if source is None or not len(source) or not len(scores):
        return {}
    share = known_share(*(torch.from_numpy(np.asarray(x, dtype=float)) for x in (source, scores)))
    return {"known_share": share, "reasons": little_known(name, share)}


def unknown_lines(name: str, classifier: str, domain: Mapping[str, Any]) -> list[str]:
    """Say in a line how unknown classes are found, or how many images look so."""
    found = domain.get("unknown")
    if not found:
        return []
    told = f"{name}: {classifier}: "
    if found.get("auroc") is None:
        share = found.get("share_flagged")
        return [] if share is None else [f"{told}{share:.0%} of the images look like no class of the source"]
    h = "" if found.get("h_score") is None else f", H-score {found['h_score']:.2f}"
    return [f"{told}unknown classes ({found['n_unknown']} images) found with AUROC {found['auroc']:.2f}{h}"]


def unknown_section(found: Evaluation) -> Section | None:
    """Return the part of the report on unknown classes, None where no score was made."""
    rows = []
    for c in found.classifiers:
        for s in found.sets:
            one = found.metrics(c, s).get("unknown")
            if one:
                rows.append((c.name, s.name, one["score"], *(_shown(one.get(key)) for key in _COLUMNS)))
    if not rows:
        return None
    return Section(
        "Classes that the source does not have",
        (
            "An image is flagged where its score says that an unknown class is likelier than the known ones. "
            "H-score: harmonic mean of the share of known images that are classified right and not flagged, "
            "and the share of unknown ones that are flagged. Both need labels that the source does not have. "
            "Looks known: how much of the data set has scores like the source's own; where it is little, the "
            "score tells the survey rather than the class.",
        ),
        (Table(("classifier", "data set", "score", *_COLUMNS.values()), tuple(rows)),),
    )


def _shown(value: float | int | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
