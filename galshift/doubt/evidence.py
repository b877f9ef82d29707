"""What can be seen, without a label of the target, of how a classifier fares there against the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from galshift.doubt.estimates import (
    agreement,
    average_confidence,
    average_thresholded_confidence,
    calibrated,
    nuclear_norm,
)
from galshift.selection._base import Candidate
from galshift.selection._scores import balanced_accuracy
from galshift.selection.label_shift import class_mix, total_variation
from galshift.selection.mix_evidence import CREDIBLE
from galshift.selection.mix_evidence import evidence as evidence_of_mix

#: The numbers that accuracy is predicted from, in order.
SIGNS = ("nuclear", "mix")
#: Images of source and target that the stored runs have, by which constants were fitted.
ENOUGH = (150, 300)
_HALF = 0.5  # of an even share, below which a class begins to vanish from the answers


@dataclass(frozen=True)
class Evidence:
    """Signs of a loss of accuracy: 0 where the target looks like the source, negative where it is worse.

    Attributes
    ----------
    source_accuracy, source_recall : float
        On the labelled images of the source, and the mean recall of its classes there, in [0, 1].
    n_source, n_target : int
        Images that the evidence comes from.
    n_classes : int
        K.
    confidence, thresholded : float
        The accuracy that two estimates give (`galshift.doubt.estimates`), less the source's, in [-1, 1].
    nuclear : float
        The nuclear norm of the answers, less that on the source, in [-1, 1].
    mix : float
        Minus the total variation between the classes of the answers on the target and the labels of the
        source, in [-1, 0]; 0 where consistent accounts speak of another mix (`mix_evidence`).
    vanished : float
        By how much the rarest answered class falls short of half an even share, in units of it, in [-0.5, 0].
    witnesses : dict of str to float
        Independent classifiers to the agreement with them, less that on the source, in [-1, 1].
    rivals : dict of str to tuple of float
        Those of them that are networks, which may have lost as much themselves, to their own `signs`.
    striped : float
        Share of the target's images with whole rows or columns of one value, less that of the source, in
        [0, 1]: what a network makes of them its answers do not tell.
    """

    source_accuracy: float
    n_classes: int
    confidence: float
    thresholded: float
    nuclear: float
    mix: float
    vanished: float
    source_recall: float = 1.0
    n_source: int = ENOUGH[0]
    n_target: int = ENOUGH[1]
    witnesses: Mapping[str, float] = field(default_factory=dict)
    rivals: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    striped: float = 0.0

    @property
    def signs(self) -> np.ndarray:
        """(2,) the numbers named in `SIGNS`."""
        return np.array([getattr(self, name) for name in SIGNS])

    def document(self) -> dict[str, Any]:
        """Return it for ``metrics.json``."""
        return asdict(replace(self, witnesses=dict(self.witnesses), rivals=dict(self.rivals)))


def evidence(
    source: np.ndarray,
    labels: np.ndarray,
    target: np.ndarray,
    witnesses: Mapping[str, float] | None = None,
    rivals: Mapping[str, Evidence] | None = None,
) -> Evidence:
    """Return the evidence of a classifier.

    Parameters
    ----------
    source, target : ndarray
        (M, K) and (N, K) probabilities on images of either domain that it was not trained on.
    labels : ndarray
        (M,) classes of the source's images.
    witnesses : mapping, optional
        Name of an independent classifier to :func:`lost_agreement` with it.
    rivals : mapping, optional
        Those of them that are networks, to the evidence of each.
    """
    logits = [np.log(np.clip(p, 1e-7, 1)) for p in (source, target)]
    seen, met = calibrated(logits[0], labels, logits[1])
    k = source.shape[1]
    accuracy = float((source.argmax(axis=1) == labels).mean())
    answered = class_mix(target.argmax(axis=1), k)
    there = class_mix(labels, k) > 0  # a class that the source's images lack is missed by no one
    even = 1 / max(int(there.sum()), 1)
    one = Candidate(logits[1], logits[1], logits[0], logits[0], labels, k)
    explained = evidence_of_mix(one) > CREDIBLE
    return Evidence(
        source_accuracy=accuracy,
        n_classes=k,
        confidence=average_confidence(seen, labels, met) - accuracy,
        thresholded=average_thresholded_confidence(seen, labels, met) - accuracy,
        nuclear=nuclear_norm(met) - nuclear_norm(seen),
        mix=0.0 if explained else -total_variation(class_mix(labels, k), answered),
        source_recall=balanced_accuracy(labels, source.argmax(axis=1), k),
        n_source=len(source),
        n_target=len(target),
        vanished=min(0.0, float(answered[there].min()) / even - _HALF),
        witnesses=dict(witnesses or {}),
        rivals={name: tuple(one.signs.tolist()) for name, one in (rivals or {}).items()},
    )


def lost_agreement(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the share of target images that two classifiers call the same, less that of source images.

    Parameters
    ----------
    one, other : tuple of ndarray
        (M, K) probabilities on the source and (N, K) on the target, on the same images for both.
    """
    return agreement(one[1], other[1]) - agreement(one[0], other[0])
