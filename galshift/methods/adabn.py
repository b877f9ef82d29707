"""AdaBN: the source-trained network with the target's batch-norm statistics.

References
----------
Li et al. 2018 (Pattern Recognition 80, 109; arXiv:1603.04779), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.methods._domain_batchnorm import batchnorms, estimate_statistics


@METHODS.register("adabn")
class AdaBN(Method):
    """The network of source-only, with every running mean and variance replaced by the target's."""

    version = 2  # the source-only network of the same run, trained once
    reference = "Li et al. 2018, arXiv:1603.04779"
    own_forward = True
    needs_classes = False
    replaces_statistics = True

    def prepare(self, model: nn.Module) -> nn.Module:
        """Refuse a model without batch norm, in which there is nothing to replace."""
        if not batchnorms(model):
            raise ConfigError(
                "adabn needs batch norm in what is trained",
                hint="choose --model deepmerge or resnet18, and with a pre-trained encoder --tune all",
            )
        return super().prepare(model)

    def finish(self, model: nn.Module, target_images: Iterable[Tensor]) -> None:
        """Take the statistics from the target images; arguments as for `Method.finish`."""
        super().finish(model, target_images)
        estimate_statistics(model, target_images)
