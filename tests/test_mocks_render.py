"""PSF, pixels and resampling in one step, against GalSim's analytic rendering and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from galshift.data.psf_array import ArrayPsf
from galshift.errors import DataError
from galshift.mocks.optics import View, kernel, output_side, render
from galshift.mocks.psf import RadialPsf

galsim = pytest.importorskip("galsim")

FWHM = 0.8
#: A telescope whose diffraction pattern is about that wide.
DIAMETER = 1.029 * 700e-9 / (FWHM / 206265)
RATIOS = (1.87, 2, 2.62, 3.96)


def precise(folding=1e-4, maxk=1e-4):
    return galsim.GSParams(
        maximum_fft_size=65536,
        folding_threshold=folding,
        maxk_threshold=maxk,
        kvalue_accuracy=1e-7,
        xvalue_accuracy=1e-7,
    )


#: Name to (GalSim's PSF, ours); GalSim's period is far longer than the stamp, so little returns to it.
PSFS = {
    "moffat": (galsim.Moffat(beta=3.5, fwhm=FWHM, gsparams=precise()), RadialPsf("moffat", FWHM, beta=3.5)),
    "kolmogorov": (galsim.Kolmogorov(fwhm=FWHM, gsparams=precise()), RadialPsf("kolmogorov", FWHM)),
    "airy": (
        galsim.Airy(lam=700, diam=DIAMETER, obscuration=0.3, gsparams=precise(1e-3, 1e-3)),
        RadialPsf("airy", 1e-3, wavelength_nm=700, diameter_m=DIAMETER, obscuration=0.3),
    ),
}


@pytest.fixture(scope="module")
def drawn():
    """Draw each galaxy once, exactly averaged over its pixels: {(n, pixels): (profile, image, pixel)}."""
    made = {}

    def draw(n, size):
        if (n, size) not in made:
            # A de Vaucouleurs cusp aliases on coarse pixels, which no resampling can undo: 0.05 arcsec.
            scale, radius = (0.1, 1.5) if n == 1 else (0.05, 1.0)
            profile = galsim.Sersic(n=n, half_light_radius=radius, flux=1000.0, gsparams=precise())
            profile = profile.shear(g1=0.2, g2=0.1)
            image = profile.drawImage(nx=size, ny=size, scale=scale, method="real_space", dtype=float).array
            made[n, size] = profile, image, scale
        return made[n, size]

    return draw


@pytest.mark.parametrize("psf", PSFS)
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize(
    ("n", "size", "peak", "flux"), [(1, 256, 2e-5, 3e-5), (1, 255, 2e-5, 3e-5), (4, 511, 2e-4, 1e-3)]
)
def test_sersic_through_psf_and_pixel_equals_galsim(drawn, psf, ratio, n, size, peak, flux):
    profile, image, scale = drawn(n, size)
    theirs, ours = PSFS[psf]
    side = output_side(size, scale, scale * ratio)
    parameters = precise(1e-3, 1e-3) if psf == "airy" else precise()
    seen = galsim.Convolve(profile, theirs, gsparams=parameters)
    expected = seen.drawImage(nx=side, ny=side, scale=scale * ratio, dtype=float).array
    view = View(scale, scale * ratio, ours)
    found = render(image.astype(np.float32)[None], [view], (side, side))[0].numpy().astype(float)
    assert np.abs(found - expected).max() / expected.max() <= peak
    outside = 1 - image.sum() / 1000.0  # light that the input does not hold, some of which comes back in
    assert abs(found.sum() / expected.sum() - 1) <= flux + (outside if n == 1 else 0)


@pytest.mark.parametrize("kind", ["gaussian", "moffat", "kolmogorov", "airy", "double-gaussian"])
def test_profile_has_the_width_that_it_is_given(kind):
    more = {
        "moffat": {"beta": 3.0},
        "airy": {"wavelength_nm": 800.0, "diameter_m": 2.4, "obscuration": 0.3},
        "double-gaussian": {"wing_fraction": 0.2, "wing_ratio": 3.0},
    }
    psf = RadialPsf(kind, 0.5, **more.get(kind, {}))
    fine = kernel(psf, 0.02, 101)
    above = np.count_nonzero(fine > fine.max() / 2)
    assert 2 * np.sqrt(above / np.pi) * 0.02 == pytest.approx(0.5, abs=0.012)


def test_a_point_keeps_its_flux_and_gains_psf_and_pixel_variance():
    psf, scale_in, scale_out = RadialPsf("gaussian", FWHM), 0.1, 0.25
    image = np.zeros((1, 255, 255), np.float32)
    image[0, 127, 127] = 1.0
    # The input pixel is divided out, so a lit pixel shows as PSF and output pixel less an input pixel.
    seen = render(image, [View(scale_in, scale_out, psf)], (101, 101))[0].double().numpy()
    x = (np.arange(101) - 50) * scale_out
    variance = (FWHM / np.sqrt(8 * np.log(2))) ** 2 + (scale_out**2 - scale_in**2) / 12
    assert seen.sum() == pytest.approx(1, abs=1e-6)
    assert (seen.sum(axis=0) * x**2).sum() == pytest.approx(variance, rel=1e-3)
    assert (seen.sum(axis=1) * x).sum() == pytest.approx(0, abs=1e-6)


def test_pixels_alone_are_sums_of_pixels():
    # Without a PSF a twice coarser pixel is the sum of four, up to what aliases; so the input is smooth.
    rng = np.random.default_rng(0)
    rough = galsim.Gaussian(fwhm=1.2).shift(0.13, -0.21) + 0.5 * galsim.Gaussian(fwhm=0.9).shift(2, 1)
    image = rough.drawImage(nx=128, ny=128, scale=0.1, dtype=float).array * rng.uniform(1, 2)
    seen = render(image.astype(np.float32)[None], [View(0.1, 0.2, None)], (64, 64))[0].numpy()
    summed = image.reshape(64, 2, 64, 2).sum(axis=(1, 3))
    assert np.abs(seen - summed).max() <= 2e-6 * summed.max()


@pytest.mark.parametrize("size", [96, 97])
def test_rotating_and_flipping_commute_with_observing(drawn, size):
    _, image, scale = drawn(1, 255)
    image = np.roll(image, (3, -5), axis=(0, 1))[:size, 100 : 100 + size].astype(np.float32)
    view, side = View(scale, 0.187, RadialPsf("moffat", 0.7, beta=3.0)), output_side(size, scale, 0.187)

    def see(x):
        return render(np.ascontiguousarray(x)[None], [view], (side, side))[0].numpy()

    once = see(image)
    assert np.abs(see(np.rot90(image)) - np.rot90(once)).max() <= 2e-6 * once.max()
    assert np.abs(see(image[:, ::-1]) - once[:, ::-1]).max() <= 2e-6 * once.max()
    assert np.abs(see(3 * image) - 3 * once).max() <= 2e-6 * 3 * once.max()


def test_a_shift_is_what_galsim_shifts(drawn):
    profile, image, scale = drawn(1, 255)
    theirs, ours = PSFS["moffat"]
    shift = np.array([[0.31, -0.42]])  # rows, columns, in output pixels
    moved = galsim.Convolve(profile, theirs, gsparams=precise()).shift(-0.42 * 0.2, 0.31 * 0.2)
    expected = moved.drawImage(nx=127, ny=127, scale=0.2, dtype=float).array
    view = View(scale, 0.2, ours)
    found = render(image.astype(np.float32)[None], [view], (127, 127), shifts=shift)[0].numpy()
    assert np.abs(found - expected).max() <= 2e-5 * expected.max()


def test_the_inputs_own_psf_is_taken_into_account(drawn):
    profile, _, _ = drawn(1, 255)
    own = galsim.Gaussian(fwhm=0.35, gsparams=precise())
    theirs, ours = PSFS["moffat"]
    image = galsim.Convolve(profile, own, gsparams=precise()).drawImage(
        nx=255, ny=255, scale=0.1, dtype=float
    )
    expected = galsim.Convolve(profile, theirs, gsparams=precise()).drawImage(
        nx=127, ny=127, scale=0.2, dtype=float
    )
    # The own PSF as an image of 0.1 arcsec pixels, as a file would carry it.
    star = own.drawImage(nx=61, ny=61, scale=0.1, dtype=float).array
    for source in (RadialPsf("gaussian", 0.35), ArrayPsf(star, 0.1, 0.1)):
        view = View(0.1, 0.2, ours, source)
        found = render(image.array.astype(np.float32)[None], [view], (127, 127))[0].numpy()
        assert np.abs(found - expected.array).max() <= 2e-4 * expected.array.max()


def test_a_sharper_target_is_refused():
    image = np.ones((1, 64, 64), np.float32)
    with pytest.raises(DataError, match="too sharp"):
        render(image, [View(0.1, 0.1, RadialPsf("gaussian", 0.6), RadialPsf("gaussian", 1.0))], (64, 64))


@pytest.mark.parametrize("pixel", [0.05, 0.11, 0.2])
def test_an_array_psf_of_any_pixel_scale_equals_its_profile(drawn, pixel):
    profile, image, scale = drawn(1, 255)
    theirs, _ = PSFS["moffat"]
    # Flux-normalised and off-centre on purpose: both are put right.
    star = 7 * theirs.shift(0.3 * pixel, 0).drawImage(nx=301, ny=301, scale=pixel, dtype=float).array
    seen = galsim.Convolve(profile, theirs, gsparams=precise())
    expected = seen.drawImage(nx=127, ny=127, scale=0.2, dtype=float).array
    view = View(scale, 0.2, ArrayPsf(star, pixel, pixel))
    found = render(image.astype(np.float32)[None], [view], (127, 127))[0].numpy()
    assert np.abs(found - expected).max() <= 5e-4 * expected.max()


def test_neighbours_in_a_batch_do_not_matter(drawn):
    _, image, scale = drawn(1, 255)
    rng = np.random.default_rng(1)
    stack = np.stack([image[rng.integers(60) :, rng.integers(60) :][:128, :128] for _ in range(20)])
    stack = stack.astype(np.float32)
    view = View(scale, 0.263, RadialPsf("moffat", 0.9, beta=3.0))
    together = render(stack, [view] * 20, (48, 48)).numpy()
    alone = np.concatenate([render(stack[i : i + 1], [view], (48, 48)).numpy() for i in range(20)])
    assert np.array_equal(together, alone)
