"""Every real file of shared/data opens as its README and header say, or fails with the right sentence.

The table was written from the README, the headers and the surveys' conventions, not from what the code does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from galshift.data.open import ReadOptions, open_dataset, parse_classes_map
from galshift.errors import DataError


class Expect(NamedTuple):
    """What a file must open as; `error` is a part of the sentence it must fail with instead."""

    n: int = 1
    shape: tuple[int, int, int] | None = None
    unit: str | None = None
    scale: float | None = None
    bands: tuple[str, ...] | None = None
    error: str | None = None
    bad: int | None = None
    ragged: bool = False


def cube(n_bands: int, height: int, width: int) -> tuple[int, int, int]:
    return (n_bands, height, width)


CFHT = "cfhtls-lens/SL2SJ021411-040502"
EDGE = "fits-edge-cases/io/fits/tests/data"
SDSS = "fits-edge-cases/test/data-sdss"
AEGIS = "galsim-hst/tests/real_comparison_images/AEGIS"
TABLES = Expect(error="tables only")
MIRAGE_SCALE = 3600 * 8.61335593072e-06

FILES: dict[str, Expect] = {
    # BlendingToolKit: 100 galaxies in 100 HDUs of differing sizes, headers without a scale.
    "btk-cosmos100/real_galaxy_images_extension.fits": Expect(100, ragged=True),
    "btk-cosmos100/real_galaxy_PSF_images_extension.fits": Expect(100, cube(1, 65, 51)),
    # ... whose catalogue names file, HDU and 0.03 arcsec / pixel.
    "btk-cosmos100/real_galaxy_catalog_26_extension_example.fits": Expect(
        100, scale=0.03, bands=("F814W",), ragged=True
    ),
    "btk-cosmos100/real_galaxy_catalog_26_extension_example_fits.fits": TABLES,
    # CFHTLS, 0.186 arcsec / pixel; BUNIT "Data Value" says nothing.
    **{
        f"{CFHT}_{band}_{kind}.fits": Expect(1, cube(1, 41, 41), None, 0.186, (band,))
        for band in "ugriz"
        for kind in ("sci", "rms")
    },
    **{f"{CFHT}_{band}_psf.fits": Expect(1, cube(1, 25, 25)) for band in "ugriz"},
    f"{CFHT}_mask.fits": Expect(1, cube(1, 41, 41)),
    # DECaLS cut-outs: nanomaggies by convention, bands in BANDS, scale from CD differs from file to file.
    "decals-fits/example_a.fits": Expect(1, cube(3, 424, 424), "nmgy", 0.1, ("g", "r", "z")),
    "decals-fits/example_bad_pix.fits": Expect(1, cube(3, 424, 424), "nmgy", 0.13025, ("g", "r", "z")),
    "decals-fits/example_d.fits": Expect(1, cube(3, 424, 424), "nmgy", 0.13025, ("g", "r", "z")),
    "decals-fits/example_incomplete.fits": Expect(error="truncated"),
    # DES: 46 galaxies along the first axis.
    **{f"des-cutouts/{band}.fits": Expect(46, cube(1, 91, 91)) for band in "grizY"},
    # Pan-STARRS: CDELT 5.5556e-5 deg = 0.2", BLANK -> 822 NaN pixels in the science image (README).
    "fits-edge-cases/examples/H1413+117_10x10arcsec_55377.34051_z_sci.fits": Expect(
        1, cube(1, 49, 49), None, 0.2
    ),
    "fits-edge-cases/examples/H1413+117_10x10arcsec_55377.34051_z_var.fits": Expect(
        1, cube(1, 49, 49), None, 0.2
    ),
    f"{EDGE}/arange.fits": Expect(1, cube(7, 10, 11)),
    f"{EDGE}/blank.fits": Expect(1, cube(1, 1, 1), bad=1),
    f"{EDGE}/checksum_false.fits": Expect(error="checksum"),
    f"{EDGE}/comp.fits": Expect(1, cube(1, 300, 440), None, 7.0),
    f"{EDGE}/compressed_float_bzero.fits": Expect(error="no image"),
    f"{EDGE}/compressed_image.fits": Expect(1, cube(1, 10, 10)),
    f"{EDGE}/double_ext.fits": Expect(1, cube(1, 5, 5)),
    f"{EDGE}/fixed-1890.fits": Expect(1, cube(1, 100, 100)),
    f"{EDGE}/history_header.fits": Expect(error="no image"),
    f"{EDGE}/invalid/group_invalid.fits": Expect(error="it holds"),
    # Two SCI images; the four ERR and DQ extensions are empty.  A spectrum has no pixel scale.
    f"{EDGE}/o4sp040b0_raw.fits": Expect(2, cube(1, 44, 62), "ct"),
    # BSCALE and BZERO; the magnitude zero point of this H image is Vega's, so the unit stays unknown.
    f"{EDGE}/scale.fits": Expect(1, cube(1, 21, 20), None, 5.0, ("H",)),
    f"{EDGE}/test0.fits": Expect(4, cube(1, 40, 40)),
    f"{EDGE}/verify.fits": Expect(error="no image"),
    f"{EDGE}/zerowidth.fits": TABLES,
    "fits-edge-cases/modeling/tests/data/1904-66_AZP.fits": Expect(
        1, cube(1, 192, 192), "Jy / beam", 240.0, bad=8121
    ),
    # PC with CDELT 1: sqrt(|det PC|) = 0.558 arcsec.
    "fits-edge-cases/nddata/tests/data/sip-wcs.fits": Expect(1, cube(1, 50, 100), "adu", 0.5579, ("B",)),
    f"{SDSS}/fpM-001000-r1-0100.fit": TABLES,
    f"{SDSS}/frame-r-001000-1-0100.fits.bz2": Expect(1, cube(1, 100, 100), "nmgy", 0.396, ("r",)),
    f"{SDSS}/photoObj-001000-1-0100.fits": TABLES,
    f"{SDSS}/psField-001000-1-0100.fit": TABLES,
    # ELECTRONS with a zero point but no exposure time in the trimmed header: left as electrons.
    "fits-edge-cases/wcs/tests/data/dist_lookup.fits.gz": Expect(1, cube(1, 100, 100), "electron", 0.05),
    # TinyTim PSFs, and grids of PSFs (STDPSF: 9 x 10; WebbPSF: 4), which open to be looked at.
    "field-files/hst-drizzlepac/acs_wfc_f814w.fits": Expect(1, cube(1, 122, 122), bands=("f814w",)),
    "field-files/hst-drizzlepac/wfc3_ir_f160w.fits": Expect(1, cube(1, 92, 92), bands=("f160w",)),
    "field-files/photutils-psf/STDPSF_ACSWFC_F814W_mock.fits": Expect(90, cube(1, 5, 5)),
    "field-files/photutils-psf/nircam_nrca1_f200w_fovp101_samp4_npsf4_mock.fits": Expect(1, cube(4, 5, 5)),
    # WFC3/IR: one galaxy of SCI, ERR, DQ, SAMP, TIME; PHOTFLAM and FILTER in the primary header; one pixel of
    # DQ is 4144 = 16 + 32 + 4096 (hot, unstable, cosmic ray).  The handbook's pixel: 0.135 x 0.121 arcsec.
    "field-files/hst-drizzlepac/sample_svm_flt.fits": Expect(
        1, cube(1, 10, 10), "nJy", 0.128, ("F110W",), bad=1
    ),
    "galsim-hst/examples/data/example_sdss_psf_sky0.fits.bz2": Expect(1, cube(1, 32, 32)),
    "galsim-hst/examples/data/real_galaxy_PSF_images.fits": Expect(100, ragged=True),
    # The images of this catalogue are not in the folder.
    "galsim-hst/examples/data/real_galaxy_catalog_23.5_example.fits": Expect(error="missing"),
    "galsim-hst/examples/data/real_galaxy_catalog_23.5_example_fits.fits": TABLES,
    "galsim-hst/examples/data/real_galaxy_catalog_23.5_example_selection.fits": TABLES,
    # CTYPE LINEAR: a correlation function has no place on the sky.
    "galsim-hst/share/acs_I_unrot_sci_20_cf.fits": Expect(1, cube(1, 81, 81)),
    **{f"{AEGIS}_{b}_PSF_images_01.fits": Expect(3, cube(1, 20, 20)) for b in ("F606w", "F814w")},
    **{f"{AEGIS}_{b}_PSF_images_02.fits": Expect(2, cube(1, 20, 20)) for b in ("F606w", "F814w")},
    **{f"{AEGIS}_{b}_images_01.fits": Expect(3, ragged=True) for b in ("F606w", "F814w")},
    **{f"{AEGIS}_{b}_images_02.fits": Expect(2, ragged=True) for b in ("F606w", "F814w")},
    **{
        f"{AEGIS}_{b}_catalog.fits": Expect(5, scale=0.03, bands=(b.upper(),), ragged=True)
        for b in ("F606w", "F814w")
    },
    "jwst-cosmosweb/test_COSMOSWeb_galaxy_catalog/COSMOSWeb_galaxy_6701_image.fits": Expect(
        1, cube(4, 175, 175), bands=("F115W", "F150W", "F277W", "F444W")
    ),
    "jwst-cosmosweb/test_COSMOSWeb_galaxy_catalog/COSMOSWeb_galaxy_catalog.fits": TABLES,
    "jwst-cosmosweb/test_COSMOS_23.5_training_sample/real_galaxy_catalog_23.5.fits": Expect(
        2, cube(1, 153, 154), scale=0.03, bands=("F814W",)
    ),
    "jwst-cosmosweb/test_COSMOS_23.5_training_sample/real_galaxy_catalog_23.5_fits.fits": TABLES,
    "jwst-cosmosweb/test_COSMOS_23.5_training_sample/test_galaxy_images_23.5.fits": Expect(2, ragged=True),
    **{
        f"jwst-mirage/data/{galaxy}_{band}.fits": Expect(1, cube(1, 100, 100), None, MIRAGE_SCALE)
        for galaxy in (43, 115)
        for band in ("f090w", "f115w", "f150w", "f200w", "f277w", "f356w", "f444w")
    },
    "psf-models/F106.fits": Expect(1, cube(1, 63, 63)),
    "psf-models/F158.fits": Expect(1, cube(1, 63, 63)),
    # AB mag / arcsec2, read as the flux it stands for; CDELT is in parsec and is no pixel scale.
    **{
        f"realsim-idealised/photo_{b}_CNN_G2G3_e-orbit_1_214_i0_total.fits": Expect(
            1, cube(1, 512, 512), "nJy / arcsec2", None, (b,)
        )
        for b in "gri"
    },
    "scarlet-hsc-hst/test_resampling/Cut_HSC.fits": Expect(1, cube(5, 50, 50), None, 0.168),
    "scarlet-hsc-hst/test_resampling/Cut_HSC1.fits": Expect(1, cube(5, 50, 50), None, 0.168),
    "scarlet-hsc-hst/test_resampling/Cut_HST.fits": Expect(1, cube(1, 250, 250), None, 0.03),
    "scarlet-hsc-hst/test_resampling/Cut_HST1.fits": Expect(1, cube(1, 250, 250), None, 0.03),
    "scarlet-hsc-hst/test_resampling/PSF_HSC.fits": Expect(1, cube(5, 31, 31)),
    "scarlet-hsc-hst/test_resampling/PSF_HST.fits": Expect(1, cube(1, 179, 179)),
    "scarlet-hsc-hst/hsc_cosmos.npz": Expect(1, cube(5, 69, 57), bands=tuple("grizy")),
    "scarlet-hsc-hst/hsc_cosmos_35.npz": Expect(1, cube(5, 58, 48), bands=tuple("grizy")),
    "sdss-imfit/ic3478rss_256.fits": Expect(1, cube(1, 256, 256), "adu", 0.396, ("r",)),
    "sdss-imfit/ic3478rss_256_mask.fits": Expect(1, cube(1, 256, 256), "adu", 0.396, ("r",)),
    "sdss-imfit/psf_moffat_51.fits": Expect(1, cube(1, 51, 51)),
    "tng50-nircam/RGB/NIRCam_psf/nircam_nrcb1_f200w_clear_fovp401_samp1_predicted_realization0.fits": Expect(
        2, cube(1, 401, 401), bands=("F200W",)
    ),
    "tng50-nircam/v1_TNG50/188916_i0_a0_z3_MIRI.fits": Expect(1, cube(9, 37, 37), "MJy / sr", 0.11),
    "tng50-nircam/v1_TNG50/188916_i0_a0_z3_NIRCam_long.fits": Expect(1, cube(15, 63, 63), "MJy / sr", 0.063),
    "tng50-nircam/v1_TNG50/188916_i0_a0_z3_NIRCam_short.fits": Expect(
        1, cube(12, 129, 129), "MJy / sr", 0.031
    ),
    **{f"psf-models/HSC/{band}.npy": Expect(1, cube(1, 43, 43)) for band in "grizy"},
    **{f"psf-models/CSST/{band}.npy": Expect(1, cube(1, 128, 128)) for band in (*"ugrizy", "NUV")},
    **{
        f"psf-models/HST/{name}.npy": Expect(1, cube(1, 26, 26))
        for name in (
            *(f"IR_F{f}W" for f in (105, 125, 140, 160)),
            "IR_F110W",
            *(f"UV_F{f}W" for f in (225, 275, 336, 390, 438, 555, 606, 775, 814)),
            "UV_F467M",
        )
    },
}


def check(dataset, expect: Expect) -> None:
    info = dataset.info
    assert info.n == len(dataset) == expect.n
    if expect.shape is not None:
        assert info.shape == expect.shape
    assert info.ragged == expect.ragged
    assert info.unit == expect.unit
    if expect.scale is None:
        assert info.pixel_scale is None
    else:
        assert float(np.max(info.pixel_scale)) == pytest.approx(expect.scale, rel=2e-3)
    if expect.bands is not None:
        assert info.bands == expect.bands
    cutouts = dataset.read([len(dataset) - 1, 0])
    assert cutouts.images.shape == (2, *info.shape)
    assert np.isfinite(cutouts.images).all()
    if expect.bad is not None:
        assert cutouts.mask is not None
        assert int(cutouts.mask[0].sum()) == expect.bad


@pytest.mark.parametrize("name", sorted(FILES))
def test_file(shared_data, name):
    expect = FILES[name]
    if expect.error is None:
        check(open_dataset(shared_data / name), expect)
        return
    with pytest.raises(DataError) as caught:
        open_dataset(shared_data / name)
    assert expect.error in str(caught.value)
    assert name.rsplit("/", 1)[-1].split(".")[0][:4] in str(caught.value) or "missing" in str(caught.value)


def test_the_table_names_every_file(shared_data):
    """A file that is added to the folder must be added to the table."""
    suffixes = (".fits", ".fit", ".bz2", ".gz", ".npy", ".npz")
    present = {
        p.relative_to(shared_data).as_posix() for p in shared_data.rglob("*") if p.name.endswith(suffixes)
    }
    assert present == set(FILES)


OTHERS = {
    "README.md": "not a kind of file",
    "MANIFEST.tsv": "not a kind of file",
    "field-files/MANIFEST.tsv": "not a kind of file",
    # Label tables: their pictures lie elsewhere, or have been renamed.
    "gz-survey-examples/labels.csv": "466 of 466 files that the catalogue names are missing",
    "sdss-gz2-votes/labels_manifest_1000.csv": "1000 of 1000 files that the catalogue names are missing",
}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_what_holds_no_images(shared_data, name):
    with pytest.raises(DataError, match=OTHERS[name]):
        open_dataset(shared_data / name)


def test_every_picture_opens_alone(shared_data):
    """README: JPG RGB, 224 x 224 (Galaxy Zoo 2), 424 (some 320 or 512), 423 (Illustris)."""
    pictures = sorted(shared_data.rglob("*.jpg"))
    assert len(pictures) == 466 + 1000
    sides = {"sdss-gz2-votes": {224}, "illustris": {423}, "decals": {424}, "sloan": {424, 320, 512}}
    for number, path in enumerate(pictures):
        info = open_dataset(path).info
        side = next(found for word, found in sides.items() if word in path.parts)
        assert info.shape[0] == 3
        assert info.shape[1] == info.shape[2]
        assert info.shape[1] in side, path
        assert (info.unit, info.pixel_scale) == ("dimensionless", None)
        if number % 100 == 0:
            values = open_dataset(path).read([0]).images
            assert 0 <= values.min() <= values.max() <= 1


def test_nothing_of_the_folder_is_left_out(shared_data):
    known = set(FILES) | set(OTHERS)
    for path in shared_data.rglob("*"):
        name = path.relative_to(shared_data).as_posix()
        assert path.is_dir() or path.suffix == ".jpg" or name in known, name


FOLDERS: dict[str, Expect] = {
    "btk-cosmos100": Expect(100, scale=0.03, bands=("F814W",), ragged=True),
    "cfhtls-lens": Expect(1, cube(5, 41, 41), None, 0.186, tuple("ugriz")),
    "des-cutouts": Expect(46, cube(5, 91, 91), bands=tuple("grizY")),
    "jwst-mirage": Expect(
        2,
        cube(7, 100, 100),
        None,
        MIRAGE_SCALE,
        ("f090w", "f115w", "f150w", "f200w", "f277w", "f356w", "f444w"),
    ),
    "realsim-idealised": Expect(1, cube(3, 512, 512), "nJy / arcsec2", None, tuple("gri")),
    "sdss-imfit": Expect(1, cube(1, 256, 256), "adu", 0.396, ("r",)),
    "decals-fits": Expect(error="truncated"),
    # Cubes of 9, 12 and 15 bands, and a PSF, are not one data set.
    "tng50-nircam": Expect(error="do not have the bands"),
    "scarlet-hsc-hst": Expect(error="do not have the bands"),
    "sdss-gz2-votes": Expect(1000, cube(3, 224, 224), "dimensionless"),
    "gz-survey-examples/illustris": Expect(168, cube(3, 423, 423), "dimensionless"),
}


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_folder(shared_data, name):
    expect = FOLDERS[name]
    if expect.error is None:
        check(open_dataset(shared_data / name), expect)
        return
    with pytest.raises(DataError, match=expect.error):
        open_dataset(shared_data / name)


def test_a_truncated_file_is_skipped_when_asked(shared_data, capsys):
    dataset = open_dataset(shared_data / "decals-fits", ReadOptions(on_error="skip"))
    assert list(dataset.info.ids) == ["example_a", "example_bad_pix", "example_d"]
    np.testing.assert_allclose(dataset.info.pixel_scale, [0.1, 0.13025, 0.13025], rtol=1e-4)
    assert "skipped 1 of 4 files" in dataset.info.notes[0]
    assert "example_incomplete.fits" in capsys.readouterr().err


def test_magnitudes_become_flux_and_darkness_zero(shared_data):
    """AB: flux density [nJy] = 10^(-0.4 (m - 31.4)); +inf is no light, not a bad pixel."""
    from astropy.io import fits

    name = "realsim-idealised/photo_r_CNN_G2G3_e-orbit_1_214_i0_total.fits"
    magnitudes = fits.getdata(shared_data / name)
    cutouts = open_dataset(shared_data / name).read([0])
    dark = np.isposinf(magnitudes)
    assert dark.sum() > 90_000
    assert cutouts.mask is None
    assert (cutouts.images[0, 0][dark] == 0).all()
    expected = 10 ** (-0.4 * (magnitudes[~dark] - 31.4))
    np.testing.assert_allclose(cutouts.images[0, 0][~dark], expected, rtol=1e-5)


def test_planes_beside_the_science_image(shared_data):
    """CFHTLS: rms -> inverse variance, the common mask -> True = bad."""
    from astropy.io import fits

    folder = shared_data / "cfhtls-lens"
    cutouts = open_dataset(folder).read([0])
    stem = "SL2SJ021411-040502"
    good = fits.getdata(folder / f"{stem}_mask.fits") == 0
    science = fits.getdata(folder / f"{stem}_g_sci.fits")
    np.testing.assert_array_equal(cutouts.images[0, 1][good], science[good])
    assert (cutouts.images[0, 1][~good] == 0).all()
    rms = fits.getdata(folder / f"{stem}_i_rms.fits")
    np.testing.assert_allclose(cutouts.ivar[0, 3], 1 / rms**2, rtol=1e-5)
    np.testing.assert_array_equal(cutouts.mask[0, 0], ~good)


def test_npz_planes(shared_data):
    path = shared_data / "scarlet-hsc-hst" / "hsc_cosmos_35.npz"
    stored = np.load(path)
    cutouts = open_dataset(path).read([0])
    good = stored["variance"] > 0
    np.testing.assert_allclose(cutouts.ivar[0][good], 1 / stored["variance"][good], rtol=1e-5)
    np.testing.assert_array_equal(cutouts.mask[0], stored["mask"] != 0)


TWO_CLASSES = (
    "Round=smooth,Shape/Smooth=smooth,Shape/Features or disk=features,"
    "Disk=features,Bar=features,Bulge=features,Spiral=features,*="
)


@pytest.mark.parametrize(
    ("folders", "smooth", "features"), [(["illustris"], 15, 107), (["sloan", "decals"], 24, 165)]
)
def test_galaxy_zoo_examples_as_their_readme_derives_them(shared_data, folders, smooth, features):
    """The README counts 15 / 107 in Illustris and 24 / 165 in SDSS + DECaLS."""
    root = shared_data / "gz-survey-examples"
    options = ReadOptions(
        labels=str(root / "labels.csv"),
        label_column="question_title,answer_text",
        classes_map=parse_classes_map(TWO_CLASSES),
    )
    counts = np.zeros(2, dtype=int)
    for folder in folders:
        info = open_dataset(root / folder, options).info
        assert info.classes == ("features", "smooth")
        counts += np.bincount(info.labels, minlength=2)
    assert counts.tolist() == [features, smooth]


def test_galaxy_zoo_votes(shared_data):
    import csv

    folder = shared_data / "sdss-gz2-votes"
    manifest = folder / "labels_manifest_1000.csv"
    smooth = "t01_smooth_or_features_a01_smooth_debiased"
    disk = "t01_smooth_or_features_a02_features_or_disk_debiased"
    options = ReadOptions(labels=str(manifest), vote_columns=(smooth, disk), min_confidence=0.8)
    dataset = open_dataset(folder, options)
    with manifest.open() as stream:
        rows = {row["asset_id"]: row for row in csv.DictReader(stream)}
    for name, label in zip(dataset.info.ids[::50], dataset.info.labels[::50]):
        fractions = [float(rows[name][smooth]), float(rows[name][disk])]
        expected = int(np.argmax(fractions)) if max(fractions) >= 0.8 else -1
        assert label == expected
    by_column = open_dataset(folder, ReadOptions(labels="derived_label"))
    assert np.bincount(by_column.info.labels).tolist() == [250] * 4


def test_catalogue_rows_and_images_belong_together(shared_data):
    """The catalogue's stamp_flux, measured on cleaned stamps, follows the sum of the image that it names."""
    cutouts = open_dataset(shared_data / "btk-cosmos100").read(range(100))
    totals = cutouts.images.sum(axis=(1, 2, 3))
    assert np.corrcoef(totals, cutouts.table["stamp_flux"])[0, 1] > 0.99
    assert np.corrcoef(totals[1:], cutouts.table["stamp_flux"][:-1])[0, 1] < 0.5
