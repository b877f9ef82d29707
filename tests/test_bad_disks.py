"""Whatever a disk refuses, every verb says so in one sentence, exit 6, and does its work once it can."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from galshift.cli._app import names
from galshift.provenance import PART_FILES
from tests.every_verb import COMMANDS, SHOWN, differences, fresh, run, whole, words_of, written
from tests.file_operations import GROWS, Ended, Server

# The first two letters of each operation that a full disk refuses.
_GROWING = {name.removeprefix("os.")[:2] for name in GROWS}


def one_sentence(ended: Ended, what: str = "", *, verb: str) -> None:
    """Require exit 6, and one sentence of galshift's that says `what`, and where: an output of `verb`."""
    assert ended.code == 6, ended.said
    assert "Traceback" not in ended.said
    (said,) = [line for line in ended.said.splitlines() if line.startswith("galshift:")]
    assert what in said
    place = {"run": "(runs|small.lock.json|small.constraints.txt)", "fetch": "(out|cache)"}.get(verb, "out")
    assert re.match(f"galshift: .*{place}.*: ", said), said


def half_written(folder: Path) -> list[str]:
    """Return what is left of files that were not written to their end, outside folders that go on with it."""
    return sorted(path.name for path in folder.rglob(PART_FILES))


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_full_disk(tmp_path: Path, inputs: Path, server: Server, verb: str) -> None:
    place = tmp_path / "place"
    wanted = whole(server, inputs, place, verb)
    fresh(inputs, place)
    growing = [i + 1 for i, name in enumerate(wanted.operations) if name in _GROWING]
    rng = np.random.default_rng(len(verb))
    for operation, number in zip(rng.choice(growing, 2), (errno.ENOSPC, errno.EDQUOT), strict=True):
        ended = run(server, place, inputs, verb, fail=int(operation), with_errno=number)
        if number == errno.EDQUOT and ended.code == 0:
            break  # what was done already is not done again: fewer operations were left
        one_sentence(ended, "no space left" if number == errno.ENOSPC else "quota", verb=verb)
        assert half_written(place) == []
    ended = run(server, place, inputs, verb)
    assert ended.code == 0, ended.said
    assert differences(written(place, inputs), wanted.files) == []


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_folder_that_takes_nothing(tmp_path: Path, inputs: Path, server: Server, verb: str) -> None:
    place = fresh(inputs, tmp_path / "place")
    for number in (errno.EROFS, errno.EACCES):
        ended = run(server, place, inputs, verb, denied=str(place), with_errno=number)
        one_sentence(ended, "read-only" if number == errno.EROFS else "may not be written", verb=verb)
        assert written(place, inputs) == {}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_what_is_printed_to_a_full_disk(
    tmp_path: Path, inputs: Path, server: Server, words: list[str]
) -> None:
    ended = server.run(fresh(inputs, tmp_path / "place"), words, stdout="/dev/full")
    assert ended.code == 6, ended.said
    assert "Traceback" not in ended.said
    assert ended.said.count("no space left") == 1


def test_every_verb_is_in_a_list() -> None:
    # Other tests of the same process register steps of their own.
    own = {name for name in names() if not name.startswith("toy")}
    assert {words[0] for words in (*COMMANDS.values(), *SHOWN)} == own


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount")
    made = mounted and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("a file system may not be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


#: Verb to the room [bytes] that it finds.
SMALL = {
    "simulate": 20_000,
    "make-mocks folder": 60_000,
    "predict csv": 4_000,
    "predict": 8_000,
    "train": 60_000,
    "embed": 60_000,
    "pack shards": 90_000,
    "evaluate": 40_000,
}


@pytest.mark.parametrize("verb", SMALL)
def test_a_small_disk(tmp_path: Path, inputs: Path, server: Server, small_disk: Path, verb: str) -> None:
    for path in inputs.iterdir():
        (small_disk / path.name).symlink_to(path)
    ballast = small_disk / "ballast"
    room = os.statvfs(small_disk)
    ballast.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - SMALL[verb])))
    words = words_of(verb, inputs)
    ended = server.run(small_disk, words)
    one_sentence(ended, verb=verb)
    assert half_written(small_disk) == []
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert server.run(small_disk, words).code == 0
