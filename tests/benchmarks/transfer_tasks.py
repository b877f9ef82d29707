"""The tasks of the transfer benchmark: six pairs of domains made from nothing, one file per task and seed.

====================  ==================================================================================
depth                 three kinds of galaxy at z = 0.5; source LSST's tenth year, target its first
sdss                  the same kinds at z = 0.12; source noise-free simulations, target SDSS
shapes                lines, rectangles, circles; target under Poisson noise at a ratio of 0.05
unknown-lens          depth, with strong lenses in the target alone
unknown-merger        spirals, ellipticals and edge-on discs; mergers in the target alone
mix                   mergers and spirals as depth; 50/50 in the source, 10/90 in the target
====================  ==================================================================================
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from galshift import surveys
from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.preprocess import PreprocessConfig, Preprocessing, fit_preprocessing, training_sky_sigma
from galshift.mocks.observe import observe
from galshift.provenance import atomic_path
from galshift.simulate.generate import simulate_all
from galshift.simulate.shapes import poisson_snr, shapes

TASKS = ("depth", "sdss", "shapes", "unknown-lens", "unknown-merger", "mix")
KINDS = {
    "depth": ("merger", "spiral", "elliptical"),
    "sdss": ("merger", "spiral", "elliptical"),
    "shapes": ("line", "rectangle", "circle"),
    "unknown-lens": ("merger", "spiral", "elliptical"),
    "unknown-merger": ("spiral", "elliptical", "edge-on"),
    "mix": ("merger", "spiral"),
}
UNKNOWN = {"unknown-lens": "lens", "unknown-merger": "merger"}
# Images of each class in the source's train, valid and test parts, and the target's train and test parts.
SOURCE, TARGET = (100, 30, 50), (100, 100)
# A hundred of a class do not teach a network the clean drawings: 0.79 on the source was all it reached.
SHAPES_SOURCE, SHAPES_TARGET = (250, 50, 50), (150, 100)
FEWER_UNKNOWN = (60, 100)
MIX = {"merger": (20, 30), "spiral": (180, 270)}


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
        made = _shapes(seed) if name == "shapes" else _galaxies(name, seed, work)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **made)
    with np.load(path) as stored:
        parts = {
            part: (torch.from_numpy(stored[part]), torch.from_numpy(stored[f"{part}_labels"]))
            for part in ("source", "valid", "source_test", "target", "target_test")
        }
        preprocessing = Preprocessing.model_validate_json(str(stored["preprocessing"]))
    # As adapt does: augmentation noise is measured in the sky of the noisier domain.
    sky = [torch.tensor(training_sky_sigma(parts[part][0].numpy())) for part in ("source", "target")]
    return Task(
        **parts, classes=KINDS[name], preprocessing=preprocessing, noise_scale=torch.maximum(sky[0], sky[1])
    )


def _galaxies(name: str, seed: int, work: Path) -> dict[str, np.ndarray]:
    """Observe one pool of galaxies twice."""
    near = name == "sdss"
    pool = partial(_pool, near=near, seed=seed, work=work)
    source = [pool(kind, "source", sum(SOURCE)) for kind in KINDS[name]]
    counts = {kind: MIX[kind] if name == "mix" else TARGET for kind in KINDS[name]}
    if name in UNKNOWN:
        counts[UNKNOWN[name]] = FEWER_UNKNOWN
    target = [pool(kind, "target", sum(n)) for kind, n in counts.items()]
    seen = (None, "sdss") if near else ("lsst-y10", "lsst-y1")
    looks = []
    for number, (survey, kinds) in enumerate(zip(seen, (source, target), strict=True)):
        load = None if survey is None else surveys.load(survey)
        looks.append([c if load is None else observe(c, load, seed=2 * seed + number) for c in kinds])
    scale, size = (28.8 / 48, 48) if near else (0.2, 48)
    config = PreprocessConfig(size=size, pixel_scale_arcsec=scale)
    sizes = ([SOURCE] * len(KINDS[name]), list(counts.values()))
    return _pack(looks, sizes, config, seed)


def _pool(kind: str, domain: str, n: int, *, near: bool, seed: int, work: Path) -> Cutouts:
    """Return the first `n` noise-free galaxies of a kind; other galaxies in either domain and every seed."""
    number = 2 * seed + (domain == "target") + 1000
    path = work / f"pool-{'near' if near else 'far'}-{kind}-{number}-{n}.npy"
    options = {"redshift": 0.12} if near else {"redshift": 0.5, "pixel_scale_arcsec": 0.1}
    if path.is_file():
        empty = simulate_all(1, classes=(kind,), seed=number, **options)
        ids = np.array([f"{kind}-{number}-{k}" for k in range(n)])
        return empty.with_(
            images=np.load(path), ids=ids, groups=ids, labels=np.zeros(n, np.int64), table=None
        )
    made = simulate_all(n, classes=(kind,), seed=number, **options)
    ids = np.array([f"{kind}-{number}-{k}" for k in range(n)])
    np.save(path, made.images)
    return made.with_(ids=ids, groups=ids, table=None)


def _pack(
    looks: list[list[Cutouts]],
    sizes: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
    config: PreprocessConfig,
    seed: int,
) -> dict[str, np.ndarray]:
    """Fit the preprocessing on the source's training part and cut every part out.

    Both lists have an entry a domain, with one of each class: images, and how many go into each part.
    """
    from dataclasses import replace

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
        return _pack(by_class, ([SHAPES_SOURCE] * 3, [SHAPES_TARGET] * 3), PreprocessConfig(), seed)
