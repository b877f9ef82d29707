"""Run commands in forked, already imported processes that die, or fail, at their n-th file operation.

A file operation is what audit hooks tell of and changes something: a file opened to be written, a
rename, a removal, a new folder, a change of mode or length; and, wrapped, every ``write``, ``fsync`` and
``pwrite`` through `os`.  Only those below the folder that the command runs in count.

As a program it is the server: it imports everything once, reads a job (one JSON line) at a time from stdin,
forks, runs it in the child, and answers with one JSON line.

`galshift` runs a command in such a fork only to have what it says and its exit code: it spares the seconds
in which a command of its own process would import torch.
"""

from __future__ import annotations

import errno
import functools
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TELL = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_WRAPPED = ("fsync", "pwrite", "ftruncate")
# What a full disk refuses; what is there can be renamed and removed.
GROWS = ("open", "os.mkdir", "os.link", "os.symlink", "write", "pwrite", "ftruncate", "fsync")

# Modules that verbs import when they need them: each fork has them already.
_LATER = (
    *("astropy.coordinates", "astropy.cosmology", "astropy.io.misc.yaml", "astropy.modeling.models"),
    *("astropy.nddata", "astropy.stats", "astropy.wcs", "jinja2", "matplotlib.backends.backend_agg"),
    *("matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg", "matplotlib.figure"),
    *("photutils.segmentation", "pyarrow.parquet", "requests", "scipy.stats", "skimage.measure"),
    *("sklearn.cluster", "sklearn.ensemble", "sklearn.impute", "sklearn.isotonic", "sklearn.manifold"),
)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    code : int
        Exit code, or minus the signal.
    said : str
        Its stderr.
    printed : str
        Its stdout, unless that went to a file that was named.
    operations : list of str
        The first two letters of each operation, in order.
    """

    code: int
    said: str
    printed: str
    operations: list[str]


class Server:
    """The process that has everything imported.  Close it when done.

    Parameters
    ----------
    environment : dict, optional
        Added to the environment; a value of None takes a variable away.  What depends on it when it is
        imported, as matplotlib does, is then left to each command.
    """

    def __init__(self, environment: dict[str, str | None] | None = None) -> None:
        merged = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.file_operations", *(() if environment is None else ("little",))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={key: value for key, value in merged.items() if value is not None},
        )

    def run(
        self,
        folder: Path,
        words: list[str],
        *,
        kill: int = 0,
        how: int = signal.SIGKILL,
        fail: int = 0,
        with_errno: int = errno.ENOSPC,
        denied: str = "",
        clock: float = 0.0,
        stdout: str = "",
        before: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> Ended:
        """Run ``galshift <words>`` in `folder` and return how it ended.

        Parameters
        ----------
        kill : int
            The operation, counted from 1, at which signal `how` is sent; 0 for none.
        fail : int
            The operation from which on everything that takes room raises `with_errno`; 0 for none.
        denied : str
            A folder in which every operation raises `with_errno`.
        clock : float
            Seconds since 1970 that the module `time` gives the command for now; 0 for the true time.
        stdout : str
            The file that its results are printed to, in place of `Ended.printed`.
        before : tuple of str
            A function, ``module:name``, and its words; the process calls it before the command begins.
        environment : dict, optional
            The whole environment of the command, in place of the server's.
        """
        job = {"folder": str(folder), "words": words, "kill": kill, "how": int(how)}
        job |= {
            "fail": fail,
            "errno": with_errno,
            "denied": denied and str(Path(denied).resolve()),
            "clock": clock,
            "stdout": stdout,
            "before": before,
            "environment": environment,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@functools.cache
def server() -> Server:
    """Return the one server of this process, started when it is first asked for."""
    return Server()


def galshift(folder: Path, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``galshift <words>`` in `folder` and return what ``subprocess.run`` would, text of both streams.

    The fork has the environment of this process, less its threads, with `environment` in it.
    """
    merged = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    texts = [str(word) for word in words]
    ended = server().run(folder, texts, environment=merged)
    return subprocess.CompletedProcess(["galshift", *texts], ended.code, ended.printed, ended.said)


