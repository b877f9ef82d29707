"""Real files: COSMOS galaxies with their own PSFs, a simulated merger, HST seen as HSC sees the same sky."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import galshift
from galshift.data.catalogue_psfs import attach_psfs
from galshift.data.open import ReadOptions, open_dataset
from galshift.data.psf_array import ArrayPsf


@pytest.mark.parametrize("survey", ["hsc-wide", "lsst-y10", "sdss"])
def test_cosmos_galaxies_with_their_own_psfs(shared_data, tmp_path, survey):
    folder = shared_data / "btk-cosmos100"
    given = {"band_map": "F814W=i", "set": {"read.zero_point": 25.94}, "truth": True}
    galshift.make_mocks(str(folder), str(tmp_path / "m.h5"), survey=survey, **given)
    images = open_dataset(folder, ReadOptions(zero_point=25.94)).read(np.arange(100)).images
    with h5py.File(tmp_path / "m.h5") as file:
        truth, seen, ivar = (file[name][:] for name in ("truth", "images", "ivar"))
    kept = truth.sum(axis=(1, 2, 3)) / images.sum(axis=(1, 2, 3))
    assert np.median(kept) == pytest.approx(1, abs=0.02)
    assert (
        0.9 < kept.min() <= kept.max() < 1.01
    )  # one galaxy fills its frame, and its light spreads out of it
    assert ((seen - truth) * np.sqrt(ivar)).var() == pytest.approx(1, abs=0.05)


def test_own_psfs_are_read_from_the_catalogue_and_removed(shared_data, tmp_path):
    galsim = pytest.importorskip("galsim")
    folder = shared_data / "btk-cosmos100"
    dataset = open_dataset(folder, ReadOptions(zero_point=25.94))
    cutouts = attach_psfs(dataset.read(np.arange(3)), folder)
    assert cutouts.psf.shape == (3, 1, 65, 51)
    widths = [ArrayPsf(cutouts.psf[i, 0], 0.03, 0.03).fwhm() for i in range(3)]
    assert widths == pytest.approx([0.103] * 3, abs=0.006)  # ACS F814W, drizzled
    given = {"survey": "hsc-wide", "band_map": "F814W=i", "set": {"read.zero_point": 25.94}, "noise": "none"}
    galshift.make_mocks(str(folder), str(tmp_path / "own.h5"), **given)
    galshift.make_mocks(str(folder), str(tmp_path / "bare.h5"), **given, input_psf="none")
    with h5py.File(tmp_path / "own.h5") as own, h5py.File(tmp_path / "bare.h5") as bare:
        found, blurred = own["images"][0, 0], bare["images"][0, 0]
        psf = own["psf"][0]
    assert found.max() > 1.03 * blurred.max()  # blurring twice would lose this
    # GalSim: deconvolve by the file's PSF, convolve with the mock's own (pixel included), draw on its pixels.
    image = galsim.Image(cutouts.images[0, 0].astype(float), scale=0.03)
    star = galsim.Image(cutouts.psf[0, 0].astype(float), scale=0.03)
    star = galsim.InterpolatedImage(star, flux=1.0)
    star = star.shift(-star.centroid)
    target = galsim.InterpolatedImage(galsim.Image(psf.astype(float), scale=0.168), flux=1.0)
    seen = galsim.Convolve(galsim.InterpolatedImage(image), galsim.Deconvolve(star), target)
    expected = seen.drawImage(nx=found.shape[1], ny=found.shape[0], scale=0.168, method="no_pixel").array
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999
    assert found.max() == pytest.approx(expected.max(), rel=0.03)


def test_a_simulated_merger_in_magnitudes_and_parsecs(shared_data, tmp_path):
    from astropy import units
    from astropy.cosmology import Planck18

    given = {"survey": "sdss", "redshift": 0.05, "pixel_scale_parsec": 97.65625, "truth": True}
    galshift.make_mocks(str(shared_data / "realsim-idealised"), str(tmp_path / "m.h5"), **given)
    pixel = (97.65625 * units.pc / Planck18.angular_diameter_distance(0.05)).to_value(
        units.arcsec, units.dimensionless_angles()
    )
    brightness = open_dataset(shared_data / "realsim-idealised").read([0]).images[0]  # nJy / arcsec2
    with h5py.File(tmp_path / "m.h5") as file:
        truth = file["truth"][0]
        assert json.loads(file.attrs["bands"]) == ["g", "r", "i"]
    assert truth.shape == (3, *[int(512 * pixel / 0.396)] * 2)
    assert truth.sum(axis=(1, 2)) == pytest.approx(brightness.sum(axis=(1, 2)) * pixel**2, rel=0.01)


@pytest.mark.parametrize(
    ("cut", "sources"),
    [("", [(24.8, 25.7), (14.3, 22.8), (39.1, 27.2)]), ("1", [(32.0, 23.3), (27.8, 34.7), (10.4, 21.3)])],
)
def test_hst_seen_as_hsc_resembles_what_hsc_saw(shared_data, tmp_path, cut, sources):
    from astropy.io import fits
    from astropy.wcs import WCS

    folder = shared_data / "scarlet-hsc-hst" / "test_resampling"
    hst, hsc = (fits.open(folder / f"Cut_{name}{cut}.fits")[0] for name in ("HST", "HSC"))
    psf = fits.PrimaryHDU(fits.getdata(folder / "PSF_HSC.fits")[2])  # i
    psf.header["PIXSCALE"] = 0.168
    psf.writeto(tmp_path / "psf.fits")
    galshift.make_mocks(
        str(folder / f"Cut_HST{cut}.fits"),
        str(tmp_path / "m.h5"),
        survey="hsc-wide",
        bands="i",
        band_map="band0=i",
        unit="nJy",  # the file does not say; one factor is fitted below
        noise="none",
        psf=str(tmp_path / "psf.fits"),
        input_psf=str(folder / "PSF_HST.fits"),
        set={"input_psf_pixel_scale_arcsec": 0.03},
    )
    with h5py.File(tmp_path / "m.h5") as file:
        mock = file["images"][0, 0].astype(float)
    # F814W reaches from i into z: a quarter of z, by the mean wavelengths 772, 804 and 891 nm.
    real = 0.73 * hsc.data[2].astype(float) + 0.27 * hsc.data[3].astype(float)
    centre = WCS(hsc.header).celestial.world_to_pixel(WCS(hst.header).pixel_to_world(124.5, 124.5))
    start = np.asarray(centre) - (mock.shape[0] - 1) / 2  # HSC pixel of the mock's first one, (x, y)
    left, low = (round(float(value)) for value in start)
    inner = np.s_[3:-3, 3:-3]
    other = real[low : low + mock.shape[0], left : left + mock.shape[1]]
    design = np.stack([mock[inner].ravel(), np.ones(mock[inner].size)], axis=1)
    (scale, level), *_ = np.linalg.lstsq(design, other[inner].ravel(), rcond=None)
    assert np.corrcoef(mock[inner].ravel(), other[inner].ravel())[0, 1] > 0.97
    for x, y in sources:
        flux, size = _measure(mock * scale, x - start[0], y - start[1])
        real_flux, real_size = _measure(real - level, x, y)
        assert flux / real_flux == pytest.approx(1, abs=0.1)
        assert size / real_size == pytest.approx(1, abs=0.1)


def _measure(image: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """Flux in 1.6 arcsec and Gaussian-weighted rms radius [pixels] of the source near (x, y)."""
    from photutils.aperture import CircularAperture, aperture_photometry

    flux = aperture_photometry(image, CircularAperture((x, y), 0.8 / 0.168))["aperture_sum"][0]
    rows, columns = np.indices(image.shape)
    square = (columns - x) ** 2 + (rows - y) ** 2
    light = image * np.exp(-square / (2 * 3.5**2))
    return float(flux), float(np.sqrt((light * square).sum() / light.sum()))


def test_the_sample_folder_is_only_read(shared_data: Path):
    assert not [path for path in shared_data.rglob("*") if path.name.endswith(".work")]
