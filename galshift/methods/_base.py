"""What the training loop asks of a method."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn

from galshift.types import Batch, Strict


class Method:
    """One way to align two domains; subclass it once, override what the method needs.

    Class attributes
    ----------------
    version : int
        Raised when the method's numbers change.
    reference : str
        Paper, and equation where one matters.
    views : int
        How many augmented views of each target image the method needs besides the batch itself.
    needs_source, uses_target : bool
        False for source-free methods, and for methods that never see the target.
    own_forward : bool
        True when source and target must pass through the model apart (domain batch statistics);
        otherwise the loop may pass them as one batch.

    Parameters
    ----------
    config : Strict
        The method's own frozen configuration.
    """

    Config: ClassVar[type[Strict]] = Strict
    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""
    views: ClassVar[int] = 0
    needs_source: ClassVar[bool] = True
    uses_target: ClassVar[bool] = True
    own_forward: ClassVar[bool] = False

    def __init__(self, config: Strict | None = None) -> None:
        self.config = self.Config() if config is None else config
        self.nets = nn.ModuleDict()

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the method's own networks, centres or banks.

        The loop stores them in ``self.nets``, optimises their parameters and checkpoints their state.

        Parameters
        ----------
        feature_dim, n_classes : int
            D and K of the model's output.
        n_target : int
            Number of target training images (memory banks).
        """
        return nn.ModuleDict()

    def prepare(self, model: nn.Module) -> nn.Module:
        """Return the model to train, changed where the method must (domain batch norm); default: as it is."""
        return model

    def trainable(self, model: nn.Module) -> Iterable[nn.Parameter]:
        """Return the model parameters that the method trains; default: all."""
        return model.parameters()

    def losses(self, source: Batch | None, target: Batch | None, progress: float) -> dict[str, Tensor]:
        """Return the named adaptation terms of one step, each a scalar, already weighted.

        The loop adds the supervised source loss itself and sums.

        Parameters
        ----------
        source, target : Batch
            Forwarded batches; sizes may differ; ``target.labels`` is None.
        progress : float
            Fraction of the adaptation steps done, in [0, 1].
        """
        return {}

    def finish(self, model: nn.Module, target_images: Iterable[Tensor]) -> None:
        """Change the model once after training (AdaBN's statistics); default: nothing."""
