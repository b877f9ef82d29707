"""Recipes: references, matrix, plan with reasons, skip and resume, lock, expectations, every misspelling."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from galshift.errors import ConfigError, DataError, Interrupted, NumericalError, ResourceError
from galshift.recipes.lock import lock_path, read_lock
from galshift.recipes.read import read_recipe
from galshift.recipes.results import require_expectations, result_at
from galshift.recipes.run import Outcome, plan_recipe, require_intact, run_recipe, status_rows
from tests import toy_steps
from tests.toy_steps import RUNS

TOY = """\
# A recipe of toy steps.
recipe: 1
name: toy
seed: 7
steps:
  words:
    uses: toy-make
    n: 4
  counted:
    uses: toy-count
    data: ${words}
    method: {kind: gauss, weight: 2}
    inner:
      clip: 2.5
    expect:
      total: {value: 5, within: 0.1}
  again:
    uses: toy-count
    data: ${words.extra}
    others: ["first=${counted.report}"]
"""
MATRIX = """\
recipe: 1
name: toy
matrix:
  seed: [1, 2, 3]
  method: [gauss, flat]
steps:
  words: {uses: toy-make}
  counted:
    uses: toy-count
    data: ${words}
    seed: ${matrix.seed}
    method: ${matrix.method}
  each: {uses: toy-count, data: "${counted.report}"}
  all:
    uses: toy-count
    data: ${words}
    others: ["${words.extra}", "${counted[*].report}"]
  by-method:
    uses: toy-count
    data: ${words}
    method: ${matrix.method}
    others: ["${counted[*].report}"]
