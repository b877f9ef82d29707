"""GradNorm: weights under which both losses pull on the features at comparable rates.

References
----------
Chen et al. 2018 (ICML, arXiv:1711.02257), equations 1-2, with the gradients taken at the features rather than
at the last shared layer's weights, which costs no second pass through the network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from galshift.methods.weighting import WEIGHTINGS
from galshift.methods.weighting._base import Weighting

ALPHA = 1.0


@WEIGHTINGS.register("gradnorm")
class GradNorm(Weighting):
    """Learn two weights of sum 2 under which gradient norms follow the losses' relative training rates."""

    reference = "Chen et al. 2018, arXiv:1711.02257"

    def __init__(self) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(2))
        self.register_buffer("first", torch.full((2,), float("nan")))

    def weights(self, progress: float) -> Tensor:
        """Return the two weights, positive, of sum 2."""
        return 2 * torch.softmax(self.raw, dim=0)

    def combine(
        self, supervised: Tensor, adaptation: Tensor, features: Sequence[Tensor], progress: float
    ) -> Tensor:
        """Return the weighted sum, plus a term that moves the weights alone; see `Weighting.combine`."""
        losses = torch.stack([supervised, adaptation])
        weights = self.weights(progress)
        total = (weights.detach() * losses).sum()
        if not self.training or not torch.is_grad_enabled() or not total.requires_grad:
            return total
        if not bool(torch.isfinite(self.first).all()):
            self.first.copy_(losses.detach())
        norms = torch.stack([gradient_norm(loss, features) for loss in (supervised, adaptation)])
        rates = losses.detach().abs() / self.first.abs().clamp_min(1e-8)
        rates = (rates / rates.mean().clamp_min(1e-8)).clamp(0.1, 10.0)
        weighed = weights * norms
        goal = weighed.detach().mean() * rates**ALPHA
        distance = (weighed - goal).abs().sum() / weighed.detach().mean().clamp_min(1e-8)
        # Only its gradient is wanted: the value would mix the weights' own signal into the logged loss.
        return total + distance - distance.detach()


def gradient_norm(loss: Tensor, features: Sequence[Tensor]) -> Tensor:
    """Return the norm of the gradient of `loss` at all `features` together; 0 where none is reached."""
    reachable = [x for x in features if x.requires_grad]
    if not reachable or not loss.requires_grad:
        return loss.detach() * 0
    gradients = torch.autograd.grad(loss, reachable, retain_graph=True, allow_unused=True)
    squares = [g.square().sum() for g in gradients if g is not None]
    return torch.stack(squares).sum().sqrt() if squares else loss.detach() * 0
