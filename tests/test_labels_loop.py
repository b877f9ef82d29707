"""From a run to the galaxies to label and back, as an observer goes; and what the reports say."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from safetensors.numpy import load_file

import galshift
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.recipes.prepare import check_config, merged
from galshift.verbs import STEPS
from galshift.verbs._again import command_again
from galshift.verbs._parameters import config_values, parameters
from tests.labels_helpers import CLASSES, few, images, named, survey
from tests.test_e2e_pipeline import Page
from tests.test_next_lines import galshift as typed
from tests.test_next_lines import next_lines

NAMES, TRUTH = named("g", 60), np.arange(60) % len(CLASSES)
PLAIN, BATCH = {"baselines": False}, {"training.batch_size": 16}
HOW = {"method": "mmd", "epochs": 2, "device": "cpu", "set": BATCH | PLAIN}


def labels_of(names: list[str]) -> list[tuple[str, str]]:
    return [(name, CLASSES[TRUTH[NAMES.index(name)]]) for name in names]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulation, a survey whose labels are known to the test alone, and a run between them."""
    folder = tmp_path_factory.mktemp("desk")
    survey(folder / "sim.h5", named("s", 48), seed=1)
    sky = Table({"exposure": np.linspace(10, 70, 60), "dec": np.linspace(-30, 29, 60)})
    survey(folder / "sky.h5", NAMES, seed=2, shift=0.3, table=sky)
    few(folder / "few.csv", labels_of(NAMES[::5]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        galshift.adapt("sim.h5", "sky.h5", out="plain", **HOW)
        galshift.adapt("sim.h5", "sky.h5", target_labels="few.csv", out="taught", **HOW)
    return folder


@pytest.fixture
def here(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(desk)
    return desk


def weights(run: str) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in load_file(f"{run}/model.safetensors").items()}


def parts(run: str) -> dict[str, list[str]]:
    return json.loads(Path(run, "splits.json").read_text())["target"]["parts"]


# ---- what is learnt, and from what -----------------------------------------------------------------------


def relabelled(path: Path, labels: np.ndarray) -> Path:
    data = open_dataset("sky.h5", ReadOptions())
    pixels = data.read(np.arange(60)).images
    return survey(path, NAMES, pixels=pixels, labels=labels, table=data.info.table)


@pytest.mark.parametrize("change", ["permuted", "absent"])
def test_labels_outside_the_file_change_no_weight(here: Path, tmp_path: Path, change: str) -> None:
    """The labels of the survey itself are permuted, or all unknown; the file's are the same."""
    labels = np.random.default_rng(0).permutation(TRUTH) if change == "permuted" else np.full(60, -1)
    target = relabelled(tmp_path / "sky.h5", labels)
    galshift.adapt("sim.h5", target, target_labels="few.csv", out=tmp_path / "run", **HOW)
    for part in ("", "/source-only"):
        assert weights(f"{tmp_path}/run{part}") == weights(f"taught{part}")


def test_a_label_in_the_file_does(here: Path, tmp_path: Path) -> None:
    rows = labels_of(NAMES[::5])
    few(tmp_path / "few.csv", [(rows[0][0], CLASSES[1 - TRUTH[0]]), *rows[1:]])
    galshift.adapt("sim.h5", "sky.h5", target_labels=tmp_path / "few.csv", out=tmp_path / "run", **HOW)
    assert weights(f"{tmp_path}/run") != weights("taught")
    assert weights(f"{tmp_path}/run/source-only") == weights("taught/source-only")


def test_the_run_records_what_each_network_learnt(here: Path) -> None:
    found = json.loads(Path("taught/metrics.json").read_text())["results"]
    n, splits = len(parts("taught")["train"]), json.loads(Path("taught/splits.json").read_text())
    n_source = len(splits["source"]["parts"]["train"])
    assert sorted(parts("taught")["trained"]) == sorted(NAMES[::5])
    assert set(NAMES[::5]) <= set(parts("taught")["train"])
    assert set(parts("taught")["test"]) == set(parts("plain")["test"]) - set(NAMES[::5])
    own = {"source": {"data": "sim", "n": n_source}, "target": {"data": "sky", "n": n}}
    assert found[0]["trained_on"] == [own | {"target_labels": {"data": "sky", "n": 12}}]
    assert found[1]["trained_on"] == [{"source": own["source"]}]
    assert "trained" not in json.loads(Path("taught/source-only/splits.json").read_text())["target"]["parts"]


def test_auto_says_what_each_candidate_was_trained_on(here: Path, tmp_path: Path) -> None:
    """The network without an alignment that competes has the labels; the baseline has not."""
    how = HOW | {"method": "auto", "set": HOW["set"] | {"method.methods": ["mmd", "adabn"]}}
    found = galshift.adapt("sim.h5", "sky.h5", target_labels="few.csv", out=tmp_path / "run", **how).results
    assert set(found["selection"]["predicted_mix"]) == {"source+labels", "mmd", "adabn"}
    assert found["n_target_labels"] == 12
    text = Page(tmp_path / "run" / "report.html").text
    assert "source-only network was chosen" not in text
    assert "12 labelled images of sky" in text
    names = [one["name"] for one in found["results"]]
    assert names[1] == "source-only"
    assert all("target_labels" in stage for stage in found["results"][0]["trained_on"])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("g001", "lens")], "the source has no class 'lens'"),
        ([("g001", "bar"), ("who", "bar")], "are of no image of the target: who"),
        ([("g001", "bar"), ("g001", "ring")], "'g001' has two different labels"),
        ([], "the file of target labels is empty"),
    ],
)
def test_labels_that_do_not_fit_end_with_4_and_a_sentence(
    here: Path, tmp_path: Path, rows, says: str
) -> None:
    few(tmp_path / "few.csv", rows)
    told = typed(f"adapt sim.h5 sky.h5 --target-labels {tmp_path}/few.csv --dry-run", 4)
    assert says in told
    assert "Traceback" not in told


