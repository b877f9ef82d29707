"""PSF files as people have them: their scale, their band, and what cannot be a PSF.

The truth is a Gaussian of FWHM 0.60 arcsec unless a test says otherwise.
"""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

import galshift
from galshift.data.psf_array import ArrayPsf
from galshift.data.psf_check import examine
from galshift.data.psf_files import kernel_notes, load_kernel
from galshift.errors import DataError

FWHM = 0.6
OPTION = "psf_pixel_scale_arcsec"


def gauss(side: int, scale: float, fwhm: float = FWHM, dx: float = 0.0, dy: float = 0.0) -> np.ndarray:
    y, x = np.indices((side, side)) - (side - 1) / 2
    sigma = fwhm / 2.3548
    return np.exp(-(((x - dx) * scale) ** 2 + ((y - dy) * scale) ** 2) / (2 * sigma**2))


def write(path, data, **cards):
    hdu = fits.PrimaryHDU(data)
    hdu.header.update(cards)
    hdu.writeto(path, overwrite=True)
    return str(path)


def read(path, scale: float | None = None, band: str = "i") -> ArrayPsf:
    return load_kernel(str(path), scale, band, OPTION)


STEP = 0.06 / 3600
SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0}
COS, SIN = np.cos(0.5), np.sin(0.5)


@pytest.mark.parametrize(
    "cards",
    [
        {**SKY, "CD1_1": -STEP, "CD2_2": STEP},
        {**SKY, "CD1_1": -STEP * COS, "CD1_2": STEP * SIN, "CD2_1": STEP * SIN, "CD2_2": STEP * COS},
        {**SKY, "PC1_1": -STEP, "PC2_2": STEP, "CDELT1": 1.0, "CDELT2": 1.0},
        {**SKY, "PC1_1": -1.0, "PC2_2": 1.0, "CDELT1": STEP, "CDELT2": STEP},
        {"CDELT1": -STEP, "CDELT2": STEP},
        {"PC1_1": STEP, "PC2_2": STEP, "CDELT1": 1.0, "CDELT2": 1.0},
        {"CDELT1": 0.06, "CDELT2": 0.06, "CUNIT1": "arcsec", "CUNIT2": "arcsec"},
        {"PIXSCALE": 0.06},
        {"PIXELSCL": (0.06, "Scale in arcsec/pix (after oversampling)"), "OVERSAMP": 4},
        {"PIXSCALE": 0.24, "OVERSAMP": 4},
    ],
)
@pytest.mark.parametrize("side", [60, 61])
def test_the_scale_however_it_is_written(tmp_path, cards, side):
    psf = read(write(tmp_path / "psf.fits", gauss(side, 0.06), **cards))
    assert psf.scale_arcsec == pytest.approx(0.06, rel=1e-4)
    assert psf.fwhm() == pytest.approx(FWHM, rel=0.01)
    assert psf.said[0].startswith("FWHM 0.6 arcsec")


