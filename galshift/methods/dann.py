"""Domain-adversarial training: features that a domain classifier cannot tell apart.

References
----------
Ganin et al. 2016 (JMLR 17, 59), equations 9 and 13-18.  Comparing chosen classes only, against label
shift: GammaLearn's conditional DANN (arXiv:2308.12732).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from galshift.methods import METHODS
from galshift.methods._adversarial import (
    discriminator,
    domain_accuracy,
    domain_loss,
    ramp,
    reverse_gradient,
    standardise,
)
from galshift.methods._base import Method, MethodConfig
from galshift.types import Batch


def class_balance(memberships: Tensor) -> Tensor:
    """Return weights of mean 1 under which every class present has the same total.

    Parameters
    ----------
    memberships : Tensor
        (B, K) class probabilities, or one-hot labels; a column of zeros takes a class out of the comparison.

    Returns
    -------
    Tensor
        (B,), detached; all ones when no class has any mass.
    """
    memberships = memberships.detach()
    mass = memberships.sum(dim=0)
    present = mass > 1e-6
    shares = torch.where(present, memberships / mass.clamp_min(1e-6), memberships.new_zeros(()))
    weights = shares.sum(dim=1) * len(memberships) / present.sum().clamp_min(1)
    return weights if bool(present.any()) else torch.ones_like(weights)


class Config(MethodConfig):
    """Options of `dann`.

    Attributes
    ----------
    strength : float
        Final gradient-reversal factor; below the paper's 1, at which small networks can diverge.
    gamma : float
        Steepness of the reversal's ramp over the run.
    hidden : int
        Width of the discriminator's two hidden layers.
    conditional : bool
        Weigh both domains to equal class shares (target by predicted probabilities), so that a different
        class mix is not mistaken for a domain difference.
    classes : list of int or None
        Compare the domains on these classes only; implies `conditional`.
    """

    strength: float = Field(0.3, ge=0)
    gamma: float = Field(10.0, gt=0)
    hidden: int = Field(128, ge=1)
    conditional: bool = False
    classes: list[int] | None = None


@METHODS.register("dann")
class DANN(Method):
    """Train a domain discriminator on the features and reverse its gradient."""

    Config = Config
    reference = "Ganin et al. 2016, JMLR 17, 59"
    aligns = True
    needs_classes = False

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the discriminator; arguments as for `Method.modules`."""
        return nn.ModuleDict({"discriminator": discriminator(feature_dim, self.config.hidden)})

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``domain``, ln 2 = 0.693 at chance; arguments as for `Method.losses`."""
        strength = self.config.strength * ramp(progress, self.config.gamma)
        score = self.nets["discriminator"]
        logits = [
            score(reverse_gradient(standardise(batch.features), strength)) for batch in (source, target)
        ]
        self.observed = {"domain_accuracy": domain_accuracy(*logits), "reversal": torch.tensor(strength)}
        return {"domain": domain_loss(*logits, *self._weights(source, target))}

    def class_based(self) -> list[str]:
        """Return what reads outputs as classes: `conditional` and `classes` do."""
        own = [name for name in ("conditional", "classes") if getattr(self.config, name)]
        return [*own, *super().class_based()]

    def _weights(self, source: Batch, target: Batch) -> tuple[Tensor | None, Tensor | None]:
        c = self.config
        if not (c.conditional or c.classes):
            return None, None
        n_classes = source.logits.shape[1]
        memberships = [
            nn.functional.one_hot(source.labels, n_classes).to(source.logits.dtype),
            torch.softmax(target.logits, dim=1),
        ]
        if c.classes:
            keep = memberships[0].new_zeros(n_classes)
            keep[torch.tensor(c.classes)] = 1
            memberships = [membership * keep for membership in memberships]
        return class_balance(memberships[0]), class_balance(memberships[1])
