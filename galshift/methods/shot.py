"""SHOT: a trained network fits its encoder to the target alone, under a frozen classifier.

References
----------
Liang et al. 2020 (ICML, arXiv:2002.08546), equations 3-7.  Pseudo-labels come from a memory that the
training steps fill, refreshed once per pass over the target, instead of from a separate pass.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._domain_batchnorm import batchnorms, estimate_statistics
from galshift.methods._memory import Memory
from galshift.methods.infomax import negative_information
from galshift.types import Batch


def pseudo_labels(features: Tensor, p: Tensor, rounds: int = 2) -> Tensor:
    """Return the class of the nearest centroid by cosine, the centroids weighed by the predictions at first.

    Parameters
    ----------
    features : Tensor
        (N, D).
    p : Tensor
        (N, K) class probabilities.
    rounds : int
        How often centroids are formed; from the second round on from the labels themselves.

    Returns
    -------
    Tensor
        (N,) int64.  A class that no sample is nearest to drops out.
    """
    z = normalize(features, dim=1)
    membership = p
    for _ in range(rounds):
        mass = membership.sum(dim=0)
        centroids = normalize((membership.T @ z) / mass.clamp_min(1e-8)[:, None], dim=1)
        cosines = (z @ centroids.T).masked_fill(mass < 1e-8, -2.0)
        labels = cosines.argmax(dim=1)
        membership = nn.functional.one_hot(labels, p.shape[1]).to(p.dtype)
    return labels


class TargetMemory(nn.Module):
    """Features, probabilities and pseudo-labels of every target image."""

    def __init__(self, n_target: int, feature_dim: int, n_classes: int) -> None:
        super().__init__()
        self.features = Memory(n_target, feature_dim)
        self.p = Memory(n_target, n_classes)
        self.register_buffer("labels", torch.full((n_target,), -1, dtype=torch.int64))
        self.register_buffer("since", torch.zeros((), dtype=torch.int64))

    def update(self, batch: Batch) -> Tensor:
        """Remember the batch and return its (B,) pseudo-labels, -1 where there is none yet."""
        self.features.remember(batch.index, batch.features)
        self.p.remember(batch.index, torch.softmax(batch.logits.detach(), dim=1))
        self.since += len(batch.index)
        if int(self.since) >= len(self.labels):
            seen = self.p.seen
            self.labels[seen] = pseudo_labels(self.features.rows[seen], self.p.rows[seen])
            self.since.zero_()
        return self.labels[batch.index]


class Config(MethodConfig):
    """Options of `shot`: weights of information maximisation and of the pseudo-labels."""

    weight: float = Field(1.0, ge=0)
    pseudo_weight: float = Field(0.3, ge=0)


@METHODS.register("shot")
class SHOT(Method):
    """Information maximisation and pseudo-labels on the target, under the source's classifier."""

    Config = Config
    reference = "Liang et al. 2020, arXiv:2002.08546"
    needs_source = False
    lr_scale = 0.03

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the memory; arguments as for `Method.modules`."""
        return nn.ModuleDict({"memory": TargetMemory(n_target, feature_dim, n_classes)})

    def trainable(self, model: nn.Module) -> Iterable[nn.Parameter]:
        """Return every parameter but those of the classifier, ``model.head``."""
        head = getattr(model, "head", None)
        frozen = {id(parameter) for parameter in head.parameters()} if head is not None else set()
        return [parameter for parameter in model.parameters() if id(parameter) not in frozen]

    def losses(self, source: Batch | None, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``infomax`` and ``pseudo_label``; arguments as for `Method.losses`."""
        c = self.config
        labels = self.nets["memory"].update(target)
        known = labels >= 0
        self.observed = {"pseudo_labelled": known.float().mean()}
        terms = {"infomax": c.weight * negative_information(target.logits)}
        if bool(known.any()):
            terms["pseudo_label"] = c.pseudo_weight * cross_entropy(target.logits[known], labels[known])
        return terms

    def finish(self, model: nn.Module, target_images: Iterable[Tensor]) -> None:
        """Take batch-norm statistics from the unaugmented target images; arguments as for `Method.finish`."""
        super().finish(model, target_images)
        if batchnorms(model):
            estimate_statistics(model, target_images)
