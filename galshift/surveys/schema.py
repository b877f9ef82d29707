"""What a survey preset is: numbers with their unit and source, and rules that refuse impossible ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from galshift.types import Strict

#: Darkest and brightest sky [mag / arcsec^2] that a preset may state: from zodiacal light alone to the near
#: infrared from the ground.  A sky per pixel, or in counts, falls outside.
SKY_RANGE = (15.0, 25.0)


class Number(Strict):
    """One value of a preset and where it comes from.

    ``verified`` is True only where the value was read in, or computed from, the primary source named.
    """

    value: float
    unit: str
    source: str = Field(description="A key of the file's `sources`.")
    verified: bool
    note: str = ""


class Depth(Strict):
    """A published limiting magnitude [AB mag] and exactly what it limits."""

    value: float = Field(gt=15, lt=32)
    unit: Literal["mag"] = "mag"
    snr: float = Field(gt=0)
    kind: Literal["point", "aperture", "galaxy"] = Field(
        description="Matched filter on a point source; noise in a circular aperture; matched filter on an "
        "exponential disc."
    )
    aperture_diameter_arcsec: float | None = Field(None, gt=0)
    half_light_radius_arcsec: float | None = Field(None, gt=0)
    source: str
    verified: bool
    note: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Depth:
        if (self.kind == "aperture") != (self.aperture_diameter_arcsec is not None):
            raise ValueError("a depth of kind 'aperture', and no other, states aperture_diameter_arcsec")
        if (self.kind == "galaxy") != (self.half_light_radius_arcsec is not None):
            raise ValueError("a depth of kind 'galaxy', and no other, states half_light_radius_arcsec")
        return self


class PsfModel(Strict):
    """The shape of the point spread function; its width is each band's ``fwhm``."""

    kind: Literal["gaussian", "moffat", "kolmogorov", "airy", "double-gaussian"]
    source: str
    verified: bool
    note: str = ""
    fwhm_kind: Literal["geometric", "effective"] = Field(
        "geometric",
        description="geometric: full width at half maximum of the profile; effective: that of the Gaussian "
        "with the same noise-equivalent area, as survey papers quote seeing.",
    )
    fwhm_includes_pixel: bool = Field(False, description="True where the FWHM was measured on the images.")
    beta: float | None = Field(None, gt=1, description="Moffat power.")
    diameter_m: float | None = Field(None, gt=0, description="Telescope aperture, for airy.")
    obscuration: float = Field(0.0, ge=0, lt=1, description="Central obscuration by diameter, for airy.")
    wing_fraction: float | None = Field(None, gt=0, lt=1, description="Flux in the second Gaussian.")
    wing_ratio: float | None = Field(None, gt=1, description="Its FWHM over that of the first.")

    @model_validator(mode="after")
    def _complete(self) -> PsfModel:
        needs = {
            "moffat": ("beta",),
            "airy": ("diameter_m",),
            "double-gaussian": ("wing_fraction", "wing_ratio"),
        }
        for kind, names in needs.items():
            for name in names:
                if (self.kind == kind) != (getattr(self, name) is not None):
                    raise ValueError(f"a PSF of kind '{kind}', and no other, states {name}")
        if self.fwhm_kind == "effective" and (self.kind == "airy" or self.fwhm_includes_pixel):
            raise ValueError(
                "an effective FWHM is of the atmosphere, not of a diffraction pattern, nor measured on pixels"
            )
        return self


class Band(Strict):
    """What one filter of a survey sees.

    ``zero_point`` is the AB magnitude that gives one electron per second; ``sky`` is per arcsec^2; a coadd of
    `exposures` (which may be a mean number) of `exposure_time` each.
    """

    wavelength: Number
    fwhm: Number
    fwhm_quartiles: list[Number] | None = Field(None, min_length=2, max_length=2)
    zero_point: Number | None = None
    sky: Number | None = None
    exposures: Number | None = None
    exposure_time: Number | None = None
    read_noise: Number | None = None
    dark: Number | None = None
    gain: Number | None = None
    depth: Depth | None = None

    @model_validator(mode="after")
    def _possible(self) -> Band:
        units = {
            "wavelength": "nm",
            "fwhm": "arcsec",
            "zero_point": "mag",
            "sky": "mag / arcsec2",
            "exposures": "",
            "exposure_time": "s",
            "read_noise": "electron",
            "dark": "electron / s",
            "gain": "electron / adu",
        }
        for name, unit in units.items():
            number = getattr(self, name)
            if number is not None and number.unit != unit:
                raise ValueError(f"{name} must be given in '{unit}', not '{number.unit}'")
            if number is not None and number.value < 0:
                raise ValueError(f"{name} cannot be negative")
        if self.sky is not None and not SKY_RANGE[0] <= self.sky.value <= SKY_RANGE[1]:
            raise ValueError(
                f"sky of {self.sky.value} mag / arcsec2 is outside {SKY_RANGE[0]:g} to {SKY_RANGE[1]:g}: "
                "is it per pixel, or in counts?"
            )
        if not 0.01 <= self.fwhm.value <= 5:
            raise ValueError(f"a FWHM of {self.fwhm.value} arcsec is not possible")
        if self.fwhm_quartiles is not None:
            low, high = (q.value for q in self.fwhm_quartiles)
            if not 0 < low < self.fwhm.value < high:
                raise ValueError(
                    "fwhm_quartiles must be the first and third, with fwhm, the median, between them"
                )
        return self