def galshift_alone(folder: Path, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Do the same in a process that starts anew and imports what it needs, as a user's does."""
    return subprocess.run(
        [sys.executable, "-m", "galshift", *map(str, words)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _serve() -> None:
    """Answer jobs until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    _import_everything(_LATER if len(sys.argv) == 1 else ())
    for line in sys.stdin:
        answers.write(json.dumps(_forked(json.loads(line))) + "\n")
        answers.flush()


def _import_everything(later: tuple[str, ...] = _LATER) -> None:
    import pkgutil

    import galshift
    from galshift.verbs import STEPS

    for module in pkgutil.walk_packages(galshift.__path__, "galshift."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in STEPS.names():
        STEPS.get(name)
    for name in later:
        with suppress(ImportError):
            importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    # Else each fork would go through, and so copy, the memory of all these modules whenever it collects.
    gc.collect()
    gc.freeze()


def _forked(job: dict[str, Any]) -> dict[str, Any]:
    import tempfile

    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        child = os.fork()
        if not child:
            _child(job, *(file.fileno() for file in files))
        _, status = os.waitpid(child, 0)
        for file in files:
            file.seek(0)
        said, printed, names = (file.read().decode(errors="replace") for file in files)
        operations = [names[i : i + 2] for i in range(0, len(names), 2)]
        code = os.waitstatus_to_exitcode(status)
        return {"code": code, "said": said, "printed": printed, "operations": operations}


def _child(job: dict[str, Any], said: int, printed: int, counted: int) -> None:
    """Become the command; never returns."""
    os.chdir(job["folder"])
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(os.open(job["stdout"], os.O_WRONLY) if job["stdout"] else printed, 1)
    os.dup2(said, 2)
    if job["environment"] is not None:
        os.environ.clear()
        os.environ.update(job["environment"])
    sys.argv = ["galshift", *job["words"]]
    if job["clock"]:
        _set_clock(job["clock"])
    if job["before"]:
        module, _, name = job["before"][0].partition(":")
        getattr(importlib.import_module(module), name)(*job["before"][1:])
    code: Any = 70
    try:
        from galshift.__main__ import main

        _Watch(job, counted).start()
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _set_clock(now: float) -> None:
    """Let the module `time`, by which galshift, zipfile and gzip tell the time, say `now`.

    The classes of `datetime` are left alone: compiled modules are built on them when they are imported, and
    one that found another class there ended the process by signal 11.  What tells the time by them differs
    between two runs all the same, for the true time goes on.
    """
    import time

    real, shown = time.strftime, time.gmtime
    time.time = lambda: now
    time.gmtime = lambda *given: shown(*(given or (now,)))
    time.strftime = lambda form, *given: real(form, *(given or (shown(now),)))


class _Watch:
    """Counts the operations of this process, and stops it, or lets them fail."""

    def __init__(self, job: dict[str, Any], counted: int) -> None:
        self.job, self._counted, self._count, self._inside = job, counted, 0, False
        self._root = os.path.realpath(job["folder"])
        self._owner = os.getpid()
        self._write = os.write

    def start(self) -> None:
        sys.addaudithook(self._heard)
        for name in _WRAPPED:
            setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, real: Any) -> Any:
        def call(file: int, *rest: Any) -> Any:
            if isinstance(file, int):
                self._operation(name, os.readlink(f"/proc/self/fd/{file}"))
            return real(file, *rest)

        return call

    def _heard(self, event: str, words: tuple) -> None:
        if event == "open" and isinstance(words[2], int):
            if words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._operation(event, words[0])
        elif event in _TELL:
            self._operation(event, words[1] if event in ("os.rename", "os.link", "os.symlink") else words[0])

    def _operation(self, name: str, path: Any) -> None:
        if self._inside or os.getpid() != self._owner or not isinstance(path, str | bytes | os.PathLike):
            return
        self._inside = True
        try:
            where = os.path.realpath(os.fsdecode(path))
            if not where.startswith(self._root + os.sep):
                return
            self._count += 1
            self._write(self._counted, name.removeprefix("os.")[:2].encode())
            if self._count == self.job["kill"]:
                os.kill(os.getpid(), self.job["how"])
            full = self.job["fail"] and self._count >= self.job["fail"] and name in GROWS
            below = self.job["denied"]
            if full or (below and (where + os.sep).startswith(below + os.sep)):
                raise OSError(self.job["errno"], os.strerror(self.job["errno"]), os.fsdecode(path))
        finally:
            self._inside = False


if __name__ == "__main__":
    _serve()
