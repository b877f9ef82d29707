"""Nothing needs a home: not one that is not set, not one that cannot be made, not one that is read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.every_verb import fresh, words_of
from tests.file_operations import Server

# What each HOME is tried with: the one that cannot be made with all, the others with what keeps most.
_COMMANDS = {
    "unset": ("train", "make-mocks folder"),
    "not to be made": ("train", "adapt", "evaluate", "predict", "embed", "make-mocks folder"),
    "read-only": ("evaluate", "make-mocks folder"),
}
_THEN = (["inspect", "out"], ["run", "quickstart", "--dry-run"], ["doctor"])


@pytest.fixture
def home(kind: str, tmp_path: Path) -> Iterator[str | None]:
    """A HOME that is no use."""
    place = tmp_path / "home"
    if kind == "unset":
        yield None
    elif kind == "not to be made":
        place.write_text("a file")
        yield str(place / "of mine")
    else:
        place.mkdir()
        yield from _read_only(place)


def _read_only(place: Path) -> Iterator[str]:
    """Yield `place` with empty caches in it, where nothing can be written; for root that takes a mount."""
    root = os.geteuid() == 0
    if root:
        mount = shutil.which("mount")
        if (
            not mount
            or subprocess.run([mount, "-t", "tmpfs", "tmpfs", place], capture_output=True).returncode
        ):
            pytest.skip("a file system may not be mounted here")
    folders = [place / name for name in (".cache/galshift/index", ".config/matplotlib", ".astropy/cache")]
    for folder in folders:
        folder.mkdir(parents=True)
    if root:
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    else:
        for folder in [*folders, *place.iterdir(), place]:
            folder.chmod(0o500)
    yield str(place)
    if root:
        subprocess.run(["umount", place], check=True)
    else:
        for folder in [place, *place.rglob("*")]:
            folder.chmod(0o700)


@pytest.mark.parametrize("kind", _COMMANDS)
def test_nothing_needs_a_home(
    tmp_path: Path, inputs: Path, kind: str, home: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    taken = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"))
    server = Server(taken | {"HOME": home})
    every = [words_of(verb, inputs) for verb in _COMMANDS[kind]]
    try:
        for words in (*every, *_THEN):
            place = tmp_path / "place"
            if words not in _THEN and place.exists():
                shutil.rmtree(place)
            if not place.exists():
                fresh(inputs, place)
            ended = server.run(place, words)
            assert ended.code == 0, ended.said
            told = ended.said.lower().splitlines()
            # Of twelve galaxies there are few of any class, and that is said.
            said = [line for line in told if "input" not in line and "too few to" not in line]
            for word in ("warning", "cache", "matplotlib", "home"):
                assert not any(word in line for line in said), ended.said
    finally:
        server.close()
    assert capfd.readouterr().err == ""
