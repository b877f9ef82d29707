"""A sky that was left in: measured on borders, named, taken off every image where two surveys differ in it.

Expected planes are known by construction, or fitted by NumPy's least squares to the same border.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.hdf5 import write_hdf5
from galshift.data.preprocess import PreprocessConfig, Preprocessing, fit_preprocessing
from galshift.data.sky_level import sky_levels, sky_slopes, without_sky
from galshift.domains.account import account
from galshift.domains.unlike import differences, sky_to_take_off, stands_out
from tests.file_operations import galshift

SIDE = 30


def galaxies(n: int = 40, *, sky: float = 0.0, slope: float = 0.0, seed: int = 0) -> np.ndarray:
    """(n, 2, 30, 30) round galaxies of unit noise, over a level and a plane of another direction each."""
    rng = np.random.default_rng(seed)
    y, x = (np.indices((SIDE, SIDE)) - (SIDE - 1) / 2) / SIDE
    angle = rng.uniform(0, 2 * np.pi, (n, 1, 1, 1))
    planes = sky + slope * (np.sin(angle) * y + np.cos(angle) * x)
    flux = rng.uniform(20, 60, (n, 1, 1, 1))
    noise = rng.normal(0, 1, (n, 2, SIDE, SIDE))
    return (flux * np.exp(-(x**2 + y**2) * 60) + planes + noise).astype(np.float32)


def rim() -> np.ndarray:
    """Where the outer tenth of each side is."""
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[3:-3, 3:-3] = True
    return ~inside


def test_the_level_is_the_median_of_the_border() -> None:
    images = galaxies(3, sky=4.0)
    expected = np.median(images[:, :, rim()], axis=-1)
    np.testing.assert_allclose(sky_levels(images), expected, rtol=1e-6)
    np.testing.assert_allclose(without_sky(images, "level"), images - expected[..., None, None], atol=1e-5)
    assert without_sky(images, "as-is") is images
    with pytest.raises(ValueError, match="auto"):
        without_sky(images, "auto")


def test_the_plane_is_that_of_least_squares_of_the_clipped_border() -> None:
    images = galaxies(2, sky=3.0, slope=5.0)
    y, x = np.indices((SIDE, SIDE)) / SIDE - 0.5
    terms = np.stack([np.ones_like(x), y, x], axis=-1)
    for image, found in zip(images[:, 0], without_sky(images, "plane")[:, 0], strict=True):
        use = rim()
        for _ in range(4):
            factors = np.linalg.lstsq(terms[use], image[use].astype(float), rcond=None)[0]
            left = np.where(rim(), image - terms @ factors, np.nan)
            away = np.abs(left - np.nanmedian(left))
            use = rim() & (away <= 3 * 1.4826 * np.nanmedian(away))
        np.testing.assert_allclose(found, image - terms @ factors, atol=2e-4)


def test_a_star_on_the_border_does_not_tilt_the_plane() -> None:
    clean = galaxies(1, sky=2.0, slope=4.0)
    starred = clean.copy()
    starred[0, :, 0:4, 10:14] += 300.0
    far = np.ones((SIDE, SIDE), dtype=bool)
    far[0:4, 10:14] = False
    shift = (without_sky(starred, "plane") - without_sky(clean, "plane"))[0, 0][far]
    assert np.abs(shift).max() < 0.25  # of a noise of 1; by plain least squares 32


def test_the_slope_is_what_the_plane_rises_by_over_a_side() -> None:
    y, x = np.indices((SIDE, SIDE)) / SIDE
    exact = (2.0 * y - 1.5 * x)[None, None].astype(np.float32)
    np.testing.assert_allclose(sky_slopes(exact), 2.5, rtol=1e-5)
    np.testing.assert_allclose(without_sky(exact, "plane"), 0, atol=1e-5)


@given(hnp.arrays(np.float32, (1, 1, 9, 9), elements=st.sampled_from([0.0, 1.0, -3.0, 1e4])))
@settings(max_examples=50, deadline=None)
def test_borders_of_few_values_end_in_numbers(images: np.ndarray) -> None:
    for sky in ("level", "plane"):
        assert np.isfinite(without_sky(images, sky)).all()
    assert (sky_slopes(images) >= 0).all()


def test_the_constants_keep_what_is_taken_off(tmp_path: Path) -> None:
    images = galaxies(sky=6.0)
    data = InMemory(Cutouts(images=images, unit="nJy", pixel_scale=0.2, bands=("g", "r")), name="a")
    plain, level = (fit_preprocessing(data, None, PreprocessConfig(sky=sky)) for sky in ("auto", "level"))
    assert plain.sky == "as-is"
    # What was written before there was a sky to take off is read, and written, as it was.
    assert "sky" not in plain.model_dump()
    assert Preprocessing.model_validate_json(level.model_dump_json()) == level
    np.testing.assert_array_equal(level.linear(data.read([0, 5])), without_sky(images[[0, 5]], "level"))
    assert "sky" not in PreprocessConfig().model_dump()


@pytest.mark.parametrize(
    ("target", "sky", "words"),
    [
        ({}, "as-is", []),
        ({"sky": 0.3}, "as-is", []),
        ({"sky": 1.2}, "level", ["lies 1.", "above"]),
        ({"sky": -2.0}, "level", ["lies 2", "below"]),
        ({"slope": 3.0}, "plane", ["rises by", "more over an image"]),
        ({"sky": 3.0, "slope": 4.0}, "plane", ["above", "rises by"]),
    ],
)
def test_it_is_taken_off_where_two_skies_differ(target: dict[str, float], sky: str, words: list[str]) -> None:
    both = [
        InMemory(Cutouts(images=images, unit="nJy", pixel_scale=0.2, bands=("g", "r")), name=name)
        for name, images in (("deep", galaxies()), ("wide", galaxies(seed=1, **target)))
    ]
    seen = {}
    for wanted in ("as-is", sky):
        network = fit_preprocessing(both[0], None, PreprocessConfig(sky=wanted))
        seen[wanted] = [account(one, np.arange(40), network)[0] for one in both]
        assert sky_to_take_off(seen[wanted]) == sky  # it is measured on the images as they are
    said = [line for line in stands_out(seen["as-is"]) if "sky of wide" in line]
    assert all(word in said[0] for word in words) if words else not said
    assert said == [line for line in differences(seen["as-is"][1], seen["as-is"][:1]) if "sky" in line]
    if words:
        assert "--set preprocess.sky=plane" in said[0]
        assert f"each image's own {sky} is taken off" in " ".join(stands_out(seen[sky]))


def test_an_adaptation_says_it_and_its_network_takes_it_off(tmp_path: Path) -> None:
    labels = np.arange(60) % 2
    for name, sky in (("deep", 0.0), ("wide", 5.0)):
        images = galaxies(60, sky=sky, seed=2)
        images[labels == 1, :, 13:17] += 30
        made = {"unit": "nJy", "pixel_scale": 0.2, "bands": ("g", "r"), "labels": labels}
        groups = np.array([f"{name}{k}" for k in range(60)])
        write_hdf5(tmp_path / f"{name}.h5", [Cutouts(images, classes=("a", "b"), groups=groups, **made)])
    words = ("adapt", "deep.h5", "wide.h5", "--dry-run")

    def told(*more: str) -> str:
        done = galshift(tmp_path, *words, *more)
        assert done.returncode == 0, done.stderr
        return " ".join((done.stdout + done.stderr).split())

    assert "above that of deep: each image's own level is taken off (preprocess.sky)." in told()
    assert "with --set preprocess.sky=plane takes" in told("--set", "preprocess.sky=as-is")
    assert "each image's own plane is taken off" in told("--set", "preprocess.sky=plane")
    done = galshift(
        tmp_path, *words[:3], "--method", "coral", "--epochs", "1", "--out", "run", "--no-baselines"
    )
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "run" / "data.json").read_text(encoding="utf-8"))
    assert {role: one["sky"] for role, one in kept.items()} == {"source": "level", "target": "level"}
    # The same survey again, with another level left in: the network does not see it.
    images = galaxies(60, sky=50.0, seed=2)
    images[labels == 1, :, 13:17] += 30
    write_hdf5(tmp_path / "worse.h5", [Cutouts(images, unit="nJy", pixel_scale=0.2, bands=("g", "r"))])
    for name in ("wide", "worse"):
        done = galshift(tmp_path, "predict", "run", f"{name}.h5", f"{name}.csv")
        assert done.returncode == 0, done.stderr
    tables = [
        np.genfromtxt(tmp_path / f"{name}.csv", delimiter=",", names=True) for name in ("wide", "worse")
    ]
    np.testing.assert_allclose(tables[0]["p_a"], tables[1]["p_a"], atol=2e-3)


def test_a_network_of_one_survey_names_a_sky_unlike_it(tmp_path: Path) -> None:
    for name, sky in (("deep", 0.0), ("wide", 5.0)):
        images, labels = galaxies(60, sky=sky, seed=2), np.arange(60) % 2
        write_hdf5(
            tmp_path / f"{name}.h5",
            [
                Cutouts(
                    images, unit="nJy", pixel_scale=0.2, bands=("g", "r"), labels=labels, classes=("a", "b")
                )
            ],
        )
    done = galshift(tmp_path, "train", "deep.h5", "--epochs", "1", "--out", "run")
    assert done.returncode == 0, done.stderr
    for name in ("deep", "wide"):
        done = galshift(tmp_path, "predict", "run", f"{name}.h5", f"{name}.csv")
        assert done.returncode == 0, done.stderr
        told = " ".join((done.stdout + done.stderr).split())
        assert ("times the noise above that of deep: training with" in told) == (name == "wide")