# ---- what is learnt never judges -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copies(desk: Path) -> dict[str, str]:
    """The survey in other files: the same, renamed, turned and renamed, and seen anew under its names."""
    pixels = open_dataset(desk / "sky.h5", ReadOptions()).read(np.arange(60)).images
    order = np.random.default_rng(3).permutation(60)
    new = images(TRUTH, 11, 0.3)
    survey(desk / "same.h5", NAMES, pixels=pixels)
    survey(desk / "renamed.h5", named("x", 60), pixels=pixels[order], labels=TRUTH[order])
    survey(desk / "turned.h5", named("y", 60), pixels=np.rot90(pixels, axes=(2, 3))[..., ::-1])
    # Another look at the same galaxies: their names are given in both files.
    survey(desk / "named.h5", NAMES, groups=NAMES, pixels=pixels)
    survey(desk / "again.h5", named("z", 60), groups=NAMES, pixels=new)
    return {"same": "id", "renamed": "place", "turned": "place", "again": "group"}


def galaxies(file: str, order: np.ndarray) -> dict[str, str]:
    """The galaxy that each image of a copy shows."""
    ids = list(map(str, open_dataset(f"{file}.h5", ReadOptions()).info.ids))
    return dict(zip(ids, (NAMES[i] for i in order), strict=True))


@pytest.mark.parametrize("file", ["sky", "same", "renamed", "turned"])
def test_no_verb_lets_a_learnt_galaxy_judge_in_whatever_file(
    here: Path, copies: dict[str, str], tmp_path: Path, file: str
) -> None:
    order = np.random.default_rng(3).permutation(60) if file == "renamed" else np.arange(60)
    shows = galaxies(file, order)
    found = galshift.evaluate("taught", on=[f"{file}.h5"], out=tmp_path / "e", set=PLAIN)
    judged = {shows[str(name)] for name in Table.read(tmp_path / "e" / "predictions.fits")["id"]}
    assert found.results["results"][0]["domains"][file]["n"] == len(judged)
    assert not judged & set(NAMES[::5])
    galshift.predict("taught", f"{file}.h5", tmp_path / "p.fits")
    table = Table.read(tmp_path / "p.fits")
    trained = {shows[str(row["id"])] for row in table if row["split"] == "trained"}
    assert trained == set(NAMES[::5])


def test_another_look_at_a_learnt_galaxy_does_not_judge(
    here: Path, copies: dict[str, str], tmp_path: Path
) -> None:
    """The names of galaxies are given in both files, and no pixel is the same."""
    galshift.adapt("sim.h5", "named.h5", target_labels="few.csv", out=tmp_path / "run", **HOW)
    galshift.evaluate(tmp_path / "run", on=["again.h5"], out=tmp_path / "e", set=PLAIN)
    groups = set(map(str, Table.read(tmp_path / "e" / "predictions.fits")["group"]))
    assert not groups & set(NAMES[::5])
    assert groups & set(NAMES)


