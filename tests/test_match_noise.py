"""Noise measured by a photon-transfer curve, and one domain's brought up to the other's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from galshift.data.match_noise import Excess, NoiseMatcher, match_noise, noise_excess, rough_variance

SKY, GAIN = (1.0, 9.0), (0.02, 0.2)  # variance of a blank pixel, and per unit of flux: source, target


def galaxies(n: int, seed: int, domain: int | None) -> Tensor:
    """(N, 2, 32, 32) smooth blobs with noise; the second band has twice the photon noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] - 15.5
    width, peak = rng.uniform(4, 7, (n, 1, 1, 1)), rng.uniform(50, 300, (n, 1, 1, 1))
    truth = np.repeat(peak * np.exp(-(x**2 + y**2) / (2 * width**2)), 2, axis=1)
    if domain is None:
        return torch.from_numpy(truth)
    gain = np.array([1.0, 2.0])[:, None, None] * GAIN[domain]
    return torch.from_numpy(rng.normal(truth, np.sqrt(SKY[domain] + gain * truth)))


def test_rough_variance_is_unbiased_and_blind_to_planes() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 3.0, (40, 1, 32, 32)))
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    plane = (5 * x - 2 * y + 7).double()
    variance, flux = rough_variance(noise + plane)
    assert variance.shape == flux.shape == (1, 40 * 30 * 30)
    # 36,000 squares, each normal to 0 with spread sqrt(2) * 9, correlated over some 4 pixels.
    assert float(variance.mean()) == pytest.approx(9.0, rel=0.05)
    torch.testing.assert_close(
        rough_variance(plane[None, None])[0].abs().max(), torch.zeros((), dtype=torch.float64)
    )


def test_sky_and_gain_are_found_in_the_images_alone() -> None:
    excess = noise_excess(galaxies(300, 1, 0), galaxies(260, 2, 1))
    assert excess.sky == pytest.approx([8.0, 8.0], rel=0.03)
    assert excess.photon == pytest.approx([0.18, 0.36], rel=0.1)


def test_a_noise_free_source_lacks_all_of_the_targets_noise() -> None:
    excess = noise_excess(galaxies(200, 1, None), galaxies(200, 2, 1))
    assert excess.sky == pytest.approx([9.0, 9.0], rel=0.03)


def test_equal_domains_lack_nothing() -> None:
    excess = noise_excess(galaxies(300, 1, 1), galaxies(300, 2, 1))
    assert np.abs(excess.sky).max() < 0.25
    assert np.abs(excess.photon).max() < 0.02


def test_images_without_noise_give_finite_zeros() -> None:
    excess = noise_excess(torch.zeros(3, 1, 16, 16), torch.zeros(4, 1, 16, 16))
    assert excess.sky == [0.0]
    assert excess.photon == [0.0]


def test_added_noise_has_the_variance_that_was_missing() -> None:
    excess, images = Excess(sky=[4.0], photon=[0.5]), torch.full((1, 1, 300, 300), 10.0, dtype=torch.float64)
    noise = torch.from_numpy(np.random.default_rng(3).normal(size=images.shape))
    added = match_noise(images, excess, noise) - images
    assert float(added.var()) == pytest.approx(4.0 + 0.5 * 10.0, rel=0.02)
    np.testing.assert_allclose(added.numpy(), 3.0 * noise.numpy(), rtol=1e-12, atol=1e-12)


def test_nothing_is_added_to_the_noisier_domain() -> None:
    images = galaxies(5, 1, 1)
    missing = noise_excess(galaxies(100, 1, 0), galaxies(100, 2, 1)).reversed()
    assert torch.equal(match_noise(images, missing, torch.ones_like(images)), images)


def test_a_draw_depends_on_the_name_and_its_number_alone() -> None:
    matcher, images = (
        NoiseMatcher(Excess(sky=[4.0, 1.0], photon=[0.0, 0.1]), seed=7),
        galaxies(4, 1, 0).float(),
    )
    names = ("a", "b", "c", "d")
    all_at_once = matcher(images, names, (0, 0, 1, 0))
    torch.testing.assert_close(matcher(images[2:3], ("c",), (1,)), all_at_once[2:3], rtol=0, atol=0)
    assert not torch.equal(matcher(images[2:3], ("c",), (2,)), all_at_once[2:3])
    assert not torch.equal(matcher(images, ("e", "b", "c", "d"), (0, 0, 1, 0))[0], all_at_once[0])
