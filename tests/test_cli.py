"""The command line: output discipline, exit codes, signals, help, recipes, and a thing added in one file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from galshift.__main__ import main
from galshift.cli._app import PANELS, names, summary
from tests.toy_steps import RUNS

ROOT = Path(__file__).resolve().parents[1]
TOY = """\
recipe: 1
name: toy
steps:
  words: {uses: toy-make}
  counted:
    uses: toy-count
    data: ${words}
    expect: {total: {value: 4, within: 0}}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def galshift(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs a command in an empty folder and gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    RUNS.clear()

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["galshift", *args])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def test_version(galshift: Run) -> None:
    import galshift as package

    assert galshift("--version") == (0, f"galshift {package.__version__}\n", "")


def test_help_lists_every_verb_in_its_panel_and_ends_with_two_examples(galshift: Run) -> None:
    code, out, _ = galshift("--help")
    assert code == 0
    positions = [re.search(rf"^. {re.escape(name)} ", out, re.MULTILINE).start() for name in names()]
    assert len(set(positions)) == len(names())
    ending = [line.strip() for line in out.partition("Examples:")[2].splitlines() if line.strip()]
    assert ending == ["galshift run quickstart", "galshift adapt sim.h5 sdss/"]


def test_no_verb_is_listed_twice() -> None:
    listed = [name for panel in PANELS.values() for name in panel]
    assert len(listed) == len(set(listed))
    # Other tests of the same process register steps of their own.
    assert {name for name in names() if not name.startswith("toy")} <= set(listed)


@pytest.mark.parametrize("name", names())
def test_every_verb_has_a_one_sentence_summary(name: str) -> None:
    assert re.fullmatch(r"[A-Z][^\n]{15,110}\w", summary(name))


def test_brackets_in_help_survive(galshift: Run) -> None:
    # Rich would read [arcsec / pixel] as a style and show nothing.
    out = galshift("make-mocks", "--help")[1]
    assert "FWHM [arcsec]" in " ".join(out.replace("│", " ").split())


def test_what_every_verb_takes_is_told_once(galshift: Run) -> None:
    reading, common = galshift("help", "reading")[1], galshift("help", "common")[1]
    for flag in ("--unit UNIT", "--pixel-scale ARCSEC", "--labels FILE|COLUMN", "--on-error raise|skip"):
        assert flag in reading
    for flag in (
        "--out PATH",
        "--seed N",
        "--device auto|cpu|cuda|cuda:N",
        "--set KEY.PATH=VALUE",
        "--quiet, -q",
    ):
        assert flag in common
    assert "Pixel scale [arcsec / pixel]." in reading
    assert "[default: 42]" in common
    for name in ("adapt", "make-mocks"):
        own = galshift(name, "--help")[1]
        assert "--unit" not in own.partition("How data are read")[0]
        assert "galshift help reading" in own
        assert "galshift help common" in own
        # The verb's own arguments stand between the first and the last frame.
        assert len([line for line in own.splitlines() if line.startswith(("│", "╭", "╰"))]) <= 40
    assert "Train a classifier" in galshift("help", "train")[1]
    assert galshift("help", "adpat")[0] == 2


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ([], 2, ""),
        (["adpat"], 2, "Did you mean 'adapt'"),
        (["list"], 2, "Missing argument"),
        (["list", "methds"], 2, "did you mean 'methods'"),
        (["run", "toy.yaml", "--nonsense"], 2, "No such option"),
        (["-q", "run", "toy.yaml"], 2, "options go after the verb"),
        (["run", "nothing.yaml"], 3, "no such recipe"),
        (["recipes", "cat", "nothing"], 3, "ships no recipe"),
        (["validate", "bad.yaml"], 3, "bad.yaml:3"),
        (["run", "missing.yaml"], 4, "there is no file or folder nothing.h5"),
        (["run", "toy.yaml", "--set", "steps.counted.expect.total.value=9"], 5, "total is 4, expected 9"),
        (["train", "nothing.h5"], 4, "nothing.h5"),
    ],
)
def test_exit_codes_and_one_clear_sentence(galshift: Run, args: list[str], code: int, message: str) -> None:
    Path("toy.yaml").write_text(TOY)
    Path("bad.yaml").write_text("recipe: 1\nname: bad\nstpes: {}\n")
    Path("missing.yaml").write_text(TOY.replace("${words}", "nothing.h5"))
    found, out, err = galshift(*args)
    assert found == code
    assert message in " ".join((out + err).split())
    assert "Traceback" not in out + err


