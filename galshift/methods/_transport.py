"""Exact optimal transport between two sets of equal weights."""

from __future__ import annotations

import math

import numpy as np

# Above this many rows after replication the linear programme is the cheaper way.
MAX_REPLICATED = 512


def exact_plan(cost: np.ndarray) -> np.ndarray:
    """Return the plan of least total cost with uniform marginals.

    Parameters
    ----------
    cost : ndarray
        (n, m), finite.

    Returns
    -------
    ndarray
        (n, m) >= 0, rows of sum 1/n, columns of sum 1/m.  Equal sizes are an assignment problem; unequal ones
        are the same with rows and columns repeated up to a common multiple, or a linear programme.
    """
    n, m = cost.shape
    common = math.lcm(n, m)
    if common > MAX_REPLICATED:
        return _linear_programme(cost)
    return _assignment(cost, common)


def _assignment(cost: np.ndarray, common: int) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    n, m = cost.shape
    repeated = cost.repeat(common // n, axis=0).repeat(common // m, axis=1)
    rows, columns = linear_sum_assignment(repeated)
    plan = np.zeros_like(cost, dtype=np.float64)
    np.add.at(plan, (rows // (common // n), columns // (common // m)), 1.0 / common)
    return plan


def _linear_programme(cost: np.ndarray) -> np.ndarray:
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, m = cost.shape
    rows = kron(eye_array(n), np.ones((1, m)))
    columns = kron(np.ones((1, n)), eye_array(m))
    marginals = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    result = linprog(cost.ravel(), A_eq=vstack([rows, columns]).tocsr(), b_eq=marginals, method="highs")
    return np.clip(result.x, 0, None).reshape(n, m)
