"""Any timm encoder (extra `models`), Zoobot's too, from local weights; the bigger ones need a GPU.

Nothing is downloaded: weights come from a safetensors file that the user has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from galshift.errors import ConfigError, DataError, did_you_mean
from galshift.models import MODELS
from galshift.models._base import Network
from galshift.models._weights import check_finite, fit_names, read_safetensors
from galshift.types import Output, Strict


class TimmConfig(Strict):
    """Options of a timm encoder."""

    encoder: str = Field("convnext_nano", description="Name of the architecture, such as convnext_nano.")
    weights: str | None = Field(None, description="Local safetensors file; without one, fresh weights.")
    weights_sha256: str | None = Field(
        None, description="Content hash that the file must have; kept in checkpoints."
    )


@MODELS.register("timm-encoder")
class TimmEncoder(Network):
    """A timm architecture without its classifier, under a linear head, for any number of bands."""

    Config: ClassVar[type[Strict]] = TimmConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Wightman 2019, timm; Walmsley et al. 2023 (JOSS 8, 5312) for Zoobot"
    typical_use: ClassVar[str] = "fine-tuning a pre-trained galaxy encoder; a GPU"
    pretrained: ClassVar[bool] = True

    def __init__(self, in_channels: int, size: int, n_classes: int, config: TimmConfig) -> None:
        super().__init__()
        self.encoder = create(config.encoder, in_channels, size)
        digest = config.weights_sha256
        if config.weights is not None:
            digest = load_weights(self.encoder, Path(config.weights), config.weights_sha256)
        self.spec_options = {"encoder": config.encoder, "weights": None, "weights_sha256": digest}
        self.feature_dim = _feature_dim(self.encoder, in_channels, size)
        self.head = nn.Linear(self.feature_dim, n_classes)

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) and logits (B, K) of images (B, C, H, W)."""
        features = self.encoder(images)
        return Output(features, self.head(features))


def load_weights(encoder: nn.Module, path: Path, expected_sha256: str | None = None) -> str:
    """Load a safetensors file into `encoder` and return the file's sha256.

    Wrappers' prefixes are taken off, weights of classifiers are left out, and the first convolution is fitted
    to another number of bands by repeating its mean over bands, so that the sum over bands is kept.

    Raises
    ------
    DataError
        When the file is missing, not safetensors, of another content, or does not fit the encoder.
    """
    from galshift.provenance import content_sha256

    if not path.exists():
        raise DataError("there is no such weights file", where=path, hint="give a local .safetensors file")
    digest = content_sha256(path)
    if expected_sha256 is not None and digest != expected_sha256:
        raise DataError("the weights file has another content than weights_sha256 says", where=path)
    found, _ = read_safetensors(path)
    check_finite(found, path)
    wanted = encoder.state_dict()
    fitted = fit_names(found, wanted)
    missing = sorted(set(wanted) - set(fitted))
    if missing:
        raise DataError(
            f"the weights do not fit the encoder: {len(missing)} of {len(wanted)} tensors are missing or of "
            f"another shape, first '{missing[0]}'",
            where=path,
            hint="name the architecture that the weights are of with the option 'encoder'",
        )
    encoder.load_state_dict(fitted)
    return digest


def create(name: str, in_channels: int, size: int) -> nn.Module:
    """Return the encoder with pooled features and no classifier; image transformers are told the size.

    Raises
    ------
    ConfigError
        When timm is not installed, or `name` is no architecture of its.
    """
    try:
        import timm
    except ImportError:
        raise ConfigError(
            "timm is not installed",
            where="timm-encoder",
            hint="pip install 'galshift[models]' (the extra 'models')",
        ) from None
    if ":" in name or "/" in name:
        raise ConfigError(
            f"'{name}' names a file on the network",
            where="timm-encoder",
            hint="download the weights as safetensors yourself and give the architecture and 'weights'",
        )
    if not timm.is_model(name):
        raise ConfigError(
            f"timm has no encoder '{name}'", where="timm-encoder", hint=_near(name, timm.list_models())
        )
    try:
        return timm.create_model(name, pretrained=False, in_chans=in_channels, num_classes=0, img_size=size)
    except TypeError:  # convolutional networks take images of any size and no such argument
        return timm.create_model(name, pretrained=False, in_chans=in_channels, num_classes=0)


def _near(name: str, names: Any) -> str:
    stem = name.split("_")[0]
    return did_you_mean(name, [known for known in names if known.startswith(stem)][:40] or list(names)[:40])


def _feature_dim(encoder: nn.Module, in_channels: int, size: int) -> int:
    """Measure the size of the feature vector: what timm states is not always what comes out."""
    training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = encoder(torch.zeros(1, in_channels, size, size))
    encoder.train(training)
    if features.ndim != 2:
        raise ConfigError(
            f"the encoder gives features of shape {tuple(features.shape)}", where="timm-encoder"
        )
    return features.shape[1]
