"""Estimates of accuracy on images without labels, each from a paper and each fooled in its own way.

All compare the network's outputs on the target with those on held-out source images whose labels are known,
after temperature scaling on the latter.
"""

from __future__ import annotations

import numpy as np

from galshift.selection._calibration import calibrate
from galshift.selection._scores import entropy


def average_confidence(source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> float:
    """Return the source's accuracy less what the mean confidence loses, in [0, 1].

    Parameters
    ----------
    source, target : ndarray
        (M, K) and (N, K) calibrated probabilities.
    labels : ndarray
        (M,) classes of the source's images.

    References
    ----------
    Guillory et al. 2021 (ICCV, arXiv:2107.03315), difference of confidences.
    """
    lost = source.max(axis=1).mean() - target.max(axis=1).mean()
    return float(np.clip((source.argmax(axis=1) == labels).mean() - lost, 0, 1))


def average_thresholded_confidence(source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> float:
    """Return the share of target images surer than the threshold above which the source's accuracy lies.

    Parameters are those of :func:`average_confidence`; the share lies in [0, 1].

    References
    ----------
    Garg et al. 2022 (ICLR, arXiv:2201.04234), section 4, with the negative entropy as the score.
    """
    accuracy = (source.argmax(axis=1) == labels).mean()
    threshold = np.quantile(-entropy(source), 1 - accuracy)
    return float((-entropy(target) >= threshold).mean())


def nuclear_norm(target: np.ndarray) -> float:
    """Return the nuclear norm of (N, K) probabilities over its largest value, in (0, 1].

    Large where the network is sure, and of every class: 1 for one-hot answers that are spread evenly.

    References
    ----------
    Deng et al. 2023 (ICML, arXiv:2302.01094), eq. 3.
    """
    n, k = target.shape
    return float(np.linalg.svd(target, compute_uv=False).sum() / np.sqrt(n * min(n, k)))


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of images that two classifiers, (N, K) each, call the same.

    References
    ----------
    Jiang et al. 2022 (ICLR, arXiv:2106.13799); Baek et al. 2022 (NeurIPS, arXiv:2206.13089).
    """
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())


def calibrated(source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of both domains from (M, K) and (N, K) logits, at the source's temperature."""
    scale = calibrate(source, labels, with_bias=False)
    return scale(source), scale(target)
