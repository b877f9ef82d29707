"""The stored table: what every row says of every image of its pair, and what is measured on features.

A file a kind of gap, ``table/KIND.npz``; its arrays are named ``SEED/ROW/PART`` (by how many sixteenths each
logit lies below the highest of its image, at most 255) and ``SEED/labels/PART``, and ``facts`` holds a JSON
text: ``SEED/ROW`` to CPU seconds, how many more target images than source images have rows or columns of one
value, and for networks the domain classifier's error and the share of target images that no source image
resembles.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.domains.stripes import striped
from galshift.provenance import atomic_path
from tests.benchmarks.pairs.rows import PARTS, Row

TABLE = Path(__file__).parent / "table"
STEPS = 16  # of a logit


@dataclass(frozen=True)
class Run:
    """One row of the table.

    Attributes
    ----------
    kind, row : str
    seed : int
    logits : dict of str to ndarray
        Part to (N, K).
    labels : dict of str to ndarray
        Part to (N,).
    facts : dict
        ``seconds`` and ``striped``; of networks also ``domain_error`` and ``uncovered``.
    """

    kind: str
    row: str
    seed: int
    logits: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    facts: dict[str, float]

    @property
    def network(self) -> bool:
        """Whether it has features."""
        return "domain_error" in self.facts


def store(path: Path, row: Row, labels: dict[str, np.ndarray], facts: dict[str, float]) -> None:
    """Write one run to its own file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"logits_{part}": row.logits[part].astype(np.float16) for part in PARTS}
    arrays |= {f"features_{part}": value.astype(np.float16) for part, value in row.features.items()}
    arrays |= {f"labels_{part}": labels[part].astype(np.int8) for part in PARTS}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, facts=np.array(json.dumps(facts)), **arrays)


def gather(work: Path) -> None:
    """Write the table from the runs in `work`, ``KIND/SEED/ROW.npz``."""
    TABLE.mkdir(exist_ok=True)
    for folder in sorted(path for path in work.iterdir() if path.is_dir()):
        arrays: dict[str, np.ndarray] = {}
        facts: dict[str, dict[str, float]] = {}
        for path in sorted(folder.glob("*/*.npz")):
            seed, row = path.parent.name, path.stem
            with np.load(path) as stored:
                for part in PARTS:
                    logits = stored[f"logits_{part}"].astype(np.float32)
                    below = (logits.max(axis=1, keepdims=True) - logits) * STEPS
                    arrays[f"{seed}/{row}/{part}"] = np.round(below).clip(0, 255).astype(np.uint8)
                    arrays[f"{seed}/labels/{part}"] = stored[f"labels_{part}"]
                told = json.loads(str(stored["facts"]))
                facts[f"{seed}/{row}"] = told | {"striped": _striped(work / f"{folder.name}-{seed}.npz")}
        with atomic_path(TABLE / f"{folder.name}.npz") as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, facts=np.array(json.dumps(facts)), **arrays)


@cache
def _striped(pair: Path) -> float:
    """How many more target images than source images of a stored pair have rows or columns of one value."""
    with np.load(pair) as stored:
        source, target = (striped(Cutouts(images=_inside(stored[part])))[0] for part in ("source", "target"))
    return round(max(0.0, target - source), 4)


def _inside(images: np.ndarray) -> np.ndarray:
    """Images without the rows and columns that are of one value in all: the edges that resampling left."""
    for axis in (-2, -1):
        images = np.compress(np.ptp(images, axis=axis).max(axis=(0, 1)) > 0, images, axis=-3 - axis)
    return images


def read(kinds: tuple[str, ...] | None = None) -> Iterator[Run]:
    """Yield the runs of the stored table."""
    for path in sorted(TABLE.glob("*.npz")):
        if kinds is not None and path.stem not in kinds:
            continue
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        for name, facts in json.loads(str(arrays["facts"])).items():
            seed, row = name.split("/")
            logits = {p: -arrays[f"{name}/{p}"].astype(np.float64) / STEPS for p in PARTS}
            labels = {p: arrays[f"{seed}/labels/{p}"].astype(int) for p in PARTS}
            yield Run(path.stem, row, int(seed), logits, labels, facts)
