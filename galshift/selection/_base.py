"""What a selector sees of a trained network, and what it answers.

Selection has two halves.  ``measure`` takes a few small numbers or arrays of one candidate, once; ``compare``
turns the measurements of a whole pool into one score each.  So a pool of epochs needs neither their features
in memory nor their networks, and scores that need the pool (an ensemble's vote, a threshold relative to the
best) fit the same interface as those that do not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_softmax

from galshift.errors import DataError

Measured = Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """One trained network, as its outputs on unlabelled target and held-out source images.

    Arrays or CPU tensors; they become float64 arrays.

    Attributes
    ----------
    features_target, logits_target : ndarray
        (N, D) and (N, K) of target images.
    features_source_val, logits_source_val : ndarray or None
        (M, D) and (M, K) of source validation images.
    labels_source_val : ndarray or None
        (M,) class indices of those.
    n_classes : int
        K.
    prior_target : ndarray or None
        (K,) class mix of the target where it is known from elsewhere; None: selectors estimate it.
    votes : bool
        Whether it counts in what a pool says of the target; not so source-only beside networks that adapted.
    mixed : callable or None
        (first, second, share) to the logits of ``share * image[first] + (1 - share) * image[second]``, for
        index arrays (P,) into the target images.  None: logits are mixed instead, which is the same as mixing
        the features in front of a linear classifier.

    Raises
    ------
    DataError
        When shapes disagree.
    """

    features_target: np.ndarray
    logits_target: np.ndarray
    features_source_val: np.ndarray | None
    logits_source_val: np.ndarray | None
    labels_source_val: np.ndarray | None
    n_classes: int
    prior_target: np.ndarray | None = None
    votes: bool = True
    mixed: Callable[[np.ndarray, np.ndarray, float], np.ndarray] | None = None

    def __post_init__(self) -> None:
        for name in (
            "features_target",
            "logits_target",
            "features_source_val",
            "logits_source_val",
            "prior_target",
        ):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.asarray(value, dtype=np.float64))
        if self.labels_source_val is not None:
            object.__setattr__(self, "labels_source_val", np.asarray(self.labels_source_val, dtype=np.int64))
        self._check()

    def _check(self) -> None:
        """Refuse what does not fit together."""
        k = self.n_classes
        pairs = [("target", self.features_target, self.logits_target)]
        if self.has_source:
            pairs.append(("source", self.features_source_val, self.logits_source_val))
        for domain, features, logits in pairs:
            if logits.ndim != 2 or logits.shape[1] != k or len(features) != len(logits) or not len(logits):
                raise DataError(
                    f"{domain} features {features.shape} and logits {logits.shape} do not fit {k} classes"
                )
        if self.has_source and len(self.labels_source_val) != len(self.logits_source_val):
            raise DataError(
                f"{len(self.labels_source_val)} labels for {len(self.logits_source_val)} source images"
            )

    @property
    def has_source(self) -> bool:
        """Whether there are labelled source validation images."""
        return all(
            part is not None
            for part in (self.features_source_val, self.logits_source_val, self.labels_source_val)
        )

    @property
    def usable(self) -> bool:
        """Whether every output is finite."""
        parts = [self.features_target, self.logits_target]
        parts += [self.features_source_val, self.logits_source_val] if self.has_source else []
        return all(bool(np.isfinite(part).all()) for part in parts)

    @cached_property
    def probabilities_target(self) -> np.ndarray:
        """(N, K) softmax of the target's logits."""
        return np.exp(log_softmax(self.logits_target, axis=1))

    @cached_property
    def probabilities_source_val(self) -> np.ndarray:
        """(M, K) softmax of the source's logits."""
        return np.exp(log_softmax(self.logits_source_val, axis=1))

    @cached_property
    def predictions_target(self) -> np.ndarray:
        """(N,) most probable class of every target image."""
        return self.logits_target.argmax(axis=1)


class Selector(ABC):
    """One way to rank candidates; higher scores are better, and -inf is never chosen.

    Class attributes
    ----------------
    version : int
        Raised when the selector's numbers change.
    reference : str
        Paper, and equation where one matters.
    needs_source : bool
        True when it scores nothing without labelled source images.
    pooled : bool
        True when a candidate's score depends on the others.
    margin : float
        By how much a method must beat not adapting before it is worth adapting.
    """

    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""
    needs_source: ClassVar[bool] = False
    pooled: ClassVar[bool] = False
    margin: ClassVar[float] = 0.0

    @abstractmethod
    def score(self, candidate: Candidate) -> float:
        """Return the score of one candidate, as if it were alone."""

    def measure(self, candidate: Candidate) -> Measured:
        """Return what a candidate is ranked by: JSON-able numbers, and small arrays where it must be.

        Raises
        ------
        DataError
            When labelled source images are needed and there are none.
        """
        if self.needs_source and not candidate.has_source:
            raise DataError(f"the selector {type(self).__name__} needs labelled source validation images")
        return {"score": self.score(candidate) if candidate.usable else -np.inf}

    def compare(self, measured: Sequence[Measured]) -> np.ndarray:
        """Return the scores (n,) of a pool from what `measure` returned."""
        return np.array([_orderable(one["score"]) for one in measured], dtype=np.float64)

    def __call__(self, pool: Sequence[Candidate]) -> np.ndarray:
        """Return the scores (n,) of a pool of candidates."""
        return self.compare([self.measure(candidate) for candidate in pool])


def _orderable(score: float) -> float:
    """A score that is not a number is never the best."""
    return -np.inf if np.isnan(score) else float(score)
