"""What a trained model says of a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from galshift.data.cutouts import Dataset
from galshift.errors import DataError
from galshift.training.checkpoint import Trained
from galshift.training.device import DeviceChoice, choose_device

BAD_IMAGE = 1


@dataclass(frozen=True)
class Forward:
    """The outputs of a model on N images.

    Attributes
    ----------
    logits : ndarray
        (N, K) float32; NaN where the image could not be used.
    features : ndarray
        (N, D) float32; NaN likewise.
    probabilities : ndarray
        (N, K) float64, rows sum to 1; NaN likewise.
    flags : ndarray
        (N,) int16, 0 for good, else a sum of bits: 1, the image has no finite pixel or gave no finite output.
    """

    logits: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray
    flags: np.ndarray


def forward(
    trained: Trained,
    dataset: Dataset,
    indices: Sequence[int] | np.ndarray | None = None,
    *,
    device: str | DeviceChoice = "auto",
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Forward:
    """Run a trained model over a data set, in chunks.

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
    progress : callable, optional
        Called with the number of images done since the last call.

    Raises
    ------
    DataError
        When the data set cannot be reconciled with the model (bands, unit, pixel scale).
    """
    trained.preprocessing.check(dataset.info)
    choice = device if isinstance(device, DeviceChoice) else choose_device(device, "float32")
    indices = np.arange(len(dataset)) if indices is None else np.asarray(indices)
    if len(indices) == 0:
        raise DataError("there are no images to classify", where=getattr(dataset, "path", None))
    model = trained.model.to(choice.device).eval()
    features, logits = [], []
    for start in range(0, len(indices), batch_size):
        chunk = indices[start : start + batch_size]
        linear = torch.from_numpy(trained.preprocessing.linear(dataset.read(chunk))).to(choice.device)
        with torch.inference_mode():
            output = model(trained.preprocessing.stretch(linear))
        features.append(output.features.float().cpu().numpy())
        logits.append(output.logits.float().cpu().numpy())
        if progress is not None:
            progress(len(chunk))
    return _collected(np.concatenate(logits), np.concatenate(features))


def _collected(logits: np.ndarray, features: np.ndarray) -> Forward:
    """Probabilities by a stable softmax in float64, and NaN where an output is not finite."""
    bad = ~(np.isfinite(logits).all(1) & np.isfinite(features).all(1))
    logits[bad], features[bad] = np.nan, np.nan
    shifted = logits.astype(np.float64)
    shifted -= np.max(shifted, axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    return Forward(logits, features, probabilities, np.where(bad, BAD_IMAGE, 0).astype(np.int16))
