"""Ranks and ROC curves are those of scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn import metrics

from galshift.evaluation.ranks import average_ranks, precision_recall_curve, roc_curve


@pytest.mark.parametrize(
    "values", [[0.3], [2.0, 2.0, 2.0], np.round(np.random.default_rng(1).normal(size=200), 1)]
)
def test_ranks_are_those_of_scipy(values: np.ndarray) -> None:
    np.testing.assert_array_equal(average_ranks(np.asarray(values)), rankdata(values))


@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("n", [2, 3, 300])
def test_roc_curve_is_that_of_scikit_learn(n: int, decimals: int) -> None:
    rng = np.random.default_rng(n)
    positive = np.arange(n) % 3 == 0
    scores = np.round(rng.uniform(size=n) + positive * 0.3, decimals)
    false, true, _ = metrics.roc_curve(positive, scores, drop_intermediate=True)
    mine = roc_curve(positive, scores)
    np.testing.assert_array_equal(mine[0], false)
    np.testing.assert_array_equal(mine[1], true)


@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("n", [2, 3, 300])
def test_precision_and_recall_are_those_of_scikit_learn(n: int, decimals: int) -> None:
    rng = np.random.default_rng(n)
    positive = np.arange(n) % 3 == 0
    scores = np.round(rng.uniform(size=n) + positive * 0.3, decimals)
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    mine = precision_recall_curve(positive, scores)
    np.testing.assert_allclose(mine[0], precision, rtol=1e-12)
    np.testing.assert_allclose(mine[1], recall, rtol=1e-12)
