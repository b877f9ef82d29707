"""Helper terms that any method can carry besides its own."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


def fisher_ratio(features: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """Return the trace ratio: scatter about the class centres over scatter of the centres.

    ``mean_i |z_i - c_{y_i}|^2 / mean_k |c_k - mean(c)|^2``; means, not sums, so that the weight does not
    depend on the batch size.

    Parameters
    ----------
    features : Tensor
        (B, D) source features.
    labels : Tensor
        (B,) int64 classes.
    centres : Tensor
        (K, D) class centres.

    References
    ----------
    Ciprijanovic et al. 2021 (MNRAS 506, 677), equation 8, with learned centres.
    """
    within = (features - centres[labels]).square().sum(dim=1).mean()
    between = (centres - centres.mean(dim=0)).square().sum(dim=1).mean()
    return within / between.clamp_min(torch.finfo(features.dtype).eps)


class FisherCentres(nn.Module):
    """Class centres that are optimised with the network, and the Fisher term about them.

    From a random place, at the small steps of an optimiser, they do not reach the features' scale within a
    run and drag the features to themselves, but gently: they stand about sqrt(D) from their mean.  At the
    class means of the first batch they stand close together, and the ratio pulls hard at features of high
    dimension: on 1,152 convolutional outputs ten times as hard as the MMD beside it
    (``tests/benchmarks/published.md``).

    Parameters
    ----------
    n_classes, feature_dim : int
        K and D.
    start : {"means", "random"}
        Where the centres begin: at the class means of the first batch, or at standard normal numbers, as
        published.
    """

    def __init__(self, n_classes: int, feature_dim: int, start: Literal["means", "random"] = "means") -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(n_classes, feature_dim))
        self.register_buffer("placed", torch.full((n_classes,), start == "random"))

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the Fisher trace ratio of (B, D) source features with (B,) labels."""
        if self.training and not bool(self.placed.all()):
            self._place(features.detach(), labels)
        return fisher_ratio(features, labels, self.centres.to(features.dtype))

    @torch.no_grad()
    def _place(self, features: Tensor, labels: Tensor) -> None:
        """Put the centre of every class that is seen for the first time at its mean."""
        for k in (~self.placed).nonzero().flatten().tolist():
            members = features[labels == k]
            if len(members):
                self.centres[k] = members.mean(dim=0).to(self.centres.dtype)
                self.placed[k] = True
