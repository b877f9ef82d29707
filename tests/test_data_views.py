"""Views and stretch against SciPy and NumPy in double precision, and against torch's own interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from galshift.data.affine import dihedral, shift_and_zoom
from galshift.data.augment import augment
from galshift.data.input_config import AugmentConfig
from galshift.data.stretch import STRETCHES, Stretch, asinh


def disc(n: int, side: int, seed: int = 0) -> torch.Tensor:
    """Discs of a peak of 100 on noise of 1, not symmetric under any turn."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(*2 * (torch.arange(side) - side / 2,), indexing="ij")
    profile = torch.exp(-torch.hypot(y - 2.3, 1.4 * x + 0.7) / (side / 12))
    return 100 * profile + torch.randn(n, 2, side, side, generator=generator)


def test_asinh_is_numpys_from_the_smallest_to_the_largest_numbers():
    size = torch.logspace(-37, 38, 100_001, dtype=torch.float64)
    x = torch.cat([size, -size, torch.zeros(1)]).float()
    expected = np.arcsinh(x.double().numpy())
    np.testing.assert_allclose(asinh(x).numpy(), expected, rtol=5e-7, atol=0)
    np.testing.assert_allclose(asinh(x.double()).numpy(), expected, rtol=1e-14, atol=0)
    np.testing.assert_array_equal(asinh(torch.tensor([torch.inf, -torch.inf])).numpy(), [np.inf, -np.inf])
    assert torch.isnan(asinh(torch.tensor([torch.nan]))).all()


def test_the_slope_of_asinh_is_one_over_a_root_also_at_zero():
    x = torch.cat([torch.zeros(1), torch.linspace(-50, 50, 41), torch.tensor([1e30, -1e30])]).requires_grad_()
    asinh(x).sum().backward()
    values = x.detach().double().numpy()
    np.testing.assert_allclose(x.grad, 1 / np.hypot(1, values), rtol=1e-6)
    assert torch.autograd.gradcheck(asinh, torch.linspace(-3, 3, 7, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("kind", STRETCHES)
def test_a_stretch_gives_an_image_the_same_bits_in_any_batch(kind):
    constants = {"softening": [0.5, 2.0], "low": [-1.0, -1.0], "high": [90.0, 90.0], "range": 3.0}
    stretch = Stretch(kind=kind, mean=[0.1, -0.2], std=[1.5, 0.7], **constants)
    images = disc(150, 45)  # several blocks, of a number of pixels that no vector divides
    before = images.clone()
    together = stretch(images)
    assert torch.equal(images, before)
    for rows in (slice(0, 1), slice(37, 40), slice(149, 150)):
        assert torch.equal(stretch(images[rows]), together[rows])
    wanting = images[:3].clone().requires_grad_()
    assert torch.equal(stretch(wanting).detach(), together[:3])


def keys(distance: np.ndarray) -> np.ndarray:
    """The kernel of Keys 1981, eq. 4, with a = -0.75, in its usual form."""
    d, a = np.abs(distance), -0.75
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


@pytest.mark.parametrize("element", [None, 0, 1, 2, 3, 4, 5, 6, 7])
def test_a_shift_is_scipys_correlation_with_the_kernel_after_the_turn(element):
    image, (dy, dx) = disc(1, 24), (0.37, -1.62)
    turned = image[0].double().numpy()
    if element is not None:
        turned = np.rot90(turned[..., ::-1] if element >= 4 else turned, element % 4, axes=(-2, -1))
    for axis, moved in ((1, dy), (2, dx)):
        kernel = keys(np.arange(-4, 5) + moved)
        turned = ndimage.correlate1d(turned, kernel, axis=axis, mode="nearest")
    found = shift_and_zoom(
        image,
        torch.tensor([[dy, dx]]),
        torch.ones(1),
        None if element is None else torch.tensor([element]),
    )
    np.testing.assert_allclose(found[0], turned, rtol=1e-5, atol=1e-4)


def test_a_zoom_is_scipys_transform_where_both_know_the_answer():
    """The kernel, which moves straight lines by up to 0.05 pixel, and splines agree on what is smooth."""
    y, x = np.mgrid[:48, :48] - 23.5
    smooth = np.exp(-(y**2 + 2 * x**2 + x * y) / 300)
    zoom, shift = 1.08, np.array([0.4, -0.9])
    middle = np.array([23.5, 23.5])
    offset = middle - (middle + shift) / zoom
    expected = ndimage.affine_transform(smooth, np.eye(2) / zoom, offset, order=3, mode="nearest")
    found = shift_and_zoom(
        torch.from_numpy(smooth)[None, None], torch.from_numpy(shift)[None], torch.full((1,), zoom).double()
    )
    np.testing.assert_allclose(found[0, 0, 6:-6, 6:-6], expected[6:-6, 6:-6], atol=6e-3)


@pytest.mark.parametrize("side", [24, 45])
def test_views_are_those_of_torchs_interpolation_to_a_ten_thousandth_of_the_noise(side):
    images, generator = disc(16, side), torch.Generator().manual_seed(3)
    element = torch.randint(8, (16,), generator=generator)
    shift = 4 * torch.rand(16, 2, generator=generator) - 2
    zoom = 0.9 + 0.2 * torch.rand(16, generator=generator)
    turned = torch.stack(
        [
            torch.rot90(one.flip(-1) if k >= 4 else one, k % 4, dims=(-2, -1))
            for one, k in zip(images, element.tolist(), strict=True)
        ]
    )
    assert torch.equal(dihedral(images, element), turned)
    theta = torch.zeros(16, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / zoom
    theta[:, 0, 2], theta[:, 1, 2] = -2 * shift[:, 1] / side / zoom, -2 * shift[:, 0] / side / zoom
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    expected = functional.grid_sample(
        turned, grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    found = shift_and_zoom(images, shift, zoom, element)
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        AugmentConfig(),
        AugmentConfig(shift_px=0),
        AugmentConfig(dihedral=False),
        AugmentConfig(dihedral=False, shift_px=0),
        AugmentConfig(dihedral=False, shift_px=0, flux_jitter=0),
        AugmentConfig(shift_px=2, zoom=0.1, color_jitter=0.1, blur_px=1, noise=(0.5, 3)),
    ],
)
def test_what_is_augmented_is_left_as_it_was(config):
    images, generator = disc(4, 16), torch.Generator().manual_seed(0)
    before = images.clone()
    augment(images, config, generator, torch.ones(2))
    assert torch.equal(images, before)


def test_gain_and_noise_are_the_draws_in_their_order():
    """By hand, from the same stream: one normal factor an image, one band by band, a level, the noise."""
    config = AugmentConfig(dihedral=False, shift_px=0, color_jitter=0.1, noise=(0.5, 2.0))
    images, scale = disc(5, 12), torch.tensor([1.0, 3.0])
    found = augment(images, config, torch.Generator().manual_seed(8), scale)
    stream = torch.Generator().manual_seed(8)
    flux, color = torch.randn(5, 1, 1, 1, generator=stream), torch.randn(5, 2, 1, 1, generator=stream)
    level = torch.rand(5, 1, 1, 1, generator=stream)
    noise = torch.randn(5, 2, 12, 12, generator=stream)
    flux, color, level, noise = (part.double().numpy() for part in (flux, color, level, noise))
    sigma = 0.5 * 4**level * np.array([1.0, 3.0]).reshape(1, 2, 1, 1)
    expected = images.double().numpy() * np.exp(0.05 * flux + 0.1 * color) + sigma * noise
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
