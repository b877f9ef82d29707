"""Whether a pre-trained network bears other batch-norm statistics than those it was trained with.

AdaBN assumes that statistics estimated on a domain are as good as the running ones.  A network that was
trained from the start on the source satisfies that; a pre-trained encoder need not, for its running
statistics stem from other images and follow slowly.  The source itself tells, without a target label:
statistics estimated on the source's training images must not cost accuracy on its validation images.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from galshift.methods._domain_batchnorm import batchnorms, estimate_statistics
from galshift.training.device import choose_device
from galshift.training.job import TrainingJob
from galshift.training.validate import model_inputs, outputs

_SIGMAS = 2.0  # of the validation accuracy; and never less than one image in a hundred
_LEAST = 0.01


def statistics_doubt(model: nn.Module, job: TrainingJob) -> str | None:
    """Return why batch-norm statistics of another domain should not go into `model`; None where they may.

    Parameters
    ----------
    model : nn.Module
        Trained; not changed.
    job : TrainingJob
        Whose source tells.  Without one, or for a network that is not pre-trained, nothing is doubted.
    """
    if not getattr(model, "pretrained", False) or not batchnorms(model):
        return None
    if job.source is None or job.valid is None or job.valid.labels is None or job.head.kind != "class":
        return None
    choice = choose_device(job.device, "float32")
    moved = copy.deepcopy(model).to(choice.device)
    with torch.no_grad():
        estimate_statistics(moved, model_inputs(job.source, job.stretch, choice.device, limit=1000))
    before, after = (_accuracy(one, job) for one in (model, moved))
    allowed = max(_LEAST, _SIGMAS * math.sqrt(before * (1 - before) / len(job.valid)))
    if before - after <= allowed:
        return None
    return (
        "the encoder keeps the batch-norm statistics it was trained with: with those of the source's own "
        f"training images its validation accuracy falls from {before:.2f} to {after:.2f}"
    )


def _accuracy(model: nn.Module, job: TrainingJob) -> float:
    choice = choose_device(job.device, "float32")
    said = outputs(model.to(choice.device), job.valid, job.stretch, choice)
    return float((said.logits.argmax(dim=1) == job.valid.labels).float().mean())
