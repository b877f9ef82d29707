"""Options of an attack: how to search, what the detector is, and how often a fault strikes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from galshift.errors import DataError
from galshift.types import Strict

SECONDS_A_MINUTE = 60.0
CM_PER_MICRON = 1e-4


class EvolutionConfig(Strict):
    """Settings of differential evolution; the defaults are the published ones."""

    population: int = Field(400, ge=4)
    generations: int = Field(100, ge=0)
    factor: float = Field(0.5, gt=0, le=2)
    together: int = Field(16, ge=1, description="Images that advance together; results do not depend on it.")


class GradientConfig(Strict):
    """How many of the ranked candidates to try."""

    candidates: int = Field(100, ge=1)


class AttackConfig(Strict):
    """How to search.

    Attributes
    ----------
    search : str
        ``exhaustive`` (complete, with a certificate), ``de`` (differential evolution, the published attack)
        or ``gradient`` (the candidates that the gradient ranks first: quick, without a certificate).
    pixels : int
        How many pixels may change.
    seed : int
    de, gradient
        Settings of those searches.
    """

    search: Literal["exhaustive", "de", "gradient"] = Field(
        "exhaustive",
        description="How to search: completely, by differential evolution, or what the gradient ranks first.",
    )
    pixels: int = Field(1, ge=1, le=64, description="Pixels that may change.")
    seed: int = 42
    de: EvolutionConfig = EvolutionConfig()
    gradient: GradientConfig = GradientConfig()


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

    def scale(self, n_bands: int) -> tuple[float, ...]:
        """Return electrons per image unit, one number per band.

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
        return self.by_band("electrons_per_unit", n_bands, above_zero=True)

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


class EventRate(Strict):
    """How often a fault strikes.

    Attributes
    ----------
    events_cm2_min : float
        Cosmic-ray events per square centimetre and minute; about 5 at zenith in DECam (DES verification
        pages; the requirement is below 10).
    pixel_um : float
        Side of a detector pixel [micrometre]; 15 in DECam and ACS/WFC, 10 in LSSTCam.
    events_per_pixel : float or None
        Events per detector pixel of one exposure, in place of the two above: the share of bad pixels, for
        faults that stay (hot, dead).
    n_bootstrap : int
        Resamples of images for the interval.
    """

    events_cm2_min: float = Field(5.0, ge=0)
    pixel_um: float = Field(15.0, gt=0)
    events_per_pixel: float | None = Field(None, ge=0)
    n_bootstrap: int = Field(1000, ge=0)

    @property
    def stated(self) -> str:
        """The rate in words."""
        if self.events_per_pixel is not None:
            return f"{self.events_per_pixel:g} events per pixel and exposure"
        return f"{self.events_cm2_min:g} events / cm2 / min on pixels of {self.pixel_um:g} micrometres"

    def per_pixel(self, exposure_s: float | None) -> float | None:
        """Return events per detector pixel of one exposure; None where the exposure time is not known."""
        if self.events_per_pixel is not None:
            return self.events_per_pixel
        if exposure_s is None:
            return None
        area_cm2 = (self.pixel_um * CM_PER_MICRON) ** 2
        return self.events_cm2_min * area_cm2 * exposure_s / SECONDS_A_MINUTE
