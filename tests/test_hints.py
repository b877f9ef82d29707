"""What a hint says to type can be typed, and leads on."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

import galshift
from galshift.cli import _app
from galshift.machine import FAULTS
from tests.every_verb import fresh, words_of
from tests.file_operations import Server

# Options of other programs, which their hints name; and beginnings of several of galshift's.
_FOREIGN = {"--force-reinstall", "--upgrade", "--nproc-per-node", "--nthreads", "--scheduler-file"}
_BEGINNINGS = {"--no-", "--source-", "--target-"}
# Words that follow "galshift" where it is the subject of a sentence.
_SENTENCE = re.compile(r"galshift (can|data|does|follows|never|reads|recipe|ships|that|wrote)\b")


def _options(command: object) -> set[str]:
    found = {"--help", "--version"}
    for one in command.params:
        found |= {*getattr(one, "opts", ()), *getattr(one, "secondary_opts", ())}
    return found.union(*map(_options, getattr(command, "commands", {}).values()))


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options of every verb."""
    return {verb: _options(_app.load(verb)) for verb in _app.names()}


def _sentences() -> Iterator[tuple[str, str]]:
    """(file and line, text) of every text in the package that is no docstring."""
    root = Path(galshift.__file__).parent
    for file in sorted(root.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
        said = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
                yield f"{file.relative_to(root)}:{node.lineno}", node.value


def test_every_option_and_verb_that_is_named_is_one(options: dict[str, set[str]]) -> None:
    known = set().union(*options.values()) | _FOREIGN | _BEGINNINGS
    wrong, n = [], 0
    for place, text in _sentences():
        flags = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)
        verbs = [] if _SENTENCE.search(text) else re.findall(r"galshift ([a-z][a-z-]+)", text)
        n += len(flags) + len(verbs)
        wrong += [(place, flag) for flag in flags if flag not in known]
        wrong += [(place, verb) for verb in verbs if verb not in options]
    assert wrong == []
    assert n > 300


def test_what_the_machine_refuses_is_not_answered_with_an_option_that_a_verb_has_not() -> None:
    assert [hint for _, hint in FAULTS.values() if "--" in hint] == []


#: What the images below are, as a user would answer when asked.
_TRUE = {
    "--bands": "g,r,i",
    "--unit": "nJy",
    "--pixel-scale": "0.2",
    "--labels": "few.csv",
    "--label-column": "kind",
    "--target-bands": "g,r,i",
    "--target-unit": "nJy",
    "--target-pixel-scale": "0.2",
    "--band-map": "band0=g,band1=r,band2=i",
}
# Verb to the input that is bare; 'sim.h5' of ladder is what the survey observes.
_ASKED = {
    "make-mocks": "sim.h5",
    "pack": "mocks.h5",
    "predict": "mocks.h5",
    "train": "mocks.h5",
    "adapt": "mocks.h5",
    "pretrain": "mocks.h5",
    "evaluate": "mocks.h5",
    "embed": "mocks.h5",
    "suggest": "mocks.h5",
    "explain": "mocks.h5",
    "gap": "mocks.h5",
    "ladder": "mocks.h5",
    "audit": "mocks.h5",
    "one-pixel-attack": "mocks.h5",
}


@pytest.mark.parametrize("verb", _ASKED)
def test_who_does_what_each_hint_says_gets_there(
    tmp_path: Path, inputs: Path, server: Server, options: dict[str, set[str]], verb: str
) -> None:
    place = fresh(inputs, tmp_path / "place")
    with h5py.File(inputs / "mocks.h5") as file:
        np.save(place / "bare.npy", file["images"][:])
        classes = json.loads(file.attrs["classes"])
        kinds = [classes[label] for label in file["labels"][:]]
    rows = "".join(f"{row},{kind}\n" for row, kind in enumerate(kinds))
    (place / "few.csv").write_text(f"id,kind\n{rows}")
    words = ["bare.npy" if word == _ASKED[verb] else word for word in words_of(verb, inputs)]
    for _ in range(len(_TRUE)):
        ended = server.run(place, words)
        if ended.code == 0:
            return
        (said,) = [line for line in ended.said.splitlines() if line.startswith("galshift:")]
        hint = said[said.index(" (") :].replace("--source-...", "").replace("--target-...", "")
        named = re.findall(r"(?<![\w-])--[a-z-]+", hint)
        assert set(named) <= options[verb], said
        asked = [flag for flag in named if flag in _TRUE and flag not in words]
        assert asked, said
        words += [asked[0], _TRUE[asked[0]]]
    pytest.fail(ended.said)
