"""Electrons per nanojansky of a survey preset, for faults injected before the stretch."""

from __future__ import annotations

from collections.abc import Sequence

from galshift.audit.config import Detector
from galshift.errors import DataError

NANOJANSKY_ZERO_POINT = 31.4  # AB magnitude of 1 nJy


def survey_detector(
    survey: str, bands: Sequence[str], unit: str, pixel_scale_arcsec: float | None
) -> Detector:
    """Return the detector of a survey preset for images in nJy.

    Electrons of a source of 1 nJy in the stack are 10^(0.4 (zero point − 31.4)) × exposure time ×
    exposures; sky electrons a pixel follow likewise from the sky's surface brightness.  The full well stays
    that of ACS/WFC: presets do not state one.

    Raises
    ------
    DataError
        When the preset has no zero point in a band, or the images are not in nJy.
    """
    from galshift import surveys

    if unit != "nJy":
        raise DataError(
            f"the model's images are in {unit}, and a survey's electrons are known per nJy only",
            where="--survey",
            hint="give --set detector.electrons_per_unit=[...], or use --fault rgb",
        )
    preset = surveys.load(survey)
    per_unit, exposures, sky, times = [], [], [], []
    for name in bands:
        band = preset.bands.get(name)
        if band is None or band.zero_point is None or band.exposures is None or band.exposure_time is None:
            raise DataError(
                f"the preset '{survey}' does not state the electrons of band '{name}'",
                where="--survey",
                hint="name a preset in instrument mode, or give --set detector.electrons_per_unit=[...]",
            )
        seconds = band.exposures.value * band.exposure_time.value
        per_unit.append(10 ** (0.4 * (band.zero_point.value - NANOJANSKY_ZERO_POINT)) * seconds)
        times.append(band.exposure_time.value)
        exposures.append(max(1.0, band.exposures.value))
        area = (pixel_scale_arcsec or preset.pixel_scale.value) ** 2
        bright = 0.0 if band.sky is None else 10 ** (0.4 * (band.zero_point.value - band.sky.value))
        sky.append(bright * area * seconds)
    return Detector(
        electrons_per_unit=tuple(per_unit),
        exposures=tuple(exposures),
        sky_e=tuple(sky),
        exposure_s=sum(times) / len(times),
        pixel_arcsec=preset.pixel_scale.value,
        source=f"survey preset '{survey}': zero point, exposures and sky; full well of ACS/WFC",
    )
