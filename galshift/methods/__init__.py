'''Adaptation methods: one file each, with its configuration, maths and paper.

Adding one
----------
A method is a class with a frozen config and one function of two batches::

    """Pull the mean features of both domains together."""

    from pydantic import Field

    from galshift.methods import METHODS, Method, MethodConfig


    class Config(MethodConfig):
        """Options of `mean-pull`."""

        weight: float = Field(1.0, ge=0, description="Of the term beside the supervised loss.")


    @METHODS.register("mean-pull")
    class MeanPull(Method):
        """Minimise the distance of the mean features."""

        Config = Config
        reference = "Author 2026, arXiv:2601.00000, eq. 1"
        needs_classes = False

        def losses(self, source, target, progress):
            """Return the term; arguments as for `Method.losses`."""
            apart = source.features.mean(dim=0) - target.features.mean(dim=0)
            return {"mean": self.config.weight * apart.square().sum()}

Inside galshift it is the file ``galshift/methods/mean_pull.py``, and nothing else changes.  In a package of
its own it is named by an entry point::

    [project.entry-points."galshift.methods"]
    mean-pull = "your_package.mean_pull:MeanPull"

Either way ``galshift list methods``, ``galshift adapt SOURCE TARGET --method mean-pull``, ``--set
method.weight=0.5``, recipes, their schema and the Python functions know it.  The first line of the docstring
is what the list shows; raise ``version`` whenever its numbers change, so that old runs are not taken for new.
A file of the package is tested by ``tests/test_methods_contract.py`` the moment it exists.

What else a method may say (discriminators, memory banks, target-only training, domain batch norm, a score for
unknown classes) are attributes and functions of :class:`Method`.  A batch (:class:`Batch`) holds ``images``,
``features``, ``logits`` and, for the source, ``labels``; the target's labels are never given.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.methods._base import Method, MethodConfig
    from galshift.types import Batch, Output

METHODS = Registry("method", "galshift.methods", exclude=("weighting",))

__all__ = ["METHODS", "Batch", "Method", "MethodConfig", "Output"]
__getattr__ = lazily(
    __name__,
    {"galshift.methods._base": ("Method", "MethodConfig"), "galshift.types": ("Batch", "Output")},
)
