'''Classifiers without a network, which any claim for one must beat: one file each.

Adding one
----------
::

    """Always the class that the source has most of."""

    import numpy as np

    from galshift.evaluation.baselines import BASELINES, Baseline


    @BASELINES.register("most-common")
    class MostCommon(Baseline):
        """No look at the images at all."""

        title = "most common class"

        def features(self, linear, preprocessing):
            """Return nothing that tells images apart."""
            return np.zeros((len(linear), 1))

        def learn(self, features, labels, n_classes, seed):
            """Return a function from (M, D) features to (M, K) probabilities."""
            answer = np.eye(n_classes)[np.bincount(labels).argmax()]
            return lambda test: np.tile(answer, (len(test), 1))

It is a file of this folder, or an entry point of the group ``galshift.evaluation.baselines``, and stands in
the report of every ``galshift adapt``.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.evaluation.baselines._base import Baseline

BASELINES = Registry("baseline", "galshift.evaluation.baselines")

__all__ = ["BASELINES", "Baseline"]
__getattr__ = lazily(__name__, {"galshift.evaluation.baselines._base": ("Baseline",)})
