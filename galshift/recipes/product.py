"""A product at OUT: made whole in a hidden folder beside it, then published by renames alone.

The folder ``.OUT.work`` belongs to one fingerprint.  When everything is complete in it, manifest included, a
list of what is to be published is written there; then the products are renamed to their places, the manifest
last.  Whenever the process is killed, the same command either goes on with the work or ends the publishing.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from galshift.errors import ConfigError, GalshiftError
from galshift.machine import machine_fault
from galshift.provenance import content_sha256, remove_tree, write_json
from galshift.recipes.inputs import manifest_beside
from galshift.rundirectory import BOOKKEEPING, RunDirectory

_FINISHED = "finished.json"
_STAGED = "product"


class Product:
    """What a command makes at OUT, and where it stands meanwhile.

    Parameters
    ----------
    kind, fingerprint : str
        Of the step.
    out : Path
        As typed.
    paths : sequence of Path
        Everything that the step writes, beside `out` or `out` itself.

    Attributes
    ----------
    work : Path
        The hidden folder.
    staged : Path
        What the step is to write in place of `out`.
    """

    def __init__(self, kind: str, fingerprint: str, out: Path, paths: Sequence[Path]) -> None:
        self.kind, self.fingerprint, self.out = kind, fingerprint, out
        self.work = out.with_name(f".{out.name}.work")
        self.staged = self.work / _STAGED / out.name
        self._manifest = manifest_beside(out)
        self._names = [path.name for path in paths]

    def results(self) -> dict[str, Any] | None:
        """Return the results of the product that stands at `out`, or None when it is not this one."""
        known = _read(self._manifest)
        if known.get("fingerprint") != self.fingerprint or not self._intact(known):
            return None
        if self.work.is_dir():  # a kill between the last rename and its removal
            with suppress(OSError, GalshiftError):  # in an archive that is read-only it stays
                self._remove()
        return known["results"]

    @property
    def made(self) -> bool:
        """Whether all is complete in the hidden folder, and only its publishing is left to do."""
        return self._mine() and bool(_read(self.work / _FINISHED))

    def require_free(self, overwrite: bool) -> None:
        """Raise ConfigError where something else stands at a place of the product; see `made` first.

        What this command made there itself, when another of its products is gone, is nothing else.
        """
        own = self._left()
        places = [self.out.with_name(name) for name in self._names if name not in own]
        standing = [path for path in places if _stands(path)]
        if standing and not overwrite:
            raise ConfigError(
                "the output already exists and is not what this command makes",
                where=standing[0],
                hint="choose another name, or --overwrite to move it aside",
            )

    @contextmanager
    def opened(self, config: Mapping[str, Any]) -> Iterator[RunDirectory]:
        """Open the hidden folder, which this process alone writes; errors name the places at `out`."""
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            if (self.work / "run.json").is_file() and not self._mine():
                RunDirectory(self.work, self.kind, self.fingerprint).remove()
            with RunDirectory.open(
                self.work, kind=self.kind, fingerprint=self.fingerprint, config=config
            ) as run:
                if not self.made:
                    shutil.rmtree(self.staged.parent, ignore_errors=True)
                    self.staged.parent.mkdir()
                yield run
        except (GalshiftError, OSError) as error:
            fault = machine_fault(error) or error
            if isinstance(fault, GalshiftError):
                fault.what = fault.what.replace(f"{self.staged.parent}{os.sep}", f"{self.out.parent}{os.sep}")
                fault.where = None if fault.where is None else self._told(str(fault.where))
            if fault is error:
                raise
            raise fault from error

    def finish(self, account: Mapping[str, Any], *, overwrite: bool) -> None:
        """Write the manifest beside what was made, and the list of what is to be published.

        Parameters
        ----------
        account : mapping
            The manifest, but for the ``outputs``.
        overwrite : bool
            Whether what stands at `out` may be moved aside.
        """
        outputs = {}
        for name in self._names:
            path = self.staged.with_name(name)
            outputs[name] = {
                "bytes": path.stat().st_size if path.is_file() else None,
                "sha256": content_sha256(path),
            }
        write_json(self.staged.with_name(self._manifest.name), {**account, "outputs": outputs})
        listed = {"publish": [*self._names, self._manifest.name], "overwrite": overwrite}
        write_json(self.work / _FINISHED, listed)

    def publish(self, *, overwrite: bool) -> dict[str, Any]:
        """Rename everything to its place, the manifest last, remove the hidden folder, return the results."""
        listed, own = _read(self.work / _FINISHED), self._left()
        left = [name for name in listed["publish"] if self.staged.with_name(name).exists()]
        self._names = [name for name in left if name != self._manifest.name]
        self.require_free(overwrite or listed["overwrite"])
        for name in left:
            place = self.out.with_name(name)
            if place.is_dir() and not _stands(place):
                place.rmdir()
            elif _stands(place) and name not in own:
                place.rename(_aside(place))
            elif place.is_dir():
                remove_tree(place)
            self.staged.with_name(name).rename(place)
        self._remove()
        return _read(self._manifest)["results"]

    def _mine(self) -> bool:
        return _read(self.work / "run.json").get("fingerprint") == self.fingerprint

    def _left(self) -> set[str]:
        """The products that stand as this command made them, and its manifest."""
        known = _read(self._manifest)
        if known.get("fingerprint") != self.fingerprint:
            return set()
        left = {name for name in known.get("outputs", {}) if self._as_recorded(name, known)}
        return {*left, self._manifest.name}

    def _intact(self, manifest: Mapping[str, Any]) -> bool:
        """Tell whether the products that `manifest` lists are there with the bytes it recorded."""
        return all(self._as_recorded(name, manifest) for name in manifest.get("outputs", {}))

    def _as_recorded(self, name: str, manifest: Mapping[str, Any]) -> bool:
        place = self.out.with_name(name)
        return place.exists() and content_sha256(place) == manifest["outputs"][name]["sha256"]

    def _remove(self) -> None:
        # Whose it is goes last: what a kill leaves of it is still known.
        remove_tree(self.work, (_FINISHED, *BOOKKEEPING, "run.json"))

    def _told(self, where: str) -> str:
        """Return the place at `out` for one in the hidden folder."""
        inside = f"{self.staged.parent}{os.sep}"
        if where.startswith(inside):
            return str(self.out.parent / where[len(inside) :])
        return str(self.out) if where.startswith(f"{self.work}{os.sep}") or where == str(self.work) else where


def _stands(path: Path) -> bool:
    """Tell whether something is at `path` that may not be replaced; an empty folder may."""
    return path.is_symlink() or (any(path.iterdir()) if path.is_dir() else path.exists())


def _aside(path: Path) -> Path:
    """Return an unused name for what stands at `path`."""
    stamp, number = time.strftime("%Y%m%dT%H%M%S"), 1
    aside = path.with_name(f"{path.name}.old-{stamp}")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.old-{stamp}-{number}")
    return aside


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
