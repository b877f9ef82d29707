"""The map of galaxies in feature space, and how unusual each of them is."""

from __future__ import annotations

from typing import Any

import numpy as np

from galshift.data.paths import bare_name, split_name
from galshift.data.tables import stacked
from galshift.embedding.anomaly import anomaly_scores
from galshift.embedding.quality import domain_mixing, map_quality
from galshift.embedding.reducers import REDUCERS
from galshift.evaluation.predictions import write_predictions
from galshift.evaluation.shards import check_folder, write_shards
from galshift.rundirectory import RunDirectory
from galshift.runs.answers import answer, drawn_rows
from galshift.runs.held_out import parts_of_images
from galshift.runs.known_data import open_for
from galshift.runs.test_sets import matched_labels
from galshift.runs.truth import truth_of
from galshift.spread import Engine
from galshift.training.checkpoint import Trained, load_checkpoint
from galshift.verbs.embed.config import EmbedConfig
from galshift.verbs.embed.report import write_explorer
from galshift.verbs.embed.result import Part


def work(config: EmbedConfig, run: RunDirectory, device: str, engine: Engine) -> dict[str, Any]:
    """Map the galaxies of `config`, write the table and the explorer, and return the results.

    Raises
    ------
    DataError
        When a data set does not fit the model, or not one of its images gives an answer.
    """
    if config.shards is not None:
        check_folder("embedding.parquet")
    trained = load_checkpoint(config.run)
    parts = [_part(text, trained, config, device, engine) for text in config.data]
    tables = [part.table for part in parts]
    table = stacked(tables)
    features = np.concatenate([part.features for part in parts]) if len(parts) > 1 else parts[0].features
    usable = np.isfinite(features).all(axis=1)
    reducer = REDUCERS.get(config.reduce.kind)(config.reduce.config)
    points = np.full((len(features), 2), np.nan)
    good = features if usable.all() else features[usable]
    points[usable] = reducer.reduce(good.astype(np.float64), config.seed)
    table["x"], table["y"] = points[:, 0], points[:, 1]
    groups, domains = np.asarray(table["group"])[usable], np.asarray(table["data_set"])[usable]
    measured = {
        "quality": map_quality(good, points[usable], seed=config.seed),
        "mixing": domain_mixing(good, domains, groups=groups),
    }
    file = "embedding.fits" if config.shards is None else "embedding.parquet"
    results = {
        "n": len(table),
        "n_flagged": int((~usable).sum()),
        "reduce": config.reduce.kind,
        **measured,
        "outputs": {"embedding": file, "explorer": "explorer.html"},
    }
    details = {"run": bare_name(config.run), "reduce": config.reduce.dump(), **measured}
    if config.shards is None:
        write_predictions(run.path / file, table, provenance=details)
    else:
        write_shards(run.path / file, [table], config.shards, provenance=details)
    write_explorer(run.path / "explorer.html", parts, table, results, trained, config)
    return results


def _part(text: str, trained: Trained, config: EmbedConfig, device: str, engine: Engine) -> Part:
    """Forward one data set and say how unusual each of its galaxies is."""
    label, path = split_name(text)
    head = trained.head
    opened = open_for(trained, path, config.read)
    dataset = opened.dataset
    rows = drawn_rows(len(dataset), config.limit, config.seed, "embed", "limit")
    name, info = label or dataset.name, dataset.info
    answers = answer(trained, dataset, rows, device=device, label=f"embed {name}", engine=engine)
    if head.kind == "class":
        truth = matched_labels(dataset, rows, trained.classes)[0]
    else:
        truth = truth_of(dataset, head, opened.read)[rows]
    split = parts_of_images(trained, dataset, path)[rows]
    table = answers.table(dataset, rows, truth=truth, data_set=name, split=split)
    scores = anomaly_scores(answers.features, groups=info.groups[rows], seed=config.seed)
    place = table.colnames.index("flag")
    for key in ("mahalanobis", "neighbors", "isolation", "anomaly"):
        table.add_column(scores[key], name=key if key == "anomaly" else f"anomaly_{key}", index=place)
    return Part(name, dataset, rows, table, answers.features)
