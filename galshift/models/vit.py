"""A small vision transformer, 2.7 million parameters; after galshift pretrain on many images, on a GPU.

Dosovitskiy et al. 2021 (arXiv:2010.11929) with fixed sine-cosine positions and the mean of the patch tokens
as the feature vector, as in He et al. 2022 (arXiv:2111.06377); pre-trained by :mod:`galshift.models._mae`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galshift.errors import ConfigError
from galshift.models import MODELS
from galshift.models._base import Network
from galshift.models._vit_config import ViTConfig
from galshift.types import Output, Strict


class TransformerBlock(nn.Module):
    """Pre-norm attention and a dense layer of four times the width, each with a shortcut.

    With `layer_scale` each branch has a learnt weight by channel that starts there (Touvron et al. 2021,
    arXiv:2103.17239).
    """

    def __init__(self, width: int, heads: int, dropout: float, layer_scale: float | None = None) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_dense = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )
        scale = None if layer_scale is None else torch.full((width,), layer_scale)
        self.scale_attention = None if scale is None else nn.Parameter(scale)
        self.scale_dense = None if scale is None else nn.Parameter(scale.clone())

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, T, W) after attention among them and the dense layer."""
        qkv = self.qkv(self.norm_attention(tokens)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, W / heads)
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        tokens = tokens + _scaled(self.project(mixed.transpose(1, 2).flatten(2)), self.scale_attention)
        return tokens + _scaled(self.dense(self.norm_dense(tokens)), self.scale_dense)


def _scaled(branch: Tensor, scale: Tensor | None) -> Tensor:
    return branch if scale is None else branch * scale


def positions(side: int, width: int) -> Tensor:
    """Return fixed (side**2, width) sine-cosine codes of places on a grid: half rows, half columns."""
    frequency = 10_000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angle = torch.arange(side, dtype=torch.float64)[:, None] * frequency
    code = torch.cat([angle.sin(), angle.cos()], dim=1)  # (side, width / 2)
    rows, columns = code[:, None].expand(-1, side, -1), code[None].expand(side, -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1).float()


def patchify(images: Tensor, patch: int) -> Tensor:
    """Return every patch's pixels, (B, T, C patch**2), of images (B, C, H, W) padded to whole patches."""
    right, below = -images.shape[-1] % patch, -images.shape[-2] % patch
    padding = (right // 2, right - right // 2, below // 2, below - below // 2)
    return F.unfold(F.pad(images, padding), patch, stride=patch).transpose(1, 2)


@MODELS.register("vit")
class ViT(Network):
    """A vision transformer for any number of bands and any size."""

    Config: ClassVar[type[Strict]] = ViTConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Dosovitskiy et al. 2021, arXiv:2010.11929"
    typical_use: ClassVar[str] = "after masked pre-training on many unlabelled images; a GPU"

    def __init__(self, in_channels: int, size: int, n_classes: int, config: ViTConfig) -> None:
        super().__init__()
        if size < config.patch:
            raise ConfigError(
                f"images of {size} pixels are smaller than a patch of {config.patch}",
                where="vit",
                hint="choose a smaller patch",
            )
        self.patch = config.patch
        self.embed = nn.Linear(in_channels * config.patch**2, config.width)
        side = -(-size // config.patch)
        self.register_buffer("positions", positions(side, config.width), persistent=False)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.heads, config.dropout) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.feature_dim = config.width
        self.head = nn.Linear(config.width, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def tokens(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return encoded tokens (B, T, W), or those of the patches `keep` (B, T') alone."""
        tokens = self.embed(patchify(images, self.patch)) + self.positions
        if keep is not None:
            tokens = tokens.gather(1, keep[:, :, None].expand(-1, -1, tokens.shape[2]))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D), the mean token, and logits (B, K) of images (B, C, H, W)."""
        features = self.tokens(images).mean(dim=1)
        return Output(features, self.head(features))
