"""What a pre-trained encoder is given: bands, range, mean, spread and size as it was trained on.

Networks see stretched images: zero mean and unit spread over the pixels of the training images, whatever the
survey.  An encoder saw pictures whose pixels lie in 0 ... 1.  The rule between the two is linear and the same
for every image, so that brightness, noise and faults keep their size:

1. channel k of the encoder is the mean of the k-th share of the bands in their order: one band goes to every
   channel, three bands to one each, five in overlapping twos and threes (adaptive average pooling);
2. ``low`` and ``high`` of the stretched value become 0 and 1, without clipping;
3. the encoder's own mean and spread are taken out;
4. the image is resized to the encoder's size, bilinear, averaging over pixels where it becomes smaller.
"""

from __future__ import annotations

import copy
import math

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from galshift.types import Strict

HALVED = 32  # sides that convolutions of stride 2 (or 4) halve five times without an odd pixel
LARGEST = 224  # without an option, encoders that were trained on larger images are given these: pixels cost
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class EncoderInput(Strict):
    """How images reach the encoder; what is left out is the encoder's own, and is kept in checkpoints."""

    size: int | None = Field(
        None, ge=8, description="Side of the images the encoder is given [pixel]; its own, at most 224."
    )
    low: float = Field(-1.0, description="Stretched value that becomes 0, black, in the encoder's range.")
    high: float = Field(6.0, description="Stretched value that becomes 1, white, in the encoder's range.")
    reverse_bands: bool = Field(
        False, description="Give the bands in reverse order: bands from blue to red, for an encoder of RGB."
    )
    mean: tuple[float, ...] | None = Field(None, description="The encoder's mean by channel, in 0 ... 1.")
    std: tuple[float, ...] | None = Field(None, description="The encoder's spread by channel, in 0 ... 1.")

    @model_validator(mode="after")
    def _ordered(self) -> EncoderInput:
        if self.low is not None and self.high is not None and self.high <= self.low:
            raise ValueError("high must be above low")
        if self.std is not None and min(self.std, default=0.0) <= 0:
            raise ValueError("std must be above 0")
        return self


class Intake(nn.Module):
    """Turns stretched images (B, C, H, W) into the encoder's (B, E, size, size); nothing in it is learnt.

    Parameters
    ----------
    in_channels : int
        C, the bands of the images.
    channels : int
        E, the channels that the encoder was trained on.
    config : EncoderInput
        With ``size``, ``mean`` and ``std`` filled in.
    """

    def __init__(self, in_channels: int, channels: int, config: EncoderInput) -> None:
        super().__init__()
        mean = torch.tensor(config.mean or (0.0,), dtype=torch.float64).expand(channels)
        std = torch.tensor(config.std or (1.0,), dtype=torch.float64).expand(channels)
        reach = config.high - config.low
        mixing = band_mixing(in_channels, channels, reverse=config.reverse_bands)
        weight = mixing / (reach * std[:, None])
        bias = (-config.low / reach - mean) / std
        # Not in the state: they follow from the configuration, which the checkpoint holds.
        self.register_buffer("weight", weight.float()[:, :, None, None], persistent=False)
        self.register_buffer("bias", bias.float(), persistent=False)
        self.size = config.size

    def forward(self, images: Tensor) -> Tensor:
        """Return the encoder's images."""
        mixed = F.conv2d(images, self.weight, self.bias)
        if self.size is None or images.shape[-2:] == (self.size, self.size):
            return mixed
        return F.interpolate(mixed, size=(self.size, self.size), mode="bilinear", antialias=True)


def band_mixing(bands: int, channels: int, *, reverse: bool = False) -> Tensor:
    """Return the (channels, bands) float64 matrix of means over shares of the bands; rows sum to 1."""
    order = torch.eye(bands, dtype=torch.float64)
    if reverse:
        order = order.flip(0)
    return F.adaptive_avg_pool1d(order.T[None], channels)[0].T


def near_size(size: int, share: float, step: int) -> int | None:
    """Return the multiple of `step` that is nearest to `share` of `size`; of two as near the smaller.

    It is below `size` for a share below 1 and above it for one above; None where there is none.
    """
    sides = range(step, math.ceil(max(share, 1) * size) + step, step)
    fit = [side for side in sides if side != size and (side < size) == (share < 1)]
    return min(fit, key=lambda side: abs(side - share * size), default=None)


def with_size(network: nn.Module, size: int) -> nn.Module:
    """Return a copy of a `network` with an :class:`Intake` that gives its encoder images of `size` pixels."""
    other = copy.deepcopy(network)
    other.intake.size = size
    other.spec = {**network.spec, "options": {**network.spec["options"], "size": size}}
    return other
