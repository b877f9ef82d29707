"""Arrays, pictures, catalogues and groups: what is opened is what was stored, and nothing is guessed."""

from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from galshift.data.open import ReadOptions, open_dataset
from galshift.errors import DataError, UsageError

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(
    kind=st.sampled_from(["f2", "f4", "f8", ">f4", ">f8", "i2", ">i4", "u2"]),
    last=st.booleans(),
    bands=st.integers(1, 4),
    fortran=st.booleans(),
    zipped=st.booleans(),
    labels=st.sampled_from(["none", "integer", "one-hot", "column", "float", "names"]),
    seed=st.integers(0, 999),
)
def test_published_arrays(tmp_path, kind, last, bands, fortran, zipped, labels, seed):
    rng = np.random.default_rng(seed)
    images = (100 * rng.normal(size=(6, bands, 8, 9))).astype(kind)
    if images.dtype.kind == "f":
        images[2, 0, 1, 1] = np.nan
    stored = np.moveaxis(images, 1, -1) if last else images
    stored = np.asfortranarray(stored) if fortran else stored
    truth = rng.integers(0, 3, size=6)
    truth[0], truth[1] = 0, 2
    values = {
        "none": None,
        "integer": truth,
        "one-hot": np.eye(3)[truth],
        "column": truth[:, None],
        "float": truth.astype("f8"),
        "names": np.array(["a", "b", "c"])[truth],
    }[labels]
    if zipped:
        path = tmp_path / "set.npz"
        np.savez(path, images=stored, **({} if values is None else {"labels": values}))
    else:
        np.save(tmp_path / "x.npy", stored)
        path = f"{tmp_path / 'x.npy'}"
        if values is not None:
            np.save(tmp_path / "y.npy", values)
            path += f":{tmp_path / 'y.npy'}"
    dataset = open_dataset(path, ReadOptions(unit="nJy", bands=tuple("griz"[:bands])))
    cutouts = dataset.read([2, 5])
    expected = images[[2, 5]].astype("f4")
    np.testing.assert_array_equal(cutouts.images, np.nan_to_num(expected))
    if images.dtype.kind == "f":
        np.testing.assert_array_equal(cutouts.mask, np.isnan(expected))
    if values is not None:
        assert [dataset.info.classes[k][-1] for k in dataset.info.labels] == [
            "012"[k] if labels != "names" else "abc"[k] for k in truth
        ]


def test_soft_and_continuous_labels_stay_what_they_are(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(5, 8, 8)))
    soft, theta = rng.dirichlet([1, 1, 1], size=5), rng.uniform(1, 3, size=5)
    for values in (soft, theta):
        np.save(tmp_path / "y.npy", values)
        info = open_dataset(f"{tmp_path / 'x.npy'}:{tmp_path / 'y.npy'}").info
        np.testing.assert_allclose(info.labels, values, rtol=1e-6)


