"""Train the source-only and the adapted networks, and evaluate them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galshift.domains.domain import Domain
from galshift.domains.frame import common_frame
from galshift.domains.training_set import training_set
from galshift.verbs.adapt.config import AdaptStepConfig

if TYPE_CHECKING:
    from torch import Tensor

    from galshift.training.job import TrainingJob
    from galshift.training.sets import TrainingSet


def prepare(config: AdaptStepConfig, source: Domain, target: Domain, device: str) -> TrainingJob:
    """Return what every network of this run trains on; constants are fitted on the source's training part.

    Raises
    ------
    DataError
        When the domains cannot be brought to common bands, unit and pixel scale.
    """
    import torch

    from galshift.data.preprocess import fit_preprocessing
    from galshift.domains.match_noise import matched
    from galshift.domains.training_set import head_for
    from galshift.training.job import TrainingJob
    from galshift.training.start import start_from
    from galshift.verbs.adapt.config import wants_matching

    names, bands = list(source.info.classes), config.preprocess.bands or list(source.info.bands)
    init = start_from(config.init, names, bands, config.read.label_kind)
    if init is None:
        frame = common_frame(config.preprocess, source.info, target.info)
        preprocessing = fit_preprocessing(source.dataset, source.parts["train"], frame, config.seed)
    else:
        preprocessing = init.preprocessing
        preprocessing.check(source.info, config.source)
    preprocessing.check(target.info, config.target)
    unlabelled = training_set(target, "train", preprocessing)
    noise = torch.maximum(torch.tensor(preprocessing.sky_sigma), _sky(unlabelled))
    labelled, valid = (training_set(source, part, preprocessing) for part in ("train", "valid"))
    if wants_matching(config):
        labelled, valid, unlabelled = matched(labelled, valid, unlabelled, config.seed)
    return TrainingJob(
        source=labelled,
        valid=valid,
        target=unlabelled,
        preprocessing=preprocessing,
        noise_scale=noise,
        augmentation=config.augment,
        model=config.model,
        init=init,
        training=config.training,
        device=device,
        head=head_for(config.read, source, preprocessing.classes, init),
    )


def _sky(images: TrainingSet) -> Tensor:
    """The sky noise (C,) of a domain's linear images, from an even sample of them."""
    import torch

    from galshift.data.preprocess import training_sky_sigma

    rows = next(images.chunks(512, limit=512))
    return torch.tensor(training_sky_sigma(images.take(rows).numpy()))
