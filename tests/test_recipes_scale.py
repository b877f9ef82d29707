"""One recipe at two scales: what runs, what is told, and where it is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from galshift.data.card import DataCard
from galshift.errors import ConfigError, DataError
from galshift.recipes.json_schema import recipe_schema
from galshift.recipes.lock import lock_path, read_lock
from galshift.recipes.paths_of import outside
from galshift.recipes.plan import make_plan, runs_folder
from galshift.recipes.publish import publish
from galshift.recipes.read import read_recipe
from galshift.recipes.run import run_recipe
from galshift.recipes.scale import DATA_KEYS, STEP_KEYS
from galshift.recipes.schema import Expect
from galshift.recipes.verify import require_verified, verify_archive
from galshift.verbs import STEPS
from tests import toy_steps  # noqa: F401  (registers the verbs)

PLAIN = """\
recipe: 1
name: toy
seed: 7
steps:
  words: {uses: toy-make, n: 4}
  counted:
    uses: toy-count
    data: ${words}
    method: {kind: gauss, weight: 2}
    inner: {clip: 2.5}
    expect:
      total: {value: 5, within: 0.1}
"""
TWO = """\
recipe: 1
name: toy
seed: 7
scale: toy
data:
  published:
    at: full
    fetch: deepmerge2
    path: deepmerge2/words.txt
steps:
  words: {uses: toy-make, at: toy, n: 4}
  counted:
    uses: toy-count
    data: ${words}
    method: {kind: gauss, weight: 2}
    inner: {clip: 2.5}
    expect:
      total: {value: 5, within: 0.1}
    full:
      data: ${data.published}
      inner: {stretch: asinh}
      seed: 11
      expect:
        total: {value: 9, within: 0.5, published: table 2, tried: false}
