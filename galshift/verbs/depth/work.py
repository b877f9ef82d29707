"""A classifier on the same galaxies at several depths of a survey."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from galshift.console import progress
from galshift.data.cutouts import NUMBERED, Cutouts, Dataset, InMemory
from galshift.data.open import open_dataset
from galshift.data.paths import split_name
from galshift.domains.splits import absolute, read_splits
from galshift.errors import DataError
from galshift.evaluation.classes import classification_metrics
from galshift.evaluation.honesty import few_galaxies
from galshift.mocks.config import ObserveConfig
from galshift.mocks.observe import observe
from galshift.provenance import write_json
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.answers import answer
from galshift.runs.classifiers import load_classifier
from galshift.runs.partial import PartialResults
from galshift.runs.test_sets import matched_labels
from galshift.streams import numpy_stream
from galshift.surveys.schema import Survey
from galshift.training.checkpoint import Trained
from galshift.verbs.depth.config import DepthConfig
from galshift.verbs.depth.presets import presets_of
from galshift.verbs.depth.report import depth_report, opening_sentences
from galshift.verbs.depth.result import DepthStudy, Rung

_CHUNK = 64


def work(config: DepthConfig, run: RunDirectory, device: str) -> dict[str, Any]:
    """Study every depth of `config`, write numbers and report, and return the results.

    Raises
    ------
    DataError
        As of :func:`study`.
    """
    done = PartialResults(run)
    found = study(config, device, done)
    document = {**found.document(), "answer": opening_sentences(found), "warnings": list(found.notes)}
    write_json(run.path / "depth.json", {"schema": 1, **document})
    build(run.path / "report.html", depth_report(found, config))
    done.clear()
    return {**document, "outputs": {"results": "depth.json", "report": "report.html"}}


def study(config: DepthConfig, device: str, done: PartialResults) -> DepthStudy:
    """Observe the galaxies of `config` at every depth and evaluate the classifier on each.

    What `done` holds is not done again.

    Raises
    ------
    DataError
        When the images have no labels that the model knows, or cannot be observed.
    """
    trained = load_classifier(config.run)
    presets = presets_of(config.survey, config.times)
    label, path = split_name(config.sim)
    dataset = open_dataset(path, config.read)
    rows, labels, notes = _galaxies(dataset, trained, config)
    observing = ObserveConfig(band_map=config.band_map)
    rungs = []
    shown = np.linspace(0, len(rows) - 1, min(config.samples, len(rows))).astype(int)
    done.say("depths")

    def rung_of(preset: Survey) -> Rung:
        mocks = _observed(dataset, rows, preset, trained, observing, config.seed)
        return _evaluated(preset.name, mocks, labels, trained, config, device, np.unique(shown))

    for preset in presets:
        part = done.once(lambda preset=preset: rung_of(preset).part(), preset.name, config.samples)
        rungs.append(Rung(**part.value, **part.arrays))
    rungs.sort(key=lambda rung: float(np.mean(list(rung.limit.values()))))
    truths = tuple(trained.classes[labels[i]] for i in np.unique(shown))
    return DepthStudy(trained, config.survey, label or dataset.name, tuple(rungs), truths, tuple(notes))


def _galaxies(
    dataset: Dataset, trained: Trained, config: DepthConfig
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return rows and labels of one image of each galaxy that the run did not train on, in an order drawn."""
    info = dataset.info
    labels, notes = matched_labels(dataset, np.arange(len(dataset)), trained.classes)
    # Row numbers and file names of another data set name other galaxies.
    named, here = info.groups_from != NUMBERED, absolute(str(dataset.path))
    used = {
        name
        for record in read_splits(trained.path.parent, before=True).values()
        if named or record.path == here
        for part, names in record.parts.items()
        if part != "test"
        for name in names
        if record.path == here or not re.fullmatch(r"\d+", name)
    }
    seen = (
        np.isin(info.groups, info.groups[np.isin(info.ids, list(used))])
        if used
        else np.zeros(len(dataset), bool)
    )
    if seen.any():
        n = len(np.unique(info.groups[seen]))
        notes.append(f"{n} galaxies of {dataset.name} were left out: the run has seen images of that name.")
    rows = np.flatnonzero((labels >= 0) & ~seen)
    if not rows.size:
        raise DataError(
            "no galaxy is left that has a label that the model knows and that it has not seen",
            where=dataset.path,
            hint="simulate others with another --seed, or give labels with --labels",
        )
    rows = numpy_stream(config.seed, "depth", "galaxies").permutation(rows)
    first = np.sort(np.unique(info.groups[rows], return_index=True)[1])[: config.limit]
    rows = np.sort(rows[first])
    notes += few_galaxies(dataset.name, len(rows), " that could be used")
    return rows, labels[rows], notes


def _observed(
    dataset: Dataset, rows: np.ndarray, preset: Survey, trained: Trained, config: ObserveConfig, seed: int
) -> Cutouts:
    """The galaxies as `preset` sees them, in the model's bands where it has them."""
    bands = trained.bands if set(trained.bands) <= set(preset.bands) else None
    parts = []
    with progress(f"observe as {preset.name}", len(rows)) as bar:
        for start in range(0, len(rows), _CHUNK):
            cutouts = dataset.read(rows[start : start + _CHUNK])
            parts.append(observe(cutouts, preset, bands=bands, config=config, seed=seed))
            bar.advance(len(cutouts))
    first = parts[0]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("images", "ids", "groups", "ivar")
    }
    plain = {"labels": None, "classes": (), "mask": None, "psf": None, "psf_fwhm": None, "table": None}
    return replace(first, **joined, **plain)


def _evaluated(
    name: str,
    mocks: Cutouts,
    labels: np.ndarray,
    trained: Trained,
    config: DepthConfig,
    device: str,
    shown: np.ndarray,
) -> Rung:
    dataset = InMemory(mocks, name)
    answers = answer(trained, dataset, device=device, label=f"classify as {name}")
    p, usable = answers.centre, answers.usable
    metrics = classification_metrics(
        labels[usable],
        p[usable],
        trained.classes,
        groups=mocks.groups[usable],
        n_bootstrap=config.n_bootstrap,
        seed=config.seed,
    )
    metrics["mean_confidence"] = float(p[usable].max(axis=1).mean())
    said = [(trained.classes[int(np.nan_to_num(row).argmax())], float(row.max())) for row in p[shown]]
    images = trained.preprocessing.linear(mocks.take(shown)) if len(shown) else np.zeros((0, 1, 1, 1))
    return Rung(name, _limit(mocks), metrics, images, said)


def _limit(mocks: Cutouts) -> dict[str, float]:
    """5 sigma of one arcsec2 of sky [mag / arcsec2] by band, where the images are quietest."""
    scale = float(np.median(mocks.pixel_scale))
    found = {}
    for index, band in enumerate(mocks.bands):
        most = np.quantile(mocks.ivar[:, index].reshape(len(mocks), -1), 0.9, axis=1)
        sigma = 1 / np.sqrt(np.median(most[most > 0])) if (most > 0).any() else np.nan
        found[band] = float(31.4 - 2.5 * np.log10(5 * sigma / scale))
    return found