class Harmful:
    """Would make a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_python_objects_are_never_loaded(tmp_path, kind):
    trap, path = tmp_path / "trap", tmp_path / f"x.{kind}"
    array = np.array([Harmful(str(trap))], dtype=object)
    np.save(path, array) if kind == "npy" else np.savez(path, images=array)
    with pytest.raises(DataError, match="never loads"):
        open_dataset(path)
    path.with_suffix(".npy").write_bytes(pickle.dumps(Harmful(str(trap))))
    with pytest.raises(DataError):
        open_dataset(path.with_suffix(".npy"))
    assert not trap.exists()


def test_damaged_arrays_are_one_sentence(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 2, 8, 8)))
    np.savez_compressed(tmp_path / "x.npz", images=np.random.default_rng(0).normal(size=(4, 2, 8, 8)))
    rng = np.random.default_rng(1)
    for name in ("x.npy", "x.npz"):
        content = (tmp_path / name).read_bytes()
        broken = tmp_path / f"broken{name[1:]}"
        ends = [0, 1, 5, 20, 100, 200, len(content) // 2, len(content) - 1]
        spoilt = [content[:end] for end in ends]
        for _ in range(60):
            flipped = bytearray(content)
            flipped[int(rng.integers(min(len(flipped), 400)))] ^= 1 << int(rng.integers(8))
            spoilt.append(bytes(flipped))
        for data in spoilt:
            broken.write_bytes(data)
            try:
                open_dataset(broken).read([0])
            except DataError as error:
                said = str(error)
            else:
                continue
            assert "broken" in said
            assert "\n" not in said


def test_a_zip_bomb_of_another_kind_is_no_array(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match=r"it holds readme\.txt"):
        open_dataset(tmp_path / "x.npz")


def pictures(folder, n=4, size=(10, 12), mode="RGB"):
    rng = np.random.default_rng(0)
    values = []
    for i in range(n):
        shape = (*size, 3) if mode == "RGB" else size
        values.append(rng.integers(0, 256, size=shape, dtype=np.uint8))
        folder.mkdir(exist_ok=True)
        Image.fromarray(values[-1], mode=None).save(folder / f"p{i}.png")
    return values


def test_pictures_become_zero_to_one_and_keep_their_bands(tmp_path):
    values = pictures(tmp_path / "a")
    dataset = open_dataset(tmp_path / "a")
    assert (dataset.info.unit, dataset.info.bands) == ("dimensionless", ("red", "green", "blue"))
    one = dataset.read([2])
    np.testing.assert_allclose(one.images[0], np.moveaxis(values[2], -1, 0) / 255, rtol=1e-6)
    assert (one.groups[0], one.groups_from) == ("p2", "numbered")  # a file's name is no galaxy's
    grey = pictures(tmp_path / "b", mode="L")
    np.testing.assert_allclose(open_dataset(tmp_path / "b").read([1]).images[0, 0], grey[1] / 255, rtol=1e-6)


def test_a_damaged_picture_is_refused_or_left_out(tmp_path, capsys):
    pictures(tmp_path)
    (tmp_path / "p1.png").write_bytes((tmp_path / "p1.png").read_bytes()[:20])
    with pytest.raises(DataError, match=r"p1\.png"):
        open_dataset(tmp_path)
    assert list(open_dataset(tmp_path, ReadOptions(on_error="skip")).info.ids) == ["p0", "p2", "p3"]
    assert "skipped 1 of 4" in capsys.readouterr().err


def folder_and_table(tmp_path, n=6):
    """Write n FITS files and return a catalogue of them, in another order."""
    for i in range(n):
        fits.writeto(tmp_path / f"g{i}.fits", np.full((5, 5), i, dtype="f4"))
    order = np.random.default_rng(3).permutation(n)
    return Table(
        {
            "name": [f"g{i}" for i in order],
            "file": [f"g{i}.fits" for i in order],
            "morphology": [("disc", "smooth")[i % 2] for i in order],
            "field": [f"f{i // 2}" for i in order],
            "ra": [10.0 + 0.2 * i for i in order],
            "dec": [0.1] * n,
            "p_disc": [0.9 - 0.15 * i for i in order],
            "p_smooth": [0.1 + 0.15 * i for i in order],
        }
    )


@pytest.mark.parametrize("kind", ["csv", "ecsv", "fits", "vot", "parquet"])
def test_catalogues_of_every_kind(tmp_path, kind):
    images, other = tmp_path / "images", tmp_path / f"labels.{kind}"
    images.mkdir()
    table = folder_and_table(images)
    formats = {
        "csv": "ascii.csv",
        "ecsv": "ascii.ecsv",
        "vot": "votable",
        "fits": "fits",
    }
    if kind == "parquet":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table({name: table[name].tolist() for name in table.colnames}), other)
    else:
        table.write(other, format=formats[kind])
    options = ReadOptions(labels=str(other), label_column="morphology", group_column="field")
    dataset = open_dataset(images, options)
    assert list(dataset.info.ids) == [f"g{i}" for i in range(6)]
    assert [dataset.info.classes[k] for k in dataset.info.labels] == ["disc", "smooth"] * 3
    assert dataset.info.groups.tolist() == ["f0", "f0", "f1", "f1", "f2", "f2"]
    np.testing.assert_allclose(dataset.info.table["ra"], 10 + 0.2 * np.arange(6))
    assert dataset.read([4]).images[0, 0, 0, 0] == 4
    votes = ReadOptions(labels=str(other), vote_columns=("p_disc", "p_smooth"), min_confidence=0.6)
    info = open_dataset(images, votes).info
    winner = [0.9, 0.75, 0.6, 0.45, 0.7, 0.85]
    expected = [0, 0, 0, -1, 1, 1]
    assert info.labels.tolist() == expected, winner
    soft = votes.model_copy(update={"soft_labels": True})
    np.testing.assert_allclose(open_dataset(images, soft).info.labels[3], [0.45, 0.55], atol=1e-6)


def test_groups_by_field_and_by_region_of_the_sky(tmp_path):
    table = folder_and_table(tmp_path)
    table.write(tmp_path / "catalog.ecsv")
    by_field = open_dataset(tmp_path, ReadOptions(group_column="field"))
    assert by_field.info.groups.tolist() == ["f0", "f0", "f1", "f1", "f2", "f2"]
    assert by_field.read([5]).groups.tolist() == ["f2"]
    # ra 10.0 ... 11.0 in cells of half a degree: three of them.
    by_sky = open_dataset(tmp_path, ReadOptions(group_column="sky:0.5deg"))
    assert len(set(by_sky.info.groups.tolist())) == 3
    assert open_dataset(tmp_path, ReadOptions(group_column="sky:30arcmin")).info.groups.tolist() == (
        by_sky.info.groups.tolist()
    )
    with pytest.raises(UsageError, match="not a cell"):
        open_dataset(tmp_path, ReadOptions(group_column="sky:0deg"))
    with pytest.raises(DataError, match=r"no column 'fields'.*did you mean 'field'"):
        open_dataset(tmp_path, ReadOptions(group_column="fields"))
    (tmp_path / "catalog.ecsv").unlink()
    with pytest.raises(DataError, match="no catalogue"):
        open_dataset(tmp_path, ReadOptions(group_column="field"))


def test_a_catalogue_that_names_files_and_hdus(tmp_path):
    """The GalSim layout: each row names a file and an HDU of it."""
    stacks = []
    for name in ("one.fits", "two.fits"):
        stack = np.random.default_rng(len(stacks)).normal(size=(3, 6, 6)).astype("f4")
        hdus = [fits.PrimaryHDU(stack[0]), *(fits.ImageHDU(image) for image in stack[1:])]
        fits.HDUList(hdus).writeto(tmp_path / name)
        stacks.append(stack)
    table = Table(
        {
            "IDENT": [5, 6, 7],
            "GAL_FILENAME": ["two.fits", "one.fits", "two.fits"],
            "GAL_HDU": [2, 0, 1],
            "PIXEL_SCALE": [0.03] * 3,
            "BAND": ["F814W"] * 3,
        }
    )
    table.write(tmp_path / "catalog.fits")
    dataset = open_dataset(tmp_path / "catalog.fits")
    assert dataset.info.ids.tolist() == ["5", "6", "7"]
    assert (dataset.info.bands, dataset.info.pixel_scale) == (("F814W",), 0.03)
    expected = [stacks[1][2], stacks[0][0], stacks[1][1]]
    np.testing.assert_array_equal(dataset.read([0, 1, 2]).images[:, 0], expected)
    table["GAL_FILENAME"] = ["two.fits", "gone.fits", "two.fits"]
    table.write(tmp_path / "catalog.fits", overwrite=True)
    with pytest.raises(DataError, match="missing"):
        open_dataset(tmp_path / "catalog.fits")
    kept = open_dataset(tmp_path / "catalog.fits", ReadOptions(on_error="skip"))
    assert kept.info.ids.tolist() == ["5", "7"]
