"""DANCE: target samples cluster with neighbours or class prototypes, and unknown ones keep a high entropy.

References
----------
Saito et al. 2020 (NeurIPS, arXiv:2002.07953), equations 3-7; threshold and margin follow the
target's entropies.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._memory import Memory
from galshift.methods._probabilities import entropy
from galshift.methods._separation import MARGIN, Separation
from galshift.types import Batch, Output


def neighbourhood_entropy(
    features: Tensor, prototypes: Tensor, bank: Tensor, allowed: Tensor, temperature: float = 0.05
) -> Tensor:
    """Return the mean entropy of the similarity of each sample to prototypes and remembered neighbours.

    Parameters
    ----------
    features : Tensor
        (B, D) target features, of unit length.
    prototypes : Tensor
        (K, D), of unit length.
    bank : Tensor
        (N, D) remembered features, of unit length.
    allowed : Tensor
        (B, N) bool; which neighbours count for which sample.
    temperature : float
        Divides the cosines.
    """
    cosines = torch.cat([features @ prototypes.T, features @ bank.T], dim=1)
    counts = torch.cat([allowed.new_ones(len(features), len(prototypes)), allowed], dim=1)
    # A finite fill: its softmax is exactly zero, and zero times minus infinity would be NaN.
    similarity = (cosines / temperature).masked_fill(~counts, -1e4)
    return entropy(similarity).mean()


class Config(MethodConfig):
    """Options of `dance`.

    Attributes
    ----------
    weight : float
        Multiplies clustering and separation (eta in the paper).
    temperature : float
        Of the cosine similarities.
    margin : float
        Factor about the entropy that parts known from unknown, within which neither is separated.
    """

    weight: float = Field(0.05, ge=0)
    temperature: float = Field(0.05, gt=0)
    margin: float = Field(MARGIN, gt=1)


@METHODS.register("dance")
class DANCE(Method):
    """Neighbourhood clustering and entropy separation with a memory of all target features."""

    Config = Config
    reference = "Saito et al. 2020, arXiv:2002.07953"
    scoring = ("separation",)

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return cosine prototypes and the memories; arguments as for `Method.modules`."""
        return nn.ModuleDict(
            {
                "prototypes": nn.Linear(feature_dim, n_classes, bias=False),
                "memory": Memory(n_target, feature_dim),
                "separation": Separation(n_target, n_classes),
            }
        )

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``prototypes``, ``clustering`` and ``separation``; arguments as for `Method.losses`."""
        c, memory = self.config, self.nets["memory"]
        prototypes = normalize(self.nets["prototypes"].weight, dim=1)
        cosines = normalize(source.features, dim=1) @ prototypes.T
        features = normalize(target.features, dim=1)
        memory.remember(target.index, features)
        bank, allowed = memory.others(target.index)
        clustering = neighbourhood_entropy(
            features, prototypes, bank.to(features.dtype), allowed, c.temperature
        )
        return {
            "prototypes": c.weight * cross_entropy(cosines / c.temperature, source.labels),
            "clustering": c.weight * clustering,
            "separation": c.weight * self.nets["separation"](target.index, target.logits, c.margin),
        }

    def unknown_score(self, output: Output) -> Tensor:
        """Return the free energy against the target's; arguments as for `Method.unknown_score`."""
        return self.nets["separation"].unknown_score(output.logits)
