"""Simulate galaxies chunk by chunk into one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from galshift import console
from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.provenance import software
from galshift.simulate.generate import make_frame, simulate
from galshift.timing import part
from galshift.verbs.simulate.config import SimulateConfig


def work(config: SimulateConfig, out: Path) -> dict[str, Any]:
    """Simulate into the file `out` and return the headline results."""
    frame = make_frame(config.size, config.bands, config.redshift, config.pixel_scale_arcsec)
    counts = dict.fromkeys(config.classes, 0)
    with console.progress("simulate", config.n) as bar:

        def counted() -> Iterator[Cutouts]:
            for chunk in simulate(**config.model_dump()):
                yield chunk
                for label in chunk.labels[:: config.views]:
                    counts[config.classes[label]] += 1
                bar.advance(len(chunk) // config.views)

        provenance = {"step": "simulate", "config": config.model_dump(mode="json"), **software()}
        with part("simulation"):
            write_hdf5(out, counted(), provenance=provenance)
    return {
        "n_galaxies": config.n,
        "n_images": config.n * config.views,
        "classes": counts,
        "shape": [len(config.bands), config.size, config.size],
        "unit": "nJy",
        "pixel_scale_arcsec": frame.pixel_scale_arcsec,
        "redshift": frame.redshift,
        "outputs": {"data": out.name},
    }
