"""Many files as one data set, and tables and images written as several files."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import galshift
from galshift.data.cutouts import GIVEN, Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.hdf5_shards import write_hdf5_shards
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.errors import DataError, UsageError
from galshift.evaluation.shards import write_shards
from galshift.recipes.prepare import prepare

N = 10


def drawn(seed: int = 0, n: int = N, **changes) -> Cutouts:
    """Random images of two bands with names, classes and a catalogue."""
    rng = np.random.default_rng(seed)
    values = {
        "unit": "nJy",
        "pixel_scale": 0.2,
        "bands": ("g", "r"),
        "ids": np.array([f"s{seed}-{i}" for i in range(n)]),
        "groups": np.array([f"galaxy {i // 2}" for i in range(n)]),
        "labels": rng.integers(0, 2, n),
        "classes": ("disc", "round"),
        "table": Table({"redshift": rng.uniform(size=n)}),
    }
    return Cutouts(rng.normal(size=(n, 2, 6, 6)).astype("f4"), **{**values, **changes})


@pytest.fixture
def sky(tmp_path: Path) -> Path:
    """Return a folder of three HDF5 files, the second with a mask and a scale of its own."""
    folder = tmp_path / "sky"
    folder.mkdir()
    mask = np.zeros((N, 2, 6, 6), dtype=bool)
    mask[3, :, 2, 2] = True
    write_hdf5(folder / "b.h5", drawn(1, mask=mask, pixel_scale=0.3))
    write_hdf5(folder / "a.h5", drawn(0))
    write_hdf5(folder / "c.h5", drawn(2))
    return folder


@pytest.mark.parametrize("named", ["folder", "pattern"])
def test_files_are_one_data_set_in_the_order_of_their_names(sky: Path, named: str) -> None:
    dataset = open_dataset(sky if named == "folder" else f"{sky}/*.h5")
    parts = [drawn(seed) for seed in range(3)]
    assert dataset.name == "sky"
    assert len(dataset) == 3 * N
    for name in ("ids", "groups", "labels"):
        expected = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(dataset.info, name), expected)
    np.testing.assert_array_equal(dataset.info.pixel_scale, [0.2] * N + [0.3] * N + [0.2] * N)
    redshift = np.concatenate([part.table["redshift"] for part in parts])
    wanted = [25, 3, 13, 12, 29, 0, 13]
    read = dataset.read(wanted)
    images = np.concatenate([part.images for part in parts])[wanted]
    images[[2, 6], :, 2, 2] = 0  # what is masked reads as 0
    np.testing.assert_array_equal(read.images, images)
    np.testing.assert_array_equal(read.table["redshift"], redshift[wanted])
    assert read.mask.sum(axis=(1, 2, 3)).tolist() == [0, 0, 2, 0, 0, 0, 2]
    assert dataset.info.groups_from == GIVEN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bands": ("g", "i")}, "bands: g, i"),
        ({"unit": "uJy"}, "unit: uJy"),
        ({"labels": None}, "labels: none"),
        ({"table": Table({"z": np.zeros(N)})}, "columns: z"),
    ],
)
def test_the_odd_file_is_named(sky: Path, change: dict, said: str) -> None:
    write_hdf5(sky / "b.h5", drawn(1, **change))
    with pytest.raises(DataError, match=said) as error:
        open_dataset(sky)
    assert error.value.where == str(sky / "b.h5")
    assert len(open_dataset(f"{sky}/[ac].h5")) == 2 * N


def test_names_that_only_count_rows_are_told_apart(tmp_path: Path) -> None:
    for name in ("x", "y"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["images"] = np.zeros((3, 5, 5, 3), "f4")
    info = open_dataset(tmp_path).info
    assert info.ids.tolist() == ["x#0", "x#1", "x#2", "y#0", "y#1", "y#2"]
    assert info.groups.tolist() == info.ids.tolist()
    assert any("begin with the file's name" in note for note in info.notes)


def test_a_class_that_one_file_lacks_keeps_its_number(tmp_path: Path) -> None:
    for name, labels in (("x", [b"spiral", b"bar"]), ("y", [b"edge-on", b"spiral"])):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["images"] = np.zeros((2, 5, 5, 3), "f4")
            file["labels"] = np.array(labels)
    info = open_dataset(f"{tmp_path}/*.h5").info
    assert [info.classes[k] for k in info.labels] == ["spiral", "bar", "edge-on", "spiral"]


def test_many_files_do_not_stay_open(tmp_path: Path) -> None:
    for i in range(12):
        write_hdf5(tmp_path / f"{i:02d}.h5", drawn(i, n=2))
    dataset = open_dataset(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for i in range(24):
        dataset.read([i])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4


def test_fits_files_with_tables_are_one_data_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cubes = [rng.normal(size=(4, 5, 5)).astype("f4") for _ in range(2)]
    for name, cube, labels in zip("ab", cubes, (["E", "S", "E", "S"], ["S", "S", "E", "E"])):
        table = fits.table_to_hdu(Table({"id": [f"G{name.upper()}{i}" for i in range(4)], "label": labels}))
        hdus = [
            fits.PrimaryHDU(),
            *(fits.ImageHDU(image, name=f"G{name}{i}") for i, image in enumerate(cube)),
        ]
        fits.HDUList([*hdus, table]).writeto(tmp_path / f"{name}.fits")
    for path in (tmp_path, f"{tmp_path}/*.fits"):
        dataset = open_dataset(path)
        assert [dataset.info.classes[k] for k in dataset.info.labels] == list("ESESSSEE")
        np.testing.assert_array_equal(dataset.read([6, 1]).images[:, 0], [cubes[1][2], cubes[0][1]])


def test_a_pattern_of_stamps_is_a_folder_of_them(tmp_path: Path) -> None:
    for name in ("m31-g", "m31-r", "m33-g", "m33-r", "x99-g"):
        fits.writeto(tmp_path / f"{name}.fits", np.full((5, 5), ord(name[-1]), "f4"))
    dataset = open_dataset(f"{tmp_path}/m3*.fits")
    assert dataset.info.ids.tolist() == ["m31", "m33"]
    assert dataset.info.bands == ("g", "r")


def test_parquet_catalogues_are_one_data_set(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from galshift.data.table_files import write_parquet

    for part, names in (("p0", ("a", "b")), ("p1", ("c",))):
        for name in names:
            fits.writeto(tmp_path / f"{name}.fits", np.full((4, 4), ord(name), "f4"))
        table = Table({"file": [f"{name}.fits" for name in names], "label": [f"is {name}" for name in names]})
        write_parquet(tmp_path / f"{part}.parquet", table, {})
    dataset = open_dataset(f"{tmp_path}/*.parquet")
    assert dataset.info.classes == ("is a", "is b", "is c")
    assert dataset.read([2, 0]).images[:, 0, 0, 0].tolist() == [ord("c"), ord("a")]


def test_labels_and_words_of_the_user_hold_for_all_files(sky: Path, tmp_path: Path) -> None:
    ids = np.concatenate([drawn(seed).ids for seed in range(3)])
    Table({"name": ids[::-1], "kind": ["odd", "even"] * 15}).write(tmp_path / "kinds.csv")
    info = open_dataset(sky, ReadOptions(labels=str(tmp_path / "kinds.csv"), label_column="kind")).info
    assert [info.classes[k] for k in info.labels] == ["even", "odd"] * 15


def test_a_pattern_that_fits_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file is called like this pattern"):
        open_dataset(f"{tmp_path}/*.h5")


def test_what_a_pattern_stands_for_is_known_by_its_contents(sky: Path) -> None:
    def name() -> str:
        return prepare("pack", {"data": f"{sky}/*.h5"}).fingerprint

    before = name()
    (sky / "note.txt").write_text("not one of them")
    assert name() == before
    write_hdf5(sky / "c.h5", drawn(5))
    assert name() != before


def test_images_are_packed_into_shards_and_read_back(sky: Path, tmp_path: Path) -> None:
    done = galshift.pack(str(sky), str(tmp_path / "packed"), shards=12)
    files = sorted(file.name for file in (tmp_path / "packed").iterdir())
    assert files == ["part-00000.h5", "part-00001.h5", "part-00002.h5"]
    before, after = open_dataset(sky), open_dataset(tmp_path / "packed")
    assert [len(open_dataset(tmp_path / "packed" / file)) for file in files] == [12, 12, 6]
    for name in ("ids", "groups", "labels", "pixel_scale"):
        np.testing.assert_array_equal(getattr(after.info, name), getattr(before.info, name))
    every = np.arange(30)
    assert after.read(every).images.tobytes() == before.read(every).images.tobytes()
    assert done.metrics["bytes"] == sum((tmp_path / "packed" / file).stat().st_size for file in files)
    # The same command finds them; without shards it makes something else, whose name is as it always was.
    values = {"data": str(sky)}
    assert prepare("pack", values).fingerprint != prepare("pack", {**values, "shards": 12}).fingerprint
    assert prepare("pack", values).parameters.keys() == {"read"}


def test_a_folder_of_shards_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken():
        yield drawn(0)
        raise DataError("the source went away")

    with pytest.raises(DataError, match="went away"):
        write_hdf5_shards(tmp_path / "out", broken(), 4)
    with pytest.raises(DataError, match="went away"):
        write_shards(tmp_path / "out.parquet", (one.table for one in broken()), 4)
    assert list(tmp_path.iterdir()) == []


def test_rows_are_cut_into_files_whatever_they_come_in(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = Table({"id": [f"{'x' * i}{i}" for i in range(11)], "value": np.arange(11.0)})
    write_shards(tmp_path / "t.parquet", [rows[:1], rows[1:9], rows[9:]], 4, provenance={"why": "test"})
    files = sorted((tmp_path / "t.parquet").iterdir())
    read = [parquet.read_table(file) for file in files]
    assert [file.name for file in files] == [f"part-{i:05d}.parquet" for i in range(3)]
    assert [len(table) for table in read] == [4, 4, 3]
    for name in rows.colnames:
        assert [value for table in read for value in table[name].to_pylist()] == list(rows[name])
    assert json.loads(read[0].schema.metadata[b"galshift"])["why"] == "test"


def test_shards_of_a_table_are_parquet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Parquet"):
        write_hdf5(tmp_path / "data.h5", drawn(0))
        galshift.predict(str(tmp_path), str(tmp_path / "data.h5"), str(tmp_path / "out.fits"), shards=3)
