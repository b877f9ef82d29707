"""Runs that commit 499a758 finished are still known by the same commands: their fingerprints are a contract.

One default moved since, that of ``training.class_weights``: what it was is said in the commands.

``finished/`` holds what that commit wrote (manifest, config and state; networks and pages are left out) for
two arrays of drawn galaxies, by the commands below.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.file_operations import galshift, galshift_alone

FINISHED = Path(__file__).parent / "finished"
READ = ["--unit", "nJy", "--pixel-scale", "0.4"]
THEN = ["--set", "training.class_weights=none"]
COMMANDS = {
    "train-d088b039": ["train", "deep.npz", "--epochs", "1", *READ, *THEN],
    "adapt-b609aed3": ["adapt", "deep.npz", "wide.npz", "--method", "mmd", "--epochs", "1", *READ, *THEN],
    "gap-dea26502": ["gap", "deep.npz", "wide.npz", *READ],
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_finished_run_of_the_first_version_is_skipped(tmp_path: Path, name: str) -> None:
    shutil.copytree(FINISHED, tmp_path, dirs_exist_ok=True)
    type_it = galshift_alone if name.startswith("gap") else galshift
    done = type_it(tmp_path, *COMMANDS[name])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"runs/{name}"
    assert f"runs/{name} is there already; nothing to do" in done.stderr