_INSTRUMENT = ("zero_point", "sky", "exposures", "exposure_time", "read_noise")


class Survey(Strict):
    """One survey as its images are.

    ``mode`` is ``instrument`` where noise follows from photons, and ``depth`` where only a published depth is
    known: the noise per pixel is then set to reach it.
    """

    name: str
    summary: str
    mode: Literal["instrument", "depth"]
    version: int = Field(1, ge=1, description="Raised when a number changes.")
    pixel_scale: Number
    psf: PsfModel
    noise_correlation: list[list[float]] | None = Field(
        None, description="Autocorrelation of the noise by pixel lag, centre 1; white when absent."
    )
    noise_correlation_source: str | None = None
    bands: dict[str, Band] = Field(min_length=1)
    sources: dict[str, str]

    @model_validator(mode="after")
    def _consistent(self) -> Survey:
        problems = []
        if self.pixel_scale.unit != "arcsec / pixel" or not 0.005 < self.pixel_scale.value < 5:
            problems.append("pixel_scale must be 0.005 to 5 'arcsec / pixel'")
        for name, band in self.bands.items():
            needed = _INSTRUMENT if self.mode == "instrument" else ("depth",)
            missing = [item for item in needed if getattr(band, item) is None]
            if missing:
                problems.append(f"bands.{name}: {self.mode} mode needs {', '.join(missing)}")
            unknown = {number.source for number in _numbers(band)} - set(self.sources)
            if unknown:
                problems.append(f"bands.{name}: sources {sorted(unknown)} are not in `sources`")
        for key, source in (("pixel_scale", self.pixel_scale.source), ("psf", self.psf.source)):
            if source not in self.sources:
                problems.append(f"{key}: source '{source}' is not in `sources`")
        problems += _too_sharp(self)
        if self.noise_correlation is not None:
            problems += _correlation_problems(
                self.noise_correlation, self.noise_correlation_source, self.sources
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def numbers(self) -> dict[str, Number | Depth]:
        """Return every sourced number by its key path."""
        found: dict[str, Number | Depth] = {"pixel_scale": self.pixel_scale}
        for name, band in self.bands.items():
            for item in type(band).model_fields:
                value = getattr(band, item)
                if isinstance(value, Number | Depth):
                    found[f"bands.{name}.{item}"] = value
        return found


def _numbers(band: Band) -> list[Number | Depth]:
    """Every sourced number of a band."""
    values = [getattr(band, item) for item in type(band).model_fields]
    return [v for v in (*values, *(band.fwhm_quartiles or ())) if isinstance(v, Number | Depth)]


def _too_sharp(survey: Survey) -> list[str]:
    """Bands whose FWHM is below what diffraction allows: in other units, or a radius or a sigma."""
    if survey.psf.diameter_m is None:
        return []
    problems = []
    for name, band in survey.bands.items():
        limit = 1.03 * band.wavelength.value * 1e-9 / survey.psf.diameter_m * 206265
        if band.fwhm.value < 0.8 * limit:
            problems.append(
                f"bands.{name}: a FWHM of {band.fwhm.value} arcsec beats the diffraction limit of {limit:.2g}"
            )
    return problems


def _correlation_problems(rows: list[list[float]], source: str | None, sources: dict[str, str]) -> list[str]:
    """What is wrong with a noise autocorrelation, in words."""
    size = len(rows)
    if size % 2 == 0 or any(len(row) != size for row in rows):
        return ["noise_correlation must be a square of odd size"]
    flat = [value for row in rows for value in row]
    problems = []
    if abs(rows[size // 2][size // 2] - 1) > 1e-9 or any(abs(v) > 1 for v in flat):
        problems.append("noise_correlation must be 1 at its centre and within [-1, 1]")
    if any(abs(a - b) > 1e-6 for a, b in zip(flat, reversed(flat))):
        problems.append("noise_correlation must be symmetric about its centre")
    if source not in sources:
        problems.append(f"noise_correlation_source '{source}' is not in `sources`")
    return problems