def test_run_prints_only_paths_on_stdout(galshift: Run) -> None:
    Path("toy.yaml").write_text(TOY)
    code, out, err = galshift("run", "toy.yaml")
    assert code == 0
    (line,) = out.splitlines()
    assert Path(line).name == "report.html"
    assert Path(line).is_file()
    assert "counted 4 words" in err
    assert err.splitlines()[-1].startswith("next: open ")
    code, out, err = galshift("run", "toy.yaml", "--quiet")
    assert (code, out, err) == (0, f"{line}\n", "")


@pytest.mark.parametrize(
    "args",
    [
        ["run", "toy.yaml", "--json"],
        ["run", "toy.yaml", "--dry-run", "--json"],
        ["status", "toy.yaml", "--json"],
        ["status", "toy.yaml", "--verify", "--json"],
        ["validate", "toy.yaml", "--json"],
        ["recipes", "ls", "--json"],
        ["list", "methods", "--json"],
        ["doctor", "--json"],
        ["schema"],
    ],
)
def test_json_is_exactly_one_document(galshift: Run, args: list[str]) -> None:
    Path("toy.yaml").write_text(TOY)
    code, out, _ = galshift(*args)
    assert code == 0
    json.loads(out)


def test_status_and_verify(galshift: Run) -> None:
    Path("toy.yaml").write_text(TOY)
    galshift("run", "toy.yaml")
    assert galshift("status", "toy.yaml", "--verify")[0] == 0
    (word_file,) = Path("runs/toy").glob("words-*/words.txt")
    word_file.write_text("changed")
    code, _, err = galshift("status", "toy.yaml", "--verify")
    assert code == 4
    assert "was changed after it was made" in err


def test_a_dry_run_runs_nothing(galshift: Run) -> None:
    Path("toy.yaml").write_text(TOY)
    code, out, _ = galshift("run", "toy.yaml", "--dry-run")
    assert code == 0
    assert "never ran" in out
    assert RUNS == []
    assert not Path("runs").exists()


def test_out_chooses_the_folder_of_a_recipes_runs(galshift: Run) -> None:
    Path("toy.yaml").write_text(TOY)
    galshift("run", "toy.yaml", "--out", "there")
    assert len(list(Path("there").glob("*/manifest.json"))) == 2
    assert not Path("runs").exists()


