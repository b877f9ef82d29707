"""Galaxy images as pictures inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.report.page import Gallery, Picture

LARGEST = 512  # pixels a side of a picture in a page, which shows it far smaller


def composite(image: np.ndarray, *, softening: float = 3.0, bands: Sequence[str] = ()) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture of one (C, H, W) image, linear or stretched.

    Bands are taken red to blue (the last is red); an arcsinh of the mean intensity keeps colours (Lupton et
    al. 2004, eq. 2).  The sky is the median, the softening a few robust standard deviations of it.  NaN is
    drawn black.  A colour picture, whose bands are red, green and blue in [0, 1], is shown as it is.

    Parameters
    ----------
    image : ndarray
        (C, H, W).
    bands : sequence of str
        Their names, where known.
    softening : float
        Intensity, in standard deviations of the sky, where the arcsinh leaves its linear part.
    """
    image = np.asarray(image, dtype=np.float64)
    bad = ~np.isfinite(image).all(axis=0)
    image = np.where(np.isfinite(image), image, 0.0)
    if tuple(bands) == ("red", "green", "blue"):
        return np.round(255 * np.clip(np.moveaxis(image, 0, -1), 0, 1)).astype(np.uint8)
    rgb = image[_red_green_blue(len(image))]
    sky = np.median(rgb, axis=(1, 2), keepdims=True)
    rgb = rgb - sky
    intensity = rgb.mean(axis=0)
    noise = 1.4826 * np.median(np.abs(intensity - np.median(intensity)))
    top = np.quantile(intensity, 0.9995)
    scale = max(softening * noise, 0.01 * top, 1e-30)
    factor = np.arcsinh(np.maximum(intensity, 0) / scale) / np.arcsinh(max(top, scale) / scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = np.where(intensity > 0, rgb * factor / intensity, 0.0)
    shown = np.clip(shown, 0, None)
    peak = shown.max(axis=0)
    shown = np.where(peak > 1, shown / np.maximum(peak, 1e-30), shown)
    shown[:, bad] = 0
    return (np.moveaxis(np.clip(0.04 + 0.96 * shown, 0, 1), 0, -1) * 255).astype(np.uint8)


def coarse(image: np.ndarray, largest: int = LARGEST) -> np.ndarray:
    """Return a (C, H, W) image of at most `largest` pixels a side: means of square blocks of its own.

    A block is NaN where none of its pixels is finite; what does not fill a block at the edges is left out.
    """
    step = -(-max(image.shape[1:]) // largest)
    if step <= 1:
        return image
    image = np.asarray(image, dtype=np.float64)
    height, width = (max(1, side // step) for side in image.shape[1:])
    rows, columns = min(step, image.shape[1]), min(step, image.shape[2])
    blocks = image[:, : height * rows, : width * columns].reshape(len(image), height, rows, width, columns)
    good = np.isfinite(blocks)
    count = good.sum(axis=(2, 4))
    total = np.where(good, blocks, 0.0).sum(axis=(2, 4))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def heat(picture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture, grey and dimmed, under an (H, W) map of weights >= 0.

    The largest weight is full colour (matplotlib's inferno); a map without weight leaves the grey picture.
    """
    from matplotlib import colormaps

    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2) / 255
    top = float(np.max(weight))
    strength = np.clip(weight / top, 0, 1) if top > 0 else np.zeros(weight.shape)
    colour = colormaps["inferno"](strength)[..., :3]
    share = 0.75 * strength[..., None] ** 0.7
    return np.round(255 * np.clip(grey * (1 - share) * 0.9 + colour * share, 0, 1)).astype(np.uint8)


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture as (side, side, 3), for a thumbnail."""
    from skimage.transform import resize

    small = resize(picture / 255.0, (side, side), order=1, anti_aliasing=min(picture.shape[:2]) > side)
    return np.round(255 * np.clip(small, 0, 1)).astype(np.uint8)


def data_uri(picture: np.ndarray, *, kind: str = "png", quality: int = 85) -> str:
    """Return a (H, W, 3) uint8 picture as a ``data:`` URI; `kind` is ``png`` or ``jpeg``."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": quality} if kind == "jpeg" else {"optimize": True}
    imsave(buffer, np.ascontiguousarray(picture), format=kind, pil_kwargs=options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def gallery(
    images: np.ndarray | Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    notes: Sequence[str] | None = None,
    tones: Sequence[str] | None = None,
    caption: str = "",
    size_px: int = 112,
    bands: Sequence[str] = (),
) -> Gallery:
    """Return a gallery of (C, H, W) images with a title, and perhaps a note and a tone, each.

    `bands` is as for :func:`composite`.  An image of more than `LARGEST` pixels a side is shown coarser.
    """
    notes = notes if notes is not None else [""] * len(titles)
    tones = tones if tones is not None else [""] * len(titles)
    return Gallery(
        tuple(
            Picture(data_uri(composite(coarse(image), bands=bands)), str(title), str(note), tone)
            for image, title, note, tone in zip(images, titles, notes, tones)
        ),
        caption=caption,
        size_px=size_px,
    )


def _red_green_blue(n_bands: int) -> list[int]:
    if n_bands >= 3:
        return [n_bands - 1, (n_bands - 1) // 2, 0]
    return [1, 0, 0] if n_bands == 2 else [0, 0, 0]
