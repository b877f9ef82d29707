"""Shapes of galaxies: against statmorph, photutils and closed forms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import brentq

from galshift.evaluation import morphology
from galshift.evaluation._apertures import (
    Ellipse,
    EllipseGrowth,
    Growth,
    circle_overlap,
    petrosian,
    radius_of_fraction,
)
from galshift.evaluation._asymmetry import Asymmetry, sky_box, smoothness
from galshift.evaluation.morphology import BAD, GOOD, MEASURES, cutout, gini, m20, measure, segment
from galshift.simulate.generate import simulate_all


def gaussian(sigma: float, *, side: int = 96, centre=(47.0, 48.0), ratio: float = 1.0) -> np.ndarray:
    """A Gaussian of unit peak, its long axis along x."""
    y, x = np.indices((side, side))
    return np.exp(-(((x - centre[0]) / sigma) ** 2 + ((y - centre[1]) * ratio / sigma) ** 2) / 2)


def mocks(n: int, seed: int = 3) -> np.ndarray:
    images = simulate_all(n, size=64, seed=seed, bands=("r",)).images[:, 0].astype(np.float64)
    images = ndimage.gaussian_filter(images, (0, 1.2, 1.2))
    noise = np.random.default_rng(seed).normal(0, 0.01 * np.percentile(images, 99.9), images.shape)
    return images + noise


def test_agrees_with_statmorph() -> None:
    statmorph = pytest.importorskip("statmorph", reason="the extra 'test' has it")
    from photutils.segmentation import SegmentationImage

    names = ("concentration", "asymmetry", "smoothness", "gini", "m20", "r50", "rpetro_circ")
    images = mocks(8)
    segments = segment(images)
    assert segments.any(axis=(1, 2)).all()
    ours = measure(images[:, None], segments=segments)
    images = images - morphology._sky(images)[0][:, None, None]
    theirs = []
    for image, inside in zip(images, segments):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = statmorph.SourceMorphology(
                image, SegmentationImage(inside.astype(int)), 1, gain=1.0, n_sigma_outlier=0
            )
        theirs.append([getattr(found, name) for name in names])
    theirs = np.array(theirs)
    away = np.abs(np.stack([ours.values[name] for name in MEASURES], axis=1) - theirs)
    assert (np.median(away, axis=0) < 0.002 * theirs.std(axis=0)).all()
    assert (away.max(axis=0) < 0.1 * theirs.std(axis=0)).all()


@pytest.mark.parametrize("radius", [0.4, 1.0, 2.7, 4.9, 5.1, 12.3, 40.0])
def test_flux_in_circles_is_that_of_photutils(radius: float) -> None:
    from photutils.aperture import CircularAperture

    image = np.random.default_rng(0).normal(1, 1, (64, 64))
    centre = (30.3, 28.9)
    aperture = CircularAperture(centre, radius)
    flux, area = Growth(image, centre)(radius)
    assert flux == pytest.approx(aperture.do_photometry(image, method="exact")[0][0], rel=2e-3)
    assert area == pytest.approx(aperture.area_overlap(image), rel=3e-4)


def test_the_area_of_a_small_circle_is_exact() -> None:
    y, x = np.indices((21, 21)) - 10.0
    for radius in (0.3, 0.7, 3.0, 7.9):
        assert circle_overlap(x + 0.2, y - 0.4, radius).sum() == pytest.approx(np.pi * radius**2, rel=1e-12)


def test_flux_in_ellipses_is_that_of_photutils() -> None:
    from photutils.aperture import EllipticalAperture

    image = gaussian(9, ratio=1.7)
    growth = EllipseGrowth(image, Ellipse((47.0, 48.0), 2.0, 0.6))
    for axis in (6.0, 15.0, 30.0):
        aperture = EllipticalAperture((47.0, 48.0), axis, axis / 2, theta=0.6)
        flux, area = growth(axis)
        assert flux == pytest.approx(aperture.do_photometry(image, method="exact")[0][0], rel=5e-3)
        assert area == pytest.approx(aperture.area, rel=5e-3)


def test_radii_of_a_gaussian_are_those_of_its_formula() -> None:
    sigma = 6.0
    growth = Growth(gaussian(sigma, side=128, centre=(63.6, 62.2)), (63.6, 62.2))
    # I(r) / <I>(< r) = x exp(-x) / (1 - exp(-x)) with x = r^2 / 2 sigma^2
    x = brentq(lambda x: x * np.exp(-x) / (1 - np.exp(-x)) - 0.2, 0.5, 9)
    radius, found = petrosian(growth, 90.0)
    assert found
    assert radius == pytest.approx(sigma * np.sqrt(2 * x), rel=5e-3)
    # flux within r is 1 - exp(-r^2 / 2 sigma^2) of all
    half = radius_of_fraction(growth, 60.0, 0.5)
    assert half == pytest.approx(sigma * np.sqrt(2 * np.log(2)), rel=5e-3)


def test_concentration_of_a_gaussian() -> None:
    """5 log10(r80 / r20), within 1.5 Petrosian radii, where 99.9 % of its light is."""
    found = measure(gaussian(5.0)[None, None], segments=(gaussian(5.0) > 0.05)[None])
    expected = 5 * np.log10(np.sqrt(np.log(1 - 0.8) / np.log(1 - 0.2)))
    assert found.values["concentration"][0] == pytest.approx(expected, abs=0.03)
    assert found.values["asymmetry"][0] == pytest.approx(0, abs=1e-3)


def test_asymmetry_by_hand() -> None:
    """Of two spots, 3 and 1, opposite each other: |3 - 1| twice, over 4."""
    image = np.zeros((41, 41))
    image[20, 25], image[20, 15] = 3, 1
    assert Asymmetry(image, 12.0, 0.0)(np.array([20.0, 20.0])) == pytest.approx(1.0)
    # Half a pixel beside, a spot is turned onto two halves: half of each stays where the other one was.
    shifted = Asymmetry(image, 12.0, 0.0)(np.array([20.25, 20.0]))
    assert shifted == pytest.approx((abs(3 - 0.5) + 0.5 + abs(1 - 1.5) + 1.5) / 4)
    # The sky's own asymmetry is taken off by area.
    area = np.pi * 12**2
    less = Asymmetry(image, 12.0, 1e-3)(np.array([20.0, 20.0]))
    assert less == pytest.approx(1.0 - 1e-3 * area / 4, rel=1e-3)
    assert Asymmetry(image, 12.0, 0.0)(np.array([-1.0, 20.0])) == 100


def test_smoothness_is_nothing_for_a_ramp_and_undefined_for_a_dot() -> None:
    ramp = np.tile(np.arange(1.0, 65.0), (64, 1))
    growth = Growth(ramp, (32.0, 32.0))
    assert smoothness(ramp, growth, 12.0, None) == pytest.approx(0, abs=1e-9)  # a mean of a line is on it
    assert np.isnan(smoothness(ramp, growth, 3.9, None))  # a quarter of it is less than a pixel
    spots = ramp.copy()
    spots[32, 40] += 64.0  # within the ring of 3 to 18 pixels; the boxcar of 3 keeps a ninth
    ring = np.pi * (18**2 - 3**2)
    flux = Growth(spots, (32.0, 32.0))
    expected = 64 * (1 - 1 / 9) / (flux.flux(18.0) - flux.flux(3.0))
    assert smoothness(spots, flux, 12.0, None) == pytest.approx(expected, rel=1e-6)
    assert flux.flux(18.0) - flux.flux(3.0) == pytest.approx(33 * ring + 64, rel=1e-3)


def test_gini_and_m20_by_hand() -> None:
    assert gini(np.full(9, 2.0)) == pytest.approx(0)
    assert gini(np.array([0.0, 0, 0, 5])) == pytest.approx(1)
    assert gini(np.array([1.0, -3.0])) == pytest.approx(0.5)  # (-1 * 1 + 1 * 3) / (1 * 4)
    assert np.isnan(gini(np.array([1.0])))
    light = np.zeros((21, 21))
    light[10, 10], light[10, 13], light[10, 7] = 9, 1, 1
    # The brightest fifth is the middle, of no moment: not defined.
    assert np.isnan(m20(light))
    light[10, 10], light[10, 11], light[10, 9] = 2, 4, 4
    # 12 units in all; 80 % less is 9.6, so the two of 4 are the brightest: 8 of 8 + 2 * 9.
    assert m20(light) == pytest.approx(np.log10(8 / 26))


def test_colours_are_magnitudes_of_neighbouring_bands() -> None:
    image = gaussian(5.0)
    stack = np.stack([image, 2 * image, -image])[None]
    found = measure(stack, bands=("g", "r", "i"), segments=(image > 0.05)[None])
    assert found.values["colour_g_r"][0] == pytest.approx(2.5 * np.log10(2), abs=1e-3)
    assert np.isnan(found.values["colour_r_i"][0])
    assert found.features().shape == (1, len(MEASURES) + 2)


def test_what_cannot_be_measured_is_nan_and_flagged() -> None:
    rng = np.random.default_rng(0)
    nothing, dark = rng.normal(0, 1, (64, 64)), -gaussian(5.0, side=64, centre=(32, 32))
    filled = gaussian(40.0, side=64, centre=(32, 32)) + 1
    images = np.stack([np.zeros((64, 64)), dark, filled])[:, None]
    segments = np.stack([np.zeros((64, 64), bool), dark < -0.1, np.ones((64, 64), bool)])
    found = measure(images, segments=segments)
    assert found.flag.tolist() == [BAD, BAD, BAD]
    assert np.isnan(found.features()[:2]).all()
    assert segment(nothing[None]).sum() < 60  # a speck of noise at most
    assert not segment(np.zeros((1, 32, 32))).any()
    assert sky_box(np.zeros((16, 16), bool)) is None


def test_a_clean_galaxy_is_good_and_does_not_depend_on_its_batch() -> None:
    images = mocks(4, seed=8)
    images[0] = gaussian(4.0, side=64, centre=(31, 32), ratio=1.5)
    images[0] += np.random.default_rng(0).normal(0, 0.01, (64, 64))
    together = measure(images[:, None])
    assert together.flag[0] == GOOD
    for place in range(4):
        alone = measure(images[place][None, None])
        np.testing.assert_array_equal(alone.features()[0], together.features()[place])


def test_segments_are_the_galaxy_in_the_middle() -> None:
    image = gaussian(4.0, centre=(48, 48)) + 5 * gaussian(3.0, centre=(12, 14))
    image += np.random.default_rng(0).normal(0, 0.01, image.shape)
    inside = segment(image[None])[0]
    assert inside[48, 48]
    assert not inside[14, 12]
    # 1.5 sigmas of noise smoothed by 1.5 pixels (0.01 / 2 / sqrt(pi) / 1.5), of a Gaussian so smoothed
    level = 1.5 * 0.01 / (2 * np.sqrt(np.pi) * 1.5)
    wide = 4.0**2 + 1.5**2
    radius = np.sqrt(-2 * wide * np.log(level * wide / 4.0**2))
    assert inside.sum() == pytest.approx(np.pi * radius**2, rel=0.1)
    rows, columns = cutout(inside)
    assert rows.stop - rows.start == columns.stop - columns.start
    assert 48 <= rows.stop - rows.start <= 2.5 * 2.3 * radius


@pytest.mark.parametrize("bands", [1, 5])
@pytest.mark.parametrize("side", [1, 2, 5, 16, 33])
def test_nothing_that_an_image_may_hold_raises_or_warns(side: int, bands: int) -> None:
    """Warnings are errors in these tests; what is not defined is NaN, never infinite, and flagged."""
    rng = np.random.default_rng(side)
    y, x = np.indices((side, side)) - side // 2
    galaxy = np.exp(-(x**2 + y**2) / (0.03 * side**2))
    one_band_dark = np.tile(galaxy, (bands, 1, 1))
    one_band_dark[0] = 0
    speck = np.zeros((bands, side, side))
    speck[:, side // 2, side // 2] = 1
    kinds = [
        np.full((bands, side, side), 3.0),
        np.zeros((bands, side, side)),
        np.full((bands, side, side), np.nan),
        np.where(x < 0, np.nan, galaxy)[None].repeat(bands, axis=0),
        np.where(y == 0, np.inf, galaxy)[None].repeat(bands, axis=0),
        -np.tile(galaxy, (bands, 1, 1)),
        speck,
        one_band_dark,
        1e37 * np.tile(galaxy, (bands, 1, 1)),
        1e-37 * np.tile(galaxy, (bands, 1, 1)),
        *rng.normal(0, 1, (12, bands, side, side)),
        *rng.poisson(0.05, (12, bands, side, side)),
        *rng.standard_cauchy((12, bands, side, side)),
    ]
    with np.errstate(all="raise", under="ignore"):
        found = measure(np.stack(kinds))
    features = found.features()
    assert features.shape == (len(kinds), len(MEASURES) + bands - 1)
    assert not np.isinf(features).any()
    assert (found.flag[np.isnan(features[:, : len(MEASURES)]).any(axis=1)] == BAD).all()
    assert np.isnan(features[:5, : len(MEASURES)]).all()
    assert (found.flag[:6] == BAD).all()


def test_no_images_have_no_measures() -> None:
    assert measure(np.zeros((0, 2, 16, 16))).features().shape == (0, len(MEASURES) + 1)


def test_an_image_that_is_broken_leaves_the_others_as_they_are() -> None:
    images = mocks(3)[:, None]
    whole = measure(images).features()
    images[1, 0, 3, 3] = np.nan
    found = measure(images)
    assert np.isnan(found.features()[1]).all()
    np.testing.assert_array_equal(found.features()[[0, 2]], whole[[0, 2]])
