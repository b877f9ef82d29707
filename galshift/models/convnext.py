"""A small ConvNeXt: modern convolutions, 3.4 million parameters; 10,000 images and more, or a GPU.

Liu et al. 2022 (arXiv:2201.03545): patchify stem, 7x7 depthwise convolutions, LayerNorm, inverted
bottlenecks, layer scale and stochastic depth (Huang et al. 2016, arXiv:1603.09382); the default has 3.4
million parameters.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from galshift.models import MODELS
from galshift.models._base import Network
from galshift.models._layers import pooled_size
from galshift.types import Output, Strict


class ConvNeXtConfig(Strict):
    """Options of the ConvNeXt."""

    depths: tuple[int, ...] = Field((2, 2, 6, 2), min_length=1, description="Blocks of each stage.")
    widths: tuple[int, ...] = Field((40, 80, 160, 320), min_length=1, description="Channels of each stage.")
    drop_path: float = Field(
        0.1, ge=0, lt=1, description="Chance of skipping the last block; earlier ones less."
    )
    layer_scale: float = Field(1e-2, gt=0, description="First weight of a block's branch; published 1e-6.")

    @model_validator(mode="after")
    def _same_length(self) -> ConvNeXtConfig:
        if len(self.depths) != len(self.widths) or min(*self.depths, *self.widths, 1) < 1:
            raise ValueError("depths and widths must be positive and equally many")
        return self


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x with every pixel's channels normalised."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Depthwise 7x7, LayerNorm, two pointwise layers with GELU, layer scale and a shortcut (Figure 4)."""

    def __init__(self, channels: int, layer_scale: float, drop_path: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.pointwise = nn.Sequential(
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )
        self.scale = nn.Parameter(torch.full((channels,), layer_scale))
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the branch; in training the branch of some images is left out."""
        branch = self.pointwise(self.depthwise(x).permute(0, 2, 3, 1))
        return x + skip_some((self.scale * branch).permute(0, 3, 1, 2), self.drop_path, self.training)


def skip_some(branch: Tensor, chance: float, training: bool) -> Tensor:
    """Return `branch` (B, ...) with whole images zeroed at `chance` and the others scaled up to match."""
    if not training or chance == 0:
        return branch
    kept = torch.rand(len(branch), *[1] * (branch.ndim - 1), device=branch.device) >= chance
    return branch * kept.to(branch.dtype) / (1 - chance)


@MODELS.register("convnext")
class ConvNeXt(Network):
    """A ConvNeXt for any number of bands; below 64 pixels the stem takes patches of 2 instead of 4."""

    Config: ClassVar[type[Strict]] = ConvNeXtConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Liu et al. 2022, arXiv:2201.03545"
    typical_use: ClassVar[str] = "10,000 images and more, a GPU"

    def __init__(self, in_channels: int, size: int, n_classes: int, config: ConvNeXtConfig) -> None:
        super().__init__()
        patch = 4 if size >= 64 else 2
        pooled_size(size // patch, len(config.depths) - 1, "convnext")
        chances = torch.linspace(0, config.drop_path, sum(config.depths)).tolist()
        layers: list[nn.Module] = []
        for stage, (depth, width) in enumerate(zip(config.depths, config.widths)):
            if stage == 0:
                layers += [nn.Conv2d(in_channels, width, patch, stride=patch), ChannelNorm(width, eps=1e-6)]
            else:
                before = config.widths[stage - 1]
                layers += [ChannelNorm(before, eps=1e-6), nn.Conv2d(before, width, 2, stride=2)]
            layers += [Block(width, config.layer_scale, chances.pop(0)) for _ in range(depth)]
        self.feature_dim = config.widths[-1]
        pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(self.feature_dim, eps=1e-6))
        self.encoder = nn.Sequential(*layers, *pool)
        self.head = nn.Linear(self.feature_dim, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) and logits (B, K) of images (B, C, H, W)."""
        features = self.encoder(images)
        return Output(features, self.head(features))
