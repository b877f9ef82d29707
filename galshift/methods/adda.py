"""ADDA: an encoder of the target learns to look like the source's, which rests.

References
----------
Tzeng et al. 2017 (CVPR, arXiv:1702.05464), equation 9 with inverted labels: the discriminator tells the
source encoder's features of source images from the target encoder's features of target images, and the
target encoder, which starts as a copy, learns to be taken for the source's.  The classifier rests.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from galshift.methods import METHODS
from galshift.methods._adversarial import discriminator, domain_accuracy, domain_loss, standardise
from galshift.methods._base import Method, MethodConfig
from galshift.methods._domain_batchnorm import batchnorms, estimate_statistics
from galshift.types import Batch


class Config(MethodConfig):
    """Options of `adda`."""

    weight: float = Field(1.0, ge=0, description="Of what the encoder learns from the discriminator.")
    hidden: int = Field(500, ge=1, description="Width of the discriminator; 500 in the paper.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Of the discriminator.")


def _of_all_processes(features: Tensor) -> Tensor:
    """Return the features of every process's images: a batch's own images stay where they are."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return features
    parts = [torch.empty_like(features) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, features.contiguous())
    return torch.cat(parts)


@METHODS.register("adda")
class ADDA(Method):
    """Fit an encoder of the target to the features of the trained source encoder, which rests."""

    Config = Config
    reference = "Tzeng et al. 2017, arXiv:1702.05464, eq. 9"
    aligns = True
    needs_classes = False
    from_trained = True
    own_forward = True
    lr_scale = 0.1

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the discriminator; arguments as for `Method.modules`."""
        c = self.config
        return nn.ModuleDict({"discriminator": discriminator(feature_dim, c.hidden, c.dropout)})

    def prepare(self, model: nn.Module) -> nn.Module:
        """Keep a copy of the trained network: the source's encoder."""
        self.nets["source"] = copy.deepcopy(model).requires_grad_(False).eval()
        return super().prepare(model)

    def trainable(self, model: nn.Module) -> Iterable[nn.Parameter]:
        """Return every parameter but those of the classifier, ``model.head``."""
        head = getattr(model, "head", None)
        frozen = {id(parameter) for parameter in head.parameters()} if head is not None else set()
        return [parameter for parameter in model.parameters() if id(parameter) not in frozen]

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``discriminator`` and ``adda``; arguments as for `Method.losses`."""
        judge = self.nets["discriminator"]
        theirs, ours = standardise(self._rested(source)), standardise(target.features)
        said = judge(theirs), judge(ours.detach())
        self.observed = {"domain_accuracy": domain_accuracy(*said)}
        # What the encoder learns must not teach the discriminator, so its weights stand here as constants.
        constants = {name: value.detach() for name, value in judge.named_parameters()}
        taken_for = functional_call(judge, constants, (ours,))
        return {
            "discriminator": domain_loss(*said),
            "adda": self.config.weight * softplus(-taken_for).mean(),
        }

    @torch.no_grad()
    def _rested(self, source: Batch) -> Tensor:
        """The source encoder's features of the source images; the batch's own before there is one."""
        if "source" not in self.nets:
            return source.features.detach()
        encoder = self.nets["source"].to(source.features.device).eval()
        return _of_all_processes(encoder(source.images).features.to(source.features.dtype))

    def finish(self, model: nn.Module, target_images: Iterable[Tensor]) -> None:
        """Take batch-norm statistics from the unaugmented target images; arguments as for `Method.finish`."""
        super().finish(model, target_images)
        if batchnorms(model):
            estimate_statistics(model, target_images)
