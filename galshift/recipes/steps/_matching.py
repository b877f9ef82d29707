"""Bring source and target to the same noise before they are trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from galshift.data.match_noise import Excess, NoiseMatcher, noise_excess
from galshift.errors import ConfigError
from galshift.recipes.steps._auto import AUTO

if TYPE_CHECKING:
    from galshift.recipes.steps.adapt import AdaptStepConfig
    from galshift.training.sets import TrainingSet

_SAMPLE = 1000  # images of either domain that the noise is measured in


def wants_matching(config: AdaptStepConfig) -> bool:
    """Return whether noise is to be matched: as told, else where the method needs it.

    Raises
    ------
    ConfigError
        When it is asked for beside an observation, which has the survey's noise already.
    """
    from galshift.methods import METHODS

    if config.observe is not None:
        if config.match_noise:
            raise ConfigError(
                "the source is observed as the survey already, noise and all",
                where="match_noise",
                hint="leave out either observe or match_noise",
            )
        return False
    if config.match_noise is not None:
        return config.match_noise
    return config.method.kind != AUTO and METHODS.get(config.method.kind).matched


def matched(
    source: TrainingSet, valid: TrainingSet, target: TrainingSet, seed: int
) -> tuple[TrainingSet, TrainingSet, TrainingSet]:
    """Return the sets with the noise that each domain lacks added anew at every draw.

    Parameters
    ----------
    source, valid, target : TrainingSet
        Valid is judged by images with the noise that the network trains on.
    seed : int
    """
    excess = noise_excess(*(one.take(next(one.chunks(_SAMPLE, limit=_SAMPLE))) for one in (source, target)))
    back = excess.reversed()
    return _observed(source, excess, seed), _observed(valid, excess, seed), _observed(target, back, seed)


def _observed(images: TrainingSet, excess: Excess, seed: int) -> TrainingSet:
    """The set as it is where its sky lacks no noise, which leaves it ready in memory."""
    if max(excess.sky) <= 0:
        return images
    return replace(images, observe=NoiseMatcher(excess, seed))
