"""Adaptive feature norm: features of both domains grow step by step to larger, more transferable norms.

References
----------
Xu et al. 2019 (ICCV, arXiv:1811.07456), equation 5 (stepwise form).
"""

from __future__ import annotations

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


class Config(MethodConfig):
    """Options of `afn`; `weight` multiplies the term, `step` is the growth of the norms asked for."""

    weight: float = Field(0.05, ge=0)
    form: Literal["hard", "stepwise"] = "hard"
    radius: float = Field(25.0, gt=0)
    step: float = Field(1.0, gt=0)


@METHODS.register("afn")
class AFN(Method):
    """Enlarge the feature norms of both domains."""

    Config = Config
    reference = "Xu et al. 2019, arXiv:1811.07456, eq. 5"

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``afn``; arguments as for `Method.losses`."""
        c = self.config
        pair = (source.features, target.features)
        if c.form == "hard":
            return {"afn": c.weight * sum(feature_norm_distance(x, c.radius) for x in pair)}
        return {"afn": c.weight * sum(feature_norm_step(x, c.step) for x in pair)}
