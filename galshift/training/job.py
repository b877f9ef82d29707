"""What every network of one run is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from galshift.data.augment import AugmentConfig
    from galshift.data.preprocess import Preprocessing
    from galshift.training.checkpoint import Trained
    from galshift.training.config import TrainConfig
    from galshift.training.heads import Head
    from galshift.training.sets import TrainingSet
    from galshift.types import Chosen


@dataclass(frozen=True)
class TrainingJob:
    """What every candidate of one run is trained on.

    Attributes
    ----------
    source, valid, target : TrainingSet or None
    preprocessing : Preprocessing
    noise_scale : Tensor
        (C,) noise level that augmentation is measured in, in the linear unit.
    augmentation : AugmentConfig
    model : Chosen
    init : Trained or None
        Weights to start from.
    training : TrainConfig
    device : str
    head : Head
        What the labels are.
    prior_target : ndarray or None
        (K,) class mix of the target, where another than the source's is credible.
    """

    source: TrainingSet | None
    valid: TrainingSet
    target: TrainingSet | None
    preprocessing: Preprocessing
    noise_scale: Tensor
    augmentation: AugmentConfig
    model: Chosen
    init: Trained | None
    training: TrainConfig
    device: str
    head: Head
    prior_target: np.ndarray | None = None

    @property
    def network(self) -> str:
        """Name of the network that is trained: the one to start from, where there is one."""
        return self.model.kind if self.init is None else str(self.init.model.spec["name"])
