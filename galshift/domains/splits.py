"""``splits.json``: which images of which data set a run trained on, chose its epoch by, and never saw.

By image id, so that a later verb finds the same galaxies whatever the order of the files.  It is a part of
the result, the same wherever that is made; where the data lie is in ``places.json`` beside it, which is not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.card import PATHS, resolve
from galshift.data.cutouts import Dataset
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.data.paths import bare_name, split_pair
from galshift.domains.config import OnTheFly
from galshift.domains.observed import observed
from galshift.errors import DataError
from galshift.provenance import read_record, write_json
from galshift.rundirectory import PLACES

FILE = "splits.json"
# Begins the names of records that a run took over from the one that it started from.
BEFORE = "before "


@dataclass(frozen=True)
class SplitRecord:
    """One domain of a run.

    Attributes
    ----------
    path : str
        Absolute path of the data set (``x.npy:y.npy`` pairs keep their colon).
    read : ReadOptions
        How it was read.
    parts : mapping of str to tuple of str
        Image ids of ``train``, ``valid`` (labelled domains only) and ``test``.
    observe : OnTheFly or None
        The survey that the run saw them through.
    name : str or None
        What a data card calls it; None: its file's or folder's stem.
    dataset : Dataset or None
        As opened with `read`, while the run is at work; it is not written.
    """

    path: str
    read: ReadOptions
    parts: Mapping[str, Sequence[str]]
    observe: OnTheFly | None = None
    name: str | None = None
    dataset: Dataset | None = None

    def without(self, part: str) -> SplitRecord:
        """Return the record without one of its parts."""
        return replace(self, parts={name: ids for name, ids in self.parts.items() if name != part})

    def open(self, read: ReadOptions | None = None) -> Dataset:
        """Return the data set as the run saw it, read with other options if they are given."""
        if self.dataset is not None and read in (None, self.read):
            return self.dataset
        dataset = open_dataset(self.path, read or self.read)
        dataset.name = self.name or dataset.name
        seen = observed(dataset, self.observe)
        seen.reopen = replace(self, read=read or self.read, parts={}, dataset=None).open
        return seen

    def rows(self, dataset: Dataset, part: str, *, all_there: bool = True) -> np.ndarray:
        """Return the row numbers of one part in `dataset`, in its order.

        `all_there` False allows that some are missing, as where the data set is now read with labels that
        leave images out.

        Raises
        ------
        DataError
            When ids that the run recorded are not in the data set.
        """
        wanted = set(self.parts[part])
        ids = np.asarray(dataset.info.ids).astype(str)
        rows = np.flatnonzero(np.fromiter((i in wanted for i in ids), dtype=bool, count=len(ids)))
        if len(rows) < len(wanted) and (all_there or not len(rows)):
            raise DataError(
                f"{len(wanted) - len(rows)} of {len(wanted)} {part} images that the run recorded are missing",
                where=self.path,
                hint="the data set has changed since; name another with --on",
            )
        return rows


def write_splits(run: Path, domains: Mapping[str, SplitRecord]) -> None:
    """Write the records of ``source`` and, for an adapted run, ``target``."""
    splits, places = {}, {}
    for name, record in domains.items():
        read = record.read.model_dump(mode="json", exclude_defaults=True)
        files = {key: text for key in PATHS if os.path.isabs(text := str(read.get(key) or ""))}
        splits[name] = {
            "data": bare_name(record.path),
            "read": {**read, **{key: bare_name(text) for key, text in files.items()}},
            "parts": {part: list(ids) for part, ids in record.parts.items()},
            **({"name": record.name} if record.name else {}),
            **({"observe": record.observe.model_dump(mode="json")} if record.observe else {}),
        }
        places[name] = {"path": record.path, "read": files}
    write_json(run / PLACES, places)
    write_json(run / FILE, splits)


def read_splits(run: Path, *, before: bool = False) -> dict[str, SplitRecord]:
    """Return the records of a run by domain; empty for a run that has none.

    With `before` also those of what the run that it started from had learnt, by names of their own: no image
    of theirs is new to the network, but neither are they a domain of this run.
    """
    where = Path(run) / PLACES

    def made(stored: Any) -> dict[str, SplitRecord]:
        places = json.loads(where.read_text(encoding="utf-8")) if where.is_file() else {}
        wanted = {name: entry for name, entry in stored.items() if before or not name.startswith(BEFORE)}
        return {name: _record(entry, places.get(name, {})) for name, entry in wanted.items()}

    return read_record(Path(run) / FILE, "the run's record of its splits is damaged", made) or {}


def _record(entry: Mapping[str, Any], place: Mapping[str, Any]) -> SplitRecord:
    """Return one record; runs of galshift 0.1 have the place of their data in ``splits.json`` itself."""
    observe = OnTheFly.model_validate(entry["observe"]) if "observe" in entry else None
    read = ReadOptions.model_validate({**entry["read"], **place.get("read", {})})
    path = place.get("path") or entry.get("path") or entry["data"]
    return SplitRecord(path, read, entry["parts"], observe, entry.get("name"))


def absolute(path: str) -> str:
    """Return a data set's path made absolute; both halves of ``x.npy:y.npy``, and of a card what it names."""
    return ":".join(os.path.abspath(part) for part in split_pair(resolve(path).path))


def split_column(ids: Any, splits: Mapping[str, Any], path: str) -> Any:
    """Return the part that each image had in the run's training, empty where it had none."""
    # What the run itself did goes before what the one that it started from had done.
    ordered = sorted(splits, key=lambda name: not name.startswith(BEFORE))
    parts = {
        str(name): part
        for record in (splits[name] for name in ordered)
        if record.path == path
        for part, names in record.parts.items()
        for name in names
    }
    return np.array([parts.get(str(name), "") for name in ids], dtype=str)
