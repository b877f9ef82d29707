"""Helper terms that any method can carry besides its own."""

from __future__ import annotations

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

    Parameters
    ----------
    n_classes, feature_dim : int
        K and D.
    """

    def __init__(self, n_classes: int, feature_dim: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(n_classes, feature_dim))

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the Fisher trace ratio of (B, D) source features with (B,) labels."""
        return fisher_ratio(features, labels, self.centres.to(features.dtype))
