'''Networks: one file per architecture, each returning ``Output(features, logits)``.

Adding one
----------
A network is a torch module that is built from the number of bands, the image's side and the number of
classes, and returns features and logits::

    """One convolution and a linear layer."""

    from pydantic import Field
    from torch import nn

    from galshift.models import MODELS, Network, NetworkConfig, Output


    class Config(NetworkConfig):
        """Options of `tiny`."""

        width: int = Field(8, ge=1, description="Channels.")


    @MODELS.register("tiny")
    class Tiny(Network):
        """One convolution, averaged over the image."""

        Config = Config
        reference = "Author 2026"
        typical_use = "a first look"

        def __init__(self, in_channels, size, n_classes, config):
            super().__init__()
            self.encoder = nn.Sequential(
                nn.Conv2d(in_channels, config.width, 5, stride=2), nn.BatchNorm2d(config.width), nn.ReLU(),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            )
            self.feature_dim = config.width
            self.head = nn.Linear(config.width, n_classes)

        def forward(self, images):
            """Return features (B, D) and logits (B, K) of images (B, C, size, size)."""
            features = self.encoder(images)
            return Output(features, self.head(features))

Inside galshift it is the file ``galshift/models/tiny.py``; in a package of its own it is named by an entry
point::

    [project.entry-points."galshift.models"]
    tiny = "your_package.tiny:Tiny"

``galshift list models``, ``--model tiny``, ``--set model.width=16``, recipes and Python know it at once, and
checkpoints are rebuilt from its name, its options and its ``version``: raise that when its numbers change.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.models._base import Network, NetworkConfig
    from galshift.types import Output

MODELS = Registry("model", "galshift.models", exclude=("build", "precision", "tuning"))

__all__ = ["MODELS", "Network", "NetworkConfig", "Output"]
__getattr__ = lazily(
    __name__,
    {"galshift.models._base": ("Network", "NetworkConfig"), "galshift.types": ("Output",)},
)
