"""HDF5: what is written comes back to the bit; what is damaged, or leads elsewhere, is one sentence."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import ReadOptions, open_dataset
from galshift.data.readers._hdf5_parts import read_rows
from galshift.errors import DataError
from tests.readers_helpers import opens_or_says_why

QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


@st.composite
def cutouts(draw):
    """Return cut-outs with any of the optional parts."""
    n, bands = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    side = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    images = draw(hnp.arrays(np.float32, (n, bands, *side), elements=finite))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    mask = draw(st.sampled_from([None, (n, *side), (n, bands, *side)]))
    if mask is not None:
        mask = rng.random(mask) < 0.3
        # Bad pixels are 0: that is what a reader makes of them.
        images = np.where(mask if mask.ndim == 4 else mask[:, None], np.float32(0), images)
    labels, varies = draw(st.sampled_from(["none", "class", "soft", "continuous"])), draw(st.booleans())
    values = {
        "none": None,
        "class": rng.integers(-1, 2, size=n),
        "soft": rng.dirichlet([1, 1], size=n),
        "continuous": rng.normal(size=n).astype(np.float32),
    }
    return Cutouts(
        images=images,
        unit=draw(st.sampled_from(["nJy", "MJy / sr", "dimensionless"])),
        pixel_scale=rng.uniform(0.1, 1, size=n) if varies else draw(st.sampled_from([0.2, None])),
        bands=tuple("grizy"[:bands]),
        ids=draw(st.lists(TEXT, min_size=n, max_size=n)),
        groups=draw(st.lists(TEXT, min_size=n, max_size=n)),
        labels=values[labels],
        classes=("a", "größe") if labels in ("class", "soft") else (),
        mask=mask,
        ivar=rng.uniform(size=images.shape).astype(np.float32) if draw(st.booleans()) else None,
        psf_fwhm=draw(st.sampled_from([None, 0.7])),
        survey=draw(st.sampled_from([None, "lsst-y10"])),
        history=("made", "observed"),
        table=Table({"ra": rng.uniform(size=n), "name": rng.integers(0, 9, size=n).astype(str)}),
    )


def equal(first, second):
    for name in ("images", "ids", "groups", "labels", "mask", "ivar", "pixel_scale", "psf_fwhm"):
        a, b = getattr(first, name), getattr(second, name)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_array_equal(a, b, err_msg=name)
    for name in ("unit", "bands", "classes", "survey", "history"):
        assert getattr(first, name) == getattr(second, name), name
    for column in first.table.colnames:
        np.testing.assert_array_equal(first.table[column], second.table[column])


@QUICK
@given(written=cutouts(), cut=st.integers(1, 6), seed=st.integers(0, 99))
def test_round_trip_is_exact_however_it_is_cut(tmp_path, written, cut, seed):
    n = len(written)
    chunks = [written.take(np.arange(start, min(n, start + cut))) for start in range(0, n, cut)]
    path = write_hdf5(tmp_path / "a.h5", chunks, provenance={"seed": seed})
    dataset = open_dataset(path)
    equal(dataset.read(np.arange(n)), written)
    assert dataset.provenance() == {"seed": seed}
    rows = np.random.default_rng(seed).integers(0, n, size=9)
    equal(dataset.read(rows), written.take(rows))


@QUICK
@example(n=19, rows=[0, 0, 2], chunk=1)
@given(
    n=st.integers(1, 300),
    rows=st.lists(st.integers(0, 10**6), min_size=0, max_size=60),
    chunk=st.integers(1, 50),
)
def test_rows_come_in_the_order_asked_for(tmp_path, n, rows, chunk):
    values = np.arange(n * 3).reshape(n, 3)
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        data = file.create_dataset("x", data=values, chunks=(min(chunk, n), 3))
        wanted = np.asarray(rows, dtype=np.int64) % n
        np.testing.assert_array_equal(read_rows(data, wanted), values[wanted])


def some(n=3, **changes):
    images = np.random.default_rng(0).normal(size=(n, 2, 4, 4)).astype("f4")
    return Cutouts(images=images, unit="nJy", **changes)


@pytest.mark.parametrize(
    ("chunks", "sentence"),
    [
        ([], "no images"),
        ([some(), Cutouts(np.zeros((1, 2, 4, 4)), unit="Jy")], "unit"),
        ([some(), some(bands=("g", "r"))], "bands"),
        ([some(), Cutouts(np.zeros((1, 2, 5, 4)), unit="nJy")], "shape of images"),
        ([some(labels=np.zeros(3, int)), some()], "no labels"),
        ([some(), some(labels=np.zeros(3, int))], "had no labels"),
    ],
)
def test_chunks_that_do_not_fit_leave_nothing(tmp_path, chunks, sentence):
    with pytest.raises(DataError, match=sentence):
        write_hdf5(tmp_path / "a.h5", iter(chunks))
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_stops_leaves_the_old_file(tmp_path):
    write_hdf5(tmp_path / "a.h5", some())
    before = (tmp_path / "a.h5").read_bytes()

    def broken():
        yield some()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_hdf5(tmp_path / "a.h5", broken())
    assert (tmp_path / "a.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_truncation_anywhere_is_one_sentence(tmp_path):
    content = write_hdf5(tmp_path / "a.h5", some(20)).read_bytes()
    broken = tmp_path / "cut.h5"
    for end in [*range(0, len(content), max(1, len(content) // 60)), len(content) - 1]:
        broken.write_bytes(content[:end])
        assert not opens_or_says_why(broken)


def test_bit_flips_never_raise_anything_else(tmp_path):
    content = write_hdf5(tmp_path / "a.h5", some(4, labels=np.arange(4) % 2, classes=("a", "b"))).read_bytes()
    rng, broken = np.random.default_rng(1), tmp_path / "flipped.h5"
    for _ in range(150):
        spoilt = bytearray(content)
        # Mostly in the first part, where the structure is.
        for place in rng.integers(0, len(spoilt), size=3) // rng.integers(1, 8):
            spoilt[place] ^= 1 << int(rng.integers(8))
        broken.write_bytes(spoilt)
        opens_or_says_why(broken)


@pytest.mark.parametrize("kind", ["external link", "external storage", "virtual", "in a group"])
def test_a_file_that_leads_to_another_is_refused(tmp_path, kind):
    write_hdf5(tmp_path / "other.h5", some())
    (tmp_path / "raw.bin").write_bytes(bytes(4 * 3 * 2 * 16))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["schema"] = "galshift-1"
        if kind == "external storage":
            size = 4 * 3 * 2 * 16
            file.create_dataset("images", (3, 2, 4, 4), "f4", external=[(str(tmp_path / "raw.bin"), 0, size)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3, 2, 4, 4), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "images", (3, 2, 4, 4))
            file.create_virtual_dataset("images", layout)
        else:
            place = file.create_group("table") if kind == "in a group" else file
            place["images"] = h5py.ExternalLink("other.h5", "/images")
    with pytest.raises(DataError, match="leads to another file"):
        open_dataset(tmp_path / "a.h5")


def test_links_inside_a_file_are_its_own(tmp_path):
    write_hdf5(tmp_path / "a.h5", some())
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["again"] = h5py.SoftLink("/images")
        file["loop"] = h5py.SoftLink("/loop")
        file["table/up"] = file["table"]
    assert len(open_dataset(tmp_path / "a.h5")) == 3


@pytest.mark.parametrize(
    ("datasets", "sentence"),
    [
        ({}, "holds none at all"),
        ({"spectra": np.zeros((3, 9))}, r"it holds spectra \(3, 9\)"),
        ({"images": np.zeros((0, 4, 4))}, "no images"),
        ({"images": np.zeros((3, 4, 4), dtype="S3")}, "not numbers"),
        ({"images": np.zeros((3, 4, 4)), "labels": np.zeros(5)}, "labels of shape"),
    ],
)
def test_what_is_not_galaxies_says_what_it_found(tmp_path, datasets, sentence):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
    with pytest.raises(DataError, match=sentence):
        open_dataset(tmp_path / "a.h5")


def test_galaxy10(tmp_path):
    """Its documentation: images (N, 69, 69, 3) uint8, ans (N,); DECaLS adds ra, dec, redshift, pxscale."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, size=(5, 69, 69, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "Galaxy10.h5", "w") as file:
        file["images"], file["ans"] = pictures, np.array([0, 9, 5, 1, 0], dtype=np.uint8)
    dataset = open_dataset(tmp_path / "Galaxy10.h5")
    assert dataset.info.shape == (3, 69, 69)
    assert dataset.info.classes[9] == "disk face-on loose spiral"
    cutouts = dataset.read([1])
    np.testing.assert_allclose(cutouts.images[0], np.moveaxis(pictures[1], -1, 0) / 255, rtol=1e-6)
    with h5py.File(tmp_path / "DECals.h5", "w") as file:
        file["images"] = rng.integers(0, 256, size=(4, 256, 256, 3), dtype=np.uint8)
        file["ans"], file["ra"] = np.array([0, 1, 2, 9], dtype=np.uint8), np.arange(4.0)
        file["pxscale"] = np.full(4, 0.262)
    info = open_dataset(tmp_path / "DECals.h5").info
    assert info.classes[0] == "disturbed"
    assert info.pixel_scale == pytest.approx(0.262)
    assert "ra" in info.table.colnames


