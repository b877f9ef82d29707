"""Maximum mean discrepancy between source and target features, with several Gaussian kernels.

References
----------
Gretton et al. 2012 (JMLR 13, 723), equations 3 (unbiased) and 5 (biased); Long et al. 2015 (ICML,
arXiv:1502.02791) for the several kernels.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision, median_off_diagonal, squared_distances
from galshift.types import Batch

# The variances of the merger papers (Ciprijanovic et al. 2021), in squared feature units.
MERGER_VARIANCES = (
    *(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0),
    *(100.0, 1e3, 1e4, 1e5, 1e6),
)

Statistic = Literal["unbiased", "biased"]


class _GaussianKernels(torch.autograd.Function):
    """Value and slope in one pass: autograd would keep and revisit every kernel's matrix."""

    @staticmethod
    def forward(
        context: torch.autograd.function.FunctionCtx, d2: Tensor, widest: Tensor, n_kernels: int
    ) -> Tensor:
        rate = -0.5 / widest
        kernel = torch.exp(d2 * rate)
        total, slope = kernel.clone(), kernel.clone()
        for power in range(1, n_kernels):
            kernel.square_()
            total += kernel
            slope.add_(kernel, alpha=2.0**power)
        context.save_for_backward(slope.mul_(rate / n_kernels))
        return total.div_(n_kernels)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = context.saved_tensors
        return gradient * slope, None, None


def gaussian_kernels(d2: Tensor, widest: Tensor, n_kernels: int) -> Tensor:
    """Return the mean of Gaussian kernels whose variances halve from the widest down.

    Each narrower kernel is the square of the one before, so one exponential serves all.

    Parameters
    ----------
    d2 : Tensor
        Squared distances; the gradient reaches them alone, and is not differentiable again.
    widest : Tensor
        Variance of the widest kernel, > 0.
    n_kernels : int
        How many.
    """
    return _GaussianKernels.apply(d2, widest, n_kernels)


def adaptive_kernel(d2: Tensor, n_kernels: int = 5, widest: float = 2.0) -> Tensor:
    """Return averaged Gaussian kernels scaled by the median off-diagonal squared distance (detached).

    Parameters
    ----------
    d2 : Tensor
        (N, N) squared distances of both clouds together.
    n_kernels : int
        Number of kernels; variances halve from one to the next.
    widest : float
        Variance of the widest kernel in units of the median.
    """
    floor = torch.finfo(d2.dtype).eps
    scale = (widest * median_off_diagonal(d2)).clamp_min(floor)
    return gaussian_kernels(d2, scale, n_kernels)


def fixed_kernel(d2: Tensor, variances: tuple[float, ...] = MERGER_VARIANCES) -> Tensor:
    """Return the sum of Gaussian kernels ``exp(-d2 / (2 s))`` of fixed variances `s`."""
    return torch.stack([torch.exp(d2 * (-0.5 / s)) for s in variances]).sum(dim=0)


def mmd_from_kernel(kernel: Tensor, n_source: int, statistic: Statistic = "unbiased") -> Tensor:
    """Return the squared MMD from the kernel matrix of source rows followed by target rows.

    Parameters
    ----------
    kernel : Tensor
        (n + m, n + m) kernel values.
    n_source : int
        n, the number of source rows.
    statistic : {"unbiased", "biased"}
        ``biased`` is the V-statistic, never negative; ``unbiased`` leaves the pairs of a sample with itself
        out, has expectation zero for equal distributions, and may be negative.  A domain of one sample has no
        other pairs: its diagonal is used.

    Returns
    -------
    Tensor
        Scalar.
    """
    n, m = n_source, len(kernel) - n_source
    source, target = kernel[:n, :n], kernel[n:, n:]
    cross = kernel[:n, n:].sum() * (2.0 / (n * m))
    return _mean_pair(source, statistic) + _mean_pair(target, statistic) - cross


def _mean_pair(kernel: Tensor, statistic: Statistic) -> Tensor:
    n = len(kernel)
    if statistic == "biased" or n == 1:
        return kernel.sum() / (n * n)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))


def mmd(
    source: Tensor,
    target: Tensor,
    *,
    kernels: Literal["adaptive", "merger"] = "adaptive",
    n_kernels: int = 5,
    widest: float = 2.0,
    statistic: Statistic = "unbiased",
) -> Tensor:
    """Return the squared maximum mean discrepancy of two clouds.

    Parameters
    ----------
    source, target : Tensor
        (n, d) and (m, d); n and m may differ.
    kernels : {"adaptive", "merger"}
        Averaged kernels scaled by the median pairwise distance, or the sum of 19 fixed ones of the merger
        papers (their clamp at 1e-4, below which the gradient is zero, is left out).
    n_kernels, widest, statistic
        See `adaptive_kernel` and `mmd_from_kernel`.

    Returns
    -------
    Tensor
        Scalar, in [-1, 2] for the adaptive kernels.
    """
    both = torch.cat([full_precision(source), full_precision(target)])
    d2 = squared_distances(both, both)
    kernel = adaptive_kernel(d2, n_kernels, widest) if kernels == "adaptive" else fixed_kernel(d2)
    return mmd_from_kernel(kernel, len(source), statistic)


class Config(MethodConfig):
    """Options of `mmd`; `weight` multiplies the term."""

    weight: float = Field(1.0, ge=0)
    kernels: Literal["adaptive", "merger"] = "adaptive"
    n_kernels: int = Field(5, ge=1, le=40)
    widest: float = Field(2.0, gt=0)
    statistic: Statistic = "unbiased"


@METHODS.register("mmd")
class MMD(Method):
    """Minimise the maximum mean discrepancy of the features."""

    Config = Config
    reference = "Long et al. 2015, arXiv:1502.02791"
    aligns = True
    needs_classes = False

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``mmd``; arguments as for `Method.losses`."""
        c = self.config
        value = mmd(
            source.features,
            target.features,
            kernels=c.kernels,
            n_kernels=c.n_kernels,
            widest=c.widest,
            statistic=c.statistic,
        )
        return {"mmd": c.weight * value}
