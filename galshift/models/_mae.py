"""Masked autoencoding: a transformer learns from unlabelled images by filling in hidden patches.

He et al. 2022 (arXiv:2111.06377).  The encoder is a :class:`galshift.models.vit.ViT` and keeps its weights;
the decoder is thrown away.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from galshift.models._vit_config import MaskedConfig
from galshift.models.vit import TransformerBlock, ViT, patchify, positions
from galshift.streams import stream_seed
from galshift.types import Output


class Reconstruction(NamedTuple):
    """What one pass returns.

    Attributes
    ----------
    loss : Tensor
        Scalar mean squared error on hidden patches, in units of each patch's own variance.
    patches : Tensor
        (B, T, C patch**2) predicted patches, each normalised by its own mean and variance.
    hidden : Tensor
        (B, T) bool, True where a patch was hidden.
    errors : Tensor
        (B,) the loss of each image; 1 is what predicting every patch's mean would give.
    features : Tensor
        (B, D) mean token of the patches that were seen.
    """

    loss: Tensor
    patches: Tensor
    hidden: Tensor
    errors: Tensor
    features: Tensor


class MaskedAutoencoder(nn.Module):
    """An encoder, and a narrow decoder that fills in what the encoder did not see.

    Parameters
    ----------
    encoder : ViT
        Changed in place by training.
    width, depth, heads : int
        Of the decoder.
    hidden_share : float
        Fraction of the patches that is hidden, in (0, 1).
    """

    def __init__(
        self, encoder: ViT, *, width: int = 128, depth: int = 2, heads: int = 4, hidden_share: float = 0.75
    ) -> None:
        super().__init__()
        self.encoder, self.hidden_share = encoder, hidden_share
        n_patches, pixels = len(encoder.positions), encoder.embed.in_features
        self.narrow = nn.Linear(encoder.feature_dim, width)
        self.unseen = nn.Parameter(0.02 * torch.randn(1, 1, width))
        side = round(n_patches**0.5)
        self.register_buffer("positions", positions(side, width), persistent=False)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, 0.0) for _ in range(depth))
        self.predict = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, pixels))

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Reconstruction:
        """Hide patches of images (B, C, H, W) at random and predict them.

        Parameters
        ----------
        images : Tensor
            Preprocessed images.
        generator : torch.Generator, optional
            On the CPU; chooses what is hidden.
        """
        target = normalised(patchify(images, self.encoder.patch))
        keep, order_back = random_patches(len(images), target.shape[1], self.hidden_share, generator)
        keep, order_back = keep.to(images.device), order_back.to(images.device)
        encoded = self.encoder.tokens(images, keep)
        seen = self.narrow(encoded)
        unseen = self.unseen.to(seen.dtype).expand(len(seen), target.shape[1] - seen.shape[1], -1)
        tokens = torch.cat([seen, unseen], dim=1)
        tokens = tokens.gather(1, order_back[:, :, None].expand_as(tokens)) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        patches = self.predict(tokens)
        hidden = order_back >= keep.shape[1]
        error = (patches.float() - target).square().mean(dim=2)
        errors = (error * hidden).sum(dim=1) / hidden.sum(dim=1)
        return Reconstruction(errors.mean(), patches, hidden, errors, encoded.mean(dim=1))


def normalised(patches: Tensor) -> Tensor:
    """Return every patch (..., P) with mean 0 and variance 1 over its pixels (section 4.2 of the paper)."""
    patches = patches.float()
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()


def random_patches(
    n: int, n_patches: int, hidden_share: float, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Choose which patches are seen.

    Returns
    -------
    tuple of Tensor
        (n, kept) patch numbers that are seen, and (n, n_patches) the place of every patch in the shuffled
        order; patches at a place of `kept` or later are hidden.
    """
    kept = min(max(round(n_patches * (1 - hidden_share)), 1), n_patches - 1)
    order = torch.rand(n, n_patches, generator=generator).argsort(dim=1)
    return order[:, :kept], order.argsort(dim=1)


class MaskedLearner(nn.Module):
    """A masked autoencoder as the training loop sees it: each image's error stands where its logits would.

    What is hidden follows torch's global random state, which the loop seeds at every step.

    Parameters
    ----------
    encoder : ViT
        From :func:`galshift.models.build.build_model`; trained in place.
    config : MaskedConfig
    seed : int
        Of the decoder's first weights.
    """

    def __init__(self, encoder: ViT, config: MaskedConfig, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(stream_seed(seed, "model", "masked decoder"))
            self.autoencoder = MaskedAutoencoder(encoder, **config.model_dump())
        self.feature_dim = encoder.feature_dim
        self.spec = {**encoder.spec, "masked": config.model_dump(mode="json")}

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) of what was seen, and errors (B, 1), of images (B, C, H, W)."""
        done = self.autoencoder(images)
        return Output(done.features, done.errors[:, None])
