"""An affine map of an encoder's features in front of the classifier, one for each domain.

The maps are measured once, before training, on all training images of both domains; training and validation
on the source see the source's, and the target's is folded into the classifier at the end, so that the
network is again the one that its own spec describes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from galshift.errors import ConfigError
from galshift.methods._base import Method
from galshift.methods._domain_batchnorm import Domain

# Of the mean variance of all features: what is added to each, so that a feature that hardly varies is not
# blown up into noise.
RIDGE = 1e-3


class FeatureMap(nn.Module):
    """Two affine maps of features and a switch: rows x become ``x W + b``.

    Parameters
    ----------
    width : int
        D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        for domain in ("source", "target"):
            self.register_buffer(f"weight_{domain}", torch.eye(width))
            self.register_buffer(f"bias_{domain}", torch.zeros(width))
        self.domain: Domain = "source"

    def put(self, domain: Domain, weight: Tensor, bias: Tensor) -> None:
        """Set the map of a domain to `weight` (D, D) and `bias` (D,)."""
        getattr(self, f"weight_{domain}").copy_(weight)
        getattr(self, f"bias_{domain}").copy_(bias)

    def of(self, domain: Domain, features: Tensor) -> Tensor:
        """Return the features (B, D) of a domain as the classifier sees them."""
        return features @ getattr(self, f"weight_{domain}") + getattr(self, f"bias_{domain}")

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, D) as those of the chosen domain."""
        return self.of(self.domain, features)


class FixedFeatures(Method):
    """A method that maps features that do not change, each domain's by what all its images show."""

    own_forward = True
    by_domain = True
    fixed_features: ClassVar[bool] = True

    def prepare(self, model: nn.Module) -> nn.Module:
        """Put the maps in front of the classifier, which must be one linear layer.

        Raises
        ------
        ConfigError
            When it is another kind of layer.
        """
        if not isinstance(getattr(model, "head", None), nn.Linear):
            raise ConfigError("this method needs a classifier of one linear layer", where="model")
        model.head = nn.Sequential(FeatureMap(model.head.in_features), model.head)
        return super().prepare(model)

    def start(self, model: nn.Module, source: Iterable[Tensor], target: Iterable[Tensor]) -> None:
        """Measure both domains and set the maps."""
        maps = self.maps(features_of(model, source), features_of(model, target))
        for domain, (weight, bias) in zip(("source", "target"), maps, strict=True):
            model.head[0].put(domain, weight, bias)

    def maps(self, source: Tensor, target: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return (W, b) of each domain from all its features, (N, D) and (M, D) float64."""
        raise TypeError(f"{type(self).__name__} has no maps()")

    def finish(self, model: nn.Module, target_images: Iterable[Tensor]) -> None:
        """Fold the target's map into the classifier: ``(x W + b) V' + c`` is one linear layer."""
        super().finish(model, target_images)
        found, linear = model.head
        weight, bias = found.weight_target.double(), found.bias_target.double()
        with torch.no_grad():
            linear.bias.copy_(linear.bias.double() + linear.weight.double() @ bias)
            linear.weight.copy_(linear.weight.double() @ weight.T)
        model.head = linear


@torch.no_grad()
def features_of(model: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """Return the features (N, D) float64 of batches of network input, in evaluation mode."""
    training = model.training
    model.eval()
    found = torch.cat([model(images).features.double() for images in batches])
    model.train(training)
    return found


def scaling(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return (W, b), W diagonal, that give features (N, D) zero mean and unit variance each.

    A share `RIDGE` of the mean variance is added to every variance, so that of a feature that does not vary
    nothing is made.
    """
    mean, variance = features.mean(dim=0), features.var(dim=0, correction=0)
    scale = (variance + RIDGE * variance.mean().clamp(min=1e-12)).rsqrt()
    return torch.diag(scale), -mean * scale
