"""Images written as published sets lie on disk: what is in the files, and that they open as they were."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.layout_writer import write_layout
from galshift.data.open import open_dataset
from galshift.data.public import Layout, find_layout, layout_names, public_set
from galshift.data.tables import stacked
from galshift.errors import DataError, UsageError
from galshift.recipes.execute import execute
from galshift.runs.classifiers import _called
from galshift.training.roles import Roles, Seen, Stage

CLASSES = ("merger", "non-merger")
LABELS = np.array([0, 1, 1, 0, 1, 1, 0])


@pytest.fixture
def images(tmp_path: Path) -> Cutouts:
    pixels = np.random.default_rng(3).normal(5, 1, (7, 3, 20, 24)).astype(np.float32)
    made = Cutouts(
        images=pixels,
        unit="nJy",
        pixel_scale=0.4,
        bands=("g", "r", "i"),
        ids=np.array([f"a{k}" for k in range(7)]),
        labels=LABELS,
        classes=CLASSES,
    )
    write_hdf5(tmp_path / "made.h5", iter([made]))
    return made


def _written(tmp_path: Path, layout: Layout) -> Path:
    card = tmp_path / "card.yaml"
    write_layout(open_dataset(tmp_path / "made.h5"), layout, card)
    return card


def test_arrays_of_deepmerge2(tmp_path: Path, images: Cutouts) -> None:
    out = tmp_path / "out" / "illustris.yaml"
    done = execute(
        "pack", {"data": str(tmp_path / "made.h5"), "layout": "deepmerge2/SimReal_SOURCE"}, out=out
    )
    # As the Zenodo record 4507941 calls them.
    x = np.load(out.parent / "SimReal_SOURCE_X_Illustris0.npy")
    y = np.load(out.parent / "SimReal_SOURCE_y_Illustris0.npy")
    assert (x.shape, x.dtype) == ((7, 3, 20, 24), np.float32)
    assert np.array_equal(x, images.images)
    assert y.tolist() == [1, 0, 0, 1, 0, 0, 1]  # 1 is a merger there
    opened = open_dataset(out)
    assert opened.name == "illustris"
    assert opened.info.unit == "nJy"
    assert opened.info.bands == ("g", "r", "i")
    assert [opened.info.classes[k] for k in opened.info.labels] == [CLASSES[k] for k in LABELS]
    assert done.results["n_images"] == 7
    assert done.results["outputs"]["labels"] == "SimReal_SOURCE_y_Illustris0.npy"


def test_one_hot_labels_and_bands_last(tmp_path: Path, images: Cutouts) -> None:
    layout = Layout(form="arrays", images="x.npy", labels="y.npy", one_hot=True, axes="NHWC", dtype="float64")
    opened = open_dataset(_written(tmp_path, layout))
    x, y = np.load(tmp_path / "x.npy"), np.load(tmp_path / "y.npy")
    assert (x.shape, x.dtype) == ((7, 20, 24, 3), np.float64)
    assert np.array_equal(x[3, 2, 9], images.images[3, :, 2, 9])
    assert y.tolist()[:2] == [[1, 0], [0, 1]]
    assert np.array_equal(opened.read([4]).images[0], images.images[4])


def test_one_hdf5_file(tmp_path: Path, images: Cutouts) -> None:
    opened = open_dataset(_written(tmp_path, find_layout("deepastrouda/sdss")))
    with h5py.File(tmp_path / "sdss_1.h5") as file:
        assert set(file) == {"images", "labels"}
        assert file["labels"][()].tolist() == LABELS.tolist()
    assert np.array_equal(opened.read([6]).images[0], images.images[6])


def test_a_folder_of_pictures_and_its_table(tmp_path: Path, images: Cutouts) -> None:
    opened = open_dataset(_written(tmp_path, find_layout("galaxy-da/source")))
    with (tmp_path / "source_galaxy_labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows[1] == {
        "image_path": "llustrisTNG/subhalo_1.png",
        "subhalo_id": "1",
        "classification": "non-merger",
    }
    assert len(list((tmp_path / "galaxy_images_rgb").glob("subhalo_*.png"))) == 7
    read = opened.read(np.arange(7))
    order = np.argsort([int(name.removeprefix("subhalo_")) for name in read.ids])
    assert [opened.info.classes[k] for k in read.labels[order]] == [CLASSES[k] for k in LABELS]
    # Red is the reddest band: the rank of pixels within a picture is that of the i band's fluxes.
    red, i_band = read.images[order[2], 0].ravel(), images.images[2, 2].ravel()
    assert np.corrcoef(np.argsort(np.argsort(red)), np.argsort(np.argsort(i_band)))[0, 1] > 0.99


def test_a_class_that_the_published_set_lacks_is_named(tmp_path: Path, images: Cutouts) -> None:
    with pytest.raises(DataError, match="has no class 'merger'") as caught:
        _written(tmp_path, find_layout("galaxy-da/source").model_copy(update={"classes": ["spiral"]}))
    assert caught.value.hint == "--classes-map merger=NAME, NAME one of spiral"
    write_hdf5(tmp_path / "made.h5", iter([images.with_(labels=np.where(LABELS == 0, -1, LABELS))]))
    with pytest.raises(DataError, match="3 images have no label"):
        _written(tmp_path, find_layout("galaxy-da/source"))


def test_layouts_name_files_that_the_set_is_known_to_open() -> None:
    for name in layout_names():
        owner, _, _ = name.partition("/")
        known = {part for one in public_set(owner).open for part in one.path.split(":")}
        assert not known or set(find_layout(name).files) <= known, name
    with pytest.raises(UsageError, match="no layout 'sidda/suorce'"):
        find_layout("sidda/suorce")


def test_a_number_in_one_table_and_a_file_name_in_another_are_text() -> None:
    one, other = Table({"id": [1, 2], "x": [0.5, 1.5]}), Table({"id": ["3.jpg"], "x": [2.5]})
    both = stacked([one, other])
    assert list(both["id"]) == ["1", "2", "3.jpg"]
    assert list(both["x"]) == [0.5, 1.5, 2.5]
    assert stacked([one]) is one


def test_source_only_that_began_with_other_weights_is_source_only() -> None:
    far, near, few = Seen("far", 5), Seen("near", 6), Seen("sky", 3)
    begun = Roles((Stage(source=far), Stage(source=near)))
    assert _called(Path("run/source-only"), "source-only", begun) == "source-only"
    joint = Roles((Stage(source=near, target_labels=few),))
    assert _called(Path("run/source-only"), "source-only", joint) == "source+labels"
