"""Debiased Sinkhorn divergence between source and target features, with the dynamic blur of SIDDA.

S(a, b) = OT(a, b) - (OT(a, a) + OT(b, b)) / 2, where OT is entropic transport at the cost |x - y|^2 / 2 and
temperature blur^2, in its dual form, which is zero at a = b.

References
----------
Feydy et al. 2019 (AISTATS, arXiv:1810.08278), equation 3 and algorithm 1; Pandya et al. 2025 (SIDDA,
arXiv:2501.14048) for the blur that follows the features.  SIDDA's own settings are ``relative_blur: 0.05,
weighting: learned, weight: 1``; between small batches so sharp a plan mostly matches chance: the default is
wider.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision, squared_distances
from galshift.types import Batch


def sinkhorn_divergence(
    source: Tensor,
    target: Tensor,
    *,
    blur: float | None = None,
    relative_blur: float = 0.25,
    min_blur: float = 0.01,
    scaling: float = 0.7,
    polish: int = 2,
    diameter: Literal["all", "between"] = "all",
    anneal_from: Literal["pairs", "box"] = "pairs",
) -> Tensor:
    """Return the debiased Sinkhorn divergence of two clouds of equal weights.

    Parameters
    ----------
    source, target : Tensor
        (n, d) and (m, d).
    blur : float, optional
        Length below which differences are smoothed over, in units of the features.  By default
        `relative_blur` of the largest pairwise distance, at least `min_blur`.
    scaling : float
        Factor in (0, 1) between the blurs of consecutive annealing steps; nearer 1 is nearer convergence.
    polish : int
        Further iterations at the final blur.
    diameter : {"all", "between"}
        Whether the largest distance that `relative_blur` is a fraction of is sought among all pairs, or, as
        SIDDA does, among those of one row of `source` and one of `target`.
    anneal_from : {"pairs", "box"}
        The blur that the annealing falls from: the last multiple of the final one below the largest pairwise
        distance, or, twice, the diagonal of the box around both clouds, as GeomLoss has it.  The clouds of
        a batch do not converge in either; their gradients differ by some per cent.

    Returns
    -------
    Tensor
        Scalar >= 0 up to convergence; exactly 0 for the same rows in the same order.  The gradient is the
        difference of barycentres (envelope theorem) and is not differentiable again.
    """
    x, y = full_precision(source), full_precision(target)
    with torch.no_grad():
        costs = Costs.between(x, y)
        widest = costs.diameter()
        if not math.isfinite(widest):
            return (x.sum() + y.sum()) * float("nan")
        measure = widest if diameter == "all" else costs.diameter(within=False)
        final = max(relative_blur * measure, min_blur) if blur is None else blur
        if anneal_from == "pairs":
            temperatures = annealing(widest, final, scaling, polish)
        else:
            temperatures = annealing_from(_diagonal(x, y), final, scaling, polish)
        value, gradient_x, gradient_y = _solve(costs, x, y, temperatures)
    # The value carries no graph; these two sums are zero and carry the gradient.
    lift = ((x - x.detach()) * gradient_x).sum() + ((y - y.detach()) * gradient_y).sum()
    return value + lift


class Costs:
    """The three cost matrices of a divergence."""

    def __init__(self, xy: Tensor, xx: Tensor, yy: Tensor) -> None:
        self.xy, self.xx, self.yy = xy, xx, yy

    @classmethod
    def between(cls, x: Tensor, y: Tensor) -> Costs:
        """Return half the squared distances between and within (n, d) `x` and (m, d) `y`."""
        both = torch.cat([x, y])
        half = 0.5 * squared_distances(both, both).fill_diagonal_(0)
        n = len(x)
        return cls(half[:n, n:].contiguous(), half[:n, :n].contiguous(), half[n:, n:].contiguous())

    def diameter(self, *, within: bool = True) -> float:
        """Return the largest pairwise distance; without `within`, of pairs from both clouds alone."""
        costs = (self.xy, self.xx, self.yy) if within else (self.xy,)
        return math.sqrt(2 * max(float(cost.max()) for cost in costs))


def annealing(diameter: float, blur: float, scaling: float, polish: int) -> list[float]:
    """Return the temperatures blur^2, falling from the diameter; the last comes `polish` times more."""
    steps = max(math.ceil(math.log(max(diameter / blur, 1.0)) / -math.log(scaling)), 0)
    return [(blur * scaling**-k) ** 2 for k in range(steps, 0, -1)] + [blur**2] * (1 + polish)


def annealing_from(start: float, blur: float, scaling: float, polish: int) -> list[float]:
    """Return the temperatures of `start`, twice, then falling from it while above `blur`, and of `blur`.

    The schedule of Feydy et al. 2019, algorithm 1; the last comes `polish` times more.
    """
    steps = max(math.ceil(math.log(max(start / blur, 1.0)) / -math.log(scaling)), 0)
    return [start**2] + [(start * scaling**k) ** 2 for k in range(steps)] + [blur**2] * (1 + polish)


def _diagonal(x: Tensor, y: Tensor) -> float:
    """The diagonal of the box, along the axes, around both clouds."""
    low, high = torch.cat([x, y]).aminmax(dim=0)
    return float((high - low).norm())


def _soft_minimum(cost: Tensor, potential: Tensor, temperature: float) -> Tensor:
    """Return -T log mean_j exp((potential_j - cost_ij) / T)."""
    scores = (potential - cost) / temperature
    return -temperature * (torch.logsumexp(scores, dim=1) - math.log(len(potential)))


def _solve(costs: Costs, x: Tensor, y: Tensor, temperatures: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the divergence and its gradients with respect to `x` and `y`."""
    xy, yx, xx, yy = costs.xy, costs.xy.T.contiguous(), costs.xx, costs.yy
    t = temperatures[0]
    f, g = _soft_minimum(xy, xy.new_zeros(len(y)), t), _soft_minimum(yx, yx.new_zeros(len(x)), t)
    p, q = _soft_minimum(xx, xx.new_zeros(len(x)), t), _soft_minimum(yy, yy.new_zeros(len(y)), t)
    for t in temperatures:
        # Averaged simultaneous updates keep x and y on a par, so that equal clouds give exactly zero.
        f, g = 0.5 * (f + _soft_minimum(xy, g, t)), 0.5 * (g + _soft_minimum(yx, f, t))
        p, q = 0.5 * (p + _soft_minimum(xx, p, t)), 0.5 * (q + _soft_minimum(yy, q, t))
    plan_xy = torch.softmax((g - xy) / t, dim=1)
    plan_yx = torch.softmax((f - yx) / t, dim=1)
    plan_xx = torch.softmax((p - xx) / t, dim=1)
    plan_yy = torch.softmax((q - yy) / t, dim=1)
    f, g = _soft_minimum(xy, g, t), _soft_minimum(yx, f, t)
    p, q = _soft_minimum(xx, p, t), _soft_minimum(yy, q, t)
    value = (f - p).mean() + (g - q).mean()
    return value, (plan_xx @ x - plan_xy @ y) / len(x), (plan_yy @ y - plan_yx @ x) / len(y)


