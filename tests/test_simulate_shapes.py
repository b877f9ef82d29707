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
    edge = np.concatenate([data.images[:, 0, 0], data.images[:, 0, -1], data.images[:, 0, :, 0]], axis=1)
    assert not edge.any()  # whole drawings


def test_circle_has_the_light_of_a_ring():
    """A ring of radius r and width w has light 2 pi r w and mean squared radius r**2 + w**2 / 4."""
    data = shapes(60, seed=1, peak=2.0)
    step = np.arange(100)
    for image in data.images[data.labels == 2, 0].astype(float):
        light = image.sum()
        x, y = image.sum(axis=0) @ step / light, image.sum(axis=1) @ step / light
        second = (image.sum(axis=0) @ (step - x) ** 2 + image.sum(axis=1) @ (step - y) ** 2) / light
        width = light / 2 / (2 * np.pi * np.sqrt(second))
        assert 0.95 < width < 3.05
        assert 11.5 < np.sqrt(second - width**2 / 4) < 32.5


def test_lines_are_straight_and_rectangles_are_not():
    data = shapes(60, seed=2)
    rows, columns = np.mgrid[:100, :100]
    for image, label in zip(data.images[:, 0], data.labels):
        points = np.stack([rows[image > 0.3], columns[image > 0.3]]).astype(float)
        thin = np.sqrt(np.linalg.eigvalsh(np.cov(points))[0])
        assert (thin < 1.5) == (CLASSES[label] == "line")


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
