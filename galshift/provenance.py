"""Where a result came from: content hashes, fingerprints, the environment, and atomic writes."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import galshift
from galshift.bounds import plain_file
from galshift.machine import machine_fault

_HASHES: dict[bytes, bytes] = {}
# Names that atomic_path writes under; what a killed process leaves behind.
PART_FILES = ".*.part*"
_PACKAGES = ("numpy", "scipy", "astropy", "photutils", "h5py", "scikit-learn", "torch")


def canonical_json(value: Any) -> str:
    """Return `value` as JSON whose text depends on its content only (sorted keys, no spaces, no NaN)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


def content_sha256(path: str | Path) -> str:
    """Return the sha256 of a file, or of a folder's sorted relative names and file hashes.

    File hashes are remembered in this process by (path, size, modification time).
    """
    path = Path(path)
    if path.is_dir():
        digest = hashlib.sha256()
        for name in _files_below(path):
            said = f"{name.replace(os.sep, '/')}\0{content_sha256(path / name)}\n"
            digest.update(said.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    plain_file(path, empty=True)  # a pipe would never end
    stat = path.stat()
    known = repr((os.path.realpath(path), stat.st_size, stat.st_mtime_ns))
    key = hashlib.blake2b(known.encode("utf-8", "surrogateescape"), digest_size=16).digest()
    if key not in _HASHES:
        with path.open("rb") as stream:
            _HASHES[key] = hashlib.file_digest(stream, "sha256").digest()
    return _HASHES[key].hex()


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
    """Return versions of everything that can change a number, the host's kind and the time (UTC)."""
    return {
        "galshift": galshift.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "command": _command(),
        "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


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
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
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


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically; NaN becomes null."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(jsonable(value), indent=2, allow_nan=False) + "\n", encoding="utf-8")


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
