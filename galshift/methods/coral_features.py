"""CORAL on fixed features: the source's features take the target's covariance before the head is trained.

References
----------
Sun, Feng & Saenko 2016 (AAAI, arXiv:1511.05547), algorithm 1: ``D_s (C_s + I)^(-1/2) (C_t + I)^(1/2)``, on
features that were standardised in each domain.  The trainable form, Deep CORAL, is the method ``coral``.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import MethodConfig
from galshift.methods._feature_map import FixedFeatures, scaling
from galshift.methods.coral import covariance


class Config(MethodConfig):
    """Options of `coral-features`."""

    ridge: float = Field(
        1.0, gt=0, description="Added to the variances of the standardised features; 1 in the paper."
    )


def recolouring(source: Tensor, target: Tensor, ridge: float = 1.0) -> Tensor:
    """Return the (D, D) matrix A that gives rows of `source` the covariance of `target`.

    ``A = (C_s + r I)^(-1/2) (C_t + r I)^(1/2)``, the symmetric roots.

    Parameters
    ----------
    source, target : Tensor
        (N, D) and (M, D), float64.
    ridge : float
        r > 0.
    """
    return _power(covariance(source), ridge, -0.5) @ _power(covariance(target), ridge, 0.5)


def _power(symmetric: Tensor, ridge: float, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    return (vectors * (values.clamp(min=0) + ridge) ** exponent) @ vectors.T


@METHODS.register("coral-features")
class CoralFeatures(FixedFeatures):
    """Give the source's features the target's covariance, then train the head; needs fixed features."""

    Config = Config
    reference = "Sun, Feng & Saenko 2016, arXiv:1511.05547, algorithm 1"
    aligns = True
    needs_classes = False

    def maps(self, source: Tensor, target: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the source's standardisation and recolouring, and the target's standardisation."""
        (weight, bias), (target_weight, target_bias) = scaling(source), scaling(target)
        recoloured = recolouring(
            source @ weight + bias, target @ target_weight + target_bias, self.config.ridge
        )
        return (weight @ recoloured, bias @ recoloured), (target_weight, target_bias)
