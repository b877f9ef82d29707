"""Entropy separation: known classes to low, unknown ones to high entropy, about a level that the target sets.

DANCE separates at a fixed entropy, ln(K) / 2, with a fixed margin of 0.5.  A network that is sure of itself
gives even unknown images less entropy than that, and with few classes nothing passes the margin: the unknown
are then driven to certainty with all others.  Here the level is the mean entropy of all target images as last
seen, and the margin a factor about it, so that the least certain images, however certain, are told apart.

References
----------
Saito et al. 2020 (NeurIPS, arXiv:2002.07953), equation 7; Liu et al. 2020 (NeurIPS, arXiv:2010.03759) for the
score by free energy.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from galshift.methods._memory import Memory
from galshift.methods._probabilities import entropy

# Across a wide gap many known images are uncertain too; a smaller factor would drive them away as unknown.
MARGIN = 2.0
# As fractions of ln K: below the first every image is certain, above the second none is.
FLOOR, CEILING = 0.02, 0.9


def entropy_separation(logits: Tensor, level: Tensor | float, margin: float = MARGIN) -> Tensor:
    """Return minus the mean distance of the entropies from a level, counted outside a factor of it.

    Parameters
    ----------
    logits : Tensor
        (B, K).
    level : Tensor or float
        Entropy [nats] that parts known from unknown.
    margin : float
        Factor > 1: entropies between ``level / margin`` and ``level * margin`` do not count.

    Returns
    -------
    Tensor
        Scalar in [-ln K, 0].
    """
    h = entropy(logits)
    counts = (h < level / margin) | (h > level * margin) | h.isnan()
    return -torch.where(counts, (h - level).abs(), torch.zeros_like(h)).mean()


class Separation(nn.Module):
    """The separation loss, with a memory of every target image's entropy and free energy.

    Parameters
    ----------
    n_target, n_classes : int
        Target images, and K.
    """

    def __init__(self, n_target: int, n_classes: int) -> None:
        super().__init__()
        self.memory = Memory(n_target, 2)
        self.log_k = math.log(n_classes)

    def level(self) -> Tensor:
        """Return the mean entropy of the images seen, in [0.02, 0.9] ln K; ln(K) / 2 before any was."""
        seen = self.memory.seen
        if not bool(seen.any()):
            return self.memory.rows.new_tensor(0.5 * self.log_k)
        return self.memory.rows[seen, 0].mean().clamp(FLOOR * self.log_k, CEILING * self.log_k)

    def forward(self, index: Tensor, logits: Tensor, margin: float = MARGIN) -> Tensor:
        """Remember the entropies of the images `index` (B,) and return their separation loss."""
        self.memory.remember(index, torch.stack([entropy(logits), free_energy(logits)], dim=1))
        return entropy_separation(logits, self.level().to(logits.dtype), margin)

    def unknown_score(self, logits: Tensor) -> Tensor:
        """Return how far the free energy exceeds the target's mean, in [0, 1]; above 0.5: an unknown class.

        The energy, unlike the entropy, also sees that no class has any evidence; on galaxies it ranks better.
        """
        energy = free_energy(logits)
        seen = self.memory.rows[self.memory.seen, 1].to(energy.dtype)
        if len(seen) < 2:
            return torch.sigmoid(energy)
        return torch.sigmoid((energy - seen.mean()) / seen.std().clamp_min(1e-6))


def free_energy(logits: Tensor) -> Tensor:
    """Return ``-log sum exp`` of each row of (B, K) logits: high where no class has evidence."""
    return -torch.logsumexp(logits, dim=1)
