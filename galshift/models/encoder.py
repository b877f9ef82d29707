"""A pre-trained encoder from local weights (--model FOLDER, FILE or RUN); a few hundred labels.

Folders are in Hugging Face layout, ``config.json`` and ``model.safetensors`` in timm's key names, as Zoobot's
convnext_pico and convnext_nano (Walmsley et al. 2023, JOSS 8, 5312) and DINOv2's ViT-S (Oquab et al. 2023,
arXiv:2304.07193) are handed out.  Nothing is downloaded, tensors alone are read, nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from galshift.errors import ConfigError, DataError, GalshiftError
from galshift.models import MODELS
from galshift.models._base import Network
from galshift.models._budget import TooLarge, check_numbers, too_large, within
from galshift.models._encoder_input import (
    HALVED,
    IMAGENET_MEAN,
    IMAGENET_STD,
    LARGEST,
    EncoderInput,
    Intake,
    near_size,
    with_size,
)
from galshift.models._families import body, describe, named, picture_facts
from galshift.models._vit_encoder import on_grid
from galshift.models._weights import Weights, check_finite, fit_names, read_weights
from galshift.plain import one_line
from galshift.types import Output, Strict

# A picture's 0 ... 1 in stretched values; a galshift run takes stretched values as they are.
PICTURE_RANGE, OWN_RANGE = (-1.0, 6.0), (0.0, 1.0)


class EncoderConfig(EncoderInput):
    """Options of a pre-trained encoder."""

    path: str | None = Field(
        None, description="Folder (config.json, model.safetensors), file of tensors, or galshift run."
    )
    sha256: str | None = Field(None, description="Content that the file of weights must have.")
    architecture: str | None = Field(
        None,
        description="Name such as convnext_nano; config.json says it, small ones are recognised.",
    )
    low: float | None = Field(
        None, description="Stretched value that becomes 0 in the encoder's range; -1 (a run: as it is)."
    )
    high: float | None = Field(
        None, description="Stretched value that becomes 1 in the encoder's range; 6 (a run: as it is)."
    )
    network: dict[str, Any] | None = Field(
        None, description="What a checkpoint keeps of the network; not given by hand."
    )


@MODELS.register("encoder")
class Encoder(Network):
    """A pre-trained encoder for any number of bands and any size, under a linear head."""

    Config: ClassVar[type[Strict]] = EncoderConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Walmsley et al. 2023, JOSS 8, 5312; Oquab et al. 2023, arXiv:2304.07193"
    typical_use: ClassVar[str] = "a few hundred labels; features frozen or tuned"
    pretrained: ClassVar[bool] = True

    def __init__(self, in_channels: int, size: int, n_classes: int, config: EncoderConfig) -> None:
        super().__init__()
        weights = None if config.path is None else read_weights(config.path)
        if weights is not None and config.sha256 not in (None, weights.sha256):
            raise DataError("the file of weights has another content than sha256 says", where=weights.path)
        if weights is not None:
            check_finite(weights.tensors, weights.path)
        network = config.network if weights is None else described(weights, config.architecture)
        if network is None:
            raise ConfigError(
                "an encoder needs its weights", where="encoder", hint="give a folder or file: --model FOLDER"
            )
        with _damage_told(weights):
            given = with_facts(config, network, weights)
            self.intake = Intake(in_channels, _channels(network), given)
            self.encoder = body(network, given.size or size)
            if weights is not None:
                fill(self.encoder, named(network, weights.tensors, given.size or size), weights)
            self.feature_dim = _feature_dim(self.encoder, _channels(network), given.size or size)
        self.head = nn.Linear(self.feature_dim, n_classes)
        self.spec_options = {
            **given.model_dump(mode="json"),
            "path": None,
            "sha256": config.sha256 if weights is None else weights.sha256,
            "architecture": config.architecture,
            "network": network,
        }

    def resized(self, share: float) -> Network | None:
        """Return a copy that is given images of another size; as `Network.resized`.

        Transformers' positions are interpolated.  Other runs' networks and timm's, which may take one size
        only, have no such copy.
        """
        network = self.spec_options["network"]
        step = {"vit": network.get("patch"), "convnext": HALVED}.get(network["family"])
        size = None if step is None else near_size(self.intake.size or self.spec["size"], share, step)
        if size is None:
            return None
        other = with_size(self, size)
        if network["family"] == "vit":
            positions = other.encoder.positions
            other.encoder.positions = nn.Parameter(on_grid(positions.detach(), size // step))
        return other

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) and logits (B, K) of images (B, C, H, W)."""
        features = self.encoder(self.intake(images))
        return Output(features, self.head(features))