"""


@pytest.fixture(autouse=True)
def _in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("two.yaml").write_text(TWO)


def _problems(text: str) -> tuple[str, ...]:
    Path("two.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_recipe("two.yaml")
    return tuple(caught.value.problems)


def test_toy_scale_is_the_recipe_without_a_word_of_scales() -> None:
    Path("plain.yaml").write_text(PLAIN)
    plain, two = make_plan(read_recipe("plain.yaml")), make_plan(read_recipe("two.yaml"))
    assert [p.prepared.fingerprint for p in two.values()] == [p.prepared.fingerprint for p in plain.values()]
    assert read_recipe("plain.yaml").scale is None
    Path("two.yaml").write_text(TWO.replace("scale: toy\n", ""))
    assert read_recipe("two.yaml").scale == "toy"


def test_full_scale_lays_its_values_over_those_beside_them() -> None:
    step = read_recipe("two.yaml", overrides=["scale=full"]).steps["counted"]
    assert step.values["inner"] == {"clip": 2.5, "stretch": "asinh"}
    assert step.values["method"] == {"kind": "gauss", "weight": 2}
    assert step.values["data"] == "${data.published}"
    assert str(step.expect["total"]) == "9 ± 0.5 (table 2; not run yet by anybody)"
    said = read_recipe("two.yaml", overrides=["scale=full", "steps.counted.seed=3"]).steps["counted"]
    assert said.values["seed"] == 3


def test_full_scale_says_in_one_sentence_what_belongs_where() -> None:
    with pytest.raises(DataError) as caught:
        make_plan(read_recipe("two.yaml", overrides=["scale=full"]))
    told = "data.published: there is no deepmerge2/words.txt: galshift fetch deepmerge2 --out deepmerge2"
    assert caught.value.what == f"two.yaml:6  {told}"
    Path("two.yaml").write_text(TWO.replace("fetch: deepmerge2", "put: your words, one a line"))
    with pytest.raises(DataError, match=r"deepmerge2/words.txt: put there your words, one a line \("):
        make_plan(read_recipe("two.yaml", overrides=["scale=full"]))


def test_each_scale_has_its_own_runs_lock_and_manifest() -> None:
    Path("deepmerge2").mkdir()
    Path("deepmerge2/words.txt").write_text("galaxy " * 9)
    for scale in ("toy", "full"):
        recipe = read_recipe("two.yaml", overrides=[f"scale={scale}"])
        outcome = run_recipe(recipe)
        assert read_lock(recipe)["scale"] == scale
        assert {p.manifest()["scale"] for p in outcome.plan.values()} == {scale}
        assert runs_folder(recipe).is_dir()
    assert {path.name for path in Path("runs").iterdir()} == {"toy", "toy-full"}
    assert {path.name for path in Path().glob("*.lock.json")} == {"two.lock.json", "two.full.lock.json"}
    Path("plain.yaml").write_text(PLAIN)
    plain = read_recipe("plain.yaml")
    outcome = run_recipe(plain, folder=Path("elsewhere"))
    assert "scale" not in json.loads(lock_path(plain).read_text())
    assert "scale" not in outcome.plan["words"].manifest()


def test_a_published_recipe_is_tried_at_both_scales() -> None:
    """What was published at full scale is done again at that, or on built-in galaxies without the data."""
    Path("deepmerge2").mkdir()
    Path("deepmerge2/words.txt").write_text("galaxy " * 9)
    Path("two.yaml").write_text(
        TWO.replace("within: 0.5, published: table 2", 'within: 99, published: "https://doi.org/10"')
    )
    recipe = read_recipe("two.yaml", overrides=["scale=full"])
    run_recipe(recipe)
    publish(recipe, Path("two.yaml"), Path("two.zip"))
    full = verify_archive(Path("two.zip"), full=True)
    assert (full.n_steps, full.n_same, full.missing) == (1, 1, [])
    require_verified(full)
    toy = verify_archive(Path("two.zip"), data=Path("deepmerge2"))
    assert (toy.n_steps, toy.n_same, toy.left_out) == (2, 0, [])
    assert outside({"data": {"a": {"put": "see https://x.org", "path": "/etc/passwd"}}}) == ["/etc/passwd"]
    assert outside({"steps": {"a": {"on": {"put": "/etc/passwd"}}}}) == ["/etc/passwd"]


WRONG: dict[str, tuple[str, str, str]] = {
    "scale": ("scale: toy", "scale: ful", "two.yaml:4  scale: must be 'toy' or 'full', not 'ful'. Did"),
    "at": (
        "at: full",
        "at: ful",
        "two.yaml:7  data.published.at: must be toy or full, not 'ful' (did",
    ),
    "fetch": (
        "fetch: deepmerge2",
        "fetch: deepmerg2",
        "two.yaml:8  data.published.fetch: there is no public",
    ),
    "both": (
        "fetch: deepmerge2",
        "fetch: deepmerge2\n    put: it",
        "two.yaml:9  data.published.put: give either",
    ),
    "full of a toy step": (
        "at: toy, n: 4",
        "at: toy, n: 4, full: {n: 5}",
        "two.yaml:11  steps.words.full: a step",
    ),
    "no keys": (
        "full:\n      data: ${data.published}\n      inner: {stretch: asinh}\n      seed: 11\n",
        "full: 3\n    x:\n",
        "two.yaml:19  steps.counted.full: must be keys with values, not 3",
    ),
    "verb": (
        "seed: 11",
        "uses: toy-make",
        "two.yaml:22  steps.counted.full.uses: 'uses' stands beside 'full'",
    ),
    "value": ("stretch: asinh", "stretch: asin", "two.yaml:21  steps.counted.full.inner.stretch: must be"),
    "reference": (
        "${data.published}",
        "${data.publishd}",
        "two.yaml:20  steps.counted.full.data: the data block has no",
    ),
    "a step that is not there": (
        "data: ${data.published}\n      inner",
        "inner",
        "two.yaml:14  steps.counted.data: there is no step 'words' (known: counted) (at full scale)",
    ),
    "expect": ("tried: false", "tried: maybe", "two.yaml:24  steps.counted.full.expect.total.tried: must be"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_at_full_scale_is_told_before_it_runs(case: str) -> None:
    right, wrong, told = WRONG[case]
    assert right in TWO
    problems = _problems(TWO.replace(right, wrong))
    assert any(problem.startswith(told) for problem in problems), problems


def test_a_recipe_with_one_scale_is_not_run_at_full_scale() -> None:
    assert _problems(PLAIN.replace("seed: 7", "scale: full")) == (
        "two.yaml:3  scale: this recipe is the same at every scale: none of its steps has a 'full'",
    )


def test_the_schema_for_editors_knows_the_keys() -> None:
    found: dict[str, Any] = recipe_schema()
    count = found["$defs"]["toy-count"]["properties"]
    assert count["at"]["enum"] == ["toy", "full"]
    assert "expect" in count["full"]["properties"]
    assert "required" not in count["full"]
    assert "deepmerge2" in found["$defs"]["DataCard"]["properties"]["fetch"]["enum"]


def test_no_verb_has_a_key_of_its_own_that_is_the_recipes() -> None:
    for verb in STEPS.names():
        assert {"uses", "expect", *STEP_KEYS}.isdisjoint(STEPS.get(verb).Config.model_fields), verb
    assert set(DATA_KEYS).isdisjoint(DataCard.model_fields)


def test_an_expectation_that_was_met_before_says_nothing_more() -> None:
    assert str(Expect(value=1, within=0.1)) == "1 ± 0.1"
    assert str(Expect(at_least=1, published="abstract")) == "at least 1 (abstract)"
