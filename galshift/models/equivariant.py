"""A CNN that sees a turned or mirrored galaxy as the same, 0.1 million parameters; good with few images.

Group convolutions (Cohen & Welling 2016, arXiv:1602.07576, Eqs. 10-11) over C4 or D4, exact on the pixel
grid; over C8 and D8 with steerable filters (Weiler & Cesa 2019, arXiv:1911.08251), exact for quarter turns
and approximate for eighths.  SIDDA (arXiv:2501.14048) compares such a network with a plain one.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from galshift.models import MODELS
from galshift.models._base import Network
from galshift.models._groups import GROUPS, Group, filter_basis
from galshift.models._layers import pooled_size
from galshift.types import Output, Strict


class EquivariantConfig(Strict):
    """Options of the equivariant CNN."""

    group: Literal["c4", "d4", "c8", "d8"] = Field(
        "d4", description="Rotations by 360 / n degrees; d: and mirrors."
    )
    width: int = Field(
        6, ge=1, description="Fields of the first block; each has one channel per group element."
    )
    blocks: int = Field(
        4, ge=1, le=7, description="Convolution blocks, each halving the image, doubling the fields."
    )
    latent: int = Field(128, ge=2, description="Size of the invariant latent vector.")
    dropout: float = Field(0.1, ge=0, lt=1, description="On the invariant vector.")


class GroupConv(nn.Module):
    """A convolution over the plane and the group; the lifting one takes plain images.

    Fields are (B, C, G, H, W): C fields with one channel per group element.  Turning the input turns every
    channel and permutes them as the group multiplies.

    Parameters
    ----------
    in_fields, out_fields : int
    group : Group
    kernel : int
        Odd side of the filters.
    lifting : bool
        True for the first layer, whose input is (B, in_fields, H, W).
    """

    def __init__(
        self, in_fields: int, out_fields: int, group: Group, kernel: int, *, lifting: bool = False
    ) -> None:
        super().__init__()
        basis = torch.from_numpy(filter_basis(group, kernel).copy()).float()
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("relative", torch.from_numpy(group.relative()), persistent=False)
        self.lifting, self.kernel = lifting, kernel
        inner = 1 if lifting else len(group)
        # He et al. 2015: a filter's squares add to 2 over all inputs.
        spread = (2 / (in_fields * inner * basis.shape[1])) ** 0.5
        self.coefficients = nn.Parameter(spread * torch.randn(out_fields, in_fields, inner, basis.shape[1]))

    def weight(self) -> Tensor:
        """Return the filters of an ordinary convolution, (out G, in [G], k, k)."""
        if self.lifting:
            weight = torch.einsum("oij,gjxy->ogixy", self.coefficients[:, :, 0], self.basis)
            return weight.flatten(0, 1)
        turned = self.coefficients[:, :, self.relative]  # (O, I, G, H, J): element g**-1 h
        weight = torch.einsum("oighj,gjxy->ogihxy", turned, self.basis)
        return weight.flatten(0, 1).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out, G, H, W) of (B, in, G, H, W), or of (B, in, H, W) when lifting."""
        x = x if self.lifting else x.flatten(1, 2)
        out = F.conv2d(x, self.weight(), padding=self.kernel // 2)
        return out.unflatten(1, (len(self.coefficients), len(self.basis)))


class GroupBlock(nn.Module):
    """Group convolution, halving, batch norm shared by a field's channels, ReLU."""

    def __init__(
        self, in_fields: int, out_fields: int, group: Group, kernel: int, *, lifting: bool = False
    ) -> None:
        super().__init__()
        self.convolution = GroupConv(in_fields, out_fields, group, kernel, lifting=lifting)
        self.norm = nn.BatchNorm2d(out_fields)

    def forward(self, x: Tensor) -> Tensor:
        """Return fields (B, out, G, ceil(H / 2), ceil(W / 2))."""
        x = self.convolution(x)
        fields = x.shape[1:3]
        x = halve(x.flatten(1, 2)).unflatten(1, fields)
        return self.norm(x.flatten(2, 3)).unflatten(2, (fields[1], -1)).relu()


def halve(x: Tensor) -> Tensor:
    """Return (B, C, H, H) max-pooled by two in a way that commutes with turns and mirrors of the image.

    Even sides take 2x2 pixels; odd ones 3x3 around every second pixel, which starts and ends on the border.
    """
    if x.shape[-1] % 2 == 0:
        return F.max_pool2d(x, 2)
    return F.max_pool2d(x, 3, stride=2, padding=1)


@MODELS.register("equivariant")
class Equivariant(Network):
    """An equivariant CNN for any number of bands and any size from 2**blocks pixels."""

    Config: ClassVar[type[Strict]] = EquivariantConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Cohen & Welling 2016, arXiv:1602.07576"
    typical_use: ClassVar[str] = "few labelled images: no angle has to be learned; slower than deepmerge"

    def __init__(self, in_channels: int, size: int, n_classes: int, config: EquivariantConfig) -> None:
        super().__init__()
        pooled_size(size, config.blocks, "equivariant")
        group = GROUPS[config.group]
        fields = in_channels
        blocks = []
        for index in range(config.blocks):
            kernel, wide = (5 if index == 0 else 3), config.width << index
            if group.turns > 4:
                kernel = 5  # eighths of a turn need rings that a 3x3 filter does not have
            blocks.append(GroupBlock(fields, wide, group, kernel, lifting=index == 0))
            fields = wide
        self.blocks = nn.Sequential(*blocks)
        self.latent = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(2 * fields, config.latent), nn.LayerNorm(config.latent)
        )
        self.feature_dim = config.latent
        self.head = nn.Linear(config.latent, n_classes)

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) and logits (B, K), both invariant, of images (B, C, H, H)."""
        fields = self.blocks(images)
        # Mean and maximum over group and plane: both stay what they are when the image is turned.
        invariant = torch.cat([fields.mean((2, 3, 4)), fields.amax((2, 3, 4))], dim=1)
        features = self.latent(invariant)
        return Output(features, self.head(features))