@pytest.mark.parametrize(
    "cards", [{}, {"OVERSAMP": 4}, {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR", "CDELT1": 1.0}]
)
def test_without_a_scale_the_option_is_named(tmp_path, cards):
    path = write(tmp_path / "psf.fits", gauss(61, 0.06), **cards)
    with pytest.raises(DataError, match="states no pixel scale") as caught:
        read(path)
    assert f"--set {OPTION}=0.03" in caught.value.hint
    assert ("4 times finer" in caught.value.what) == ("OVERSAMP" in cards)
    assert read(path, 0.06).fwhm() == pytest.approx(FWHM, rel=0.01)
    np.save(tmp_path / "psf.npy", gauss(61, 0.06))
    with pytest.raises(DataError, match="states no pixel scale"):
        read(tmp_path / "psf.npy")


def test_a_stated_scale_goes_before_the_header_and_says_so(tmp_path):
    psf = read(write(tmp_path / "psf.fits", gauss(61, 0.06), PIXSCALE=0.12), 0.06)
    assert psf.scale_arcsec == 0.06
    assert any("0.12" in text for text in psf.said)


@pytest.mark.parametrize("how", ["BANDS", "EXTNAME", "FILTER"])
def test_planes_match_bands(tmp_path, how):
    """One Gaussian of another width for each band, in another order than the survey's."""
    widths = {"r": 0.5, "g": 0.7, "i": 0.9}
    planes = {band: gauss(81, 0.06, width) for band, width in widths.items()}
    if how == "BANDS":
        path = write(tmp_path / "psf.fits", np.stack(list(planes.values())), BANDS="rgi", PIXSCALE=0.06)
    else:
        hdus = [
            fits.ImageHDU(data, name=f"PSF_{b}" if how == "EXTNAME" else None) for b, data in planes.items()
        ]
        for hdu, band in zip(hdus, widths):
            hdu.header.update({"FILTER": f"HSC-{band.upper()}"} if how == "FILTER" else {}, PIXSCALE=0.06)
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "psf.fits")
        path = tmp_path / "psf.fits"
    for band, width in widths.items():
        assert read(path, band=band).fwhm() == pytest.approx(width, rel=0.01)
    with pytest.raises(DataError, match="none is said to be of z"):
        read(path, band="z")


def test_planes_that_do_not_say_their_band_are_refused(tmp_path):
    path = write(tmp_path / "psf.fits", np.stack([gauss(51, 0.06)] * 3), PIXSCALE=0.06)
    with pytest.raises(DataError, match="3 PSFs, and does not say of which bands") as caught:
        read(path)
    assert "BANDS" in caught.value.hint


def test_one_psf_for_several_bands_is_said(tmp_path):
    path = write(tmp_path / "psf.fits", gauss(81, 0.06), PIXSCALE=0.06, FILTER="F606W")
    psfs = {band: read(path, band=band) for band in "gr"}
    (g, r), wide = kernel_notes(path, {"g": psfs["g"], "r": psfs["r"]}, {}), {"g": 0.2, "r": 0.5}
    assert "for g: FWHM 0.6" in g
    assert "F606W, and stands for r" in r
    plain = write(tmp_path / "plain.fits", gauss(81, 0.06), PIXSCALE=0.06)
    notes = kernel_notes(plain, {band: read(plain, band=band) for band in "gr"}, wide)
    assert notes[0].startswith("the PSF of plain.fits, one PSF for g, r: FWHM 0.6 arcsec")
    assert notes[1] == "in g the PSF is 3 times as wide as the survey's 0.2 arcsec"
    assert len(notes) == 2


def test_the_soft_bias_of_sdss_is_taken_off(tmp_path):
    """read_PSF writes unsigned integers of peak about 30000 on the standard soft bias of 1000."""
    image = np.round(gauss(51, 0.396, 1.3) * 29000 + 1000).astype("u2")
    psf = read(write(tmp_path / "psf.fits", image), 0.396)
    assert any("soft bias of 1000" in text for text in psf.said)
    assert psf.fwhm() == pytest.approx(1.3, rel=0.02)
    assert psf.image.sum() == pytest.approx(1)
    assert psf.image[0].max() < 1e-6


def moffat(side: int, scale: float) -> np.ndarray:
    y, x = (np.indices((side, side)) - (side - 1) / 2) * scale
    alpha = FWHM / (2 * np.sqrt(2 ** (1 / 2.5) - 1))
    return (1 + (x**2 + y**2) / alpha**2) ** -2.5


BAD = {
    "pedestal": (gauss(61, 0.06) + 0.02, "pedestal", "subtract the median of its border"),
    "soft bias of another kind": (gauss(61, 0.06) * 100 + 50, "pedestal", "subtract the median"),
    "negative wings": (gauss(61, 0.06) - 0.01, "negative wings", "too much sky"),
    "a dark ring": (gauss(61, 0.06) - 0.08 * gauss(61, 0.06, 1.4), "negative wings", "set the wings to 0"),
    "cut off": (gauss(61, 0.06, dx=28), "cut off", "reaches at least one FWHM"),
    "too small": (moffat(9, 0.1), "pedestal|cut off", "larger image|reaches"),
    "nothing": (np.zeros((21, 21)), "positive sum", None),
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_what_cannot_be_a_psf_is_refused_with_what_mends_it(tmp_path, kind):
    image, what, hint = BAD[kind]
    path = write(tmp_path / "psf.fits", image, PIXSCALE=0.06)
    with pytest.raises(DataError, match=what) as caught:
        read(path)
    assert path in str(caught.value)
    if hint is not None:
        assert any(word in caught.value.hint for word in hint.split("|"))
    if kind == "pedestal":
        read(write(tmp_path / "mended.fits", image - np.median(image[0]), PIXSCALE=0.06))


GOOD = {
    "even": (gauss(50, 0.168), ()),
    "off centre": (gauss(51, 0.168, dx=3.4, dy=-2.2), ("+3.4, -2.2 pixels off the middle",)),
    "noise about zero": (
        gauss(51, 0.168) + np.random.default_rng(0).normal(0, 0.002, (51, 51)),
        ("negative pixels hold 1",),
    ),
    "bad rows": (np.where(np.indices((51, 51))[0] < 3, np.nan, gauss(51, 0.168)), ("153 bad pixels",)),
    "wide wings on a small stamp": (moffat(25, 0.168), ()),
    "more than the whole": (
        1.06 * gauss(51, 0.168) / gauss(51, 0.168).sum(),
        ("1.060, more than the whole",),
    ),
}


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_what_is_odd_is_said(kind):
    image, words = GOOD[kind]
    said = examine(image, 0.168)
    assert all(any(word in text for text in said) for word in words)
    assert len(said) == 1 + len(words)
    assert float(said[0].split()[1]) == pytest.approx(FWHM, rel=0.05)


def test_centring_holds_for_odd_and_even_sides():
    """The width must not depend on where a pixel's centre lies: half a pixel's shift, odd or even sides."""
    for side in (40, 41, 60, 61):
        for shift in (0.0, 0.25, 0.5):
            psf = ArrayPsf(gauss(side, 0.1, dx=shift), 0.1, 0.1)
            assert psf.fwhm() == pytest.approx(FWHM, rel=0.02)


def test_make_mocks_says_and_refuses(tmp_path, capsys):
    """Mocks of points through a PSF file have its width; a file without a scale is refused, not guessed."""
    points = np.zeros((2, 1, 121, 121), "f4")
    points[:, 0, 60, 60] = 1e6
    np.save(tmp_path / "points.npy", points)
    given = {"unit": "nJy", "set": {"read.pixel_scale_arcsec": 0.06, "read.bands": ["i"]}, "noise": "none"}
    psf = write(tmp_path / "psf.fits", gauss(121, 0.06), **SKY, CD1_1=-STEP, CD2_2=STEP)
    source = str(tmp_path / "points.npy")
    galshift.make_mocks(source, str(tmp_path / "m.h5"), survey="hsc-wide", psf=psf, input_psf="none", **given)
    import h5py

    with h5py.File(tmp_path / "m.h5") as file:
        seen = file["images"][0, 0].astype(float)
    y, x = np.indices(seen.shape) - (np.asarray(seen.shape)[:, None, None] - 1) / 2
    sigma = np.sqrt((seen * (x**2 + y**2)).sum() / seen.sum() / 2) * 0.168
    # The kernel was measured on pixels of 0.06 arcsec, and is seen through those of 0.168.
    expected = np.sqrt((FWHM / 2.3548) ** 2 + (0.168**2 - 0.06**2) / 12)
    assert sigma == pytest.approx(expected, rel=0.03)
    assert "FWHM 0.6 arcsec" in capsys.readouterr().err
    bare = write(tmp_path / "bare.fits", gauss(121, 0.06), OVERSAMP=4)
    with pytest.raises(DataError, match="states no pixel scale"):
        galshift.make_mocks(
            source, str(tmp_path / "n.h5"), survey="hsc-wide", psf=bare, input_psf="none", **given
        )
    with pytest.raises(DataError, match="states no pixel scale") as caught:
        galshift.make_mocks(source, str(tmp_path / "o.h5"), survey="hsc-wide", input_psf=bare, **given)
    assert "input_psf_pixel_scale_arcsec" in caught.value.hint
