"""One writer for a folder: a lock that says who holds it and since when.

``.lock`` in the folder is locked by ``flock``, which ends with its process however that dies; what stands in
the file is for people.  Where the file system has no such locks, ``.lock.soft`` stands for one while its
owner lives: it is taken over when the process that it names is no more, which can be told on its host alone.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from galshift.console import say
from galshift.errors import ResourceError

HARD, SOFT, CLEARING = ".lock", ".lock.soft", ".lock.soft.clearing"
#: What a lock leaves in its folder.
FILES = (HARD, SOFT, CLEARING)

# What flock says on file systems without locks (some network and cluster file systems).
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_LONGEST = 300  # characters of a command line that are shown
_CLEARING_S = 60.0  # how long it can last at most to take a dead process's lock away


class Lock:
    """A lock that is held; :meth:`release` gives it up."""

    def __init__(self, place: Path, descriptor: int | None) -> None:
        self.place, self._descriptor, self._pid = place, descriptor, os.getpid()

    def release(self) -> None:
        """Give the lock up; a forked child has none to give."""
        if self._pid != os.getpid():
            return
        if self._descriptor is None:
            self.place.unlink(missing_ok=True)
            return
        with suppress(OSError):  # the text is for people: a lock without it is one too
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def acquire(folder: Path) -> Lock:
    """Return the lock of `folder`, at once.

    Raises
    ------
    ResourceError
        When another process holds it; the sentence says which one, where, and since when.
    """
    try:
        return _hard(folder)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    lock = _soft(folder)
    say(f"{folder}: this file system has no locks; a file stands in for one meanwhile")
    return lock


def _hard(folder: Path) -> Lock:
    try:
        import fcntl
    except ImportError:  # Windows
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    place = folder / HARD
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise _held(folder, _read(place)) from None
        raise
    with suppress(OSError):  # a full disk does not make the lock less of one
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _account(), 0)
    return Lock(place, descriptor)


def _soft(folder: Path) -> Lock:
    place = folder / SOFT
    for _ in range(2):
        try:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            holder = _read(place)
            if not _gone(holder) or not _cleared(place, holder):
                raise _held(folder, holder, place) from None
            continue
        try:
            os.write(descriptor, _account())
        finally:
            os.close(descriptor)
        return Lock(place, None)
    raise _held(folder, _read(place), place)


def _cleared(place: Path, holder: dict[str, Any]) -> bool:
    """Take a dead process's lock away; False where another process is at it, or was quicker.

    One at a time does so, by a file of its own: a lock that was read as dead may be of another by the time
    it is removed, and where it is put aside to be looked at, a third process would find none.
    """
    turn = place.with_name(CLEARING)
    try:
        os.close(os.open(turn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        with suppress(FileNotFoundError):
            if time.time() - turn.stat().st_mtime > _CLEARING_S:  # its process was killed at it
                turn.unlink()
        return False
    try:
        mine = _read(place) == holder
        if mine:
            place.unlink()
        return mine
    finally:
        turn.unlink(missing_ok=True)


def _account() -> bytes:
    """Return who holds a lock from now on, as it is written in its file."""
    program = Path(sys.argv[0]).name if sys.argv else "python"
    name = "galshift" if program in ("galshift", "__main__.py") else program or "python"
    known = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "began": _began(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "command": shlex.join([name, *sys.argv[1:]]),
    }
    return json.dumps(known).encode()


def _began(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks: it tells it from a later one of the same number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _gone(holder: dict[str, Any]) -> bool:
    """Return whether the process that holds a soft lock is known to be no more."""
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is there, and someone else's
    began = _began(pid)
    return began is not None and holder.get("began") is not None and began != holder["began"]


def _read(place: Path) -> dict[str, Any]:
    """Return what a lock says of its holder; empty where it says nothing that can be read."""
    for _ in range(10):  # its holder may be about to write it
        with suppress(OSError, ValueError):
            known = json.loads(place.read_text(encoding="utf-8"))
            if isinstance(known, dict):
                return known
        time.sleep(0.02)
    return {}


def _held(folder: Path, holder: dict[str, Any], soft: Path | None = None) -> ResourceError:
    who = ""
    if holder:
        command = _plain(holder.get("command"))[:_LONGEST]
        who = (
            f": process {_plain(holder.get('pid'))} on {_plain(holder.get('host'))}, since "
            f"{_plain(holder.get('since'))} ({command})"
        )
    hint = "wait for it, or choose another output"
    if soft is not None:
        hint += f"; if it is no more, remove {soft}"
    return ResourceError(f"another process is writing this run{who}", where=folder, hint=hint)


def _plain(value: object) -> str:
    """Return text of a file that others can write, fit for one line of a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(value))
