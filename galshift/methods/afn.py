"""Adaptive feature norm: features of both domains grow step by step to larger, more transferable norms.

References
----------
Xu et al. 2019 (ICCV, arXiv:1811.07456), equation 5 (stepwise form).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision
from galshift.types import Batch


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
    step: float = Field(1.0, gt=0)


@METHODS.register("afn")
class AFN(Method):
    """Enlarge the feature norms of both domains."""

    Config = Config
    reference = "Xu et al. 2019, arXiv:1811.07456, eq. 5"

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``afn``; arguments as for `Method.losses`."""
        c = self.config
        value = feature_norm_step(source.features, c.step) + feature_norm_step(target.features, c.step)
        return {"afn": c.weight * value}
