"""Refuse sets that cannot be trained on, before anything is computed."""

from __future__ import annotations

import torch
from torch import nn

from galshift.errors import ConfigError, DataError
from galshift.methods._base import Method
from galshift.training.heads import check_method
from galshift.training.job import TrainingJob
from galshift.training.sets import TrainingSet
from galshift.training.start import check_tuned


def check_sets(job: TrainingJob, model: nn.Module, method: Method) -> None:
    """Check that `job` has what `method` and `model` need; parameters as for ``fit``.

    Raises
    ------
    DataError
        When images or labels are missing or do not fit, or the target's labels are among them.
    ConfigError
        When the method does not go with the head or the tuning, or what is to choose the epoch has nothing to
        choose by.
    """
    source, valid, target = job.source, job.valid, job.target
    check_method(method, job.head)
    check_tuned(method, job.training, type(method).__name__)
    if source is None and method.needs_source:
        raise DataError("this method needs labelled source images")
    for name, images in (("source training set", source), ("source validation set", valid)):
        if images is not None and not (images is source and method.from_trained):
            job.head.check(images.labels, name)
    if method.uses_target and (target is None or len(target) == 0):
        raise DataError("this method needs target images")
    if source is None and target is None:
        raise DataError("there is nothing to train on")
    if job.labelled is not None:
        job.head.check(job.labelled.labels, "target labels")
    if target is not None and target.labels is not None:
        raise DataError("the target's labels must not reach the training loop")
    for name, images in (
        ("source", source),
        ("validation", valid),
        ("target", target),
        ("labelled", job.labelled),
    ):
        if images is not None and len(images):
            _check_shape(model, name, images)
    if job.selector is not None and target is None:
        raise ConfigError("a label-free selector scores target images, and there are none", where="select")
    if job.selector is None and job.training.select != "last" and valid is None:
        raise ConfigError(
            "choosing the best epoch needs a validation set or a selector",
            where="select",
            hint="or select: last",
        )


def _check_shape(model: nn.Module, name: str, images: TrainingSet) -> None:
    """The first image must be what the network takes."""
    if getattr(model, "takes_features", False):
        return  # computed with the network's own encoder
    wanted = (model.spec["in_channels"], model.spec["size"], model.spec["size"])
    found = tuple(images.take(torch.arange(1)).shape[1:])
    if found != wanted:
        raise DataError(
            f"the {name} images are {found} and the network takes {wanted} (bands, pixels, pixels)"
        )
