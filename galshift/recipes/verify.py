"""Check a published recipe: every file of it, then every step, done again in a folder that is thrown away."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from galshift.data.paths import is_there
from galshift.errors import ConfigError, DataError, NumericalError
from galshift.recipes.archive import read_archive
from galshift.recipes.data_cards import absent
from galshift.recipes.lock import SCHEMA as LOCK_SCHEMA
from galshift.recipes.lock import mismatches
from galshift.recipes.paths_of import named_paths, outside
from galshift.recipes.plan import make_plan
from galshift.recipes.read import read_recipe
from galshift.recipes.reproduced import Reproduced, compare, require_reproduced
from galshift.recipes.run import run_recipe
from galshift.recipes.schema import SCALES, TOY, Recipe, RecipeStep
from galshift.recipes.toy import toy_overrides
from galshift.verbs._base import Context


@dataclass
class Verified:
    """What held of a published recipe.

    Attributes
    ----------
    recipe : str
    n_members : int
        Files whose checksums are those of the manifest.
    full : bool
    n_steps, n_same : int
        Steps that ran, and those of them that are the published ones, not smaller.
    reproduced : Reproduced
        How those compare with the published lock.
    expectations : list of dict
        Those of the published steps.
    left_out : list of str
        Steps that did not run, for their data are not here.
    missing : list of str
        A sentence for each data set that is not here, or is another one.
    """

    recipe: str
    n_members: int
    full: bool
    n_steps: int = 0
    n_same: int = 0
    reproduced: Reproduced = field(default_factory=Reproduced)
    expectations: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Return what to tell people."""
        scale = "in full" if self.full else "at toy scale"
        lines = [f"{self.n_members} files are as they were published"]
        if self.n_steps:
            lines.append(f"{self.n_steps} steps ran to their end {scale}")
        if self.n_same and not self.full:
            lines.append(f"{self.n_same} of them are the published steps themselves")
        if self.n_same:
            lines += self.reproduced.sentences("its lock")
        elif self.n_steps:
            lines.append("none is as large as what was published: --full compares the results")
        for row in self.expectations:
            found = "absent" if row["found"] is None else f"{row['found']:.6g}"
            word = "met" if row["met"] else "MISSED"
            lines.append(f"{word}: {row['step']} {row['key']} = {found} ({row['expected']})")
        if self.left_out:
            lines.append(f"not run, for their data are not here: {', '.join(self.left_out)}")
        return lines

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "recipe": self.recipe,
            "n_files": self.n_members,
            "scale": "full" if self.full else "toy",
            "n_steps": self.n_steps,
            "n_published_steps": self.n_same,
            "reproduced": self.reproduced.document() if self.n_same else None,
            "expect": self.expectations,
            "not_run": self.left_out,
            "missing_data": self.missing,
        }


def verify_archive(
    path: Path, *, full: bool = False, data: Path | None = None, context: Context | None = None, jobs: int = 1
) -> Verified:
    """Check the published recipe at `path`, and do it again.

    Parameters
    ----------
    path : Path
    full : bool
        As it was published; else with few galaxies and epochs.
    data : Path, optional
        Where the data of others are that it reads; default the folder of the archive.
    context : Context, optional
    jobs : int

    Raises
    ------
    DataError
        When the archive is damaged, hostile or none; see :func:`galshift.recipes.archive.read_archive`.
    ConfigError
        When its recipe is not valid here, or, with `full`, would make other steps than were published.
    """
    members, manifest = read_archive(path)
    file = str(manifest.get("file"))
    if Path(file).name != file or file not in members:
        raise DataError("this archive has no recipe", where=path)
    lock = _json(members, f"{Path(file).stem}.lock.json", path)
    if lock.get("lock") != LOCK_SCHEMA or not isinstance(lock.get("steps"), dict):
        raise DataError("this archive has no lock of this version of galshift", where=path)
    cards = _json(members, "data.json", path).get("data")
    found = Verified(str(manifest.get("recipe")), len(members) + 1, full)
    base = path.parent if data is None else data
    with tempfile.TemporaryDirectory(prefix="galshift-verify-") as folder:
        place = Path(folder) / file
        place.write_bytes(members[file])
        scales = _scale_of(lock, full)
        recipe = read_recipe(place, base=base, overrides=scales)
        _refuse_outside(recipe, path)
        found.missing = absent([one for one in cards if isinstance(one, dict)] if cards else [], base)
        if not full:
            recipe = read_recipe(place, base=base, overrides=[*scales, *toy_overrides(recipe)])
        recipe, found.left_out = _with_data(recipe)
        if recipe.steps and not (full and found.missing):
            _again(recipe, Path(folder) / "runs", lock, found, context, jobs)
    return found


