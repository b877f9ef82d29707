"""Deep CORAL: equal means and covariances of source and target features.

References
----------
Sun & Saenko 2016 (ECCV workshops, arXiv:1607.01719), equation 1.  The default adds the means, which the
covariance does not see, and divides by the number of entries instead of 4 d^2, so that the weight does not
depend on the width.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision
from galshift.types import Batch


def covariance(x: Tensor) -> Tensor:
    """Return the (d, d) covariance of (n, d) rows with n - 1 degrees of freedom; zeros for a single row.

    The mean is taken off first: X'X minus the product of means loses all digits for features far from zero.
    """
    centred = x - x.mean(dim=0)
    return centred.T @ centred / max(len(x) - 1, 1)


def coral(source: Tensor, target: Tensor, *, form: Literal["moments", "paper"] = "moments") -> Tensor:
    """Return the distance of the first two moments of two clouds.

    Parameters
    ----------
    source, target : Tensor
        (n, d) and (m, d).
    form : {"moments", "paper"}
        ``moments``: mean squared difference of the covariances plus that of the means.  ``paper``: squared
        Frobenius norm of the covariance difference over 4 d^2.

    Returns
    -------
    Tensor
        Scalar >= 0.
    """
    source, target = full_precision(source), full_precision(target)
    difference = covariance(source) - covariance(target)
    if form == "paper":
        return difference.square().mean() / 4
    return difference.square().mean() + (source.mean(dim=0) - target.mean(dim=0)).square().mean()


class Config(MethodConfig):
    """Options of `coral`; `weight` multiplies the term."""

    weight: float = Field(1.0, ge=0)
    form: Literal["moments", "paper"] = "moments"


@METHODS.register("coral")
class Coral(Method):
    """Minimise the distance of the features' means and covariances."""

    Config = Config
    reference = "Sun & Saenko 2016, arXiv:1607.01719, eq. 1"
    aligns = True
    needs_classes = False

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``coral``; arguments as for `Method.losses`."""
        value = coral(source.features, target.features, form=self.config.form)
        return {"coral": self.config.weight * value}
