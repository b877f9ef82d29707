"""The table over all cells of a matrix: means, intervals over seeds, and what is best only where it is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from scipy import stats

from galshift.errors import ConfigError
from galshift.intervals import student_interval
from galshift.recipes.read import read_recipe
from galshift.recipes.run import Outcome, run_recipe
from galshift.recipes.scores import Row, mark_best, score
from tests import toy_steps
from tests.toy_steps import Score

RECIPE = """\
recipe: 1
name: cells
matrix:
  method: [mmd, coral]
  seed: [1, 2, 3, 4]
summary: {step: scored, keys: [macro_f1, per_class.merger.recall]}
steps:
  words: {uses: toy-make}
  scored: {uses: toy-score, data: "${words}", method: "${matrix.method}", seed: "${matrix.seed}"}
"""
# Coral is 0.1 better than either with every seed, though each of the intervals is wider than that.
MMD = {1: 0.50, 2: 0.61, 3: 0.72, 4: 0.80}
CORAL = {seed: value + 0.1 + 0.001 * seed for seed, value in MMD.items()}
PLAIN = {seed: value - 0.05 * (seed % 2) for seed, value in MMD.items()}


@pytest.fixture(autouse=True)
def _study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cells.yaml").write_text(RECIPE)
    named = {"mmd": MMD, "coral": CORAL, "source-only": PLAIN}
    scores = {(name, seed): value for name, by in named.items() for seed, value in by.items()}
    monkeypatch.setattr(Score, "SCORES", scores)


def _run(text: str = RECIPE) -> Outcome:
    Path("cells.yaml").write_text(text)
    return run_recipe(read_recipe("cells.yaml"))


def _table() -> Table:
    return Table.read("runs/cells/summary.ecsv", format="ascii.ecsv")


@pytest.mark.parametrize("values", [[0.1, 0.4, 0.2], [1.0, 2.0], list(np.linspace(0, 1, 12) ** 2)])
@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_students_interval_is_that_of_scipy(values: list[float], confidence: float) -> None:
    mean, low, high = student_interval(values, confidence=confidence)
    wanted = stats.t.interval(confidence, len(values) - 1, np.mean(values), stats.sem(values))
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == pytest.approx(wanted)


def test_of_one_value_no_interval_is_known() -> None:
    mean, low, high = student_interval([0.3])
    assert mean == 0.3
    assert math.isnan(low)
    assert math.isnan(high)


def test_each_cell_is_a_row_and_seeds_are_repetitions() -> None:
    outcome = _run()
    assert outcome.summary == Path("runs/cells/summary.html")
    table = _table()
    assert list(table["network"]) == ["mmd", "coral", "source-only"]
    assert list(table["method"].filled("-")) == ["mmd", "coral", "-"]
    assert list(table["n_seeds"]) == [4, 4, 4]
    assert list(table["macro_f1"]) == pytest.approx(
        [np.mean(list(one.values())) for one in (MMD, CORAL, PLAIN)]
    )
    low, high = stats.t.interval(0.95, 3, np.mean(list(MMD.values())), stats.sem(list(MMD.values())))
    assert (table["macro_f1_low"][0], table["macro_f1_high"][0]) == pytest.approx((low, high))
    assert list(table["per_class.merger.recall"]) == [0.5, 0.5, 0.5]


def test_to_adapt_nothing_is_the_row_without_adaptation() -> None:
    _run(RECIPE.replace("[mmd, coral]", "[mmd, source-only]"))
    table = _table()
    assert list(table["network"]) == ["mmd", "source-only"]
    assert list(table["method"].filled("-")) == ["mmd", "-"]
    assert list(table["n_seeds"]) == [4, 4]


def test_best_is_what_is_better_with_the_same_seeds() -> None:
    _run()
    assert list(_table()["macro_f1_best"]) == [False, True, False]
    assert "per_class.merger.recall_best" not in _table().colnames  # nobody knows which way is better
    # By their own intervals alone nobody could tell.
    assert _table()["macro_f1_low"][1] < _table()["macro_f1"][0]
    page = Path("runs/cells/summary.html").read_text()
    assert "Best in macro F1" in page
    assert "coral" in page


def test_best_follows_the_paired_test_of_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    told = {True: 0, False: 0}
    for _ in range(200):
        rows = [Row({}, name, "sky") for name in "abc"]
        base = rng.normal(size=6)
        for i, row in enumerate(rows):
            values = base + rng.normal(scale=0.3, size=6) + 0.4 * i * rng.integers(0, 2)
            row.values = {"macro_f1": {(seed,): float(v) for seed, v in enumerate(values)}}
            row.scores = {"macro_f1": score(row, "macro_f1")}
        mark_best(rows, ["macro_f1"])
        first, *others = sorted(rows, key=lambda row: -row.scores["macro_f1"].mean)
        numbers = [list(row.values["macro_f1"].values()) for row in (first, *others)]
        p = [stats.ttest_rel(numbers[0], other).pvalue for other in numbers[1:]]
        assert first.scores["macro_f1"].best == (max(p) < 0.05 / 2)
        assert not any(row.scores["macro_f1"].best for row in others)
        told[first.scores["macro_f1"].best] += 1
    assert min(told.values()) > 10


def test_seeds_that_are_not_the_same_are_held_against_one_another_by_welch() -> None:
    rng = np.random.default_rng(6)
    told = {True: 0, False: 0}
    for shift in np.linspace(0, 2, 60):
        rows = [Row({}, name, "sky") for name in "ab"]
        for i, row in enumerate(rows):
            values = rng.normal(size=4 + i) * (1 + i) / 2 + shift * i
            row.values = {"macro_f1": {(i, seed): float(v) for seed, v in enumerate(values)}}
            row.scores = {"macro_f1": score(row, "macro_f1")}
        mark_best(rows, ["macro_f1"])
        numbers = [list(row.values["macro_f1"].values()) for row in rows]
        best = any(row.scores["macro_f1"].best for row in rows)
        assert best == (stats.ttest_ind(*numbers, equal_var=False).pvalue < 0.05)
        told[best] += 1
    assert min(told.values()) > 3


def test_lower_is_better_of_a_calibration_error() -> None:
    rows = [Row({}, name, "sky") for name in "ab"]
    for i, row in enumerate(rows):
        row.values = {"ece": {(seed,): 0.1 + 0.1 * i + 0.001 * seed * (1 + i) for seed in range(4)}}
        row.scores = {"ece": score(row, "ece")}
    mark_best(rows, ["ece"])
    assert [row.scores["ece"].best for row in rows] == [True, False]


def test_rows_on_other_images_are_not_compared() -> None:
    text = RECIPE.replace("{uses: toy-make}", "{uses: toy-make, word: '${matrix.method}'}")
    _run(text.replace("'${matrix.method}'", '"${matrix.method}"'))
    table = _table()
    # Without adaptation each sky has its own network now.
    assert list(table["method"]) == ["mmd", "coral", "mmd", "coral"]
    assert list(table["macro_f1_best"]) == [False, True, False, False]


def test_one_seed_has_the_interval_over_galaxies_and_nothing_is_best() -> None:
    _run(RECIPE.replace("[1, 2, 3, 4]", "[1]"))
    table = _table()
    assert list(table["macro_f1_low"]) == [0.1, 0.1, 0.1]
    assert not any(table["macro_f1_best"])
    assert "over galaxies" in Path("runs/cells/summary.html").read_text()


def test_the_same_bytes_again_and_when_a_kill_left_nothing() -> None:
    _run()
    before = {path.name: path.read_bytes() for path in Path("runs/cells").glob("summary.*")}
    assert set(before) == {"summary.html", "summary.ecsv", "summary.tex"}
    for name in before:
        Path("runs/cells", name).unlink()
    toy_steps.RUNS.clear()
    _run()
    assert toy_steps.RUNS == []
    assert {path.name: path.read_bytes() for path in Path("runs/cells").glob("summary.*")} == before


def test_the_latex_table_has_a_row_a_cell() -> None:
    _run()
    lines = Path("runs/cells/summary.tex").read_text().splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 1 + 3
    assert all(row.count("&") == 4 for row in rows)
    assert next(row for row in rows if row.startswith("coral")).count("*") == 1


def test_keys_of_any_step_can_be_summarised() -> None:
    text = RECIPE.replace("scored, keys: [macro_f1, per_class.merger.recall]", "counted, keys: [total]")
    _run(text + '  counted: {uses: toy-count, data: "${words}", scale: "${matrix.seed}"}\n')
    table = _table()
    # The axis sets something that is no seed now.
    assert list(table["seed"]) == ["1", "2", "3", "4"]
    assert list(table["total"]) == [4, 8, 12, 16]
    assert "total_best" not in table.colnames


def test_without_a_matrix_or_without_metrics_there_is_no_table() -> None:
    plain = "recipe: 1\nname: cells\nsteps:\n  words: {uses: toy-make, n: 2}\n"
    assert _run(plain).summary is None
    cells = plain.replace("steps:", "matrix: {n: [1, 2]}\nsteps:").replace("n: 2}", 'n: "${matrix.n}"}')
    assert len(_run(cells).plan) == 2
    assert _run(cells).summary is None
    assert not Path("runs/cells/summary.html").exists()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (
            "step: scored",
            "step: scroed",
            "cells.yaml:6  summary.step: there is no step 'scroed' (did",
        ),
        ("keys: [macro_f1, per_class.merger.recall]", "keys: []", "cells.yaml:6  summary.keys"),
        ("step: scored", "stpe: scored", "cells.yaml:6  summary.stpe: unknown key. Did you mean 'step'"),
    ],
)
def test_what_is_wrong_in_the_block_is_told_with_its_line(old: str, new: str, what: str) -> None:
    Path("cells.yaml").write_text(RECIPE.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read_recipe("cells.yaml")
    assert any(what in line for line in caught.value.problems), caught.value.problems


def test_the_figure_is_drawn_from_what_is_shown() -> None:
    _run()
    (figure,) = json.loads(Path("runs/cells/figures.json").read_text())["figures"].values()
    assert [row[0] for row in figure["shows"]["rows"]] == ["mmd", "coral", "source-only"]
