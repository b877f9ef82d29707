"""Simulated galaxies made real step by step, each step compared with real ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from galshift import surveys
from galshift.console import progress
from galshift.data.cutouts import Cutouts, Dataset, InMemory
from galshift.data.open import open_dataset
from galshift.data.paths import split_name
from galshift.data.readers._base import stem
from galshift.errors import DataError
from galshift.evaluation.gap import domain_gap
from galshift.evaluation.honesty import few_galaxies
from galshift.evaluation.measured_sets import measured, one_of_each
from galshift.evaluation.measurements import common_vectors, compare, measure
from galshift.mocks.config import ObserveConfig
from galshift.mocks.observe import observe
from galshift.provenance import write_json
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.answers import answer
from galshift.runs.classifiers import load_classifier
from galshift.runs.partial import Part, PartialResults
from galshift.surveys.schema import Survey
from galshift.training.checkpoint import Trained
from galshift.verbs.ladder.config import LadderConfig
from galshift.verbs.ladder.report import ladder_report, opening_sentences
from galshift.verbs.ladder.result import Rung, Rungs

_CHUNK = 64


def work(config: LadderConfig, run: RunDirectory, device: str) -> dict[str, Any]:
    """Take every step of `config`, write numbers and report, and return the results.

    Raises
    ------
    DataError
        As of :func:`all_rungs`.
    """
    partial_results = PartialResults(run)
    found = all_rungs(config, device, partial_results)
    document = {**found.document(), "answer": opening_sentences(found), "warnings": list(found.notes)}
    write_json(run.path / "ladder.json", {"schema": 1, **document})
    build(run.path / "report.html", ladder_report(found, config))
    partial_results.clear()
    return {**document, "outputs": {"results": "ladder.json", "report": "report.html"}}


def steps_of(
    preset: Survey, sky: str | None, band_map: dict[str, str]
) -> list[tuple[str, ObserveConfig | None]]:
    """Return the rungs that `preset` has, from the images as they are to all that is known of the survey."""
    plain = {"band_map": band_map, "noise_correlation": "none"}
    found: list[tuple[str, ObserveConfig | None]] = [
        ("as simulated", None),
        ("with PSF and pixels", ObserveConfig(noise="none", **plain)),
        ("with noise", ObserveConfig(**plain)),
    ]
    known: dict[str, Any] = {"band_map": band_map}
    if preset.noise_correlation is not None:
        found.append(("with correlated noise", ObserveConfig(**known)))
    if any(band.fwhm_quartiles for band in preset.bands.values()):
        known["seeing"] = "quartiles"
        found.append(("with varying seeing", ObserveConfig(**known)))
    if sky is not None:
        found.append(("on real sky", ObserveConfig(**known, sky=sky)))
    return found


def all_rungs(config: LadderConfig, device: str, done: PartialResults) -> Rungs:
    """Observe the simulated galaxies step by step and compare every step with the real ones.

    What `done` holds is not observed and measured again.

    Raises
    ------
    DataError
        When either data set cannot be used, or shows too few galaxies.
    """
    preset = surveys.load(config.survey)
    real_name, real_path = _named(config.real)
    sim_name, sim_path = _named(config.sim)
    real, sim = open_dataset(real_path, config.read_real), open_dataset(sim_path, config.read)
    real_rows = one_of_each(real, config.limit, config.seed, "real", real_path)
    sim_rows = one_of_each(sim, config.limit, config.seed, "sim", sim_path)
    theirs, unit = measured(real, real_rows, real_name, "nJy")
    notes = []
    if unit != "nJy":
        notes.append(
            f"The unit of {real_name} is {unit or 'not known'}: fluxes and noise are not compared. "
            "Give it with --set read_real.unit=nJy or read_real.zero_point=MAG."
        )
    for name, rows in ((real_name, real_rows), (sim_name, sim_rows)):
        notes += few_galaxies(name, len(rows), "; small differences cannot be seen")
    trained = _trained(config.model, real, real_path)
    done.say("steps")

    def measured_rung(name: str, observing: ObserveConfig | None) -> Part:
        cutouts = _made(sim, sim_rows, preset, observing, name, config.seed)
        return _measured(cutouts, name, trained, config, device)

    parts = {
        name: done.once(partial(measured_rung, name, observing), name, config.samples)
        for name, observing in steps_of(preset, config.sky, config.band_map)
    }
    ours = [dict(zip(part.value["quantities"], part.arrays["measured"])) for part in parts.values()]
    shared = set(theirs).intersection(*ours)
    groups = (sim.info.groups[sim_rows], real.info.groups[real_rows])
    real_features = None if trained is None else _features(trained, real, real_rows, device)
    rungs = []
    for (name, part), mine in zip(parts.items(), ours, strict=True):
        rows = compare(mine, theirs)
        gap = _gap(*common_vectors(mine, theirs), groups, config, notes)
        features = None
        if trained is not None:
            features = _gap(part.arrays["features"], real_features, groups, config, notes)
        rungs.append(Rung(name, rows, _mean_ks(rows, shared), gap, features, part.arrays["images"]))
    shown = real.read(real_rows[: config.samples]) if config.samples else None
    return Rungs(
        sim=sim_name,
        real=real_name,
        survey=config.survey,
        n=(len(sim_rows), len(real_rows)),
        rungs=tuple(rungs),
        bands=tuple(part.value["bands"]),
        real_images=np.zeros((0, 1, 1, 1)) if shown is None else shown.images,
        real_bands=real.info.bands,
        notes=tuple(dict.fromkeys(notes)),
    )


def _named(text: str) -> tuple[str, str]:
    label, path = split_name(text)
    return label or stem(path), path


def _made(
    sim: Dataset, rows: np.ndarray, preset: Survey, config: ObserveConfig | None, name: str, seed: int
) -> Cutouts:
    """The simulated galaxies on one rung."""
    parts = []
    with progress(name, len(rows)) as bar:
        for start in range(0, len(rows), _CHUNK):
            cutouts = sim.read(rows[start : start + _CHUNK])
            if config is not None:
                cutouts = observe(cutouts, preset, config=config, seed=seed)
            parts.append(cutouts)
            bar.advance(len(cutouts))
    joined = {
        key: np.concatenate([getattr(part, key) for part in parts]) for key in ("images", "ids", "groups")
    }
    # A reader may give a mask with some chunks only: those that have a bad pixel.
    if any(part.mask is not None for part in parts):
        joined["mask"] = np.concatenate([_full_mask(part) for part in parts])
    scale = parts[0].pixel_scale
    if np.ndim(scale):
        joined["pixel_scale"] = np.concatenate([part.pixel_scale for part in parts])
    plain = {"labels": None, "classes": (), "ivar": None, "psf": None, "psf_fwhm": None, "table": None}
    return replace(parts[0], **{"mask": None, **plain, **joined})


def _measured(
    cutouts: Cutouts, name: str, trained: Trained | None, config: LadderConfig, device: str
) -> Part:
    """What is asked of the galaxies on one rung."""
    found = measure(cutouts)
    arrays = {
        "measured": np.array(list(found.values())).reshape(len(found), len(cutouts)),
        "images": cutouts.images[: config.samples],
    }
    if trained is not None:
        everyone = np.arange(len(cutouts))
        arrays["features"] = _features(trained, InMemory(cutouts, name), everyone, device)
    return Part({"quantities": list(found), "bands": list(cutouts.bands)}, arrays)


def _full_mask(cutouts: Cutouts) -> np.ndarray:
    """The mask as (N, C, H, W) bool, all good where there is none."""
    mask = np.zeros(cutouts.images.shape, dtype=bool)
    if cutouts.mask is not None:
        mask |= cutouts.mask if cutouts.mask.ndim == 4 else cutouts.mask[:, None]
    return mask


def _mean_ks(rows: list[dict[str, Any]], names: set[str]) -> float:
    return float(np.mean([row["ks"] for row in rows if row["quantity"] in names] or [np.nan]))


def _trained(run: str | None, real: Dataset, path: str) -> Trained | None:
    if run is None:
        return None
    trained = load_classifier(run)
    trained.preprocessing.check(real.info, path)
    return trained


def _features(trained: Trained, dataset: Dataset, rows: np.ndarray, device: str) -> np.ndarray:
    label = f"features of {dataset.name}"
    # Without one answer a rung is still compared by what is measured in its images.
    return answer(trained, dataset, rows, device=device, label=label, refuse=False).features


def _gap(
    one: np.ndarray,
    two: np.ndarray,
    groups: tuple[np.ndarray, np.ndarray],
    config: LadderConfig,
    notes: list[str],
) -> dict[str, Any] | None:
    if one.shape[-1] == 0:
        return None
    try:
        return domain_gap(
            one,
            two,
            groups_a=groups[0],
            groups_b=groups[1],
            n_permutations=config.n_permutations,
            seed=config.seed,
        )
    except DataError as error:
        notes.append(f"No distance is given: {error.what}.")
        return None
