"""Tiny commands of every verb that writes, for the tests that stop them, and what they wrote."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.file_operations import Ended, Server
from tests.public_server import NAME, public_server

_QUICK = ["--epochs", "1", "--set", "training.batch_size=8"]
_DATA = ["simulate", "sim.h5", "--n", "12", "--size", "20", "--classes", "merger,elliptical"]

#: What all commands may read, made once, in this order.
INPUTS = (
    _DATA,
    ["make-mocks", "sim.h5", "mocks.h5", "--survey", "lsst-y10", "--size", "20"],
    ["train", "mocks.h5", "--out", "run", *_QUICK],
    ["evaluate", "run", "--on", "mocks.h5", "--out", "evaluated"],
    ["run", "done.yaml"],
)
#: Run already; there it is published.
DONE = """recipe: 1
name: done
steps:
  sky: {uses: simulate, n: 12, size: 20, classes: [merger, elliptical]}
  net: {uses: train, data: "${sky}", training: {epochs: 1, batch_size: 8}}
  judged: {uses: evaluate, runs: ["${net}"], on: ["${sky}"], samples: 0}
"""
RECIPE = """recipe: 1
name: small
matrix: {k: [1, 2]}
summary: {step: skies, keys: [n_images]}
steps:
  skies: {uses: simulate, n: 4, size: 20, classes: [merger, elliptical], seed: "${matrix.k}"}
  sky: {uses: simulate, n: 8, size: 20, classes: [merger, elliptical]}
  net: {uses: train, data: "${sky}", training: {epochs: 1, batch_size: 8}}
"""

#: Verb to command; ``OUT`` is what it writes, in the folder it runs in.
COMMANDS: dict[str, list[str]] = {
    "simulate": ["simulate", "out.h5", "--n", "8", "--size", "20"],
    "make-mocks": ["make-mocks", "sim.h5", "out.h5", "--survey", "lsst-y1", "--size", "20"],
    "make-mocks pair": [
        *("make-mocks", "sim.h5", "out.h5", "--survey", "lsst-y1", "--pair", "lsst-y10", "--size", "20"),
    ],
    "make-mocks folder": [
        *("make-mocks", "sim.h5", "out", "--survey", "lsst-y1", "--size", "20", "--bands", "g", "--truth"),
    ],
    "pack": ["pack", "mocks.h5", "out.h5"],
    "pack shards": ["pack", "mocks.h5", "out", "--shards", "5"],
    "predict": ["predict", "run", "mocks.h5", "out.fits"],
    "predict csv": ["predict", "run", "mocks.h5", "out.csv"],
    "predict shards": ["predict", "run", "mocks.h5", "out.parquet", "--shards", "5"],
    "train": ["train", "mocks.h5", "--out", "out", *_QUICK],
    "adapt": ["adapt", "sim.h5", "mocks.h5", "--method", "mmd", "--out", "out", *_QUICK],
    "adapt labels": [
        *("adapt", "sim.h5", "mocks.h5", "--method", "mmd", "--target-labels", "one.csv", "--out", "out"),
        *(*_QUICK, "--set", "baselines=false", "--set", "samples=0"),  # what those write, "adapt" writes
    ],
    "pretrain": ["pretrain", "mocks.h5", "--out", "out", "--epochs", "1", "--set", "model.patch=4"],
    "evaluate": ["evaluate", "run", "--on", "mocks.h5", "--out", "out"],
    "embed": ["embed", "run", "mocks.h5", "--out", "out"],
    "figures": ["figures", "evaluated", "out", "--format", "svg"],
    "similar": ["similar", "run", "mocks.h5", "FIRST", "--out", "out"],
    "suggest": ["suggest", "run", "mocks.h5", "--budget", "4", "--out", "out"],
    "count": ["count", "run", "mocks.h5", "--labels", "few.csv", "--out", "out"],
    "explain": ["explain", "run", "mocks.h5", "--out", "out"],
    "gap": ["gap", "sim.h5", "mocks.h5", "--out", "out"],
    "ladder": ["ladder", "sim.h5", "mocks.h5", "--survey", "lsst-y10", "--out", "out"],
    "depth": [*("depth", "run", "sim.h5", "--survey", "lsst-y10", "--times", "0.3,1", "--out", "out")],
    "audit": ["audit", "run", "mocks.h5", "--limit", "4", "--corruption", "jpeg", "--out", "out"],
    "one-pixel-attack": [
        *("one-pixel-attack", "run", "mocks.h5", "--limit", "2", "--out", "out"),
        *("--set", "search=de", "--set", "de.generations=2", "--set", "de.population=8"),
    ],
    "fetch": ["fetch", NAME, "--out", "out"],
    "guide": ["guide", "own-data", "--html", "out.html"],
    "inspect --save": ["inspect", "mocks.h5", "--save", "out.yaml"],
    "recipes cp": ["recipes", "cp", "quickstart", "out.yaml"],
    "recipes from": ["recipes", "from", "run", "--out", "out.yaml"],
    "recipes publish": ["recipes", "publish", "done.yaml", "out.zip"],
    "run": ["run", "small.yaml"],
}
#: Commands that write nothing but what they print.
SHOWN: tuple[list[str], ...] = (
    ["doctor"],
    ["help", "reading"],
    ["inspect", "mocks.h5"],
    ["list", "methods"],
    ["recipes", "cat", "quickstart"],
    ["recipes", "ls"],
    ["schema"],
    ["status", "small.yaml"],
    ["validate", "small.yaml"],
)
#: Files that say when, how long and where data lie.
_TELLING = ("manifest.json", "places.json")
# Logs of what was tried; what is half-written has a name of its own.
_TIMED = ("log.txt", ".lock", ".lock.soft")


def make_inputs(folder: Path, server: Server) -> None:
    """Write what the commands read into `folder`."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.yaml").write_text(RECIPE)
    (folder / "done.yaml").write_text(DONE)
    for words in INPUTS:
        ended = server.run(folder, words)
        assert ended.code == 0, (words, ended.said)
    with h5py.File(folder / "mocks.h5") as file:
        ids, labels = file["ids"].asstr()[:], file["labels"][:]
    rows = [f"{name},{('merger', 'elliptical')[label]}" for name, label in zip(ids, labels, strict=True)]
    (folder / "few.csv").write_text("\n".join(["id,label", *rows]))
    # Of a galaxy that judges nothing: the parts are small.
    learnt = set(json.loads((folder / "run" / "splits.json").read_text())["source"]["parts"]["train"])
    one = next(row for row in rows if row.split(",")[0] in learnt)
    (folder / "one.csv").write_text(f"id,label\n{one}\n")


