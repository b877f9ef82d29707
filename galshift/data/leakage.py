"""Which images of a test set show what a training set shows too: copies, turned copies, and near copies.

A perceptual hash finds the candidates: the low frequencies of the cosine transform of a small, stretched,
normalised picture, compared in all 8 orientations.  Each test image's nearest training images are then
compared in full.  Galaxies of one name, and of one place on the sky, are found besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.data.identity import same_galaxies

SIDE = 32
THRESHOLD = 0.999
_FREQUENCIES = 10
_CANDIDATES = 4
_READ = 256
_PAIRS = 1 << 22
# Fluxes of near copies agree this well, where both sets are in the same unit and size.
_FLUX_RATIO = 1.1


@dataclass(frozen=True)
class Leak:
    """One test image and the training image that it repeats.

    Attributes
    ----------
    test, train : str
        Image ids.
    similarity : float
        Correlation of the two small pictures in the best of 8 orientations, in [-1, 1].
    identical : bool
        True when all pixels are the same but for a turn or flip (to 1e-5 of the brightest).
    """

    test: str
    train: str
    similarity: float
    identical: bool


@dataclass(frozen=True)
class Leaks:
    """What two sets share.

    Attributes
    ----------
    n_test, n_train : int
        Images of each.
    images : tuple of Leak
        Test images that repeat a training image, the surest first.
    groups : tuple of str
        Galaxies that both sets show: by names that someone gave, or by place on the sky.  Row numbers and
        file names link nothing.
    in_groups : int
        Test images of these galaxies.
    """

    n_test: int
    n_train: int
    images: tuple[Leak, ...]
    groups: tuple[str, ...]
    in_groups: int

    @property
    def fraction(self) -> float:
        """Fraction of the test images that repeat a training image."""
        return len(self.images) / self.n_test


def find_leaks(
    train: Dataset,
    test: Dataset,
    *,
    threshold: float = THRESHOLD,
    progress: Callable[[int], None] | None = None,
) -> Leaks:
    """Compare every image of `test` with every image of `train`.

    Parameters
    ----------
    train, test : Dataset
        They may differ in size and bands: pictures are compared, brightness is not.
    threshold : float
        Smallest correlation of near copies.  Different galaxies that are smooth, round and free of noise may
        come near it; among real images, which have their own noise, 0.95 is rare.
    progress : callable, optional
        Called with the number of images read since the last call.

    Returns
    -------
    Leaks
    """
    tell = progress or (lambda n: None)
    known = np.concatenate(list(_pictures(train, tell)))
    hashed = _hash(known)
    found: list[Leak] = []
    start = 0
    for pictures in _pictures(test, tell):
        turned = orientations(pictures)
        near = _nearest(_hash(turned.reshape(-1, SIDE, SIDE)).reshape(8, len(pictures), -1), hashed)
        for row, candidates in enumerate(near):
            values = np.tensordot(known[candidates], turned[:, row], axes=((1, 2), (1, 2)))
            best, way = np.unravel_index(np.argmax(values), values.shape)
            if values[best, way] >= threshold:
                pair = int(candidates[best]), start + row
                found += _leak(train, test, *pair, float(values[best, way]))
        start += len(pictures)
    shared = same_galaxies(train, test)
    return Leaks(
        len(test),
        len(train),
        tuple(sorted(found, key=lambda leak: (not leak.identical, -leak.similarity))),
        tuple(sorted(set(shared.tolist()) - {""})),
        int((shared != "").sum()),
    )


def small_pictures(images: np.ndarray) -> np.ndarray:
    """Return (N, 32, 32) pictures of zero mean and unit norm; all 0 for an image without structure.

    Each band is divided by its noise (or a thousandth of its brightest pixels, for images without noise) and
    stretched by asinh, so that neither the unit nor the brightest star decides; then bands are averaged.

    Parameters
    ----------
    images : ndarray
        (N, C, H, W), finite.
    """
    # A lattice of the pixels says enough of the sky, the noise and the bright end.
    stride = max(1, min(images.shape[2:]) // 64)
    lattice = images[:, :, ::stride, ::stride]
    middle = np.median(lattice, axis=(2, 3), keepdims=True)
    spread = 1.4826 * np.median(np.abs(lattice - middle), axis=(2, 3), keepdims=True)
    bright = np.percentile(np.abs(lattice - middle), 99.5, axis=(2, 3), keepdims=True)
    scale = np.maximum(spread, 1e-3 * bright)
    pictures = np.arcsinh((images - middle) / np.where(scale > 0, scale, 1)).mean(axis=1)
    rows, columns = (_areas(side, min(pictures.shape[1:])) for side in pictures.shape[1:])
    small = (rows @ pictures @ columns.T).astype(np.float32)
    small -= small.mean(axis=(1, 2), keepdims=True)
    norm = np.sqrt((small**2).sum(axis=(1, 2), keepdims=True))
    return np.where(norm > 1e-6, small / np.where(norm > 0, norm, 1), 0).astype(np.float32)


@lru_cache(maxsize=64)
def _areas(n: int, inner: int) -> np.ndarray:
    """Return the (32, n) matrix of means over equal parts of the central `inner` pixels.

    It is symmetric about the middle, so that making a picture small and turning it can change places.
    """
    edges = (n - inner) / 2 + np.linspace(0, inner, SIDE + 1)
    cumulative = np.vstack([np.zeros((1, n)), np.cumsum(np.eye(n), axis=0)])
    at_edges = np.stack([np.interp(edges, np.arange(n + 1), column) for column in cumulative.T], axis=1)
    return np.diff(at_edges, axis=0) * (SIDE / inner)


def orientations(pictures: np.ndarray) -> np.ndarray:
    """Return (8, ..., S, S): the four quarter turns of pictures and of their transposes."""
    turns = [np.rot90(pictures, k, axes=(-2, -1)) for k in range(4)]
    return np.stack([*turns, *(np.swapaxes(turn, -2, -1) for turn in turns)])


def _pictures(dataset: Dataset, tell: Callable[[int], None]) -> Iterator[np.ndarray]:
    for start in range(0, len(dataset), _READ):
        cutouts = dataset.read(np.arange(start, min(len(dataset), start + _READ)))
        yield small_pictures(cutouts.images)
        tell(len(cutouts))


def _hash(pictures: np.ndarray) -> np.ndarray:
    """Return unit vectors (N, 99): the lowest frequencies of the cosine transform, without the mean."""
    from scipy.fft import dctn

    low = dctn(pictures, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES]
    flat = low.reshape(len(low), -1)[:, 1:].astype(np.float32)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(norm > 0, norm, 1)


def _nearest(queries: np.ndarray, hashed: np.ndarray) -> np.ndarray:
    """Return (n, few) rows of `hashed` (N, F) that are nearest to any orientation of `queries` (8, n, F)."""
    n = queries.shape[1]
    kept = min(_CANDIDATES, len(hashed))
    best = np.full((n, kept), -np.inf, dtype=np.float32)
    rows = np.zeros((n, kept), dtype=np.int64)
    step = max(1, _PAIRS // (8 * n))
    for start in range(0, len(hashed), step):
        part = hashed[start : start + step]
        score = np.max(queries @ part.T, axis=0)
        scores = np.concatenate([best, score], axis=1)
        numbers = np.concatenate(
            [rows, np.broadcast_to(np.arange(start, start + len(part)), score.shape)], axis=1
        )
        top = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        best, rows = np.take_along_axis(scores, top, axis=1), np.take_along_axis(numbers, top, axis=1)
    return rows


def _leak(train: Dataset, test: Dataset, train_row: int, test_row: int, similarity: float) -> list[Leak]:
    """Look at the pixels of a pair that looks alike; an empty list where their fluxes tell them apart."""
    first, second = train.read([train_row]).images[0], test.read([test_row]).images[0]
    ways = [way for way in _turned(second) if way.shape == first.shape]
    if train.info.unit != test.info.unit or not ways:
        ways, identical = [], False
    else:
        away = min(float(np.abs(way - first).max()) for way in ways)
        identical = away <= 1e-5 * float(np.abs(first).max())
    if ways and not identical:
        # Smooth galaxies of one shape but other brightness are not the same galaxy.
        power, other = (float((image.astype(float) ** 2).sum()) ** 0.5 for image in (first, second))
        if not 1 / _FLUX_RATIO <= power / max(other, 1e-300) <= _FLUX_RATIO:
            return []
    names = str(test.info.ids[test_row]), str(train.info.ids[train_row])
    return [Leak(*names, min(similarity, 1.0), identical)]


def _turned(image: np.ndarray) -> list[np.ndarray]:
    """Return the 8 orientations of one image (C, H, W), which need not be square."""
    turns = [np.rot90(image, k, axes=(1, 2)) for k in range(4)]
    return [*turns, *(np.swapaxes(turn, 1, 2) for turn in turns)]
