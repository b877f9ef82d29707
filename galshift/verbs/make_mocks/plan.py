"""Which mocks are made of which images."""

from __future__ import annotations

import numpy as np
import torch

from galshift import surveys
from galshift.data.cutouts import Dataset
from galshift.errors import DataError
from galshift.mocks import redshift
from galshift.mocks.config import ObserveConfig
from galshift.mocks.optics import output_side
from galshift.mocks.pairs import nested
from galshift.verbs.make_mocks.config import MakeMocksConfig
from galshift.verbs.make_mocks.jobs import Job
from galshift.verbs.make_mocks.paths import surveys_of


def plan(config: MakeMocksConfig, dataset: Dataset, device: str) -> Job:
    """Return the job of `config` on an opened data set, its output shapes fixed once for all pieces.

    Raises
    ------
    DataError
        When the pixel scale is missing, or image names are not unique: noise goes by name.
    """
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
    chosen = surveys_of(config)
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


def nested_pair(names: tuple[str, ...]) -> bool | None:
    """Return whether one survey of a pair shares the other's photons; None for one survey."""
    if len(names) < 2:
        return None
    one, two = (surveys.load(name) for name in names)
    return nested(one, two) or nested(two, one)


def device_of(name: str) -> str:
    """Return the device that mocks are made on."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def bytes_per_image(job: Job, dataset: Dataset) -> int:
    """Return about how many bytes of memory each image takes while it is observed."""
    bands = len(job.bands or ()) or min(dataset.info.shape[0], len(surveys.load(job.surveys[0]).bands))
    output = sum(height * width for height, width in job.shapes)
    return 4 * (bands * output * 4 + int(np.prod(dataset.info.shape)))
