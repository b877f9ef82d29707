"""Shapes measured by galshift and by statmorph on the same mocks: do they agree, and how fast is each?

    python tests/benchmarks/morphology.py

Prints, for each measure, the median and 90th percentile of the difference over the spread among galaxies, and
CPU milliseconds a galaxy.  One thread; statmorph fits a Sersic profile too, which cannot be switched off.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
import warnings

import numpy as np
import statmorph
from photutils.segmentation import SegmentationImage
from scipy import ndimage

from galshift.evaluation.morphology import MEASURES, measure, measure_one, segment
from galshift.simulate.generate import simulate_all

# statmorph's names, in the order of ours
THEIRS = ("concentration", "asymmetry", "smoothness", "gini", "m20", "r50", "rpetro_circ")


def mocks(n: int, *, size: int = 96, seed: int = 3) -> np.ndarray:
    """Return (n, size, size) images in r with a PSF and noise of 0.2 to 3 % of the brightest light."""
    images = simulate_all(n, size=size, seed=seed, bands=("r",)).images[:, 0].astype(np.float64)
    images = ndimage.gaussian_filter(images, (0, 1.5, 1.5))
    rng = np.random.default_rng(seed)
    sigma = np.percentile(images, 99.9) * 10 ** rng.uniform(-2.7, -1.5, n)
    return images + rng.normal(0, 1, images.shape) * sigma[:, None, None]


def statmorph_measures(image: np.ndarray, inside: np.ndarray) -> list[float]:
    """Return statmorph's measures and flag; its own rejection of outlying pixels is off."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = statmorph.SourceMorphology(
            image, SegmentationImage(inside.astype(int)), 1, gain=1.0, n_sigma_outlier=0
        )
    return [getattr(found, name) for name in THEIRS] + [found.flag]


def main(n: int = 100) -> None:
    """Compare on `n` galaxies."""
    images = mocks(n)
    segments = segment(images)
    start = time.process_time()
    theirs = np.array([statmorph_measures(image, inside) for image, inside in zip(images, segments)])
    slow = time.process_time() - start
    start = time.process_time()
    ours = np.array([[*values, flag] for values, flag in map(measure_one, images, segments)])
    fast = time.process_time() - start
    start = time.process_time()
    measure(images[:, None])
    whole = time.process_time() - start
    both = np.isfinite(ours).all(axis=1) & (theirs[:, :-1] > -90).all(axis=1)
    print(
        f"{both.sum()} of {n} galaxies measured by both; flags agree for {(ours == theirs)[:, -1].mean():.0%}"
    )
    for place, name in enumerate(MEASURES):
        away, spread = np.abs(ours - theirs)[both, place], theirs[both, place].std()
        print(
            f"{name:14s} median {np.median(away) / spread:.5f}  90 % {np.quantile(away, 0.9) / spread:.5f} "
            f"largest {away.max() / spread:.3f}  of the spread {spread:.3g}"
        )
    print(f"statmorph {1e3 * slow / n:.0f} ms, galshift {1e3 * fast / n:.1f} ms: {slow / fast:.0f} x as fast")
    print(f"with segments, sky and colours {1e3 * whole / n:.1f} ms: {slow / whole:.0f} x")


if __name__ == "__main__":
    main()
