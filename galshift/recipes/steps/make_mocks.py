"""Observe idealised or sharper images as a survey would see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from galshift import console
from galshift.data.options import ReadOptions
from galshift.errors import DataError
from galshift.mocks.config import ObserveConfig
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.recipes.steps._mock_jobs import Job, Piece, made, pieces
from galshift.recipes.steps._mock_store import Store, as_stored, beside, is_hdf5
from galshift.rundirectory import RunDirectory


class MakeMocksConfig(ObserveConfig):
    """What to observe, with which survey, and how."""

    input: str = Field(description="Images in a physical unit with a pixel scale.")
    read: ReadOptions = ReadOptions()
    survey: str = Field(description="A preset (galshift list surveys) or a YAML file.")
    pair: str | None = Field(
        None, description="A second survey of the same galaxies; nested where it can be."
    )
    bands: tuple[str, ...] | None = Field(None, description="The survey's bands; default all it can make.")
    truth: bool = Field(False, description="Keep the noiseless images too.")
    seed: int = 42


@STEPS.register("make-mocks")
class MakeMocks(Step):
    """Write mocks, an account of every image and a contact sheet."""

    kind = "make-mocks"
    version = 1
    Config = MakeMocksConfig
    inputs = ("input", "read.labels?", "survey?", "pair?", "psf", "input_psf?", "sky", "noise_correlation?")
    product = "mocks.h5"
    resumable = True

    def versions(self, config: MakeMocksConfig) -> Mapping[str, int]:
        """Return the version of each survey preset."""
        from galshift import surveys

        return {f"survey {name}": surveys.load(name).version for name in _surveys(config)}

    def products(self, config: MakeMocksConfig, out: Path) -> list[Path]:
        """Return the mocks of each survey, with the accounts and the contact sheet beside them."""
        return [*product_paths(config, out), beside(out, "contact.png")]

    def run(self, config: MakeMocksConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Make the pieces that are not there yet, then join them at ``context.out``."""
        from galshift.data.open import open_dataset

        context = replace(context, out=context.out or Path(run.path) / self.product)
        dataset = open_dataset(config.input, config.read)
        results, job = self.produce(config, dataset, run.path, context)
        _draw(config, job, dataset, context.out)
        for survey in results["surveys"].values():
            for note in survey["notes"]:
                console.warn(note)
        return results

    def produce(
        self, config: MakeMocksConfig, dataset: Any, folder: Path, context: Context
    ) -> tuple[dict[str, Any], Job]:
        """Make and join the pieces of `dataset`, kept in `folder` meanwhile; return results and job."""
        job = plan(config, dataset, _device(context.device))
        store = Store(folder / "pieces", job, config.truth)
        cut = pieces(len(dataset), _bytes_per_image(job, dataset))
        missing = [piece for piece in cut if not store.has(piece)]
        if len(missing) < len(cut):
            console.say(f"resuming: {len(cut) - len(missing)} of {len(cut)} pieces are there")
        with console.progress("make-mocks", len(dataset)) as bar:
            bar.advance(sum(p.stop - p.start for p in cut) - sum(p.stop - p.start for p in missing))
            shared = {"workers": context.workers, "scheduler": context.scheduler, "dataset": dataset}
            for piece, observations in made(job, missing, **shared):
                store.put(piece, observations)
                bar.advance(piece.stop - piece.start)
        results = self._join(config, job, store, cut, context.out)
        store.clear()
        return results, job

    def _join(
        self, config: MakeMocksConfig, job: Job, store: Store, cut: list[Piece], out: Path
    ) -> dict[str, Any]:
        """Write the products from the stored pieces and return the headline results."""
        outputs, surveys = {}, {}
        for index, name in enumerate(job.surveys):
            path = _place(out, config, name)
            store.join(index, cut, path, _provenance(self, config, name))
            outputs["data" if len(job.surveys) == 1 else name] = path.name
            surveys[name] = store.summary(index, cut)
        return {
            "n_images": cut[-1].stop,
            "shape": list(job.shapes[0]) if len(job.shapes) == 1 else [list(s) for s in job.shapes],
            "surveys": surveys,
            "nested": _nested(job.surveys),
            "outputs": {**outputs, "contact_sheet": beside(out, "contact.png").name},
        }

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Return what each survey made of the images."""
        lines = []
        for name, survey in results["surveys"].items():
            noise = ", ".join(f"{b} {v['sky_sigma_njy']:.3g}" for b, v in survey["bands"].items())
            lines.append(f"{results['n_images']} images as {name}; sky sigma [nJy / pixel]: {noise}")
        if results["nested"] is not None:
            lines.append("the pair shares its photons" if results["nested"] else "the pair shares no photons")
        return lines

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Return how to look at the mocks and to train on them."""
        folder = Path(results.get("out") or f"{results['run']}/{self.product}").parent
        first = next(iter(results["outputs"].values()))
        return [f"galshift inspect {folder / first}", f"galshift train {folder / first}"]


