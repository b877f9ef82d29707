"""Toy work for tests of work in pieces; workers import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from galshift.errors import ConfigError, DataError


class Odd(Exception):
    """An exception that cannot be built from its words."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def opened(job: str) -> Path:
    """Say in the folder `job` which process opened it."""
    (Path(job) / f"opened-{os.getpid()}-{time.monotonic_ns()}").touch()
    return Path(job)


def made(folder: Path, piece: int) -> tuple[int, int]:
    """Return the square of `piece` and who made it; some pieces die or err where `folder` says so."""
    attempts = folder / f"attempts-{piece}"
    attempts.touch()
    with attempts.open("a") as stream:
        stream.write("x")
    if piece == 3 and (folder / "kill-once").exists() and attempts.stat().st_size == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if piece == 4 and (folder / "kill-always").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if piece == 5 and (folder / "refuse").exists():
        raise DataError("it is broken", where="file 5", hint="mend it")
    if piece == 5 and (folder / "refuse-config").exists():
        raise ConfigError("it is wrong", problems=["here", "there"])
    if piece == 5 and (folder / "odd").exists():
        raise Odd("one", "two")
    if (folder / "slow").exists():
        time.sleep(30 if piece else 0)
    return piece * piece, os.getpid()
