"""How much likelier features are in the target than in the source, and the error that this implies."""

from __future__ import annotations

import numpy as np

SEED = 0


def density_ratio(features_source: np.ndarray, features_target: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Return (M,) weights ``p_target / p_source`` of the source features, from a logistic domain classifier.

    Each half of the source is weighed by a classifier that was fitted on the other half, so that the weights
    do not follow the noise that they were fitted on.

    Parameters
    ----------
    features_source, features_target : ndarray
        (M, D) and (N, D).
    seed : int
        Of the halves.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.concatenate([features_source, features_target]))
    source, target = scaler.transform(features_source), scaler.transform(features_target)
    weights = np.ones(len(source))
    if len(source) < 4 or len(target) < 4:
        return weights
    folds = KFold(2, shuffle=True, random_state=seed)
    for (fit_s, held), (fit_t, _) in zip(folds.split(source), folds.split(target), strict=True):
        x = np.concatenate([source[fit_s], target[fit_t]])
        y = np.repeat([0, 1], [len(fit_s), len(fit_t)])
        odds = LogisticRegression(C=0.1, max_iter=500).fit(x, y).decision_function(source[held])
        weights[held] = np.exp(np.clip(odds, -30, 30)) * len(fit_s) / len(fit_t)
    return weights


def weighted_risk(errors: np.ndarray, weights: np.ndarray) -> float:
    """Return the importance-weighted mean error with the control variate of You et al. 2019.

    ``mean(w e) + eta (mean(w) - 1)`` with ``eta = -Cov(w e, w) / Var(w)``; plain ``mean(w e)`` where the
    weights do not vary.

    Parameters
    ----------
    errors, weights : ndarray
        (M,) each.
    """
    weighted = weights * errors
    variance = weights.var(ddof=1) if len(weights) > 1 else 0.0
    if variance <= 1e-12 * max(1.0, float(np.square(weights).mean())):
        return float(weighted.mean())
    eta = -np.cov(weighted, weights, ddof=1)[0, 1] / variance
    return float(weighted.mean() + eta * weights.mean() - eta)
