"""Blocks that several networks share."""

from __future__ import annotations

from torch import nn

from galshift.errors import ConfigError


def conv_pool(in_channels: int, out_channels: int, kernel: int, dropout: float = 0.0) -> nn.Sequential:
    """Return convolution, batch norm, 2x2 max pooling, ReLU and, where asked, dropout.

    The largest of four numbers cut at 0 is the largest cut at 0, gradients included: as published, ReLU
    before the pooling, it would be the same to the bit and cost four times as much.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2),
        nn.BatchNorm2d(out_channels),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, nn.Dropout(dropout)) if dropout else nn.Sequential(*layers)


def pooled_size(size: int, times: int, name: str) -> int:
    """Return the side [pixel] of an image after `times` halvings.

    Raises
    ------
    ConfigError
        When nothing would be left; it names the model `name` and the smallest side.
    """
    side = size >> times
    if side < 1:
        raise ConfigError(
            f"images of {size} pixels are too small for the network",
            where=name,
            hint=f"use images of at least {1 << times} pixels a side",
        )
    return side
