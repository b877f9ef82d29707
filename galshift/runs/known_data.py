"""Data opened for a finished run: read as the run read them, held against what it was trained on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galshift import console
from galshift.data.card import merged, resolve
from galshift.data.cutouts import Dataset
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.domains.account import FILE as ACCOUNTS
from galshift.domains.account import account, read_accounts
from galshift.domains.splits import absolute, read_splits
from galshift.domains.unlike import differences
from galshift.rundirectory import BASELINE
from galshift.runs.truth import numbered_options
from galshift.training.checkpoint import Trained

# What is said of labels, and is of no use without their catalogue.
_OF_LABELS = (
    "labels",
    "label_column",
    "id_column",
    "group_column",
    "vote_columns",
    "vote_total",
    "classes_map",
)


@dataclass(frozen=True)
class Opened:
    """A data set as it was opened for a run.

    Attributes
    ----------
    dataset : Dataset
    read : ReadOptions
        How it was read, in the end.
    notes : tuple of str
        How that came about, and in what the data are unlike those of the training.
    """

    dataset: Dataset
    read: ReadOptions
    notes: tuple[str, ...]


def open_for(trained: Trained, path: str, read: ReadOptions) -> Opened:
    """Open the data set at `path` for a network, and say first what a user should know of it.

    Raises
    ------
    DataError
        When it cannot be opened, or cannot be brought to the network's bands, unit and pixel scale.
    """
    run = trained.path.parent
    read, notes = remembered(run, path, read)
    dataset = open_dataset(path, numbered_options(read, trained.head))
    trained.preprocessing.check(dataset.info, path)
    notes += _unlike(run, trained, dataset)
    for line in notes:
        console.say(f"note: {line}")
    return Opened(dataset, read, tuple(notes))


def remembered(run: Path, path: str, read: ReadOptions) -> tuple[ReadOptions, list[str]]:
    """Return how to read `path`: as `run` read it, where these are its own data; `read` goes first.

    A data card speaks for itself.
    """
    named = resolve(path, read)
    if named.card is not None:
        return named.options, []
    here = _real(absolute(path))
    record = next((one for one in read_splits(run).values() if _real(one.path) == here), None)
    if record is None:
        return read, []
    known = _still_there(record.read)
    both = merged(known, read)
    added = sorted(key for key in known.model_fields_set if getattr(both, key) != getattr(read, key))
    if not added:
        return both, []
    shown = ", ".join(f"{key.removesuffix('_arcsec')} {_shown(getattr(both, key))}" for key in added)
    return both, [f"{path} is read as the run read it: {shown}."]


def _still_there(read: ReadOptions) -> ReadOptions:
    """Return `read` without a catalogue of labels, a PSF or weights that are gone, and what belongs to it."""
    blank = ReadOptions()
    for name in ("psf", "weights"):
        file = getattr(read, name)
        if file is not None and os.sep in file and not Path(file).exists():
            belongs = [key for key in ReadOptions.model_fields if key.startswith(name)]
            read = read.model_copy(update={key: getattr(blank, key) for key in belongs})
    if read.labels is None or os.sep not in read.labels or Path(read.labels).exists():
        return read
    return read.model_copy(update={key: getattr(blank, key) for key in _OF_LABELS})


def _unlike(run: Path, trained: Trained, dataset: Dataset) -> list[str]:
    """Return in what `dataset` is unlike all that the run was trained on, as far as that is known."""
    folder = run.parent if run.name == BASELINE and not (run / ACCOUNTS).is_file() else run
    known = list(read_accounts(folder).values())
    if not known or not len(dataset):
        return []
    new, _ = account(dataset, np.arange(len(dataset)), trained.preprocessing)
    return differences(new, known)


def _real(path: str) -> str:
    return ":".join(os.path.realpath(part) for part in path.split(":"))


def _shown(value: object) -> str:
    if isinstance(value, str) and os.path.isabs(value):
        return os.path.relpath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)
