"""What class mix the target is credibly said to have before anything adapts to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from galshift.training.outputs import read_candidate

if TYPE_CHECKING:
    import numpy as np

    from galshift.training.job import TrainingJob


def target_mix(directory: Path, job: TrainingJob) -> np.ndarray | None:
    """Return the class mix (K,) of the target, or None where no other than the source's is credible.

    Asked are the source-only network and, where it has batch norm, the same with the target's statistics,
    which takes no training: a gap that stirs the one often leaves the other.

    Parameters
    ----------
    directory : Path
        Of the source-only network, whose outputs lie beside it.
    job : TrainingJob
        What it was trained on.
    """
    from galshift.methods._domain_batchnorm import batchnorms, estimate_statistics
    from galshift.selection.mix_evidence import credible_mix
    from galshift.training.checkpoint import load_checkpoint
    from galshift.training.device import choose_device
    from galshift.training.validate import model_inputs, outputs

    plain = read_candidate(directory)
    choice = choose_device(job.device, "float32")
    model = load_checkpoint(directory).model.to(choice.device)
    if not batchnorms(model):
        return credible_mix(plain)
    stretch = job.preprocessing.stretch
    estimate_statistics(model, model_inputs(job.target, stretch, choice.device))
    seen = outputs(model, job.target, stretch, choice, limit=job.training.select_limit)
    moved = replace(plain, features_target=seen.features.numpy(), logits_target=seen.logits.numpy())
    return credible_mix(plain, moved)
