"""Ways to draw high-dimensional features on a page: one file each.

A reducer is a class with a frozen ``Config``, an integer ``version``, and ``reduce(features, seed)`` that
turns (N, D) into (N, 2).
"""

from galshift.registry import Registry

REDUCERS = Registry("reducer", "galshift.embedding.reducers")
