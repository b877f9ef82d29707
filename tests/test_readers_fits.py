"""FITS of every kind gives back the physical pixels that were written; broken FITS gives one sentence."""

from __future__ import annotations

import bz2
import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galshift.data.cutouts import Cutouts
from galshift.data.fits_header import unit_and_factor
from galshift.data.fits_index import index_files, index_place
from galshift.data.fits_writer import write_fits_folder
from galshift.data.open import ReadOptions, open_dataset
from galshift.errors import DataError
from tests.readers_helpers import opens_or_says_why

FLOATS, INTEGERS = ("<f4", ">f4", "<f8", ">f8"), ("u1", "<i2", ">i2", ">i4", "i8")
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def stored_images(draw):
    """Return (stored array, scaling, physical float64 array with NaN for blanks, kind of file)."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    shape = draw(st.sampled_from([side, (1, *side), (3, *side), (*(n + 21 for n in side), 3)]))
    kind = draw(st.sampled_from([*FLOATS, *INTEGERS]))
    scale = draw(st.sampled_from([(1.0, 0.0), (0.5, -3.0), (1.0, 32768.0)])) if kind != "i8" else (1.0, 0.0)
    blank = None
    if kind in FLOATS:
        stored = generator.normal(size=shape).astype(kind)
        bad = generator.random(shape) < draw(st.sampled_from([0.0, 0.1, 1.0]))
        stored[bad] = generator.choice([np.nan, np.inf, -np.inf], size=int(bad.sum()))
        scale = (1.0, 0.0)
        physical = stored.astype(float)
    else:
        high = 250 if kind == "u1" else 1000
        stored = generator.integers(0, high, size=shape).astype(kind)
        physical = stored * scale[0] + scale[1]
        if draw(st.booleans()) and kind != "u1":
            blank = -1
            bad = generator.random(shape) < 0.2
            stored[bad], physical[bad] = blank, np.nan
    container = draw(st.sampled_from(["plain", "extension", "gz", "bz2", "tiles"]))
    return stored, scale, blank, physical, container


def write(path, stored, scale, blank, container):
    """Write stored numbers with BSCALE, BZERO and BLANK as given, by astropy but without its scaling."""
    header = fits.Header()
    if scale != (1.0, 0.0):
        header["BSCALE"], header["BZERO"] = scale
    if blank is not None:
        header["BLANK"] = blank
    if container == "tiles":
        if stored.dtype.kind == "i" and stored.dtype.itemsize == 8:
            stored = stored.astype("i4")
        method = (
            {"compression_type": "GZIP_2"} if stored.dtype.kind == "f" else {"compression_type": "RICE_1"}
        )
        if stored.dtype.kind == "f":
            method["quantize_level"] = 0.0
        hdus = [fits.PrimaryHDU(), fits.CompImageHDU(stored, header=header, **method)]
    elif container == "extension":
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(stored, header=header)]
    else:
        hdus = [fits.PrimaryHDU(stored, header=header)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for hdu in hdus:
            if hdu.data is not None and scale != (1.0, 0.0):
                hdu.header["BSCALE"], hdu.header["BZERO"] = scale
        fits.HDUList(hdus).writeto(path, overwrite=True, output_verify="silentfix")
    if container in ("gz", "bz2"):
        packer = {"gz": gzip.compress, "bz2": bz2.compress}[container]
        packed = path.with_name(f"{path.name}.{container}")
        packed.write_bytes(packer(path.read_bytes()))
        return packed
    return path


@QUICK
@given(case=stored_images())
def test_physical_pixels_come_back(tmp_path, case):
    stored, scale, blank, physical, container = case
    if container == "tiles" and (scale != (1.0, 0.0) or blank is not None):
        scale, blank = (1.0, 0.0), None
        physical = stored.astype(float)
    path = write(tmp_path / "image.fits", stored, scale, blank, container)
    dataset = open_dataset(path)
    cutouts = dataset.read([0])
    expected = np.moveaxis(physical, -1, 0) if physical.ndim == 3 and len(physical) > 20 else physical
    expected = expected.reshape(-1, *expected.shape[-2:]).astype(np.float32)
    good = np.isfinite(expected)
    assert cutouts.images[0].shape == expected.shape
    np.testing.assert_array_equal(cutouts.images[0][good], expected[good])
    if good.all():
        assert cutouts.mask is None or not cutouts.mask.any()
    else:
        np.testing.assert_array_equal(cutouts.mask[0], ~good)
        assert (cutouts.images[0][~good] == 0).all()


@settings(QUICK, max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), masked=st.booleans(), bands=st.integers(1, 4))
def test_folder_round_trip_is_exact(tmp_path, seed, masked, bands):
    generator = np.random.default_rng(seed)
    images = (10 ** generator.uniform(-30, 30, size=(3, bands, 5, 7))).astype(np.float32)
    cutouts = Cutouts(
        images=images,
        unit="nJy",
        pixel_scale=0.2,
        bands=tuple("ugri"[:bands]),
        ids=["a b", "a/b", "sci"],
        groups=["one", "one", "two"],
        labels=np.array([0, 1, -1]),
        classes=("disc", "merger"),
        mask=np.zeros(images.shape, dtype=bool) if masked else None,
        ivar=images if masked else None,
    )
    folder = tmp_path / f"out-{seed}-{masked}-{bands}"
    if not folder.exists():
        write_fits_folder(folder, cutouts, provenance={"seed": seed})
    dataset = open_dataset(folder)
    order = [list(dataset.info.ids).index(name) for name in cutouts.ids]
    back = dataset.read(order)
    np.testing.assert_array_equal(back.images, images)
    assert (back.unit, back.bands, back.classes) == ("nJy", cutouts.bands, cutouts.classes)
    assert float(back.pixel_scale) == pytest.approx(0.2, rel=1e-12)
    assert back.labels.tolist() == [0, 1, -1]
    assert back.groups.tolist() == ["one", "one", "two"]
    if masked:
        np.testing.assert_array_equal(back.ivar, images)


def test_files_of_several_bands_make_one_galaxy(tmp_path):
    rng = np.random.default_rng(0)
    data = {(g, b): rng.normal(size=(6, 6)).astype("f4") for g in ("n1", "n2") for b in "gri"}
    for (galaxy, band), image in data.items():
        fits.writeto(tmp_path / f"{galaxy}_{band}.fits", image)
    dataset = open_dataset(tmp_path)
    assert list(dataset.info.ids) == ["n1", "n2"]
    assert dataset.info.bands == ("g", "r", "i")
    np.testing.assert_array_equal(dataset.read([1]).images[0, 2], data["n2", "i"])
    by_pattern = open_dataset(tmp_path, ReadOptions(pattern="{id}_{band}.fits", bands=("r", "g")))
    np.testing.assert_array_equal(by_pattern.read([0]).images[0, 0], data["n1", "r"])
    (tmp_path / "n2_i.fits").unlink()
    with pytest.raises(DataError, match="do not have the bands"):
        open_dataset(tmp_path)
    assert list(open_dataset(tmp_path, ReadOptions(on_error="skip")).info.ids) == ["n1"]


@pytest.mark.parametrize("kind", ["u2", ">u2", "u4", "i2", "f4"])
@pytest.mark.parametrize("method", ["plain", "RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NOCOMPRESS"])
def test_tile_compressions_and_unsigned_integers(tmp_path, kind, method):
    """Lossless methods give back the numbers; an .fz file is opened by its name."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 30_000, size=(20, 24)).astype(kind)
    path = tmp_path / ("image.fits" if method == "plain" else "image.fits.fz")
    if method == "plain":
        fits.writeto(path, image)
    else:
        lossless = {"quantize_level": 0.0} if kind == "f4" else {}
        method = "GZIP_2" if kind == "f4" and method != "GZIP_1" else method
        hdu = fits.CompImageHDU(image, compression_type=method, **lossless)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    np.testing.assert_array_equal(open_dataset(path).read([0]).images[0, 0], image.astype("f4"))


