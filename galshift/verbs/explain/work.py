"""Grad-CAM maps of a classifier on one or several data sets, their scores, and the check of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy.io import fits
from astropy.table import Table, vstack

from galshift.console import progress
from galshift.data.cutouts import Dataset
from galshift.data.paths import split_name
from galshift.data.table_files import table_hdu
from galshift.errors import DataError
from galshift.evaluation.explain import grad_cam, map_scores, randomisation_check, spatial_layer
from galshift.provenance import atomic_path, write_json
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.answers import answer, drawn_rows
from galshift.runs.classifiers import load_classifier
from galshift.runs.known_data import open_for
from galshift.runs.test_sets import matched_labels
from galshift.training.checkpoint import Trained
from galshift.training.device import DeviceChoice, choose_device
from galshift.verbs.explain.config import ExplainConfig
from galshift.verbs.explain.report import explain_report, opening_sentences, warnings
from galshift.verbs.explain.result import SCORES, Explained, Explanation

_BATCH = 64

_CHECKED = 64


def work(config: ExplainConfig, run: RunDirectory, device: str) -> dict[str, Any]:
    """Explain the data sets of `config`, write numbers, maps and report, and return the results.

    Raises
    ------
    DataError
        As of :func:`explain_sets`.
    """
    found = explain_sets(config, device)
    document = {**found.document(), "answer": opening_sentences(found), "warnings": warnings(found)}
    write_json(run.path / "explain.json", {"schema": 1, **document})
    write_maps(run.path / "explain.fits", found)
    build(run.path / "report.html", explain_report(found, samples=config.samples, seed=config.seed))
    outputs = {"results": "explain.json", "table": "explain.fits", "report": "report.html"}
    return {**document, "outputs": outputs}


def explain_sets(config: ExplainConfig, device: str) -> Explanation:
    """Draw and score the maps of `config`.

    Raises
    ------
    DataError
        When a data set does not fit the model, has no usable image or, for ``true``, no labels; or the
        network has no layer to draw from.
    """
    trained = load_classifier(config.run)
    opened = []
    for text in config.data:
        label, path = split_name(text)
        dataset = open_for(trained, path, config.read).dataset
        opened.append((label or dataset.name, dataset))
    choice = choose_device(device, "float32")
    place = choice.device
    model = trained.model.to(place).eval()
    p = trained.preprocessing
    layer = config.layer or spatial_layer(model, torch.zeros(1, len(p.bands), p.size, p.size, device=place))
    sets = tuple(_explained(name, dataset, trained, layer, config, choice) for name, dataset in opened)
    names = [s.name for s in sets]
    if len(set(names)) < len(names):
        raise DataError("two of these data sets have the same name", hint="name them: wide=DATA deep=DATA")
    first = sets[0]
    images = _inputs(trained, first.dataset, first.rows[:_CHECKED])[1].to(place)
    return Explanation(
        trained,
        layer,
        config.explain,
        sets,
        randomisation_check(model, images, layer=layer, seed=config.seed),
    )


def scores_table(found: Explanation) -> Table:
    """Return one row an image: its answer and where the weight of its map lies."""
    names = np.array([*found.trained.classes, ""])
    tables = []
    for s in found.sets:
        info = s.dataset.info
        table = Table()
        table["id"], table["group"] = info.ids[s.rows].astype(str), info.groups[s.rows].astype(str)
        table["data_set"] = np.full(len(s.rows), s.name)
        table["label"], table["prediction"] = names[s.labels], names[s.predicted]
        table["confidence"] = s.probabilities.max(axis=1)
        for key in SCORES:
            table[key] = s.scores[key]
        tables.append(table)
    return vstack(tables, metadata_conflicts="silent") if len(tables) > 1 else tables[0]


def write_maps(path: Path, found: Explanation) -> None:
    """Write the table of scores and, as the second extension MAPS, the maps in the same order."""
    table = table_hdu(scores_table(found), "SCORES", path)
    maps = fits.ImageHDU(np.concatenate([s.maps for s in found.sets]).astype(np.float32), name="MAPS")
    maps.header["LAYER"] = (found.layer, "layer that Grad-CAM read")
    with atomic_path(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(), table, maps]).writeto(temporary)


def _explained(
    name: str, dataset: Dataset, trained: Trained, layer: str, config: ExplainConfig, choice: DeviceChoice
) -> Explained:
    """Draw and score the maps of one data set."""
    rows = drawn_rows(len(dataset), config.limit, config.seed, "explain", "limit", name)
    labels, _ = matched_labels(dataset, rows, trained.classes)
    if config.explain == "true":
        rows, labels = rows[labels >= 0], labels[labels >= 0]
        if not len(rows):
            raise DataError(
                "no image has a label that the model knows",
                where=dataset.path,
                hint="give them with --labels, or explain the predicted class",
            )
    answers = answer(trained, dataset, rows, device=choice, label=f"classify {name}")
    probabilities, usable = answers.centre, answers.usable
    rows, labels, probabilities = rows[usable], labels[usable], probabilities[usable]
    wanted = torch.as_tensor(probabilities.argmax(axis=1) if config.explain == "predicted" else labels)
    maps, scores = [], []
    with progress(f"explain {name}", len(rows)) as bar:
        for start in range(0, len(rows), _BATCH):
            part = slice(start, start + _BATCH)
            linear, images = _inputs(trained, dataset, rows[part])
            place = choice.device
            drawn = grad_cam(trained.model, images.to(place), wanted[part].to(place), layer=layer)
            maps.append(drawn.cpu().numpy())
            scores.append(map_scores(maps[-1], linear))
            bar.advance(len(images))
    return Explained(
        name=name,
        dataset=dataset,
        rows=rows,
        labels=labels,
        probabilities=probabilities,
        maps=np.concatenate(maps),
        scores={key: np.concatenate([part[key] for part in scores]) for key in SCORES},
        n_flagged=int((~usable).sum()),
    )


def _inputs(trained: Trained, dataset: Dataset, rows: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return the linear images of some rows and what the network is given."""
    linear = trained.preprocessing.linear(dataset.read(rows))
    return linear, trained.preprocessing.stretch(torch.from_numpy(linear))
