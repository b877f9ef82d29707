"""The explorer: the map of the galaxies, their pictures, and what may be read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.embedding.explorer import build_explorer
from galshift.provenance import command_line
from galshift.report.pictures import composite, shrunk
from galshift.streams import numpy_stream
from galshift.training.checkpoint import Trained
from galshift.verbs.embed.config import EmbedConfig
from galshift.verbs.embed.result import Part

_CHUNK = 256
_PIXELS = 48  # of a thumbnail's side


def opening_sentences(results: Mapping[str, Any]) -> list[str]:
    """Return plain sentences about a map."""
    quality, mixing = results["quality"], results["mixing"]
    trust, continuity = quality["trustworthiness"], quality["continuity"]
    lines = [f"{results['n']} galaxies, each placed by the features that the classifier decides on."]
    if trust is not None and trust == trust:
        lines.append(
            f"Neighbours on this {results['reduce']} map are neighbours in feature space with "
            f"trustworthiness {trust:.2f}, and the reverse holds with continuity {continuity:.2f} (1 is "
            "perfect, 0.5 is chance)."
        )
    if len(mixing["by_data_set"]) > 1 and mixing["mixing"] is not None:
        lines.append(
            f"In feature space, not on the map, galaxies have {mixing['mixing']:.0%} of the neighbours from "
            "other data sets that perfect mixing would give (0% = the sets lie apart)."
        )
    lines.append("Anomaly is a rank within each data set: 1 is its most unusual galaxy, 0 its most ordinary.")
    return lines


def write_explorer(
    path: Path,
    parts: Sequence[Part],
    table: Table,
    results: Mapping[str, Any],
    trained: Trained,
    config: EmbedConfig,
) -> None:
    """Write the page of all rows of `table`, which has the map in its columns ``x`` and ``y``."""
    build_explorer(
        path,
        title=f"{' and '.join(part.name for part in parts)} as the classifier sees them",
        points=np.stack([table["x"], table["y"]], axis=1),
        columns={name: np.ma.asarray(table[name]) for name in table.colnames if _plottable(table[name])},
        colour_by="data_set" if len(parts) > 1 else _answer_column(table),
        thumbnails=_thumbnails(parts, np.asarray(table["anomaly"]), trained, config),
        notes=opening_sentences(results),
        axes=(f"{config.reduce.kind} 1", f"{config.reduce.kind} 2"),
        command=command_line(),
    )


def _thumbnails(
    parts: Sequence[Part], anomaly: np.ndarray, trained: Trained, config: EmbedConfig
) -> dict[int, np.ndarray]:
    """Draw the most unusual third, and a random choice of the others, up to the limit."""
    ranked = np.argsort(-np.nan_to_num(anomaly, nan=-1.0), kind="stable")
    first = ranked[: config.thumbnails // 3]
    rest = numpy_stream(config.seed, "embed", "thumbnails").permutation(ranked[len(first) :])
    wanted = set(np.concatenate([first, rest])[: config.thumbnails].tolist())
    found: dict[int, np.ndarray] = {}
    start = 0
    for part in parts:
        mine = np.array([i - start for i in sorted(wanted) if start <= i < start + len(part.rows)], dtype=int)
        for at in range(0, len(mine), _CHUNK):
            chunk = mine[at : at + _CHUNK]
            linear = trained.preprocessing.linear(part.dataset.read(part.rows[chunk]))
            for i, image in zip(chunk, linear, strict=True):
                found[start + int(i)] = shrunk(composite(image, bands=trained.bands), _PIXELS)
        start += len(part.rows)
    return found


def _answer_column(table: Table) -> str:
    """The column with what the network predicts: a class, or the first continuous label."""
    return next(name for name in table.colnames if name == "prediction" or name.startswith("value"))


def _plottable(column: Any) -> bool:
    return column.ndim == 1 and column.dtype.kind in "fiubUSO"
