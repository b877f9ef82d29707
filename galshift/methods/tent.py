"""TENT: a trained network sharpens its target predictions through batch-norm scales and shifts alone.

References
----------
Wang et al. 2021 (ICLR, arXiv:2006.10726), section 3.  The target's statistics are estimated over all images
at the end, so that a prediction does not depend on the batch that an image comes in.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field
from torch import Tensor, nn

from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._domain_batchnorm import batchnorms, estimate_statistics
from galshift.methods._probabilities import mean_entropy
from galshift.types import Batch


class Config(MethodConfig):
    """Options of `tent`; `weight` multiplies the term."""

    weight: float = Field(1.0, ge=0)


@METHODS.register("tent")
class TENT(Method):
    """Minimise the entropy of target predictions over batch-norm scales and shifts; needs no source."""

    Config = Config
    reference = "Wang et al. 2021, arXiv:2006.10726"
    needs_source = False
    lr_scale = 0.1
    own_forward = True

    def prepare(self, model: nn.Module) -> nn.Module:
        """Refuse a model without learned batch norm, in which there is nothing to train."""
        if not any(norm.affine for norm in batchnorms(model)):
            raise ConfigError("tent needs a model with batch norm", hint="choose deepmerge or resnet18")
        return super().prepare(model)

    def trainable(self, model: nn.Module) -> Iterable[nn.Parameter]:
        """Return the batch norms' scales and shifts."""
        return [parameter for norm in batchnorms(model) for parameter in norm.parameters()]

    def losses(self, source: Batch | None, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``tent``; arguments as for `Method.losses`."""
        return {"tent": self.config.weight * mean_entropy(target.logits)}

    def finish(self, model: nn.Module, target_images: Iterable[Tensor]) -> None:
        """Take the statistics from the target images; arguments as for `Method.finish`."""
        super().finish(model, target_images)
        estimate_statistics(model, target_images)
