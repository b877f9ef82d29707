"""The pairs of domains: one kind of gap each, at five strengths.

===============  =========================================================================================
same             LSST's tenth year twice: there is no gap
noise            the target has a share of the exposures, so that its noise is 1.5 to 10 times the source's
seeing           its point spread function is 1.2 to 3 times as wide
scale            its pixels are 1.2 to 3 times as large
redshift         its galaxies are at z = 0.45 to 1, the source's at 0.35
colour           its bands are out of tune: g fainter and i brighter by 10 to 60 %
units            its flux is in another unit, which nobody says: 1.5 to 50 times too large
neighbours       another galaxy of the same field lies over 20 to 100 % of its images
sky              a slope of the sky was left in, of 1 to 16 sky sigmas from edge to edge
mix              half spirals and half mergers in the source; 40 to 10 % mergers in the target
mix-noise        the noise of noise with 85 % mergers in the target, half in the source
mix-seeing       the seeing of seeing with 80 % spirals and 10 % of each other kind, even in the source
rare             the noise of noise; 60 % spirals, 30 % mergers and 10 % ellipticals in both
survey           source LSST's tenth year; target LSST's first, HSC, DES, KiDS or Pan-STARRS
simulated        source noise-free simulations at z = 0.15; target HSC, DES, KiDS, Pan-STARRS or SDSS
shapes           lines, rectangles, circles; target in photons, at a ratio of 0.5 to 0.03
digits           hand-written digits; target blurred, dimmed, noisy on a bright background
dark-digits      the same; target in 16 to 3 photons of the brightest pixel, on a background of half of it
smoothed         target images smoothed after the noise by a Gaussian of 0.5 to 2 pixels, as for one PSF
saturated        target counts end at 100 to 8 sigma of the sky
masked           a column and a row of 6 pixels, anywhere, are 0 in 20 to 100 % of target images
off-centre       target galaxies lie up to 2 to 10 pixels from the centre
mix-colour       the colours of colour with 15, 15 and 70 % of the classes, even in the source
mix-sky          the sky of sky with 85 % spirals in the target, half in the source
trailed          target images trail along a line by 1 to 6 pixels, before the noise
stretched        target galaxies are 1.1 to 2 times as long in one direction
stars            1 to 16 stars of 3 to 30 % of the galaxy's flux lie anywhere in target images
deeper           the target has more exposures: its noise is 1.5 to 10 times less than the source's
pedestal         a level of 1 to 16 sky sigmas was left in target images
columns          every column of target images is off by its own 0.3 to 4 sky sigmas (standard deviation)
cosmic-rays      three tracks of 5 to 20 pixels and 20 to 200 sky sigmas cross 20 to 100 % of target images
mix-redshift     the redshift of redshift with 70, 15 and 15 % of the classes, even in the source
===============  =========================================================================================

The seed sets the galaxies and the strength: ``seed % 5``.  As in `adapt`, each image's own sky is taken off
where the skies of two domains differ.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter, shift
from sklearn.datasets import load_digits

from galshift import surveys
from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.preprocess import PreprocessConfig, Preprocessing
from galshift.domains.account import account
from galshift.domains.unlike import sky_to_take_off
from galshift.mocks.observe import observe
from galshift.provenance import atomic_path
from galshift.simulate.shapes import poisson_snr, shapes
from galshift.surveys.schema import Survey
from tests.benchmarks.transfer_tasks import (
    BANDS,
    DIGITS_SOURCE,
    DIGITS_TARGET,
    SHAPES_SOURCE,
    SHAPES_TARGET,
    SOURCE,
    TARGET,
    Pair,
    Task,
    packed,
    pool_of,
    read_task,
)

# Of source and target: images by class, and how many go into each part.
Looks = list[list[Cutouts]]
Sizes = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]
KINDS = ("merger", "spiral", "elliptical")
PAIR = Pair(KINDS, redshift=0.35, scale_arcsec=0.2, drawn_arcsec=0.1)
STRENGTHS = 5
RARE = (0.3, 0.6, 0.1)  # shares of `KINDS` in either domain of the kind of that name
MIXED = 150  # images of either part of the target where classes are not even
LEVELS: dict[str, tuple] = {
    "same": (1, 1, 1, 1, 1),
    "noise": (1.5, 2.5, 4, 6, 10),
    "seeing": (1.2, 1.5, 2, 2.5, 3),
    "scale": (1.2, 1.5, 2, 2.5, 3),
    "redshift": (0.45, 0.55, 0.65, 0.8, 1.0),
    "colour": (0.1, 0.2, 0.3, 0.45, 0.6),
    "units": (1.5, 3, 8, 20, 50),
    "neighbours": (0.2, 0.4, 0.6, 0.8, 1.0),
    "sky": (1, 2, 4, 8, 16),
    "mix": (0.4, 0.3, 0.2, 0.15, 0.1),
    "mix-noise": (1.5, 2.5, 4, 6, 10),
    "mix-seeing": (1.2, 1.5, 2, 2.5, 3),
    "rare": (1.5, 2.5, 4, 6, 10),
    "survey": ("lsst-y1", "hsc-wide", "des", "kids", "panstarrs"),
    "simulated": ("hsc-wide", "des", "kids", "panstarrs", "sdss"),
    "shapes": (0.5, 0.2, 0.1, 0.05, 0.03),
    "digits": (0.3, 0.5, 0.7, 0.9, 1.2),
    "dark-digits": (16, 10, 6, 4, 3),
    "smoothed": (0.5, 0.8, 1.2, 1.6, 2.0),
    "saturated": (100, 50, 25, 15, 8),
    "masked": (0.2, 0.4, 0.6, 0.8, 1.0),
    "off-centre": (2, 4, 6, 8, 10),
    "mix-colour": (0.1, 0.2, 0.3, 0.45, 0.6),
    "mix-sky": (1, 2, 4, 8, 16),
    "trailed": (1, 2, 3, 4.5, 6),
    "stretched": (1.1, 1.25, 1.4, 1.7, 2.0),
    "stars": (1, 2, 4, 8, 16),
    "deeper": (1.5, 2.5, 4, 6, 10),
    "pedestal": (1, 2, 4, 8, 16),
    "columns": (0.3, 0.6, 1, 2, 4),
    "cosmic-rays": (0.2, 0.4, 0.6, 0.8, 1.0),
    "mix-redshift": (0.45, 0.55, 0.65, 0.8, 1.0),
}
#: Kinds on which no constant was fitted; they were in sight when the rules were chosen.
HELD_OUT = ("redshift", "neighbours", "simulated", "digits")
#: Kinds that were written down after every rule and constant had been fixed, and run once.
NEW = ("smoothed", "saturated", "masked", "off-centre", "mix-colour", "mix-sky")
#: Kinds that were written down after that, when rows of one value had become a sign, and run once.
LATER = (
    "trailed",
    "stretched",
    "stars",
    "deeper",
    "pedestal",
    "columns",
    "cosmic-rays",
    "mix-redshift",
)
SINCE = (*NEW, *LATER)
KNOWN = tuple(kind for kind in LEVELS if kind not in SINCE)


def level(kind: str, seed: int) -> float | str:
    """Return how strong the gap of this seed is."""
    return LEVELS[kind][seed % STRENGTHS]


def classes(kind: str) -> tuple[str, ...]:
    """Return the classes of a pair, in order."""
    if kind == "shapes":
        return ("line", "rectangle", "circle")
    if kind.endswith("digits"):
        return tuple(str(digit) for digit in range(10))
    return KINDS[:2] if kind in ("mix", "mix-noise", "mix-sky") else KINDS


def shares(kind: str, seed: int) -> tuple[float, ...] | None:
    """Return the share of each class in the target; None where the classes are even."""
    if kind == "mix":
        return (level(kind, seed), 1 - level(kind, seed))
    return {
        "mix-noise": (0.85, 0.15),
        "mix-seeing": (0.1, 0.8, 0.1),
        "mix-colour": (0.15, 0.15, 0.7),
        "mix-sky": (0.15, 0.85),
        "mix-redshift": (0.7, 0.15, 0.15),
    }.get(kind)


def load(kind: str, seed: int, work: Path, sky: str = "auto") -> Task:
    """Return a pair, made on the first call and stored in `work`."""
    path = work / f"{kind}-{seed}{'' if sky == 'auto' else f'-{sky}'}.npz"
    if not path.is_file():
        draw: dict[str, Callable] = {"shapes": _shapes, "digits": _digits, "dark-digits": _digits}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            looks, sizes, config = draw[kind](kind, seed) if kind in draw else _galaxies(kind, seed, work)
            made = _ready(looks, sizes, config.model_copy(update={"sky": sky}), seed)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **made)
    return read_task(path, classes(kind))


def _ready(looks: Looks, sizes: Sizes, config: PreprocessConfig, seed: int) -> dict[str, np.ndarray]:
    """The parts as the network is given them, with that sky taken off that `adapt` would take off."""
    made = packed(looks, sizes, config, seed)
    if config.sky != "auto":
        return made
    network = Preprocessing.model_validate_json(str(made["preprocessing"]))
    seen = []
    for of_classes, counts in zip(looks, sizes, strict=True):
        images = np.concatenate([c.images[: n[0]] for c, n in zip(of_classes, counts, strict=True)])
        ids = np.arange(len(images)).astype(str)
        whole = Cutouts(images, of_classes[0].unit, of_classes[0].pixel_scale, of_classes[0].bands, ids)
        seen.append(account(InMemory(whole), np.arange(len(images)), network)[0])
    sky = sky_to_take_off(seen)
    return made if sky == "as-is" else packed(looks, sizes, config.model_copy(update={"sky": sky}), seed)


def _galaxies(kind: str, seed: int, work: Path) -> tuple[Looks, Sizes, PreprocessConfig]:
    """Two sets of galaxies, each as its survey sees them."""
    pair = Pair(KINDS, redshift=0.15, scale_arcsec=0.4, drawn_arcsec=0.2) if kind == "simulated" else PAIR
    far = Pair(KINDS, redshift=level(kind, seed), scale_arcsec=0.2, drawn_arcsec=0.1)
    sizes = _sizes(kind, seed)

    def drawn(domain: int, of: Pair) -> list[Cutouts]:
        of_class = zip(classes(kind), sizes[domain], strict=True)
        return [pool_of(name, 2 * seed + 1000 + domain, sum(n), of, work) for name, n in of_class]

    gap = kind.removeprefix("mix-")
    source, target = drawn(0, pair), drawn(1, far if gap == "redshift" else pair)
    if gap in _DRAWN:
        target = [_DRAWN[gap](c, level(kind, seed), seed) for c in target]
    if kind != "simulated":
        source = [_seen(c, surveys.load("lsst-y10"), 2 * seed) for c in source]
    target = [_seen(c, _survey(kind, seed), 2 * seed + 1) for c in target]
    if gap in _SPOILED:
        target = [_SPOILED[gap](c, level(kind, seed), seed) for c in target]
    return [source, target], sizes, PreprocessConfig(size=48, pixel_scale_arcsec=pair.scale_arcsec)


def _sizes(kind: str, seed: int) -> Sizes:
    """How many images of each class go into each part of source and target."""
    if kind == "rare":
        source, target = (
            [tuple(round(3 * share * n) for n in part) for share in RARE] for part in (SOURCE, TARGET)
        )
        return source, target
    names, mix = classes(kind), shares(kind, seed)
    even = [TARGET] * len(names)
    return [SOURCE] * len(names), even if mix is None else [(round(MIXED * part),) * 2 for part in mix]


def _seen(galaxies: Cutouts, survey: Survey, seed: int) -> Cutouts:
    return observe(galaxies, survey, bands=BANDS, seed=seed)


def _survey(kind: str, seed: int) -> Survey:
    """The survey of the target."""
    if kind in ("survey", "simulated"):
        return surveys.load(level(kind, seed))
    document = surveys.load("lsst-y10").model_dump()
    gap = kind.removeprefix("mix-")
    if gap == "scale":
        document["pixel_scale"]["value"] *= level(kind, seed)
    for band in document["bands"].values():
        if gap in ("noise", "rare"):
            band["exposures"]["value"] /= level(kind, seed) ** 2
        if gap == "deeper":
            band["exposures"]["value"] *= level(kind, seed) ** 2
        if gap == "seeing":
            band["fwhm_quartiles"] = None
            band["fwhm"]["value"] *= level(kind, seed)
    return Survey.model_validate(document)


def _colour(seen: Cutouts, share: float, seed: int) -> Cutouts:
    gain = np.array([1 - share, 1.0, 1 + share], dtype=np.float32)
    return seen.with_(images=seen.images * gain[:, None, None])


def _units(seen: Cutouts, factor: float, seed: int) -> Cutouts:
    return seen.with_(images=seen.images * np.float32(factor))


def _neighbours(seen: Cutouts, share: float, seed: int) -> Cutouts:
    """Another of these galaxies, 30 to 60 % of the half-width from the centre; the noise adds too."""
    rng = np.random.default_rng(seed + 7000)
    images, others = seen.images.copy(), seen.images[rng.permutation(len(seen.images))]
    side = images.shape[-1]
    for row in np.flatnonzero(rng.random(len(images)) < share):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.3) * side
        shift = np.rint([radius * np.sin(angle), radius * np.cos(angle)]).astype(int)
        images[row] += np.roll(others[row], tuple(shift), axis=(-2, -1))
    return seen.with_(images=images)


def _sky(seen: Cutouts, sigmas: float, seed: int) -> Cutouts:
    """A plane through the image, another one for each."""
    rng = np.random.default_rng(seed + 8000)
    images, sigma = seen.images, _sky_sigma(seen)
    row = np.linspace(-0.5, 0.5, images.shape[-1], dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi, (len(images), 1, 1))
    plane = np.cos(angle) * row[:, None] + np.sin(angle) * row
    return seen.with_(images=(images + sigmas * plane[:, None] * sigma[:, None, None]).astype(np.float32))


def _sky_sigma(seen: Cutouts) -> np.ndarray:
    """(C,) noise of the uppermost rows."""
    return 1.4826 * np.median(np.abs(seen.images[..., :4, :]), axis=(0, 2, 3))


def _smoothed(seen: Cutouts, sigma_px: float, seed: int) -> Cutouts:
    return seen.with_(images=gaussian_filter(seen.images, (0, 0, sigma_px, sigma_px)))


def _saturated(seen: Cutouts, sigmas: float, seed: int) -> Cutouts:
    most = np.float32(sigmas) * _sky_sigma(seen)[:, None, None]
    return seen.with_(images=np.minimum(seen.images, most).astype(np.float32))


def _masked(seen: Cutouts, share: float, seed: int) -> Cutouts:
    rng = np.random.default_rng(seed + 9000)
    images = seen.images.copy()
    for row in np.flatnonzero(rng.random(len(images)) < share):
        y, x = rng.integers(0, images.shape[-1] - 6, 2)
        images[row, :, y : y + 6, :] = images[row, :, :, x : x + 6] = 0
    return seen.with_(images=images)


def _off_centre(seen: Cutouts, most_px: float, seed: int) -> Cutouts:
    """Moved by whole pixels, each its own way; what leaves on one side enters on the other."""
    rng = np.random.default_rng(seed + 9500)
    moves = rng.integers(-int(most_px), int(most_px) + 1, (len(seen.images), 2))
    moved = [np.roll(one, tuple(move), axis=(-2, -1)) for one, move in zip(seen.images, moves, strict=True)]
    return seen.with_(images=np.stack(moved))


def _trailed(drawn: Cutouts, length_px: float, seed: int) -> Cutouts:
    """Each along its own line; a pixel of the source is two of the drawing."""
    rng = np.random.default_rng(seed + 9700)
    steps = np.linspace(-length_px, length_px, 25)  # of the drawing's pixels
    images = []
    for one, angle in zip(drawn.images, rng.uniform(0, np.pi, len(drawn.images)), strict=True):
        moved = [shift(one, (0, d * np.sin(angle), d * np.cos(angle)), order=1) for d in steps]
        images.append(np.mean(moved, axis=0))
    return drawn.with_(images=np.stack(images).astype(np.float32))


def _stretched(drawn: Cutouts, factor: float, seed: int) -> Cutouts:
    """Along the columns, about the centre, with the same flux."""
    centre = (drawn.images.shape[-2] - 1) / 2
    matrix, offset = np.diag([1, 1, 1 / factor, 1]), [0, 0, centre * (1 - 1 / factor), 0]
    longer = affine_transform(drawn.images, matrix, offset, order=1) / np.float32(factor)
    return drawn.with_(images=longer)


def _stars(drawn: Cutouts, count: float, seed: int) -> Cutouts:
    rng = np.random.default_rng(seed + 9800)
    images = drawn.images.copy()
    flux = images.sum(axis=(-2, -1))
    for row in range(len(images)):
        for y, x in rng.integers(0, images.shape[-1], (int(count), 2)):
            images[row, :, y, x] += flux[row] * np.float32(10 ** rng.uniform(-1.5, -0.5))
    return drawn.with_(images=images)


def _pedestal(seen: Cutouts, sigmas: float, seed: int) -> Cutouts:
    return seen.with_(images=seen.images + np.float32(sigmas) * _sky_sigma(seen)[:, None, None])


def _columns(seen: Cutouts, sigmas: float, seed: int) -> Cutouts:
    rng = np.random.default_rng(seed + 9900)
    n, bands, _, side = seen.images.shape
    offsets = sigmas * rng.standard_normal((n, bands, 1, side)) * _sky_sigma(seen)[:, None, None]
    return seen.with_(images=(seen.images + offsets).astype(np.float32))


def _cosmic_rays(seen: Cutouts, share: float, seed: int) -> Cutouts:
    """Each track in one band, as bands are not exposed together."""
    rng = np.random.default_rng(seed + 9950)
    images, sigma = seen.images.copy(), _sky_sigma(seen)
    side = images.shape[-1]
    for row in np.flatnonzero(rng.random(len(images)) < share):
        for _ in range(3):
            band, length, angle = rng.integers(images.shape[1]), rng.uniform(5, 20), rng.uniform(0, np.pi)
            start, along = rng.uniform(0, side, 2), np.arange(0, length, 0.5)[:, None]
            path = np.unique((start + along * [np.sin(angle), np.cos(angle)]).astype(int), axis=0)
            y, x = path[((path >= 0) & (path < side)).all(axis=1)].T
            images[row, band, y, x] += np.float32(sigma[band] * 10 ** rng.uniform(1.3, 2.3))
    return seen.with_(images=images)


#: What is done to a target's galaxies before it is observed, and to its images after.
_DRAWN = {"trailed": _trailed, "stretched": _stretched, "stars": _stars}
_SPOILED = {
    "colour": _colour,
    "units": _units,
    "neighbours": _neighbours,
    "sky": _sky,
    "smoothed": _smoothed,
    "saturated": _saturated,
    "masked": _masked,
    "off-centre": _off_centre,
    "pedestal": _pedestal,
    "columns": _columns,
    "cosmic-rays": _cosmic_rays,
}


def _shapes(kind: str, seed: int) -> tuple[Looks, Sizes, PreprocessConfig]:
    """Drawings of 100 pixels, two by two of them averaged after the noise."""
    source = shapes(3 * sum(SHAPES_SOURCE), seed=2 * seed + 1000)
    target = shapes(3 * sum(SHAPES_TARGET), seed=2 * seed + 1001)
    target = target.with_(images=poisson_snr(target.images, level(kind, seed), seed))
    both = [c.with_(images=_halved(c.images)) for c in (source, target)]
    by_class = [[c.take(np.flatnonzero(c.labels == k)) for k in range(3)] for c in both]
    return by_class, ([SHAPES_SOURCE] * 3, [SHAPES_TARGET] * 3), PreprocessConfig()


def _halved(images: np.ndarray) -> np.ndarray:
    """(N, C, S, S) to (N, C, S / 2, S / 2) by the mean."""
    n, c, side = images.shape[:3]
    return images.reshape(n, c, side // 2, 2, side // 2, 2).mean(axis=(3, 5))


def _digits(kind: str, seed: int) -> tuple[Looks, Sizes, PreprocessConfig]:
    """scikit-learn's digits, the target's as another camera might see them."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16
    rng, strength = np.random.default_rng(seed + 1000), level(kind, seed)
    sides: tuple[list[Cutouts], list[Cutouts]] = ([], [])
    for digit in range(10):
        rows = rng.permutation(np.flatnonzero(labels == digit))[: sum(DIGITS_SOURCE) + sum(DIGITS_TARGET)]
        source, target = images[rows[: sum(DIGITS_SOURCE)]], images[rows[sum(DIGITS_SOURCE) :]]
        if kind == "dark-digits":
            target = rng.poisson(strength * (target + 0.5)) / strength
        else:
            blurred = gaussian_filter(target, (0, strength * 0.6, strength * 0.6))
            target = 0.6 * blurred + 0.3 + rng.normal(0, 0.12 * strength, target.shape)
        for side, pixels in zip(sides, (source, target), strict=True):
            enlarged = pixels.repeat(4, 1).repeat(4, 2)[:, None].astype(np.float32)
            ids = np.array([f"{digit}-{k}" for k in range(len(pixels))])
            side.append(Cutouts(images=enlarged, ids=ids, bands=("grey",)))
    return list(sides), ([DIGITS_SOURCE] * 10, [DIGITS_TARGET] * 10), PreprocessConfig()
