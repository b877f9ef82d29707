"""What selection sees of each trained network: its outputs, stored beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galshift.errors import DataError
from galshift.provenance import atomic_path
from galshift.selection._base import Candidate
from galshift.training.device import choose_device
from galshift.training.job import TrainingJob
from galshift.training.validate import outputs

if TYPE_CHECKING:
    from torch import nn

    from galshift.types import Output

OUTPUTS = "outputs.npz"

_PARTS = {
    "features_target": "features of target training images",
    "logits_target": "logits of the same",
    "features_source_val": "features of source validation images",
    "logits_source_val": "logits of the same",
    "labels_source_val": "labels of the same",
}


def write_outputs(directory: Path, model: nn.Module, valid: Output | None, job: TrainingJob) -> Candidate:
    """Write and return a trained network's outputs on target and source images, for selection and warnings.

    Parameters
    ----------
    directory : Path
        The network's folder.
    model : nn.Module
        As it is used on the target.
    valid : Output or None
        Of the source's validation images, with the source's batch norm.
    job : TrainingJob
        What it was trained on.
    """
    choice = choose_device(job.device, "float32")
    limit = job.training.select_limit
    target = outputs(model, job.target, job.stretch, choice, limit=limit)
    held = {"features_target": target.features.numpy(), "logits_target": target.logits.numpy()}
    if valid is not None and job.valid is not None:
        held["features_source_val"] = valid.features.numpy()
        held["logits_source_val"] = valid.logits.numpy()
        held["labels_source_val"] = job.head.seen(job.valid.labels).numpy()
    with atomic_path(directory / OUTPUTS) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **held)
    return _candidate(held)


def read_candidate(directory: Path) -> Candidate:
    """Return what :func:`write_outputs` wrote.

    Raises
    ------
    DataError
        When there is nothing, or it cannot be read.
    """
    path = directory / OUTPUTS
    try:
        with np.load(path, allow_pickle=False) as stored:
            held = {name: stored[name] for name in _PARTS if name in stored.files}
        return _candidate(held)
    except Exception as error:  # archives and arrays fail in classes of their own
        hint = "remove the folder and repeat the command"
        raise DataError("the outputs stored for selection cannot be read", where=path, hint=hint) from error


def _candidate(held: Mapping[str, np.ndarray]) -> Candidate:
    parts = {name: held.get(name) for name in _PARTS}
    return Candidate(**parts, n_classes=held["logits_target"].shape[1])
