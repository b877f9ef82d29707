"""The image transformer that pre-trained weights come for: learnt positions, a class token, registers.

Dosovitskiy et al. 2021 (arXiv:2010.11929); DINOv2's: Oquab et al. 2023 (arXiv:2304.07193), with registers
Darcet et al. 2023 (arXiv:2309.16588).  The feature vector is the class token after the last LayerNorm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galshift.models.vit import TransformerBlock, patchify

_NAMES = {
    "norm1": "norm_attention",
    "norm2": "norm_dense",
    "attn.qkv": "qkv",
    "attn.proj": "project",
    "mlp.fc1": "dense.0",
    "mlp.fc2": "dense.2",
}


class EncoderViT(nn.Module):
    """Encoder of (B, E, size, size) images, `size` a multiple of `patch`; returns (B, width)."""

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        registers: int,
        layer_scale: bool,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch**2, width)
        self.first = nn.Parameter(0.02 * torch.randn(1, 1 + registers, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2, width))
        scale = 1e-5 if layer_scale else None
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, 0.0, scale) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class token, (B, width)."""
        tokens = self.embed(patchify(images, self.patch)) + self.positions
        tokens = torch.cat([self.first.expand(len(tokens), -1, -1), tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens[:, 0])


def vit_tensors(theirs: Mapping[str, Tensor], side: int) -> dict[str, Tensor]:
    """Return tensors by timm's (or DINOv2's own) names as those of an `EncoderViT` of side x side patches.

    The class token and its position are added up once; positions on another grid are interpolated.
    """
    ours = {}
    for name, value in theirs.items():
        if match := re.fullmatch(r"(blocks\.\d+)\.(.+)\.(weight|bias)", name):
            block, layer, kind = match.groups()
            ours[f"{block}.{_NAMES.get(layer, layer)}.{kind}"] = value
        elif match := re.fullmatch(r"(blocks\.\d+)\.ls([12])\.gamma", name):
            ours[f"{match[1]}.scale_{'attention' if match[2] == '1' else 'dense'}"] = value
        elif name in ("norm.weight", "norm.bias"):
            ours[name] = value
    weight = theirs["patch_embed.proj.weight"]
    ours["embed.weight"], ours["embed.bias"] = weight.flatten(1), theirs["patch_embed.proj.bias"]
    first, positions = theirs["cls_token"], theirs["pos_embed"]
    if positions.shape[1] == (int(positions.shape[1] ** 0.5)) ** 2 + 1:  # the class token has a place too
        first, positions = first + positions[:, :1], positions[:, 1:]
    registers = [theirs[name] for name in ("reg_token", "register_tokens") if name in theirs]
    ours["first"] = torch.cat([first, *registers], dim=1)
    ours["positions"] = on_grid(positions, side)
    return ours


def on_grid(positions: Tensor, side: int) -> Tensor:
    """Return positions (1, T, W) of a square grid interpolated to (1, side**2, W), bicubic as timm does."""
    before = round(positions.shape[1] ** 0.5)
    if before == side:
        return positions
    grid = positions.unflatten(1, (before, before)).permute(0, 3, 1, 2)
    moved = F.interpolate(grid, size=(side, side), mode="bicubic", antialias=True)
    return moved.permute(0, 2, 3, 1).flatten(1, 2)
