"""Data as an object: opened, described, shown, and given to every verb."""

from __future__ import annotations

import inspect as _inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.api.html import page, picture
from galshift.api.inputs import as_path
from galshift.data.cutouts import Cutouts, DataInfo, Dataset
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.data.summary import lines, summarize
from galshift.recipes.inspect import Inspect, InspectConfig
from galshift.recipes.inspect import inspect as _inspect_data
from galshift.recipes.prepare import check_config
from galshift.verbs._parameters import Parameter, config_values, parameters

if TYPE_CHECKING:
    from astropy.table import Table

_SHOWN = 8
_CHUNK = 256


class Data:
    """Images that were opened, and what is known of them; pixels are read when they are asked for.

    Attributes
    ----------
    path : str
        Where they are.
    options : ReadOptions
        What the files do not say themselves.
    dataset : Dataset
    report : None
        Data have none; a run has.
    """

    report: Path | None = None

    def __init__(self, path: str, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.dataset: Dataset = open_dataset(path, options)

    @property
    def info(self) -> DataInfo:
        """Unit, bands, scale, labels, ...: what is known without reading pixels."""
        return self.dataset.info

    @property
    def table(self) -> Table:
        """One row an image: id, group, label and the catalogue's columns."""
        return table_of(self.info)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What ``galshift inspect --json`` prints: shapes, classes, and statistics of the pixels."""
        return summarize(self.dataset)

    def read(self, indices: Sequence[int] | np.ndarray | None = None) -> Cutouts:
        """Return the images at `indices` (default: all), in that order."""
        return self.dataset.read(np.arange(len(self)) if indices is None else indices)

    def as_input(self, name: str) -> str:
        """Return the path that stands for them as an input of a verb.

        Where the files need options they are stored once with what the options say.
        """
        if self.options == ReadOptions():
            return self.path
        from galshift.api.inputs import stored_chunks
        from galshift.provenance import content_sha256

        identity = [*(content_sha256(Path(part)) for part in _files(self.path, self.options))]
        return stored_chunks([*identity, self.options.model_dump_json()], self._chunks(), name)

    def _chunks(self) -> Iterator[Cutouts]:
        for start in range(0, len(self), _CHUNK):
            yield self.read(np.arange(start, min(start + _CHUNK, len(self))))

    def __len__(self) -> int:
        return len(self.dataset)

    def __repr__(self) -> str:
        return "\n".join([f"<galshift data: {self.path}>", *(f"{a}: {b}" for a, b in lines(self.metrics))])

    def _repr_html_(self) -> str:
        rows = np.unique(np.linspace(0, max(len(self) - 1, 0), min(_SHOWN, len(self))).astype(int))
        shown = self.read(rows)
        pictures = [
            picture(image, name, shown.bands) for image, name in zip(shown.images, shown.ids, strict=True)
        ]
        return page(str(self.path), [], lines(self.metrics), pictures)


def table_of(info: DataInfo) -> Table:
    """Return one row an image: id, group, label (or one column a number) and the catalogue's columns."""
    from astropy.table import Table

    table = Table({"id": info.ids.astype(str), "group": info.groups.astype(str)})
    labels = None if info.labels is None else np.asarray(info.labels)
    if labels is not None and labels.dtype.kind in "iu" and labels.ndim == 1 and info.classes:
        names = np.array(["", *info.classes])
        table["label"] = names[np.where(labels < 0, 0, labels + 1)]
    elif labels is not None:
        columns = labels.reshape(len(labels), -1)
        named = info.classes if len(info.classes) == columns.shape[1] else ()
        for i, values in enumerate(columns.T):
            table[named[i] if named else f"label{i}" if columns.shape[1] > 1 else "label"] = values
    for name in [] if info.table is None else info.table.colnames:
        if name not in table.colnames:
            table[name] = info.table[name]
    return table


def _files(path: str, options: ReadOptions) -> list[str]:
    from galshift.data.paths import files_of

    named = [options.labels, options.catalog]
    return [*files_of(path), *(text for text in named if text and Path(text).exists())]


def _reading() -> list[Parameter]:
    """What a reader may be told, as `inspect` has it."""
    return [one for one in parameters(Inspect) if one.option.fields[0].startswith("read.")]


def _given(path: Any, given: dict[str, Any]) -> dict[str, Any]:
    if given.get("labels") is not None:
        given["labels"] = as_path(given["labels"], "labels")
    return {"path": as_path(path, "data"), **given}


def _read(path: Any, **given: Any) -> Data:
    config = check_config(Inspect(), config_values(Inspect, _given(path, given)))
    assert isinstance(config, InspectConfig)
    return Data(config.path, config.read)


def _inspected(path: Any, **given: Any) -> dict[str, Any]:
    if given.get("against") is not None:
        given["against"] = as_path(given["against"], "against")
    return _inspect_data(_given(path, given))


def _function(
    name: str, work: Callable[..., Any], arguments: list[Parameter], text: str, returns: str
) -> Callable[..., Any]:
    """Return `work` with the signature and the docstring of `arguments`."""
    by_name = _inspect.Parameter.KEYWORD_ONLY
    signature = _inspect.Signature(
        [
            _inspect.Parameter("path", _inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(_inspect.Parameter(one.name, by_name, default=one.default) for one in arguments),
        ]
    )

    def run(*args: Any, **kwargs: Any) -> Any:
        return work(**signature.bind(*args, **kwargs).arguments)

    told = [f"{one.name} : optional\n    {one.help}" for one in arguments]
    head = [text, "", "Parameters", "----------", "path : path or data\n    What holds the images."]
    run.__name__ = run.__qualname__ = name
    run.__module__ = "galshift"
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__doc__ = "\n".join([*head, *told, "", "Returns", "-------", returns])
    return run


read = _function(
    "read",
    _read,
    _reading(),
    "Open images of galaxies: a file, a folder, an array, Cutouts or a Table.",
    "Data\n    With ``table``, ``metrics``, ``read(indices)`` and ``len``; a notebook shows it.",
)
inspect = _function(
    "inspect",
    _inspected,
    parameters(Inspect)[1:],
    _inspect.getdoc(Inspect) or "",
    "dict\n    What ``galshift inspect --json`` prints.",
)
