"""Adaptive feature norm: features of both domains are drawn to one, or to ever larger norms.

References
----------
Xu et al. 2019 (ICCV, arXiv:1811.07456), equations 4 (hard form) and 5 (stepwise).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision
from galshift.types import Batch


def feature_norm_distance(features: Tensor, radius: float) -> Tensor:
    """Return the squared distance of the mean feature norm from `radius` (hard form).

    Parameters
    ----------
    features : Tensor
        (B, D).
    radius : float
        The norm that both domains are drawn to.
    """
    return (torch.linalg.vector_norm(full_precision(features), dim=1).mean() - radius).square()


def feature_norm_step(features: Tensor, step: float = 1.0) -> Tensor:
    """Return the mean squared shortfall of each norm from its present value plus `step`.

    Parameters
    ----------
    features : Tensor
        (B, D).
    step : float
        How far beyond its (detached) present norm each feature is drawn.

    Returns
    -------
    Tensor
        Always ``step**2``; only the gradient, ``-2 step z / (B |z|)``, carries information (zero at z = 0).
    """
    norms = torch.linalg.vector_norm(full_precision(features), dim=1)
    return (norms - (norms.detach() + step)).square().mean()


def default_radius(feature_dim: int) -> float:
    """Return the paper's radius, 25 at 1000 features, as a norm per feature: 0.8 sqrt(D)."""
    return 25.0 * math.sqrt(feature_dim / 1000)


class Config(MethodConfig):
    """Options of `afn`.

    Attributes
    ----------
    weight : float
        Multiplies the term.
    form : {"hard", "stepwise"}
        Both domains' mean norms to one radius, or every norm to its present value plus `step`; the latter
        never comes to rest, and small networks lose the classification to it.
    radius : float or None
        By default `default_radius`.
    step : float
        Growth asked for at every step.
    """

    weight: float = Field(0.003, ge=0)
    form: Literal["hard", "stepwise"] = "hard"
    radius: float | None = Field(None, gt=0)
    step: float = Field(1.0, gt=0)


@METHODS.register("afn")
class AFN(Method):
    """Bring the feature norms of both domains to one, larger value."""

    Config = Config
    reference = "Xu et al. 2019, arXiv:1811.07456, eq. 4-5"
    needs_classes = False

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``afn``; arguments as for `Method.losses`."""
        c = self.config
        pair = (source.features, target.features)
        if c.form == "hard":
            radius = c.radius or default_radius(source.features.shape[1])
            return {"afn": c.weight * sum(feature_norm_distance(x, radius) for x in pair)}
        return {"afn": c.weight * sum(feature_norm_step(x, c.step) for x in pair)}
