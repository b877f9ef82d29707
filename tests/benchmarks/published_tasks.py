"""The tasks on which published systems are held against their own code, in our layout and in SIDDA's.

============  ==========================================================================================
shapes        outlines a hundredth of the side wide; target under Poisson noise at a ratio of 0.05
wide-shapes   outlines of 1.8 pixels, drawn at three times the size; target at a ratio of 0.2
lsst          spirals, mergers, ellipticals at z = 0.35 in g, r, i, pictures on an asinh scale whose 0 is
              the sky and whose 1 the source's brightest 0.2 %; source LSST's tenth year, target its first
digits        scikit-learn's digits, each three times, turned, moved and stretched a little; target
              blurred, dimmed and noisy on a bright background.  600 of them are the test digits, once,
              of both domains
============  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter, maximum_filter, zoom
from sklearn.datasets import load_digits

from galshift import surveys
from galshift.data.cutouts import InMemory
from galshift.data.preprocess import PreprocessConfig, fit_preprocessing
from galshift.mocks.observe import observe
from galshift.simulate.shapes import CLASSES, poisson_snr, shapes
from tests.benchmarks.pairs.gaps import KINDS, PAIR
from tests.benchmarks.transfer_tasks import BANDS, pool_of

PARTS = tuple((domain, part) for domain in ("source", "target") for part in ("train", "test"))
N_TEST = {"shapes": 1200, "wide-shapes": 1200, "lsst": 600, "digits": 600}
POOL = 180  # galaxies of a kind that are drawn, and stored, together

#: (source or target, train or test) to images (N, C, S, S) and labels (N,).
Parts = dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]


def arrays(task: str, folder: Path, n: int, size: int, pools: Path | None = None) -> dict[str, Path]:
    """Write a task in both layouts, where it is not there, and return our files by name.

    Parameters
    ----------
    task : str
        Of `TASKS`.
    folder : Path
    n : int
        Training images of each domain.
    size : int
        Pixels along a side.
    pools : Path, optional
        Where drawn galaxies are stored; `folder` by default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    make, classes = TASKS[task]
    stems = [folder / f"{domain}_{part}" for domain, part in PARTS]
    if not all(stem.with_name(f"{stem.name}_x.npy").exists() for stem in stems):
        made = make(n, N_TEST[task], size, pools or folder)
        for seed, place in enumerate(PARTS):
            images, labels = made[place]
            order = np.random.default_rng(seed).permutation(len(images))
            np.save(folder / f"{'_'.join(place)}_x.npy", np.moveaxis(images[order], 1, -1).astype(np.float32))
            np.save(folder / f"{'_'.join(place)}_y.npy", labels[order].astype(np.int64))
    for stem in stems:
        ours = stem.with_name(f"{stem.name}.npz")
        if not ours.exists():
            images, labels = np.load(f"{stem}_x.npy"), np.load(f"{stem}_y.npy")
            images = np.moveaxis(images, -1, 1).astype(np.float32)
            np.savez(ours, images=images, labels=np.array(classes)[labels])
    return {stem.name: stem.with_name(f"{stem.name}.npz") for stem in stems}


def _shapes(n: int, n_test: int, size: int, pools: Path, *, ratio: float = 0.05, wide: bool = False) -> Parts:
    found: Parts = {}
    for seed, (domain, part) in enumerate(PARTS):
        drawn = shapes(n if part == "train" else n_test, size=3 * size if wide else size, seed=seed)
        images = _wider(drawn.images) if wide else drawn.images
        if domain == "target":
            images = poisson_snr(images, ratio, seed)
        found[domain, part] = images, drawn.labels
    return found


def _wide_shapes(n: int, n_test: int, size: int, pools: Path) -> Parts:
    return _shapes(n, n_test, size, pools, ratio=0.2, wide=True)


def _wider(images: np.ndarray) -> np.ndarray:
    """(N, 1, 3 S, 3 S) to (N, 1, S, S): a pixel is on where half of it is covered."""
    n, _, side, _ = images.shape
    broad = maximum_filter(images, size=(1, 1, 5, 5))
    return (broad.reshape(n, 1, side // 3, 3, side // 3, 3).mean(axis=(3, 5)) >= 0.5).astype(np.float32)


def _lsst(n: int, n_test: int, size: int, pools: Path) -> Parts:
    """Other galaxies in every part, on one scale of brightness."""
    each = -(-(n + n_test) // len(KINDS))
    seen = {}
    for number, (domain, survey) in enumerate((("source", "lsst-y10"), ("target", "lsst-y1"))):
        parts = range(1000 + number, 1000 + number + 2 * -(-each // POOL), 2)
        pixels: list[list[np.ndarray]] = [[] for _ in KINDS]
        for place in parts:
            for kind, rows in zip(KINDS, pixels, strict=True):
                drawn = pool_of(kind, place, POOL, PAIR, pools)
                galaxies = observe(drawn, surveys.load(survey), bands=BANDS, seed=place)
                if domain == "source" and "constants" not in seen:
                    config = PreprocessConfig(size=size, pixel_scale_arcsec=PAIR.scale_arcsec)
                    seen["constants"] = fit_preprocessing(InMemory(galaxies), None, config, 0)
                rows.append(seen["constants"].linear(galaxies))
        seen[domain] = [np.concatenate(rows)[:each] for rows in pixels]
    softening = 3 * np.array(seen["constants"].sky_sigma, dtype=np.float32)[:, None, None]
    top = np.quantile(np.arcsinh(np.concatenate(seen["source"]) / softening), 0.998)
    found: Parts = {}
    for domain in ("source", "target"):
        pictures = [np.arcsinh(rows / softening) / top for rows in seen[domain]]
        cut = -(-n // len(KINDS))
        for part, rows in (("train", slice(cut)), ("test", slice(cut, None))):
            images = [one[rows] for one in pictures]
            labels = np.repeat(np.arange(len(KINDS)), [len(one) for one in images])
            found[domain, part] = np.concatenate(images), labels
    return found


def _digits(n: int, n_test: int, size: int, pools: Path) -> Parts:
    images, labels = load_digits(return_X_y=True)
    images = zoom(images.reshape(-1, 8, 8) / 16, (1, size / 8, size / 8), order=1)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))
    test, rest = order[:n_test], order[n_test:]
    found: Parts = {}
    for domain, rows in (("source", rest[: len(rest) // 2]), ("target", rest[len(rest) // 2 :])):
        many = np.resize(rows, n)
        train = np.stack([_moved(images[row], rng) for row in many])
        for part, pixels, named in (("train", train, many), ("test", images[test], test)):
            if domain == "target":
                soft = gaussian_filter(pixels, (0, 1.5, 1.5))
                pixels = 0.6 * soft + 0.3 + rng.normal(0, 0.1, pixels.shape)
            found[domain, part] = pixels[:, None].astype(np.float32), labels[named]
    return found


def _moved(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn by up to 12 degrees, stretch by up to 10 % and move by up to a sixteenth of the side."""
    angle = np.deg2rad(rng.uniform(-12, 12))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn / rng.uniform(0.9, 1.1)
    middle = (len(image) - 1) / 2
    shift = rng.uniform(-1, 1, 2) * len(image) / 16
    return affine_transform(image, matrix, middle - matrix @ (middle + shift), order=1)


Make = Callable[[int, int, int, Path], Parts]
TASKS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "shapes": (_shapes, CLASSES),
    "wide-shapes": (_wide_shapes, CLASSES),
    "lsst": (_lsst, KINDS),
    "digits": (_digits, tuple(str(digit) for digit in range(10))),
}
