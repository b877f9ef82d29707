"""Finished runs, and products with their manifest beside them, as what they say of how they were made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galshift.errors import DataError, did_you_mean
from galshift.plain_yaml import NotPlain, load_plain
from galshift.recipes.inputs import MANIFEST_SUFFIX, manifest_beside
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS


@dataclass(frozen=True)
class Made:
    """A finished run, or a product with its manifest beside it.

    Attributes
    ----------
    place : Path
        As it was named.
    manifest : dict
    config : dict
        Its whole config.
    """

    place: Path
    manifest: dict[str, Any]
    config: dict[str, Any]

    @property
    def kind(self) -> str:
        """The verb that made it."""
        return str(self.manifest["kind"])

    def role_of(self, sha256: str | None) -> str | None:
        """Return which output has this content: a role, empty for the product itself, None for no output."""
        files = self.manifest["results"].get("outputs") or {}
        roles = {str(file): role for role, file in files.items()}
        for file, made in self.manifest.get("outputs", {}).items():
            if made["sha256"] == sha256:
                return "" if file == self.manifest["results"].get("product") else roles.get(file)
        return None

    @property
    def folder(self) -> Path:
        """The folder that it is or stands in."""
        return self.place if self.place.is_dir() else self.place.parent


def find_made(text: str) -> Made:
    """Return the finished run, or the product, that `text` names.

    Raises
    ------
    DataError
        When there is none.
    """
    path = Path(text)
    if (path / "run.json").is_file():
        run = RunDirectory.load(path)
        try:
            config = load_plain((path / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, NotPlain):
            config = None
        manifest = run.manifest()
    else:
        path, manifest = _product(path)
        config = manifest.get("config")
    if not isinstance(config, dict) or manifest.get("kind") not in STEPS.names():
        raise DataError("this run does not say how it was made", where=path)
    return Made(path, manifest, {key: value for key, value in config.items() if key != "uses"})


def _product(path: Path) -> tuple[Path, dict[str, Any]]:
    """Return the OUT that `path` is, or is one file of, and its manifest."""
    beside = [manifest_beside(path), *sorted(path.parent.glob(f"*{MANIFEST_SUFFIX}"))]
    for place in beside:
        try:
            found = json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(found, dict) and (place == beside[0] or path.name in found.get("outputs", {})):
            return place.with_name(place.name.removesuffix(MANIFEST_SUFFIX)), found
    if path.exists():
        raise DataError(
            "this is neither a run directory nor a file that galshift wrote",
            where=path,
            hint="give the folder or file that a command printed",
        )
    beside = _neighbours(path)
    hint = did_you_mean(path.name, beside) if beside else "give the folder or file that a command printed"
    raise DataError("there is no such run", where=path, hint=hint)


def _neighbours(path: Path) -> list[str]:
    folder = path.parent
    return [one.name for one in folder.iterdir() if (one / "run.json").is_file()] if folder.is_dir() else []
