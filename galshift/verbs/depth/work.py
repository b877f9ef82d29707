"""A classifier on the same galaxies at several depths of a survey."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift import surveys
from galshift.console import progress
from galshift.data.cutouts import Cutouts, Dataset, InMemory
from galshift.data.open import open_dataset
from galshift.data.paths import split_name
from galshift.errors import ConfigError, DataError, did_you_mean
from galshift.mocks.config import ObserveConfig
from galshift.mocks.observe import observe
from galshift.runs.partial import Kept, Part
from galshift.runs.test_sets import matched_labels
from galshift.streams import numpy_stream
from galshift.surveys.schema import Survey

if TYPE_CHECKING:
    from galshift.training.checkpoint import Trained
    from galshift.verbs.depth.config import DepthConfig

_CHUNK = 64
_FEW = 50
_MAGNITUDE_PER_FACTOR = 1.25  # of exposure, where the sky's noise rules: -2.5 log10(1 / sqrt(f))


@dataclass(frozen=True)
class Rung:
    """One depth.

    Attributes
    ----------
    name : str
    limit : dict of str to float
        Surface brightness [mag / arcsec2] of 5 sigma in one arcsec2 of sky, by band, from the mocks' noise.
    metrics : dict
        As in ``metrics.json``.
    images : ndarray
        (n, C, S, S) linear, of the galaxies in the report.
    answers : list of (str, float)
        The answer to each of those and its confidence.
    """

    name: str
    limit: dict[str, float]
    metrics: dict[str, Any]
    images: np.ndarray
    answers: list[tuple[str, float]]

    def part(self) -> Part:
        """Return it as it is kept on disk."""
        value = {key: item for key, item in vars(self).items() if key != "images"}
        return Part(value, {"images": self.images})


@dataclass(frozen=True)
class DepthStudy:
    """Every depth, shallowest first, and what was left out."""

    trained: Trained
    survey: str
    data_set: str
    rungs: tuple[Rung, ...]
    truths: tuple[str, ...]
    notes: tuple[str, ...]


def presets_of(survey: str, times: Sequence[float]) -> list[Survey]:
    """Return the presets of a family (``lsst``), or one preset exposed each of `times` as long.

    Raises
    ------
    ConfigError
        When there is neither a preset nor a family of this name.
    """
    family = [name for name in surveys.names() if name.startswith(f"{survey}-")]
    if survey in surveys.names() or survey.endswith((".yaml", ".yml")):
        return [longer(surveys.load(survey), factor) for factor in sorted(times)]
    if len(family) > 1:
        return [surveys.load(name) for name in family]
    families = {name.split("-")[0] for name in surveys.names()}
    raise ConfigError(
        f"there is no survey '{survey}', nor a family of several depths",
        where="survey",
        hint=did_you_mean(survey, {*surveys.names(), *families}),
    )


def longer(preset: Survey, factor: float) -> Survey:
    """Return `preset` with `factor` times the exposures, or a depth that such exposures would reach."""
    if factor == 1:
        return preset
    bands = {}
    for name, band in preset.bands.items():
        changes: dict[str, Any] = {}
        if band.exposures is not None:
            number = band.exposures
            changes["exposures"] = number.model_copy(update={"value": number.value * factor})
        if band.depth is not None:
            deeper = band.depth.value + _MAGNITUDE_PER_FACTOR * float(np.log10(factor))
            changes["depth"] = band.depth.model_copy(update={"value": deeper})
        bands[name] = band.model_copy(update=changes)
    return preset.model_copy(update={"name": f"{preset.name} x {factor:g}", "bands": bands})


def study(config: DepthConfig, device: str, kept: Kept) -> DepthStudy:
    """Observe the galaxies of `config` at every depth and judge the classifier on each, if `kept` has it not.

    Raises
    ------
    DataError
        When the images have no labels that the model knows, or cannot be observed.
    """
    from galshift.training.checkpoint import load_checkpoint

    trained = load_checkpoint(config.run)
    presets = presets_of(config.survey, config.times)
    label, path = split_name(config.sim)
    dataset = open_dataset(path, config.read)
    rows, labels, notes = _galaxies(dataset, trained, config)
    observing = ObserveConfig(band_map=config.band_map)
    rungs = []
    shown = np.linspace(0, len(rows) - 1, min(config.samples, len(rows))).astype(int)
    kept.say("depths")

    def rung_of(preset: Survey) -> Rung:
        mocks = _observed(dataset, rows, preset, trained, observing, config.seed)
        return _judged(preset.name, mocks, labels, trained, config, device, np.unique(shown))

    for preset in presets:
        part = kept.once(lambda preset=preset: rung_of(preset).part(), preset.name, config.samples)
        rungs.append(Rung(**part.value, **part.arrays))
    rungs.sort(key=lambda rung: float(np.mean(list(rung.limit.values()))))
    truths = tuple(trained.classes[labels[i]] for i in np.unique(shown))
    return DepthStudy(trained, config.survey, label or dataset.name, tuple(rungs), truths, tuple(notes))


def _galaxies(
    dataset: Dataset, trained: Trained, config: DepthConfig
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return rows and labels of one image of each galaxy that the run did not train on, in an order drawn."""
    from galshift.domains.splits import read_splits

    info = dataset.info
    labels, notes = matched_labels(dataset, np.arange(len(dataset)), trained.classes)
    used = {
        name
        for record in read_splits(trained.path.parent).values()
        for part, names in record.parts.items()
        if part != "test"
        for name in names
        if not re.fullmatch(r"\d+", name)  # bare numbers name no galaxy
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
    if len(rows) < _FEW:
        notes.append(f"Too few galaxies: only {len(rows)} of {dataset.name} could be used.")
    return rows, labels[rows], notes


def _observed(
    dataset: Dataset, rows: np.ndarray, preset: Survey, trained: Trained, config: ObserveConfig, seed: int
) -> Cutouts:
    """The galaxies as `preset` sees them, in the model's bands where it has them."""
    from dataclasses import replace

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


def _judged(
    name: str,
    mocks: Cutouts,
    labels: np.ndarray,
    trained: Trained,
    config: DepthConfig,
    device: str,
    shown: np.ndarray,
) -> Rung:
    from galshift.evaluation.classes import classification_metrics
    from galshift.training.predict import forward

    dataset = InMemory(mocks, name)
    p = forward(trained, dataset, device=device).probabilities
    usable = np.isfinite(p).all(axis=1)
    metrics = classification_metrics(
        labels[usable],
        p[usable],
        trained.classes,
        groups=mocks.groups[usable],
        n_bootstrap=config.n_bootstrap,
        seed=config.seed,
    )
    metrics["mean_confidence"] = float(p[usable].max(axis=1).mean())
    answers = [(trained.classes[int(np.nan_to_num(row).argmax())], float(row.max())) for row in p[shown]]
    images = trained.preprocessing.linear(mocks.take(shown)) if len(shown) else np.zeros((0, 1, 1, 1))
    return Rung(name, _limit(mocks), metrics, images, answers)


def _limit(mocks: Cutouts) -> dict[str, float]:
    """5 sigma of one arcsec2 of sky [mag / arcsec2] by band, where the images are quietest."""
    scale = float(np.median(mocks.pixel_scale))
    found = {}
    for index, band in enumerate(mocks.bands):
        most = np.quantile(mocks.ivar[:, index].reshape(len(mocks), -1), 0.9, axis=1)
        sigma = 1 / np.sqrt(np.median(most[most > 0])) if (most > 0).any() else np.nan
        found[band] = float(31.4 - 2.5 * np.log10(5 * sigma / scale))
    return found
