"""Probabilities that mean what they say, before a class mix is estimated from them.

References
----------
Alexandari, Kundaje & Shrikumar 2020 (ICML, arXiv:1901.06852): bias-corrected temperature scaling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax


@dataclass(frozen=True)
class Calibration:
    """Bias-corrected temperature scaling: ``softmax(logits / temperature + bias)``.

    Attributes
    ----------
    temperature : float
    bias : ndarray
        (K,), summing to zero.
    """

    temperature: float
    bias: np.ndarray

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Return calibrated (N, K) probabilities of logits."""
        return np.exp(log_softmax(np.asarray(logits, float) / self.temperature + self.bias, axis=1))


def calibrate(logits: np.ndarray, labels: np.ndarray, *, with_bias: bool = True) -> Calibration:
    """Fit temperature and biases to held-out source images by maximum likelihood.

    Parameters
    ----------
    logits : ndarray
        (M, K).
    labels : ndarray
        (M,).
    with_bias : bool
        False fits the temperature alone (Guo et al. 2017, arXiv:1706.04599).
    """
    k, one_hot = logits.shape[1], np.eye(logits.shape[1])[labels]

    def cost(free: np.ndarray) -> tuple[float, np.ndarray]:
        scale, bias = np.exp(free[0]), free[1:] * with_bias
        log_p = log_softmax(scale * logits + bias, axis=1)
        error = (np.exp(log_p) - one_hot) / len(labels)
        slope = np.concatenate([[scale * (error * logits).sum()], error.sum(axis=0) * with_bias])
        # A slight pull to 1 and 0: perfectly separated classes would send the scale to infinity.
        pull = 0.5 / len(labels)
        return -(log_p * one_hot).sum() / len(labels) + pull * free @ free, slope + 2 * pull * free

    found = minimize(cost, np.zeros(1 + k), jac=True, method="L-BFGS-B").x
    bias = found[1:] * with_bias
    return Calibration(float(np.exp(-found[0])), bias - bias.mean())
