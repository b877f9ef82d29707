"""`galshift recipes from RUN ...`: the recipe that makes some runs, with their fingerprints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import galshift
from galshift.errors import ConfigError, DataError
from galshift.recipes.execute import execute
from galshift.recipes.from_runs import write_recipe
from galshift.recipes.plan import make_plan
from galshift.recipes.read import read_recipe
from galshift.recipes.run import run_recipe
from galshift.recipes.shortest import fewest_values
from galshift.verbs import STEPS
from tests import toy_steps


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which two commands were typed: words.txt, and a count of it beside a file of one's own."""
    monkeypatch.chdir(tmp_path)
    Path("own.txt").write_text("a b c")
    execute("toy-make", {"n": 4, "seed": 7}, out="words.txt")
    values = {"data": "words.txt", "others": ["first=own.txt"], "seed": 7}
    execute("toy-count", {**values, "method": {"kind": "gauss", "weight": 2}}, out="runs/count-0a1b2c3d")
    return tmp_path


def _fingerprint(manifest: str) -> str:
    return json.loads(Path(manifest).read_text())["fingerprint"]


def test_the_recipe_says_what_differs_from_the_defaults(study: Path) -> None:
    written = write_recipe(["words.txt", "runs/count-0a1b2c3d"])
    assert yaml.safe_load(written.text) == {
        "recipe": 1,
        "name": "study",
        "seed": 7,
        "data": {"own": "own.txt"},
        "steps": {
            "words": {"uses": "toy-make", "n": 4},
            "count": {
                "uses": "toy-count",
                "data": "${words}",
                "others": ["first=${data.own}"],
                "method": {"kind": "gauss", "weight": 2.0},
            },
        },
    }
    assert written.notes == []


def test_the_recipe_makes_the_same_runs_in_another_folder(study: Path) -> None:
    write_recipe(["runs/count-0a1b2c3d", "words.txt"], Path("other/made.yaml"))
    Path("elsewhere").mkdir()
    shutil.copy("own.txt", "elsewhere/own.txt")
    text = Path("other/made.yaml").read_text()
    assert "own: ../own.txt" in text
    Path("elsewhere/made.yaml").write_text(text.replace("../own.txt", "own.txt"))
    toy_steps.RUNS.clear()
    outcome = run_recipe(read_recipe("elsewhere/made.yaml"))
    assert toy_steps.RUNS == ["toy-make", "toy-count"]
    found = {name: planned.prepared.fingerprint for name, planned in outcome.plan.items()}
    assert found == {
        "words": _fingerprint("words.txt.manifest.json"),
        "count": _fingerprint("runs/count-0a1b2c3d/manifest.json"),
    }
    assert outcome.executed["count"].results["total"] == 5 + 3


def test_a_run_that_is_read_but_not_given_stays_a_path(study: Path) -> None:
    execute("toy-count", {"data": "runs/count-0a1b2c3d/report.html"}, out="last")
    written = write_recipe(["last"])
    assert yaml.safe_load(written.text)["steps"]["last"]["data"] == "runs/count-0a1b2c3d/report.html"
    assert "made by no step of this recipe" in written.notes[0]
    both = yaml.safe_load(write_recipe(["last", "runs/count-0a1b2c3d"]).text)["steps"]
    assert list(both) == ["count", "last"]
    assert both["last"]["data"] == "${count.report}"


def test_runs_of_one_name_and_another_seed(study: Path) -> None:
    execute("toy-count", {"data": "words.txt", "seed": 8}, out="b/count")
    steps = yaml.safe_load(write_recipe(["words.txt", "runs/count-0a1b2c3d", "b/count"]).text)["steps"]
    assert steps["count-2"] == {"uses": "toy-count", "data": "${words}", "seed": 8}


def test_cards_become_data_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.arange(4 * 64, dtype=np.float32).reshape(4, 1, 8, 8))
    Path("sky.yaml").write_text("galshift_card: 1\npath: x.npy\nunit: nJy\npixel_scale_arcsec: 0.2\n")
    execute("toy-count", {"data": "sky.yaml"}, out="n")
    text = write_recipe(["n"], Path("sub/r.yaml")).text
    assert yaml.safe_load(text)["data"] == {
        "sky": {"path": "../x.npy", "unit": "nJy", "pixel_scale_arcsec": 0.2}
    }
    plan = make_plan(read_recipe("sub/r.yaml"))
    assert plan["n"].prepared.fingerprint == _fingerprint("n/manifest.json")


def test_data_that_is_gone_or_changed_is_named(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own.txt").write_text("a b c d")
    (note,) = write_recipe(["words.txt", "runs/count-0a1b2c3d"]).notes
    assert "own.txt has other content" in note
    Path("own.txt").unlink()
    with pytest.raises(DataError, match=r"own\.txt: what .* read as others"):
        write_recipe(["words.txt", "runs/count-0a1b2c3d"])


def test_the_folder_of_the_command_is_found_from_the_run(
    study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    steps = yaml.safe_load(write_recipe(["../runs/count-0a1b2c3d"]).text)
    assert steps["data"] == {"own": "../own.txt"}
    assert steps["steps"]["count"]["data"] == "../words.txt"


@pytest.mark.parametrize(
    ("name", "what"), [("nothing", "no such run"), ("own.txt", "neither a run"), ("runs", "neither a run")]
)
def test_what_is_no_run_is_refused(study: Path, name: str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        write_recipe([name])


def test_another_file_is_not_written_over(study: Path) -> None:
    Path("mine.yaml").write_text("mine")
    with pytest.raises(DataError, match="there already"):
        write_recipe(["words.txt"], Path("mine.yaml"))
    assert Path("mine.yaml").read_text() == "mine"
    write_recipe(["words.txt"], Path("new.yaml"))
    write_recipe(["words.txt"], Path("new.yaml"))


def test_the_config_of_a_run_says_what_to_type(study: Path) -> None:
    with pytest.raises(ConfigError, match=r"no recipe .*galshift recipes from runs/count-0a1b2c3d writes"):
        read_recipe("runs/count-0a1b2c3d/config.yaml")


def test_settings_bring_their_values_back() -> None:
    step = STEPS.get("adapt")()
    given = {"source": "a.h5", "target": "b.h5", "settings": "sidda", "training": {"epochs": 30}}
    whole = step.Config.model_validate(given).model_dump(mode="json")
    found = fewest_values(step, whole)
    assert found == given


def test_pairs_and_references_of_real_verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    galshift.simulate(out="sim.h5", n=6, size=20)
    galshift.make_mocks("sim.h5", out="both.h5", survey="lsst-y10", pair="lsst-y1", size=20)
    galshift.pack("both_lsst-y1.h5", out="packed.h5")
    written = write_recipe(["packed.h5", "both_lsst-y1.h5", "sim.h5"])
    steps = yaml.safe_load(written.text)["steps"]
    assert list(steps) == ["sim", "both", "packed"]
    assert steps["packed"] == {"uses": "pack", "data": "${both.lsst-y1}"}
    assert steps["both"]["input"] == "${sim}"
    assert "'packed'" in written.notes[0]
    assert "same numbers" in written.notes[0]
    alone = write_recipe(["packed.h5"], Path("alone.yaml"))
    assert alone.notes == []
    plan = make_plan(read_recipe("alone.yaml"))
    assert plan["packed"].prepared.fingerprint == _fingerprint("packed.h5.manifest.json")
