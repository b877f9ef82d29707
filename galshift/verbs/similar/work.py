"""The search for galaxies like one galaxy, in a classifier's features."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.data.identity import same_galaxies
from galshift.data.paths import bare_name
from galshift.embedding.neighbors import nearest, rarity
from galshift.errors import DataError
from galshift.evaluation.predictions import write_predictions
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.answers import AnsweredSet, answered_set
from galshift.runs.classifiers import load_classifier
from galshift.training.checkpoint import Trained
from galshift.verbs.similar.config import SimilarConfig
from galshift.verbs.similar.report import similar_report


def work(config: SimilarConfig, run: RunDirectory, device: str) -> dict[str, Any]:
    """Search for the galaxies of `config`, write the table and the report, and return the results.

    Raises
    ------
    DataError
        When the galaxy is not there or could not be used, or there is no other.
    """
    trained = load_classifier(config.run)
    options = {"limit": config.limit, "seed": config.seed}
    home = answered_set(trained, config.data, config.read, device, include=config.id, **options)
    place = find_image(home, config.id)
    searched = [answered_set(trained, text, config.read, device, **options) for text in config.among]
    searched = searched or [home]
    features = np.concatenate([s.features for s in searched])
    groups = np.concatenate([_galaxies(home, s) for s in searched])
    query, group = home.features[place], str(home.groups[place])
    rows, distances = nearest(query, features, groups, n=config.n, group=group)
    if not len(rows):
        raise DataError("there is no other galaxy to compare with", where=config.data)
    table = similar_table(trained, searched, rows, distances)
    predicted = trained.classes[int(home.probabilities[place].argmax())]
    results = {
        "id": config.id,
        "prediction": predicted,
        "confidence": float(home.probabilities[place].max()),
        "n": len(rows),
        "n_searched": len(np.unique(groups)),
        "rarity": rarity(query, features, groups, n=min(config.n, 10), group=group, seed=config.seed),
        "same_answer": float((np.asarray(table["prediction"]) == predicted).mean()),
        "nearest": [str(i) for i in table["id"][:10]],
        "outputs": {"table": "similar.fits", "report": "report.html"},
    }
    write_predictions(
        run.path / "similar.fits", table, provenance={"run": bare_name(config.run), "id": config.id}
    )
    build(run.path / "report.html", similar_report(trained, home, place, searched, rows, table, results))
    return results


def _galaxies(home: AnsweredSet, other: AnsweredSet) -> np.ndarray:
    """The galaxies of `other`: those of `home` under its names, the rest under names of their own."""
    if other is home:
        return home.groups
    shared = same_galaxies(home.dataset, other.dataset)[other.rows]
    own = np.asarray([f"{name} of {other.name}" for name in other.groups])
    return np.where(shared != "", shared, own)


def find_image(home: AnsweredSet, name: str) -> int:
    """Return the place of the image called `name`, or of the first image of the galaxy so called.

    Raises
    ------
    DataError
        With names like it, when there is none, or when the image gave no answer.
    """
    found = np.flatnonzero(home.ids == name)
    found = found if found.size else np.flatnonzero(home.groups == name)
    if not found.size:
        close = difflib.get_close_matches(name, home.dataset.info.ids[:100_000].tolist(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"images are called like '{home.ids[0]}'"
        raise DataError(f"there is no image '{name}'", where=home.dataset.path, hint=hint)
    if not home.usable[found[0]]:
        raise DataError(
            f"the image '{name}' could not be used: it has no good pixels", where=home.dataset.path
        )
    return int(found[0])


def similar_table(
    trained: Trained, searched: Sequence[AnsweredSet], rows: np.ndarray, distances: np.ndarray
) -> Table:
    """Return one row for each galaxy found, nearest first: `rows` and `distances`, (n,).

    The rows count through the sets searched.
    """
    probabilities = np.concatenate([s.probabilities for s in searched])[rows]
    names = np.array([*trained.classes, ""])
    table = Table()
    table["rank"] = np.arange(1, len(rows) + 1)
    table["id"] = np.concatenate([s.ids for s in searched])[rows].astype(str)
    table["group"] = np.concatenate([s.groups for s in searched])[rows].astype(str)
    table["data_set"] = np.concatenate([np.full(len(s.rows), s.name) for s in searched])[rows]
    table["distance"] = distances
    table["label"] = names[np.concatenate([s.labels for s in searched])[rows]]
    table["prediction"] = names[probabilities.argmax(axis=1)]
    table["confidence"] = probabilities.max(axis=1)
    return table
