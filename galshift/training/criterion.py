"""The supervised loss of the source: cross-entropy with class weights, label smoothing or focus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from galshift.errors import ConfigError, DataError
from galshift.training.config import TrainConfig

# Largest over smallest class, from which on `auto` weighs classes.
UNBALANCED = 2.0
BETA = 0.9999  # of the effective number of images

Criterion = Callable[[Tensor, Tensor], Tensor]


def build_criterion(config: TrainConfig, labels: Tensor | None, n_classes: int) -> Criterion:
    """Return the supervised loss of (logits, labels) that `config` asks for, given all `labels` (N,).

    One function for training and validation: what is reported is what was optimised.
    """
    weights = None if labels is None else class_weights(labels, n_classes, config.class_weights)
    return partial(source_loss, weights=weights, smoothing=config.label_smoothing, focal=config.focal)


def class_weights(labels: Tensor, n_classes: int, how: str | Sequence[float]) -> Tensor | None:
    """Return one weight per class, (K,) float32, or None for equal ones.

    ``balanced`` gives N / (K n_k), so that every class counts the same; a class without images counts 0.
    ``effective`` gives 1 / E_k with the effective number ``E_k = (1 - b^n_k) / (1 - b)``, b = 0.9999, scaled
    to a mean of 1 over the images (Cui et al. 2019, arXiv:1901.05555, eq. 4).  ``auto`` is ``balanced`` where
    the largest class has `UNBALANCED` times the images of the smallest, else ``none``.

    Raises
    ------
    ConfigError
        When numbers are given, but not one a class.
    """
    if how == "auto":
        how = "balanced" if _unbalanced(labels) else "none"
    if how == "none":
        return None
    counts = torch.bincount(labels, minlength=n_classes).float() if isinstance(how, str) else torch.zeros(0)
    if how == "balanced":
        return torch.where(counts > 0, len(labels) / (n_classes * counts.clamp(min=1)), 0.0)
    if how == "effective":
        each = torch.where(counts > 0, (1 - BETA) / (1 - BETA ** counts.double().clamp(min=1)), 0.0)
        return (each * len(labels) / (each * counts).sum()).float()
    if len(how) != n_classes:
        raise ConfigError(f"{len(how)} class weights for {n_classes} classes", where="class_weights")
    return torch.tensor([float(value) for value in how])


def _unbalanced(labels: Tensor) -> bool:
    """Whether the classes that there are differ enough in size for weights to matter."""
    counts = torch.bincount(labels)
    counts = counts[counts > 0]
    return bool(counts.max() >= UNBALANCED * counts.min())


def source_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
    focal: float = 0.0,
) -> Tensor:
    """Return the mean supervised loss of a batch, a scalar in nats.

    ``sum_i w_i (1 - p_i)^focal CE_i / sum_i w_i`` with ``w_i`` the weight of image i's class: weighted
    cross-entropy for ``focal = 0``, else Lin et al. 2017 (arXiv:1708.02002), eq. 5.

    Parameters
    ----------
    logits : Tensor
        (B, K).
    labels : Tensor
        (B,) int64.
    weights : Tensor, optional
        (K,).
    smoothing : float
        Probability spread evenly over the classes (Szegedy et al. 2016), in [0, 1).
    focal : float
        Exponent; 0 is cross-entropy.
    """
    log_p = functional.log_softmax(logits.float(), dim=1)
    true = log_p.gather(1, labels[:, None]).squeeze(1)
    loss = -(1 - smoothing) * true - smoothing * log_p.mean(dim=1) if smoothing else -true
    if focal:
        # Above 0, where a power below 1 has no finite slope.
        loss = loss * (-torch.expm1(true)).clamp(min=1e-7) ** focal
    if weights is None:
        return loss.mean()
    each = weights.to(labels.device, non_blocking=True)[labels]
    return (each * loss).sum() / each.sum().clamp(min=1e-12)


def check_labels(labels: Tensor | None, n_classes: int, where: str) -> None:
    """Refuse class indices (N,) that the network cannot be trained on.

    Raises
    ------
    DataError
        When there are none, or one is not in [0, `n_classes`).
    """
    if labels is None:
        raise DataError("training needs labels", where=where)
    if len(labels) == 0:
        raise DataError("there are no images to train on", where=where)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        raise DataError(f"labels run from {low} to {high} for {n_classes} classes", where=where)
