"""Make the pieces of make-mocks that are not there yet, join them, and draw the first images."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from galshift import console, surveys
from galshift.data.cutouts import Dataset
from galshift.data.identity import numbering_of
from galshift.data.open import open_dataset
from galshift.data.paths import without_places
from galshift.domains.domain import teaches_classes
from galshift.errors import DataError
from galshift.mocks.contact_sheet import contact_sheet
from galshift.mocks.units import to_njy
from galshift.provenance import software
from galshift.verbs._base import Context
from galshift.verbs.make_mocks.config import INPUTS, KIND, VERSION, MakeMocksConfig
from galshift.verbs.make_mocks.jobs import Job, Piece, made, pieces
from galshift.verbs.make_mocks.paths import beside, is_hdf5, place
from galshift.verbs.make_mocks.plan import bytes_per_image, device_of, nested_pair, plan
from galshift.verbs.make_mocks.store import Store, as_stored

_PIECES = "pieces"


def work(config: MakeMocksConfig, folder: Path, context: Context) -> dict[str, Any]:
    """Make the mocks at ``context.out`` by way of `folder` and return the headline results."""
    dataset = open_dataset(config.input, config.read)
    results, job = produce(config, dataset, folder, context)
    _draw(config, job, dataset, context.out)
    forget(folder)
    for note in dict.fromkeys(note for survey in results["surveys"].values() for note in survey["notes"]):
        console.warn(note)
    return results


def produce(
    config: MakeMocksConfig, dataset: Dataset, folder: Path, context: Context
) -> tuple[dict[str, Any], Job]:
    """Make and join the pieces of `dataset`, stored in `folder` meanwhile; return results and job.

    Raises
    ------
    DataError
        When not one image has a good pixel.
    """
    job = plan(config, dataset, device_of(context.device))
    store = Store(folder / _PIECES, job, config.truth, numbering_of(dataset))
    cut = pieces(len(dataset), bytes_per_image(job, dataset))
    missing = [piece for piece in cut if not store.has(piece)]
    if len(missing) < len(cut):
        console.say(f"resuming: {len(cut) - len(missing)} of {len(cut)} pieces are there")
    with console.progress("make-mocks", len(dataset)) as bar:
        bar.advance(sum(p.stop - p.start for p in cut) - sum(p.stop - p.start for p in missing))
        for piece, observations in made(job, missing, context.engine, dataset):
            store.put(piece, observations)
            bar.advance(piece.stop - piece.start)
    if len(store.empty(0, cut)) == len(dataset):
        raise DataError(
            "not one image has a good pixel: there is nothing to observe",
            where=config.input,
            hint="galshift inspect shows what the images hold",
        )
    results = _join(config, job, store, cut, context.out)
    return {**results, "labelled": teaches_classes(dataset.info)}, job


def forget(folder: Path) -> None:
    """Remove the pieces from `folder`, once all is made of them."""
    shutil.rmtree(folder / _PIECES, ignore_errors=True)


def _join(config: MakeMocksConfig, job: Job, store: Store, cut: list[Piece], out: Path) -> dict[str, Any]:
    """Write the products from the stored pieces and return the headline results."""
    outputs, found = {}, {}
    for index, name in enumerate(job.surveys):
        path = place(out, config, name)
        store.join(index, cut, path, _provenance(config, name))
        outputs["data" if len(job.surveys) == 1 else name] = path.name
        found[name] = store.summary(index, cut)
    return {
        "n_images": cut[-1].stop,
        "shape": list(job.shapes[0]) if len(job.shapes) == 1 else [list(s) for s in job.shapes],
        "surveys": found,
        "nested": nested_pair(job.surveys),
        "outputs": {**outputs, "contact_sheet": beside(out, "contact.png").name},
    }


def _provenance(config: MakeMocksConfig, survey: str) -> dict[str, Any]:
    preset = surveys.load(survey)
    return {
        "step": KIND,
        "version": VERSION,
        "config": without_places(config.model_dump(mode="json"), INPUTS),
        "survey": {"name": preset.name, "version": preset.version, "mode": preset.mode},
        "environment": software(),
    }


def _draw(config: MakeMocksConfig, job: Job, dataset: Dataset, out: Path) -> None:
    """Draw the first images before and after."""
    first = np.arange(min(8, len(dataset)))
    before = dataset.read(first)
    if before.pixel_scale is None:
        before = before.with_(pixel_scale=1.0)
    rows = [(f"{dataset.name}: input", to_njy(before))]
    for name in job.surveys:
        path = place(out, config, name)
        made_ = as_stored(path, len(first)) if is_hdf5(path) else open_dataset(path).read(first)
        rows.append((Path(name).stem, made_))
    contact_sheet(beside(out, "contact.png"), rows)