def test_count_leaves_out_what_was_learnt(here: Path, tmp_path: Path) -> None:
    few(tmp_path / "all.csv", labels_of(NAMES))
    found = galshift.count(
        "taught", "sky.h5", labels=tmp_path / "all.csv", label_column="label", out=tmp_path / "c"
    ).results
    assert found["n_galaxies"] == 48
    assert found["n_labels"] == len(parts("taught")["test"])
    assert any("12 galaxies are not counted" in note for note in found["warnings"])


# ---- fine-tuning -----------------------------------------------------------------------------------------


def test_no_sentence_on_a_fine_tuned_run_contradicts_its_record(here: Path, tmp_path: Path) -> None:
    """It is called fine-tuned, on how many labels of what; nothing calls it source-only."""
    galshift.train("sky.h5", init="plain", epochs=1, out=tmp_path / "tuned", device="cpu", set=BATCH)
    record = json.loads(Path(tmp_path, "tuned", "splits.json").read_text())
    n = len(record["source"]["parts"]["train"])
    galshift.evaluate([tmp_path / "tuned", "plain"], on=["sky.h5"], out=tmp_path / "e", set=PLAIN)
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())["results"]
    assert [one["name"] for one in found] == ["fine-tuned", "mmd", "source-only"]
    assert [len(one["trained_on"]) for one in found] == [2, 1, 1]
    assert found[0]["trained_on"][1] == {"source": {"data": "sky", "n": n}}
    text = Page(tmp_path / "e" / "report.html").text
    assert f"then on {n} labelled images of sky" in text
    assert "fine-tuned on sky" in text
    assert "were used for this page alone" not in text.replace(
        "all other labels of a target were used for", ""
    )
    for wrong in (
        "without added noise",
        "the source-only classifier",
        "adaptation gained",
        "adaptation helped",
    ):
        assert wrong not in text
    alone = galshift.evaluate(tmp_path / "tuned", out=tmp_path / "alone", set=PLAIN).results
    assert alone["reference"] is None
    text = Page(tmp_path / "alone" / "report.html").text
    assert "of which it never learnt a label" in text
    assert "that it never saw" not in text
    assert "without any target label" not in text
    assert "that of fine-tuned by labels of sky set aside for it" in text


def test_what_the_run_to_start_from_has_learnt_judges_no_later_one(here: Path, tmp_path: Path) -> None:
    """taught has learnt labels of sky; a run that begins with it must not be judged by them."""
    galshift.train("sim.h5", init="taught", epochs=1, out=tmp_path / "next", device="cpu", set=BATCH)
    galshift.evaluate(tmp_path / "next", on=["sky.h5"], out=tmp_path / "e", set=PLAIN)
    ids = set(map(str, Table.read(tmp_path / "e" / "predictions.fits")["id"]))
    assert ids == set(NAMES) - set(NAMES[::5])


# ---- asking ----------------------------------------------------------------------------------------------


