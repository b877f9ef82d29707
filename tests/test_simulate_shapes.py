"""The shapes data set: drawings against areas in closed form, noise against Poisson statistics."""

from __future__ import annotations

import numpy as np
import pytest

from galshift.errors import UsageError
from galshift.simulate.shapes import CLASSES, poisson_snr, shapes


def test_shapes_are_balanced_in_range_and_reproducible():
    data = shapes(30, seed=3)
    assert data.images.shape == (30, 1, 100, 100)
    assert data.classes == CLASSES
    assert np.bincount(data.labels).tolist() == [10, 10, 10]
    assert data.images.min() == 0
    assert data.images.max() == 1
    np.testing.assert_array_equal(shapes(4, seed=3).images, data.images[:4])
    assert set(np.unique(data.images)) == {0.0, 1.0}


def test_circle_is_the_ring_between_two_ellipses():
    """A ring a pixel wide inside an ellipse of axes a and b has the area pi (a + b - 2) / 2."""
    data = shapes(150, seed=1, peak=2.0)
    areas = data.images[data.labels == 2, 0].sum(axis=(1, 2)) / 2
    assert areas.min() > 0.85 * np.pi * 9 * 0.5  # cut in half by the edge
    assert areas.max() < 1.15 * np.pi * 29
    rows, columns = np.mgrid[:100, :100]
    for image in data.images[data.labels == 2, 0]:
        if image[0].any() or image[-1].any() or image[:, 0].any() or image[:, -1].any():
            continue
        points = np.stack([rows[image > 0], columns[image > 0]]).astype(float)
        middle = points.mean(axis=1)
        # A closed curve around its centre: every direction is met, and the centre is empty.
        angles = np.arctan2(*(points - middle[:, None]))
        assert np.diff(np.sort(angles)).max() < 0.6
        assert np.hypot(*(points - middle[:, None])).min() > 3.4


def test_rectangles_are_four_straight_upright_lines():
    """Every pixel lies in the first or last row or column of the outline, and the sides are whole."""
    data = shapes(90, seed=4)
    for image in data.images[data.labels == 1, 0]:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.shape == (rows.size, columns.size)
        assert not box[1:-1, 1:-1].any()
        assert box[0].all() or rows[0] == 0
        assert box[:, 0].all() or columns[0] == 0


def test_lines_are_straight_and_the_other_shapes_are_not():
    data = shapes(90, seed=2)
    rows, columns = np.mgrid[:100, :100]
    thin = np.zeros(90)
    for k, image in enumerate(data.images[:, 0]):
        points = np.stack([rows[image > 0], columns[image > 0]]).astype(float)
        thin[k] = np.sqrt(max(np.linalg.eigvalsh(np.cov(points))[0], 0))
    assert thin[data.labels == CLASSES.index("line")].max() < 0.6
    assert np.median(thin[data.labels == CLASSES.index("rectangle")]) > 5
    assert thin[data.labels == CLASSES.index("circle")].min() > 2


def test_poisson_noise_has_the_stated_ratio_and_variance():
    images = np.full((3, 1, 300, 300), 0.4, dtype=np.float32)
    noisy = poisson_snr(images, 0.05, seed=0)
    noise = noisy - images
    assert noise.mean() == pytest.approx(0.4 / 0.05 - 0.4, rel=0.01)
    assert noise.var() == pytest.approx(0.4 / 0.05 - 0.4, rel=0.02)
    assert images.mean() / noisy.mean() == pytest.approx(0.05, rel=0.01)
    np.testing.assert_array_equal(poisson_snr(images[:1], 0.05, seed=0), noisy[:1])
    assert poisson_snr(255 * images, 0.05, seed=0).max() == 255
    np.testing.assert_array_equal(poisson_snr(images, 1.0, seed=0), images)


def test_bad_arguments_are_refused():
    with pytest.raises(UsageError, match="0 shapes"):
        shapes(0)
    with pytest.raises(UsageError, match="signal-to-noise"):
        poisson_snr(np.ones((1, 1, 4, 4)), 0.0, seed=1)
