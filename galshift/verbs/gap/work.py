"""The comparison of two data sets: what their files say, what their images show, what a network sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.data.cutouts import Dataset
from galshift.data.open import open_dataset
from galshift.data.paths import split_name
from galshift.errors import DataError
from galshift.evaluation.gap import domain_gap
from galshift.evaluation.honesty import few_galaxies, unlabelled_summary
from galshift.evaluation.measured_sets import measured, one_of_each
from galshift.evaluation.measurements import common_vectors, compare
from galshift.evaluation.predictions import write_predictions
from galshift.provenance import write_json
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.answers import answer
from galshift.training.checkpoint import Trained, load_checkpoint
from galshift.verbs.gap.config import GapConfig
from galshift.verbs.gap.report import gap_report, opening_sentences
from galshift.verbs.gap.result import Comparison, Side


def work(config: GapConfig, run: RunDirectory, device: str) -> dict[str, Any]:
    """Compare the two data sets of `config`, write numbers, table and report, and return the results.

    Raises
    ------
    DataError
        As of :func:`compare_sets`.
    """
    found = compare_sets(config, device)
    document = found.document(opening_sentences(found))
    write_json(run.path / "gap.json", {"schema": 1, **document})
    write_predictions(run.path / "measurements.fits", measurements_table(found.sides))
    build(run.path / "report.html", gap_report(found, samples=config.samples))
    outputs = {"results": "gap.json", "table": "measurements.fits", "report": "report.html"}
    return {**document, "outputs": outputs}


def compare_sets(config: GapConfig, device: str) -> Comparison:
    """Open, measure and compare the two data sets of `config`.

    Raises
    ------
    DataError
        When a data set cannot be used, or shows too few galaxies to say anything.
    """
    opened = [_open(text, config, i) for i, text in enumerate((config.a, config.b))]
    names = [name for name, _, _ in opened]
    if names[0] == names[1]:
        names = [f"{names[0]} (first)", f"{names[1]} (second)"]
    trained = _trained(config.model, [dataset for _, dataset, _ in opened])
    sides, notes = [], []
    for name, (_, dataset, rows) in zip(names, opened, strict=True):
        wanted = sides[0].unit if sides else None
        found, unit = measured(dataset, rows, name, wanted)
        side = Side(name, dataset, rows, unit, found)
        sides.append(_with_features(side, trained, device) if trained else side)
        notes += few_galaxies(name, len(rows), "; small differences cannot be seen")
    a, b = sides
    if a.unit != b.unit:
        notes.append(
            f"{a.name} is in {a.unit or 'an unknown unit'} and {b.name} in {b.unit or 'an unknown unit'}: "
            "fluxes and noise are not compared."
        )
    elif a.unit is None:
        notes.append("The unit of both is not known: fluxes and noise are compared as if it were the same.")
    if not set(a.dataset.info.bands) & set(b.dataset.info.bands):
        notes.append(
            f"The two have no band in common ({', '.join(a.dataset.info.bands)} and "
            f"{', '.join(b.dataset.info.bands)}): nothing that belongs to a band is compared."
        )
    options = {"n_permutations": config.n_permutations, "seed": config.seed}
    return Comparison(
        sides=(a, b),
        facts=_facts(a, b),
        quantities=compare(a.measured, b.measured),
        images=_distance(*common_vectors(a.measured, b.measured), sides, notes, **options),
        features=_distance(a.features, b.features, sides, notes, **options) if trained else None,
        model=config.model,
        warnings=tuple(dict.fromkeys(notes)),
    )


def measurements_table(sides: Sequence[Side]) -> Table:
    """Return one row for each measured image of both sets; a quantity that one set lacks is NaN there."""
    names = list(dict.fromkeys(name for side in sides for name in side.measured))
    table = Table()
    table["id"] = np.concatenate([side.dataset.info.ids[side.rows] for side in sides]).astype(str)
    table["data_set"] = np.concatenate([np.full(len(side.rows), side.name) for side in sides])
    for name in names:
        empty = [np.full(len(side.rows), np.nan) for side in sides]
        table[name] = np.concatenate([s.measured.get(name, e) for s, e in zip(sides, empty, strict=True)])
    return table


def _open(text: str, config: GapConfig, side: int) -> tuple[str, Dataset, np.ndarray]:
    """Open a set and draw one image of each of at most ``limit`` galaxies."""
    label, path = split_name(text)
    dataset = open_dataset(path, config.read)
    return label or dataset.name, dataset, one_of_each(dataset, config.limit, config.seed, str(side), path)


def _trained(run: str | None, datasets: Sequence[Dataset]) -> Trained | None:
    """Load the model, and refuse data sets that it cannot take before anything is measured."""
    if run is None:
        return None
    trained = load_checkpoint(run)
    for dataset in datasets:
        trained.preprocessing.check(dataset.info, dataset.path)
    return trained


def _with_features(side: Side, trained: Trained, device: str) -> Side:
    # Without one answer the two can still be compared by what is measured in the images.
    answers = answer(
        trained, side.dataset, side.rows, device=device, label=f"features of {side.name}", refuse=False
    )
    usable = answers.usable
    mix = (
        unlabelled_summary(answers.centre[usable], trained.classes)["predicted_mix"]
        if usable.any() and trained.head.has_classes
        else None
    )
    return replace(side, features=answers.features, mix=mix)


def _distance(
    one: np.ndarray, two: np.ndarray, sides: Sequence[Side], notes: list[str], **options: int
) -> dict[str, Any] | None:
    """Return the gap between two arrays; None, with a note, where galaxies or quantities are too few."""
    if one.shape[-1] == 0:
        notes.append("Too little can be measured in both data sets for one distance between them.")
        return None
    groups = [side.dataset.info.groups[side.rows] for side in sides]
    try:
        return domain_gap(one, two, groups_a=groups[0], groups_b=groups[1], **options)
    except DataError as error:
        notes.append(f"No distance is given: {error.what}.")
        return None


def _facts(a: Side, b: Side) -> list[dict[str, str]]:
    """What the two files say of themselves, side by side."""
    rows = []
    for what, get in (
        ("images", lambda i: str(i.n)),
        ("galaxies", lambda i: str(len(np.unique(i.groups)))),
        ("size", lambda i: f"{i.shape[2]} x {i.shape[1]} pixels" + (", varying" if i.ragged else "")),
        ("bands", lambda i: ", ".join(i.bands)),
        ("unit", lambda i: i.unit or "not known"),
        ("pixel scale", lambda i: _span(i.pixel_scale, "arcsec")),
        ("PSF width (FWHM)", lambda i: _span(i.psf_fwhm, "arcsec")),
        ("survey", lambda i: i.survey or "not known"),
        ("classes", lambda i: ", ".join(i.classes) or "no labels"),
    ):
        rows.append({"what": what, "a": get(a.dataset.info), "b": get(b.dataset.info)})
    return rows


def _span(value: float | np.ndarray | None, unit: str) -> str:
    if value is None:
        return "not known"
    low, high = float(np.nanmin(value)), float(np.nanmax(value))
    return f"{low:.3g} {unit}" if low == high else f"{low:.3g} to {high:.3g} {unit}"
