"""How much accuracy survives damage: every corruption at every severity, the same for every model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galshift.audit.batches import CPU_IMAGES
from galshift.audit.corruptions._base import SEVERITIES, Corruption, Frame
from galshift.intervals import wilson_interval
from galshift.models.precision import exact_float32
from galshift.streams import numpy_stream

_GPU_IMAGES = 512  # the damage is drawn on the CPU, so more would gain nothing


@dataclass(frozen=True)
class Subject:
    """A model and the images as it takes them.

    Attributes
    ----------
    name : str
    model : nn.Module
        In evaluation mode.
    stretch : callable
    linear : Tensor
        (N, C, S, S) in physical units, finite.
    labels : ndarray
        (N,) indices of the model's classes.
    ids : sequence of str
        Each image's damage is drawn from its own stream, so that it is the same for every model.
    frame : Frame
    """

    name: str
    model: nn.Module
    stretch: Callable[[Tensor], Tensor]
    linear: Tensor
    labels: np.ndarray
    ids: Sequence[str]
    frame: Frame


def damaged(subject: Subject, name: str, corruption: Corruption, severity: int, seed: int) -> np.ndarray:
    """Return the linear images (N, C, S, S) float32 after one corruption at `severity` (1 to 5)."""
    level = corruption.levels[severity - 1]
    out = np.empty(subject.linear.shape, np.float32)
    for i, (image, key) in enumerate(zip(subject.linear.numpy(), subject.ids)):
        rng = numpy_stream(seed, "audit", name, severity, key)
        out[i] = corruption.apply(image.astype(np.float64), level, subject.frame, rng)
    return out


@torch.inference_mode()
def right(subject: Subject, linear: Tensor) -> np.ndarray:
    """Return (N,) bool, whether the model classifies each linear image right."""
    device = next(subject.model.parameters()).device
    with exact_float32(device):
        found = [
            subject.model(subject.stretch(part.to(device))).logits.argmax(dim=1)
            for part in linear.split(CPU_IMAGES if device.type == "cpu" else _GPU_IMAGES)
        ]
    return torch.cat(found).cpu().numpy() == subject.labels


def right_after(
    subject: Subject, name: str, corruption: Corruption | None, severity: int, seed: int
) -> np.ndarray:
    """Return (N,) bool, whether the model is right of each image after one corruption; None: as it is."""
    if corruption is None:
        return right(subject, subject.linear)
    return right(subject, torch.from_numpy(damaged(subject, name, corruption, severity, seed)))


def summarise_damage(
    outcomes: Mapping[str, np.ndarray], groups: np.ndarray, *, n_bootstrap: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Return accuracy clean, per corruption and severity, and the mean over all of them.

    Parameters
    ----------
    outcomes : mapping
        ``clean`` to (N,) bool, whether the model is right of each image; each corruption's name to (5, N), a
        row a severity.
    groups : ndarray
        (N,), the galaxy of each image.
    n_bootstrap : int
        Replicates of the interval.
    seed : int

    Returns
    -------
    dict
        ``clean`` and each of ``corruptions.<name>.severities`` with ``accuracy`` and Wilson's ``ci95``;
        ``corruptions.<name>.mean``; ``by_severity``; ``mean_accuracy`` with ``mean_ci95`` from a bootstrap
        over galaxies; ``mean_drop`` from the clean accuracy.
    """
    clean, rest = outcomes["clean"], {name: rows for name, rows in outcomes.items() if name != "clean"}
    mean = np.mean([rows.mean(axis=0) for rows in rest.values()], axis=0)
    low, high = bootstrap_interval(mean, groups, n_bootstrap=n_bootstrap, seed=seed)
    return {
        "clean": _accuracy(clean),
        "corruptions": {
            name: {"severities": [_accuracy(row) for row in rows], "mean": float(rows.mean())}
            for name, rows in rest.items()
        },
        "by_severity": [float(np.mean([rows[i] for rows in rest.values()])) for i in range(len(SEVERITIES))],
        "mean_accuracy": float(mean.mean()),
        "mean_ci95": [low, high],
        "mean_drop": float(clean.mean() - mean.mean()),
    }


def compare_damage(
    names: Sequence[str],
    outcomes: Sequence[Mapping[str, np.ndarray]],
    groups: np.ndarray,
    *,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the mean accuracy of two models under the same damage, galaxy by galaxy.

    Parameters
    ----------
    names : sequence of str
        Of the two models.
    outcomes : sequence of mapping
        Of each model, as for :func:`summarise_damage`, of the same images.
    groups : ndarray
        (N,), the galaxy of each image.
    n_bootstrap : int
        Replicates of the interval.
    seed : int

    Returns
    -------
    dict
        ``difference`` (first less second) with ``ci95``, and ``verdict``, one sentence.
    """
    means = [
        np.mean([rows.mean(axis=0) for name, rows in one.items() if name != "clean"], axis=0)
        for one in outcomes
    ]
    difference = means[0] - means[1]
    low, high = bootstrap_interval(difference, groups, n_bootstrap=n_bootstrap, seed=seed)
    told = (
        f"{means[0].mean():.1%} of damaged images stay right for {names[0]} and {means[1].mean():.1%} for "
        f"{names[1]} (difference {difference.mean():+z.1%}, 95% interval {low:+z.1%} to {high:+z.1%})"
    )
    if low > 0 or high < 0:
        verdict = f"{names[0] if low > 0 else names[1]} is more robust: {told}."
    else:
        verdict = f"Which is more robust cannot be told: {told}."
    return {
        "runs": list(names),
        "difference": float(difference.mean()),
        "ci95": [low, high],
        "verdict": verdict,
    }


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray, *, n_bootstrap: int, seed: int
) -> tuple[float, float]:
    """Return the 95% percentile interval of the mean of (N,) `values`, drawing galaxies, not images."""
    names, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    sums, counts = np.bincount(group, values, len(names)), np.bincount(group, minlength=len(names))
    if not n_bootstrap:
        return float("nan"), float("nan")
    rng = numpy_stream(seed, "audit", "bootstrap")
    means = np.empty(n_bootstrap)
    for one in range(n_bootstrap):  # all at once would take 24 bytes for each galaxy and draw
        drawn = rng.integers(0, len(names), len(names))
        means[one] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _accuracy(hits: np.ndarray) -> dict[str, Any]:
    return {
        "accuracy": float(hits.mean()),
        "ci95": list(wilson_interval(int(hits.sum()), len(hits))),
        "n": len(hits),
    }
