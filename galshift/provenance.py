"""Where a result came from: content hashes, fingerprints, the environment, and atomic writes."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import shlex
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import galshift
from galshift.bounds import plain_file
from galshift.errors import DataError
from galshift.machine import machine_fault

_T = TypeVar("_T")
_HASHES: dict[bytes, bytes] = {}
# Names that atomic_path writes under; what a killed process leaves behind.
PART_FILES = ".*.part*"
_PIDS = 10_000_000  # more than there can be
_PACKAGES = ("numpy", "scipy", "astropy", "photutils", "h5py", "scikit-learn", "torch")
# What draws figures, reads pictures and tables or holds networks of others.  It is in the manifest, not in
# the products themselves, whose bytes do not depend on it.
_BESIDE = ("matplotlib", "pillow", "scikit-image", "pyarrow", "timm", "umap-learn")


def canonical_json(value: Any) -> str:
    """Return `value` as JSON whose text depends on its content only (sorted keys, no spaces, no NaN)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


def content_sha256(path: str | Path) -> str:
    """Return the sha256 of a file, or of a folder's sorted relative names and file hashes.

    Hashes are remembered in this process by (path, size, modification time) of the file, or of all files of
    the folder together: one entry, for there may be 10^5 of them.
    """
    path = Path(path)
    if path.is_dir():
        names, known = _files_below(path), hashlib.blake2b(b"folder", digest_size=16)
        known.update(os.path.realpath(path).encode("utf-8", "surrogateescape"))
        for name in names:
            known.update(_stamp(path / name))
        key = known.digest()
        if key not in _HASHES:
            digest = hashlib.sha256()
            for name in names:
                said = f"{name.replace(os.sep, '/')}\0{_file_sha256(path / name).hex()}\n"
                digest.update(said.encode("utf-8", "surrogateescape"))
            _HASHES[key] = digest.digest()
        return _HASHES[key].hex()
    plain_file(path, empty=True)  # a pipe would never end
    key = hashlib.blake2b(_stamp(path), digest_size=16).digest()
    if key not in _HASHES:
        _HASHES[key] = _file_sha256(path)
    return _HASHES[key].hex()


def _stamp(path: Path) -> bytes:
    stat = path.stat()
    known = repr((os.path.realpath(path), stat.st_size, stat.st_mtime_ns))
    return known.encode("utf-8", "surrogateescape")


def _file_sha256(path: Path) -> bytes:
    plain_file(path, empty=True)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def fingerprint(
    kind: str,
    version: int,
    parameters: Mapping[str, Any],
    *,
    upstream: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> str:
    """Return the sha256 that names a step's result.

    Parameters
    ----------
    kind, version
        The step's name, and the integer that is raised when its numbers change.
    parameters : mapping
        Resolved parameters that can change a number; nothing for display, paths or workers.
    upstream, inputs : mapping of str to str
        Fingerprints of earlier steps, and content hashes of external inputs, by role.
    """
    parts = {
        "kind": kind,
        "version": version,
        "parameters": parameters,
        "upstream": upstream or {},
        "inputs": inputs or {},
    }
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def environment() -> dict[str, Any]:
    """Return versions of what can change a number or a figure, the host's kind and the time (UTC)."""
    return {
        **all_software(),
        "platform": platform.platform(),
        "command": _command(),
        "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def software() -> dict[str, Any]:
    """Return the versions alone, for what must be the same bytes whenever and however it is made again."""
    return {
        "galshift": galshift.__version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def all_software() -> dict[str, Any]:
    """Return the versions with those of what draws figures, reads tables or holds networks of others.

    What of it is not installed is left out: a run that needed it would not have come to its end.
    """
    made = software()
    beside = {name: version for name in _BESIDE if (version := _version(name))}
    return {**made, "packages": {**made["packages"], **beside}}


def command_line() -> str:
    """Return what was typed, ready to paste into a shell; empty when galshift was called from Python."""
    command = _command()
    return shlex.join(command) if command[0] == "galshift" else ""


def _command() -> list[str]:
    """The program and its words; `python -m galshift` is the same program as `galshift`."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return [name, *sys.argv[1:]]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it on success and vanishes on failure.

    The file is flushed to disk before the rename, so that a crash leaves the old file or the new one.

    Raises
    ------
    ResourceError
        When the disk is full, read-only, ...; it names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers choose the format (.fits.gz, .h5, .npz) by it.
    temporary = path.with_name(f".{path.stem}.{_host() + os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # some writers make files that only their owner may read
        os.replace(temporary, path)
    except Exception as error:
        fault = machine_fault(error)
        if fault is None or fault is error:
            raise
        fault.where = str(path)
        raise fault from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder` that takes its place when it is whole, and vanishes on failure."""
    unfinished = folder.with_name(f".{folder.stem}.{_host() + os.getpid()}.part{folder.suffix}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if folder.is_dir():
            shutil.rmtree(folder)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_dead_parts(path: Path) -> None:
    """Remove what processes of this machine that are no more left half-written of the file `path`."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}.*.part{glob.escape(path.suffix)}"):
        number = left.name.removeprefix(f".{path.stem}.").removesuffix(f".part{path.suffix}")
        if number.isdecimal() and int(number) // _PIDS * _PIDS == _host() and not _lives(int(number) % _PIDS):
            left.unlink(missing_ok=True)


def remove_tree(folder: Path, last: Sequence[str] = ()) -> None:
    """Remove a folder, the files named `last` after all others: what says whose it is goes at the end."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name in last:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    for name in last:
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left half-written below a folder that no process writes."""
    for left in sorted(folder.rglob(PART_FILES)):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically; NaN becomes null."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(jsonable(value), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_record(path: Path, what: str, made: Callable[[Any], _T]) -> _T | None:
    """Return what `made` makes of a JSON file that galshift wrote; None where there is no such file.

    Parameters
    ----------
    path : Path
    what : str
        The sentence of the error, such as "the run's record of its data is damaged".
    made : callable
        Takes the document.

    Raises
    ------
    DataError
        When the file is no JSON, or `made` finds in it what is not there or of another kind.
    """
    if not path.is_file():
        return None
    try:
        return made(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(what, where=path) from error


def jsonable(value: Any) -> Any:
    """Return `value` as plain Python: arrays as lists, paths as text, non-finite floats as None."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def _host() -> int:
    """A number of this machine, to which that of a process is added: others may write to the same disk."""
    return zlib.crc32(platform.node().encode()) % 10_000 * _PIDS


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is another user's
    return True


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _files_below(folder: Path) -> list[str]:
    """Return the names of the files below a folder, sorted by their parts; hidden ones are passed over."""
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(place, folder)
        found += [
            name if below == "." else os.path.join(below, name)
            for name in names
            if not name.startswith(".") and os.path.isfile(os.path.join(place, name))
        ]
    return sorted(found, key=lambda name: name.replace(os.sep, "\0"))
