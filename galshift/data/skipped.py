"""``--on-error skip``: which images one file of many spoils, found before anything is made of them.

A header can be sound and the pixels behind it not.  With ``skip`` every image that has a file of its own is
therefore read once when the data set is opened; what cannot be read is left out, counted, and the first five
are named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.console import progress, warn
from galshift.data.cutouts import Dataset
from galshift.data.join import Relabelled
from galshift.errors import DataError
from galshift.plain import one_line

SHOWN = 5
#: Readers whose images have files of their own.
_BY_FILE = ("pictures", "fits-folder", "catalog")
_BLOCK = 16
_SAID: dict[str, dict[str, Any]] = {}


def skipped(reasons: Sequence[tuple[str, str]], n: int, where: Path | None, what: str = "files") -> str:
    """Warn that some of `n` files are skipped, and return the sentence: how many, and why the first five.

    Parameters
    ----------
    reasons : sequence of (str, str)
        What each is called, and what is wrong with it.
    n : int
    where : Path or None
        The data set, for the warning.
    what : str
        What is counted.
    """
    named = "; ".join(f"{one_line(name)}: {one_line(why, 200)}" for name, why in reasons[:SHOWN])
    more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    said = f"skipped {len(reasons)} of {n} {what} ({named}{more})"
    warn(f"{where}: {said}" if where is not None else said)
    first = [f"{one_line(name)}: {one_line(why, 200)}" for name, why in reasons[:SHOWN]]
    _SAID[f"{where}, {what}"] = {"skipped": len(reasons), "of": n, "first": first}
    return said


def taken() -> dict[str, dict[str, Any]]:
    """Return what was skipped since the last call, by data set, for the manifest of a run."""
    found = dict(_SAID)
    _SAID.clear()
    return found


def readable(dataset: Dataset) -> Dataset:
    """Return `dataset` without the images whose files turn out to be damaged when they are read.

    Raises
    ------
    DataError
        When that is all of them.
    """
    if dataset.info.reader not in _BY_FILE or dataset.path is None or not len(dataset):
        return dataset
    reasons: dict[int, str] = {}
    # A data set that masks what it cannot read must say it here instead.
    lenient = getattr(dataset, "skip", False)
    if lenient:
        dataset.skip = False
    try:
        with progress("reading every file once", len(dataset)) as bar:
            for start in range(0, len(dataset), _BLOCK):
                rows = np.arange(start, min(start + _BLOCK, len(dataset)))
                if _trouble(dataset, rows) is not None:
                    found = {int(row): _trouble(dataset, np.asarray([row])) for row in rows}
                    reasons |= {row: why for row, why in found.items() if why is not None}
                bar.advance(len(rows))
    finally:
        if lenient:
            dataset.skip = True
    if not reasons:
        return dataset
    info = dataset.info
    names = [(str(info.ids[row]), why) for row, why in reasons.items()]
    if len(reasons) == len(dataset):
        raise DataError("none of its images can be read", where=dataset.path, hint=names[0][1])
    keep = np.asarray([row for row in range(len(dataset)) if row not in reasons])
    said = skipped(names, len(dataset), dataset.path, "images")
    labels = None if info.labels is None else info.labels[keep]
    seen = Relabelled(dataset, keep, labels, info.classes, groups_from=info.groups_from, notes=[said])
    left_out = (*info.left_out, *(f"{name}: {why}" for name, why in names))
    seen.info = dataclasses.replace(seen.info, left_out=left_out)
    return seen


def _trouble(dataset: Dataset, rows: np.ndarray) -> str | None:
    """Return why some images cannot be read, or None."""
    try:
        dataset.read(rows)
    except DataError as error:
        return error.what
    except Exception as error:  # whatever one file makes a library raise is about that file
        return one_line(error) or type(error).__name__
    return None
