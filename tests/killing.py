"""Kill a galshift command at random moments, type it again, and compare with a run that was left alone."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import galshift

# Small, with a checkpoint after nearly every step, so that a kill can fall anywhere.
OPTIONS = {
    "train": {"data": "sim.h5", "epochs": 40},
    "adapt": {"source": "sim.h5", "target": "sim.h5", "method": "dann", "epochs": 25},
}
QUICK = {"checkpoint_every": 0.02, "out": "run"}
SET = {"training.batch_size": 16, "training.patience": None}
# What must come out the same; a manifest holds times.
COMPARED = ("model.safetensors", "metrics.jsonl")


def make_data(folder: Path) -> None:
    """Simulate a few galaxies into ``sim.h5``."""
    folder.mkdir(parents=True, exist_ok=True)
    galshift.simulate(out=folder / "sim.h5", n=60, views=2, size=32)


def start(folder: Path, kind: str) -> subprocess.Popen:
    """Start the command `kind` in `folder`."""
    words = [kind]
    for name, value in {**OPTIONS[kind], **QUICK}.items():
        words += [value] if name in ("data", "source", "target") else [f"--{name.replace('_', '-')}", value]
    for name, value in SET.items():
        words += ["--set", f"{name}={'null' if value is None else value}"]
    return subprocess.Popen(
        [sys.executable, "-m", "galshift", *map(str, words), "-q"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path, kind: str) -> None:
    """Run the command to its end."""
    process = start(folder, kind)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said


def finish_here(folder: Path, kind: str) -> None:
    """Do the same as a Python function, in this process, which has torch loaded already."""
    with contextlib.chdir(folder):
        getattr(galshift, kind)(**OPTIONS[kind], **QUICK, set=SET)


def wait_until_it_trains(folder: Path, process: subprocess.Popen) -> None:
    """Return when a checkpoint is written that was not there before, or the process has ended."""
    before = _states(folder)
    while process.poll() is None and _states(folder) <= before:
        time.sleep(0.002)


def stop(
    folder: Path, kind: str, how: signal.Signals, rng: random.Random, *, within: float, training: bool = True
) -> int:
    """Start the command, signal it after a random time, and return how it ended.

    Parameters
    ----------
    within : float
        The most seconds to wait: after the first new checkpoint, or, without `training`, after the start.
    """
    process = start(folder, kind)
    if training:
        wait_until_it_trains(folder, process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(rng.uniform(0, within))
    process.send_signal(how)
    process.communicate(timeout=120)
    return process.returncode


def products(folder: Path) -> dict[str, bytes]:
    """Return the files of the run in `folder` that must repeat bit for bit."""
    run = folder / "run"
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.name in COMPARED
    }


def leftovers(folder: Path) -> list[str]:
    """Return files of a finished run that only an unfinished one needs."""
    run = folder / "run"
    patterns = (".*.part*", "state.safetensors", "best-*")
    return sorted(path.name for pattern in patterns for path in run.rglob(pattern))


def _states(folder: Path) -> set[tuple[str, int]]:
    """Every checkpoint file with its time."""
    found = set()
    for path in folder.glob("run/**/state.safetensors"):
        with contextlib.suppress(FileNotFoundError):
            found.add((path.as_posix(), path.stat().st_mtime_ns))
    return found