def test_shipped_recipes_are_listed_shown_and_copied(galshift: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from galshift.recipes import find

    folder = Path("shipped")
    folder.mkdir()
    (folder / "toy.yaml").write_text("description: >\n  A toy recipe.\n  More.\n" + TOY)
    monkeypatch.setattr(find, "shipped_folder", lambda: folder)
    assert galshift("recipes", "ls")[1] == "toy  A toy recipe.\n"
    assert galshift("recipes", "cat", "toy")[1] == (folder / "toy.yaml").read_text()
    code, out, err = galshift("recipes", "cp", "toy")
    assert (code, out) == (0, "toy.yaml\n")
    assert "next: galshift run toy.yaml" in err
    assert Path("toy.yaml").read_text() == (folder / "toy.yaml").read_text()
    assert galshift("recipes", "cp", "toy")[0] == 0  # it is there already, as it would be written
    Path("toy.yaml").write_text("of the user's own")
    assert galshift("recipes", "cp", "toy")[0] == 4
    Path("toy.yaml").unlink()
    # A shipped recipe puts its results in the working directory, not beside itself.
    assert galshift("run", "toy")[0] == 0
    assert Path("runs/toy").is_dir()
    assert Path("toy.lock.json").is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["toy.yaml"]


def test_the_schema_describes_every_verb_down_to_the_options_of_a_choice(galshift: Run) -> None:
    schema = json.loads(galshift("schema")[1])
    assert schema["additionalProperties"] is False
    step = schema["$defs"]["toy-count"]
    assert step["additionalProperties"] is False
    assert {"uses", "expect", "data", "method"} <= set(step["properties"])
    assert {"uses", "data"} <= set(step["required"])
    kinds = step["properties"]["method"]["anyOf"][0]["anyOf"]
    assert [branch["properties"]["kind"]["const"] for branch in kinds[1:]] == ["flat", "gauss"]
    assert set(kinds[2]["properties"]) == {"kind", "weight", "widths"}


def test_a_bug_is_called_one(galshift: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import toy_steps

    def broken(self: object, config: object, run: object, context: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(toy_steps.Make, "run", broken)
    Path("toy.yaml").write_text(TOY)
    code, out, err = galshift("run", "toy.yaml")
    assert code == 1
    assert out == ""
    assert "ZeroDivisionError: oops" in err
    assert "this is a bug in galshift" in err.splitlines()[-1]


SLOW = """
import signal, sys, time
from pathlib import Path
import tests.toy_steps as toys
# A suite started in the background of a shell hands an ignored Ctrl-C down to its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
def wait(self, config, run, context):
    (run.path / "half.txt").write_text("half")
    Path("started").write_text("")
    time.sleep(60)
toys.Make.run = toys.Count.run = wait
from galshift.__main__ import main
sys.argv = ["galshift", "run", "toy.yaml"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("resumable", "code"), [(True, 75), (False, 130)])
def test_a_signal_leaves_a_resumable_run_or_nothing(
    tmp_path: Path, number: signal.Signals, resumable: bool, code: int
) -> None:
    recipe = (
        TOY.replace("  words: {uses: toy-make}\n", "").replace("${words}", "data.txt") if resumable else TOY
    )
    (tmp_path / "toy.yaml").write_text(recipe)
    (tmp_path / "data.txt").write_text("a")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert re.search("^galshift: .*stopped", err, re.MULTILINE)
    left = [path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert ("half.txt" in left) == resumable
    assert "manifest.json" not in left


PLUGIN = '''
"""Pull the domains together by nothing at all."""

from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.types import Strict


@METHODS.register("toy-pull")
class ToyPull(Method):
    """A method from outside."""

    class Config(Strict):
        """Options."""

        weight: float = 0.25
'''


def test_a_method_is_added_by_one_installed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, galshift: Run
) -> None:
    """An entry point makes a method that is listed, completed, chosen and checked like galshift's own."""
    from galshift.methods import METHODS

    monkeypatch.setattr(METHODS, "_things", dict(METHODS._things))
    (tmp_path / "toy_pull_package.py").write_text(PLUGIN)
    info = tmp_path / "toy_pull-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-pull\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[galshift.methods]\ntoy-pull = toy_pull_package:ToyPull\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "toy-pull" in METHODS.names()
    assert "toy-pull" in galshift("list", "methods")[1]
    Path("a.yaml").write_text(
        "recipe: 1\nname: a\nsteps:\n  adapted:\n    uses: adapt\n    source: a.h5\n    target: b.h5\n"
        "    method: {kind: toy-pull, weihgt: 1}\n"
    )
    code, _, err = galshift("validate", "a.yaml")
    assert code == 3
    assert "a.yaml:8  steps.adapted.method.weihgt: unknown key. Did you mean 'weight'?" in err


def test_a_method_is_added_by_one_file_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, galshift: Run
) -> None:
    import galshift.methods as package

    (tmp_path / "toy_push.py").write_text(PLUGIN.replace("toy-pull", "toy-push"))
    monkeypatch.setattr(package.METHODS, "_things", dict(package.METHODS._things))
    package.__path__.append(str(tmp_path))
    try:
        assert "toy-push  Pull the domains together by nothing at all." in re.sub(
            " {2,}", "  ", galshift("list", "methods")[1]
        )
        assert package.METHODS.get("toy-push").Config().weight == 0.25
        assert package.METHODS.summary("toy-push") == "Pull the domains together by nothing at all."
    finally:
        package.__path__.remove(str(tmp_path))
        sys.modules.pop("galshift.methods.toy_push", None)
