"""Stretches, resampling, augmentation and splits against closed forms and plain NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from galshift.data.augment import AugmentConfig, augment, blur, dihedral, shift_and_zoom
from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.match import band_order, fill_bad, match_scale
from galshift.data.preprocess import PreprocessConfig, Preprocessing, fit_preprocessing
from galshift.data.resample import coverage, crop_or_pad, resample
from galshift.data.splits import sky_regions, split_groups
from galshift.data.stretch import STRETCHES, Stretch, raw_stretch, sky_sigma
from galshift.data.units import conversion
from galshift.errors import DataError

INVERTIBLE = tuple(kind for kind in STRETCHES if kind != "sky-sigma")


def stretch_of(kind, bands=3):
    constants = {"softening": [0.5, 1.0, 2.0], "low": [-1.0] * 3, "high": [900.0] * 3, "range": 3.0}
    return Stretch(kind=kind, mean=[0.1, -0.2, 0.3], std=[1.5, 0.7, 2.0], **constants)


@pytest.mark.parametrize("kind", INVERTIBLE)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 100))
@settings(max_examples=25, deadline=None)
def test_what_is_stretched_can_be_had_back(kind, seed, scale):
    """In double precision, to 1e-9 of the brightest; percentile where it does not clip."""
    generator = torch.Generator().manual_seed(seed)
    linear = scale * torch.randn(2, 3, 5, 5, generator=generator, dtype=torch.float64)
    stretch = stretch_of(kind)
    if kind == "percentile":
        linear = linear.clamp(-1, 900)
    back = stretch.inverse(stretch(linear))
    torch.testing.assert_close(back, linear, rtol=1e-8, atol=1e-9 * float(linear.abs().max()))


def test_a_stretch_by_each_images_own_noise_cannot_be_undone():
    stretch = stretch_of("sky-sigma")
    assert not stretch.invertible
    with pytest.raises(DataError, match="cannot be undone"):
        stretch.inverse(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("kind", STRETCHES)
def test_stretches_are_differentiable_and_never_join_images(kind):
    linear = (5 * torch.randn(4, 3, 12, 12, dtype=torch.float64)).requires_grad_()
    stretch = stretch_of(kind)
    together = stretch(linear)
    torch.testing.assert_close(stretch(linear[2:3]), together[2:3])
    together.sum().backward()
    assert torch.isfinite(linear.grad).all()
    zero = torch.zeros(1, 3, 12, 12, requires_grad=True)
    stretch(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_stretches_by_their_formulas():
    x = torch.linspace(-20, 2000, 500, dtype=torch.float64).reshape(1, 1, 20, 25).repeat(1, 3, 1, 1)
    x = x * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    values = x.numpy()[0]
    soft = np.array([0.5, 1.0, 2.0]).reshape(3, 1, 1)
    np.testing.assert_allclose(raw_stretch(stretch_of("asinh"), x)[0], np.arcsinh(values / soft))
    clipped = np.arcsinh(0.85 * np.clip(values, -1, 900) / 900)
    np.testing.assert_allclose(raw_stretch(stretch_of("percentile"), x)[0], clipped)
    # Lupton et al. 2004: colours, the ratios of bands, stay as they are.
    lupton = raw_stretch(stretch_of("lupton"), x)[0].numpy()
    mean = values.mean(axis=0)
    np.testing.assert_allclose(lupton.mean(axis=0), np.arcsinh(8 * mean / 3) / 8, atol=1e-12)
    np.testing.assert_allclose(lupton[2], 3 * lupton[0], rtol=1e-12)


def test_sky_sigma_is_the_noise_of_the_border():
    images = 7 + 2 * torch.randn(3, 2, 200, 200, generator=torch.Generator().manual_seed(0))
    images[:, :, 80:120, 80:120] += 1000
    torch.testing.assert_close(sky_sigma(images), torch.full((3, 2, 1, 1), 2.0), rtol=0.03, atol=0)


@pytest.mark.parametrize("kind", STRETCHES)
def test_fitted_constants_give_zero_mean_and_unit_spread(kind):
    images = np.random.default_rng(0).normal(3, 2, size=(150, 2, 16, 16)).astype("f4")
    data = InMemory(Cutouts(images=images, unit="nJy", pixel_scale=0.2, bands=("g", "r")))
    fitted = fit_preprocessing(data, None, PreprocessConfig(stretch=kind))
    seen = fitted.apply(data.cutouts)
    np.testing.assert_allclose(seen.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=(0, 2, 3)), 1, atol=1e-4)
    assert Preprocessing.model_validate_json(fitted.model_dump_json()) == fitted
    shuffled = np.random.default_rng(1).permutation(150)
    assert fit_preprocessing(data, shuffled, PreprocessConfig(stretch=kind)) == fitted


def test_bands_are_matched_by_name_units_converted_and_bad_pixels_filled():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 3, 8, 8)).astype("f4")
    train = Cutouts(images=images, unit="nJy", pixel_scale=0.2, bands=("g", "r", "i"))
    fitted = fit_preprocessing(InMemory(train), None, PreprocessConfig(bands=["i", "g"]))
    np.testing.assert_array_equal(fitted.linear(train), images[:, [2, 0]])
    mask = np.zeros((4, 8, 8), dtype=bool)
    mask[:, 3, 3] = True
    other = images[:, ::-1] / 3631
    broken = np.where(mask[:, None], 0, other)
    same = Cutouts(images=broken, mask=mask, unit="nmgy", pixel_scale=0.2, bands=("I", "r", "g"))
    linear = fitted.linear(same)
    good = ~np.broadcast_to(mask[:, None], linear.shape)
    np.testing.assert_allclose(linear[good], images[:, [2, 0]][good], rtol=1e-5, atol=1e-6)
    assert np.abs(linear[~good]).max() < np.abs(images).max()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bands": ("u", "z", "y")}, "band 'g' is not among"),
        ({"unit": ""}, "unit of these images is not known"),
        ({"unit": "ct"}, "cannot be changed"),
        ({"pixel_scale": None}, "pixel scale of these images is not known"),
    ],
)
def test_what_cannot_be_reconciled_is_refused_before_reading(changes, sentence):
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype("f4")
    values = {"unit": "nJy", "pixel_scale": 0.2, "bands": ("g", "r", "i")}
    fitted = fit_preprocessing(InMemory(Cutouts(images=images, **values)), None)
    from dataclasses import replace

    info = InMemory(Cutouts(images=images, **{**values, **changes})).info
    info = replace(info, unit=info.unit or None)
    with pytest.raises(DataError, match=sentence):
        fitted.check(info)


@given(n=st.integers(8, 40), ratio=st.floats(0.3, 4), seed=st.integers(0, 999), size=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_resampling_conserves_flux(n, ratio, seed, size):
    """All flux is there when the output covers the input; a part of it, never more, when it does not."""
    image = np.random.default_rng(seed).uniform(size=(1, n, n))
    wide = int(np.ceil(n / ratio)) + 4
    assert resample(image, ratio, wide).sum() == pytest.approx(image.sum(), rel=1e-5)
    assert coverage(n, size, ratio).max() <= 1 + 1e-9


def test_integer_ratios_are_block_sums_and_one_is_exact():
    image = np.random.default_rng(0).normal(size=(2, 12, 12)).astype("f4")
    # Pixel n // 2 of the input stays at pixel size // 2, so that blocks of 3 are centred on it.
    out = resample(image, 3, 3)
    np.testing.assert_allclose(out[:, 1, 1], image[:, 5:8, 5:8].sum(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(resample(image, 1, 12), image)
    np.testing.assert_array_equal(crop_or_pad(crop_or_pad(image, 20), 12), image)


def test_a_resampled_gaussian_is_the_gaussian_of_the_new_pixels():
    """Pixel integrals of a Gaussian are differences of error functions."""
    from scipy.special import erf

    def pixels(n, scale, sigma=1.3):
        edges = (np.arange(n + 1) - n // 2 - 0.5) * scale
        share = np.diff(erf(edges / sigma / np.sqrt(2))) / 2
        return np.outer(share, share)

    for ratio in (0.7, 1.9, 2.5):
        out = resample(pixels(61, 0.3)[None], ratio, 15)[0]
        np.testing.assert_allclose(out, pixels(15, 0.3 * ratio), atol=2e-4 * out.max())


def test_surface_brightness_is_averaged_and_flux_is_summed():
    flat = np.full((2, 1, 20, 20), 5.0, dtype="f4")
    scales = np.array([0.2, 0.4])
    summed = match_scale(flat, scales, 0.4, 8, average=False)
    np.testing.assert_allclose(summed[0], 20, rtol=1e-5)
    np.testing.assert_allclose(summed[1], 5, rtol=1e-5)
    np.testing.assert_allclose(match_scale(flat, scales, 0.4, 8, average=True), 5, rtol=1e-5)


def test_units_by_hand():
    assert conversion("nmgy", "nJy", None) == pytest.approx(3631)
    assert conversion("MJy / sr", "nJy", 0.2) == pytest.approx(1e15 * (0.2 * np.pi / 648000) ** 2)
    assert conversion("nJy / arcsec2", "nJy", 0.5) == pytest.approx(0.25)
    with pytest.raises(DataError, match="needs the pixel scale"):
        conversion("MJy / sr", "nJy", None)


def test_bad_pixels_take_their_neighbours_place():
    image = np.add.outer(np.arange(9.0), np.arange(9.0))[None, None].astype("f4")
    mask = np.zeros(image.shape, dtype=bool)
    mask[..., 4, 4] = True
    filled = fill_bad(np.where(mask, 0, image), mask)
    assert filled[0, 0, 4, 4] == pytest.approx(8, abs=1e-4)
    assert (fill_bad(image, np.ones_like(mask)) == 0).all()


def test_band_names():
    assert band_order(("g", "r", "i"), ("I", "g")) == [2, 0]
    with pytest.raises(DataError, match="--bands g,r"):
        band_order(("band0", "band1"), ("g", "r"))


def test_the_eight_turns_are_the_dihedral_group():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    views = [dihedral(image, torch.tensor([k]))[0, 0].numpy() for k in range(8)]
    assert len({view.tobytes() for view in views}) == 8
    plain = image[0, 0].numpy()
    expected = {np.rot90(f, k).tobytes() for f in (plain, plain[:, ::-1]) for k in range(4)}
    assert {view.tobytes() for view in views} == expected


def test_shifts_blurs_and_zooms_by_their_moments():
    y, x = np.mgrid[:41, :41] - 20.0
    blob = torch.from_numpy(np.exp(-(x**2 + y**2) / 18)).reshape(1, 1, 41, 41)

    def moments(image):
        p = image[0, 0].numpy() / image.sum().item()
        my, mx = (p * y).sum(), (p * x).sum()
        return my, mx, (p * (y - my) ** 2).sum()

    one, zero = torch.ones(1, dtype=blob.dtype), torch.zeros(1, 2, dtype=blob.dtype)
    my, mx, _ = moments(shift_and_zoom(blob, torch.tensor([[0.3, -1.7]], dtype=blob.dtype), one))
    # PyTorch's bicubic kernel (a = -0.75) does not reproduce straight lines: up to 0.05 pixel.
    assert (my, mx) == (pytest.approx(0.3, abs=0.05), pytest.approx(-1.7, abs=0.05))
    blurred = blur(blob, 2 * one)
    assert blurred.sum().item() == pytest.approx(blob.sum().item(), rel=1e-9)
    assert moments(blurred)[2] == pytest.approx(9 + 4, rel=1e-2)
    assert moments(shift_and_zoom(blob, zero, 1.1 * one))[2] == pytest.approx(9 * 1.21, rel=2e-2)


def test_augmentation_is_a_function_of_its_generator_and_of_each_image():
    images = torch.randn(6, 2, 16, 16)
    config = AugmentConfig(zoom=0.1, color_jitter=0.1, blur_px=1.0)
    one, two = (augment(images, config, torch.Generator().manual_seed(s), torch.ones(2)) for s in (1, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, augment(images, config, torch.Generator().manual_seed(2), torch.ones(2)))
    nothing = AugmentConfig(dihedral=False, shift_px=0, flux_jitter=0, noise=(0, 0))
    assert torch.equal(augment(images, nothing, torch.Generator()), images)


def test_added_noise_has_the_level_that_is_asked_for():
    still = AugmentConfig(dihedral=False, shift_px=0, flux_jitter=0, noise=(2.0, 2.0))
    scale = torch.tensor([1.0, 5.0])
    noisy = augment(torch.zeros(50, 2, 64, 64), still, torch.Generator().manual_seed(0), scale)
    torch.testing.assert_close(noisy.std(dim=(0, 2, 3)), 2 * scale, rtol=0.02, atol=0)


@given(
    n=st.integers(1, 120),
    n_groups=st.integers(1, 60),
    seed=st.integers(0, 99),
    fractions=st.sampled_from([(0.8, 0.2), (0.65, 0.15, 0.2), (0.5, 0.25, 0.25)]),
)
@settings(max_examples=80, deadline=None)
def test_no_group_is_in_two_splits_whatever_the_order(n, n_groups, seed, fractions):
    rng = np.random.default_rng(seed)
    groups = np.asarray([f"g{k}" for k in rng.integers(0, n_groups, size=n)])
    labels = rng.integers(-1, 3, size=n)
    shares = {f"part{i}": share for i, share in enumerate(fractions)}
    parts = split_groups(groups, labels, shares, seed)
    assert sorted(itertools.chain.from_iterable(parts.values())) == list(range(n))
    for one, two in itertools.combinations(parts.values(), 2):
        assert not set(groups[one]) & set(groups[two])
    order = rng.permutation(n)
    again = split_groups(groups[order], labels[order], shares, seed)
    assert all(set(order[again[name]]) == set(rows) for name, rows in parts.items())


def test_splits_keep_the_class_mix():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, p=[0.7, 0.25, 0.05], size=4000)
    groups = np.arange(4000).astype(str)
    parts = split_groups(groups, labels, {"train": 0.7, "valid": 0.1, "test": 0.2}, 0)
    for rows, share in zip(parts.values(), (0.7, 0.1, 0.2)):
        counts = np.bincount(labels[rows], minlength=3)
        np.testing.assert_allclose(counts, share * np.bincount(labels), atol=1.5)


def test_splits_by_sky_region_keep_neighbours_together():
    """Two images within a cell share a region; cells have about equal areas, also near the pole."""
    rng = np.random.default_rng(0)
    ra = rng.uniform(0, 360, size=20_000)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, size=20_000)))
    regions = sky_regions(ra, dec, 10.0)
    sizes = np.unique(regions, return_counts=True)[1]
    # 41 253 square degrees in cells of 100: about 48 points each.
    assert 380 < len(sizes) < 450
    assert np.median(sizes) == pytest.approx(20_000 / 412.5, rel=0.1)
    assert sky_regions(ra + 360, dec, 10.0).tolist() == regions.tolist()
    parts = split_groups(regions, None, {"train": 0.8, "test": 0.2}, 1)
    assert not set(regions[parts["train"]]) & set(regions[parts["test"]])
    assert len(parts["test"]) == pytest.approx(4000, rel=0.02)
    lost = sky_regions(np.array([np.nan, np.nan, 1.0]), np.array([0.0, 1.0, np.nan]))
    assert len(set(lost.tolist())) == 3


@pytest.mark.parametrize(("unit", "mean", "std"), [("dimensionless", 0.5, 0.25), ("nJy", 2.0, 1.0)])
def test_pictures_can_be_brought_to_a_given_range_and_fluxes_are_measured(unit, mean, std):
    images = np.zeros((2, 1, 8, 8), dtype=np.float32)
    images[0], images[1] = 1.0, 3.0  # mean 2, spread 1
    data = InMemory(Cutouts(images=images, ids=np.array(["a", "b"]), bands=("r",), unit=unit))
    config = PreprocessConfig(stretch="linear", normalise=(0.5, 0.25))
    fitted = fit_preprocessing(data, None, config).stretch_constants
    assert (fitted.mean[0], fitted.std[0]) == pytest.approx((mean, std), rel=1e-2)
    assert "normalise" not in PreprocessConfig().model_dump()  # older runs are known again
