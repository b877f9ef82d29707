"""ResNet18: a residual network of 18 layers, 11 million parameters; 5,000 images and more, a GPU helps.

He et al. 2016 (CVPR, arXiv:1512.03385), Table 1; random initial weights.
"""

from __future__ import annotations

from typing import ClassVar

from galshift.models import MODELS
from galshift.models._resnet import BasicBlock, ResNet, ResNetConfig
from galshift.types import Strict


@MODELS.register("resnet18")
class ResNet18(ResNet):
    """ResNet18 for any number of bands."""

    Config: ClassVar[type[Strict]] = ResNetConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "He et al. 2016, arXiv:1512.03385"
    typical_use: ClassVar[str] = "5,000 images and more; a GPU helps"

    def __init__(self, in_channels: int, size: int, n_classes: int, config: ResNetConfig) -> None:
        super().__init__(in_channels, size, n_classes, config, block=BasicBlock, depths=(2, 2, 2, 2))
