"""Finish the step at hand when the user or the scheduler asks to stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType

CAUGHT = ("SIGINT", "SIGTERM", "SIGUSR1")


class StopRequest:
    """While open, notes SIGINT, SIGTERM and SIGUSR1 instead of dying of them.

    A second Ctrl-C stops at once.  Outside the main thread, where Python cannot catch signals, it does
    nothing.

    Attributes
    ----------
    name : str or None
        The signal received.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for name in CAUGHT:
                number = getattr(signal, name, None)
                if number is not None:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
