"""What every network of one adaptation is trained on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from galshift.console import say
from galshift.data.preprocess import Preprocessing, training_sky_sigma
from galshift.domains.config import MatchedLook
from galshift.domains.domain import Domain
from galshift.domains.match_look import in_words, look_of, looked_at
from galshift.domains.match_noise import matched
from galshift.domains.start import started
from galshift.domains.target_labels import TargetLabels
from galshift.domains.training_set import head_for, training_set
from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.models.tuning import HEAD
from galshift.rundirectory import AUTO
from galshift.training.epoch_choice import check_choice, check_total
from galshift.training.job import NetworkJob
from galshift.training.sets import TrainingSet
from galshift.training.start import check_tuned
from galshift.training.train_network import augmentations
from galshift.verbs.adapt.config import AdaptStepConfig, wants_matching

#: Augmented views of each image that a second family's features are computed of: each costs as much as a few
#: epochs of a small network.
ENCODER_VIEWS = 1


def check(config: AdaptStepConfig) -> None:
    """Refuse, before anything is read, what does not go together.

    Raises
    ------
    ConfigError
    """
    wants_matching(config)
    auto = config.method.kind == AUTO
    if not auto:
        check_tuned(METHODS.get(config.method.kind), config.training, config.method.kind)
    for name in config.method.config.methods if auto else [config.method.kind]:
        check_total(config.training, METHODS.get(name)(None if auto else config.method.config))
    if config.encoder is not None and not auto:
        raise ConfigError(
            "an encoder is a second family for auto, and a method is named",
            where="encoder",
            hint="leave out --method, or name the encoder with --model and --tune head",
        )
    if config.read.label_kind != "value":
        return
    if auto:
        raise ConfigError(
            "auto chooses between classifiers, and the labels are continuous",
            where="method",
            hint="name a method, such as --method coral, mmd, sinkhorn or deepjdot",
        )
    method = METHODS.get(config.method.kind)(config.method.config)
    check_choice(config.training, config.method.kind, method, config.read.label_kind)


def network_job(
    config: AdaptStepConfig,
    source: Domain,
    target: Domain,
    device: str,
    labels: TargetLabels | None = None,
) -> NetworkJob:
    """Return what every network of this run trains on; constants are fitted on the source's training part.

    Parameters
    ----------
    config : AdaptStepConfig
    source, target : Domain
    device : str
    labels : TargetLabels or None
        Of a few images of the target.

    Raises
    ------
    DataError
        When the domains cannot be brought to common bands, unit and pixel scale.
    """
    init, preprocessing = started(
        config.init,
        config.preprocess,
        config.read,
        config.seed,
        (config.source, source),
        (config.target, target),
    )
    unlabelled = training_set(target, "train", preprocessing)
    noise = torch.maximum(torch.tensor(preprocessing.sky_sigma), _sky(unlabelled))
    labelled, valid = (training_set(source, part, preprocessing) for part in ("train", "valid"))
    if config.match_look is not None:
        sets = labelled, valid, unlabelled
        labelled, valid = _looked_at(config.match_look, sets, (source, target), preprocessing)
    if wants_matching(config):
        labelled, valid, unlabelled = matched(labelled, valid, unlabelled, config.seed)
    few = None if labels is None else training_set(labels.domain(target), "train", preprocessing)
    if few is not None:  # they lack what noise the target's images lack
        few = replace(few, observe=unlabelled.observe)
    return NetworkJob(
        source=labelled,
        valid=valid,
        target=unlabelled,
        labelled=few,
        training=config.training,
        head=head_for(config.read, source, preprocessing.classes, init),
        device=device,
        **augmentations(config.augment, noise),
        stretch=preprocessing.stretch,
        preprocessing=preprocessing,
        model=config.model,
        init=init,
    )


def encoder_job(config: AdaptStepConfig, job: NetworkJob) -> NetworkJob | None:
    """Return the job of the second family, frozen features under a linear head; None where there is none."""
    if config.encoder is None:
        return None
    training = job.training.model_copy(update={"tune": HEAD, "cached_views": ENCODER_VIEWS})
    return replace(job, model=config.encoder, init=None, training=training)


def _looked_at(
    what: MatchedLook,
    sets: tuple[TrainingSet, TrainingSet, TrainingSet],
    domains: tuple[Domain, Domain],
    preprocessing: Preprocessing,
) -> tuple[TrainingSet, TrainingSet]:
    """The source's images, of `sets` source, validation and target, as the target's survey shows its own."""
    source, valid, target = sets
    bands, scale = preprocessing.bands, preprocessing.pixel_scale_arcsec
    look = look_of((source, target), tuple(one.info for one in domains), bands, scale, what)
    say(in_words(look, bands, scale))
    return looked_at(source, look), looked_at(valid, look)


def _sky(images: TrainingSet) -> Tensor:
    """The sky noise (C,) of a domain's linear images, from an even sample of them."""
    rows = next(images.chunks(512, limit=512))
    return torch.tensor(training_sky_sigma(images.take(rows).numpy()))
