"""FITS files as archives and users write them: which extensions are galaxies, what headers and masks mean.

Inputs are written here; what is right comes from the archives' documents, named at each test.
"""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galshift.data.open import ReadOptions, open_dataset
from galshift.data.roles import TABLE, band_in, parse_roles, role_of
from galshift.errors import DataError, UsageError

SIDE = 24
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def galaxy(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """A blob of peak 10 on noise of 0.1."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    noise = np.random.default_rng(seed).normal(0, 0.1, (side, side))
    return (10 * np.exp(-(x**2 + y**2) / 18) + noise).astype("f4")


def wcs(scale: float) -> dict[str, object]:
    step = scale / 3600
    return {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": SIDE / 2,
        "CRPIX2": SIDE / 2, "CD1_1": -step, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": step,
    }  # fmt: skip


def plane(data: np.ndarray, name: str = "", ver: int = 1, **cards: object) -> fits.ImageHDU:
    hdu = fits.ImageHDU(data, name=name or None, ver=ver)
    hdu.header.update(cards)
    return hdu


def write(path, *hdus, **primary):
    first = fits.PrimaryHDU()
    first.header.update(primary)
    fits.HDUList([first, *hdus]).writeto(path, overwrite=True)
    return path


def only(path, options: ReadOptions | None = None):
    """Open a file that holds one galaxy and return the data set and the galaxy."""
    dataset = open_dataset(path, options)
    assert len(dataset) == 1, list(dataset.info.ids)
    return dataset, dataset.read([0])


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("SCI", "image"), ("SCI2", "image"), ("F814W_SCI", "image"), ("IMAGE", "image"),
        ("VIS_BGSUB", "image"),
        ("ERR", "error"), ("NIR_Y_RMS", "error"), ("SIGMA", "error"), ("FLUX_ERR", "error"),
        ("VAR_POISSON", "variance"), ("VARIANCE", "variance"), ("STAT", "variance"),
        ("WHT", "weight"), ("INVVAR", "weight"), ("INV_VAR", "weight"), ("ivar", "weight"), ("WGT", "weight"),
        ("DQ", "mask"), ("MSK", "mask"), ("MASKBITS", "mask"), ("ALLMASK_G", "mask"), ("VIS_FLAG", "mask"),
        ("IMAGE_MASK", "mask"), ("MASK_WHT", "mask"),
        ("PSF", "psf"), ("PSF_ERR", "psf"), ("DET_DIST", "psf"),
        ("MODEL", "model"), ("RESIDUAL", "model"), ("BKG", "model"), ("SKY", "model"),
        ("MODEL_IMAGE", "model"),
        ("CON", "ignore"), ("CTX", "ignore"), ("SAMP", "ignore"), ("TIME", "ignore"), ("SEGMAP", "ignore"),
        ("EXP", "ignore"), ("NEXP", "ignore"), ("ANYMASK_R", "ignore"), ("PSFSIZE_G", "ignore"),
        ("", None), ("PRIMARY", None), ("COMPRESSED_IMAGE", None), ("NGC1232", None), ("G", None),
        ("SUBARU_HSC.G", None), ("VAR_WHT", None),
    ],
)  # fmt: skip
def test_roles_of_archives_names(name, role):
    assert role_of(name) == role


def test_no_word_has_two_roles():
    words = [word for each in TABLE.values() for word in set(each)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("SUBARU_HSC.G", ("g", "hsc")), ("CFHT_MEGACAM.U", ("u", "megacam")), ("HSC-I", ("i", "hsc")),
        ("WFC3_IR_F160W", ("F160W", "ir")), ("2MASS_Ks", ("Ks", "2mass")), ("F115W", ("F115W", "")),
        ("SCI_F606W", ("F606W", "")), ("NGC1232_R", None), ("A", None), ("cluster-g", None),
    ],
)  # fmt: skip
def test_bands_in_names(name, found):
    assert band_in(name) == found


def jwst(path, planes=("SCI", "ERR", "CON", "WHT", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")):
    """A level-3 image (jwst-pipeline, "i2d"): ERR is the root of the sum of the variances."""
    parts = {
        "SCI": plane(galaxy(), "SCI", BUNIT="MJy/sr", **wcs(0.063)),
        "ERR": plane(np.full((SIDE, SIDE), 0.1, "f4"), "ERR", BUNIT="MJy/sr"),
        "CON": plane(np.ones((1, SIDE, SIDE), "i4"), "CON"),
        "WHT": plane(np.full((SIDE, SIDE), 900.0, "f4"), "WHT"),
        "VAR_POISSON": plane(np.full((SIDE, SIDE), 0.005, "f4"), "VAR_POISSON"),
        "VAR_RNOISE": plane(np.full((SIDE, SIDE), 0.004, "f4"), "VAR_RNOISE"),
        "VAR_FLAT": plane(np.full((SIDE, SIDE), 0.001, "f4"), "VAR_FLAT"),
    }
    return write(path, *(parts[name] for name in planes), TELESCOP="JWST", FILTER="F444W", PUPIL="CLEAR")


def test_a_jwst_mosaic_is_one_galaxy_with_its_noise(tmp_path):
    dataset, found = only(jwst(tmp_path / "i2d.fits"))
    np.testing.assert_array_equal(found.images[0, 0], galaxy())
    assert (found.unit, found.bands, float(found.pixel_scale)) == (
        "MJy / sr",
        ("F444W",),
        pytest.approx(0.063),
    )
    np.testing.assert_allclose(found.ivar, 100, rtol=1e-5)
    assert any("CON" in note for note in dataset.info.notes)
    assert dataset.info.origins == {
        "unit": "BUNIT of HDU 1 (SCI)",
        "pixel_scale": "WCS of HDU 1 (SCI)",
        "bands": "FILTER of the primary header",
        "noise": "HDU 2 (ERR), its error",
        "mask": "HDU 4 (WHT), its coverage",
    }
    # Without ERR the parts of the variance add up: 0.005 + 0.004 + 0.001.
    _, parts = only(jwst(tmp_path / "var.fits", ("VAR_RNOISE", "SCI", "VAR_FLAT", "VAR_POISSON")))
    np.testing.assert_allclose(parts.ivar, 100, rtol=1e-5)


def test_drizzled_weights_are_coverage_unless_the_user_says_more(tmp_path):
    """DrizzlePac: WHT is by default the exposure time of each pixel, 0 where there are no data."""
    weight = np.full((SIDE, SIDE), 2000.0, "f4")
    weight[0] = 0
    path = write(
        tmp_path / "drc.fits",
        plane(np.full((SIDE, SIDE), 15, "i4"), "CTX"),
        plane(weight, "WHT"),
        plane(galaxy(), "SCI", BUNIT="ELECTRONS/S", **wcs(0.05)),
        TELESCOP="HST", FILTER1="CLEAR1L", FILTER2="F814W",
    )  # fmt: skip
    dataset, found = only(path)
    assert found.ivar is None
    assert found.bands == ("F814W",)
    np.testing.assert_array_equal(found.mask[0, 0], weight == 0)
    assert any("--role WHT=weight" in note for note in dataset.info.notes)
    _, said = only(path, ReadOptions(roles={"wht": "weight"}))
    np.testing.assert_allclose(said.ivar[0, 0, 1:], 2000)
    _, without = only(path, ReadOptions(roles={"WHT": "ignore"}))
    assert without.mask is None


def test_sci_decides_and_what_is_not_known_is_named(tmp_path):
    path = write(tmp_path / "a.fits", plane(galaxy(1), "MYSTERY"), plane(galaxy(), "SCI"), plane(galaxy(2)))
    dataset, found = only(path)
    np.testing.assert_array_equal(found.images[0, 0], galaxy())
    assert any("MYSTERY" in note and "HDU 3" in note for note in dataset.info.notes)


def test_unknown_extensions_are_asked_for(tmp_path):
    path = write(tmp_path / "a.fits", plane(galaxy(1), "ALPHA"), plane(galaxy(2), "BETA"))
    with pytest.raises(DataError, match="not said which of its extensions are images: ALPHA, BETA") as caught:
        open_dataset(path)
    for word in ("--hdu ALPHA", "--role ALPHA=image|error|variance|weight|mask|ignore", "--role '*=image'"):
        assert word in caught.value.hint
    _, alone = only(path, ReadOptions(hdu="ALPHA"))
    np.testing.assert_array_equal(alone.images[0, 0], galaxy(1))
    both = open_dataset(path, ReadOptions(roles=parse_roles("*=image")))
    assert list(both.info.ids) == ["ALPHA", "BETA"]
    np.testing.assert_array_equal(both.read([1]).images[0, 0], galaxy(2))
    _, one = only(path, ReadOptions(roles={"beta": "image", "alpha": "error"}))
    np.testing.assert_array_equal(one.images[0, 0], galaxy(2))
    with pytest.raises(DataError, match="no extension 'GAMMA'"):
        open_dataset(path, ReadOptions(roles={"GAMMA": "image"}))
    with pytest.raises(DataError, match="not said which"):
        open_dataset(write(tmp_path / "b.fits", plane(galaxy(), "ALPHA"), plane(galaxy(1), "ERR")))


def test_extensions_called_by_the_ids_of_the_catalogue_are_galaxies(tmp_path):
    names = ["J1000+01", "J1001+02", "J1002-03"]
    path = write(tmp_path / "a.fits", *(plane(galaxy(i), name) for i, name in enumerate(names)))
    Table({"id": names[::-1], "class": ["c", "b", "a"]}).write(tmp_path / "zoo.csv")
    dataset = open_dataset(path, ReadOptions(labels=str(tmp_path / "zoo.csv"), label_column="class"))
    assert [dataset.info.classes[k] for k in dataset.info.labels] == ["a", "b", "c"]
    np.testing.assert_array_equal(dataset.read([2]).images[0, 0], galaxy(2))
    table = fits.BinTableHDU(Table({"name": names[::-1], "label": [2, 1, 0]}))
    inside = write(tmp_path / "b.fits", *(plane(galaxy(i), name) for i, name in enumerate(names)), table)
    assert open_dataset(inside).info.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("names", [("VIS", "ERR", "MASK"), ("", "", ""), ("COMPRESSED_IMAGE",) * 3])
def test_planes_that_may_belong_together_are_not_three_galaxies(tmp_path, names):
    path = write(tmp_path / "a.fits", *(plane(galaxy(i), name) for i, name in enumerate(names)))
    if names[0] == "VIS":
        _, found = only(path, ReadOptions(roles={"MASK": "ignore"}))
        assert found.bands == ("VIS",)
        return
    with pytest.raises(DataError, match="not said which of its extensions"):
        open_dataset(path)
    assert len(open_dataset(path, ReadOptions(roles={"*": "image"}))) == 3


@pytest.mark.parametrize(
    "cards",
    [
        [{"HDUCLAS2": "ERROR", "HDUCLAS3": "MSE"}, {"HDUCLAS2": "DATA"}, {"HDUCLAS2": "QUALITY"}],
        [{"IMAGETYP": "variance"}, {}, {"IMAGETYP": "maskbits"}],
    ],
)
def test_roles_in_keywords_where_there_is_no_name(tmp_path, cards):
    """ESO science data products (HDUCLAS2, HDUCLAS3), Legacy Survey cut-outs with their planes (IMAGETYP)."""
    data = [np.full((SIDE, SIDE), 0.25, "f4"), galaxy(), bits({3: (1, 1)})]
    path = write(tmp_path / "a.fits", *(plane(d, **c) for d, c in zip(data, cards)))
    _, found = only(path)
    np.testing.assert_allclose(found.ivar, 4)
    assert found.mask.sum() == 1
    assert found.mask[0, 0, 1, 1]


def test_unnamed_extensions_of_different_sizes_are_galaxies(tmp_path):
    path = write(tmp_path / "a.fits", *(plane(galaxy(i, 20 + i)) for i in range(4)))
    dataset = open_dataset(path)
    assert len(dataset) == 4
    assert any("without a name" in note for note in dataset.info.notes)


def test_one_extension_a_band_is_one_galaxy(tmp_path):
    """TNG50 through SKIRT: an extension is named by camera and filter, two of them for r."""
    names = ["CFHT_MEGACAM.U", "SUBARU_HSC.G", "SUBARU_HSC.R", "SUBARU_HSC.Y", "CFHT_MEGACAM.R"]
    for order in (names, names[::-1]):
        path = write(tmp_path / "a.fits", *(plane(galaxy(names.index(n)), n, BUNIT="nJy") for n in order))
        dataset, found = only(path)
        assert set(found.bands) == {"u", "g", "hsc.r", "y", "megacam.r"}
        np.testing.assert_array_equal(found.images[0, found.bands.index("y")], galaxy(3))
        assert "name of HDU" in dataset.info.origins["bands"]


def test_planes_follow_their_band_their_number_or_their_extver(tmp_path):
    """HST multi-chip files number chips by EXTVER; coadds name SCI_g, ERR_g, ...; neither relies on order."""
    masks = [np.zeros((SIDE, SIDE), "i2") for _ in range(3)]
    for i, mask in enumerate(masks):
        mask[0, i] = 1
    path = write(
        tmp_path / "chips.fits",
        plane(masks[1], "DQ", 2), plane(galaxy(0), "SCI", 1), plane(masks[0], "DQ", 1),
        plane(galaxy(1), "SCI", 2),
    )  # fmt: skip
    found = open_dataset(path).read([0, 1])
    for i in range(2):
        np.testing.assert_array_equal(found.mask[i, 0], masks[i] != 0)
    bands = write(
        tmp_path / "bands.fits",
        *(plane(masks["gri".index(b)], f"MASK_{b}") for b in "igr"),
        *(plane(galaxy("gri".index(b)), f"SCI_{b}") for b in "rgi"),
    )
    _, one = only(bands)
    assert [band.lower() for band in one.bands] == ["g", "r", "i"]
    for i in range(3):
        np.testing.assert_array_equal(one.mask[0, i], masks[i] != 0)


def test_planes_that_say_the_same_or_do_not_fit_are_refused(tmp_path):
    errors = (plane(np.ones((SIDE, SIDE), "f4"), name) for name in ("ERR", "RMS"))
    with pytest.raises(DataError, match="2 extensions of the role 'error': ERR, RMS") as caught:
        open_dataset(write(tmp_path / "a.fits", plane(galaxy(), "SCI"), *errors))
    assert "--role RMS=ignore" in caught.value.hint
    with pytest.raises(DataError, match="not of its image's size"):
        open_dataset(write(tmp_path / "b.fits", plane(galaxy(), "SCI"), plane(np.ones((9, 9), "f4"), "ERR")))


@pytest.mark.parametrize(
    ("cards", "band"),
    [
        ({"FILTER": "F150W2", "PUPIL": "F162M"}, "F162M"), ({"FILTER": "F322W2", "PUPIL": "F323N"}, "F323N"),
        ({"FILTER": "F444W", "PUPIL": "F405N"}, "F405N"), ({"FILTER": "CLEAR", "PUPIL": "F090W"}, "F090W"),
        ({"FILTER": "F444W", "PUPIL": "CLEAR"}, "F444W"), ({"FILTER": "F277W", "PUPIL": "CLEARP"}, "F277W"),
        ({"FILTER": "F444W-CLEAR"}, "F444W"), ({"FILTER1": "CLEAR1L", "FILTER2": "F814W"}, "F814W"),
        ({"FILTER": "g.MP9401"}, "g"), ({"FILTER": "CLEAR"}, "band0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["primary", "image"])
def test_the_band_of_two_wheels(tmp_path, cards, band, place):
    """NIRCam and NIRISS keep filters in the pupil wheel, beside a wide blocking filter (jwst-docs)."""
    own, first = (cards, {}) if place == "image" else ({}, cards)
    _, found = only(write(tmp_path / "a.fits", plane(galaxy(), "SCI", **own), **first))
    assert found.bands == (band,)


def test_keywords_of_the_primary_header_count(tmp_path):
    """HST: AB zero point -2.5 lg PHOTFLAM - 5 lg PHOTPLAM - 2.408 = 25.946 for WFC3 F160W."""
    photometry = {"PHOTFLAM": 1.9275602e-20, "PHOTPLAM": 15369.176, "FILTER": "F160W", "EXPTIME": 100.0}
    path = write(tmp_path / "a.fits", plane(galaxy(), "SCI", BUNIT="ELECTRONS/S"), **photometry, **wcs(0.06))
    dataset, found = only(path)
    assert (found.unit, float(found.pixel_scale)) == ("nJy", pytest.approx(0.06))
    np.testing.assert_allclose(found.images[0, 0], galaxy() * 10 ** (0.4 * (31.4 - 25.946)), rtol=1e-3)
    assert "PHOTFLAM, PHOTPLAM of the primary header" in dataset.info.origins["unit"]
    assert dataset.info.origins["pixel_scale"] == "WCS of the primary header"
    own = {"MAGZERO": 30.0, "BUNIT": "counts"}
    _, nearer = only(write(tmp_path / "b.fits", plane(galaxy(), "SCI", **own), **photometry))
    np.testing.assert_allclose(nearer.images[0, 0], galaxy() * 10 ** (0.4 * 1.4), rtol=1e-5)
    apart = plane(galaxy(), "SCI", INHERIT=False)
    assert open_dataset(write(tmp_path / "c.fits", apart, **wcs(0.06))).info.pixel_scale is None
    # Counts, or counts per second?  The header does not say.
    bare = open_dataset(write(tmp_path / "d.fits", plane(galaxy(), "SCI"), **photometry)).info
    assert bare.unit is None
    assert any("PHOTFLAM" in note for note in bare.notes)


def test_asinh_stacks_are_made_linear(tmp_path):
    """PS1 image documentation: flux = BOFFSET + BSOFTEN (e^x - e^-x), x = 0.4 ln(10) v; ZP + 2.5 lg t."""
    flux = galaxy() * 50
    offset, soft = 2.5, 95.0
    x = np.arcsinh((flux - offset) / (2 * soft))
    cards = {"BOFFSET": offset, "BSOFTEN": soft, "EXPTIME": 100.0, "HIERARCH FPA.ZP": 25.0}
    path = write(tmp_path / "a.fits", plane((x * 2.5 / np.log(10)).astype("f8"), **cards))
    dataset, found = only(path)
    np.testing.assert_allclose(found.images[0, 0], flux * 10 ** (0.4 * (31.4 - 30.0)), rtol=1e-4, atol=1e-2)
    assert "made linear" in dataset.info.notes[0]
    del cards["HIERARCH FPA.ZP"]
    _, counts = only(write(tmp_path / "b.fits", plane((x * 2.5 / np.log(10)).astype("f8"), **cards)))
    assert counts.unit == "adu"
    np.testing.assert_allclose(counts.images[0, 0], flux, rtol=1e-4, atol=1e-3)


def bits(spec: dict[int, tuple[int, int]]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), "i4")
    for bit, place in spec.items():
        mask[place] |= 1 << bit
    return mask


@pytest.mark.parametrize(
    ("name", "cards", "primary", "faults", "news"),
    [
        # JWST: bit 0 is DO_NOT_USE; 1 saturated, 2 jump, 4 outlier inform (jwst-pipeline, DQ flags).
        ("DQ", {}, {"TELESCOP": "JWST"}, [0], [1, 2, 4, 10]),
        # ACS: 16 hot, 4096 and 8192 cosmic rays; 64 warm, 512 flat, 1024 trap inform.
        ("DQ", {}, {"TELESCOP": "HST", "INSTRUME": "ACS"}, [4, 12, 13], [6, 9, 10]),
        # WFC3/IR: 8192 is a cosmic ray that the ramp fit corrected, 512 a blob.
        ("DQ", {}, {"TELESCOP": "HST", "INSTRUME": "WFC3", "FILTER": "F160W"}, [2, 4, 12], [9, 11, 13]),
        # legacysurvey.org/dr10/bitmasks: 2-4 SATUR, 5-7 ALLMASK; 0 NPRIMARY, 1 BRIGHT, 11 MEDIUM, 12 GALAXY.
        ("MASKBITS", {}, {}, [2, 3, 4, 5, 7, 14], [0, 1, 8, 10, 11, 12, 13]),
        ("MASKBITS", {"MBIT_0": "NPRIMARY", "MBIT_3": "SATUR_R", "MBIT_12": "GALAXY"}, {}, [3], [0, 12]),
        ("MASKBITS", {"MB_NPRIM": 1, "MB_SAT_G": 4, "MB_GAL": 4096}, {}, [2], [0, 12]),
        # LSST and HSC: MP_ gives bit numbers.
        ("MASK", {"MP_BAD": 0, "MP_SAT": 1, "MP_CR": 3, "MP_INTRP": 2, "MP_CLIP": 5}, {}, [0, 1, 3], [2, 5]),
        # Pan-STARRS: names and values.
        ("MASK", {"MSKNAM00": "SAT", "MSKVAL00": 32, "MSKNAM01": "MARK", "MSKVAL01": 32768}, {}, [5], [15]),
        # Nothing is known: any value but 0.
        ("MASK", {}, {}, [0, 3, 9], []),
    ],
)  # fmt: skip
def test_bits_mean_what_header_or_mission_says(tmp_path, name, cards, primary, faults, news):
    places = {bit: (1, n) for n, bit in enumerate(faults)} | {bit: (3, n) for n, bit in enumerate(news)}
    path = write(tmp_path / "a.fits", plane(galaxy(), "SCI"), plane(bits(places), name, **cards), **primary)
    dataset, found = only(path)
    expected = np.zeros((SIDE, SIDE), bool)
    expected[1, : len(faults)] = True
    np.testing.assert_array_equal(found.mask[0, 0], expected)
    assert f"HDU 2 ({name})" in dataset.info.origins["mask"]


@pytest.mark.parametrize("kind", ["sources", "good", "objects of a folder"])
def test_a_mask_that_blanks_the_centre_is_refused(tmp_path, kind):
    source = (galaxy() > 1).astype("u1")
    if kind == "objects of a folder":
        for i in range(3):
            fits.writeto(tmp_path / f"g{i}_sci.fits", galaxy(i))
            fits.writeto(tmp_path / f"g{i}_mask.fits", source)
        path = tmp_path
    else:
        mask = source if kind == "sources" else np.ones_like(source)
        path = write(tmp_path / "a.fits", plane(galaxy(), "SCI"), plane(mask, "MASK"))
    with pytest.raises(DataError, match="would blank the centres of 100% of the galaxies") as caught:
        open_dataset(path)
    said = caught.value.hint.split("--role ")[1].replace("'", "")
    without = open_dataset(path, ReadOptions(roles=parse_roles(said)))
    assert without.read([0]).mask is None
    np.testing.assert_array_equal(without.read([0]).images[0, 0], galaxy())


def test_psfs_of_files_come_with_their_images(tmp_path):
    kernel = np.outer(*[np.exp(-(np.linspace(-3, 3, 11) ** 2))] * 2).astype("f4")
    path = write(tmp_path / "a.fits", plane(galaxy(), "SCI", **wcs(0.2)), plane(kernel, "PSF", PIXSCALE=0.05))
    dataset, found = only(path)
    assert dataset.info.has_psf
    assert found.psf_pixel_scale == 0.05
    np.testing.assert_array_equal(found.psf[0, 0], kernel)
    bare, same = only(write(tmp_path / "b.fits", plane(galaxy(), "SCI", **wcs(0.2)), plane(kernel, "PSF")))
    assert same.psf_pixel_scale == pytest.approx(0.2)
    assert any("pixels of their images" in note for note in bare.info.notes)


def tile(folder, name="X", *, science="", **siblings):
    """Write a frame with two stars, and files beside it."""
    frame = np.random.default_rng(0).normal(0, 0.1, (60, 80)).astype("f4")
    frame[20, 30], frame[40, 50] = 9, 8
    path = folder / f"{name}{science}.fits"
    fits.writeto(path, frame, fits.Header({**wcs(0.2), "BUNIT": "nJy"}))
    for end, data in siblings.items():
        fits.writeto(folder / f"{name}{end}.fits", data)
    from astropy.wcs import WCS

    ra, dec = WCS(fits.getheader(path)).all_pix2world([30, 50], [20, 40], 0)
    Table({"ra": ra, "dec": dec, "id": ["a", "b"]}).write(folder / "positions.csv", overwrite=True)
    return path, frame, ReadOptions(catalog=str(folder / "positions.csv"), cutout_size="11pix")


@pytest.mark.parametrize(
    ("science", "mask", "weight"),
    [("_ooi_g", "_ood_g", "_oow_g"), ("", ".mask", ".weight"), ("_sci", "_msk", "_ivar"),
     ("-image-r", "-maskbits", "-invvar-r")],
)  # fmt: skip
def test_stamps_take_mask_and_weight_from_files_beside_the_tile(tmp_path, science, mask, weight):
    """NOIRLab community pipeline, SExtractor and Legacy Survey names."""
    flags, weights = np.zeros((60, 80), "i4"), np.full((60, 80), 100.0, "f4")
    flags[18, 30] = 1 << 5 if "bits" in mask else 1
    weights[41, 50] = 0
    path, _, options = tile(tmp_path, science=science, **{mask: flags, weight: weights})
    fits.writeto(tmp_path / "Y_ood_g.fits", np.ones((60, 80), "i4"))
    dataset = open_dataset(path, options)
    found = dataset.read([1, 0])
    np.testing.assert_array_equal(found.images[1, 0, 5, 5], 9)
    assert found.mask[1, 0, 3, 5]
    assert found.mask.sum() == 2
    assert found.mask[0, 0, 6, 5]
    np.testing.assert_allclose(np.unique(found.ivar), [0, 100])
    assert "mask" in dataset.info.origins
    assert "noise" in dataset.info.origins


def test_stamps_take_what_the_tiles_own_extensions_hold(tmp_path):
    path, frame, options = tile(tmp_path)
    kernel = np.outer(*[np.exp(-(np.linspace(-3, 3, 11) ** 2))] * 2).astype("f4")
    error = np.full(frame.shape, 0.5, "f4")
    planes = [plane(error, "ERR"), plane(kernel, "PSF"), plane(frame, "SCI", BUNIT="nJy", **wcs(0.2))]
    write(path, *planes, plane(frame, "CTX"))
    found = open_dataset(path, options).read([0, 1])
    assert (found.images[:, 0, 5, 5] == [9, 8]).all()
    np.testing.assert_allclose(found.ivar, 4)
    np.testing.assert_array_equal(found.psf[1, 0], kernel)
    assert found.psf_pixel_scale == pytest.approx(0.2)
    write(path, plane(frame, "ALPHA", **wcs(0.2)), plane(frame, "BETA", **wcs(0.2)))
    with pytest.raises(DataError, match="not said which"):
        open_dataset(path, options)


def test_a_sibling_of_another_size_is_left_out_and_named(tmp_path):
    path, _, options = tile(tmp_path, _mask=np.ones((10, 10), "i4"))
    dataset = open_dataset(path, options)
    assert any("X_mask.fits is left out" in note for note in dataset.info.notes)
    assert not dataset.read([0]).mask.any()


def test_roles_that_cannot_be_understood():
    assert parse_roles("WHT=ignore, VAR_*=variance") == {"WHT": "ignore", "VAR_*": "variance"}
    assert parse_roles(["a=b=image"]) == {"a=b": "image"}
    for words in ("WHT", "WHT=noise", "=image"):
        with pytest.raises(UsageError, match="NAME=ROLE"):
            parse_roles(words)
    assert ReadOptions().model_dump() == ReadOptions(roles={}).model_dump()
    assert "roles" not in ReadOptions().model_dump()


# Names under which the parts of one galaxy's file are found in archives, and names that nobody knows.
IMAGES = ("SCI", "IMAGE", "FLUX", "", "PRIMARY", "DATA", "OBJ7", "G")
PARTS = {
    "error": ("ERR", "RMS", "SIGMA", "UNC", "NOISE", ""),
    "variance": ("VAR", "VARIANCE", "VAR_POISSON", "STAT", "SPREAD"),
    "weight": ("IVAR", "INVVAR", "WEIGHT", "WGT", "W8"),
    "mask": ("DQ", "MASK", "MSK", "FLAGS", "QF"),
    "ignore": ("CTX", "CON", "SAMP", "TIME", "EXP", "SEGMAP", "COVER", ""),
    "model": ("MODEL", "BKG", "RESIDUAL", "SKY", "FIT2"),
}


@st.composite
def files(draw):
    """One galaxy's file: parts in any order, under names known or not, keywords in either header."""
    parts = draw(st.lists(st.sampled_from(sorted(PARTS)), max_size=4, unique=True))
    names = {part: draw(st.sampled_from(PARTS[part])) for part in parts}
    names["image"] = draw(st.sampled_from(IMAGES))
    order = draw(st.permutations([*parts, "image"]))
    return names, order, draw(st.sampled_from(["image", "primary"])), draw(st.booleans())


def open_or_ask(path):
    """Return the data set, or None and the sentence that asks."""
    try:
        return open_dataset(path), ""
    except DataError as error:
        return None, str(error)


@QUICK
@given(case=files())
def test_never_a_wrong_galaxy_in_silence(tmp_path, case):
    """Whatever the names and the order: the image with its own unit, scale and noise, or one sentence."""
    names, order, place, in_primary = case
    shape = (SIDE, SIDE)
    data = {
        "image": galaxy(3), "error": np.full(shape, 0.5, "f4"), "variance": np.full(shape, 0.25, "f4"),
        "weight": np.full(shape, 4.0, "f4"), "mask": bits({0: (2, 2)}), "ignore": np.full(shape, 7.0, "f4"),
        "model": galaxy(9),
    }  # fmt: skip
    cards = {"BUNIT": "nJy", "FILTER": "F444W", **wcs(0.063)}
    own, first = (cards, {}) if place == "image" else ({}, cards)
    hdus = [plane(data[part], names[part], **(own if part == "image" else {})) for part in order]
    if in_primary and place == "image":
        primary = fits.PrimaryHDU(hdus[0].data, hdus[0].header)
        fits.HDUList([primary, *hdus[1:]]).writeto(tmp_path / "a.fits", overwrite=True)
    else:
        write(tmp_path / "a.fits", *hdus, **first)
    dataset, refusal = open_or_ask(tmp_path / "a.fits")
    if dataset is None:
        assert "--role" in refusal
        return
    found = dataset.read(range(len(dataset)))
    assert len(found) == 1
    bad = np.zeros(shape, bool) if found.mask is None else found.mask[0, 0]
    assert bad.sum() <= 1
    np.testing.assert_array_equal(found.images[0, 0][~bad], galaxy(3)[~bad])
    assert (found.unit, float(found.pixel_scale)) == ("nJy", pytest.approx(0.063))
    assert found.bands in (("F444W",), ("G",))
    if found.ivar is not None:
        np.testing.assert_allclose(found.ivar[found.ivar > 0], 4, rtol=1e-5)
    known = [part for part in order if part != "image" and role_of(names[part]) is not None]
    for part in set(order) - {"image"} - set(known):
        assert any((names[part] or "HDU") in note for note in dataset.info.notes), part
    assert dataset.info.has_mask == bool({"mask", "error", "variance", "weight"} & set(known))
