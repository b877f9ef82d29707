'''Ways to draw high-dimensional features on a page: one file each.

Adding one
----------
::

    """The first two features as they are."""

    from galshift.embedding.reducers import REDUCERS, Reducer


    @REDUCERS.register("plain")
    class Plain(Reducer):
        """The first two coordinates."""

        def reduce(self, features, seed=0):
            """Return (N, 2) coordinates of (N, D) features."""
            return features[:, :2]

It is a file of this folder, or an entry point of the group ``galshift.embedding.reducers``, and draws with
``galshift embed RUN DATA --reduce plain``.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.embedding.reducers._base import Reducer, ReducerConfig

REDUCERS = Registry("reducer", "galshift.embedding.reducers")

__all__ = ["REDUCERS", "Reducer", "ReducerConfig"]
__getattr__ = lazily(__name__, {"galshift.embedding.reducers._base": ("Reducer", "ReducerConfig")})