def product_paths(config: MakeMocksConfig, out: Path) -> list[Path]:
    """Return the mocks of each survey, noiseless ones where they are kept apart, and the accounts."""
    main = [_place(out, config, name) for name in _surveys(config)]
    truths = [beside(path, "truth") for path in main if config.truth and not is_hdf5(path)]
    return [*main, *truths, *(beside(path, "images.jsonl") for path in main)]


def plan(config: MakeMocksConfig, dataset: Any, device: str) -> Job:
    """Return the job of `config` on an opened data set, its output shapes fixed once for all pieces.

    Raises
    ------
    DataError
        When the pixel scale is missing, or image names are not unique: noise goes by name.
    """
    from galshift import surveys
    from galshift.mocks import redshift
    from galshift.mocks.optics import output_side

    info = dataset.info
    names, counts = np.unique(info.ids, return_counts=True)
    if counts.size and counts.max() > 1:
        raise DataError(
            f"the image name '{names[counts.argmax()]}' occurs {counts.max()} times, and noise goes by name",
            where=config.input,
            hint="give the images unique ids",
        )
    scale = info.pixel_scale
    if config.pixel_scale_parsec is not None:
        scale = redshift.arcsec_per_pixel(config.pixel_scale_parsec, config.to_redshift or config.redshift)
    elif scale is None:
        raise DataError(
            "the images have no pixel scale", where=config.input, hint="state it with --pixel-scale [arcsec]"
        )
    elif config.to_redshift not in (None, config.redshift):
        scale = np.asarray(scale) * redshift.size_ratio(config.redshift, config.to_redshift)
    chosen = _surveys(config)
    presets = [surveys.load(name) for name in chosen]
    largest = float(np.max(scale))
    sides = [
        (config.size, config.size)
        if config.size
        else tuple(output_side(side, largest, preset.pixel_scale.value) for side in info.shape[1:])
        for preset in presets
    ]
    own = {name: getattr(config, name) for name in ObserveConfig.model_fields}
    observe = ObserveConfig(**own).model_dump(mode="json")
    read = config.read.model_dump(mode="json")
    return Job(config.input, read, observe, tuple(chosen), config.bands, config.seed, device, tuple(sides))


def _surveys(config: MakeMocksConfig) -> list[str]:
    return [config.survey] if config.pair is None else [config.survey, config.pair]


def _nested(names: tuple[str, ...]) -> bool | None:
    from galshift import surveys
    from galshift.mocks.pairs import nested

    if len(names) < 2:
        return None
    one, two = (surveys.load(name) for name in names)
    return nested(one, two) or nested(two, one)


def _place(out: Path, config: MakeMocksConfig, survey: str) -> Path:
    """Where a survey's mocks go: OUT, or OUT_<survey> for each of a pair."""
    return out if config.pair is None else out.with_name(f"{out.stem}_{Path(survey).stem}{out.suffix}")


def _device(name: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _bytes_per_image(job: Job, dataset: Any) -> int:
    from galshift import surveys

    bands = len(job.bands or ()) or min(dataset.info.shape[0], len(surveys.load(job.surveys[0]).bands))
    output = sum(height * width for height, width in job.shapes)
    return 4 * (bands * output * 4 + int(np.prod(dataset.info.shape)))


def _provenance(step: Step, config: MakeMocksConfig, survey: str) -> dict[str, Any]:
    from galshift import surveys
    from galshift.provenance import environment

    preset = surveys.load(survey)
    return {
        "step": step.kind,
        "version": step.version,
        "config": config.model_dump(mode="json"),
        "survey": {"name": preset.name, "version": preset.version, "mode": preset.mode},
        "environment": environment(),
    }


def _draw(config: MakeMocksConfig, job: Job, dataset: Any, out: Path) -> None:
    """Draw the first images before and after."""
    from galshift.data.open import open_dataset
    from galshift.mocks.contact_sheet import contact_sheet
    from galshift.mocks.units import to_njy

    first = np.arange(min(8, len(dataset)))
    before = dataset.read(first)
    if before.pixel_scale is None:
        before = before.with_(pixel_scale=1.0)
    rows = [(f"{dataset.name}: input", to_njy(before))]
    for name in job.surveys:
        path = _place(out, config, name)
        made_ = as_stored(path, len(first)) if is_hdf5(path) else open_dataset(path).read(first)
        rows.append((Path(name).stem, made_))
    contact_sheet(beside(out, "contact.png"), rows)
