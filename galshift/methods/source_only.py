"""Train on the source alone: the baseline that every adaptation must beat."""

from __future__ import annotations

from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig


@METHODS.register("source-only")
class SourceOnly(Method):
    """No adaptation term; the target is not seen, unless its entropy is asked for."""

    reference = "the baseline of every paper"
    uses_target = False
    needs_classes = False

    def __init__(self, config: MethodConfig | None = None) -> None:
        super().__init__(config)
        if self.shared.domain_batchnorm:
            raise ConfigError("source-only never sees the target's batch norm", hint="use adabn")
        if self.shared.entropy > 0:
            self.uses_target = True
