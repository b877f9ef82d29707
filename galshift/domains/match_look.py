"""Bring the source's seeing and colours to the target's before either is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from galshift.data.match import band_order
from galshift.data.match_look import Look, look_between
from galshift.errors import DataError

if TYPE_CHECKING:
    from galshift.data.cutouts import DataInfo
    from galshift.domains.config import MatchedLook
    from galshift.training.sets import Fetcher, TrainingSet

_SAMPLE = 1000  # images of either domain that the colours are measured in
_AT_ONCE = 256
_TOLD = 0.02  # change of a band's flux from which it is worth a word


@dataclass(frozen=True)
class LookedAt:
    """Images that do not fit in memory, changed as they are fetched.

    Attributes
    ----------
    inner : Fetcher
    look : Look
    """

    inner: Fetcher
    look: Look

    def __len__(self) -> int:
        return len(self.inner)

    @property
    def block(self) -> int:
        """Images that lie together on disk."""
        return getattr(self.inner, "block", 1)

    @property
    def span(self) -> int:
        """Blocks that a pass mixes at a time."""
        return getattr(self.inner, "span", 1)

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the changed images (B, C, S, S) at `indices` (B,)."""
        return self.look(self.inner.fetch(indices))


def looked_at(images: TrainingSet, look: Look) -> TrainingSet:
    """Return the set with its linear images changed, once where they are in memory."""
    held = images.images
    if isinstance(held, Tensor):
        return replace(images, images=torch.cat([look(part) for part in held.split(_AT_ONCE)]))
    return replace(images, images=LookedAt(held, look))


def look_of(
    sets: tuple[TrainingSet, TrainingSet],
    infos: tuple[DataInfo, DataInfo],
    bands: Sequence[str],
    scale: float | None,
    what: MatchedLook,
) -> Look:
    """Return what brings source images to the target's look.

    Parameters
    ----------
    sets : tuple of TrainingSet
        Source and target, on the network's bands and scale.
    infos : tuple of DataInfo
        Of both.
    bands : sequence of str
        Of the network.
    scale : float or None
        arcsec per pixel of the network's images.
    what : str
        ``seeing``, ``colours`` or ``both``.

    Raises
    ------
    DataError
        When seeing is to be matched, and a PSF or the pixel scale is not known.
    """
    source, target = (one.take(next(one.chunks(_SAMPLE, limit=_SAMPLE))) for one in sets)
    widths = None if what == "colours" else tuple(psf_widths(info, bands) for info in infos)
    if widths is not None and (scale is None or None in widths):
        missing = "pixel scale" if scale is None else f"PSF of the {'target' if widths[0] else 'source'}"
        raise DataError(
            f"seeing cannot be matched: the {missing} is not known",
            hint="state it, such as --source-psf 0.7 --target-psf 1.1 (FWHM, arcsec) and --pixel-scale 0.2; "
            "or match colours alone: --set match_look=colours",
        )
    return look_between(source, target, widths, scale, colours=what != "seeing")


def psf_widths(info: DataInfo, bands: Sequence[str]) -> list[float] | None:
    """Return the median FWHM of each of `bands` [arcsec], None where one is not known."""
    if info.psf_fwhm is None:
        return None
    stated = np.asarray(info.psf_fwhm, dtype=float)
    if stated.ndim == 2:
        stated = stated[:, band_order(info.bands, list(bands))]
    widths = [
        float(np.nanmedian(each)) if np.isfinite(each).any() else np.nan for each in np.atleast_2d(stated.T)
    ]
    widths = widths if len(widths) == len(bands) else widths * len(bands)
    return widths if np.isfinite(widths).all() else None


def in_words(look: Look, bands: Sequence[str], scale: float | None) -> str:
    """Return a sentence on what was done to the source, or that there was nothing to do."""
    wider = [f"{band} {fwhm * scale:.2f}" for band, fwhm in zip(bands, look.fwhm_px, strict=True) if fwhm]
    tuned = [
        f"{band} {factor:.2f}"
        for band, factor in zip(bands, look.factor, strict=True)
        if abs(factor - 1) >= _TOLD
    ]
    done = [f"seen through turbulence of {', '.join(wider)} arcsec"] if wider else []
    done += [f"multiplied in flux by {', '.join(tuned)}"] if tuned else []
    return f"match_look: the source is {' and '.join(done) or 'like the target already'}"
