"""execute(): fingerprints, skip, resume, refuse, move aside, and nothing half-written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from galshift.errors import ConfigError, DataError, Interrupted
from galshift.recipes.execute import execute
from galshift.recipes.prepare import Prepared, merged, prepare
from galshift.recipes.product import Product
from tests import toy_steps
from tests.toy_steps import RUNS


@pytest.fixture(autouse=True)
def _in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RUNS.clear()
    Path("data.txt").write_text("one two three")


def _count(**values: object) -> Prepared:
    return prepare("toy-count", {"data": "data.txt", **values})


def test_a_run_is_named_by_its_fingerprint_and_done_once() -> None:
    first = execute("toy-count", {"data": "data.txt"})
    assert first.run.path == Path("runs") / f"toy-count-{_count().fingerprint[:8]}"
    assert first.results["total"] == 3
    assert first.path == first.run.path
    second = execute("toy-count", {"data": "data.txt"})
    assert second.skipped
    assert second.results == first.results
    assert RUNS == ["toy-count"]


def test_the_manifest_says_from_what_and_how() -> None:
    done = execute("toy-count", {"data": "data.txt"})
    manifest = json.loads((done.run.path / "manifest.json").read_text())
    assert manifest["inputs"] == {"data": hashlib.sha256(b"one two three").hexdigest()}
    assert manifest["versions"] == {"kernel gauss": 3}
    report = (done.run.path / "report.html").read_bytes()
    assert manifest["outputs"]["report.html"]["sha256"] == hashlib.sha256(report).hexdigest()


def test_names_and_places_of_inputs_do_not_matter_but_content_does() -> None:
    shutil.copy("data.txt", "same.txt")
    os.utime("same.txt", (0, 0))
    assert _count().fingerprint == prepare("toy-count", {"data": "same.txt"}).fingerprint
    Path("same.txt").write_text("one two four.")
    assert _count().fingerprint != prepare("toy-count", {"data": "same.txt"}).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 2.0},
        {"seed": 1},
        {"method": "flat"},
        {"method": {"kind": "gauss", "weight": 2}},
        {"inner": {"clip": 2}},
        {"others": ["data.txt"]},
        {"labels": "class"},
        {"labels": "data.txt"},
    ],
)
def test_every_value_that_can_change_a_number_is_in_the_fingerprint(change: dict[str, object]) -> None:
    assert _count(**change).fingerprint != _count().fingerprint


def test_a_default_said_aloud_is_the_same_run() -> None:
    same = _count(scale=1, method={"kind": "gauss", "weight": 1.0}, inner={}, others=[])
    assert same.fingerprint == _count().fingerprint


def test_versions_are_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _count().fingerprint
    monkeypatch.setattr(toy_steps.Gauss, "version", 4)
    between = _count().fingerprint
    monkeypatch.setattr(toy_steps.Count, "version", 2)
    assert len({before, between, _count().fingerprint}) == 3


def test_an_optional_path_that_exists_counts_by_content() -> None:
    Path("labels.csv").write_text("a")
    before = _count(labels="labels.csv").fingerprint
    Path("other.csv").write_text("a")
    assert _count(labels="other.csv").fingerprint == before
    Path("labels.csv").write_text("bc")
    assert _count(labels="labels.csv").fingerprint != before


def test_a_run_as_input_counts_by_its_fingerprint_wherever_it_stands() -> None:
    made = execute("toy-make", {"n": 2})
    inside = prepare("toy-count", {"data": str(made.path)})
    assert inside.inputs.upstream == {"data": prepare("toy-make", {"n": 2}).fingerprint}
    made.run.path.rename("elsewhere")
    assert prepare("toy-count", {"data": "elsewhere/words.txt"}).fingerprint == inside.fingerprint
    extra = prepare("toy-count", {"data": "elsewhere/extra.txt"})
    assert extra.inputs.upstream["data"].endswith("/extra")


def test_a_product_counts_by_its_manifest_until_it_is_changed() -> None:
    execute("toy-make", {"n": 2}, out="words.txt")
    made = prepare("toy-make", {"n": 2}).fingerprint
    assert prepare("toy-count", {"data": "words.txt"}).inputs.upstream == {"data": made}
    Path("words.txt").write_text("changed")
    assert prepare("toy-count", {"data": "words.txt"}).inputs.upstream == {}


def test_another_configuration_is_refused_and_overwrite_moves_it_aside() -> None:
    execute("toy-count", {"data": "data.txt"}, out="here")
    with pytest.raises(ConfigError, match="another configuration"):
        execute("toy-count", {"data": "data.txt", "scale": 2}, out="here")
    assert execute("toy-count", {"data": "data.txt"}, out="here").skipped
    done = execute("toy-count", {"data": "data.txt", "scale": 2}, out="here", overwrite=True)
    assert done.results["total"] == 6
    assert len(list(Path().glob("here.old-*/manifest.json"))) == 1


def test_an_interrupted_run_is_resumed_by_the_same_call() -> None:
    values = {"data": "data.txt", "interrupt": True}
    with pytest.raises(Interrupted):
        execute("toy-count", values, out="here")
    assert Path("here/half.txt").exists()
    assert not Path("here/manifest.json").exists()
    with pytest.raises(DataError, match="not finished"):
        prepare("toy-count", {"data": "here"})
    assert not execute("toy-count", values, out="here").skipped
    assert Path("here/manifest.json").exists()


def test_a_failure_leaves_nothing_behind() -> None:
    with pytest.raises(DataError, match="words ran out"):
        execute("toy-make", {"fail": True}, out="run/words.txt")
    with pytest.raises(DataError, match="words ran out"):
        execute("toy-make", {"fail": True})
    assert sorted(str(path) for path in Path().rglob("*") if path.is_file()) == ["data.txt"]


def test_ctrl_c_is_resumable_or_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: object, config: object, run: object, context: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(toy_steps.Make, "run", stop)
    monkeypatch.setattr(toy_steps.Count, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        execute("toy-make", {}, out="words.txt")
    assert not list(Path().glob(".words*"))
    with pytest.raises(Interrupted, match="stopped"):
        execute("toy-count", {"data": "data.txt"}, out="here")
    assert Path("here/run.json").exists()


def test_a_bug_is_logged_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, config: object, run: object, context: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(toy_steps.Count, "run", broken)
    with pytest.raises(ZeroDivisionError):
        execute("toy-count", {"data": "data.txt"}, out="here")
    assert "ZeroDivisionError: a bug" in Path("here/log.txt").read_text()


def test_a_product_follows_the_same_rules() -> None:
    first = execute("toy-make", {"n": 2}, out="words.txt")
    assert first.path == Path("words.txt")
    assert json.loads(Path("words.txt.manifest.json").read_text())["kind"] == "toy-make"
    assert not list(Path().glob(".*.work"))
    assert execute("toy-make", {"n": 2}, out="words.txt").skipped
    with pytest.raises(ConfigError, match="already exists"):
        execute("toy-make", {"n": 3}, out="words.txt")
    execute("toy-make", {"n": 3}, out="words.txt", overwrite=True)
    assert Path("words.txt").read_text().count("galaxy") == 3
    assert [path.read_text().count("galaxy") for path in Path().glob("words.txt.old-*")] == [2]


def test_a_product_that_was_changed_is_not_taken_for_finished() -> None:
    execute("toy-make", {"n": 2}, out="words.txt")
    Path("words.txt").write_text("mine now")
    with pytest.raises(ConfigError, match="already exists"):
        execute("toy-make", {"n": 2}, out="words.txt")
    assert Path("words.txt").read_text() == "mine now"


def test_a_file_of_a_run_that_was_filled_in_counts_by_its_content() -> None:
    run = execute("toy-count", {"data": "data.txt"}).run
    page = run.path / "report.html"
    assert prepare("toy-count", {"data": str(page)}).inputs.upstream == {"data": f"{run.fingerprint}/report"}
    for text in ("labels of ten", "labels of thirty"):
        page.write_text(text)
        inputs = prepare("toy-count", {"data": str(page)}).inputs
        assert inputs.upstream == {}
        assert inputs.hashes == {"data": hashlib.sha256(text.encode()).hexdigest()}
    (run.path / "mine.csv").write_text("a list of one's own")
    inputs = prepare("toy-count", {"data": str(run.path / "mine.csv")}).inputs
    assert inputs.hashes == {"data": hashlib.sha256(b"a list of one's own").hexdigest()}


def test_a_product_that_vanished_is_made_again() -> None:
    execute("toy-make", {"n": 2}, out="words.txt")
    Path("words.txt").unlink()
    assert not execute("toy-make", {"n": 2}, out="words.txt").skipped
    assert Path("words.txt").exists()


def test_one_of_two_products_that_vanished_is_made_again_beside_the_other() -> None:
    places = [Path("mocks_a.txt"), Path("mocks_b.txt")]

    def made() -> None:
        product = Product("toy", "f" * 64, Path("mocks.txt"), places)
        product.require_free(False)
        with product.opened({}):
            for place in places:
                product.staged.with_name(place.name).write_text(place.name)
            product.finish({"fingerprint": "f" * 64, "results": {}}, overwrite=False)
            product.publish(overwrite=False)

    made()
    places[1].unlink()
    made()
    assert [place.read_text() for place in places] == ["mocks_a.txt", "mocks_b.txt"]
    assert not list(Path().glob("*.old-*"))
    places[0].write_text("mine now")
    places[1].unlink()
    with pytest.raises(ConfigError, match="already exists"):
        made()
    assert places[0].read_text() == "mine now"


def test_all_problems_are_told_at_once_with_the_nearest_spelling() -> None:
    values = {"datta": 1, "method": {"kind": "gauss", "weigth": 1}, "inner": {"clip": -1, "stretch": "asihn"}}
    with pytest.raises(ConfigError) as caught:
        execute("toy-count", values)
    text = "\n".join(caught.value.problems)
    assert "data: this key is required" in text
    assert "datta: unknown key. Did you mean 'data'?" in text
    assert "method.weigth: unknown key. Did you mean 'weight'?" in text
    assert "inner.clip: must be greater than 0, not -1" in text
    assert "inner.stretch: must be 'linear' or 'asinh', not 'asihn'. Did you mean 'asinh'?" in text
    assert len(caught.value.problems) == 5
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "gaus"}, "did you mean 'gauss'"),
        ({"method": {"kind": "gaus"}}, "method.kind: unknown kernel 'gaus'"),
        ({"method": {"weight": 1}}, "method.kind: this key is required"),
        ({"method": {"kind": "flat", "weight": 1}}, "method.weight: unknown key. Allowed: kind"),
        ({"method": 3}, "must be a name, or keys with 'kind'"),
        (
            {"method": {"kind": "gauss", "widths": [1, "x"]}},
            "method.widths[1]: must be a valid number, not 'x'",
        ),
    ],
)
def test_a_choice_is_checked_down_to_its_options(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _count(**values)
    assert message in "\n".join(caught.value.problems)


def test_a_missing_input_is_named() -> None:
    with pytest.raises(DataError, match=r"nothing\.h5: there is no such file or folder"):
        prepare("toy-count", {"data": "nothing.h5"})


def test_set_reaches_nested_values_and_is_checked_by_the_same_model() -> None:
    done = prepare("toy-count", {"data": "data.txt"}, overrides=["method.weight=0.5", "inner.clip=1e-3"])
    assert done.config.method.config.weight == 0.5
    assert done.config.inner.clip == 1e-3
    with pytest.raises(ConfigError, match="inner"):
        prepare("toy-count", {"data": "data.txt"}, overrides=["inner.clp=1"])
    for bad in ("nonsense", "=3", "scale.x=3"):
        with pytest.raises(ConfigError):
            prepare("toy-count", {"data": "data.txt", "scale": 1.0}, overrides=[bad])


def test_set_gives_options_to_a_thing_named_by_its_kind_and_leaves_the_values_alone() -> None:
    values = {"method": "gauss", "inner": {"clip": 1}}
    assert merged(values, ["method.weight=2", "inner.clip=3"]) == {
        "method": {"kind": "gauss", "weight": 2},
        "inner": {"clip": 3},
    }
    assert values == {"method": "gauss", "inner": {"clip": 1}}