def test_multimodal_universe_records(tmp_path):
    """Images (N, C, H, W) with their bands, masks, inverse variances and scales under one prefix.

    A mask is true where a pixel is good: github.com/MultimodalUniverse/MultimodalUniverse,
    scripts/jwst/build_parent_sample.py, "mask = invvar > 0".
    """
    rng = np.random.default_rng(0)
    flux = rng.normal(size=(3, 4, 8, 8)).astype("f4")
    good = np.ones(flux.shape, dtype=bool)
    good[1, 2, 3, 3] = False
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["image_array"], file["image_mask"] = flux, good
        file["image_ivar"] = np.full(flux.shape, 4.0, "f4")
        file["image_band"] = np.array([[f"des-{band}".encode() for band in "grzi"]] * 3)
        file["image_scale"] = np.full((3, 4), 0.262, "f4")
        file["object_id"] = np.array([b"11", b"12", b"13"])
    dataset = open_dataset(tmp_path / "a.hdf5", ReadOptions(unit="nanomaggy"))
    assert dataset.info.bands == ("g", "r", "z", "i")
    assert dataset.info.ids.tolist() == ["11", "12", "13"]
    assert dataset.info.pixel_scale == pytest.approx(0.262)
    cutouts = dataset.read([1])
    np.testing.assert_array_equal(cutouts.mask[0], ~good[1])
    np.testing.assert_array_equal(cutouts.images[0][good[1]], flux[1][good[1]])
    assert (cutouts.ivar == 4).all()


