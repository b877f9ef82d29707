"""What the training loop, checkpoints and audits ask of a network."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from galshift.types import Output, Strict

# A network's options are a frozen config like any other; an unknown option is refused by name.
NetworkConfig = Strict


class Network(nn.Module):
    """One architecture; subclass it once.  See :mod:`galshift.models` for a whole example.

    Class attributes
    ----------------
    Config : type of NetworkConfig
        Its options.
    version : int
        Raised when its numbers change; a checkpoint of another version is refused.
    reference : str
        Paper.
    typical_use : str
        When to take it, in a few words.
    pretrained : bool
        True where the weights come from other images than those it is trained on here.
    channels_last_on_cpu : bool
        True where images with channels last make its steps faster on a CPU.

    Parameters
    ----------
    in_channels : int
        Number of bands, C.
    size : int
        Side of the square input images [pixel].
    n_classes : int
        Number of classes, K (or of continuous labels, twice).
    config : NetworkConfig

    Attributes
    ----------
    feature_dim : int
        D, the length of a feature vector.
    head : nn.Module
        From (B, D) features to (B, K) logits, so that ``logits = head(features)``.
    """

    Config: ClassVar[type[Strict]] = NetworkConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""
    typical_use: ClassVar[str] = ""
    channels_last_on_cpu: ClassVar[bool] = False
    pretrained: ClassVar[bool] = False

    feature_dim: int
    head: nn.Module

    def resized(self, share: float) -> Network | None:
        """Return a copy whose encoder is given images of about `share` of the side that it has here.

        Its features are as long, and are of the same images.  None where the network takes images of one
        size only, or no other side near to that suits its layers.
        """
        return None

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) and logits (B, K) of preprocessed images (B, C, size, size)."""
        raise TypeError(f"{type(self).__name__} has no forward()")
