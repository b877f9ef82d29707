"""What a verb says to type next works as printed: every ``next: galshift ...`` line is obeyed to the letter.

Folders have a space in their names, and some data need options to be read at all.
"""

from __future__ import annotations

import contextlib
import csv
import io
import shlex
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galshift.__main__ import main
from galshift.data.card import KEY
from galshift.data.options import ReadOptions
from galshift.data.public import names, public_set
from galshift.recipes.inputs import identify
from galshift.verbs import STEPS
from galshift.verbs._base import Step
from galshift.verbs._options import reading_words
from galshift.verbs._parameters import config_values, parameters
from galshift.verbs.fetch import Fetch
from galshift.verbs.predict import Predict

WORD = st.text("abcXYZ019_-* ", min_size=1, max_size=6).filter(lambda text: text == text.strip(" -*"))
TEXT = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12).filter(
    lambda text: text == text.strip() and not text.startswith("-")
)
READ = "--unit nJy --pixel-scale 0.396 --bands g,r,i"
LABELS = "--labels 'my data/few.csv' --label-column kind"
VIT = "--epochs 1 --set model.depth=1 --set model.width=16 --set model.heads=2"
FIRST, SECOND = "'my data/mocks_sdss-stripe82.h5'", "'my data/mocks_sdss.h5'"
# What is typed, and the verbs that it says to type next.  The first ones make what the others read.
BASE = {
    "simulate": ("'my data/sim.h5' --n 24 --views 1 --size 24 --pixel-scale 0.396", "inspect make-mocks"),
    "make-mocks": (
        "'my data/sim.h5' 'my data/mocks.h5' --survey sdss-stripe82 --pair sdss",
        "inspect adapt",
    ),
    "train": (f"{FIRST} --epochs 1 --out 'my runs/train'", "evaluate"),
    "adapt": (
        f"{FIRST} 'my data/sky.npy' --method coral --epochs 1 --out 'my runs/adapt' "
        "--target-unit nJy --target-pixel-scale 0.396 --target-bands g,r,i",
        "predict",
    ),
}
REST = {
    "evaluate": ("'my runs/adapt'", "predict"),
    "evaluate, labels": (f"'my runs/train' --on 'my data/few.npy' {READ} {LABELS}", "one-pixel-attack"),
    "evaluate, no labels": (f"'my runs/train' --on deep='my data/few.npy' {READ}", "predict"),
    "predict": ("'my runs/adapt' 'my data/sky.npy' 'my data/table.fits'", ""),
    "gap": (f"{SECOND} 'my data/sky.npy' {READ}", ""),
    "explain": ("'my runs/adapt' 'my data/sky.npy' --limit 4", ""),
    "embed": (f"'my runs/adapt' {SECOND} 'my data/sky.npy'", ""),
    "similar": (f"'my runs/adapt' 'my data/sky.npy' 3 --among {SECOND}", ""),
    "ladder": (f"'my data/sim.h5' 'my data/sky.npy' --survey sdss {READ}", "make-mocks"),
    "audit": (f"'my runs/train' 'my data/few.npy' {READ} {LABELS} --limit 1", "one-pixel-attack"),
    "one-pixel-attack": (f"'my runs/train' 'my data/few.npy' {READ} {LABELS} --limit 1", ""),
    "depth": ("'my runs/train' 'my data/sim.h5' --survey sdss --times 0.5,1", ""),
    "figures": ("'my runs/adapt' 'my figures' --format svg", ""),
    "pack": (f"{SECOND} 'my data/packed.h5'", "inspect"),
    "make-mocks, no labels": ("'my data/bare.h5' 'my data/bare mocks.h5' --survey sdss", "inspect"),
    "pretrain": (f"'my data/bare.h5' 'my data/sim.h5' {VIT}", "train"),
    "pretrain, no labels": (f"'my data/sky.npy' {READ} {VIT}", ""),
    "suggest": (f"'my runs/train' 'my data/sky.npy' {READ} --budget 24 --out 'my runs/sg'", "train"),
    "suggest, measure": (
        f"'my runs/train' 'my data/sky.npy' {READ} --budget 9 --aim measure --out 'my runs/measure'",
        "evaluate count",
    ),
    "count": (f"'my runs/train' 'my data/sky.npy' {READ} {LABELS}", ""),
    "predict, threshold": (
        "'my runs/adapt' 'my data/sky.npy' 'my data/chosen.fits' --threshold merger=p:0.5",
        "",
    ),
}


def galshift(words: str, code: int = 0) -> str:
    """Run the command line `words`, which must end with `code`; return what it says on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", ["galshift", *shlex.split(words)])
        with contextlib.redirect_stderr(err):
            try:
                ended = main()
            except SystemExit as stop:
                ended = stop.code
    assert (ended or 0) == code, f"galshift {words}\n{err.getvalue()}"
    return err.getvalue()


def next_lines(told: str) -> list[str]:
    """What to type next, without the pages to open."""
    return [
        line.removeprefix("next: galshift ") for line in told.splitlines() if line.startswith("next: galsh")
    ]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder in which the first verbs have run, and what each said."""
    folder = tmp_path_factory.mktemp("desk")
    told: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for verb, (words, _) in BASE.items():
            told[verb] = galshift(f"{verb} {words}")
            if verb == "make-mocks":
                _unexplained(folder / "my data")
    return folder, told