def described(weights: Weights, architecture: str | None) -> dict[str, Any]:
    """Return the network that `weights` are of, whatever their description says.

    Raises
    ------
    ConfigError, DataError
        As :func:`galshift.models._families.describe`, and when the description makes no sense.
    """
    check_numbers(weights.spec, weights.path)
    with _damage_told(weights):
        network = describe(weights, architecture)
    check_numbers(network, weights.path)
    return network


@contextmanager
def _damage_told(weights: Weights | None) -> Iterator[None]:
    """Within what the tensors allow, turn what a changed description can do into one sentence."""
    if weights is None:
        yield
        return
    try:
        with within(weights.tensors.values()):
            yield
    except GalshiftError:
        raise
    except TooLarge:
        raise too_large(weights.path) from None
    except Exception as error:  # what is said of weights may be of any type and size
        raise DataError(
            f"what is said of these weights makes no sense: {one_line(error, 160)}", where=weights.path
        ) from error


def with_facts(config: EncoderConfig, network: dict[str, Any], weights: Weights | None) -> EncoderInput:
    """Return the encoder's input: what the options say, else its own ``config.json``, else the usual."""
    own = network["family"] == "galshift"
    facts = {} if weights is None else picture_facts(weights.facts)
    side = network["spec"]["size"] if own else min(int(facts.get("input_size", (3, LARGEST))[1]), LARGEST)
    if "patch" in network:
        side = side // network["patch"] * network["patch"]
    low, high = OWN_RANGE if own else PICTURE_RANGE
    channels = _channels(network)
    mean = facts.get("mean", [0.0] if own else IMAGENET_MEAN)
    std = facts.get("std", [1.0] if own else IMAGENET_STD)
    return EncoderInput(
        size=side if config.size is None else config.size,
        low=low if config.low is None else config.low,
        high=high if config.high is None else config.high,
        reverse_bands=config.reverse_bands,
        mean=config.mean or _by_channel(mean, channels),
        std=config.std or _by_channel(std, channels),
    )


def fill(encoder: nn.Module, tensors: dict[str, Tensor], weights: Weights) -> None:
    """Put `tensors` into `encoder`; what a classifier or a decoder has beyond it is left out.

    Raises
    ------
    DataError
        Naming the first tensor that is missing or of another shape.
    """
    wanted = encoder.state_dict()
    fitted = fit_names(tensors, wanted)
    missing = [name for name in wanted if name not in fitted]
    if missing:
        wrong = tensors.get(missing[0])
        trouble = "is missing" if wrong is None else f"has the shape {tuple(wrong.shape)}"
        raise DataError(
            f"the weights do not fit their architecture: {len(missing)} of {len(wanted)} tensors, first "
            f"'{missing[0]}', which {trouble}",
            where=weights.path,
            hint="name the architecture that they are of: --set model.architecture=NAME",
        )
    encoder.load_state_dict(fitted)


def _channels(network: dict[str, Any]) -> int:
    return int(network["spec"]["in_channels"] if network["family"] == "galshift" else network["channels"])


def _by_channel(values: Any, channels: int) -> tuple[float, ...]:
    """One value a channel; an encoder of another number of channels than its facts say takes their mean."""
    values = [float(value) for value in values]
    return tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels


def _feature_dim(encoder: nn.Module, channels: int, size: int) -> int:
    """The size of the feature vector, measured: what is stated is not always what comes out."""
    training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = encoder(torch.zeros(1, channels, size, size))
    encoder.train(training)
    if features.ndim != 2:
        raise ConfigError(f"the encoder gives features of shape {tuple(features.shape)}", where="encoder")
    return features.shape[1]
