"""What class mix the target is credibly said to have before anything adapts to it."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from galshift.methods._domain_batchnorm import batchnorms, estimate_statistics
from galshift.models.tuning import ALL
from galshift.selection.mix_evidence import credible_mix
from galshift.training.device import choose_device
from galshift.training.job import NetworkJob
from galshift.training.statistics_guard import statistics_doubt
from galshift.training.train_network import Fitted
from galshift.training.validate import model_inputs, outputs


def target_mix(plain: Fitted, job: NetworkJob) -> np.ndarray | None:
    """Return the class mix (K,) of the target, or None where no other than the source's is credible.

    Asked are the source-only network and, where it has batch norm, the same with the target's statistics,
    which takes no training: a gap that stirs the one often leaves the other.

    Parameters
    ----------
    plain : Fitted
        The source-only network.
    job : NetworkJob
        What it was trained on.
    """
    said = plain.candidate
    model = plain.trained.model
    # Where the encoder rests its statistics do too: the head has never seen features under others.
    if not batchnorms(model) or job.training.tune != ALL or statistics_doubt(model, job) is not None:
        return credible_mix(said)
    choice = choose_device(job.device, "float32")
    model = copy.deepcopy(plain.trained.model).to(choice.device)
    estimate_statistics(model, model_inputs(job.target, job.stretch, choice.device))
    seen = outputs(model, job.target, job.stretch, choice, limit=job.training.select_limit)
    moved = replace(said, features_target=seen.features.numpy(), logits_target=seen.logits.numpy())
    return credible_mix(said, moved)
