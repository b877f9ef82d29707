"""DeepMerge: the three-layer CNN of the merger papers, 0.1 to 0.3 million parameters; 1,000 images, a laptop.

Ciprijanovic et al. 2020 (Astronomy and Computing 32, 100390) and 2021 (MNRAS 506, 677), Table 1:
convolutions 5x5x8, 3x3x16, 3x3x32, each with batch norm, ReLU and 2x2 max pooling, then dense layers of 64
and 32.  The papers align the flattened convolutional output (2,592 numbers for 75-pixel images); the default
here is the last dense layer, which every method can align at its default weight and in less time.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from galshift.models import MODELS
from galshift.models._base import Network
from galshift.models._layers import conv_pool, pooled_size
from galshift.types import Output, Strict


class DeepMergeConfig(Strict):
    """Options of the DeepMerge network."""

    latent: Literal["convolutional", "dense"] = Field(
        "dense",
        description="Features to align: the last 32, or, as published, the flattened convolutional output.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="After each block; DeepMerge I used 0.5, II none.")


@MODELS.register("deepmerge")
class DeepMerge(Network):
    """The DeepMerge CNN for any number of bands and any size from 8 pixels."""

    Config: ClassVar[type[Strict]] = DeepMergeConfig
    version: ClassVar[int] = 1
    channels_last_on_cpu: ClassVar[bool] = True  # measured: 1.1 to 1.6 times faster steps
    reference: ClassVar[str] = "Ciprijanovic et al. 2021, MNRAS 506, 677"
    typical_use: ClassVar[str] = "the quick default: CPU, 1,000 images and more"

    def __init__(self, in_channels: int, size: int, n_classes: int, config: DeepMergeConfig) -> None:
        super().__init__()
        side = pooled_size(size, 3, "deepmerge")
        blocks = nn.Sequential(
            conv_pool(in_channels, 8, 5, config.dropout),
            conv_pool(8, 16, 3, config.dropout),
            conv_pool(16, 32, 3, config.dropout),
            nn.Flatten(),
        )
        flat = 32 * side * side
        dense = nn.Sequential(nn.Linear(flat, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        last = nn.Linear(32, n_classes)
        if config.latent == "convolutional":
            self.encoder, self.head, self.feature_dim = blocks, nn.Sequential(*dense, last), flat
        else:
            self.encoder, self.head, self.feature_dim = nn.Sequential(*blocks, *dense), last, 32

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) and logits (B, K) of images (B, C, size, size)."""
        features = self.encoder(images)
        return Output(features, self.head(features))
