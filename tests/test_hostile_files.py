"""Files that attack: one sentence and exit 4, bounded time and memory, nothing else started or read."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest

from galshift.data.open import ReadOptions, open_dataset
from galshift.errors import GalshiftError
from tests.hostile import WRITERS

MOST_RSS = 600 << 20
MOST_SECONDS = 20


def opened(path: Path, **options: object) -> None:
    """Open a data set and read its first images, as `inspect` does."""
    dataset = open_dataset(path, ReadOptions(**options))
    dataset.read(np.arange(min(len(dataset), 4)))


def in_child(path: Path, folder: Path) -> tuple[int, str, int]:
    """Return exit status, what was said, and peak memory [bytes] of a forked process that opens `path`."""
    out = folder / "said.txt"
    pid = os.fork()
    if pid == 0:
        code, text = 0, ""
        try:
            # Bounds what a failure of this test could take, without deciding it.
            resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
            opened(path)
        except GalshiftError as error:
            code, text = error.exit_code, str(error)
        except BaseException as error:
            code, text = 1, repr(error)
        out.write_text(text, encoding="utf-8")
        os._exit(code)
    began = time.monotonic()
    while True:
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > MOST_SECONDS:
            os.kill(pid, 9)
            os.wait4(pid, 0)
            return -1, "it does not end", 0
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(status), out.read_text(encoding="utf-8"), used.ru_maxrss << 10


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_one_sentence_and_exit_4(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    code, said, peak = in_child(path, tmp_path)
    assert code == 4, f"{code}: {said}"
    assert "\n" not in said
    assert len(said) < 700
    assert said.isprintable()
    assert peak < MOST_RSS, f"{peak >> 20} MB: {said}"
    assert not (tmp_path / "owned").exists()
