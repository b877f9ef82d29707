"""Residual networks (He et al. 2016, arXiv:1512.03385), the plain ones of Table 1, trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor, nn

from galshift.models._base import Network
from galshift.types import Output, Strict

SMALL_IMAGE = 64  # below this a stride-2 stem and pooling would leave the last stage with one pixel


class ResNetConfig(Strict):
    """Options of the residual networks."""

    width: int = Field(64, ge=4, description="Channels of the first stage; 64 as published.")
    latent: int | None = Field(
        None,
        ge=1,
        description="Size of a linear bottleneck after pooling (256 in DeepMerge II).",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Before pooling (DeepAdversaries: 0.5).")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (Figure 5, left)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(in_channels, channels, 3, stride),
            nn.ReLU(inplace=True),
            *_conv_norm(channels, channels, 3, 1),
        )
        self.shortcut = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(body(x) + shortcut(x)), (B, channels, H / stride, W / stride)."""
        return (self.body(x) + self.shortcut(x)).relu_()


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (Figure 5, right), striding in the 3x3."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(in_channels, channels, 1, 1),
            nn.ReLU(inplace=True),
            *_conv_norm(channels, channels, 3, stride),
            nn.ReLU(inplace=True),
            *_conv_norm(channels, 4 * channels, 1, 1),
        )
        self.shortcut = _shortcut(in_channels, 4 * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(body(x) + shortcut(x)), (B, 4 channels, H / stride, W / stride)."""
        return (self.body(x) + self.shortcut(x)).relu_()


class ResNet(Network):
    """A residual network for any number of bands; the stem depends on the image size.

    From 64 pixels up the stem is the published 7x7 stride-2 convolution and pooling; below, a 3x3
    convolution at full resolution.
    """

    def __init__(
        self,
        in_channels: int,
        size: int,
        n_classes: int,
        config: ResNetConfig,
        *,
        block: type[BasicBlock | Bottleneck],
        depths: Sequence[int],
    ) -> None:
        super().__init__()
        width = config.width
        layers: list[nn.Module] = [_stem(in_channels, width, size)]
        channels = width
        for stage, depth in enumerate(depths):
            for position in range(depth):
                stride = 2 if stage > 0 and position == 0 else 1
                layers.append(block(channels, width << stage, stride))
                channels = (width << stage) * block.expansion
        if config.dropout:
            layers.append(nn.Dropout(config.dropout))
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.feature_dim = config.latent or channels
        if config.latent:
            layers.append(nn.Linear(channels, config.latent))
        self.encoder = nn.Sequential(*layers)
        self.head = nn.Linear(self.feature_dim, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) and logits (B, K) of images (B, C, H, W)."""
        features = self.encoder(images)
        return Output(features, self.head(features))


def _conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
    """Convolution without bias (batch norm has one) and its batch norm."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(out_channels)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Identity, or the 1x1 projection where the shape changes (option B)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(*_conv_norm(in_channels, out_channels, 1, stride))


def _stem(in_channels: int, width: int, size: int) -> nn.Sequential:
    """The first convolution: published from 64 pixels up, at full resolution below."""
    if size < SMALL_IMAGE:
        return nn.Sequential(*_conv_norm(in_channels, width, 3, 1), nn.ReLU(inplace=True))
    return nn.Sequential(
        *_conv_norm(in_channels, width, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)
    )
