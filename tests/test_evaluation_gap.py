"""Domain gap against closed forms, POT and POT-free oracles; predictions against a round trip."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from galshift.errors import DataError, UsageError
from galshift.evaluation.gap import (
    domain_gap,
    frechet_distance,
    gap_sentence,
    mmd_test,
    proxy_a_distance,
)
from galshift.evaluation.predictions import predictions_table, write_predictions


def test_same_distribution_is_near_and_a_shift_is_far():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 8)), rng.normal(size=(200, 8))
    near = domain_gap(a, b, n_permutations=200)
    far = domain_gap(a, b + 3, n_permutations=200)
    assert near["proxy_a_distance"] < 0.4
    assert near["mmd2_p"] > 0.05
    assert near["frechet"] < 2 * near["frechet_by_chance"]
    assert far["proxy_a_distance"] == pytest.approx(2.0, abs=0.05)
    assert far["mmd2_p"] == pytest.approx(1 / 201)
    assert far["frechet"] > 10 * far["frechet_by_chance"]
    assert "hard to tell apart" in gap_sentence(near)
    assert "clearly different" in gap_sentence(far)


def test_mmd_is_the_double_sum_and_permutations_are_uniform_under_the_null():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(12, 3)), rng.normal(0.5, 1, size=(15, 3))
    value, _, h = mmd_test(a, b, n_permutations=5)
    k = lambda x, y: np.exp(-((x - y) ** 2).sum() / (2 * h**2))  # noqa: E731
    xx = np.mean([k(a[i], a[j]) for i in range(12) for j in range(12) if i != j])
    yy = np.mean([k(b[i], b[j]) for i in range(15) for j in range(15) if i != j])
    xy = np.mean([k(x, y) for x in a for y in b])
    assert value == pytest.approx(xx + yy - 2 * xy)
    p = [
        mmd_test(rng.normal(size=(15, 2)), rng.normal(size=(15, 2)), n_permutations=99, seed=i)[1]
        for i in range(120)
    ]
    assert 0.4 < np.mean(p) < 0.6
    assert np.mean(np.array(p) <= 0.05) < 0.12


def test_frechet_of_gaussians_in_closed_form():
    rng = np.random.default_rng(2)
    a = rng.normal(0, 1, size=(40_000, 2))
    b = rng.normal([1.0, 0.0], [2.0, 1.0], size=(40_000, 2))
    # |dm|^2 + sum (s1 - s2)^2 = 1 + 1
    assert frechet_distance(a, b) == pytest.approx(2.0, abs=0.08)
    ot = pytest.importorskip("ot")
    c, d = rng.normal(size=(3000, 5)), rng.normal(size=(3000, 5)) @ rng.normal(size=(5, 5)) + 1
    theirs = ot.gaussian.empirical_bures_wasserstein_distance(c, d) ** 2
    assert frechet_distance(c, d) == pytest.approx(theirs, rel=0.02)


def test_proxy_a_distance_is_clipped():
    assert proxy_a_distance(0.0) == 2.0
    assert proxy_a_distance(0.25) == 1.0
    assert proxy_a_distance(0.6) == 0.0


def test_paired_mocks_of_one_galaxy_do_not_fool_the_domain_classifier():
    """The same galaxies in both sets: without grouped folds, memorising them gives errors above chance."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=(100, 50))
    groups = np.array([f"g{i}" for i in range(100)])
    got = domain_gap(a, a.copy(), groups_a=groups, groups_b=groups, n_permutations=50)
    assert got["proxy_a_distance"] < 0.3
    assert got["mmd2_p"] > 0.5


def test_views_count_once_and_the_answer_repeats():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(80, 4)), rng.normal(size=(120, 4))
    got = domain_gap(a, b, groups_a=np.arange(80) // 4, groups_b=np.arange(120), n_permutations=50, seed=7)
    assert got["n_per_domain"] == 20
    again = domain_gap(a, b, groups_a=np.arange(80) // 4, groups_b=np.arange(120), n_permutations=50, seed=7)
    assert got == again


def test_too_few_galaxies_or_other_dimensions_are_refused():
    with pytest.raises(DataError, match="at least 10"):
        domain_gap(np.zeros((5, 2)), np.zeros((50, 2)))
    with pytest.raises(DataError, match="dimensions"):
        domain_gap(np.zeros((50, 2)), np.zeros((50, 3)))


@pytest.fixture
def table():
    catalogue = Table({"ra": [1.5, 2.5, 3.5], "ID": ["x", "y", "z"], "objid": [1, 2, 3]})
    return predictions_table(
        ids=np.array(["a,1", 'b"2', "c é"]),
        groups=np.array(["g", "g", "h"]),
        probabilities=np.array([[0.75, 0.25], [0.25, 0.75], [np.nan, np.nan]]),
        classes=["merger", "édge on"],
        data_set="sdss",
        split="test",
        labels=np.array([0, -1, 1]),
        flags=np.array([0, 0, 4]),
        catalogue=catalogue,
    )


def test_prediction_columns(table):
    assert table.colnames == [
        "id", "group", "data_set", "split", "label", "prediction", "confidence",
        "p_merger", "p_édge on", "entropy", "flag", "ra", "catalogue_ID", "objid",
    ]  # fmt: skip
    assert table["label"].tolist() == ["merger", "", "édge on"]
    assert table["prediction"].tolist() == ["merger", "édge on", ""]
    assert table["entropy"][0] == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert np.isnan(table["confidence"][2])


@pytest.mark.parametrize("suffix", [".fits", ".csv", ".parquet"])
def test_predictions_survive_a_round_trip(table, tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = write_predictions(tmp_path / f"out{suffix}", table, provenance={"seed": 3})
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        back = Table(pq.read_table(path).to_pydict())
    else:
        back = (
            Table.read(path, format="ascii.csv" if suffix == ".csv" else "fits", fill_values=None)
            if (suffix == ".csv")
            else Table.read(path)
        )
    assert len(back) == 3
    assert list(back["objid"]) == [1, 2, 3]
    assert np.allclose(np.asarray(back["p_merger"], float)[:2], [0.75, 0.25])
    assert back["id"][0] == "a,1"
    assert back["id"][2] == ("c \\xe9" if suffix == ".fits" else "c é")
    assert [p.name for p in tmp_path.iterdir()] == [f"out{suffix}"]


def test_fits_predictions_carry_provenance(table, tmp_path):
    from astropy.io import fits

    path = write_predictions(tmp_path / "out.fits", table, provenance={"checkpoint": "abc"})
    text = "".join(str(line) for line in fits.getheader(path, 1)["HISTORY"])
    assert '"checkpoint":"abc"' in text


def test_an_unknown_format_is_refused(table, tmp_path):
    with pytest.raises(UsageError, match=r"\.txt"):
        write_predictions(tmp_path / "out.txt", table)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rows_a", "rows_b"), [(30, 40), (12, 60)])
def test_frechet_distance_of_fewer_rows_than_columns_is_that_of_whole_covariances(rows_a, rows_b) -> None:
    from scipy.linalg import sqrtm
    from sklearn.covariance import ledoit_wolf

    rng = np.random.default_rng(rows_a)
    a = rng.normal(size=(rows_a, 120)) * np.linspace(0.1, 2, 120)
    b = rng.normal(size=(rows_b, 120)) + 0.1
    whole = [ledoit_wolf(x)[0] for x in (a, b)]
    mean = a.mean(axis=0) - b.mean(axis=0)
    cross = np.trace(sqrtm(whole[0] @ whole[1]).real)
    expected = mean @ mean + np.trace(whole[0]) + np.trace(whole[1]) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
