"""What differs between two sets of images, in words an astronomer would use.

Each image is measured without any model: noise, its correlation, size, light, shape, colour.  Two sets are
then compared quantity by quantity with the Kolmogorov-Smirnov statistic.  A quantity's name carries its unit,
so that what is not in common units is not compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.evaluation.explain import segment

_TOO_FEW_PIXELS = 20


def measure(cutouts: Cutouts) -> dict[str, np.ndarray]:
    """Return (N,) measurements by name; NaN where one is not defined.

    Noise is per pixel, noise and light are in the images' unit, and sizes in arcsec where the pixel scale is
    known, else in pixels.  Colours are magnitude differences of neighbouring bands, in which a common zero
    point cancels.  Masked pixels count for nothing.
    """
    unit = "" if cutouts.unit == "dimensionless" else f" [{cutouts.unit}]"
    length = "pixel" if cutouts.pixel_scale is None else "arcsec"
    scales = np.broadcast_to(
        np.asarray(1.0 if cutouts.pixel_scale is None else cutouts.pixel_scale), len(cutouts)
    )
    rows = []
    for i, scale in enumerate(scales):
        image = np.asarray(cutouts.images[i], dtype=np.float64)
        bad = np.zeros(1, dtype=bool) if cutouts.mask is None else cutouts.mask[i]
        image = _framed(np.where(bad | ~np.isfinite(image), np.nan, image))
        rows.append({} if image is None else _one(image, float(scale), cutouts.bands, unit, length))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}


def compare(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return one row for each quantity, (N,) and (M,), that both sets have, the most different first.

    Returns
    -------
    list of dict
        ``quantity``, ``median_a``, ``median_b``, ``ks`` in [0, 1] (0 = same distribution), ``p`` (of scipy's
        two-sample test, after Holm's correction for the number of quantities), ``n_a``, ``n_b``.
    """
    from scipy.stats import ks_2samp

    rows = []
    for name in a:
        if name not in b:
            continue
        one, two = (np.asarray(v)[np.isfinite(v)] for v in (a[name], b[name]))
        if len(one) < 2 or len(two) < 2:
            continue
        test = ks_2samp(one, two)
        rows.append(
            {
                "quantity": name,
                "median_a": float(np.median(one)),
                "median_b": float(np.median(two)),
                "ks": float(test.statistic),
                "p": float(test.pvalue),
                "n_a": len(one),
                "n_b": len(two),
            }
        )
    running = 0.0
    for rank, row in enumerate(sorted(rows, key=lambda row: row["p"])):
        running = max(running, min(1.0, row["p"] * (len(rows) - rank)))
        row["p"] = running
    return sorted(rows, key=lambda row: -row["ks"])


