"""A picture of galaxies before and after: what to look at before trusting a mock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.provenance import atomic_path


def contact_sheet(path: str | Path, rows: Sequence[tuple[str, Cutouts]], *, limit: int = 8) -> Path:
    """Write a PNG with one row of images per data set, the same galaxies below each other.

    Parameters
    ----------
    path : path-like
    rows : sequence of (str, Cutouts)
        Title and images, in any linear flux unit; up to `limit` are shown.
    limit : int
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    n = min(limit, *(len(cutouts) for _, cutouts in rows))
    figure = Figure(figsize=(1.7 * n + 0.4, 1.95 * len(rows)), layout="constrained", facecolor="white")
    axes = figure.subplots(len(rows), n, squeeze=False)
    for line, (title, cutouts) in zip(axes, rows):
        for i, axis in enumerate(line):
            shown = picture(cutouts.images[i], None if cutouts.mask is None else _bad(cutouts.mask[i]))
            axis.imshow(shown, origin="lower", interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_xlabel(_caption(cutouts, i), fontsize=6)
        line[0].set_ylabel(title if len(title) <= 24 else f"{title[:21]}...", fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return Path(path)


def picture(image: np.ndarray, bad: np.ndarray | None = None) -> np.ndarray:
    """Return (H, W, 3) in [0, 1]: asinh from the noise to near the peak, three bands as red, green, blue.

    Bands come blue first, so the reddest of the first, middle and last is red.  Pixels that are `bad` (H, W),
    such as the frame of a smaller image, do not set the levels.
    """
    good = slice(None) if bad is None or bad.all() else ~bad
    n_bands = len(image)
    chosen = [n_bands - 1, n_bands // 2, 0] if n_bands >= 3 else [n_bands - 1] * 3
    planes = []
    for index in chosen:
        plane = image[index].astype(float)
        middle = np.median(plane[good])
        noise = 1.4826 * np.median(np.abs(plane[good] - middle))
        top = np.percentile(plane[good], 99.7) - middle
        soft = max(noise, top / 100, 1e-30)
        value = np.arcsinh((plane - middle) / soft)
        low, high = np.arcsinh(-1.5 * noise / soft), np.arcsinh(max(top, 3 * soft) / soft)
        planes.append(np.clip((value - low) / (high - low), 0, 1))
    return np.stack(planes, axis=-1)


def _bad(mask: np.ndarray) -> np.ndarray:
    """(H, W) of a mask with or without bands."""
    return mask.any(axis=0) if mask.ndim == 3 else mask


def _caption(cutouts: Cutouts, i: int) -> str:
    height, width = cutouts.images.shape[2:]
    scale = cutouts.pixel_scale
    scale = None if scale is None else float(np.broadcast_to(np.asarray(scale), (len(cutouts),))[i])
    name = str(cutouts.ids[i])
    name = name if len(name) <= 24 else f"{name[:11]}...{name[-10:]}"
    return f"{name}\n{width} x {height} px" + (f", {width * scale:.3g} arcsec" if scale else "")
