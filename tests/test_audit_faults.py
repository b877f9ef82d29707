"""Faults in electrons against arithmetic on plain arrays."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from galshift.audit.config import Detector
from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Scene
from galshift.audit.faults.cosmic import event_electrons, quantile_shares, track
from galshift.audit.injector import Injector
from galshift.audit.prober import Places
from galshift.errors import DataError

SIDE = 9
DETECTOR = Detector(
    electrons_per_unit=(10.0, 20.0), exposures=(3.0, 5.0), sky_e=(40.0, 60.0), full_well_e=50_000.0
)


def scene(detector: Detector = DETECTOR) -> Scene:
    """Return two bands whose stretched values run from -1 to 3 and from 0 to 5."""
    return Scene(("g", "r"), detector, torch.tensor([-1.0, 0.0]), torch.tensor([3.0, 5.0]))


def injector_of(name: str, stretch=torch.asinh, **options) -> Injector:
    """Return a fault ready to strike."""
    kind = FAULTS.get(name)
    return Injector(kind(kind.Config(**options)), scene(), stretch)


def image() -> torch.Tensor:
    """Return a random linear image (2, 9, 9)."""
    return torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def strike(injector: Injector, index: int, y: int, x: int) -> np.ndarray:
    """Return the linear image after variant `index` struck at (y, x)."""
    injector.load(image())
    return injector.apply(index, y, x)[0].numpy()


@pytest.mark.parametrize("place", [(0, 0), (8, 8), (0, 5), (4, 4)])
def test_pixels_hold_the_electrons_of_the_fault(place: tuple[int, int]) -> None:
    y, x = place
    clean = image().numpy()
    cases = [
        ("hot", {"amplitudes_e": (1_000.0,)}, lambda b: clean[b, y, x] + 1_000 / (10, 20)[b]),
        ("dead", {}, lambda b: -(40, 60)[b] / (10, 20)[b]),
        ("saturated", {}, lambda b: 50_000 * (3, 5)[b] / (10, 20)[b]),
    ]
    for name, options, value in cases:
        injector = injector_of(name, **options)
        assert len(injector.variants) == 2
        struck = {variant.bands[0]: strike(injector, i, y, x) for i, variant in enumerate(injector.variants)}
        for band, after in struck.items():
            expected = clean.copy()
            expected[band, y, x] = value(band)
            np.testing.assert_allclose(after, expected, rtol=1e-6)


@pytest.mark.parametrize("place", [(0, 0), (8, 8), (8, 0), (4, 4)])
def test_a_cosmic_ray_leaves_its_electrons_along_a_track(place: tuple[int, int]) -> None:
    injector = injector_of("cosmic", lengths_pixel=(1, 4, 5))
    y, x = place
    for index, variant in enumerate(injector.variants):
        added = strike(injector, index, y, x) - image().numpy()
        (band,), (electrons,) = variant.bands, variant.values
        inside = [
            (y + dy, x + dx) for dy, dx, _ in variant.stencil if 0 <= y + dy < SIDE and 0 <= x + dx < SIDE
        ]
        expected = np.zeros((2, SIDE, SIDE))
        for row, column in inside:
            expected[band, row, column] += electrons / len(variant.stencil) / (10, 20)[band]
        np.testing.assert_allclose(added, expected, atol=1e-4)


def test_tracks_are_connected_lines_through_the_place_of_impact() -> None:
    for n in (1, 4, 5):
        for angle in np.arange(8) * math.pi / 8:
            cells = track(n, angle)
            assert len({(dy, dx) for dy, dx, _ in cells}) == n
            assert sum(share for *_, share in cells) == pytest.approx(1)
            assert (0, 0) in {(dy, dx) for dy, dx, _ in cells}
            for (a, b, _), (c, d, _) in itertools.pairwise(cells):
                assert max(abs(a - c), abs(b - d)) == 1


def test_the_distribution_of_cosmic_rays_has_the_published_cut_off_and_median() -> None:
    assert event_electrons(0.0, 500, 1_000) == 500
    assert event_electrons(0.5, 500, 1_000) == pytest.approx(1_000)
    # A shifted exponential: every halving of what is left adds as much as the first.
    assert event_electrons(0.75, 500, 1_000) == pytest.approx(1_500)
    shares = quantile_shares((0.99, 0.5, 0.9))
    assert shares == pytest.approx({0.5: 0.7, 0.9: 0.245, 0.99: 0.055})


@pytest.mark.parametrize("name", sorted(FAULTS.names()))
def test_weights_are_a_distribution_and_names_are_unique(name: str) -> None:
    variants = injector_of(name).variants
    assert sum(variant.weight for variant in variants) == pytest.approx(1)
    assert len({(v.name, v.stencil) for v in variants}) == len(variants)


def test_the_free_attack_sets_corners_of_the_range() -> None:
    values = {variant.values for variant in injector_of("rgb").variants}
    assert values == {(3.0, 5.0), (3.0, 0.0), (-1.0, 5.0), (-1.0, 0.0)}
    each = [(v.bands, v.values) for v in injector_of("rgb", combine="each", levels=(1.0, 0.5)).variants]
    assert each == [((0,), (3.0,)), ((1,), (5.0,)), ((0,), (1.0,)), ((1,), (2.5,))]


@pytest.mark.parametrize("name", sorted(FAULTS.names()))
def test_patches_are_cut_from_whole_images(name: str) -> None:
    injector = injector_of(name)
    stretched = injector.load(image())
    rows, columns = torch.tensor([0, 8, 3, 0]), torch.tensor([0, 8, 4, 8])
    half = injector.patch // 2
    top, left = ((c - half).clamp(0, SIDE - injector.patch) for c in (rows, columns))
    places = Places(rows, columns, top, left)
    for index in range(len(injector.variants)):
        patches, images = injector.patches(index, places), injector.images(index, places)
        for patch, whole, y, x in zip(patches, images, top, left):
            window = (slice(None), slice(y, y + injector.patch), slice(x, x + injector.patch))
            np.testing.assert_allclose(patch, whole[window], rtol=1e-6)
            rest = whole.clone()
            rest[window] = stretched[window]
            np.testing.assert_array_equal(rest, stretched)


def test_electrons_that_are_not_known_are_refused() -> None:
    kind = FAULTS.get("hot")
    for wrong in ({}, {"electrons_per_unit": (1.0, 2.0, 3.0)}, {"electrons_per_unit": (0.0,)}):
        injector = Injector(kind(kind.Config()), scene(Detector(**wrong)), torch.asinh)
        injector.load(image())
        with pytest.raises(DataError):
            injector.apply(0, 1, 1)
