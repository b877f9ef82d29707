"""Whatever a disk refuses, every verb says so in one sentence, exit 6, and does its work once it can."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from galshift.provenance import PART_FILES
from tests.every_verb import differences, fresh, sample, whole, words_of, written
from tests.file_operations import Ended, Server


def one_sentence(ended: Ended, *words: str) -> None:
    """Require exit 6, and one sentence of galshift's with `words`."""
    assert ended.code == 6, ended.said
    assert "Traceback" not in ended.said
    assert ended.said.count("galshift:") == 1, ended.said
    for word in words:
        assert word in ended.said


def half_written(folder: Path) -> list[str]:
    """Return what is left of files that were not written to their end, outside folders that go on with it."""
    return sorted(path.name for path in folder.rglob(PART_FILES))


# One of each kind of writer; the others write with the same.
_SEVERAL = ("simulate", "make-mocks folder", "pack shards", "predict shards", "train", "evaluate", "audit")


@pytest.mark.parametrize("verb", [*_SEVERAL, "inspect --save", "recipes cp", "run"])
def test_a_full_disk(tmp_path: Path, inputs: Path, server: Server, verb: str) -> None:
    place, words = tmp_path / "place", words_of(verb, inputs)
    wanted = whole(server, inputs, place, verb)
    fresh(inputs, place)
    for operation in sample(wanted.operations, 2, len(verb)):
        ended = server.run(place, words, fail=operation)
        if ended.code == 0:  # nothing that takes room came after it
            continue
        one_sentence(ended, "no space left")
        assert half_written(place) == []
    assert server.run(place, words).code == 0
    assert differences(written(place, inputs), wanted.files) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("verb", ["simulate", "make-mocks folder", "predict csv", "embed", "inspect --save"])
def test_a_folder_that_takes_nothing(
    tmp_path: Path, inputs: Path, server: Server, verb: str, number: int
) -> None:
    place = fresh(inputs, tmp_path / "place")
    ended = server.run(place, words_of(verb, inputs), denied=str(place), with_errno=number)
    one_sentence(ended, "read-only" if number == errno.EROFS else "may not be written")
    assert written(place, inputs) == {}


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
    one_sentence(ended)
    assert half_written(small_disk) == []
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert server.run(small_disk, words).code == 0
