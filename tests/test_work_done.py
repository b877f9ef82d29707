"""What grows with a survey, counted as work done: bytes an image, files opened, packages read."""

from __future__ import annotations

import base64
import gc
import io
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from galshift.data.fits_index import index_files
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.data.tables import read_table
from galshift.errors import DataError
from galshift.evaluation.predictions import predictions_table, write_predictions
from galshift.report.pictures import coarse, gallery
from tests.benchmarks import memory

FEW, MANY = 500, 2000
# Bytes that an open data set may hold for each image: ids, labels, where its pixels lie.
HELD = {
    "h5": 200,
    "npy": 100,
    "npz": 100,
    "cube": 300,
    "folder": 320,
    "csv": 450,
    "parquet": 450,
    "pictures": 250,
}
# And may take for each while it is opened: files of images whose names are one text each would show.
WHILE_OPENED = dict.fromkeys(HELD, 700) | {"npz": 1100}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def held(path: Path, options: ReadOptions) -> tuple[int, int]:
    """Return the bytes that are held once the data set is open and all of it has been read, and the most
    that were held while it was opened."""
    open_dataset(path, options).read([0])  # imports, and the index of headers
    # pathlib interns the parts of every path, and Python's table of interned words grows in great steps: of
    # two openings one is without.
    most = min(_peak_while_opened(path, options) for _ in range(2))
    gc.collect()
    tracemalloc.start()
    dataset = open_dataset(path, options)
    for start in range(0, len(dataset), 100):
        dataset.read(np.arange(start, min(start + 100, len(dataset))))
    gc.collect()
    traces = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*pathlib.py")])
    tracemalloc.stop()
    return sum(trace.size for trace in traces.traces), most


def _peak_while_opened(path: Path, options: ReadOptions) -> int:
    gc.collect()
    tracemalloc.start()
    open_dataset(path, options)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@pytest.mark.parametrize("kind", list(memory.FORMATS))
def test_an_open_survey_holds_little_for_each_image(tmp_path, monkeypatch, kind):
    """Images have 1,024 bytes: a reader that kept them, or mapped them, would show."""
    from galshift.data import text_blocks
    from galshift.data.readers import _fits_data

    monkeypatch.setattr(text_blocks, "BLOCK", 100)
    monkeypatch.setattr(_fits_data, "_CACHE_BYTES", 1 << 16)  # so that a full cache is not taken for growth
    options = ReadOptions(labels="class") if kind in ("csv", "parquet") else ReadOptions()
    few, many = (held(memory.make(tmp_path, kind, n), options) for n in (FEW, MANY))
    still, most = ((many[i] - few[i]) / (MANY - FEW) for i in (0, 1))
    assert still < HELD[kind]
    assert most < WHILE_OPENED[kind]


def test_a_table_is_written_in_pieces(tmp_path):
    """The peak of writing 40,000 rows of FITS or CSV is that of 10,000."""

    def peak(n: int, name: str) -> int:
        names = np.array([f"galaxy-{i:08d}" for i in range(n)])
        p = np.full((n, 2), 0.5)
        table = predictions_table(ids=names, groups=names, probabilities=p, classes="ab", data_set="d")
        write_predictions(tmp_path / name, table[:10])
        tracemalloc.start()
        write_predictions(tmp_path / name, table)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for name in ("t.fits", "t.csv"):
        assert peak(40_000, name) < 1.2 * peak(10_000, name)


def test_a_long_table_is_the_same_file_in_one_piece_and_in_many(tmp_path, monkeypatch):
    from astropy.table import MaskedColumn, Table

    from galshift.data import table_files

    n = 1000
    ids = np.array([f"g{i}" for i in range(n)])
    ids[700], ids[3] = 'é,"α', "a\\b"
    catalogue = Table(
        {"z": np.linspace(0, 1, n), "m": MaskedColumn(np.arange(n), mask=np.arange(n) % 7 == 0)}
    )
    catalogue["t"] = MaskedColumn(ids, mask=np.arange(n) % 5 == 0)
    catalogue["v"] = np.arange(3 * n).reshape(n, 3)
    p = np.random.default_rng(0).dirichlet([1, 1], n)
    for ending in ("fits", "csv"):
        if ending == "csv":
            catalogue.remove_column("v")
        table = predictions_table(
            ids=ids, groups=ids, probabilities=p, classes="ab", data_set="d", catalogue=catalogue
        )
        found = []
        for block in (5000, 64):
            monkeypatch.setattr(table_files, "BLOCK", block)
            write_predictions(tmp_path / f"t{block}.{ending}", table)
            found.append((tmp_path / f"t{block}.{ending}").read_bytes())
        assert found[0] == found[1]


def test_a_fits_file_is_opened_once_for_its_pixels_and_its_header_is_remembered(tmp_path):
    folder = memory.make(tmp_path, "folder", 60)
    opened: list[str] = []

    def hear(event: str, args: tuple) -> None:
        if event == "open" and str(args[0]).endswith(".fits"):
            opened.append(str(args[0]))

    sys.addaudithook(hear)  # for good: a hook cannot be taken away
    dataset = open_dataset(folder)
    assert len(opened) == 120  # once to see that it is what it claims, and once to be read
    for start in range(0, 60, 16):
        dataset.read(np.arange(start, min(60, start + 16)))
    assert len(opened) == 180
    opened.clear()
    again = open_dataset(folder)  # the index knows the headers
    assert opened == []
    images = again.read(range(60)).images
    assert len(opened) == 60
    np.testing.assert_array_equal(images, dataset.read(range(60)).images)


