"""The finer classes of built-in galaxies are what they are called, by measures of the pixels alone."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from galshift.simulate import KINDS
from galshift.simulate._light import Frame
from galshift.simulate.generate import make_frame, simulate_all
from tests.benchmarks.unknown_tasks import NINE

TEN = (*NINE, "lens")
SIZE, EACH = 64, 12


@lru_cache(maxsize=1)
def drawn() -> dict[str, np.ndarray]:
    """(EACH, SIZE, SIZE) light in r of each class, without neighbours."""
    frame = make_frame(SIZE, ("r",))
    return {name: np.stack([one_view(name, seed, frame) for seed in range(EACH)]) for name in TEN}


def one_view(name: str, seed: int, frame: Frame) -> np.ndarray:
    """(SIZE, SIZE) light of one galaxy."""
    galaxy = KINDS.get(name)(np.random.default_rng(seed))
    return galaxy.view(np.random.default_rng(seed + 99), frame)[0][0]


def moments(image: np.ndarray, radius: float = 20.0) -> tuple[float, float, np.ndarray]:
    """Axis ratio, angle and centre by the second moments of the light within a circle."""
    y, x = np.indices(image.shape) - (SIZE - 1) / 2
    centre = np.zeros(2)
    for _ in range(8):
        weight = image * (np.hypot(x - centre[0], y - centre[1]) < radius)
        centre = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
    dx, dy = x - centre[0], y - centre[1]
    second = np.array([[(weight * a * b).sum() for a in (dx, dy)] for b in (dx, dy)]) / weight.sum()
    values, vectors = np.linalg.eigh(second)
    return float(np.sqrt(values[0] / values[1])), float(np.arctan2(vectors[1, 1], vectors[0, 1])), centre


def asymmetry(image: np.ndarray) -> float:
    """Half of the light that a half turn moves, as a share, about the best centre (Conselice 2003)."""
    image = gaussian_filter(image, 1.5)
    peak = np.unravel_index(image.argmax(), image.shape)
    y, x = np.indices(image.shape)
    shifts = np.arange(-1, 1.01, 0.5)
    turned = [
        map_coordinates(image, [2 * (peak[0] + a) - y, 2 * (peak[1] + b) - x], order=1)
        for a, b in itertools.product(shifts, shifts)
    ]
    return float(min(np.abs(image - one).sum() for one in turned) / (2 * image.sum()))


def test_round_ones_are_round_and_cigars_long() -> None:
    ratios = {name: [moments(image)[0] for image in drawn()[name]] for name in ("round", "cigar")}
    assert min(ratios["round"]) > 0.93
    assert max(ratios["cigar"]) < 0.75 < min(ratios["round"])
    table = simulate_all(6, classes=("round", "cigar"), size=16, views=3).table
    assert table["axis_ratio"].reshape(-1, 2, 3)[:, 0].min() > 0.88
    assert table["axis_ratio"].reshape(-1, 2, 3)[:, 1].max() <= 0.5


def test_a_bulge_stands_out_of_an_edge_on_disc() -> None:
    def above(image: np.ndarray) -> float:
        """Of the light within 4 pixels along the disc, the share that is farther than 3 pixels from it."""
        _, angle, centre = moments(image)
        y, x = np.indices(image.shape) - (SIZE - 1) / 2
        dx, dy = x - centre[0], y - centre[1]
        along = np.abs(dx * np.cos(angle) + dy * np.sin(angle)) < 4
        away = np.abs(dy * np.cos(angle) - dx * np.sin(angle)) > 3
        return float((image * (along & away)).sum() / (image * along).sum())

    share = {name: [above(image) for image in drawn()[name]] for name in TEN if name.startswith("edge-on")}
    # A sech**2 layer of 0.15 scale lengths of 5.5 kpc at 0.98 kpc a pixel: 1 - tanh(3 / 0.84) = 0.002.
    assert max(share["edge-on-no-bulge"]) < 0.02
    assert min(share["edge-on-bulge"]) > 0.03
    for name in share:
        assert np.median([moments(image)[0] for image in drawn()[name]]) < 0.6


def test_arms_are_wound_as_the_class_says() -> None:
    table = simulate_all(24, classes=("spiral-tight", "spiral-loose"), size=16).table
    pitch = np.asarray(table["pitch_deg"]).reshape(-1, 2)
    assert pitch[:, 0].max() < 12 < 21 < pitch[:, 1].min()  # Sa below 12 degrees, Sc above 20
    assert np.asarray(table["bulge_fraction"]).reshape(-1, 2)[:, 0].min() > 0.14
    assert not np.asarray(table["bar_length_kpc"]).any()


def test_disturbed_galaxies_are_lopsided_and_spirals_are_not() -> None:
    median = {name: np.median([asymmetry(image) for image in drawn()[name]]) for name in TEN}
    smooth = ("round", "cigar", "edge-on-bulge", "edge-on-no-bulge", "spiral-tight")
    assert median["disturbed"] > 2 * max(median[name] for name in smooth)


def test_a_disturbed_galaxy_shows_one_nucleus_of_two() -> None:
    galaxy, pair = (KINDS.get(name)(np.random.default_rng(3)) for name in ("disturbed", "merger"))
    assert galaxy.weight[len(galaxy.weight) // 2 :].sum() == 0.0
    assert galaxy.weight.sum() == pytest.approx(1.0, rel=1e-5)
    assert pair.weight[len(pair.weight) // 2 :].sum() == pytest.approx(
        pair.mass_ratio / (1 + pair.mass_ratio)
    )
    np.testing.assert_array_equal(galaxy.position, pair.position)  # the same encounter


def test_the_ten_are_told_apart_by_their_nearest_kin() -> None:
    """By the few numbers above, each galaxy's nearest of the others is of its class far above chance."""
    rows, labels = [], []
    for number, name in enumerate(TEN):
        for image in drawn()[name]:
            y, x = np.indices(image.shape) - (SIZE - 1) / 2
            light = [image[np.hypot(x, y) < r].sum() / image.sum() for r in (3, 8, 16)]
            rows.append([moments(image)[0], moments(image, 8.0)[0], asymmetry(image), *light])
            labels.append(number)
    rows, labels = np.array(rows), np.array(labels)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.5  # chance is 0.1
