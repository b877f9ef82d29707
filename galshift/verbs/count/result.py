"""The numbers of a count as they are written: one row for each class, of all galaxies and of each bin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.table_files import write_csv
from galshift.evaluation.count_labelled import Fraction
from galshift.provenance import atomic_path, canonical_json, jsonable, software

ALL = "all"


def counted(found: Fraction, n: int) -> dict[str, Any]:
    """Return a fraction of `n` galaxies, and their number, each with its 95 % interval."""
    return {
        "fraction": found.estimate,
        "ci95": [found.low, found.high],
        "n": found.estimate * n,
        "n_ci95": [found.low * n, found.high * n],
    }


def table_of(document: Mapping[str, Any]) -> Any:
    """Return the table of a count: bin, class, galaxies, fraction and number with their intervals."""
    from astropy.table import Table

    whole = {"name": ALL, "low": np.nan, "high": np.nan, "n_galaxies": document["n_galaxies"]}
    rows = []
    for one in ({**whole, "classes": document["classes"]}, *document["bins"]):
        for name in document["classes"]:
            found = (one["classes"] or {}).get(name)
            values = [np.nan] * 6
            if found is not None:
                values = [found["fraction"], *found["ci95"], found["n"], *found["n_ci95"]]
            rows.append((one["name"], one["low"], one["high"], name, one["n_galaxies"], *values))
    names = ("bin", "bin_low", "bin_high", "class", "galaxies")
    names += ("fraction", "fraction_low", "fraction_high", "number", "number_low", "number_high")
    return Table(rows=rows, names=names)


def write_table(folder: Path, document: Mapping[str, Any]) -> None:
    """Write ``counts.ecsv``, which says what it rests on, and ``counts.csv``."""
    table = table_of(document)
    with atomic_path(folder / "counts.csv") as temporary:
        write_csv(temporary, table)
    keys = ("data", "model", "by", "with_labels", "answer")
    about = {**software(), **{key: document[key] for key in keys}}
    table.meta["galshift"] = canonical_json(jsonable(about))
    with atomic_path(folder / "counts.ecsv") as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)
