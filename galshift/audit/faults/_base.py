"""What a fault is: a short list of variants, each a stencil of struck pixels with an amplitude per band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from galshift.errors import DataError
from galshift.types import Strict

CENTRE = ((0, 0, 1.0),)


class Detector(Strict):
    """How electrons relate to the values of the images.

    Attributes
    ----------
    electrons_per_unit : tuple of float
        Electrons that one image unit (such as nJy) stands for in the whole stack, one number per band, or one
        for all.  Empty where it is not known; faults in electrons are then refused.
    exposures : tuple of float
        Exposures in the stack, likewise.  An event strikes one of them.
    sky_e : tuple of float
        Sky electrons per pixel in the stack that were subtracted, likewise: a dead pixel ends below the sky
        by this much.
    full_well_e : float
        Electrons at which a pixel saturates in one exposure; 77 400 is that of ACS/WFC (Instrument Handbook).
    exposure_s : float or None
        Seconds of one exposure, for event rates.
    pixel_arcsec : float or None
        Side of a detector pixel on the sky; that of the images where absent.
    source : str
        Where the numbers come from, shown in the report.
    """

    electrons_per_unit: tuple[float, ...] = ()
    exposures: tuple[float, ...] = (1.0,)
    sky_e: tuple[float, ...] = (0.0,)
    full_well_e: float = Field(77_400.0, gt=0)
    exposure_s: float | None = Field(None, gt=0)
    pixel_arcsec: float | None = Field(None, gt=0)
    source: str = "not stated"

    def scale(self, n_bands: int) -> Tensor:
        """Return electrons per image unit, (C,).

        Raises
        ------
        DataError
            When they are not known, not positive, or do not fit the bands.
        """
        if not self.electrons_per_unit:
            raise DataError(
                "faults in electrons need to know how many electrons one image unit is",
                where="detector.electrons_per_unit",
                hint="give --survey, or --set detector.electrons_per_unit=[...], or use --fault rgb",
            )
        return torch.tensor(self.by_band("electrons_per_unit", n_bands, above_zero=True), dtype=torch.float32)

    def by_band(self, name: str, n_bands: int, *, above_zero: bool = False) -> tuple[float, ...]:
        """Return the attribute `name` with one number per band; refuses wrong counts and signs."""
        given: tuple[float, ...] = getattr(self, name)
        wrong_sign = any(not (value > 0 if above_zero else value >= 0) for value in given)
        if len(given) not in (1, n_bands) or wrong_sign:
            raise DataError(
                f"it takes one {'positive' if above_zero else 'non-negative'} number, or one for each of the "
                f"{n_bands} bands, not {list(given)}",
                where=f"detector.{name}",
            )
        return given if len(given) == n_bands else given * n_bands


@dataclass(frozen=True)
class Variant:
    """One way in which a fault strikes, wherever on the image it lands.

    Attributes
    ----------
    name : str
        As shown in tables, such as ``1000 e in g``.
    bands : tuple of int
        The channels struck.
    values : tuple of float
        Amplitude in each of `bands`: electrons, or stretched values for a fault in the stretched image.
    stencil : tuple of (int, int, float)
        Offsets (dy, dx) [pixel] from the place of impact and the share of the amplitude there.
    weight : float
        Share of the events that are like this one; the weights of a fault sum to 1.
    """

    name: str
    bands: tuple[int, ...]
    values: tuple[float, ...]
    stencil: tuple[tuple[int, int, float], ...] = CENTRE
    weight: float = 1.0


@dataclass(frozen=True)
class Scene:
    """What a fault must know of the images: bands, detector, and each band's stretched range."""

    bands: Sequence[str]
    detector: Detector
    low: Tensor
    high: Tensor


class Fault:
    """One kind of fault.  Subclass once, in ``galshift/audit/faults/<name>.py``.

    Class attributes
    ----------------
    version : int
        Raised when its numbers change.
    stretched : bool
        True when the amplitude is a stretched value rather than electrons.
    adds : bool
        True when the amplitude is added to the pixel, False when it replaces it.
    """

    Config: ClassVar[type[Strict]] = Strict
    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""
    stretched: ClassVar[bool] = False
    adds: ClassVar[bool] = False

    def __init__(self, config: Strict | None = None) -> None:
        self.config = self.Config() if config is None else config

    def variants(self, scene: Scene) -> list[Variant]:
        """Return every way in which the fault may strike: the grid of the complete search."""
        raise TypeError(f"{type(self).__name__} has no variants()")


def strike(
    fault: Fault,
    variant: Variant,
    linear: Tensor,
    shares: Tensor,
    stretch: Callable[[Tensor], Tensor],
    detector: Detector,
) -> Tensor:
    """Return the stretched image of `linear` after the fault.

    Parameters
    ----------
    linear : Tensor
        (..., C, h, w) images in physical units; not changed.
    shares : Tensor
        (..., h, w), or anything that broadcasts to it: share of the amplitude that each pixel receives, 0
        where it is not struck.
    stretch : callable
        From linear to stretched images.
    """
    bands = list(variant.bands)
    amplitude = torch.tensor(variant.values, dtype=linear.dtype, device=linear.device)
    if not fault.stretched:
        amplitude = amplitude / detector.scale(linear.shape[-3]).to(linear)[bands]
    image = (stretch(linear) if fault.stretched else linear).clone()
    before = image[..., bands, :, :]
    share = shares.to(linear).unsqueeze(-3)
    value = amplitude[:, None, None] * share
    image[..., bands, :, :] = before + value if fault.adds else torch.where(share > 0, value, before)
    return image if fault.stretched else stretch(image)


def each_band(bands: Sequence[str], amplitudes: Sequence[Sequence[float]]) -> list[Variant]:
    """Return a variant for every amplitude [electron] and band, the strongest first, all equally likely.

    Parameters
    ----------
    amplitudes : sequence
        For each strength, one amplitude per band.
    """
    ordered = sorted(amplitudes, key=lambda values: -max(abs(value) for value in values))
    weight = 1 / (len(bands) * len(ordered))
    return [
        Variant(f"{values[band]:g} e in {name}", (band,), (float(values[band]),), weight=weight)
        for values in ordered
        for band, name in enumerate(bands)
    ]