class Config(MethodConfig):
    """Options of `sinkhorn`; `weight` multiplies the term, the others are as in `sinkhorn_divergence`."""

    newer: ClassVar[Mapping[str, Any]] = {**MethodConfig.newer, "diameter": "all", "anneal_from": "pairs"}

    weight: float = Field(0.03, ge=0)
    blur: float | None = Field(None, gt=0)
    relative_blur: float = Field(0.25, gt=0)
    min_blur: float = Field(0.01, gt=0)
    scaling: float = Field(0.7, gt=0, lt=1)
    polish: int = Field(2, ge=0)
    diameter: Literal["all", "between"] = "all"
    anneal_from: Literal["pairs", "box"] = "pairs"


@METHODS.register("sinkhorn")
class Sinkhorn(Method):
    """Minimise the debiased Sinkhorn divergence of the features."""

    Config = Config
    reference = "Feydy et al. 2019, arXiv:1810.08278; Pandya et al. 2025 (SIDDA), arXiv:2501.14048"
    aligns = True
    needs_classes = False

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``sinkhorn``; arguments as for `Method.losses`."""
        c = self.config
        value = sinkhorn_divergence(
            source.features,
            target.features,
            blur=c.blur,
            relative_blur=c.relative_blur,
            min_blur=c.min_blur,
            scaling=c.scaling,
            polish=c.polish,
            diameter=c.diameter,
            anneal_from=c.anneal_from,
        )
        return {"sinkhorn": c.weight * value}
