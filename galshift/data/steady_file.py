"""A file for HDF5 to write through, which never fails under its hands.

The HDF5 library cannot close a file whose disk is full: it leaves it open, and ends the interpreter with a
segmentation fault.  Here a write that fails, and every write after it, is held in memory, so that HDF5 ends
well; the error is raised afterwards by `check`, and the file is thrown away by its owner.
"""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold signals back until the block ends: an exception raised by one must not pass through HDF5."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in before.items() if handler is not None}
    for number in before:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)


class SteadyFile:
    """A new file, with the methods that h5py's ``fileobj`` driver calls.

    Use it as a context; the file is closed at its end.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    error : OSError or None
        What the file system said first.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.error: OSError | None = None
        self._file = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o666
        )
        self._place = self._end = 0
        self._held: list[tuple[int, bytes]] = []

    def __enter__(self) -> SteadyFile:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._file)

    def check(self) -> None:
        """Raise what went wrong, if anything did; its ``filename`` is the file."""
        if self.error is not None:
            raise OSError(
                self.error.errno, os.strerror(self.error.errno or 0), str(self.path)
            ) from self.error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to `offset` from the start, from here or from the end, and return the place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._end}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes from the place on."""
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` from the place on, as far as the file goes, and return the number of bytes."""
        view = memoryview(buffer).cast("B")
        n = max(0, min(len(view), self._end - self._place))
        found = os.preadv(self._file, [view[:n]], self._place) if n else 0
        view[found:n] = bytes(n - found)
        for start, held in self._held:
            first, last = max(start, self._place), min(start + len(held), self._place + n)
            if first < last:
                view[first - self._place : last - self._place] = held[first - start : last - start]
        self._place += n
        return n

    def write(self, data: memoryview) -> int:
        """Write at the place and return the number of bytes, all of them whatever the disk says."""
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                done = 0
                while done < len(view):
                    done += os.pwrite(self._file, view[done:], self._place + done)
            except OSError as error:
                self.error = error
        if self.error is not None:
            self._held.append((self._place, bytes(view)))
        self._place += len(view)
        self._end = max(self._end, self._place)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Make the file `size` bytes long."""
        self._end = self._place if size is None else size
        if self.error is None:
            try:
                os.ftruncate(self._file, self._end)
            except OSError as error:
                self.error = error
        return self._end

    def flush(self) -> None:
        """Do nothing: nothing is buffered here."""
