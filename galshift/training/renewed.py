"""A trained network with the target's batch-norm statistics: AdaBN costs no training beside source-only's."""

from __future__ import annotations

import copy
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galshift.console import warn
from galshift.methods._base import Method
from galshift.models.tuning import ALL
from galshift.provenance import atomic_path
from galshift.training import parallel
from galshift.training.checkpoint import FILE, save_trained
from galshift.training.job import NetworkJob
from galshift.training.outputs import write_outputs
from galshift.training.state import clear
from galshift.training.statistics_guard import statistics_doubt
from galshift.training.train_network import Fitted, head_meta, share, trained_before
from galshift.training.validate import model_inputs
from galshift.types import Output


def is_renewal(method: Method, job: NetworkJob) -> bool:
    """Return whether `method` trains nothing that source-only has not: the statistics alone differ."""
    plainly = method.replaces_statistics and not method.shared.domain_batchnorm
    return plainly and job.training.tune == ALL and job.labelled is None


def renewed(
    plain: Fitted, job: NetworkJob, method: Method, directory: Path, *, meta: dict[str, Any]
) -> Fitted:
    """Write a copy of a trained network with the target's statistics, or return at once when it is there.

    Parameters
    ----------
    plain : Fitted
        The source-only network, trained with the same seed on `job`.
    job : NetworkJob
    method : Method
        One that :func:`is_renewal` holds for.
    directory : Path
    meta : dict
        What the checkpoint says of the run.

    Raises
    ------
    ConfigError
        When the network has no batch norm.
    """
    before = trained_before(directory)
    if before is not None:
        return Fitted(directory, {**before, "seconds": None})
    started = time.monotonic()
    model, device = copy.deepcopy(plain.trained.model), job.choice.device
    method.prepare(model)
    doubt = statistics_doubt(model, job)
    if doubt is None:
        model = model.to(device)
        method.finish(model, model_inputs(job.target, job.stretch, device))
    else:
        warn(doubt)
    directory.mkdir(parents=True, exist_ok=True)
    history = plain.directory / "metrics.jsonl"
    if history.is_file():
        with atomic_path(directory / history.name) as temporary:
            shutil.copyfile(history, temporary)
    candidate = None
    if job.head.has_classes:
        candidate = write_outputs(directory, model, _validation(plain), job)
    notes = [*plain.summary["notes"], *([] if doubt is None else [doubt])]
    lasting = {key: plain.summary[key] for key in ("best_epoch", "epochs", "stopped")} | {"notes": notes}
    own = {**meta, **head_meta(job.head), "seed": plain.trained.meta["seed"], "fit": lasting}
    trained = replace(
        plain.trained, model=model.cpu().eval().requires_grad_(False), meta=own, path=directory / FILE
    )
    save_trained(trained)
    clear(directory)
    share(directory)
    summary = {**lasting, "seconds": round(time.monotonic() - started, 1)}
    if parallel.connect().rank > 0:  # the first process's files count for all
        return Fitted(directory, summary)
    return Fitted(directory, summary, trained, candidate)


def _validation(plain: Fitted) -> Output | None:
    """What the network says of the source's validation images, with the source's statistics."""
    said = plain.candidate
    if said is None or not said.has_source:
        return None
    features, logits = (
        torch.from_numpy(np.asarray(part, dtype=np.float32))
        for part in (said.features_source_val, said.logits_source_val)
    )
    return Output(features, logits)
