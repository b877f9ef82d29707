"""Bring source and target to the same noise before they are trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from galshift.data.match_noise import Excess, NoiseMatcher, noise_excess

if TYPE_CHECKING:
    from galshift.training.sets import TrainingSet

_SAMPLE = 1000  # images of either domain that the noise is measured in


def matched(
    source: TrainingSet, valid: TrainingSet, target: TrainingSet, seed: int
) -> tuple[TrainingSet, TrainingSet, TrainingSet]:
    """Return the sets with the noise that each domain lacks added anew at every draw.

    Parameters
    ----------
    source, valid, target : TrainingSet
        Validation images get the noise that the network trains on.
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
