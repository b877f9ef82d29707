"""Small data sets that several test files train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import Table

import galshift
from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.simulate.generate import simulate

CLASSES = ("flat", "tall", "ring")


def shapes(name: str, counts: tuple[int, ...], seed: int, sigma: float = 3.0, peak: float = 20.0) -> Cutouts:
    """Bars along x, bars along y and rings under noise, with magnitudes."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(3), counts))
    y, x = np.mgrid[:12, :12] - 5.5
    drawn = np.stack(
        [
            np.exp(-((x / 4) ** 2 + (y / 1.2) ** 2)),
            np.exp(-((x / 1.2) ** 2 + (y / 4) ** 2)),
            np.exp(-((np.hypot(x, y) - 4) ** 2)),
        ]
    )
    images = drawn[labels][:, None] * peak + rng.normal(0, sigma, (len(labels), 1, 12, 12))
    ids = np.array([f"{name}-{k}" for k in range(len(labels))])
    table = Table({"mag": rng.uniform(15, 19, len(labels)), "field": np.array(["a", "b"])[labels % 2]})
    return Cutouts(
        images=images.astype(np.float32),
        unit="nJy",
        pixel_scale=0.2,
        bands=("r",),
        ids=ids,
        groups=ids,
        labels=labels,
        classes=CLASSES,
        table=table,
    )


def make_desk(folder: Path) -> Path:
    """Leave in `folder` a trained network, its source, a target of another mix and one of other images."""
    write_hdf5(folder / "source.h5", [shapes("s", (120, 120, 120), 1)])
    write_hdf5(folder / "sky.h5", [shapes("t", (20, 100, 180), 2)])
    write_hdf5(folder / "dim.h5", [shapes("d", (100, 100, 100), 3, sigma=9.0)])
    galshift.train(
        str(folder / "source.h5"),
        epochs=6,
        out=str(folder / "run"),
        set={"training.batch_size": 16, "augment.dihedral": False},
    )
    return folder


def two_surveys(folder: Path) -> tuple[str, str]:
    """Leave two small files of simulated galaxies in `folder` and return their paths."""
    paths = []
    for name, seed in (("sim", 1), ("sky", 2)):
        paths.append(str(write_hdf5(folder / f"{name}.h5", simulate(48, size=24, seed=seed, bands=("r",)))))
    return paths[0], paths[1]
