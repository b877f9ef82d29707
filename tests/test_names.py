"""Names of any length and script go through every product and come back, or are refused before training."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galshift.__main__ import main
from galshift.data.cutouts import Cutouts
from galshift.data.fits_writer import write_fits_folder
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.data.tables import read_table
from galshift.errors import DataError
from galshift.evaluation.predictions import predictions_table, write_predictions
from tests.benchmarks.memory import images

CLASSES = ['=SUM(A1),"星系"', "e\u0301llipse\u202e\nrtl 🌀 $\\frac{$ <b>&amp; " + "x" * 70]
BAND = "r'\"/…𝛼"
IDS = [
    *(
        "",
        "a" * 5000,
        "=1+1",
        "a,b\"c'd",
        "two\nlines",
        "tab\tx",
        "é",
        "e\u0301",
        "É",
        "🌌",
        "שלום",
        "\u202eabc",
    ),
    *("/etc/passwd", "../x", "-5", " lead", "trail ", "a\\u03b1", "\\", "nan", "None", "--", "0.10", "\r\n"),
    *("a;b", "'q'", '"q"', "#c", "<script>", "A", "a", "ﬁ", "fi", "ß", "SS", "x" * 70),
]
N = 120

# What text can be: no NUL, and no half of a character.
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)


def survey(path: Path, **changes: object) -> Path:
    """Write an HDF5 survey with names as bad as they come, by h5py alone."""
    names = {"ids": [*IDS, *map(str, range(N - len(IDS)))], "classes": CLASSES, "bands": [BAND], **changes}
    values, labels = images(0, N)
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = values, labels
        file.create_dataset("ids", data=np.array(names["ids"], dtype=object), dtype=h5py.string_dtype())
        file.attrs["classes"], file.attrs["bands"] = names["classes"], names["bands"]
        file.attrs["unit"], file.attrs["pixel_scale"] = "nJy", 0.2
    return path


def galshift(monkeypatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["galshift", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (0, None), words


def text(column: object) -> list[str]:
    return [str(value) for value in np.ma.filled(np.ma.asarray(column), "")]


def test_nasty_names_go_from_training_to_every_product(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    survey(tmp_path / "d.h5")
    ids = [*IDS, *map(str, range(N - len(IDS)))]
    labels = [CLASSES[i % 2] for i in range(N)]
    galshift(monkeypatch, "train", "d.h5", "--epochs", "1", "--model", "sidda", "--out", "run")
    galshift(monkeypatch, "evaluate", "run", "--on", 'wild🌌,"n=d.h5', "--out", "evaluated")
    for ending in ("fits", "csv", "parquet"):
        galshift(monkeypatch, "predict", "run", "d.h5", f"p.{ending}")
    galshift(monkeypatch, "embed", "run", "d.h5", "--reduce", "pca", "--out", "map")
    galshift(monkeypatch, "pack", "d.h5", "packed.h5")
    for name in ("p.fits", "p.parquet", "map/embedding.fits"):
        table = read_table(tmp_path / name)
        assert (text(table["id"]), text(table["label"])) == (ids, labels), name
        assert {f"p_{name}" for name in CLASSES} <= set(table.colnames)
    # Any other program reads the names of the CSV file as they are; galshift strips spaces around words.
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ids
    assert [row["label"] for row in rows] == labels
    assert text(read_table(tmp_path / "p.csv")["id"]) == [name.strip(" ") for name in ids]
    assert {f"p_{name}" for name in CLASSES} <= set(read_table(tmp_path / "p.csv").colnames)
    packed = open_dataset(tmp_path / "packed.h5").info
    assert (packed.ids.tolist(), list(packed.classes), packed.bands) == (ids, CLASSES, (BAND,))
    found = json.loads((tmp_path / "evaluated/metrics.json").read_text(encoding="utf-8"))
    (domain,) = found["results"][0]["domains"].values()
    assert sorted(domain["per_class"]) == sorted(CLASSES)
    page = (tmp_path / "evaluated/report.html").read_text(encoding="utf-8")
    assert "星系" in page
    assert "<b>&amp;" not in page
    assert (
        "<script>" not in (tmp_path / "map/explorer.html").read_text(encoding="utf-8").split("galaxies")[-1]
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ["", "b"]}, "class 0 has no name"),
        ({"classes": ["a", "a"]}, "two of its 2 classes are called 'a'"),
        ({"bands": [""]}, "band"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_when_it_is_opened(tmp_path, changes, said):
    with pytest.raises(DataError, match=said):
        open_dataset(survey(tmp_path / "d.h5", **changes))


@pytest.mark.parametrize("bad", ["a\0b", "half \udcff"])
def test_nul_and_bytes_that_are_no_text_are_refused_in_one_sentence(tmp_path, bad):
    from galshift.data.cutouts import InMemory
    from galshift.data.names import check_names

    cutouts = Cutouts(images(0, 5000)[0], bands=("r",), ids=[*map(str, range(4998)), bad, "z"])
    with pytest.raises(DataError, match=r"the name of an image holds .* \(row 4998\)"):
        check_names(InMemory(cutouts).info, tmp_path)
    with pytest.raises(DataError, match="the name of a class holds"):
        check_names(InMemory(Cutouts(images(0, 2)[0], bands=("r",), classes=(bad, "b"))).info, tmp_path)


NAMES = st.lists(TEXT, min_size=4, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=NAMES, classes=st.lists(TEXT.filter(bool), min_size=2, max_size=2, unique=True), column=TEXT)
def test_a_table_of_predictions_reads_back(tmp_path, ids, classes, column):
    names = np.array(ids, dtype=str)
    catalogue = Table({column: names}) if column else None
    table = predictions_table(
        ids=names,
        groups=names,
        probabilities=np.tile([0.25, 0.75], (4, 1)),
        classes=classes,
        data_set="d",
        labels=np.array([0, 1, -1, 0]),
        catalogue=catalogue,
    )
    labels = [classes[0], classes[1], "", classes[0]]
    for ending in ("fits", "parquet"):
        back = read_table(write_predictions(tmp_path / f"t.{ending}", table))
        assert back.colnames == table.colnames
        assert (text(back["id"]), text(back["label"])) == (ids, labels)
        if column:
            assert text(back[back.colnames[-1]]) == ids
    path = write_predictions(tmp_path / "t.csv", table)
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == table.colnames
    assert [row[0] for row in rows[1:]] == ids


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(TEXT, min_size=2, max_size=2, unique=True),
    classes=st.lists(TEXT.filter(bool), min_size=2, max_size=2, unique=True),
    band=TEXT.filter(bool),
)
def test_hdf5_reads_back(tmp_path, ids, classes, band):
    cutouts = Cutouts(
        images(0, 2)[0], bands=(band,), ids=ids, groups=ids, classes=tuple(classes), labels=np.array([0, 1])
    )
    write_hdf5(tmp_path / "d.h5", cutouts)
    info = open_dataset(tmp_path / "d.h5").info
    assert (info.ids.tolist(), info.groups.tolist()) == (ids, ids)
    assert (list(info.classes), info.bands) == (classes, (band,))


def test_a_folder_of_fits_reads_back(tmp_path):
    names = [name for name in IDS if name.strip() == name and name and "\r" not in name and len(name) < 500]
    n = len(names)
    cutouts = Cutouts(
        images(0, n)[0],
        bands=(BAND,),
        ids=names,
        groups=names,
        classes=tuple(CLASSES),
        labels=np.arange(n) % 2,
        unit="nJy",
        pixel_scale=0.2,
    )
    write_fits_folder(tmp_path / "f", cutouts)
    info = open_dataset(tmp_path / "f").info
    assert info.ids.tolist() == names
    assert (list(info.classes), info.bands) == (CLASSES, (BAND,))
    assert [info.classes[k] for k in info.labels] == [CLASSES[i % 2] for i in range(n)]