def filled_in(path: Path) -> list[str]:
    """Fill in the truth, and return the names that had none."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    asked = [row["id"] for row in rows if not row["label"]]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": dict(labels_of(NAMES))[row["id"]]} for row in rows)
    return asked


def test_suggest_fill_in_adapt_report_twice(here: Path) -> None:
    """Every command is typed as it was printed; the last report draws the curve over all three runs."""
    typed(
        "adapt sim.h5 sky.h5 --method mmd --epochs 2 --set baselines=false --set training.batch_size=16 "
        "--out 'my runs/first' --device cpu"
    )
    run, seen, sizes = "my runs/first", set(), [0]
    test = set(parts(run)["test"])
    for turn in range(2):
        told = typed(f"suggest '{run}' sky.h5 --budget 5 --out 'my runs/ask{turn}'")
        asked = filled_in(Path(f"my runs/ask{turn}/suggest.csv"))
        assert len(asked) == 5
        assert not set(asked) & (test | seen)
        seen |= set(asked)
        (line,) = next_lines(told)
        assert line.startswith("adapt ")
        run = f"my runs/round{turn}"
        typed(f"{line} --out '{run}' --device cpu")
        assert set(parts(run)["trained"]) == seen
        assert set(parts(run)["test"]) == test
        sizes.append(len(seen))
    curve = json.loads(Path(run, "metrics.json").read_text())["learning_curve"]["sky"]
    assert [point["labels"] for point in curve] == sizes == [0, 5, 10]
    text = Page(Path(run, "report.html")).text
    assert "Learning curve on sky" in text
    config = Path(run, "config.yaml").read_text()
    assert "my runs/first" in config


def test_without_labels_to_judge_by_the_report_says_why_there_is_no_curve(here: Path, tmp_path: Path) -> None:
    target = relabelled(tmp_path / "blind.h5", np.full(60, -1))
    found = galshift.adapt(
        "sim.h5", target, target_labels="few.csv", earlier=["plain"], out=tmp_path / "run", **HOW
    ).results
    assert "learning_curve" not in found
    assert any("no galaxy of blind that judges has a label" in note for note in found["warnings"])


def test_suggest_plans_with_cost_place_and_batches(here: Path, tmp_path: Path) -> None:
    """Within 200 s of exposure, among what is visible, in batches of 100 s."""
    found = galshift.suggest(
        "plain", "sky.h5", budget=200, cost="exposure", where="dec > -10", batch=100, out=tmp_path / "s"
    ).results
    table = Table.read(tmp_path / "s" / "suggest.csv")
    sky = dict(zip(NAMES, np.linspace(10, 70, 60), strict=True))
    dec = dict(zip(NAMES, np.linspace(-30, 29, 60), strict=True))
    cost = [sky[name] for name in table["id"]]
    np.testing.assert_allclose(table["cost"], cost)
    assert sum(cost) == pytest.approx(found["spent"])
    assert found["spent"] <= 200
    # Nothing that could still be bought was left.
    rest = [
        sky[n] for n in NAMES if dec[n] > -10 and n not in set(table["id"]) and n in parts("plain")["train"]
    ]
    assert min(rest) > 200 - found["spent"]
    assert all(dec[name] > -10 for name in table["id"])
    for number in set(table["batch"]):
        assert sum(c for c, b in zip(cost, table["batch"], strict=True) if b == number) <= 100
    assert "--where" not in " ".join(found["again"].split())


@pytest.mark.parametrize("by", ["mix", "uncertainty", "diversity", "random"])
def test_no_strategy_asks_for_what_judges_or_is_known(here: Path, tmp_path: Path, by: str) -> None:
    galshift.suggest("taught", "sky.h5", budget=8, by=by, out=tmp_path / "s")
    table = Table.read(tmp_path / "s" / "suggest.csv")
    asked = [str(row["id"]) for row in table if row["order"] > 0]
    assert len(set(asked)) == 8
    assert not set(asked) & {*parts("taught")["test"], *NAMES[::5]}
    known = {str(row["id"]): str(row["label"]) for row in table if row["order"] == 0}
    assert known == dict(labels_of(NAMES[::5]))


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ("--budget 10 --cost price", 4, "the data set's catalogue has no column 'price'"),
        ("--budget 2 --cost exposure", 4, "the budget of 2 buys no label: the cheapest costs"),
        ("--budget 2.5", 3, "budget counts galaxies"),
        ("--budget 5 --aim measure --cost exposure", 3, "drawn at random, whatever a galaxy costs"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    here: Path, tmp_path: Path, options: str, code: int, says: str
) -> None:
    told = typed(f"suggest plain sky.h5 {options} --out {tmp_path}/s", code)
    assert says in " ".join(told.split())


def test_the_command_of_a_run_gives_its_config_again() -> None:
    """Names, numbers, nested options, words that YAML would misread, and things with options."""

    values = {
        "source": "my sim.h5",
        "target": "sky.h5",
        "method": {"kind": "mmd", "weight": 0.5},
        "read": {"unit": "nJy", "bands": ["g", "r"]},
        "read_target": {"label_column": "no", "classes_map": {"a b": "c"}},
        "training": {"epochs": 3, "class_weights": [1.0, 2.0], "patience": None},
        "split": {"test": 0.3},
        "seed": 7,
    }
    step = STEPS.get("adapt")
    wanted = step.Config.model_validate(values)
    line = shlex.split(command_again("adapt", {"uses": "adapt", **wanted.model_dump(mode="json")}))
    assert line[:4] == ["galshift", "adapt", "my sim.h5", "sky.h5"]
    flags = {one.flag: one for one in parameters(step)}
    given, sets, rest = {"source": line[2], "target": line[3]}, [], iter(line[4:])
    for flag in rest:
        word = next(rest)
        if flag == "--set":
            sets.append(word)
        elif flag == "--seed":
            sets.append(f"seed={word}")
        else:
            one = flags[flag]
            given[one.name] = int(word) if one.kind == "integer" else word
    tree = config_values(step, given)
    assert check_config(step(), merged(tree, sets, defaults=step.Config)) == wanted
