"""Data cards: what they say is read, written, found from any folder, and known by content."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import galshift
from galshift.data.card import KEY, is_card, resolve, write_card
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.errors import ConfigError, DataError, UsageError
from galshift.recipes.inputs import identify
from galshift.recipes.read import read_recipe

WORDS = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12).filter(
    lambda text: text.strip() == text
)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """A folder with two pictures' worth of numbers, a catalogue, and a card for them."""
    folder = tmp_path / "survey"
    folder.mkdir()
    np.save(folder / "images.npy", np.arange(4 * 64, dtype=np.float32).reshape(4, 1, 8, 8))
    (folder / "zoo.csv").write_text("id,kind\n0,a\n1,b\n2,a\n3,b\n", encoding="utf-8")
    (folder / "wide.yaml").write_text(
        f"{KEY}: 1\npath: images.npy\nunit: nanomaggy\npixel_scale_arcsec: 0.396\nbands: [r]\n"
        "labels: zoo.csv\nlabel_column: kind\n",
        encoding="utf-8",
    )
    return folder


def test_a_card_is_read_from_any_folder(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = open_dataset("survey/wide.yaml")
    info = found.info
    assert (found.name, info.unit, info.pixel_scale, info.bands) == ("wide", "nmgy", 0.396, ("r",))
    assert [info.classes[k] for k in info.labels] == ["a", "b", "a", "b"]
    moved = tmp_path / "elsewhere"
    shutil.move(survey, moved)
    monkeypatch.chdir(moved)
    assert open_dataset("wide.yaml").info.classes == ("a", "b")


def test_an_option_goes_before_the_card(survey: Path) -> None:
    info = open_dataset(survey / "wide.yaml", ReadOptions(pixel_scale_arcsec=0.2)).info
    assert (info.pixel_scale, info.unit) == (0.2, "nmgy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: {}\n", "is no data card"),
        ("recipe: 1\nname: study\nsteps: {}\n", r"this is a recipe, no data card .*galshift run .*wide.yaml"),
        (f"{KEY}: 2\npath: x\n", "version 2"),
        (f"{KEY}: 1\nunit: nJy\n", "where the images are"),
        (
            f"{KEY}: 1\npath: images.npy\npixel_scal: 1\n",
            r"no key 'pixel_scal'.*wide.yaml:3.*pixel_scale_arcsec",
        ),
        (f"{KEY}: 1\npath: images.npy\npixel_scale_arcsec: -1\n", r"pixel_scale_arcsec.*wide.yaml:3"),
        (f"{KEY}: 1\npath: [\n", r"not valid YAML.*wide.yaml:3"),
        (f"{KEY}: 1\npath: &a x\nunit: *a\n", "aliases"),
        (f"{KEY}: 1\npath: nowhere.npy\n", "no such file"),
    ],
)
def test_a_broken_card_is_one_sentence(survey: Path, text: str, message: str) -> None:
    (survey / "wide.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        open_dataset(survey / "wide.yaml")
    assert re.search(message, f"{caught.value.what} {caught.value.where} {caught.value.hint}"), caught.value


@settings(max_examples=40, deadline=None)
@given(
    unit=WORDS,
    scale=st.floats(1e-3, 1e3),
    bands=st.lists(WORDS, max_size=3, unique=True),
    mapping=st.dictionaries(WORDS, WORDS, max_size=3),
    zero_point=st.none()
    | st.floats(0, 40)
    | st.dictionaries(WORDS, st.floats(0, 40), min_size=1, max_size=2),
)
def test_what_is_written_is_read_back(tmp_path_factory, unit, scale, bands, mapping, zero_point) -> None:
    folder = tmp_path_factory.mktemp("card")
    options = ReadOptions(
        unit=unit, pixel_scale_arcsec=scale, bands=bands, classes_map=mapping, zero_point=zero_point
    )
    place = folder / "one.yaml"
    write_card(place, str(folder / "images"), options, {"bands": ("g\nunit: evil", "FILTER")})
    assert is_card(place)
    assert set(yaml.safe_load(place.read_text(encoding="utf-8"))) <= {KEY, "path", *ReadOptions.model_fields}
    found = resolve(place)
    assert found.options == options
    assert os.path.samefile(Path(found.path).parent, folder)
    assert found.name == "one"


def test_a_card_is_no_recipe(survey: Path) -> None:
    with pytest.raises(ConfigError, match="this is a data card, and no recipe"):
        read_recipe(survey / "wide.yaml")


def test_a_card_is_never_written_over_that_of_another_data_set(tmp_path: Path) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.ones((4, 1, 16, 16), dtype=np.float32))
    how = {"unit": "nJy", "save": str(tmp_path / "one.yaml")}
    for scale in (0.2, 0.3):  # the same data set's card is brought up to date
        galshift.inspect(str(tmp_path / "a.npy"), pixel_scale=scale, **how)
    before = (tmp_path / "one.yaml").read_text(encoding="utf-8")
    assert "0.3" in before
    with pytest.raises(UsageError, match="of another data set"):
        galshift.inspect(str(tmp_path / "b.npy"), pixel_scale=0.2, **how)
    assert (tmp_path / "one.yaml").read_text(encoding="utf-8") == before


def test_a_moved_card_is_the_same_input_and_a_changed_one_is_not(survey: Path, tmp_path: Path) -> None:
    def identity(place: Path) -> dict[str, str]:
        return identify({"data": str(place)}, ("data",)).hashes

    before = identity(survey / "wide.yaml")
    assert set(before) == {"data", "data.labels", "data.card"}
    moved = tmp_path / "moved"
    shutil.copytree(survey, moved)
    assert identity(moved / "wide.yaml") == before
    text = (survey / "wide.yaml").read_text(encoding="utf-8")
    (survey / "wide.yaml").write_text(f"# a remark\n{text}", encoding="utf-8")
    assert identity(survey / "wide.yaml") == before
    (survey / "wide.yaml").write_text(text.replace("0.396", "0.4"), encoding="utf-8")
    changed = identity(survey / "wide.yaml")
    assert {key for key in before if before[key] != changed[key]} == {"data.card"}
    (moved / "zoo.csv").write_text("id,kind\n0,b\n1,b\n2,a\n3,b\n", encoding="utf-8")
    changed = identity(moved / "wide.yaml")
    assert {key for key in before if before[key] != changed[key]} == {"data.labels"}


def test_what_labels_are_may_stand_in_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network for numbers is trained where the card alone says that the labels are numbers."""
    import galshift

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    np.save("images.npy", rng.normal(1, 0.1, (80, 1, 16, 16)).astype(np.float32))
    rows = [f"{k},{0.1 + 0.01 * k}" for k in range(80)]
    Path("z.csv").write_text("\n".join(["id,redshift", *rows]), encoding="utf-8")
    Path("wide.yaml").write_text(
        f"{KEY}: 1\npath: images.npy\nunit: nJy\npixel_scale_arcsec: 0.4\nbands: [r]\nlabels: z.csv\n"
        "label_kind: value\nlabel_column: redshift\n",
        encoding="utf-8",
    )
    done = galshift.train("wide.yaml", epochs=1, out="run")
    assert done.results["label_kind"] == "value"
    assert done.results["classes"] == ["redshift"]
