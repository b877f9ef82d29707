"""A run directory: one result, its configuration, metrics, log and, last, its manifest.

``manifest.json`` is written last and by rename: its presence means the run is done.  The directory belongs
to one fingerprint; another configuration is refused unless the old directory is moved aside.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.errors import ConfigError, DataError
from galshift.locks import FILES as LOCK_FILES
from galshift.locks import Lock, acquire
from galshift.plain import plain
from galshift.provenance import (
    PART_FILES,
    atomic_path,
    content_sha256,
    environment,
    jsonable,
    remove_parts,
    remove_tree,
    write_json,
)

# What adapt is asked to choose a method by itself, what it compares with, and what it leaves in its folder.
AUTO = "auto"
BASELINE = "source-only"
JOINT = "source+labels"  # source and target labels together, and no alignment
CANDIDATES = "candidates"  # folder of the networks to choose from
SELECTION = "selection.json"  # how one was chosen

_STATE = "run.json"
# Where the data of a run lie on this machine: no part of its result, so that it is not hashed.
PLACES = "places.json"
# What a process writes before it says whose the directory is.
BOOKKEEPING = LOCK_FILES


class RunDirectory:
    """The folder that holds one run.

    Use :meth:`open` to create or resume one and :meth:`load` to read a finished one.

    Attributes
    ----------
    path : Path
    kind : str
        The verb or step that made it.
    fingerprint : str
        sha256 of everything that can change its numbers.
    """

    def __init__(self, path: Path, kind: str, fingerprint: str) -> None:
        self.path = path
        self.kind = kind
        self.fingerprint = fingerprint
        self._lock: Lock | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        kind: str,
        fingerprint: str,
        config: Mapping[str, Any],
        overwrite: bool = False,
    ) -> RunDirectory:
        """Create the directory, or take it up again when it holds the same fingerprint.

        Raises
        ------
        ConfigError
            When it holds another run and `overwrite` is false.
        ResourceError
            When another process is writing it; the sentence says which one, and since when.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise DataError("a file stands where the run directory should go", where=path)
        known = cls._state(path)
        run = cls(path, kind, fingerprint)
        if run.done and (known or {}).get("fingerprint") == fingerprint:
            return run  # nothing is written any more, so an archive may be read-only
        if cls._holds(path) and (known or {}).get("fingerprint") != fingerprint:
            if not overwrite:
                held = (
                    f"a run of {known['kind']} with another configuration"
                    if known
                    else "files that are not a run"
                )
                raise ConfigError(
                    f"the output directory already holds {held}",
                    where=path,
                    hint="choose another --out, or --overwrite to move it aside",
                )
            aside = path.with_name(f"{path.name}.old-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}")
            path.rename(aside)
        path.mkdir(parents=True, exist_ok=True)
        try:
            run._lock = acquire(path)
            if not run.done:
                remove_parts(path)
                write_json(path / _STATE, {"kind": kind, "fingerprint": fingerprint})
                run._write_config(config)
        except BaseException:
            run.close()
            raise
        return run

    def remove(self) -> None:
        """Remove a directory that nobody writes, whoever left it.

        Raises
        ------
        ResourceError
            When another process is writing it.
        """
        self._lock = acquire(self.path)
        self.discard()

    def discard(self) -> None:
        """Remove the directory, last of all what says whose it is: a removal that is stopped can be ended."""
        remove_tree(self.path, (*BOOKKEEPING, _STATE))
        self.close()

    @classmethod
    def load(cls, path: str | Path) -> RunDirectory:
        """Return a finished run.

        Raises
        ------
        DataError
            When `path` is not a run directory, or its run has not finished.
        """
        path = Path(path)
        known = cls._state(path)
        if known is None:
            raise DataError(
                "this is not a run directory" if path.exists() else "there is no such run directory",
                where=path,
                hint="give the folder that train or adapt printed",
            )
        run = cls(path, known["kind"], known["fingerprint"])
        if not run.done:
            raise DataError("this run has not finished", where=path, hint="repeat its command to resume it")
        return run

    @property
    def done(self) -> bool:
        """True once the manifest has been written."""
        return (self.path / "manifest.json").is_file()

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of a finished run.

        Raises
        ------
        DataError
            When it is damaged.
        """
        try:
            found = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not {"kind", "fingerprint"} <= set(found):
            raise DataError("the manifest of this run is damaged", where=self.path)
        return found

    def log(self, line: str) -> None:
        """Append one line, with the time in UTC, to ``log.txt``."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {plain(line)}\n")

    def record(self, row: Mapping[str, Any]) -> None:
        """Append one row to ``metrics.jsonl``."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(jsonable(row), allow_nan=False) + "\n")

    def finish(
        self, results: Mapping[str, Any], *, inputs: Mapping[str, str] | None = None, **details: Any
    ) -> None:
        """Write the manifest: what was made, from what, by which versions; the run is then done.

        Parameters
        ----------
        results : mapping
            Headline values of the run.
        inputs : mapping of str to str
            Content hash of each external input by its name.
        **details
            Further sections of the manifest (seeds, device, upstream fingerprints).
        """
        held = ("manifest.json", _STATE, PLACES, *LOCK_FILES)
        outputs = {
            file.relative_to(self.path).as_posix(): {
                "bytes": file.stat().st_size,
                "sha256": content_sha256(file),
            }
            for file in sorted(self.path.rglob("*"))
            if file.is_file() and file.name not in held and file.name != "log.txt"
        }
        write_json(
            self.path / "manifest.json",
            {
                "kind": self.kind,
                "fingerprint": self.fingerprint,
                "results": results,
                "inputs": inputs or {},
                "outputs": outputs,
                "environment": environment(),
                **details,
            },
        )
        self.close()

    def close(self) -> None:
        """Give up the lock; idempotent."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write_config(self, config: Mapping[str, Any]) -> None:
        import yaml

        with atomic_path(self.path / "config.yaml") as temporary:
            temporary.write_text(
                yaml.safe_dump(jsonable(config), sort_keys=False, allow_unicode=True), encoding="utf-8"
            )

    @staticmethod
    def _holds(path: Path) -> bool:
        """Tell whether anything stands at `path` but what a process leaves that is killed as it begins."""
        if not path.is_dir():
            return False
        return any(not (file.name in BOOKKEEPING or file.match(PART_FILES)) for file in path.iterdir())

    @staticmethod
    def _state(path: Path) -> dict[str, Any] | None:
        try:
            state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return state if isinstance(state, dict) and {"kind", "fingerprint"} <= set(state) else None
