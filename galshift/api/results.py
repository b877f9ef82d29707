"""A finished run as an object: where it is, its table, its metrics and its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galshift.api.html import linked, page, rows_of
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Step

if TYPE_CHECKING:
    from astropy.table import Table

    from galshift.recipes.execute import Executed

_TABLES = (".fits", ".ecsv", ".csv", ".parquet")


class Result:
    """What a verb left behind.

    A function of galshift takes it wherever it takes a run: ``galshift.evaluate(galshift.adapt(...))``.

    Attributes
    ----------
    path : Path
        The run directory, or the product.
    kind : str
        The verb.
    results : dict
        What ``--json`` prints.
    skipped : bool
        True when the result was there already.
    run : RunDirectory
        The finished run; of a product, the folder that it stands in.
    """

    def __init__(
        self, path: Path, kind: str, results: dict[str, Any], run: RunDirectory, *, skipped: bool = True
    ) -> None:
        self.path, self.kind, self.results, self.run, self.skipped = Path(path), kind, results, run, skipped

    @property
    def step(self) -> Step:
        """The verb's Step."""
        return STEPS.get(self.kind)()

    @cached_property
    def outputs(self) -> dict[str, Path]:
        """Where each file is that the verb wrote, by its role."""
        folder = self.path if self.path.is_dir() else self.path.parent
        return {role: folder / name for role, name in (self.results.get("outputs") or {}).items()}

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of ``metrics.json``, or the headline results of a verb that has none."""
        path = self.path / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else self.results

    @cached_property
    def table(self) -> Table | None:
        """One row an image: predictions, an embedding, an attack, the catalogue of a product.

        Of a training, one row an epoch.  None where the verb writes no table.
        """
        from galshift.data.open import open_dataset
        from galshift.data.tables import read_table

        files = [self.path, *self.outputs.values()] if self.path.is_file() else list(self.outputs.values())
        found = next((path for path in files if path.suffix in _TABLES and path.is_file()), None)
        if found is not None:
            return read_table(found)
        if (self.path / "metrics.jsonl").is_file():
            return _epochs(self.path / "metrics.jsonl")
        images = next((path for path in files if path.suffix == ".h5" and path.is_file()), None)
        if images is None:
            return None
        from galshift.api.data import table_of

        return table_of(open_dataset(images).info)

    @property
    def report(self) -> Path | None:
        """Where the report is (``report.html`` or ``explorer.html``); None where there is none."""
        for name in ("report.html", "explorer.html"):
            if (self.path / name).is_file():
                return self.path / name
        return None

    def describe(self) -> list[str]:
        """Return what the command line says of it."""
        return self.step.describe(self.results)

    def next_steps(self) -> list[str]:
        """Return the commands to type next."""
        return self.step.next_steps(self.results)

    def as_input(self, name: str) -> str:
        """Return the path that stands for it as an input."""
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return "\n".join([f"<galshift {self.kind}: {self.path}>", *self.describe()])

    def _repr_html_(self) -> str:
        rows = rows_of(self.results)
        links = [linked(name, path) for name, path in self.outputs.items()]
        links += [linked("report", self.report)] if self.report and "report" not in self.outputs else []
        return page(f"{self.kind}: {self.path}", self.describe(), rows, links)


def load(path: Any) -> Result:
    """Return a finished run.

    Parameters
    ----------
    path : path
        A run directory, such as ``runs/adapt-1a2b3c4d``.

    Returns
    -------
    Result
        With ``table``, ``metrics`` and ``report``.

    Raises
    ------
    DataError
        When there is no finished run.
    """
    run = RunDirectory.load(Path(path))
    results = dict(run.manifest()["results"])
    step = STEPS.get(run.kind)
    product = results.get("product") or step.product
    if product:
        return Result(run.path / product, run.kind, {"out": str(run.path / product), **results}, run)
    return Result(run.path, run.kind, {"run": str(path), **results}, run)


def result_of(done: Executed) -> Result:
    """Return an executed step as a result."""
    return Result(done.path, done.step.kind, done.results, done.run, skipped=done.skipped)


def _epochs(path: Path) -> Table:
    """Return the rows of ``metrics.jsonl`` as a table; NaN where a row says nothing."""
    from astropy.table import Table

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    flat = [
        {key: value for key, value in row.items() if not isinstance(value, Mapping | list)} for row in rows
    ]
    names = dict.fromkeys(key for row in flat for key in row)
    return Table({name: [_cell(row.get(name), flat, name) for row in flat] for name in names})


def _cell(value: Any, rows: list[dict[str, Any]], name: str) -> Any:
    """A value that all rows of a column can stand beside: text, or a number that may be NaN."""
    if any(isinstance(row.get(name), str) for row in rows):
        return "" if value is None else str(value)
    return float("nan") if value is None else value
