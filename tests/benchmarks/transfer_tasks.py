"""The tasks of the transfer benchmark: pairs of domains made from nothing, one file per task and seed.

====================  ==================================================================================
depth                 three kinds of galaxy at z = 0.5; source LSST's tenth year, target its first
sdss                  the same kinds at z = 0.12; source noise-free simulations, target SDSS
shapes                lines, rectangles, circles; target under Poisson noise at a ratio of 0.05
unknown-lens          depth, with strong lenses in the target alone
unknown-merger        spirals, ellipticals and edge-on discs; mergers in the target alone
mix                   mergers and spirals as depth; 50/50 in the source, 10/90 in the target
====================  ==================================================================================

And elsewhere, tasks on which the rules of ``--method auto`` were set, so that the six above only compare:

====================  ==================================================================================
hsc-des               spirals, ellipticals, edge-on discs at z = 0.4; source HSC's wide layer, target DES
clean-kids            mergers, ellipticals, edge-on discs at z = 0.2; source noise-free, target KiDS
mix-panstarrs         three kinds at z = 0.3; even in HSC, 70/20/10 of 100 spirals, ellipticals, mergers
                      in Pan-STARRS
mix-kids              spirals and mergers at z = 0.35; even in HSC, 15/85 in KiDS
same                  the kinds of sdss at z = 0.3, HSC twice: there is nothing to adapt to
digits                hand-written digits; target blurred, dimmed and noisy on a bright background
dark-digits           the same; target in photons, 4 of the brightest pixel and 2 of the background
====================  ==================================================================================
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from torch import Tensor

from galshift import surveys
from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.preprocess import PreprocessConfig, Preprocessing, fit_preprocessing, training_sky_sigma
from galshift.mocks.observe import observe
from galshift.provenance import atomic_path
from galshift.simulate.generate import simulate_all
from galshift.simulate.shapes import poisson_snr, shapes

TASKS = ("depth", "sdss", "shapes", "unknown-lens", "unknown-merger", "mix")
ELSEWHERE = ("hsc-des", "clean-kids", "mix-panstarrs", "mix-kids", "same", "digits", "dark-digits")
UNKNOWN = {"unknown-lens": "lens", "unknown-merger": "merger"}
# Images of each class in the source's train, valid and test parts, and the target's train and test parts.
SOURCE, TARGET = (100, 30, 50), (100, 100)
# A hundred of a class do not teach a network the clean drawings: 0.79 on the source was all it reached.
SHAPES_SOURCE, SHAPES_TARGET = (250, 50, 50), (150, 100)
BANDS = ("g", "r", "i")
DIGITS_SOURCE, DIGITS_TARGET = (60, 15, 24), (40, 34)  # nearly all that there are
FEWER_UNKNOWN = (60, 100)


@dataclass(frozen=True)
class Pair:
    """Two surveys' looks at galaxies.

    Attributes
    ----------
    kinds : tuple of str
        Of the source.
    source, target : str or None
        Surveys; None for the simulation itself.
    redshift : float
    scale_arcsec : float
        Of the 48 pixels that the network sees.
    drawn_arcsec : float or None
        Pixel scale of the simulation; None for its own, 0.3 arcsec.
    target_counts : dict of str to tuple of int
        Where they differ from `TARGET`; also of kinds that only the target has.
    """

    kinds: tuple[str, ...]
    source: str | None = "lsst-y10"
    target: str = "lsst-y1"
    redshift: float = 0.5
    scale_arcsec: float = 0.2
    drawn_arcsec: float | None = 0.1
    target_counts: dict[str, tuple[int, int]] = field(default_factory=dict)


_USUAL = ("merger", "spiral", "elliptical")
_SMOOTH = ("spiral", "elliptical", "edge-on")
PAIRS = {
    "depth": Pair(_USUAL),
    "sdss": Pair(_USUAL, None, "sdss", 0.12, 28.8 / 48, None),
    "unknown-lens": Pair(_USUAL, target_counts={"lens": FEWER_UNKNOWN}),
    "unknown-merger": Pair(_SMOOTH, target_counts={"merger": FEWER_UNKNOWN}),
    "mix": Pair(("merger", "spiral"), target_counts={"merger": (20, 30), "spiral": (180, 270)}),
    "hsc-des": Pair(_SMOOTH, "hsc-wide", "des", 0.4, 0.26, 0.13),
    "clean-kids": Pair(("merger", "elliptical", "edge-on"), None, "kids", 0.2, 0.4, 0.2),
    "mix-panstarrs": Pair(
        *(_USUAL, "hsc-wide", "panstarrs", 0.3, 0.3, 0.15),
        target_counts={"merger": (30, 30), "spiral": (210, 210), "elliptical": (60, 60)},
    ),
    "mix-kids": Pair(
        *(("spiral", "merger"), "hsc-wide", "kids", 0.35, 0.25, 0.125),
        target_counts={"spiral": (30, 40), "merger": (170, 230)},
    ),
    "same": Pair(_USUAL, "hsc-wide", "hsc-wide", 0.3, 0.25, 0.125),
}
DRAWN = {
    "shapes": ("line", "rectangle", "circle"),
    **dict.fromkeys(("digits", "dark-digits"), tuple(str(digit) for digit in range(10))),
}
KINDS = {name: pair.kinds for name, pair in PAIRS.items()} | DRAWN


@dataclass(frozen=True)
class Task:
    """One task and seed, ready for the network.

    Attributes
    ----------
    classes : tuple of str
        K classes of the source.
    source, valid, source_test, target, target_test : tuple of Tensor
        Linear images (N, C, S, S) and labels (N,); -1 marks a class that the source does not have.
    preprocessing : Preprocessing
    noise_scale : Tensor
        (C,) sky noise of the noisier domain.
    """

    classes: tuple[str, ...]
    source: tuple[Tensor, Tensor]
    valid: tuple[Tensor, Tensor]
    source_test: tuple[Tensor, Tensor]
    target: tuple[Tensor, Tensor]
    target_test: tuple[Tensor, Tensor]
    preprocessing: Preprocessing
    noise_scale: Tensor


def load_task(name: str, seed: int, work: Path) -> Task:
    """Return a task, made on the first call and kept in `work`."""
    path = work / f"{name}-{seed}.npz"
    if not path.is_file():
        draw = {"shapes": _shapes, "digits": _digits, "dark-digits": partial(_digits, dark=True)}
        made = _galaxies(PAIRS[name], seed, work) if name in PAIRS else draw[name](seed)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **made)
    return read_task(path, KINDS[name])


def read_task(path: Path, classes: tuple[str, ...]) -> Task:
    """Return the task that `packed` made."""
    with np.load(path) as stored:
        parts = {
            part: (torch.from_numpy(stored[part]), torch.from_numpy(stored[f"{part}_labels"]))
            for part in ("source", "valid", "source_test", "target", "target_test")
        }
        preprocessing = Preprocessing.model_validate_json(str(stored["preprocessing"]))
    # As adapt does: augmentation noise is measured in the sky of the noisier domain.
    sky = [torch.tensor(training_sky_sigma(parts[part][0].numpy())) for part in ("source", "target")]
    return Task(
        **parts, classes=classes, preprocessing=preprocessing, noise_scale=torch.maximum(sky[0], sky[1])
    )


def _galaxies(pair: Pair, seed: int, work: Path) -> dict[str, np.ndarray]:
    """Observe two sets of galaxies, each as one survey sees them."""
    counts = dict.fromkeys(pair.kinds, TARGET) | pair.target_counts
    sizes = ([SOURCE] * len(pair.kinds), list(counts.values()))
    kinds = (pair.kinds, tuple(counts))
    looks = []
    for number, survey in enumerate((pair.source, pair.target)):
        pool = [
            pool_of(kind, 2 * seed + number + 1000, sum(n), pair, work)
            for kind, n in zip(kinds[number], sizes[number], strict=True)
        ]
        if survey is not None:
            pool = [observe(c, surveys.load(survey), bands=BANDS, seed=2 * seed + number) for c in pool]
        looks.append(pool)
    return packed(looks, sizes, PreprocessConfig(size=48, pixel_scale_arcsec=pair.scale_arcsec), seed)


def pool_of(kind: str, number: int, n: int, pair: Pair, work: Path) -> Cutouts:
    """Return the first `n` noise-free galaxies of a kind; other galaxies in either domain and every seed."""
    options = {"redshift": pair.redshift}
    if pair.drawn_arcsec is not None:
        options["pixel_scale_arcsec"] = pair.drawn_arcsec
    path = work / f"pool-{'-'.join(map(str, options.values()))}-{kind}-{number}-{n}.npy"
    ids = np.array([f"{kind}-{number}-{k}" for k in range(n)])
    if path.is_file():
        empty = simulate_all(1, classes=(kind,), seed=number, **options)
        return empty.with_(
            images=np.load(path), ids=ids, groups=ids, labels=np.zeros(n, np.int64), table=None
        )
    made = simulate_all(n, classes=(kind,), seed=number, **options)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, made.images)
    return made.with_(ids=ids, groups=ids, table=None)


def packed(
    looks: list[list[Cutouts]],
    sizes: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
    config: PreprocessConfig,
    seed: int,
) -> dict[str, np.ndarray]:
    """Fit the preprocessing on the source's training part and cut every part out.

    Both lists have an entry a domain, with one of each class: images, and how many go into each part.
    """
    first, n_known = looks[0][0], len(looks[0])
    train = [c.images[: n[0]] for c, n in zip(looks[0], sizes[0], strict=True)]
    joined = replace(
        first.with_(table=None),
        images=np.concatenate(train),
        ids=np.arange(sum(map(len, train))).astype(str),
        groups=np.arange(sum(map(len, train))).astype(str),
        labels=np.repeat(np.arange(n_known), [n[0] for n in sizes[0]]),
        mask=None,
        ivar=None,
        psf_fwhm=None,
    )
    preprocessing = fit_preprocessing(InMemory(joined), None, config, seed)
    linear = [[preprocessing.linear(c) for c in domain] for domain in looks]
    parts: dict[str, np.ndarray] = {"preprocessing": np.array(preprocessing.model_dump_json())}
    names = (("source", "valid", "source_test"), ("target", "target_test"))
    for domain, part_names, part_sizes in zip(linear, names, sizes, strict=True):
        for k, part in enumerate(part_names):
            rows = [
                images[sum(n[:k]) : sum(n[: k + 1])] for images, n in zip(domain, part_sizes, strict=True)
            ]
            labels = [np.full(len(r), c if c < n_known else -1) for c, r in enumerate(rows)]
            order = np.random.default_rng(seed).permutation(sum(map(len, rows)))
            parts[part] = np.concatenate(rows)[order]
            parts[f"{part}_labels"] = np.concatenate(labels)[order]
    return parts


def _shapes(seed: int) -> dict[str, np.ndarray]:
    """Draw the shapes task at 100 pixels."""
    source = shapes(3 * sum(SHAPES_SOURCE), seed=2 * seed + 1000)
    target = shapes(3 * sum(SHAPES_TARGET), seed=2 * seed + 1001)
    target = target.with_(images=poisson_snr(target.images, 0.05, seed))
    by_class = [[c.take(np.flatnonzero(c.labels == k)) for k in range(3)] for c in (source, target)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return packed(by_class, ([SHAPES_SOURCE] * 3, [SHAPES_TARGET] * 3), PreprocessConfig(), seed)


def _digits(seed: int, *, dark: bool = False) -> dict[str, np.ndarray]:
    """Split scikit-learn's digits, and spoil the target's as another camera might."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16
    rng = np.random.default_rng(seed + 1000)
    n_source, n_target = sum(DIGITS_SOURCE), sum(DIGITS_TARGET)
    sides: tuple[list[Cutouts], list[Cutouts]] = ([], [])
    for digit in range(10):
        rows = rng.permutation(np.flatnonzero(labels == digit))[: n_source + n_target]
        source, target = images[rows[:n_source]], images[rows[n_source:]]
        if dark:
            target = rng.poisson(4 * target + 2) / 4
        else:
            target = 0.6 * gaussian_filter(target, (0, 0.5, 0.5)) + 0.3 + rng.normal(0, 0.1, target.shape)
        for side, pixels in zip(sides, (source, target), strict=True):
            enlarged = pixels.repeat(4, 1).repeat(4, 2)[:, None].astype(np.float32)
            ids = np.array([f"{digit}-{k}" for k in range(len(pixels))])
            side.append(Cutouts(images=enlarged, ids=ids, bands=("grey",)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return packed(sides, ([DIGITS_SOURCE] * 10, [DIGITS_TARGET] * 10), PreprocessConfig(), seed)
