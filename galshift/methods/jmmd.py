"""Joint MMD of features and predictions: a feature kernel times a kernel on the predictions.

Predictions are class probabilities, or the standardised means of continuous labels.

References
----------
Long et al. 2017 (ICML, arXiv:1605.06636), equation 9, with the unbiased estimate.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision, squared_distances
from galshift.methods.mmd import Statistic, adaptive_kernel, mmd_from_kernel
from galshift.types import Batch, Output


def jmmd(
    source: Output,
    target: Output,
    *,
    n_kernels: int = 5,
    widest: float = 2.0,
    probability_scale: float = 0.92,
    statistic: Statistic = "unbiased",
    continuous: bool = False,
) -> Tensor:
    """Return the squared joint MMD of two forwarded batches.

    Parameters
    ----------
    source, target : Output
        Features (n, d) and (m, d), logits (n, K) and (m, K).
    n_kernels, widest, statistic
        Of the feature kernel, as in `mmd`.
    probability_scale : float
        Standard deviation of the Gaussian kernel on the predictions.
    continuous : bool
        The first half of the logits are means of continuous labels, not class scores.

    Returns
    -------
    Tensor
        Scalar; equal to `mmd` of the features when every prediction is the same.
    """
    features = torch.cat([full_precision(source.features), full_precision(target.features)])
    logits = torch.cat([full_precision(source.logits), full_precision(target.logits)])
    p = logits.chunk(2, dim=1)[0] if continuous else torch.softmax(logits, dim=1)
    kernel = adaptive_kernel(squared_distances(features, features), n_kernels, widest)
    kernel = kernel * torch.exp(squared_distances(p, p) * (-0.5 / probability_scale**2))
    return mmd_from_kernel(kernel, len(source.features), statistic)


class Config(MethodConfig):
    """Options of `jmmd`; `weight` multiplies the term."""

    weight: float = Field(1.0, ge=0)
    n_kernels: int = Field(5, ge=1, le=40)
    widest: float = Field(2.0, gt=0)
    probability_scale: float = Field(0.92, gt=0)
    statistic: Statistic = "unbiased"


@METHODS.register("jmmd")
class JMMD(Method):
    """Minimise the joint maximum mean discrepancy of features and predictions."""

    Config = Config
    reference = "Long et al. 2017, arXiv:1605.06636, eq. 9"
    aligns = True
    needs_classes = False

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``jmmd``; arguments as for `Method.losses`."""
        c = self.config
        value = jmmd(
            source.output,
            target.output,
            n_kernels=c.n_kernels,
            widest=c.widest,
            probability_scale=c.probability_scale,
            statistic=c.statistic,
            continuous=self.label_kind == "value",
        )
        return {"jmmd": c.weight * value}
