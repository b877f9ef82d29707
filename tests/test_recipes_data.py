"""The data block of a recipe: cards named once, checked line by line, known by content."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from galshift.data.card import KEY, is_card
from galshift.data.open import open_dataset
from galshift.errors import ConfigError, DataError
from galshift.recipes.inputs import identify
from galshift.recipes.json_schema import recipe_schema
from galshift.recipes.lock import lock_path
from galshift.recipes.read import read_recipe
from galshift.recipes.run import plan_recipe, run_recipe, status_rows
from tests import toy_steps  # noqa: F401  (registers the steps)
from tests.toy_steps import RUNS

RECIPE = """\
recipe: 1
name: two
data:
  near:
    path: images.npy
    unit: nanomaggy
    pixel_scale_arcsec: 0.396
    labels: zoo.csv
    label_column: kind
  far: far.yaml
steps:
  counted: {uses: toy-count, data: "${data.near}", others: ["a=${data.near}", "${data.far}"]}
  again: {uses: toy-count, data: "${counted.report}", others: ["${data.far}"]}
"""
CARD = f"{KEY}: 1\npath: images.npy\nunit: nJy\n"


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, four images, a catalogue and a card file; the shell stands beside it."""
    folder = tmp_path / "study"
    folder.mkdir()
    np.save(folder / "images.npy", np.arange(4 * 64, dtype=np.float32).reshape(4, 1, 8, 8))
    (folder / "zoo.csv").write_text("id,kind\n0,a\n1,b\n2,a\n3,b\n", encoding="utf-8")
    (folder / "far.yaml").write_text(CARD, encoding="utf-8")
    (folder / "two.yaml").write_text(RECIPE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    RUNS.clear()
    return folder


def _fingerprints(place: Path, *overrides: str, folder: Path | None = None) -> dict[str, str]:
    plan = plan_recipe(read_recipe(place, overrides=overrides), folder=folder)
    return {name: planned.prepared.fingerprint for name, planned in plan.items()}


def test_a_card_is_written_as_a_file_that_reads_as_the_block_says(study: Path) -> None:
    recipe = read_recipe(study / "two.yaml")
    plan = plan_recipe(recipe)
    assert not (study / "runs").exists(), "a plan writes nothing"
    near = study / "runs" / "two" / "data" / "near.yaml"
    given = plan["counted"].prepared.config
    assert given.data == str(near)
    assert given.others == [f"a={near}", str(study / "far.yaml")]
    run_recipe(recipe)
    assert RUNS == ["toy-count", "toy-count"]
    assert is_card(near)
    assert yaml.safe_load(near.read_text(encoding="utf-8")) == {
        KEY: 1,
        "path": "../../../images.npy",
        "unit": "nanomaggy",
        "pixel_scale_arcsec": 0.396,
        "labels": "../../../zoo.csv",
        "label_column": "kind",
    }
    found = open_dataset(near)
    assert (found.name, found.info.unit, found.info.pixel_scale) == ("near", "nmgy", 0.396)
    assert [found.info.classes[k] for k in found.info.labels] == ["a", "b", "a", "b"]
    assert list(near.parent.iterdir()) == [near], "a name with text is that file itself"


def test_the_file_is_left_alone_until_the_block_says_something_else(study: Path) -> None:
    near = study / "runs" / "two" / "data" / "near.yaml"
    run_recipe(read_recipe(study / "two.yaml"))
    before = near.stat().st_mtime_ns, near.stat().st_ino
    run_recipe(read_recipe(study / "two.yaml"))
    assert (near.stat().st_mtime_ns, near.stat().st_ino) == before
    run_recipe(read_recipe(study / "two.yaml", overrides=["data.near.unit=nJy"]))
    assert yaml.safe_load(near.read_text(encoding="utf-8"))["unit"] == "nJy"


def test_identity_is_what_a_card_says_and_holds_wherever_it_all_lies(study: Path, tmp_path: Path) -> None:
    before = _fingerprints(study / "two.yaml")
    assert _fingerprints(study / "two.yaml", folder=tmp_path / "elsewhere") == before
    run_recipe(read_recipe(study / "two.yaml"))
    assert _fingerprints(study / "two.yaml") == before
    # The written file is the same input as the block: its own hashes agree with those of the plan.
    planned = plan_recipe(read_recipe(study / "two.yaml"))["counted"].prepared.inputs
    written = identify({"data": str(study / "runs/two/data/near.yaml")}, ("data",))
    assert set(written.hashes) == {"data", "data.labels", "data.card"}
    assert {role: planned.hashes[role] for role in written.hashes} == written.hashes
    moved = tmp_path / "moved"
    shutil.copytree(study, moved)
    assert _fingerprints(moved / "two.yaml") == before


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("data.near.unit=nJy", "what is declared of near changed"),
        ("data.near.pixel_scale_arcsec=0.4", "what is declared of near changed"),
        ("data.far.unit=nanomaggy", "what is declared of far changed"),
        ("data.near.path=other.npy", "reads other.npy, not images.npy"),
        ("data.near.labels=other.csv", "reads other.csv, not zoo.csv"),
    ],
)
def test_what_changed_in_the_block_is_the_reason(study: Path, override: str, reason: str) -> None:
    np.save(study / "other.npy", np.ones((4, 1, 8, 8), dtype=np.float32))
    (study / "other.csv").write_text("id,kind\n0,b\n1,b\n2,a\n3,b\n", encoding="utf-8")
    run_recipe(read_recipe(study / "two.yaml"))
    plan = plan_recipe(read_recipe(study / "two.yaml", overrides=[override]))
    assert plan["counted"].action == "run"
    assert reason in plan["counted"].reason.split("; ")


