"""Label-free scores, against closed forms, scikit-learn and what every selector must do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import adjusted_mutual_info_score, balanced_accuracy_score, mutual_info_score

from galshift.errors import DataError
from galshift.selection import DEFAULT_EPOCH, SELECTORS
from galshift.selection._base import Candidate
from galshift.selection._clusters import agreement, cluster
from galshift.selection._density_ratio import density_ratio, weighted_risk
from galshift.selection._scores import balanced_accuracy, classifier_weights, mutual_information
from galshift.selection.devn import normalised
from galshift.selection.ensv import role_model
from galshift.selection.snd import neighbourhood_density
from galshift.selection.transfer_score import hopkins, unevenness

NAMES = SELECTORS.names()
#: Those that a model which says one class for everything does not fool.
SOUND = ["bnm", "class-ami", "devn", "guarded", "infomax", "source-validation", "transfer-score"]


def candidate(
    n: int = 90, k: int = 3, *, spread: float = 0.4, collapse: bool = False, seed: int = 0
) -> Candidate:
    """A linear classifier on Gaussian features, good for a small spread; or one that says class 0."""
    rng = np.random.default_rng(seed)
    centres = 3 * np.eye(k, 5)
    weights = rng.normal(size=(k, 5)) * 0.01 + centres
    parts = []
    for _ in range(2):
        labels = np.arange(n) % k
        features = centres[labels] + spread * rng.normal(size=(n, 5))
        if collapse:
            features = centres[np.zeros(n, int)] + 0.01 * rng.normal(size=(n, 5))
        parts.append((features, features @ weights.T, labels))
    (source, source_logits, labels), (target, target_logits, _) = parts
    return Candidate(target, target_logits, source, source_logits, labels, k)


def test_the_names_are_those_of_the_files() -> None:
    assert set(NAMES) >= {
        *("source-validation", "infomax", "snd", "dev", "devn", "bnm"),
        *("class-ami", "mixval", "transfer-score", "guarded", DEFAULT_EPOCH),
    }
    assert "label-shift" not in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_selector_scores_a_pool(name: str) -> None:
    selector = SELECTORS.get(name)()
    assert selector.reference
    assert selector.version >= 1
    pool = [candidate(spread=s, seed=i) for i, s in enumerate((0.4, 0.8, 3.0))]
    scores = selector(pool)
    assert scores.shape == (3,)
    assert np.isfinite(scores).any()
    np.testing.assert_array_equal(scores, selector(pool))
    np.testing.assert_array_equal(selector(pool[::-1])[::-1], scores)


@pytest.mark.parametrize("name", SOUND)
def test_a_good_model_beats_a_collapsed_one(name: str) -> None:
    scores = SELECTORS.get(name)()([candidate(), candidate(collapse=True)])
    assert scores[0] > scores[1]


@pytest.mark.parametrize("name", NAMES)
def test_tensors_give_the_same_as_arrays(name: str) -> None:
    c = candidate()
    tensors = Candidate(
        torch.from_numpy(c.features_target),
        torch.from_numpy(c.logits_target),
        torch.from_numpy(c.features_source_val),
        torch.from_numpy(c.logits_source_val),
        torch.from_numpy(c.labels_source_val),
        3,
    )
    selector = SELECTORS.get(name)()
    assert selector.score(tensors) == selector.score(c)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_that_are_not_finite_are_never_chosen(name: str) -> None:
    good, bad = candidate(), candidate()
    bad.logits_target[3, 1] = np.nan
    scores = SELECTORS.get(name)()([good, bad, candidate(seed=5)])
    assert scores[1] == -np.inf
    assert np.isfinite(scores[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_handful_of_images_gives_a_number_or_minus_infinity(name: str, n: int) -> None:
    score = SELECTORS.get(name)()([candidate(n)])[0]
    assert not np.isnan(score)


@pytest.mark.parametrize("name", NAMES)
def test_constant_features_give_a_number_or_minus_infinity(name: str) -> None:
    c = candidate()
    flat = Candidate(np.ones((9, 5)), np.ones((9, 3)), np.ones((6, 5)), np.ones((6, 3)), np.arange(6) % 3, 3)
    scores = SELECTORS.get(name)()([flat, flat])
    assert not np.isnan(scores).any()
    assert c.usable


@pytest.mark.parametrize("name", NAMES)
def test_without_source_images_it_scores_or_says_so(name: str) -> None:
    c = candidate()
    alone = Candidate(c.features_target, c.logits_target, None, None, None, 3)
    selector = SELECTORS.get(name)()
    if selector.needs_source:
        with pytest.raises(DataError, match="source"):
            selector([alone])
    else:
        assert np.isfinite(selector([alone])[0])


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="classes"):
        Candidate(np.ones((4, 2)), np.ones((4, 3)), None, None, None, 2)
    with pytest.raises(DataError, match="labels"):
        Candidate(
            np.ones((4, 2)), np.ones((4, 3)), np.ones((4, 2)), np.ones((4, 3)), np.zeros(3, dtype=int), 3
        )


# Closed forms


def test_infomax_of_sure_and_of_clueless_predictions() -> None:
    sure = np.eye(4)[np.arange(8) % 4]
    assert mutual_information(sure) == pytest.approx(np.log(4))
    assert mutual_information(np.full((8, 4), 0.25)) == pytest.approx(0)
    assert mutual_information(np.eye(4)[np.zeros(8, int)]) == pytest.approx(0)
    # For hard predictions it is the mutual information of image and answer.
    hard = np.array([0, 0, 1, 2, 2, 2])
    assert mutual_information(np.eye(3)[hard]) == pytest.approx(mutual_info_score(np.arange(6), hard))


def test_bnm_is_one_for_sure_balanced_predictions() -> None:
    def of(logits: np.ndarray) -> float:
        k = logits.shape[1]
        return SELECTORS.get("bnm")().score(Candidate(logits, logits, None, None, None, k))

    assert of(1e3 * np.eye(3)[np.arange(9) % 3]) == pytest.approx(1)
    # Rank one: the Frobenius norm of N equal rows (1/K, ..., 1/K), over sqrt(N K), is 1 / K.
    assert of(np.zeros((9, 3))) == pytest.approx(1 / 3)


def test_source_validation_is_sklearns_balanced_accuracy() -> None:
    c = candidate(spread=2.5)
    expected = balanced_accuracy_score(c.labels_source_val, c.logits_source_val.argmax(1))
    assert SELECTORS.get("source-validation")().score(c) == pytest.approx(expected)
    assert np.isnan(balanced_accuracy(np.zeros(0, int), np.zeros(0, int), 3))


def test_snd_is_a_double_loop() -> None:
    p = softmax(np.random.default_rng(1).normal(size=(7, 3)), axis=1)
    total = 0.0
    for i in range(7):
        row = []
        for j in range(7):
            if j != i:
                row.append(p[i] @ p[j] / np.linalg.norm(p[i]) / np.linalg.norm(p[j]) / 0.05)
        q = np.exp(np.array(row) - max(row))
        q /= q.sum()
        total -= (q * np.log(q)).sum() / 7
    assert neighbourhood_density(p) == pytest.approx(total)
    assert neighbourhood_density(np.tile(p[:1], (7, 1))) == pytest.approx(np.log(6))


def test_the_weighted_risk_with_a_control_variate() -> None:
    rng = np.random.default_rng(0)
    e, w = rng.uniform(size=200), rng.uniform(0.5, 1.5, 200)
    assert weighted_risk(e, np.full(200, 2.0)) == pytest.approx(2 * e.mean())
    # The control variate is the regression of w e on w, evaluated at w = 1.
    slope, offset = np.polyfit(w, w * e, 1)
    assert weighted_risk(e, w) == pytest.approx(slope + offset)
    assert normalised(w).mean() == pytest.approx(1)
    assert np.ptp(normalised(w)) < 1


def test_the_density_ratio_of_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 1, (4000, 1)), rng.normal(1, 1, (4000, 1))
    weights = density_ratio(source, target)
    # log N(x; 1, 1) / N(x; 0, 1) = x - 1/2
    np.testing.assert_allclose(np.polyfit(source[:, 0], np.log(weights), 1), [1, -0.5], atol=0.08)
    assert weights.mean() == pytest.approx(1, abs=0.1)


def test_dev_of_a_domain_compared_with_itself_is_the_source_error() -> None:
    c = candidate(600, spread=2.5)
    same = Candidate(
        c.features_source_val,
        c.logits_source_val,
        c.features_source_val,
        c.logits_source_val,
        c.labels_source_val,
        3,
    )
    error = (c.logits_source_val.argmax(1) != c.labels_source_val).mean()
    for name in ("dev", "devn"):
        assert -SELECTORS.get(name)().score(same) == pytest.approx(error, abs=0.03)


def test_agreement_is_sklearns_and_weights_balance_the_classes() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    assert agreement(one, two) == pytest.approx(adjusted_mutual_info_score(one, two))
    assert agreement(one, two, np.ones(3)) == pytest.approx(adjusted_mutual_info_score(one, two))
    # Twice the weight of a class is the same as each of its images twice, the total kept.
    doubled = np.concatenate([one, one[one == 0]]), np.concatenate([two, two[one == 0]])
    n = len(doubled[0])
    assert agreement(one, two, np.array([2.0, 1, 1]) * 60 / n) == pytest.approx(
        adjusted_mutual_info_score(*doubled), abs=0.05
    )
    assert agreement(np.zeros(60, int), two) == 0


def test_clusters_of_separate_clouds_are_the_clouds() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = 10 * np.eye(3)[labels] + rng.normal(size=(90, 3))
    assert agreement(labels, cluster(features, 3)) == pytest.approx(1)


def test_mixval_asks_for_the_images_mixture_where_it_can() -> None:
    c, asked = candidate(), []

    def mixed(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
        asked.append(share)
        return c.logits_target[second]

    images = Candidate(c.features_target, c.logits_target, None, None, None, 3, mixed=mixed)
    # What comes back is the lesser image's prediction: right within a class, wrong across.
    assert SELECTORS.get("mixval")().score(images) == pytest.approx(0.5)
    assert asked == [0.55]
    assert SELECTORS.get("mixval")().score(c) > 0.5


def test_the_transfer_scores_parts() -> None:
    rng = np.random.default_rng(7)
    simplex = np.eye(3) - 1 / 3
    assert unevenness(simplex) == pytest.approx(0, abs=1e-9)
    assert unevenness(np.ones((2, 4))) == pytest.approx(np.pi)
    assert hopkins(rng.uniform(size=(2000, 2))) == pytest.approx(0.5, abs=0.05)
    clouds = np.array([[0, 0], [20, 20]])[rng.integers(0, 2, 500)] + rng.normal(size=(500, 2))
    assert hopkins(clouds) > 0.8
    assert hopkins(np.ones((20, 2))) == 0.5


def test_the_classifier_is_recovered_from_features_and_logits() -> None:
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=(50, 6)), rng.normal(size=(3, 6))
    np.testing.assert_allclose(classifier_weights(features, features @ weights.T + 5), weights, atol=1e-9)


def test_ensv_counts_agreement_with_the_mean_prediction() -> None:
    a = np.array([[4.0, 0], [0, 4], [4, 0], [0, 4]])
    b = np.array([[4.0, 0], [0, 4], [0, 4], [0, 4]])
    pool = [Candidate(x, x, None, None, None, 2) for x in (a, b, b)]
    np.testing.assert_allclose(SELECTORS.get("ensv")()(pool), [0.75, 1, 1])
    with pytest.raises(DataError, match="same target images"):
        role_model([a, a[:2]])
