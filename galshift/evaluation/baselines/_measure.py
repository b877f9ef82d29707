"""The features of every baseline for images of a data set, at a depth that both domains share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from galshift.console import progress
from galshift.data.cutouts import Dataset
from galshift.data.match import has_pixels
from galshift.data.match_noise import NoiseMatcher, noise_excess
from galshift.data.preprocess import Preprocessing
from galshift.evaluation.baselines._base import Baseline

_CHUNK = 128
_SAMPLE, _SAMPLE_BYTES = 512, 64 << 20  # images of a domain that its noise is measured in
_FIXED = -1  # the draw of noise that everything but training sees
_LARGEST = 1e6  # of a feature: scikit-learn takes numbers of any size for a mistake


@dataclass(frozen=True)
class Depth:
    """What brings each of two domains to the noise of the noisier one; None where that is nothing.

    Attributes
    ----------
    source, target : NoiseMatcher or None
    """

    source: NoiseMatcher | None = None
    target: NoiseMatcher | None = None

    @property
    def added_to(self) -> str:
        """In words, which images were given noise."""
        given = [name for name in ("source", "target") if getattr(self, name) is not None]
        return " and ".join(given)


def common_depth(
    source: tuple[Dataset, np.ndarray], target: tuple[Dataset, np.ndarray], pre: Preprocessing, seed: int
) -> Depth:
    """Return what either domain, `(data set, rows)`, lacks to be as noisy as the other, by an even sample."""
    most = max(16, min(_SAMPLE, _SAMPLE_BYTES // (4 * pre.n_bands * pre.size**2)))
    samples = [_sample(dataset, rows, pre, most) for dataset, rows in (source, target)]
    if not all(map(len, samples)):
        return Depth()
    excess = noise_excess(*samples)
    both = (excess, excess.reversed())
    return Depth(*(NoiseMatcher(one, seed) if max(one.sky) > 0 else None for one in both))


def measured(
    baselines: Mapping[str, Baseline],
    dataset: Dataset,
    rows: np.ndarray,
    preprocessing: Preprocessing,
    noise: NoiseMatcher | None,
    label: str,
) -> dict[str, np.ndarray]:
    """Return the (N, D) features of images by baseline; NaN where an image has no good pixel.

    Parameters
    ----------
    baselines : mapping of str to Baseline
    dataset : Dataset
    rows : ndarray
        (N,) of `dataset`; they are read in pieces.
    preprocessing : Preprocessing
        The network's: bands, unit, pixel scale and size.
    noise : NoiseMatcher or None
        Added before anything is measured.
    label : str
        Of the progress bar.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in baselines}
    with progress(label, len(rows)) as bar:
        for start in range(0, len(rows), _CHUNK):
            linear, good = _read(dataset, rows[start : start + _CHUNK], preprocessing, noise)
            for name, baseline in baselines.items():
                found = np.clip(baseline.features(linear, preprocessing), -_LARGEST, _LARGEST)
                parts[name].append(np.where(good[:, None], found, np.nan))
            bar.advance(len(linear))
    return {name: np.concatenate(part) for name, part in parts.items()}


def _read(
    dataset: Dataset, rows: np.ndarray, pre: Preprocessing, noise: NoiseMatcher | None
) -> tuple[np.ndarray, np.ndarray]:
    """Linear images, and which of them have good pixels alone; the others are 0."""
    cutouts = dataset.read(rows)
    linear = pre.linear(cutouts)
    good = has_pixels(cutouts) & np.isfinite(linear).all(axis=(1, 2, 3))
    linear = np.where(good[:, None, None, None], linear, np.float32(0))
    if noise is not None:
        ids = [str(name) for name in cutouts.ids]
        linear = noise(torch.from_numpy(linear), ids, [_FIXED] * len(ids)).numpy()
    return linear, good


def _sample(dataset: Dataset, rows: np.ndarray, pre: Preprocessing, most: int) -> torch.Tensor:
    """The linear images of an even sample of `rows`, less those without good pixels."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))]
    starts = range(0, len(chosen), _CHUNK)
    parts = [_read(dataset, chosen[start : start + _CHUNK], pre, None) for start in starts]
    return torch.from_numpy(np.concatenate([linear[good] for linear, good in parts]))
