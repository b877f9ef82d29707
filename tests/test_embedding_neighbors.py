"""Nearest galaxies and galaxies to label, against scikit-learn, closed forms and drawn clusters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.neighbors import NearestNeighbors

from galshift.embedding.labelling import at_random, uncertain_and_different
from galshift.embedding.neighbors import nearest, rarity


def test_nearest_agrees_with_sklearn_on_scaled_features():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 6)) * [1, 100, 0.01, 1, 1, 0] + 5
    groups = np.array([f"g{i}" for i in range(200)])
    rows, distances = nearest(features[17], features, groups, n=9, group="g17")
    spread = features.std(axis=0)
    scaled = features / np.where(spread > 0, spread, 1)
    wanted = NearestNeighbors(n_neighbors=10).fit(scaled).kneighbors(scaled[17:18])
    np.testing.assert_array_equal(rows, wanted[1][0, 1:])
    np.testing.assert_allclose(distances, wanted[0][0, 1:])


def test_a_galaxy_is_given_once_and_never_itself():
    features = np.array([[0.0], [0.1], [1.0], [1.2], [5.0], [np.nan]])
    groups = np.array(["a", "a", "b", "b", "c", "d"])
    rows, distances = nearest(features[0], features, groups, n=10, group="a")
    np.testing.assert_array_equal(rows, [2, 4])
    assert distances[0] < distances[1]
    rows, _ = nearest(features[0], features, np.array(["a"] * 6), n=3, group="a")
    assert len(rows) == 0


def test_rarity_is_one_for_a_loner_and_small_in_a_crowd():
    rng = np.random.default_rng(1)
    features = np.concatenate([rng.normal(size=(300, 3)), [[30.0, 30, 30]], [[0.0, 0, 0]]])
    groups = np.arange(302).astype(str)
    assert rarity(features[300], features, groups, n=5, group="300") == 1.0
    assert rarity(features[301], features, groups, n=5, group="301") < 0.2
    assert np.isnan(rarity(features[0], features[:2], groups[:2], n=5, group="0"))


def test_each_cluster_of_uncertain_galaxies_is_suggested_once():
    rng = np.random.default_rng(2)
    centres = np.array([[0, 0], [20, 0], [0, 20], [20, 20]], dtype=float)
    sure = rng.normal(size=(400, 2)) * 0.3 + [10, 10]
    unsure = np.concatenate([rng.normal(size=(25, 2)) * 0.3 + c for c in centres])
    features = np.concatenate([sure, unsure])
    entropy = np.r_[np.full(400, 1e-6), np.repeat([0.6, 0.5, 0.4, 0.3], 25)]
    groups = np.arange(500).astype(str)
    chosen = uncertain_and_different(features, entropy, groups, 4, seed=0)
    np.testing.assert_array_equal((chosen - 400) // 25, [0, 1, 2, 3])
    # Without weights the crowd of sure ones would take its share: the weight is what keeps it out.
    flat = uncertain_and_different(features, np.ones(500), groups, 4, seed=0)
    assert (flat < 400).any()


def test_a_budget_beyond_the_galaxies_takes_all_the_most_uncertain_first():
    entropy = np.array([0.1, 0.5, 0.3, 0.2])
    groups = np.array(["a", "a", "b", "c"])
    chosen = uncertain_and_different(np.eye(4), entropy, groups, 10)
    np.testing.assert_array_equal(chosen, [1, 2, 3])


def test_random_draws_give_every_galaxy_the_same_chance_whatever_its_number_of_images():
    groups = np.repeat(["a", "b", "c", "d"], [1, 2, 4, 13])
    drawn = [groups[at_random(groups, 1, seed)[0]] for seed in range(800)]
    counts = [drawn.count(name) for name in "abcd"]
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("budget", [1, 7, 30])
def test_random_draws_are_nested_and_hold_a_galaxy_once(budget: int):
    groups = np.repeat([f"g{i}" for i in range(30)], 3)
    chosen = at_random(groups, budget, seed=4)
    assert len(set(groups[chosen])) == len(chosen) == budget
    np.testing.assert_array_equal(chosen, at_random(groups, 40, seed=4)[:budget])
