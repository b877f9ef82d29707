"""What a fault is: a short list of variants, each a stencil of struck pixels with an amplitude per band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from galshift.audit.config import Detector
from galshift.types import Strict

CENTRE = ((0, 0, 1.0),)

# A fault's options are a frozen config like any other; an unknown option is refused by name.
FaultConfig = Strict


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

    Config: ClassVar[type[Strict]] = FaultConfig
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
        scale = torch.tensor(detector.scale(linear.shape[-3]), dtype=torch.float32).to(linear)
        amplitude = amplitude / scale[bands]
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
