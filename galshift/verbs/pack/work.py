"""Decode a data set piece by piece, and join the pieces."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from galshift import console
from galshift.data.cutouts import Dataset
from galshift.data.layout_writer import write_layout
from galshift.data.open import open_dataset
from galshift.data.pack import pack
from galshift.data.paths import without_places
from galshift.data.public import Layout, find_layout
from galshift.provenance import software
from galshift.spread import Engine
from galshift.verbs.pack.config import INPUTS, PackConfig


def work(config: PackConfig, out: Path, scratch: Path, engine: Engine) -> dict[str, Any]:
    """Pack into `out` by way of the folder `scratch` and return the headline results."""
    provenance = {
        "step": "pack",
        "config": without_places(config.model_dump(mode="json"), INPUTS),
        **software(),
    }
    dataset = open_dataset(config.data, config.read)
    info = dataset.info
    if config.layout is not None:
        return _laid_out(dataset, find_layout(config.layout), out)
    with console.progress("pack", info.n) as bar:
        packed = pack(
            config.data,
            out,
            config.read,
            scratch=scratch,
            workers=engine.workers,
            scheduler=engine.scheduler,
            shards=config.shards,
            provenance=provenance,
            progress=bar.advance,
            dataset=dataset,
        )
    shutil.rmtree(scratch)
    return {
        "n_images": packed.n,
        "n_skipped": len(packed.skipped),
        "skipped": list(packed.skipped[:100]),
        "shape": list(info.shape),
        "bands": list(info.bands),
        "unit": info.unit,
        "classes": list(info.classes),
        "notes": list(packed.notes),
        "bytes": sum(file.stat().st_size for file in [out, *out.glob("*.h5")] if file.is_file()),
        "outputs": {"data": out.name},
    }


def _laid_out(dataset: Dataset, layout: Layout, out: Path) -> dict[str, Any]:
    """Write the files of a published layout beside the card `out` and return the headline results."""
    info = dataset.info
    with console.progress("pack", info.n) as bar:
        shape, classes = write_layout(dataset, layout, out, progress=bar.advance)
    files = [out.with_name(name) for name in layout.files]
    parts = [file for place in files for file in ([place] if place.is_file() else place.iterdir())]
    return {
        "n_images": info.n,
        "n_skipped": 0,
        "skipped": [],
        "shape": list(shape),
        "bands": list(info.bands),
        "unit": info.unit,
        "classes": list(classes),
        "notes": list(info.notes),
        "bytes": sum(part.stat().st_size for part in parts),
        "outputs": {"data": out.name, **dict(zip(("images", "labels"), layout.files))},
    }