def common_vectors(
    a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], *, least: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, Q) and (M, Q) vectors of the quantities that at least a share `least` of both sets have."""
    names = [name for name in a if name in b and _share(a[name]) >= least and _share(b[name]) >= least]
    return tuple(
        np.stack([side[name] for name in names], axis=1) if names else np.zeros((0, 0)) for side in (a, b)
    )


def _share(values: np.ndarray) -> float:
    return float(np.isfinite(values).mean()) if len(values) else 0.0


def _framed(image: np.ndarray) -> np.ndarray | None:
    """Return (C, H, W) cut to its good pixels, holes filled with the sky; None where too little is left."""
    good = np.isfinite(image).any(axis=0)
    rows, columns = np.flatnonzero(good.any(axis=1)), np.flatnonzero(good.any(axis=0))
    if good.sum() < _TOO_FEW_PIXELS or len(rows) < 5 or len(columns) < 5:
        return None
    image = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if not np.isfinite(image).any(axis=(1, 2)).all():
        return None
    level = np.nanmedian(image, axis=(1, 2), keepdims=True)
    return np.where(np.isfinite(image), image, level)


def _one(image: np.ndarray, scale: float, bands: tuple[str, ...], unit: str, length: str) -> dict[str, float]:
    """Measure one (C, H, W) image without holes."""
    found: dict[str, float] = {}
    sky, noise = _sky(image)
    for band, level, sigma in zip(bands, sky, noise, strict=True):
        found[f"sky noise in {band}{unit}"] = sigma
        found[f"sky level in {band}{unit}"] = level
    found["correlation of neighbouring pixels' noise"] = _neighbour_correlation(image, sky)
    galaxy, others = segment(image)
    light = image - sky[:, None, None]
    flux = np.array([band[galaxy].sum() if galaxy.any() else np.nan for band in light])
    for band, value in zip(bands, flux, strict=True):
        found[f"flux in {band}{unit}"] = value
    for i in range(len(bands) - 1):
        positive = flux[i] > 0 and flux[i + 1] > 0
        found[f"colour {bands[i]} - {bands[i + 1]} [mag]"] = (
            -2.5 * np.log10(flux[i] / flux[i + 1]) if positive else np.nan
        )
    found["signal-to-noise ratio"] = _signal_to_noise(flux, noise, int(galaxy.sum()))
    found.update(_shape(light.sum(axis=0), galaxy, scale, length))
    found["share of the image in other sources"] = float(others.mean())
    return found


def _signal_to_noise(flux: np.ndarray, noise: np.ndarray, n_pixels: int) -> float:
    """Of all bands together within the galaxy's pixels, sky noise alone; NaN without noise or a galaxy."""
    if not n_pixels or not (noise > 0).all():
        return float("nan")
    return float(np.sqrt(((flux / (noise * np.sqrt(n_pixels))) ** 2).sum()))


def _shape(light: np.ndarray, galaxy: np.ndarray, scale: float, length: str) -> dict[str, float]:
    """Half-light radius, concentration and axis ratio of the galaxy from its own pixels."""
    names = (f"half-light radius [{length}]", "concentration (r80 / r20)", "axis ratio")
    weight = np.where(galaxy, np.maximum(light, 0), 0)
    total = weight.sum()
    if total <= 0:
        return dict.fromkeys(names, float("nan"))
    y, x = np.indices(light.shape)
    yc, xc = (weight * y).sum() / total, (weight * x).sum() / total
    dy, dx = y - yc, x - xc
    radius = np.hypot(dy, dx).ravel()
    order = np.argsort(radius)
    share = np.cumsum(weight.ravel()[order]) / total
    # The last share may fall short of 1 by rounding, and no radius lies beyond the last pixel.
    r20, r50, r80 = (radius[order][min(np.searchsorted(share, q), radius.size - 1)] for q in (0.2, 0.5, 0.8))
    mixed = (weight * dx * dy).sum()
    moments = np.array([[(weight * dx * dx).sum(), mixed], [mixed, (weight * dy * dy).sum()]])
    low, high = np.maximum(np.linalg.eigvalsh(moments / total), 1e-12)
    return dict(zip(names, (r50 * scale, r80 / max(r20, 0.5), float(np.sqrt(low / high))), strict=True))


def _sky(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level and robust noise of the border, by band."""
    margin = _margin(image)
    inner = np.zeros(image.shape[1:], dtype=bool)
    inner[margin:-margin, margin:-margin] = True
    border = image[:, ~inner]
    level = np.median(border, axis=1)
    return level, 1.4826 * np.median(np.abs(border - level[:, None]), axis=1)


def _neighbour_correlation(image: np.ndarray, sky: np.ndarray) -> float:
    """Correlation of horizontally adjacent border pixels, clipped at 3 sigma, averaged over bands."""
    margin = _margin(image)
    values = []
    for band, level in zip(image, sky, strict=True):
        strips = np.concatenate([band[:margin], band[-margin:]]) - level
        sigma = 1.4826 * np.median(np.abs(strips))
        left, right = strips[:, :-1].ravel(), strips[:, 1:].ravel()
        kept = (np.abs(left) < 3 * sigma) & (np.abs(right) < 3 * sigma)
        if kept.sum() > 10 and left[kept].std() > 0 and right[kept].std() > 0:
            values.append(np.corrcoef(left[kept], right[kept])[0, 1])
    return float(np.mean(values)) if values else float("nan")


def _margin(image: np.ndarray) -> int:
    return max(2, min(image.shape[1:]) // 10)