def test_a_default_said_aloud_or_another_name_is_the_same_result(study: Path) -> None:
    before = _fingerprints(study / "two.yaml")
    assert _fingerprints(study / "two.yaml", "data.near.on_error=raise") == before
    renamed = RECIPE.replace("near", "close")
    (study / "two.yaml").write_text(renamed, encoding="utf-8")
    assert _fingerprints(study / "two.yaml") == before


def test_a_card_file_gains_what_is_said_beside_it(study: Path) -> None:
    text = RECIPE.replace("far: far.yaml", "far: {path: far.yaml, pixel_scale_arcsec: 0.2}")
    (study / "two.yaml").write_text(text, encoding="utf-8")
    run_recipe(read_recipe(study / "two.yaml"))
    info = open_dataset(study / "runs/two/data/far.yaml").info
    assert (info.unit, info.pixel_scale) == ("nJy", 0.2)


def test_the_lock_names_the_images_and_the_block(study: Path, tmp_path: Path) -> None:
    run_recipe(read_recipe(study / "two.yaml"))
    recipe = read_recipe(study / "two.yaml")
    text = lock_path(recipe).read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    inputs = json.loads(text)["steps"]["counted"]["inputs"]
    assert {role: entry["path"] for role, entry in inputs.items()} == {
        "data": "images.npy",
        "data.labels": "zoo.csv",
        "data.card": "${data.near}",
        "others[0]=a": "images.npy",
        "others[0]=a.labels": "zoo.csv",
        "others[0]=a.card": "${data.near}",
        "others[1]": "images.npy",
        "others[1].card": "far.yaml",
    }
    plan_recipe(recipe, locked=True)
    with pytest.raises(ConfigError, match="lock"):
        plan_recipe(read_recipe(study / "two.yaml", overrides=["data.near.unit=nJy"]), locked=True)
    rows, _ = status_rows(plan_recipe(recipe))
    assert [row["state"] for row in rows] == ["done", "done"]
    assert str(study / "images.npy") in rows[0]["inputs"]
    assert rows[0]["reads"] == ["data.near", "data.far"]


