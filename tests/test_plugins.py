"""What another package adds by entry points: installed by pip, used from the shell, recipes and Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from galshift import surveys
from tests.plugin_package import install

ROOT = Path(__file__).resolve().parents[1]
# Several command lines in one process: starting torch anew for each would take most of the time.
RUN = """
import contextlib, io, json, sys
from galshift.__main__ import main
found = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["galshift", *words]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
    found.append([code, out.getvalue(), err.getvalue()])
json.dump(found, sys.stdout)
"""


@dataclass
class Shell:
    """A folder to work in, where the package is installed."""

    folder: Path
    site: Path

    def python(self, code: str, *words: str) -> str:
        """Run Python in the folder and return its output."""
        path = os.pathsep.join([str(ROOT), str(self.site)])
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *commands: str) -> list[tuple[int, str, str]]:
        """Run commands of galshift and return (exit code, stdout, stderr) of each."""
        return json.loads(self.python(RUN, json.dumps([command.split() for command in commands])))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("plugins")
    preset = (surveys._FOLDER / "sdss.yaml").read_text(encoding="utf-8")
    preset = preset.replace("name: sdss", "name: toy-survey", 1)
    return Shell(folder, install(folder, preset))


@pytest.fixture(scope="module")
def adapted(shell: Shell) -> Shell:
    """The folder after a toy network was adapted by a toy method to a file of the toy reader."""
    commands = (
        "simulate sim.h5 --n 24 --views 2 --size 32 --pixel-scale 0.396",
        "make-mocks sim.h5 mocks.h5 --survey toy-survey",
        "make-mocks sim.h5 target.h5 --survey toy-mapping --seed 3",
    )
    for code, _, err in shell.run(*commands):
        assert code == 0, err
    shell.python(
        "import h5py, numpy as np\n"
        "with h5py.File('target.h5') as file: images = file['images'][()]\n"
        "with open('target.toy', 'wb') as stream: np.savez(stream, images=images)"
    )
    words = "--method toy-pull --model toy-net --select toy-confidence --epochs 2 --set method.strength=0.5"
    ((code, _, err),) = shell.run(f"adapt mocks.h5 target.toy {words} --out adapted")
    assert code == 0, err
    return shell


@pytest.mark.parametrize(
    ("kind", "name", "summary"),
    [
        ("methods", "toy-pull", "Minimise the distance of the mean features."),
        ("models", "toy-net", "One convolution, averaged over the image."),
        ("metrics", "class.toy_half", "one half, whatever was answered"),
        ("readers", "toy-reader", "Open a ``.toy`` file, which holds a NumPy archive."),
        ("faults", "toy-warm", "A pixel that counts 300 electrons too many in one band."),
        ("reducers", "toy-plain", "The first two features as they are."),
        ("selectors", "toy-confidence", "The mean of the largest class probability."),
        ("surveys", "toy-survey", surveys.summary("sdss")),
        ("verbs", "toy-tally", "Count the images of a data set, and how many are bright."),
    ],
)
def test_it_is_listed_and_what_is_broken_is_named_and_left_out(
    listed: dict[str, tuple[int, str, str]], kind: str, name: str, summary: str
) -> None:
    code, out, err = listed[kind]
    assert code == 0
    rows = {row["name"]: row["summary"] for row in json.loads(out)}
    assert rows[name] == summary
    assert len(rows) > 1
    assert not [row for row in rows if "broken" in row]
    if kind in ("methods", "metrics", "readers", "surveys", "verbs"):
        (line,) = err.splitlines()
        assert "of the package toys cannot be imported (RuntimeError: the toy box is locked)" in line


@pytest.fixture(scope="module")
def listed(shell: Shell) -> dict[str, tuple[int, str, str]]:
    kinds = ["methods", "models", "metrics", "readers", "faults", "reducers", "selectors", "surveys", "verbs"]
    return dict(zip(kinds, shell.run(*(f"list {kind} --json" for kind in kinds)), strict=True))


def test_help_and_schema_know_the_verb(shell: Shell) -> None:
    top, own, broken, schema = shell.run("--help", "toy-tally --help", "toy-broken-verb sdss/", "schema")
    assert "toy-tally" in top[1]
    assert "Count the images of a data set, and how many are bright" in top[1]
    for text in ("Images to count.", "--bright", "Count images whose peak exceeds this.", "Examples:"):
        assert text in own[1]
    assert "galshift toy-tally sdss/ --bright 10" in own[1]
    assert broken[0] == 3
    (line,) = broken[2].splitlines()
    assert line.startswith("galshift: the verb 'toy-broken-verb' of the package toys cannot be imported")
    definitions = json.loads(schema[1])["$defs"]
    assert {"data", "bright", "read"} <= set(definitions["toy-tally"]["properties"])
    assert "toy-broken-verb" not in definitions
    assert "strength" in json.dumps(definitions["adapt"]["properties"]["method"])
    assert "toy-net" in json.dumps(definitions["train"]["properties"]["model"])


def test_the_verb_runs_from_the_shell_a_recipe_and_python(adapted: Shell) -> None:
    (adapted.folder / "r.yaml").write_text(
        "recipe: 1\nname: r\nsteps:\n  counted: {uses: toy-tally, data: target.toy, bright: 0.1}\n"
    )
    (adapted.folder / "wrong.yaml").write_text(
        "recipe: 1\nname: r\nsteps:\n  counted: {uses: toy-tally, data: target.toy, brihgt: 0.1}\n"
    )
    first, valid, wrong, ran = adapted.run(
        "toy-tally target.toy --bright 0.1 --json", "validate r.yaml", "validate wrong.yaml", "run r.yaml"
    )
    results = json.loads(first[1])
    with np.load(adapted.folder / "target.toy") as arrays:
        expected = int((arrays["images"].max(axis=(1, 2, 3)) > 0.1).sum())
    assert (results["n"], results["n_bright"]) == (48, expected)
    assert "A toy tally" in (adapted.folder / results["run"] / "report.html").read_text()
    assert (valid[0], wrong[0], ran[0]) == (0, 3, 0)
    assert "unknown key. Did you mean 'bright'?" in wrong[2]
    code = (
        "import galshift\n"
        "done = galshift.toy_tally('target.toy', bright=0.1)\n"
        "print(done.skipped, done.results['n_bright'], done.report.name, 'toy_tally' in dir(galshift))\n"
        "print(galshift.toy_tally.__doc__)"
    )
    said, _, told = adapted.python(code).partition("\n")
    assert said == f"True {expected} report.html True"
    assert "Count images whose peak exceeds this." in told


def test_method_network_selector_survey_and_reader_train(adapted: Shell) -> None:
    config = (adapted.folder / "adapted" / "config.yaml").read_text()
    assert "strength: 0.5" in config
    metrics = json.loads((adapted.folder / "adapted" / "metrics.json").read_text())
    run = metrics["results"][0]
    assert run["run"].endswith("adapted")
    rows = [json.loads(line) for line in (adapted.folder / "adapted" / "metrics.jsonl").open()]
    assert any("toy_mean" in json.dumps(row) for row in rows)
    code, out, _ = adapted.run("make-mocks --check --survey toy-mapping --bands r --json")[0]
    assert (code, json.loads(out)["passed"]) == (0, True)


def test_the_metric_is_in_the_document_and_the_report(adapted: Shell) -> None:
    ((code, out, err),) = adapted.run("evaluate adapted --bootstrap 50 --out evaluated --json")
    assert code == 0, err
    domains = json.loads(out)["results"][0]["domains"]
    assert domains["mocks"]["toy_half"] == 0.5
    assert "toy half" in (adapted.folder / "evaluated" / "report.html").read_text()


def test_fault_and_reducer(adapted: Shell) -> None:
    attack, embed = adapted.run(
        "one-pixel-attack adapted mocks.h5 --fault toy-warm --survey toy-survey --limit 1 --json",
        "embed adapted mocks.h5 target.toy --reduce toy-plain --json",
    )
    assert attack[0] == 0, attack[2]
    assert json.loads(attack[1])["n_attacked"] <= 1
    assert embed[0] == 0, embed[2]