def test_plain_pixels_are_those_that_astropy_reads(tmp_path):
    from astropy.io import fits

    from galshift.data import fits_file

    rng = np.random.default_rng(1)
    for number, dtype in enumerate(("u1", "i2", "i4", "i8", "f4", "f8")):
        image = (rng.normal(size=(9, 7)) * 50).astype(dtype)
        path = tmp_path / f"{dtype}.fits"
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image), fits.ImageHDU(image[:, ::-1])]).writeto(path)
        planes = fits_file.describe(path)
        assert all(plane["data"] for plane in planes), number
        found = fits_file.load(path, [(planes[1], None), (planes[0], 3)])
        np.testing.assert_array_equal(found[0], image[:, ::-1])
        np.testing.assert_array_equal(found[1], image[3])
        assert found[0].dtype == np.dtype(dtype)
    # What needs more than bytes is left to astropy.
    scaled = fits.PrimaryHDU(np.arange(12, dtype="i2").reshape(3, 4))
    scaled.header["BZERO"] = 10.0
    scaled.writeto(tmp_path / "scaled.fits")
    assert fits_file.describe(tmp_path / "scaled.fits")[0]["data"] is None
    # A file that has become another is read anew, not at the old place.
    plane = fits_file.describe(tmp_path / "f4.fits")[0]
    header = fits.Header({f"KEY{i}": i for i in range(80)})
    other = fits.ImageHDU(np.ones((9, 7), "f4"), header)
    fits.HDUList([fits.PrimaryHDU(), other]).writeto(tmp_path / "f4.fits", overwrite=True)
    np.testing.assert_array_equal(fits_file.load(tmp_path / "f4.fits", [(plane, None)])[0], np.ones((9, 7)))


def test_files_that_say_the_same_share_one_description(tmp_path):
    folder = memory.make(tmp_path, "folder", 40)
    files = sorted(folder.rglob("*.fits"))
    for _ in range(2):  # read, then from the index
        assert len({id(found) for found in index_files(folder, files)}) == 1


def test_a_recipe_of_many_steps_reads_the_installed_packages_once(tmp_path, monkeypatch):
    from importlib import metadata

    from galshift import registry
    from galshift.recipes import schema
    from galshift.recipes.read import read_recipe

    steps = {"galaxies": {"uses": "simulate", "n": 60}}
    steps |= {
        f"s{i}": {
            "uses": "train",
            "data": "${galaxies}",
            "seed": i,
            **({"init": f"${{s{i - 1}}}"} if i else {}),
        }
        for i in range(200)
    }
    text = yaml.safe_dump(
        {"recipe": 1, "name": "many", "steps": dict(reversed(steps.items()))}, sort_keys=False
    )
    (tmp_path / "many.yaml").write_text(text)
    asked, walked = [], []
    entry_points = metadata.entry_points
    registry._entry_points.cache_clear()
    monkeypatch.setattr(metadata, "entry_points", lambda **k: asked.append(k) or entry_points(**k))
    references = schema.RecipeStep.references
    monkeypatch.setattr(
        schema.RecipeStep, "references", lambda self: walked.append(self.name) or references(self)
    )
    recipe = read_recipe(tmp_path / "many.yaml")
    assert list(recipe.steps) == list(steps)
    groups = [one["group"] for one in asked]
    assert len(groups) == len(set(groups))
    assert len(walked) <= 4 * len(steps)


def test_a_catalogue_of_a_million_columns_is_refused_by_its_beginning(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{i}" for i in range(100_000)) + "\n" + ",".join("1" * 100_000) + "\n")
    tracemalloc.start()
    with pytest.raises(DataError, match="more than 10,000 columns"):
        read_table(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    path.write_text(",".join(f"c{i}" for i in range(3000)) + "\n" + ",".join("1" * 3000) + "\n")
    assert len(read_table(path).colnames) == 3000


def test_pictures_of_a_page_have_at_most_512_pixels_a_side():
    image = np.zeros((1, 2000, 1500), np.float32)
    image[0, :400, :] = 7.0
    made = gallery([image], ["large"])
    (picture,) = made.pictures
    shown = Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2])))
    assert max(shown.size) <= 512
    small = coarse(image)
    assert small.shape == (1, 500, 375)
    np.testing.assert_array_equal(small[0, :100], 7.0)
    np.testing.assert_array_equal(small[0, 100:], 0.0)
    holes = np.array([[[1.0, np.nan, np.nan, np.nan], [3.0, 5.0, np.nan, np.nan]]])
    np.testing.assert_array_equal(coarse(holes, 2)[0], [[3.0, np.nan]])
    assert coarse(image[:, :512, :512]) is not None
    np.testing.assert_array_equal(coarse(image[:, :512, :512]), image[:, :512, :512])