def words_of(verb: str, folder: Path) -> list[str]:
    """Return the command of `verb`, in whose words `FIRST` becomes the id of the first image."""
    import h5py

    words = COMMANDS[verb]
    if "FIRST" not in words:
        return words
    with h5py.File(folder / "mocks.h5") as file:
        first = file["ids"][0].decode()
    return [first if word == "FIRST" else word for word in words]


def run(server: Server, place: Path, inputs: Path, verb: str, **how: Any) -> Ended:
    """Run `verb` in `place`; `how` is as `Server.run` has it."""
    before = ("tests.public_server:ask", public_server().url) if verb == "fetch" else ()
    return server.run(place, words_of(verb, inputs), before=before, **how)


def fresh(inputs: Path, folder: Path) -> Path:
    """Return a new `folder` with the inputs in it, by links where they cannot be written."""
    shutil.copytree(inputs, folder, copy_function=os.link)
    return folder


def written(folder: Path, inputs: Path) -> dict[str, bytes]:
    """Return every file that is in `folder` and not among the inputs, less what only says when."""
    return {
        name: b"" if name.endswith(_TELLING) else _content(path)
        for name, path in _files(folder)
        if not (inputs / name).exists() and path.name not in _TIMED
    }


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() or (path.is_dir() and not any(path.iterdir())):
            yield path.relative_to(folder).as_posix(), path


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b"(an empty folder)"


def differences(found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """Return the names of files that are missing, too many or not the same bytes."""
    names = sorted(found.keys() | wanted.keys())
    return [name for name in names if found.get(name) != wanted.get(name)]


def sample(operations: Sequence[str], n: int, seed: int) -> list[int]:
    """Return `n` operations, counted from 1: a third of them among the last ten, few of them plain writes."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(1, len(operations) + 1)
    plain = np.array([name == "pw" for name in operations])
    pool = [numbers[-10:], numbers[~plain], numbers[~plain]]
    chosen = [int(rng.choice(pool[i % 3])) for i in range(n - 1)]
    return [*chosen, int(rng.choice(numbers))]


@dataclass(frozen=True)
class Whole:
    """What an uninterrupted command does: the files it writes, and its file operations."""

    files: dict[str, bytes]
    operations: list[str]


_WHOLE: dict[tuple[Path, str], Whole] = {}


def whole(server: Server, inputs: Path, place: Path, verb: str) -> Whole:
    """Return what `verb` writes when it is left alone, in a folder of another name than `place`."""
    if (inputs, verb) not in _WHOLE:
        elsewhere = place.with_name("left alone")
        ended = run(server, fresh(inputs, elsewhere), inputs, verb)
        assert ended.code == 0, (verb, ended.said)
        _WHOLE[inputs, verb] = Whole(written(elsewhere, inputs), ended.operations)
        shutil.rmtree(elsewhere)
    return _WHOLE[inputs, verb]


def stopped(
    server: Server, inputs: Path, place: Path, verb: str, kills: Sequence[tuple[int, int]], wanted: Whole
) -> tuple[list[str], list[str]]:
    """Stop `verb` in `place` once for each (operation, signal), then run it to its end, and once more.

    Returns
    -------
    refused : list of str
        What was said where a command that was not stopped did not end well.
    different : list of str
        Files that are not as `wanted`.
    """
    refused = []
    fresh(inputs, place)
    for operation, how in kills:
        ended = run(server, place, inputs, verb, kill=operation, how=how)
        # A signal that Python answers may come when nothing is left to do; a resumed command has less to do.
        if ended.code not in (0, -how, 75, 130):
            refused.append(f"{verb} {kills}: {ended.said}")
    for _ in range(2):
        ended = run(server, place, inputs, verb)
        if ended.code:
            refused.append(f"{verb} {kills}: {ended.said}")
    different = [f"{verb} {kills}: {name}" for name in differences(written(place, inputs), wanted.files)]
    shutil.rmtree(place)
    return refused, different
