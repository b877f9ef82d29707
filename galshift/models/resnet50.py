"""ResNet50: a residual network of 50 layers, 24 million parameters; 50,000 images and more, on a GPU.

He et al. 2016 (CVPR, arXiv:1512.03385), Table 1; random initial weights.
"""

from __future__ import annotations

from typing import ClassVar

from galshift.models import MODELS
from galshift.models._resnet import Bottleneck, ResNet, ResNetConfig
from galshift.types import Strict


@MODELS.register("resnet50")
class ResNet50(ResNet):
    """ResNet50 for any number of bands."""

    Config: ClassVar[type[Strict]] = ResNetConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "He et al. 2016, arXiv:1512.03385"
    typical_use: ClassVar[str] = "50,000 images and more, on a GPU; the encoder of DeepAstroUDA"

    def __init__(self, in_channels: int, size: int, n_classes: int, config: ResNetConfig) -> None:
        super().__init__(in_channels, size, n_classes, config, block=Bottleneck, depths=(3, 4, 6, 3))