def test_one_folder_per_class(tmp_path):
    for name in ("merger", "spiral"):
        (tmp_path / name).mkdir()
        for i in range(2):
            fits.writeto(tmp_path / name / f"{name}{i}.fits", np.ones((4, 4), "f4"))
    info = open_dataset(tmp_path).info
    assert info.classes == ("merger", "spiral")
    assert info.labels.tolist() == [0, 0, 1, 1]
    merged = open_dataset(tmp_path, ReadOptions(classes_map={"merger": "disturbed", "spiral": "disturbed"}))
    assert merged.info.classes == ("disturbed",)


def test_a_table_beside_a_stack_holds_its_labels(tmp_path):
    """The DeepMerge archive: (N, C, H, W) pixels, then a table with one column, 1 for a merger."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(40, 3, 9, 9)).astype(">f4")
    labels = rng.integers(0, 2, size=40).astype("f8")
    column = fits.Column("MERGER", "D", array=labels)
    hdus = [fits.PrimaryHDU(images), fits.BinTableHDU.from_columns([column])]
    fits.HDUList(hdus).writeto(tmp_path / "mergers.fits")
    options = ReadOptions(
        bands=("F814W", "F160W", "F356W"), classes_map={"class0": "non-merger", "class1": "merger"}
    )
    dataset = open_dataset(tmp_path / "mergers.fits", options)
    assert dataset.info.classes == ("merger", "non-merger")
    assert (dataset.info.labels == 1 - labels).all()
    np.testing.assert_array_equal(dataset.read([7]).images[0], images[7])


def hsc_like(path, bits, shape=(8, 8)):
    """Write an LSST/HSC style file: IMAGE, MASK with named planes, VARIANCE, counts with FLUXMAG0."""
    rng = np.random.default_rng(1)
    image = rng.normal(size=shape).astype("f4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of mask planes are longer than eight letters
        header = fits.Header({"MP_BAD": 0, "MP_SAT": 1, "MP_DETECTED": 5, "EXTNAME": "MASK"})
    primary = fits.PrimaryHDU()
    primary.header["FILTER"] = "HSC-I"
    science = fits.ImageHDU(image, name="IMAGE")
    science.header["FLUXMAG0"] = 10 ** (0.4 * 27)
    variance = np.full(shape, 4.0, "f4")
    fits.HDUList(
        [primary, science, fits.ImageHDU(bits, header), fits.ImageHDU(variance, name="VARIANCE")]
    ).writeto(path)
    return image


def test_mask_planes_variance_and_zero_point(tmp_path):
    """HSC: one count at zero point 27 is 57.544 nJy; DETECTED is no fault, BAD and SAT are."""
    bits = np.zeros((8, 8), "i4")
    bits[0, 0], bits[1, 1], bits[2, 2] = 1 << 5, 1 << 1, (1 << 0) | (1 << 5)
    image = hsc_like(tmp_path / "hsc.fits", bits)
    cutouts = open_dataset(tmp_path / "hsc.fits").read([0])
    assert cutouts.unit == "nJy"
    factor = 3631e9 / 10 ** (0.4 * 27)
    assert factor == pytest.approx(57.544, rel=1e-3)
    good = np.ones((8, 8), bool)
    good[1, 1] = good[2, 2] = False
    np.testing.assert_array_equal(cutouts.mask[0, 0], ~good)
    np.testing.assert_allclose(cutouts.images[0, 0][good], factor * image[good], rtol=1e-6)
    np.testing.assert_allclose(cutouts.ivar[0, 0], 1 / (4 * factor**2), rtol=1e-6)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_stack_too_large_to_keep_is_read_image_by_image(tmp_path, monkeypatch, compressed):
    """Each read takes the wanted images out of the file, scaled and with blanks, and nothing else."""
    from galshift.data.readers import _fits_data

    rng = np.random.default_rng(0)
    stored = rng.integers(0, 900, size=(30, 2, 12, 12)).astype("i2")
    stored[4, 1, 3, 3] = -1
    if compressed:
        image = rng.normal(size=(30, 12, 12)).astype("f4")
        hdu = fits.CompImageHDU(image, compression_type="GZIP_2", quantize_level=0.0)
        expected = image[:, None]
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "stack.fits")
    else:
        hdu = fits.PrimaryHDU(stored)
        hdu.header.update({"BSCALE": 0.5, "BZERO": 10.0, "BLANK": -1})
        expected = np.where(stored == -1, 0, stored * 0.5 + 10)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hdu.writeto(tmp_path / "stack.fits")
    dataset = open_dataset(tmp_path / "stack.fits")
    whole = dataset.read(range(30)).images
    np.testing.assert_array_equal(whole, expected)
    monkeypatch.setattr(_fits_data, "_CACHE_BYTES", 4000)
    asked = []
    load = _fits_data.load
    monkeypatch.setattr(_fits_data, "load", lambda path, parts: asked.extend(parts) or load(path, parts))
    piecewise = open_dataset(tmp_path / "stack.fits").read([4, 29, 4, 0])
    np.testing.assert_array_equal(piecewise.images, whole[[4, 29, 4, 0]])
    assert {part for _, part in asked} == {4, 29, 0}
    if not compressed:
        assert piecewise.mask[0].sum() == 1


def test_des_and_legacy_survey_layouts(tmp_path):
    """DES: SCI, MSK and WGT, MAGZERO 30.  Legacy Survey: a cube with a cube of inverse variances."""
    rng = np.random.default_rng(2)
    image, weight = rng.normal(size=(7, 7)).astype("f4"), np.full((7, 7), 0.25, "f4")
    mask = np.zeros((7, 7), "i2")
    mask[2, 3], weight[5, 5] = 1, 0
    science = fits.ImageHDU(image, name="SCI")
    science.header.update({"MAGZERO": 30.0, "BAND": "g"})
    parts = [fits.PrimaryHDU(), science, fits.ImageHDU(mask, name="MSK"), fits.ImageHDU(weight, name="WGT")]
    fits.HDUList(parts).writeto(tmp_path / "des.fits")
    des = open_dataset(tmp_path / "des.fits").read([0])
    factor = 10 ** (0.4 * 1.4)
    assert (des.unit, des.bands) == ("nJy", ("g",))
    bad = np.zeros((7, 7), bool)
    bad[2, 3] = bad[5, 5] = True
    np.testing.assert_array_equal(des.mask[0, 0], bad)
    np.testing.assert_allclose(des.images[0, 0][~bad], factor * image[~bad], rtol=1e-6)
    np.testing.assert_allclose(des.ivar[0, 0][0], 0.25 / factor**2, rtol=1e-6)
    cube, inverse = rng.normal(size=(3, 7, 7)).astype("f4"), rng.uniform(1, 2, size=(3, 7, 7)).astype("f4")
    primary = fits.PrimaryHDU(cube)
    primary.header.update({"SURVEY": "LegacySurvey", "BANDS": "grz"})
    fits.HDUList([primary, fits.ImageHDU(inverse, name="INVVAR")]).writeto(tmp_path / "legacy.fits")
    legacy = open_dataset(tmp_path / "legacy.fits").read([0])
    assert (legacy.unit, legacy.bands) == ("nmgy", ("g", "r", "z"))
    np.testing.assert_array_equal(legacy.images[0], cube)
    np.testing.assert_allclose(legacy.ivar[0], inverse, rtol=1e-6)


@pytest.mark.parametrize(
    ("cards", "unit", "factor"),
    [
        ({"BUNIT": "nanomaggy"}, "nmgy", 1),
        ({"NMGY": 0.005, "FILTER": "r"}, "nmgy", 1),
        ({"SURVEY": "LegacySurvey"}, "nmgy", 1),
        ({"BUNIT": "MJy/sr"}, "MJy / sr", 1),
        ({"BUNIT": "AB mag/arcsec2"}, "mag / arcsec2", 1),
        ({"BUNIT": "counts", "MAGZERO": 30.0}, "nJy", 10 ** (0.4 * 1.4)),
        # HST: AB zero point = -2.5 lg PHOTFLAM - 5 lg PHOTPLAM - 2.408 = 25.94 for ACS F814W.
        ({"BUNIT": "ELECTRONS/S", "PHOTFLAM": 7.07236e-20, "PHOTPLAM": 8045.0}, "nJy", 10 ** (0.4 * 5.459)),
        ({"BUNIT": "ELECTRONS", "PHOTFLAM": 7.07236e-20, "PHOTPLAM": 8045.0}, "electron", 1),
        ({"BUNIT": "banana"}, None, 1),
        ({}, None, 1),
    ],
)
def test_units_of_archives(cards, unit, factor):
    found, scale, _ = unit_and_factor(fits.Header(cards))
    assert found == unit
    assert scale == pytest.approx(factor, rel=2e-3)


@pytest.mark.parametrize(
    "cards",
    [
        {"CDELT1": -0.2 / 3600, "CDELT2": 0.2 / 3600},
        {"CD1_1": 0.0, "CD1_2": 0.2 / 3600, "CD2_1": 0.2 / 3600, "CD2_2": 0.0},
        {"CDELT1": 1.0, "CDELT2": 1.0, "PC1_1": -0.2 / 3600, "PC2_2": 0.2 / 3600},
        {"CDELT1": -12.0, "CDELT2": 12.0, "CUNIT1": "arcsec", "CUNIT2": "arcsec", "scale": 12.0},
    ],
)
def test_pixel_scale_by_every_convention(tmp_path, cards):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 60.0})
    expected = cards.pop("scale", 0.2)
    header.update(cards)
    fits.writeto(tmp_path / "a.fits", np.ones((4, 4), "f4"), header)
    assert open_dataset(tmp_path / "a.fits").info.pixel_scale == pytest.approx(expected, rel=1e-6)


def test_cutouts_from_a_frame(tmp_path):
    """A star painted at each position is at the centre of its cut-out; beyond the edge all is masked."""
    from astropy.table import Table
    from astropy.wcs import WCS

    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
    header.update(
        {"CRPIX1": 50.5, "CRPIX2": 40.5, "CDELT1": -0.2 / 3600, "CDELT2": 0.2 / 3600, "BUNIT": "nJy"}
    )
    frame = np.zeros((80, 100), "f4")
    pixels = np.array([[30, 20], [98, 40], [60, 78]])
    frame[pixels[:, 1], pixels[:, 0]] = [1, 2, 3]
    fits.writeto(tmp_path / "frame.fits", frame, header)
    ra, dec = WCS(header).all_pix2world(pixels[:, 0], pixels[:, 1], 0)
    Table({"ra": [*ra, 10.0], "dec": [*dec, 0.0], "id": list("abcx"), "label": [0, 1, 0, 1]}).write(
        tmp_path / "positions.ecsv"
    )
    options = ReadOptions(catalog=str(tmp_path / "positions.ecsv"), cutout_size="2.2arcsec")
    dataset = open_dataset(tmp_path / "frame.fits", options)
    assert dataset.info.shape == (1, 11, 11)
    assert "1 of 4 positions lie off the frame" in dataset.info.notes[0]
    cutouts = dataset.read([2, 0, 1])
    np.testing.assert_array_equal(cutouts.images[:, 0, 5, 5], [3, 1, 2])
    assert cutouts.images.sum() == 6
    assert not cutouts.mask[1].any()
    np.testing.assert_array_equal(cutouts.mask[2, 0].any(axis=0), np.arange(11) > 6)
    assert cutouts.labels.tolist() == [0, 0, 1]


def test_ragged_images_are_padded_alike_whatever_is_read_together(tmp_path):
    rng = np.random.default_rng(2)
    sizes = (7, 12, 9)
    for i, side in enumerate(sizes):
        fits.writeto(tmp_path / f"galaxy{i}.fits", rng.normal(size=(side, side)).astype("f4"))
    dataset = open_dataset(tmp_path)
    assert dataset.info.ragged
    assert dataset.info.shape == (1, 12, 12)
    together = dataset.read([0, 1, 2])
    alone = dataset.read([2])
    np.testing.assert_array_equal(together.images[2], alone.images[0])
    np.testing.assert_array_equal(together.mask[2], alone.mask[0])
    assert (~alone.mask).sum() == 81


def test_truncation_at_every_block_is_one_sentence(tmp_path):
    whole = tmp_path / "whole.fits"
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(np.ones((30, 30), "f4"), name=n) for n in ("G", "R", "I"))]
    fits.HDUList(hdus).writeto(whole, checksum=True)
    content = whole.read_bytes()
    good = 0
    for end in range(0, len(content) + 1, 2880):
        path = tmp_path / "cut.fits"
        path.write_bytes(content[:end])
        good += opens_or_says_why(path)
    # The file is whole after each of its three images.
    assert good == 3


def test_bit_flips_never_raise_anything_else(tmp_path):
    rng = np.random.default_rng(3)
    whole = tmp_path / "whole.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.ones(3))])
    hdus = [
        fits.PrimaryHDU(np.ones((20, 20), "f4")),
        fits.CompImageHDU(np.arange(400, dtype="i2").reshape(20, 20)),
    ]
    fits.HDUList([*hdus, table]).writeto(whole)
    content = bytearray(whole.read_bytes())
    for _ in range(150):
        broken = bytearray(content)
        for position in rng.integers(0, len(broken), size=4):
            broken[position] ^= 1 << int(rng.integers(8))
        path = tmp_path / "flipped.fits"
        path.write_bytes(broken)
        opens_or_says_why(path)


def test_a_flipped_pixel_is_seen_by_the_checksum(tmp_path):
    path = tmp_path / "sum.fits"
    fits.writeto(path, np.ones((30, 30), "f4"), checksum=True)
    content = bytearray(path.read_bytes())
    content[2880 + 100] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match="checksum is wrong"):
        open_dataset(path).read([0])


@pytest.mark.parametrize("kind", ["empty", "text", "folder", "missing", "html"])
def test_what_is_no_fits(tmp_path, kind):
    path = tmp_path / "x.fits"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("these are not the pixels\n" * 300)
    elif kind == "html":
        path.write_text("<html>404</html>")
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(DataError) as caught:
        open_dataset(path)
    assert str(path) in str(caught.value)


def test_one_bad_file_among_a_thousand(tmp_path, capsys):
    image = np.ones((4, 4), "f4")
    fits.writeto(tmp_path / "g0000.fits", image)
    content = (tmp_path / "g0000.fits").read_bytes()
    for i in range(1, 1000):
        (tmp_path / f"g{i:04d}.fits").write_bytes(content)
    (tmp_path / "g0500.fits").write_bytes(content[:2000])
    with pytest.raises(DataError, match=r"g0500\.fits"):
        open_dataset(tmp_path)
    dataset = open_dataset(tmp_path, ReadOptions(on_error="skip"))
    assert len(dataset) == 999
    assert "g0500" not in dataset.info.ids
    assert "skipped 1 of 1000 files" in capsys.readouterr().err


def test_links_and_pipes_among_files_are_reported_and_left_out(tmp_path):
    import os

    fits.writeto(tmp_path / "a.fits", np.ones((4, 4), "f4"))
    (tmp_path / "b.fits").symlink_to(tmp_path / "gone.fits")
    os.mkfifo(tmp_path / "c.fits")
    (tmp_path / "round").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"b\.fits: this link leads nowhere"):
        open_dataset(tmp_path)
    dataset = open_dataset(tmp_path, ReadOptions(on_error="skip"))
    assert list(dataset.info.ids) == ["a"]
    assert "skipped 2 of 3 files" in dataset.info.notes[0]


def test_the_index_is_used_and_notices_changes(tmp_path, monkeypatch):
    files = []
    for i in range(3):
        files.append(tmp_path / f"g{i}.fits")
        fits.writeto(files[-1], np.ones((4, 4 + i), "f4"))
    first = index_files(tmp_path, files)
    assert index_place(tmp_path).is_file()
    read = []
    from galshift.data import fits_index

    monkeypatch.setattr(fits_index, "describe_or_say", lambda path: read.append(path) or "again")
    assert index_files(tmp_path, files) == first
    assert read == []
    fits.writeto(files[1], np.ones((9, 9), "f4"), overwrite=True)
    assert index_files(tmp_path, files)[1] == "again"
    assert read == [files[1]]


def test_the_index_goes_to_the_cache_and_nothing_into_the_folder(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    fits.writeto(folder / "a.fits", np.ones((4, 4), "f4"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    open_dataset(folder)
    assert [path.name for path in folder.iterdir()] == ["a.fits"]
    assert len(list((tmp_path / "cache" / "galshift" / "index").iterdir())) == 1


def test_a_folder_opens_without_a_cache(tmp_path, monkeypatch):
    fits.writeto(tmp_path / "a.fits", np.ones((4, 4), "f4"))
    (tmp_path / "file").write_text("a file where the cache should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(open_dataset(tmp_path)) == 1


def test_a_damaged_index_is_made_again(tmp_path):
    fits.writeto(tmp_path / "a.fits", np.ones((4, 4), "f4"))
    assert len(open_dataset(tmp_path)) == 1
    index_place(tmp_path).write_text('{"version": 2, "names": [1')
    assert len(open_dataset(tmp_path)) == 1
