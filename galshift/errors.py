"""Errors a user can cause, and the exit code each one ends with.

Raise the most specific class.  ``what`` is one plain sentence, ``where`` a file, key path, HDU or row, and
``hint`` what to do next.  Anything that is not a :class:`GalshiftError` is a bug in galshift (exit code 1).

=====================  =========  ==================================================================
class                  exit code  raise it when
=====================  =========  ==================================================================
UsageError             2          the command's words or option values cannot be understood
ConfigError            3          a recipe, a ``--set`` or a config file is invalid
DataError              4          data, or a checkpoint, is missing, unreadable or does not fit
NumericalError         5          a loss is not finite, or an ``expect`` of a recipe was missed
ResourceError          6          a device, memory, disk or lock is not to be had
Interrupted            75         the user or the scheduler stopped us and the run can be resumed
=====================  =========  ==================================================================
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from galshift.plain import plain


class GalshiftError(Exception):
    """A problem that the user can understand and mend.

    Parameters
    ----------
    what : str
        One sentence without a trailing full stop.
    where : str or path-like, optional
        The file (with line, HDU or row), key path or option concerned.
    hint : str, optional
        What to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = None, hint: str | None = None) -> None:
        # Much of it comes from files, and is shown in terminals, logs and reports.
        self.what = plain(what).replace("\n", " ")
        self.where = None if where is None else str(where)
        self.hint = None if hint is None else plain(hint)
        super().__init__(what)

    def __str__(self) -> str:
        # A file name may hold a line feed, which would begin a line of its own.
        name = plain(self.where or "").replace("\n", " ")
        place = f"{name}: " if name else ""
        advice = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.what}{advice}"


class UsageError(GalshiftError):
    """The command line cannot be understood."""

    exit_code = 2


class ConfigError(GalshiftError):
    """A recipe or configuration is invalid; ``problems`` holds every one found."""

    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        hint: str | None = None,
        problems: Iterable[str] = (),
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n  ".join([super().__str__(), *self.problems])


class DataError(GalshiftError):
    """Input data or a checkpoint is missing, unreadable or does not fit."""

    exit_code = 4


class NumericalError(GalshiftError):
    """A computation gave NaN or infinity, or a recipe's expectation was missed."""

    exit_code = 5


class ResourceError(GalshiftError):
    """A device, memory, disk space or lock is not available."""

    exit_code = 6


class Interrupted(GalshiftError):
    """Stopped by a signal after saving; the same command resumes."""

    exit_code = 75


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return a hint naming the closest allowed word, and the allowed words themselves."""
    names = sorted(allowed)
    close = difflib.get_close_matches(word, names, n=1)
    suggestion = f"did you mean '{close[0]}'? " if close else ""
    return f"{suggestion}known: {', '.join(names) if names else 'none'}"
