"""Built-in galaxies: CPU seconds against a fixed floor of work, tidal light, and how hard the task is.

Run as ``python -m tests.benchmarks.simulate [--sheet contact.png]``.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np

from galshift.simulate.generate import simulate, simulate_all

# A good and a poor survey of the same sky: PSF FWHM [arcsec], noise [nJy] in a 0.3 arcsec pixel.
DEPTHS = {"good seeing, deep": (0.7, 8.0), "poor seeing, shallow": (1.3, 66.0)}


def floor_seconds() -> float:
    """Return CPU seconds of 10**8 particle steps of the barest float32 leapfrog in one static potential."""
    position = np.random.default_rng(0).normal(size=(3, 10_000)).astype(np.float32)
    velocity = np.zeros_like(position)
    start = time.process_time()
    for _ in range(1000):
        distance2 = np.einsum("ij,ij->j", position, position) + np.float32(0.04)
        velocity -= position * (np.float32(0.01) / (distance2 * np.sqrt(distance2)))
        position += velocity * np.float32(0.01)
    return (time.process_time() - start) * 10


def cpu_seconds(n: int, views: int) -> float:
    """Return CPU seconds of simulating `n` galaxies x `views` at 96 pixels in three bands."""
    list(simulate(6, seed=1))  # imports and cached matrices
    start = time.process_time()
    for _ in simulate(n, views=views):
        pass
    return time.process_time() - start


def observe(images: np.ndarray, fwhm_pixels: float, noise: float, seed: int = 0) -> np.ndarray:
    """Blur by a Gaussian PSF and add even Gaussian noise: the plainest mock."""
    from scipy.ndimage import gaussian_filter

    sigma = fwhm_pixels / 2.3548
    blurred = gaussian_filter(images, (0,) * (images.ndim - 2) + (sigma, sigma))
    return blurred + np.random.default_rng(seed).normal(0, noise, images.shape)


def measure(image: np.ndarray, noise: float) -> list[float]:
    """Return photutils measurements of the brightest source of (C, S, S): shape, sizes, Gini, colours."""
    from photutils.segmentation import SourceCatalog, detect_sources

    plane = image.mean(axis=0)
    sky = noise / np.sqrt(len(image))
    segments = detect_sources(plane, 1.5 * sky, n_pixels=8)
    if segments is None:
        return [0.0] * 12
    catalogue = SourceCatalog(plane, segments)
    best = int(np.argmax(catalogue.segment_flux))
    source = catalogue[best]
    r20, r50, r80 = (float(source.flux_radius(f).value) for f in (0.2, 0.5, 0.8))
    fluxes = [float(band[segments.data == source.label].sum()) for band in image]
    colours = [np.log(max(a, 1e-3) / max(b, 1e-3)) for a, b in pairwise(fluxes)]
    row = [
        float(source.gini),
        float(source.ellipticity.value),
        float(source.elongation.value),
        r50,
        5 * np.log10(r80 / r20),
        float(source.area.value),
        float(source.max_value / source.segment_flux),
        float(source.semimajor_axis.value),
        float(source.solidity) if hasattr(source, "solidity") else 0.0,
        len(segments.labels),
        *colours,
    ]
    return [value if np.isfinite(value) else 0.0 for value in row]


def forest_accuracy(n: int, views: int, fwhm_arcsec: float, noise: float, seed: int = 42) -> float:
    """Return the cross-validated balanced accuracy of a random forest, no galaxy on both sides of a split."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GroupKFold, cross_val_score

    data = simulate_all(n, views=views, seed=seed)
    images = observe(data.images, fwhm_arcsec / data.pixel_scale, noise)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = np.array([measure(image, noise) for image in images])
    forest = RandomForestClassifier(300, random_state=0, n_jobs=1)
    folds = GroupKFold(5)
    scores = cross_val_score(
        forest, table, data.labels, groups=data.groups, cv=folds, scoring="balanced_accuracy"
    )
    return float(scores.mean())


def contact_sheet(path: str | Path, classes: tuple[str, ...], columns: int = 12, views: int = 2) -> None:
    """Write a colour picture (Lupton et al. 2004) with a block of rows for every class."""
    import matplotlib.image

    data = simulate_all(columns * len(classes), classes=classes, views=views)
    colour = data.images[:, ::-1] / np.array([1.5, 1.0, 0.75], dtype=np.float32)[:, None, None]
    light = colour.mean(axis=1, keepdims=True) + 1e-9
    colour = colour * (np.arcsinh(light / 40) / np.arcsinh(100)) / light
    colour /= np.maximum(colour.max(axis=1, keepdims=True), 1)
    order = np.argsort(data.labels, kind="stable").reshape(-1, columns)
    rows = [np.concatenate(list(colour[row].transpose(0, 2, 3, 1)), axis=1) for row in order]
    matplotlib.image.imsave(path, np.concatenate(rows).clip(0, 1))


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--sheet")
    given = parser.parse_args()
    if given.sheet:
        every = ("merger", "spiral", "elliptical", "edge-on", "barred", "lens")
        contact_sheet(given.sheet, every)
    floor = floor_seconds()
    taken = cpu_seconds(given.n, given.views)
    tidal = np.concatenate(
        [part.table["tidal_fraction"] for part in simulate(200, classes=("merger",), size=16)]
    )
    result = {
        "images": given.n * given.views,
        "cpu_seconds": round(taken, 2),
        "floor_cpu_seconds_per_1e8_particle_steps": round(floor, 2),
        "ratio_to_floor": round(taken / floor, 2),
        "mergers_with_over_5_percent_tidal_light": float(np.mean(tidal > 0.05)),
        "random_forest_balanced_accuracy": {
            name: round(forest_accuracy(300, 2, *depth), 3) for name, depth in DEPTHS.items()
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
