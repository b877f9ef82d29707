"""A finished recipe as one file for others: what it gave, and all that is needed to do it again."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galshift.errors import ConfigError, DataError, GalshiftError
from galshift.locks import FILES as LOCK_FILES
from galshift.locks import acquire
from galshift.machine import machine_fault
from galshift.provenance import canonical_json, remove_tree
from galshift.recipes.archive import write_archive
from galshift.recipes.bibliography import bibtex, references
from galshift.recipes.data_cards import data_cards
from galshift.recipes.find import as_typed
from galshift.recipes.lock import constraints_path, lock_path, mismatches, read_lock, verify
from galshift.recipes.paths_of import portable
from galshift.recipes.plan import make_plan, runs_folder
from galshift.recipes.planned import Planned
from galshift.recipes.readme import readme
from galshift.recipes.run import require_intact
from galshift.recipes.schema import Recipe
from galshift.recipes.summary_page import FILES as SUMMARY
from galshift.report.page import KEPT
from galshift.report.paper import read, write

#: Files of a run that say what it found; pixels, weights and tables of images stay where they are.
_TOLD = (".json", ".jsonl", ".ecsv", ".tex", ".html", ".csv")
_NOT_TOLD = ("places.json", "run.json", "manifest.json")
_MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class Published:
    """What a published recipe holds.

    Attributes
    ----------
    path : Path
    n_members, n_steps : int
    bytes : int
    there_already : bool
        True when the same archive stood there.
    """

    path: Path
    n_members: int
    n_steps: int
    bytes: int
    there_already: bool


def publish(recipe: Recipe, path: Path, out: Path, *, folder: Path | None = None) -> Published:
    """Write a finished recipe with everything that belongs to it to the zip file `out`.

    Parameters
    ----------
    recipe : Recipe
    path : Path
        Its file.
    out : Path
    folder : Path, optional
        Where its run directories stand, if not ``runs/<recipe>`` beside it.

    Raises
    ------
    ConfigError
        When the recipe has not run to its end, or is not what its lock says.
    DataError
        When an output was changed, or another file stands at `out`.
    ResourceError
        When `out` cannot be written.
    """
    folder = runs_folder(recipe) if folder is None else folder
    plan = make_plan(recipe, folder=folder)
    lock = _finished(recipe, path, plan)
    with _workplace(out) as work:
        members = _members(recipe, path, plan, lock, folder, work)
        made = work / out.name
        about = {"recipe": recipe.name, "file": recipe.document.name}
        write_archive(made, members, about)
        same = out.is_file() and out.read_bytes() == made.read_bytes()
        if out.exists() and not same:
            raise DataError("another file of this name is there already", where=out, hint="give another name")
        size = made.stat().st_size
        if not same:
            _put(made, out)
    return Published(out, len(members) + 1, len(plan), size, same)


def _finished(recipe: Recipe, path: Path, plan: Mapping[str, Planned]) -> dict[str, Any]:
    """Return the lock of a recipe that is done and is what it says."""
    again = f"galshift run {shlex.quote(as_typed(path))}"
    left = [name for name, planned in plan.items() if not planned.done]
    if left:
        what = f"this recipe has not run to its end: {', '.join(left)}"
        raise ConfigError(what, where=recipe.document.name, hint=again)
    lock = read_lock(recipe)
    if not lock or not constraints_path(recipe).is_file():
        raise ConfigError("there is no lock to publish", where=lock_path(recipe), hint=again)
    if lines := mismatches(plan, lock):
        raise ConfigError(
            "the recipe is not what its lock says", where=lock_path(recipe), hint=again, problems=lines
        )
    require_intact([line for planned in plan.values() for line in verify(planned)])
    return lock


def _members(
    recipe: Recipe, path: Path, plan: Mapping[str, Planned], lock: Mapping[str, Any], folder: Path, work: Path
) -> dict[str, bytes]:
    """Return every member but the manifest, by name."""
    stem = Path(recipe.document.name).stem
    text, moved = portable(recipe, path.read_text(encoding="utf-8"))
    cards = data_cards(recipe, plan, moved)
    used = references(lock)
    texts = {
        f"{stem}.yaml": text,
        f"{stem}.lock.json": lock_path(recipe).read_text(encoding="utf-8"),
        f"{stem}.constraints.txt": constraints_path(recipe).read_text(encoding="utf-8"),
        "environment.json": _json({**lock["environment"], "devices": _devices(lock)}),
        "data.json": _json({"data": cards}),
        "references.bib": bibtex(used.values()),
        "README.md": readme(recipe, stem, plan, cards, used, lock),
    }
    members = {name: content.encode() for name, content in texts.items()}
    for planned in plan.values():
        place = planned.directory.name
        for name, content in _told(planned.directory):
            members[f"results/{place}/{name}"] = content
        if (planned.directory / KEPT).is_file():
            for name, content in _figures(planned.directory, work / "figures"):
                members[f"figures/{place}/{name}"] = content
    members |= {
        f"results/{name}": (folder / name).read_bytes() for name in SUMMARY if (folder / name).is_file()
    }
    here = [os.path.abspath(place) for place in (folder, recipe.base)]
    return {name: _without_places(content, here) for name, content in members.items()}


def _told(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        told = file.suffix in _TOLD and file.name not in _NOT_TOLD and not file.name.startswith(".")
        if told and file.is_file() and not file.is_symlink() and file.stat().st_size <= _MOST_BYTES:
            yield file.relative_to(folder).as_posix(), file.read_bytes()


def _figures(run: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Draw the figures of a run's page for a paper, and yield the files."""
    remove_tree(folder)
    folder.mkdir()
    for name in sorted(write(read(run), folder, form="pdf", width="column")):
        yield name, (folder / name).read_bytes()


def _devices(lock: Mapping[str, Any]) -> list[str]:
    return sorted({str(step["device"]) for step in lock["steps"].values() if step.get("device")})


def _without_places(content: bytes, folders: list[str]) -> bytes:
    """Return a member without the folders of this machine, which a command that was typed may name."""
    for folder in folders:
        if len(folder) > 1:
            content = content.replace(f"{folder}/".encode(), b"").replace(folder.encode(), b".")
    return content


def _json(value: Any) -> str:
    return json.dumps(json.loads(canonical_json(value)), indent=2, ensure_ascii=False) + "\n"


@contextmanager
def _workplace(out: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `out` for this process alone; what a killed one left in it goes first."""
    work = out.with_name(f".{out.name}.work")
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = acquire(work)
        try:
            for left in [one for one in work.iterdir() if one.name not in LOCK_FILES]:
                remove_tree(left) if left.is_dir() else left.unlink()
            yield work
        finally:
            with suppress(OSError):  # of a disk that takes no more, the error that led here is told
                remove_tree(work, LOCK_FILES)
            lock.release()
    except (OSError, GalshiftError) as error:
        fault = machine_fault(error)
        if fault is None:
            raise
        fault.where = str(out)
        if fault is error:
            raise
        raise fault from error


def _put(made: Path, out: Path) -> None:
    """Give the archive its name, once all of it is on the disk."""
    with made.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(made, out)