"""


@pytest.fixture(autouse=True)
def _in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RUNS.clear()
    Path("toy.yaml").write_text(TOY)


def _run(*overrides: str, **settings: Any) -> Outcome:
    return run_recipe(read_recipe("toy.yaml", overrides=overrides), **settings)


def _reasons(*overrides: str, **settings: Any) -> dict[str, tuple[str, str]]:
    plan = plan_recipe(read_recipe("toy.yaml", overrides=overrides), **settings)
    return {name: (planned.action, planned.reason) for name, planned in plan.items()}


def test_a_recipe_runs_once_and_says_why() -> None:
    assert _reasons() == dict.fromkeys(("words", "counted", "again"), ("run", "never ran"))
    outcome = _run()
    assert RUNS == ["toy-make", "toy-count", "toy-count"]
    assert outcome.reports()[0].endswith("report.html")
    assert all(Path(report).is_file() for report in outcome.reports())
    assert sorted(path.name.rsplit("-", 1)[0] for path in Path("runs/toy").iterdir()) == [
        "again",
        "counted",
        "words",
    ]
    assert _reasons() == dict.fromkeys(("words", "counted", "again"), ("skip", "up to date"))
    _run()
    assert len(RUNS) == 3


def test_the_recipes_seed_is_every_steps_seed_that_gives_none() -> None:
    plan = plan_recipe(read_recipe("toy.yaml", overrides=["steps.again.seed=9"]))
    assert [planned.prepared.config.seed for planned in plan.values()] == [7, 7, 9]


def test_what_changed_is_the_reason_and_the_rest_is_kept() -> None:
    _run()
    reasons = _reasons("steps.counted.method.weight=3")
    assert reasons["words"] == ("skip", "up to date")
    assert reasons["counted"] == ("run", "method.weight 2.0 → 3.0")
    assert reasons["again"] == ("run", "counted, which it reads, changed")
    assert _reasons("steps.words.n=5")["words"] == ("run", "n 4 → 5")


def test_a_raised_version_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    _run()
    monkeypatch.setattr(toy_steps.Gauss, "version", 4)
    assert _reasons()["counted"] == ("run", "kernel gauss version 3 → 4")


def test_a_changed_input_file_is_the_reason() -> None:
    Path("data.txt").write_text("a b")
    setting = "steps.counted.others=[data.txt]"
    _run(setting)
    Path("data.txt").write_text("a b c")
    assert _reasons(setting)["counted"] == ("run", "data.txt has other content")


def test_the_plan_names_the_directories_that_the_run_makes() -> None:
    planned = {str(p.directory) for p in plan_recipe(read_recipe("toy.yaml")).values()}
    _run()
    assert planned == {str(path) for path in Path("runs/toy").iterdir()}


def test_paths_and_results_are_beside_the_recipe() -> None:
    folder = Path("elsewhere/deep")
    folder.mkdir(parents=True)
    (folder / "toy.yaml").write_text(TOY.replace("others: [", "others: [data.txt, "))
    (folder / "data.txt").write_text("a b")
    outcome = run_recipe(read_recipe(folder / "toy.yaml"))
    assert all((folder / "runs/toy") in planned.directory.parents for planned in outcome.plan.values())
    assert outcome.lock == folder / "toy.lock.json"


def test_an_interrupted_step_is_resumed_and_the_ones_before_are_kept() -> None:
    with pytest.raises(Interrupted):
        _run("steps.counted.interrupt=true")
    assert _reasons("steps.counted.interrupt=true") == {
        "words": ("skip", "up to date"),
        "counted": ("resume", "was interrupted"),
        "again": ("run", "never ran"),
    }
    _run("steps.counted.interrupt=true")
    assert RUNS == ["toy-make", "toy-count", "toy-count", "toy-count"]


def test_force_runs_a_step_again_with_what_reads_it() -> None:
    _run()
    RUNS.clear()
    assert _reasons(force=["counted"])["again"] == ("run", "forced, for it reads counted")
    _run(force=["counted"])
    assert RUNS == ["toy-count", "toy-count"]
    assert len(list(Path("runs/toy").glob("counted-*.old-1/manifest.json"))) == 1
    with pytest.raises(ConfigError, match="no such step"):
        _run(force=["countd"])


def test_the_matrix_repeats_what_mentions_it_and_what_follows() -> None:
    Path("toy.yaml").write_text(MATRIX)
    plan = plan_recipe(read_recipe("toy.yaml"))
    instances = {
        name: [n for n in plan if n.split("[")[0] == name] for name in ("words", "counted", "each", "all")
    }
    assert [len(names) for names in instances.values()] == [1, 6, 6, 1]
    assert "counted[seed=2,method=flat]" in plan
    assert plan["each[seed=2,method=flat]"].needs == ("counted[seed=2,method=flat]",)
    assert len(plan["all"].needs) == 7
    assert plan["by-method[method=flat]"].needs == (
        "words",
        *(f"counted[seed={s},method=flat]" for s in (1, 2, 3)),
    )
    assert len({planned.directory for planned in plan.values()}) == len(plan)
    outcome = _run()
    # extra.txt has one word and each report two words or fewer: 4 words of words.txt + 1 + 6 reports.
    assert outcome.executed["all"].results["total"] == 4 + 1 + 6
    assert set(_reasons().values()) == {("skip", "up to date")}


def test_the_lock_is_sorted_relative_and_free_of_this_machine(tmp_path: Path) -> None:
    Path("data.txt").write_text("a b")
    _run("steps.counted.others=[data.txt]")
    text = Path("toy.lock.json").read_text()
    lock = json.loads(text)
    assert list(lock["steps"]) == sorted(lock["steps"])
    assert str(tmp_path) not in text
    assert lock["steps"]["counted"]["inputs"]["others[0]"]["path"] == "data.txt"
    assert lock["steps"]["counted"]["results"]["total"] == 7
    assert not {"utc", "platform", "seconds"} & set(text.split('"'))


def test_a_lock_holds_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Path("machine-a/work"), Path("machine-b/home/me/study")
    for folder in (here, there):
        folder.mkdir(parents=True)
        (folder / "toy.yaml").write_text(TOY.replace("others: [", "others: [data.txt, "))
        (folder / "data.txt").write_text("a b")
    run_recipe(read_recipe(here / "toy.yaml"))
    shutil.copy(here / "toy.lock.json", there)
    monkeypatch.chdir(tmp_path / there)
    locked = run_recipe(read_recipe("toy.yaml"), locked=True)
    assert len(locked.executed) == 3
    monkeypatch.chdir(tmp_path)
    again = run_recipe(read_recipe(there / "toy.yaml"))
    assert all(done.skipped for done in again.executed.values())
    assert (there / "toy.lock.json").read_text() == (here / "toy.lock.json").read_text()


def test_locked_refuses_what_differs_and_runs_nothing() -> None:
    with pytest.raises(ConfigError, match="no lock"):
        _run(locked=True)
    _run()
    before = Path("toy.lock.json").read_text()
    RUNS.clear()
    with pytest.raises(ConfigError) as caught:
        _run("steps.counted.inner.clip=9", locked=True)
    assert caught.value.problems[0] == "counted: inner.clip 2.5 → 9.0"
    assert RUNS == []
    assert Path("toy.lock.json").read_text() == before
    _run(locked=True)


def test_a_broken_lock_is_named() -> None:
    for text in ("{", "[]", '{"lock": 99, "steps": {}}'):
        Path("toy.lock.json").write_text(text)
        with pytest.raises(ConfigError, match=r"toy\.lock\.json"):
            _reasons()


def test_verify_finds_a_changed_and_a_missing_output() -> None:
    outcome = _run()
    rows, problems = status_rows(outcome.plan, check=True)
    assert problems == []
    assert {row["state"] for row in status_rows(plan_recipe(read_recipe("toy.yaml")))[0]} == {"done"}
    (outcome.plan["words"].directory / "words.txt").write_text("changed")
    (outcome.plan["counted"].directory / "report.html").unlink()
    rows, problems = status_rows(plan_recipe(read_recipe("toy.yaml")), check=True)
    assert [row["state"] for row in rows] == ["changed", "changed", "done"]
    assert "was changed after it was made" in problems[0]
    assert "is missing" in problems[1]
    with pytest.raises(DataError, match="--force"):
        require_intact(problems)


@pytest.mark.parametrize(
    ("expect", "met"),
    [
        ({"total": {"value": 5, "within": 0}}, True),
        ({"total": {"value": 5.2, "within": 0.1}}, False),
        ({"total": {"at_least": 5, "at_most": 5}}, True),
        ({"total": {"at_least": 5.1}}, False),
        ({"results.0.domains.a.b.accuracy": {"value": 0.5, "within": 0}}, True),
        ({"results.0.domains.a.b.accuracy.ci95.1": {"at_most": 0.6}}, True),
        ({"nothing.here": {"at_least": 0}}, False),
    ],
)
def test_expectations(expect: dict[str, Any], met: bool) -> None:
    recipe = yaml.safe_load(TOY)
    recipe["steps"]["counted"]["expect"] = expect
    Path("toy.yaml").write_text(yaml.safe_dump(recipe))
    rows = _run().expectations
    assert [row["met"] for row in rows] == [met]
    if met:
        require_expectations(rows)
    else:
        with pytest.raises(NumericalError, match="expected"):
            require_expectations(rows)


def test_an_expectation_is_no_part_of_the_result() -> None:
    _run()
    assert _reasons("steps.counted.expect.total.value=99")["counted"] == ("skip", "up to date")


def test_nan_is_never_as_expected() -> None:
    from galshift.recipes.schema import Expect

    assert not Expect(at_most=1).met_by(float("nan"))
    assert not Expect(value=1, within=1).met_by(float("nan"))


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("a.b", 1.0),
        ("c.1", 3.0),
        ("d", 4.0),
        ("c.9", None),
        ("a", None),
        ("e", None),
        ("f", None),
        ("c.x", None),
    ],
)
def test_results_are_found_by_dotted_keys(key: str, number: float | None) -> None:
    tree = {"a.b": 1, "a": {"c": 2}, "c": [2, 3], "d": {"value": 4, "ci95": [3, 5]}, "e": True, "f": "text"}
    assert result_at(tree, key) == number


BROKEN = {
    "steps.counted.data": ("${wrods}", "there is no step 'wrods' (did you mean 'words'?"),
    "steps.counted.data ": ("${counted}", "a step cannot refer to itself"),
    "steps.counted.data  ": ("${words", "is not a reference"),
    "steps.counted.data   ": ("${matrix.seeds}", "the matrix has no 'seeds'"),
    "steps.counted.scale": ("${words}", "a step can be named only in: data, labels, others"),
    "steps.counted.uses": ("toy-cuont", "did you mean 'toy-count'"),
    "steps.counted.inner.clip": (-1, "must be greater than 0, not -1"),
    "steps.counted.method": ("guass", "did you mean 'gauss'"),
    "steps.counted.expect": (3, "must be keys of results"),
    "steps.counted.expect.total.within": (None, "'value' and 'within' go together"),
    "recipe": (2, "must be 1, not 2"),
    "name": ("../up", "should match pattern"),
    "seed": ("x", "must be a valid integer"),
    "steps": ({}, "at least 1"),
    "matrix": ({"seed": []}, "at least 1"),
}


@pytest.mark.parametrize("place", BROKEN)
def test_each_broken_value_is_told_with_its_line(place: str) -> None:
    recipe = yaml.safe_load(TOY)
    value, message = BROKEN[place]
    *parents, last = place.strip().split(".")
    owner = recipe
    for part in parents:
        owner = owner[part]
    owner[last] = value
    text = yaml.safe_dump(recipe, sort_keys=False, default_flow_style=False)
    Path("toy.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_recipe("toy.yaml")
    assert any(message in problem for problem in caught.value.problems), caught.value.problems
    assert all(problem.startswith("toy.yaml:") for problem in caught.value.problems)


def test_circles_are_refused() -> None:
    Path("toy.yaml").write_text(TOY.replace("${words}", "${again}"))
    with pytest.raises(ConfigError) as caught:
        read_recipe("toy.yaml")
    assert "wait for one another: counted, again" in "".join(caught.value.problems)


def test_an_output_that_a_step_does_not_have_is_named() -> None:
    Path("toy.yaml").write_text(TOY.replace("${words.extra}", "${words.extar}"))
    with pytest.raises(DataError, match="it has: extra"):
        _run()


def test_all_missing_inputs_are_named_at_once() -> None:
    Path("toy.yaml").write_text(TOY.replace("others: [", "others: [one.h5, ").replace("${words}", "two.h5"))
    with pytest.raises(DataError) as caught:
        _run()
    assert "one.h5" in str(caught.value)
    assert "two.h5" in str(caught.value)


def test_something_else_than_a_recipe_is_refused() -> None:
    for text in ("", "just text", "[1, 2]", "a: 1"):
        Path("toy.yaml").write_text(text)
        with pytest.raises(ConfigError):
            read_recipe("toy.yaml")


def _key_paths(tree: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(tree, dict):
        return [
            path for key, value in tree.items() for path in ((*place, key), *_key_paths(value, (*place, key)))
        ]
    if isinstance(tree, list):
        return [path for index, value in enumerate(tree) for path in _key_paths(value, (*place, index))]
    return []


def _free_key(path: tuple[Any, ...]) -> bool:
    """Tell whether any key may stand here: names of steps, matrix axes, results and data sets."""
    if len(path) > 3 and path[2] == "full":  # of a step, where its other values stand too
        path = (*path[:2], *path[3:])
    return (
        (len(path) == 2 and path[0] in ("steps", "matrix", "data"))
        or (len(path) == 4 and path[2] == "expect")
        or (len(path) >= 4 and path[2] in ("on", "data", "classes_map"))
        or not {"classes_map", "band_map"}.isdisjoint(path[:-1])
    )


def _rounds(text: str) -> list[list[tuple[Any, ...]]]:
    """Return every key of a recipe once: one of each step and data set at a time, the others alone."""
    owners: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for path in _key_paths(yaml.safe_load(text)):
        if isinstance(path[-1], str) and not _free_key(path):
            inner = path[0] in ("steps", "data") and len(path) > 2
            owners.setdefault(path[:2] if inner else path, []).append(path)
    alone = [paths for owner, paths in owners.items() if owner == paths[0]]
    inside = [paths for owner, paths in owners.items() if owner != paths[0]]
    together = [
        [paths[k] for paths in inside if k < len(paths)] for k in range(max(map(len, inside), default=0))
    ]
    return [*alone, *together]


def _lines(node: yaml.Node, place: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], int]:
    found = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*place, key.value)
            found |= {here: key.start_mark.line + 1, **_lines(value, here)}
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            found |= _lines(item, (*place, index))
    return found


def _with_misspelt(tree: Any, path: tuple[Any, ...]) -> tuple[Any, ...]:
    """Misspell the key at `path` in `tree`, and return its path then."""
    owner = tree
    for part in path[:-1]:
        owner = owner[part]
    right = path[-1]
    wrong = right[0] + right[2:] + "q" if len(right) > 2 else f"{right}q"
    items = [(wrong if key == right else key, value) for key, value in owner.items()]
    owner.clear()
    owner.update(items)
    return (*path[:-1], wrong)


def _recipe_texts() -> dict[str, str]:
    from galshift.recipes.find import shipped

    return {"toy": TOY, "matrix": MATRIX, **{name: path.read_text() for name, path in shipped().items()}}


@pytest.mark.parametrize("name", _recipe_texts())
def test_every_key_of_every_recipe_misspelt_once(name: str) -> None:
    text = _recipe_texts()[name]
    for paths in _rounds(text):
        tree = yaml.safe_load(text)
        wrong = {_with_misspelt(tree, path): path[-1] for path in paths}
        written = yaml.safe_dump(tree, sort_keys=False, default_flow_style=False)
        Path("bad.yaml").write_text(written)
        with pytest.raises(ConfigError) as caught:
            read_recipe("bad.yaml")
        lines = _lines(yaml.compose(written))
        for path, right in wrong.items():
            typed = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
            begin = f"bad.yaml:{lines[path]}  {typed}: "
            told = [one for one in caught.value.problems if one.startswith(begin)]
            assert told, (path, caught.value.problems)
            # The word itself is among those that are offered.
            assert f"'{right}'" in told[0] or right in told[0].split("Allowed:")[-1], (path, told)


def test_the_lock_stands_beside_the_recipe_by_its_file_name() -> None:
    recipe = read_recipe("toy.yaml")
    assert lock_path(recipe) == Path("toy.lock.json")
    assert read_lock(recipe) == {}


def test_a_lock_holds_no_time_that_a_result_tells() -> None:
    from galshift.recipes.lock import numbers

    results = {"fit": {"seconds": 1.5, "epochs": 2}, "profile": {"total": 3.0}, "scores": [0.5, {"n": 4}]}
    assert dict(numbers(results)) == {"fit.epochs": 2, "scores.0": 0.5, "scores.1.n": 4}


def test_a_format_that_nothing_here_writes_is_told_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("late.yaml").write_text(
        "recipe: 1\nname: late\nsteps:\n"
        "  sky: {uses: simulate, n: 12, size: 20}\n"
        '  net: {uses: train, data: "${sky}", training: {epochs: 1}}\n'
        '  said: {uses: predict, run: "${net}", data: "${sky}", shards: 6}\n'
    )
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ResourceError, match="writing Parquet needs pyarrow"):
        run_recipe(read_recipe("late.yaml"))
    assert not Path("runs").exists()
