"""The digits benchmark on a few seeds: default weights adapt, and none does harm."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.benchmarks.digits import compare

# The full benchmark's goals over six seeds, less 0.03 for having two or three.
LEAST = {
    "coral": 0.87,
    "deepjdot": 0.87,
    "sinkhorn": 0.86,
    "mcc": 0.85,
    "infomax": 0.85,
    "mmd": 0.82,
    "dann": 0.75,
    "cdan": 0.0,
    "pulse": 0.0,
}


# On two seeds these are too near the source-only network, whose accuracy is 0.844 there, to be told apart.
THREE = {"mmd", "cdan"}


@functools.cache
def accuracy(name: str, seed: int) -> float:
    """Target accuracy of one method on one seed."""
    return compare([name], [seed])[name][0].test


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAST)
def test_default_weights_adapt(name: str) -> None:
    seeds = range(3 if name in THREE else 2)
    reached, source_only = (
        float(np.mean([accuracy(kind, seed) for seed in seeds])) for kind in (name, "source-only")
    )
    assert reached >= LEAST[name]
    assert reached >= source_only