def test_images_and_test_images_in_one_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"] = np.ones((4, 3, 8, 8), "f4"), [0, 1, 2, 0]
        file["images_test"], file["labels_test"] = np.full((2, 3, 8, 8), 2, "f4"), [1, 1]
    dataset = open_dataset(tmp_path / "a.h5")
    assert len(dataset) == 6
    assert dataset.info.labels.tolist() == [0, 1, 2, 0, 1, 1]
    assert list(dataset.info.table["split"]) == ["train"] * 4 + ["test"] * 2
    assert dataset.read([5, 0]).images[:, 0, 0, 0].tolist() == [2, 1]


def test_zero_points_make_counts_njy(tmp_path):
    """One count at AB zero point m is 10^(0.4 (31.4 - m)) nJy."""
    images = np.ones((2, 2, 4, 4), "f4")
    path = write_hdf5(tmp_path / "a.h5", Cutouts(images=images, unit="ct", bands=("g", "r"), ivar=4 * images))
    cutouts = open_dataset(path, ReadOptions(zero_point={"g": 31.4, "r": 28.9})).read([1])
    assert cutouts.unit == "nJy"
    np.testing.assert_allclose(cutouts.images[0, :, 0, 0], [1, 10], rtol=1e-6)
    np.testing.assert_allclose(cutouts.ivar[0, :, 0, 0], [4, 0.04], rtol=1e-6)
    with pytest.raises(DataError, match="no zero point for band 'r'"):
        open_dataset(path, ReadOptions(zero_point={"g": 27}))
    path = write_hdf5(tmp_path / "b.h5", Cutouts(images=images, unit="nJy"))
    with pytest.raises(DataError, match="these images are in nJy"):
        open_dataset(path, ReadOptions(zero_point=27))


def test_channels_last_and_declared_units(tmp_path):
    images = np.random.default_rng(0).normal(size=(5, 9, 9, 2)).astype("f4")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = images
    options = ReadOptions(unit="nJy", bands=("g", "r"), pixel_scale_arcsec=0.2)
    cutouts = open_dataset(tmp_path / "a.h5", options).read([3])
    np.testing.assert_array_equal(cutouts.images[0], np.moveaxis(images[3], -1, 0))
    assert (cutouts.unit, cutouts.bands, cutouts.pixel_scale) == ("nJy", ("g", "r"), 0.2)
