"""What a trained model says of a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from galshift.data.cutouts import Cutouts, Dataset
from galshift.errors import DataError
from galshift.models.precision import exact_float32
from galshift.timing import part, timed
from galshift.training.checkpoint import Trained
from galshift.training.device import DeviceChoice, choose_device
from galshift.training.memory import held_memory
from galshift.training.threads import cpu_threads, suited_threads

NO_PIXELS, HALF_MASKED, NOT_FINITE = 1, 2, 4


@dataclass(frozen=True)
class Forward:
    """The outputs of a model on N images.

    Attributes
    ----------
    logits : ndarray
        (N, K) float32; NaN where the image could not be used.
    features : ndarray
        (N, D) float32; NaN likewise.  (N, 0) where none were wanted.
    probabilities : ndarray
        (N, K) float64, rows sum to 1; NaN likewise.
    flags : ndarray
        (N,) int16, 0 for good, else a sum of bits: 1, no good pixel; 2, over half of the pixels bad (with an
        answer all the same); 4, no finite output.
    """

    logits: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray
    flags: np.ndarray


@timed("network")
def forward(
    trained: Trained,
    dataset: Dataset,
    indices: Sequence[int] | np.ndarray | None = None,
    *,
    device: str | DeviceChoice = "auto",
    batch_size: int = 64,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    features: bool = True,
) -> Forward:
    """Run a trained model over a data set, in chunks and in full float32.

    Parameters
    ----------
    trained : Trained
    dataset : Dataset
        Of any survey; the model's own preprocessing is applied.
    indices : sequence of int, optional
        Default: all.
    device : str or DeviceChoice
    batch_size : int
        Does not change the results beyond rounding.
    threads : int, optional
        Of the CPU; default what suits the network.
    progress : callable, optional
        Called with the number of images done since the last call.
    features : bool
        False where they are not wanted: of a large survey they take most of the memory.

    Raises
    ------
    DataError
        When the data set cannot be reconciled with the model (bands, unit, pixel scale).
    """
    trained.preprocessing.check(dataset.info, getattr(dataset, "path", None))
    choice = device if isinstance(device, DeviceChoice) else choose_device(device, "float32")
    indices = np.arange(len(dataset)) if indices is None else np.asarray(indices)
    if len(indices) == 0:
        raise DataError("there are no images to classify", where=getattr(dataset, "path", None))
    model = trained.model.to(choice.device).eval()
    whole: Forward | None = None
    with held_memory(), cpu_threads(suited_threads(model, threads)), exact_float32(choice.device):
        for start in range(0, len(indices), batch_size):
            chunk = indices[start : start + batch_size]
            with part("reading"):
                cutouts = dataset.read(chunk)
                linear = torch.from_numpy(trained.preprocessing.linear(cutouts)).to(choice.device)
            with torch.inference_mode():
                output = model(trained.preprocessing.stretch(linear))
            found = collected(
                output.logits.float().cpu().numpy(),
                output.features.float().cpu().numpy(),
                _mask_flags(cutouts),
            )
            if whole is None:
                whole = _empty(found, len(indices), features)
            for name in ("logits", "probabilities", "flags", *(("features",) if features else ())):
                getattr(whole, name)[start : start + len(chunk)] = getattr(found, name)
            if progress is not None:
                progress(len(chunk))
    return whole


def _empty(part: Forward, n: int, features: bool) -> Forward:
    """Return room for the outputs on `n` images; what has no features has (N, 0)."""
    k, d = part.logits.shape[1], part.features.shape[1] if features else 0
    return Forward(
        np.empty((n, k), np.float32), np.empty((n, d), np.float32), np.empty((n, k)), np.empty(n, np.int16)
    )


def _mask_flags(cutouts: Cutouts) -> np.ndarray:
    """Flag images by their fraction of bad pixels."""
    if cutouts.mask is None:
        return np.zeros(len(cutouts), dtype=np.int16)
    bad = cutouts.mask.reshape(len(cutouts), -1).mean(axis=1)
    return (NO_PIXELS * (bad == 1) + HALF_MASKED * (bad > 0.5)).astype(np.int16)


def collected(logits: np.ndarray, features: np.ndarray, flags: np.ndarray) -> Forward:
    """Probabilities by a stable softmax in float64, and NaN for images without an answer."""
    finite = np.isfinite(logits).all(1) & np.isfinite(features).all(1)
    flags = flags | np.where(finite, 0, NOT_FINITE).astype(np.int16)
    without = (flags & (NO_PIXELS | NOT_FINITE)) != 0
    logits[without], features[without] = np.nan, np.nan
    shifted = logits.astype(np.float64)
    shifted -= np.max(shifted, axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return Forward(logits, features, exponentials / exponentials.sum(1, keepdims=True), flags)
