"""Numbers of continuous labels and votes against numpy, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from galshift.errors import DataError
from galshift.evaluation.bootstrap import changes
from galshift.evaluation.values import RMSE, is_redshift, nmad, photo_z_metrics, value_metrics, value_scored
from galshift.evaluation.votes import dirichlet_multinomial_log_p, vote_metrics


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    """300 images of 100 galaxies whose predicted errors are right."""
    rng = np.random.default_rng(0)
    labels, sigma = rng.normal(1e3, 2, 300), rng.uniform(0.2, 1, 300)
    return {
        "labels": labels,
        "values": labels + sigma * rng.normal(size=300),
        "sigmas": sigma,
        "groups": np.repeat(np.arange(100), 3),
    }


def test_every_number_of_a_value_is_its_formula(drawn):
    y, v, s = drawn["labels"], drawn["values"], drawn["sigmas"]
    found = value_metrics(y, v, s, mean=999.0, sd=2.5, groups=drawn["groups"], n_bootstrap=0)
    r = v - y
    expected = {
        "bias": r.mean(),
        "mae": sklearn_metrics.mean_absolute_error(y, v),
        "rmse": sklearn_metrics.root_mean_squared_error(y, v),
        "nmad": stats.median_abs_deviation(r) * 1.4826,
        "outlier_fraction": (np.abs(r) > 2.5).mean(),
        "r2": sklearn_metrics.r2_score(y, v),
        "nll": -stats.norm.logpdf(y, v, s).mean(),
        "coverage68": (np.abs(r) <= s).mean(),
        "coverage95": (np.abs(r) <= stats.norm.ppf(0.975) * s).mean(),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert found["training_mean"]["rmse"] == pytest.approx(np.sqrt(((y - 999) ** 2).mean()))
    assert found["training_mean"]["nll"] == pytest.approx(-stats.norm.logpdf(y, 999, 2.5).mean())
    assert (found["n"], found["n_groups"], found["n_unlabelled"]) == (300, 100, 0)


def test_images_without_a_label_do_not_count(drawn):
    labels = drawn["labels"].copy()
    labels[:30] = np.nan
    rest = [drawn[name][30:] for name in ("labels", "values", "sigmas")]
    some = value_metrics(labels, drawn["values"], drawn["sigmas"], mean=0.0, sd=1.0, n_bootstrap=0)
    assert some["n_unlabelled"] == 30
    assert some["rmse"] == value_metrics(*rest, mean=0.0, sd=1.0, n_bootstrap=0)["rmse"]
    with pytest.raises(DataError, match="no image has a label"):
        value_metrics(np.full(3, np.nan), np.zeros(3), np.ones(3), mean=0.0, sd=1.0)


def test_whole_weights_are_repeated_images():
    rng = np.random.default_rng(1)
    r, weights = rng.normal(size=31), rng.integers(0, 4, (5, 31)).astype(float)
    expected = [1.4826 * stats.median_abs_deviation(np.repeat(r, w.astype(int))) for w in weights]
    np.testing.assert_allclose(nmad(r, weights), expected)


def test_intervals_cover_galaxies_not_images(drawn):
    """Three copies of each image change no number and no interval."""
    names = ("labels", "values", "sigmas")
    one = [drawn[name][::3] for name in names]
    many = [np.repeat(x, 3) for x in one]
    options = {"mean": 1e3, "sd": 2.0, "n_bootstrap": 200}
    single = value_metrics(*one, groups=np.arange(100), **options)
    copied = value_metrics(*many, groups=np.repeat(np.arange(100), 3), **options)
    for name in ("rmse", "mae", "coverage68", "nmad"):
        assert copied["ci95"][name] == pytest.approx(single["ci95"][name], rel=1e-6)
        assert single["ci95"][name][0] < single[name] < single["ci95"][name][1]


def test_a_network_does_not_differ_from_itself(drawn):
    columns = [drawn[name] for name in ("labels", "values", "sigmas", "groups")]
    pair = value_scored(*columns, 1.0), value_scored(*columns, 1.0)
    change = changes([RMSE], *pair, n_bootstrap=50, seed=0)["rmse"]
    assert change == {"difference": 0.0, "ci95": [0.0, 0.0], "share_above_zero": 0.0}


def test_redshift_errors_are_over_one_plus_z():
    rng = np.random.default_rng(3)
    z = rng.uniform(0, 2, 400)
    said = z + 0.05 * (1 + z) * rng.standard_t(2, 400)
    found = photo_z_metrics(np.append(z, np.nan), np.append(said, 0.0), n_bootstrap=50)
    r = (said - z) / (1 + z)
    assert found["bias"] == pytest.approx(r.mean())
    assert found["nmad"] == pytest.approx(1.4826 * stats.median_abs_deviation(r))
    assert found["outlier_fraction"] == pytest.approx((np.abs(r) > 0.15).mean())
    assert found["ci95"]["nmad"][0] < found["nmad"] < found["ci95"]["nmad"][1]
    assert [name for name in ("z", "Z_SPEC", "redshift", "size", "zenith") if is_redshift(name)] == [
        "z",
        "Z_SPEC",
        "redshift",
    ]


def test_votes_likelihood_and_errors_are_their_formulas():
    rng = np.random.default_rng(2)
    alpha = rng.uniform(0.2, 9, (50, 3))
    n = rng.integers(5, 60, 50)
    counts = np.stack([rng.multinomial(k, rng.dirichlet(a)) for k, a in zip(n, alpha, strict=True)])
    oracle = [stats.dirichlet_multinomial.logpmf(c, a, k) for c, a, k in zip(counts, alpha, n, strict=True)]
    np.testing.assert_allclose(dirichlet_multinomial_log_p(counts, alpha), oracle, rtol=1e-9)
    total = alpha.sum(axis=1)
    fractions = alpha / total[:, None]
    classes = ["a", "b", "c"]
    flat = {"mean": [0.2, 0.3, 0.5], "mean_concentration": 4.0}
    found = vote_metrics(counts.astype(float), fractions, total, classes, n_bootstrap=100, **flat)
    error = fractions - counts / n[:, None]
    assert found["nll"] == pytest.approx(-np.mean(oracle))
    assert found["mad"] == pytest.approx(np.abs(error).mean())
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert found["accuracy"] == pytest.approx((fractions.argmax(1) == counts.argmax(1)).mean())
    assert found["per_class"]["b"]["bias"] == pytest.approx(error[:, 1].mean())
    always = [
        stats.dirichlet_multinomial.logpmf(c, [0.8, 1.2, 2.0], k) for c, k in zip(counts, n, strict=True)
    ]
    assert found["training_mean"]["nll"] == pytest.approx(-np.mean(always))
    assert found["ci95"]["nll"][0] < found["nll"] < found["ci95"]["nll"][1]