def require_verified(found: Verified) -> None:
    """Raise for what did not hold.

    Raises
    ------
    NumericalError
        When a result is not the published one, or not what the recipe expects.
    DataError
        When data are not here, so that not everything was done again.
    """
    require_reproduced(found.reproduced)
    missed = [f"{row['step']}: {row['key']}" for row in found.expectations if not row["met"]]
    if missed:
        raise NumericalError(f"not as expected: {', '.join(missed)}")
    if found.missing or found.left_out:
        what = "; ".join(found.missing) or f"data of {', '.join(found.left_out)} are not here"
        raise DataError(what, hint="put the data beside the archive, or say --data FOLDER")


def _json(members: Mapping[str, bytes], name: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(members[name])
    except (KeyError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DataError(f"{name} is missing or cannot be read", where=path)
    return found


def _scale_of(lock: Mapping[str, Any], full: bool) -> list[str]:
    """Return the override that asks for the published scale, else for a recipe's own toy scale."""
    scale = lock.get("scale")
    if scale not in SCALES:
        return []
    return [f"scale={scale if full else TOY}"]


def _refuse_outside(recipe: Recipe, path: Path) -> None:
    """Refuse a recipe that reads files of its reader's: publish writes none that does."""
    if found := outside(recipe.document.data):
        raise DataError(
            f"its recipe names files outside its own folder: {', '.join(found)}",
            where=path,
            hint="nothing was run",
        )


def _with_data(recipe: Recipe) -> tuple[Recipe, list[str]]:
    """Return the recipe without the steps whose data are not here, or that read such a step; their names."""
    here = {name: entry for name, entry in recipe.data.items() if _is_here(recipe, {name: entry}, {})}
    steps: dict[str, RecipeStep] = {}
    for name, step in recipe.steps.items():
        read = [reference for _, reference in step.references() if reference.axis is None]
        whole = all(one.role in here if recipe.is_data(one) else one.name in steps for one in read)
        if whole and _is_here(recipe, {}, {name: step}):
            steps[name] = step
    left_out = [name for name in recipe.steps if name not in steps]
    return replace(recipe, steps=steps, data=here), left_out


def _is_here(recipe: Recipe, data: Mapping[str, Any], steps: Mapping[str, RecipeStep]) -> bool:
    paths = named_paths(replace(recipe, data=dict(data), steps=dict(steps)))
    return all(is_there(recipe.base / path) for path in paths)


def _again(
    recipe: Recipe,
    folder: Path,
    lock: Mapping[str, Any],
    found: Verified,
    context: Context | None,
    jobs: int,
) -> None:
    """Run the recipe in `folder`, and note what came of it."""
    plan = make_plan(recipe, folder=folder)
    if found.full and (lines := mismatches(plan, lock)):
        raise ConfigError(
            "these are not the steps that were published, by the versions here",
            problems=lines,
            hint="pip install -c its .constraints.txt has the versions",
        )
    outcome = run_recipe(recipe, folder=folder, context=context, jobs=jobs, with_lock=False)
    locked = lock["steps"]
    same = {
        name
        for name, planned in outcome.plan.items()
        if (locked.get(name) or {}).get("fingerprint") == planned.prepared.fingerprint
    }
    found.n_steps, found.n_same = len(outcome.plan), len(same)
    found.reproduced = compare(outcome.plan, lock)
    found.expectations = [row for row in outcome.expectations if row["step"] in same]
