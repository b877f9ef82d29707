"""One step of a plan: what it reads, where its result is or will be, and what will be done with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galshift.errors import DataError
from galshift.recipes.prepare import Prepared
from galshift.recipes.schema import Expect, RecipeStep

Cell = dict[str, Any]


@dataclass
class Planned:
    """One step of a plan (one instance of it, where a matrix repeats it).

    Attributes
    ----------
    name : str
        The step's name, with the matrix values in brackets: ``adapted[seed=1]``.
    cell : dict
        Matrix values by axis.
    values : dict
        Config values with references resolved; those to unfinished steps point where the result will be.
    prepared : Prepared
    directory : Path
    needs : tuple of str
        Names of the planned steps whose results this one reads.
    data : dict of str to str
        The names that the recipe has for what it reads of the data block, by path.
    expect : dict of str to Expect
    action : {'run', 'resume', 'skip'}
    reason : str
    """

    name: str
    step: RecipeStep
    cell: Cell
    values: dict[str, Any]
    prepared: Prepared
    directory: Path
    needs: tuple[str, ...]
    data: Mapping[str, str] = field(default_factory=dict)
    expect: Mapping[str, Expect] = field(default_factory=dict)
    action: str = "run"
    reason: str = "never ran"

    @property
    def done(self) -> bool:
        """True when the result is there."""
        return (self.directory / "manifest.json").is_file()

    @property
    def product(self) -> str:
        """File name of a product, after the recipe's step, so that reports name data as the recipe does."""
        usual = self.prepared.step.product_of(self.prepared.config)
        return f"{self.step.name}{Path(usual).suffix}" if usual else ""

    def reads(self) -> list[str]:
        """Return what it reads as the recipe names it: steps, entries of the data block, and paths."""
        files = self.prepared.inputs.files
        # What a card names is told by the card's name.
        cards = tuple(role.removesuffix(".card") for role in files if role.endswith(".card"))
        inner = tuple(f"{card}{sign}" for card in cards for sign in ".:")
        named = [
            self.data.get(path, path)
            for role, path in files.items()
            if role.endswith(".card") or not (role in cards or role.startswith(inner))
        ]
        return list(dict.fromkeys([*self.needs, *named]))

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of a finished step."""
        return json.loads((self.directory / "manifest.json").read_text(encoding="utf-8"))


def located(planned: Planned, role: str | None) -> str:
    """Return the path that a reference to `planned` means; before it has run, where that will be.

    Raises
    ------
    DataError
        When the finished step has no output of that role.
    """
    directory = planned.directory
    if role is None:
        return str(directory / planned.product) if planned.product else str(directory)
    if not planned.done:
        return str(directory / role)
    outputs = planned.manifest()["results"].get("outputs") or {}
    if role not in outputs:
        known = ", ".join(sorted(outputs)) or "none"
        raise DataError(
            f"step '{planned.name}' has no output '{role}'", where=directory, hint=f"it has: {known}"
        )
    return str(directory / outputs[role])


def instance_name(name: str, cell: Cell) -> str:
    """Return ``name``, or ``name[axis=value,...]`` for an instance of a matrix."""
    return f"{name}[{','.join(f'{axis}={value}' for axis, value in cell.items())}]" if cell else name