def _unexplained(data: Path) -> None:
    """Write mocks as plain arrays that say nothing of themselves, and galaxies without labels."""
    with h5py.File(data / "mocks_sdss.h5") as mocks:
        images, labels = mocks["images"][:], mocks["labels"][:]
    np.save(data / "sky.npy", images)
    np.save(data / "few.npy", images[:3])
    names = ("merger", "spiral", "elliptical")
    rows = [f"{row},{names[label]}" for row, label in enumerate(labels)]
    (data / "few.csv").write_text("\n".join(["id,kind", *rows[:3]]), encoding="utf-8")
    (data / "all.csv").write_text("\n".join(["id,kind", *rows]), encoding="utf-8")
    with h5py.File(data / "sim.h5") as sim, h5py.File(data / "bare.h5", "w") as bare:
        for name in set(sim) - {"labels"}:
            sim.copy(name, bare)
        bare.attrs.update(sim.attrs)


def _fill_in(table: Path, truth: Path) -> None:
    """Do what suggest asks for, from the truth."""
    with truth.open(newline="", encoding="utf-8") as file:
        kinds = {row["id"]: row["kind"] for row in csv.DictReader(file)}
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": kinds[row["id"]]} for row in rows)


@pytest.mark.parametrize("name", [*BASE, *REST])
def test_every_next_line_works_as_printed(
    desk: tuple[Path, dict[str, str]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, told = desk
    monkeypatch.chdir(folder)
    words, expected = {**BASE, **REST}[name]
    lines = next_lines(told[name] if name in told else galshift(f"{name.split(',')[0]} {words}"))
    assert [line.split()[0] for line in lines] == expected.split()
    if name.startswith("suggest"):
        _fill_in(Path(shlex.split(words)[-1]) / "suggest.csv", Path("my data/all.csv"))
    for line in lines:
        galshift(line)


def test_every_verb_says_what_comes_next_in_a_test() -> None:
    # Other tests of the same process register steps of their own.
    own = {name for name in STEPS.names() if not name.startswith("toy")}
    assert {name.split(",")[0] for name in (*BASE, *REST)} | {"fetch"} == own


@pytest.mark.parametrize("name", names())
def test_what_fetch_says_to_open_is_understood(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opens = [f"{one.path} {one.options}".strip() for one in public_set(name).open]
    for line in Fetch().next_steps({"run": "my runs/fetched", "open": opens}):
        said = galshift(line.removeprefix("galshift "), code=4)  # nothing has been fetched
        assert "there is no such file" in said


def test_a_copied_recipe_runs_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = next_lines(galshift("recipes cp quickstart 'my study.yaml'"))
    galshift(f"{line} --dry-run")


@pytest.mark.parametrize(
    "given", [["my runs/a b/", "x.npy:y.npy"], ["deep=x.npy:y.npy", "$(rm).h5"], ["wide=card.yaml", "x.npy"]]
)
def test_what_was_typed_is_quoted_and_pairs_stay_pairs(given: list[str], tmp_path: Path) -> None:
    paths = [text.split("=")[-1] for text in given]
    for path in (part for text in paths for part in text.split(":")):
        target = tmp_path / path
        target.mkdir(parents=True) if path.endswith("/") else target.write_bytes(path.encode())
    for part in ("x.npy", "y.npy", "zoo.csv"):
        (tmp_path / part).write_text(part, encoding="utf-8")
    (tmp_path / "card.yaml").write_text(f"{KEY}: 1\npath: x.npy:y.npy\nlabels: zoo.csv\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        results = {"given": identify({"on": given}, ("on",)).paths}
    assert shlex.split(" ".join(Step.all_named(results, "on"))) == paths


@settings(max_examples=60, deadline=None)
@given(
    unit=TEXT,
    scale=st.floats(1e-3, 1e3),
    bands=st.lists(WORD, max_size=3, unique=True),
    zero_point=st.none() | st.floats(0, 40) | st.dictionaries(WORD, st.floats(0, 40), min_size=1, max_size=2),
    classes=st.dictionaries(WORD, WORD, max_size=2),
    votes=st.lists(WORD, max_size=3, unique=True),
    role=st.sampled_from(["mask", "ignore"]),
    where=TEXT,
    soft=st.booleans(),
)
def test_options_said_again_are_those_that_were_given(
    unit, scale, bands, zero_point, classes, votes, role, where, soft
) -> None:
    asked = ReadOptions(
        unit=unit,
        pixel_scale_arcsec=scale,
        bands=bands,
        zero_point=zero_point,
        classes_map=classes,
        vote_columns=votes,
        roles={"DQ*": role},
        where=where,
        soft_labels=soft,
        label_kind="votes" if votes else "class",
        override=["unit", "bands"],
        hdu="SCI",
    )
    words = shlex.split(reading_words(asked.model_dump(mode="json", exclude_defaults=True)))
    known = {one.flag: one for one in parameters(Predict)}
    given = {}
    while words:
        one = known[words.pop(0)]
        given[one.name] = True if one.kind == "flag" else words.pop(0)
    values = config_values(Predict, given)["read"]
    assert ReadOptions.model_validate(values) == asked


def test_everything_that_a_reader_may_be_told_has_its_option() -> None:
    known = {one.flag: one.option.fields for one in parameters(Predict)}
    for key in ReadOptions.model_fields:
        flag = reading_words({key: "x"}).split()[0]
        assert known[flag] == (f"read.{key}",)
