"""Which mocks are made of which images, and where they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from galshift.errors import DataError
from galshift.mocks.config import ObserveConfig
from galshift.verbs._base import Step
from galshift.verbs.make_mocks.config import MakeMocksConfig
from galshift.verbs.make_mocks.jobs import Job
from galshift.verbs.make_mocks.store import as_stored, beside, is_hdf5


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