@pytest.mark.parametrize(
    ("old", "new", "line", "place", "sentence"),
    [
        ("unit:", "unti:", 6, "data.near.unti", "Did you mean 'unit'"),
        ("path: images", "pth: images", 5, "data.near.pth", "Did you mean 'path'"),
        ("    path: images.npy\n", "", 4, "data.near.path", "required"),
        ("0.396", "-1", 7, "data.near.pixel_scale_arcsec", "greater than 0"),
        ("far: far.yaml", "far: 3", 10, "data.far", "must be text, not 3"),
        ("far: far.yaml", 'far: "${counted}"', 10, "data.far", "names files"),
        ("path: images.npy", 'path: "${counted}"', 5, "data.near.path", "names files"),
        ('data: "${data.near}"', 'data: "${data.nera}"', 12, "steps.counted.data", "did you mean 'near'"),
        ('data: "${data.near}"', 'data: "${data}"', 12, "steps.counted.data", r"\$\{data.NAME\}"),
        ('data: "${data.near}"', 'data: "${data[*].near}"', 12, "steps.counted.data", r"\$\{data.NAME\}"),
        ("toy-count,", 'toy-count, scale: "${data.far}",', 12, "steps.counted.scale", "data can be named"),
        ("  again:", "  data:", 13, "steps.data", "cannot be called 'data'"),
        ("data:\n", "dat:\n", 3, "dat", "Did you mean 'data'"),
    ],
)
def test_each_slip_is_told_with_its_line(
    study: Path, old: str, new: str, line: int, place: str, sentence: str
) -> None:
    (study / "two.yaml").write_text(RECIPE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_recipe(study / "two.yaml")
    told = [text for text in caught.value.problems if text.startswith(f"two.yaml:{line}  {place}: ")]
    assert any(re.search(sentence, text) for text in told), caught.value.problems


def test_a_reference_without_a_block_says_that_there_is_none(study: Path) -> None:
    text = 'recipe: 1\nname: two\nsteps:\n  counted: {uses: toy-count, data: "${data.near}"}\n'
    (study / "two.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_recipe(study / "two.yaml")
    assert caught.value.problems == ("two.yaml:4  steps.counted.data: this recipe has no data block",)


def test_a_step_called_data_is_a_step_where_there_is_no_block(study: Path) -> None:
    text = "recipe: 1\nname: two\nsteps:\n  data: {uses: toy-make}\n"
    text += '  counted: {uses: toy-count, data: "${data}", others: ["${data.extra}"]}\n'
    (study / "two.yaml").write_text(text, encoding="utf-8")
    outcome = run_recipe(read_recipe(study / "two.yaml"))
    # Three words and the seed, and one word more in "extra".
    assert outcome.executed["counted"].results["total"] == 5


def test_every_missing_file_of_the_block_is_named(study: Path) -> None:
    text = RECIPE.replace("images.npy", "imags.npy").replace("zoo.csv", "lists/zoo.csv")
    (study / "two.yaml").write_text(text.replace("far.yaml", "fra.yaml"), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        plan_recipe(read_recipe(study / "two.yaml"))
    for place in ("two.yaml:5  data.near.path", "two.yaml:8  data.near.labels", "two.yaml:10  data.far"):
        assert place in str(caught.value)


def test_a_column_of_the_data_is_no_missing_file(study: Path) -> None:
    (study / "two.yaml").write_text(RECIPE.replace("zoo.csv", "kind"), encoding="utf-8")
    plan = plan_recipe(read_recipe(study / "two.yaml"))
    assert "data.labels" not in plan["counted"].prepared.inputs.hashes


def test_editors_know_the_block() -> None:
    schema = recipe_schema()
    entry = schema["properties"]["data"]["additionalProperties"]["anyOf"]
    assert entry == [{"type": "string"}, {"$ref": "#/$defs/DataCard"}]
    card = schema["$defs"]["DataCard"]
    assert card["required"] == ["path"]
    assert card["additionalProperties"] is False
    assert {"path", "unit", "zero_point", "bands", "roles", "labels"} <= set(card["properties"])
    assert "$ref" not in json.dumps(card), "a card's own definitions would be found nowhere"
