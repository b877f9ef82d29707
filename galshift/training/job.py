"""What a training is given: one object that goes from the verb to every part of the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from galshift.training.config import TrainConfig
from galshift.training.criterion import Criterion
from galshift.training.device import DeviceChoice, choose_device
from galshift.training.heads import Head
from galshift.training.sets import Stretch, TrainingSet
from galshift.training.validate import HeldInputs

if TYPE_CHECKING:
    import numpy as np

    from galshift.data.preprocess import Preprocessing
    from galshift.training.checkpoint import Trained
    from galshift.types import Chosen

Augment = Callable[[Tensor, torch.Generator], Tensor]


def unchanged(images: Tensor) -> Tensor:
    """Return `images`: the stretch of sets that are model input already."""
    return images


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What a network is trained on, and how.

    Attributes
    ----------
    source, valid : TrainingSet or None
        Labelled training and validation images; None only for methods that need no source.
    target : TrainingSet or None
        Without labels.
    labelled : TrainingSet or None
        A few images of the target with labels, which add a term of their own; nothing is chosen by them.
    training : TrainConfig
    head : Head
        What the labels are, and so the supervised loss.
    device : str or DeviceChoice
    augment, strong_augment : callable or None
        (linear images (B, C, S, S), generator) to images of that shape, on their device.  The strong one
        makes a method's further views and defaults to the other.
    stretch : callable
        Linear images to model input; the same for every image, whatever batch it is in.
    selector : callable or None
        What chooses the epoch without target labels: a function of a candidate (``galshift.selection``) that
        returns a score, higher is better, or a selector, which ranks all epochs so far afresh (the weights
        of the best one alone are held).  Without it the source's validation loss chooses.
    resized : Tensor or None
        (M, D) features of the target's images, as they are and in their order, at another size of the
        encoder's input; for methods that ask for them (`other_size`), where features are computed before.
    held : dict
        Network input that was made already, for :meth:`held_inputs`.
    """

    source: TrainingSet | None
    valid: TrainingSet | None
    target: TrainingSet | None
    training: TrainConfig
    head: Head
    device: str | DeviceChoice = "auto"
    augment: Augment | None = None
    strong_augment: Augment | None = None
    stretch: Stretch = unchanged
    selector: Callable[[Any], float] | None = None
    labelled: TrainingSet | None = None
    resized: Tensor | None = None
    held: dict[tuple, HeldInputs] = field(default_factory=dict, repr=False, compare=False)

    def held_inputs(self, images: TrainingSet, limit: int | None = None) -> HeldInputs:
        """Return the network input of `images`, in order, or of an even sample of `limit` of them.

        It is made once for all networks that are trained on the same data with jobs made from one another.
        """
        key = (id(images), id(self.stretch), self.choice.device, limit)
        if key not in self.held:
            self.held[key] = HeldInputs(images, self.stretch, self.choice.device, limit)
        return self.held[key]

    @cached_property
    def choice(self) -> DeviceChoice:
        """The device and the precision of the forward pass."""
        if isinstance(self.device, DeviceChoice):
            return self.device
        return choose_device(self.device, self.training.precision)

    @cached_property
    def criterion(self) -> Criterion:
        """The supervised loss, for the classes of the source: (outputs, labels) to a scalar."""
        return self.head.criterion(self.training, None if self.source is None else self.source.labels)

    @property
    def n_target(self) -> int:
        """Number of target training images."""
        return 0 if self.target is None else len(self.target)


@dataclass(frozen=True, kw_only=True)
class NetworkJob(TrainingJob):
    """What every network of one run is trained on, and what it is made from and stored with.

    Attributes
    ----------
    preprocessing : Preprocessing
    model : Chosen
    init : Trained or None
        Weights to start from.
    prior_target : ndarray or None
        (K,) class mix of the target, where another than the source's is credible.
    """

    preprocessing: Preprocessing
    model: Chosen
    init: Trained | None = None
    prior_target: np.ndarray | None = None

    @property
    def network(self) -> str:
        """Name of the network that is trained: the one to start from, where there is one."""
        return self.model.kind if self.init is None else str(self.init.model.spec["name"])
