"""Which galaxies are asked for, each at its cost."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from galshift.embedding.labelling import at_random, uncertain_and_different
from galshift.embedding.strategies import Pool, affordable, suggest


def pool(n: int = 40, seed: int = 0, *, known: int = 0, dear: bool = False) -> Pool:
    rng = np.random.default_rng(seed)
    return Pool(
        features=rng.normal(size=(n, 3)),
        entropy=rng.uniform(0, 1, n),
        groups=np.arange(n).astype(str),
        cost=rng.uniform(1, 9, n) if dear else np.ones(n),
        labelled=rng.normal(size=(known, 3)),
    )


def test_uncertainty_takes_the_highest_entropy_or_most_of_it_for_its_cost() -> None:
    one = pool()
    np.testing.assert_array_equal(suggest(one, "uncertainty", 7), np.argsort(-one.entropy)[:7])
    dear = pool(dear=True)
    first = suggest(dear, "uncertainty", 12.0)
    assert first[0] == np.argmax(dear.entropy / dear.cost)
    assert dear.cost[first].sum() <= 12


def test_the_core_set_covers_within_twice_the_best() -> None:
    """Greedy k-centres are at most twice as far as the best k centres (Sener & Savarese 2018, section 4)."""
    one = pool(14, known=2)
    spread = one.features.std(axis=0)
    x, known = ((v - one.features.mean(axis=0)) / spread for v in (one.features, one.labelled))

    def cover(rows: tuple[int, ...]) -> float:
        centres = np.concatenate([known, x[list(rows)]])
        return np.linalg.norm(x[:, None] - centres, axis=2).min(axis=1).max()

    best = min(cover(rows) for rows in combinations(range(14), 3))
    chosen = suggest(one, "diversity", 3)
    assert cover(tuple(chosen)) <= 2 * best
    # And the first is the farthest from all that is labelled.
    assert chosen[0] == np.linalg.norm(x[:, None] - known, axis=2).min(axis=1).argmax()


def test_without_a_label_the_core_set_begins_in_the_middle() -> None:
    one = pool()
    x = (one.features - one.features.mean(axis=0)) / one.features.std(axis=0)
    first, second = suggest(one, "diversity", 2)
    assert first == np.linalg.norm(x, axis=1).argmin()
    assert second == np.linalg.norm(x - x[first], axis=1).argmax()


def test_mix_without_costs_is_the_clusters_of_uncertain_galaxies() -> None:
    one = pool()
    wanted = uncertain_and_different(one.features, one.entropy, one.groups, 6, 5)
    np.testing.assert_array_equal(suggest(one, "mix", 6, 5), wanted)


def test_random_is_the_sample_of_the_seed() -> None:
    one = pool()
    np.testing.assert_array_equal(suggest(one, "random", 6, 5), at_random(one.groups, 6, 5))


@pytest.mark.parametrize("by", ["mix", "uncertainty", "diversity", "random"])
@pytest.mark.parametrize("dear", [False, True])
def test_a_galaxy_is_bought_once_and_the_budget_is_spent(by: str, dear: bool) -> None:
    one = replace(pool(dear=dear), groups=np.repeat(np.arange(20), 2).astype(str))
    cost = np.repeat(one.cost[::2], 2)  # of the galaxy, whichever of its images
    one = replace(one, cost=cost)
    chosen = suggest(one, by, 15, 1)
    groups = one.groups[chosen]
    assert len(set(groups)) == len(groups)
    assert cost[chosen].sum() <= 15 + 1e-9
    rest = cost[~np.isin(one.groups, groups)]
    assert rest.min() > 15 - cost[chosen].sum()


def test_what_no_longer_fits_is_passed_over() -> None:
    cost = np.array([5.0, 4.0, 3.0, 1.0])
    assert affordable(np.array([0, 1, 2, 3]), cost, 9.0).tolist() == [0, 1]
    assert affordable(np.array([0, 1, 2, 3]), cost, 8.5).tolist() == [0, 2]
    assert affordable(np.array([1, 0, 2, 3]), cost, 0.5).tolist() == []


def test_images_without_features_are_not_asked_for() -> None:
    one = pool()
    one.features[::2] = np.nan
    assert (suggest(one, "diversity", 10) % 2 == 1).all()
