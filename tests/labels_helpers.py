"""Small surveys whose galaxies can be told apart, with and without names of their own."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5

SIDE, CLASSES = 20, ("bar", "disc", "ring")


def images(labels: np.ndarray, seed: int, shift: float = 0.0) -> np.ndarray:
    """Return (N, 1, 20, 20) noise with a bright line at a row that tells the class."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(shift, 1, (len(labels), 1, SIDE, SIDE)).astype(np.float32)
    pixels[np.arange(len(labels)), 0, 4 + 5 * np.maximum(labels, 0)] += 3
    return pixels


def survey(
    path: Path,
    names: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    labels: np.ndarray | None = None,
    pixels: np.ndarray | None = None,
    seed: int = 0,
    shift: float = 0.0,
    table: Table | None = None,
) -> Path:
    """Write one image for each name, of the classes in turn; `labels` None: all are labelled so."""
    truth = np.arange(len(names)) % len(CLASSES) if labels is None else np.asarray(labels)
    cutouts = Cutouts(
        images=images(np.arange(len(names)) % len(CLASSES), seed, shift) if pixels is None else pixels,
        unit="nJy",
        pixel_scale=0.3,
        bands=("r",),
        ids=np.array(names),
        groups=None if groups is None else np.array(groups),
        labels=truth.astype(np.int64),
        classes=CLASSES,
        table=table,
    )
    return write_hdf5(path, cutouts)


def few(path: Path, rows: Iterable[tuple[str, str]], columns: tuple[str, str] = ("id", "label")) -> Path:
    """Write a table of labels."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def named(prefix: str, n: int) -> list[str]:
    """Return n names."""
    return [f"{prefix}{i:03d}" for i in range(n)]
