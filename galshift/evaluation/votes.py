"""The numbers of ``metrics.json`` where labels are votes for classes: one row a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from galshift.evaluation.bootstrap import (
    Sample,
    group_sums,
    known_labels,
    numbered,
    point_values,
    scores,
)
from galshift.evaluation.metric import Metric, add, metrics_for


@dataclass(frozen=True)
class VoteScored:
    """Votes and predicted fractions of images, and the sums per galaxy that the metrics need.

    Attributes
    ----------
    counts, fractions : ndarray
        (N, K) votes, and expected fractions.
    concentration : ndarray
        (N,) sums of the Dirichlet parameters.
    group : ndarray
        (N,) int, the galaxy of each image.
    n_groups : int
    sums : ndarray
        (G, 5) of what :class:`VoteSample` has the totals of.
    """

    counts: np.ndarray
    fractions: np.ndarray
    concentration: np.ndarray
    group: np.ndarray
    n_groups: int
    sums: np.ndarray

    def sample(self, weights: np.ndarray) -> VoteSample:
        """Return the draws that (B, G) `weights` stand for."""
        return VoteSample(weights, self.group, self)

    def trials(self, metric: Metric) -> None:
        """Return None: where every replicate agrees there is no interval."""


@dataclass(frozen=True)
class VoteSample(Sample):
    """B weighted draws of the galaxies of a test set with votes; see :class:`Sample`.

    Attributes
    ----------
    scored : VoteScored
    """

    scored: VoteScored

    @cached_property
    def totals(self) -> tuple[np.ndarray, ...]:
        """(B,) each: images, and sums of NLL, mean abs error, mean square error, and right winners."""
        return tuple((self.weights @ self.scored.sums).T)

    def share(self, column: int) -> np.ndarray:
        """Return the (B,) means of one column of the sums."""
        return self.totals[column] / self.totals[0]


def vote_scored(
    counts: np.ndarray, fractions: np.ndarray, concentration: np.ndarray, groups: np.ndarray | None
) -> VoteScored:
    """Return the per-galaxy sums of votes.

    Parameters
    ----------
    counts, fractions : ndarray
        (N, K).
    concentration : ndarray
        (N,).
    groups : ndarray or None
    """
    group, n_groups = numbered(groups, len(counts))
    error = fractions - counts / counts.sum(axis=1, keepdims=True)
    right = fractions.argmax(axis=1) == counts.argmax(axis=1)
    nll = -dirichlet_multinomial_log_p(counts, fractions * concentration[:, None])
    columns = [np.ones(len(counts)), nll, np.abs(error).mean(axis=1), (error**2).mean(axis=1), right]
    sums = group_sums(np.stack(columns, axis=1), group, n_groups)
    return VoteScored(counts, fractions, concentration, group, n_groups, sums)


VOTE_NLL = add(
    Metric(
        "nll",
        "NLL",
        lambda sample: sample.share(1),
        labels="votes",
        better="lower",
        shown=("table", "seeds"),
        summary="mean negative log likelihood of the counts, Dirichlet-multinomial [nat]",
        source="Mosimann 1962 (Biometrika 49, 65)",
    )
)
MAD = add(
    Metric(
        "mad",
        "mean |error|",
        lambda sample: sample.share(2),
        labels="votes",
        better="lower",
        shown=("table", "figure", "headline", "seeds"),
        phrase="mean error of a fraction {value:.3g}",
        summary="mean absolute difference of expected and observed fractions, over classes",
    )
)
VOTE_RMSE = add(
    Metric(
        "rmse",
        "RMSE",
        lambda sample: np.sqrt(sample.share(3)),
        labels="votes",
        better="lower",
        shown=("table", "seeds"),
        summary="root mean square difference of expected and observed fractions, over classes",
    )
)
WINNER = add(
    Metric(
        "accuracy",
        "winner right",
        lambda sample: sample.share(4),
        labels="votes",
        proportion=True,
        shown=("table", "headline", "seeds"),
        phrase="{name} {value:.0%}",
        summary="share of images whose expected winner has the most votes",
    )
)
_ROWS = (VOTE_NLL, MAD, VOTE_RMSE, WINNER)


def votes_metrics() -> tuple[Metric, ...]:
    """Return the metrics of vote fractions, those of other packages last."""
    return metrics_for("votes", _ROWS)


def dirichlet_multinomial_log_p(counts: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return (N,) log probabilities of (N, K) counts under Dirichlet parameters (N, K) (Mosimann 1962)."""
    from scipy.special import gammaln

    n, total = counts.sum(axis=1), alpha.sum(axis=1)
    alpha = np.maximum(alpha, 1e-13)
    each = gammaln(counts + alpha) - gammaln(alpha) - gammaln(counts + 1)
    return gammaln(total) + gammaln(n + 1) - gammaln(n + total) + each.sum(axis=1)


def vote_metrics(
    counts: np.ndarray,
    fractions: np.ndarray,
    concentration: np.ndarray,
    classes: Sequence[str],
    *,
    mean: Sequence[float],
    mean_concentration: float,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every number of predicted vote fractions, beside always saying the training's mean fractions.

    Parameters
    ----------
    counts : ndarray
        (N, K) votes, a row of NaN where unknown.
    fractions : ndarray
        (N, K) expected fractions, rows of sum 1.
    concentration : ndarray
        (N,) sum of the Dirichlet parameters.
    classes : sequence of str
    mean, mean_concentration
        Mean fractions of the training part, and the concentration that suits them best.
    groups, n_bootstrap, seed
        As for :func:`galshift.evaluation.values.value_metrics`.

    Returns
    -------
    dict
        ``n``, ``n_groups``, ``n_unlabelled``, the metrics by key, ``ci95``, ``per_class`` (bias, mad and rmse
        of each fraction) and ``training_mean``.
    """
    known, groups = known_labels(np.asarray(counts).sum(axis=1), groups)
    counts, fractions = (np.asarray(x, dtype=np.float64)[known] for x in (counts, fractions))
    concentration = np.asarray(concentration, dtype=np.float64)[known]
    scored = vote_scored(counts, fractions, concentration, groups[known])
    always = np.broadcast_to(np.asarray(mean, dtype=np.float64), fractions.shape)
    flat = vote_scored(counts, always, np.full(len(counts), mean_concentration), None)
    error = fractions - counts / counts.sum(axis=1, keepdims=True)
    per_class = {
        name: {"bias": float(e.mean()), "mad": float(np.abs(e).mean()), "rmse": float(np.sqrt((e**2).mean()))}
        for name, e in zip(classes, error.T, strict=True)
    }
    return {
        "n": len(counts),
        "n_groups": scored.n_groups,
        "n_unlabelled": int((~known).sum()),
        **scores(votes_metrics(), scored, n_bootstrap, seed),
        "per_class": per_class,
        "training_mean": point_values(votes_metrics(), flat),
        "n_bootstrap": n_bootstrap,
    }
