"""How to observe: every choice that changes a mock's pixels, other than the survey and the seed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from galshift.mocks.artifacts import ArtifactConfig
from galshift.types import Strict


class ObserveConfig(Strict):
    """How to observe; the defaults are the survey as its preset says."""

    noise: Literal["exact", "gaussian", "none"] = Field(
        "exact",
        description="exact: Poisson photons; gaussian: their limit, where the sky has 1000 electrons.",
    )
    size: int | None = Field(
        None, ge=1, le=16384, description="Side of the output [pixels]; by default the input's footprint."
    )
    band_map: dict[str, str] = Field(
        default_factory=dict, description="Survey band by input band, where names differ: {F814W: i}."
    )
    psf: str | None = Field(None, description="FITS or .npy kernel in place of the preset's PSF.")
    psf_pixel_scale_arcsec: float | None = Field(
        None, gt=0, description="Of that kernel; default: what its header states."
    )
    input_psf: float | str = Field(
        "own",
        description="What the input shows a point as: own (what its file carries), none, a FWHM [arcsec] "
        "measured on it, or a kernel file.",
    )
    input_psf_pixel_scale_arcsec: float | None = Field(
        None, gt=0, description="Of that kernel; default: what its header states."
    )
    seeing: Literal["nominal", "quartiles"] = Field(
        "nominal", description="quartiles: each image's FWHM is drawn from the survey's distribution."
    )
    random_phase: bool = Field(False, description="Place each image's centre at random within a pixel.")
    redshift: float | None = Field(None, ge=0, description="Of the input.")
    to_redshift: float | None = Field(None, gt=0, description="Move the galaxies there.")
    k_correction: Literal["matched", "interpolate", "none"] | None = Field(
        None,
        description="Which light the new redshift shows; see galshift.mocks.redshift. Without a choice, only "
        "input bands within 10 % of the rest wavelength will do.",
    )
    wavelengths_nm: dict[str, float] = Field(
        default_factory=dict, description="Of input bands that the survey does not have."
    )
    pixel_scale_parsec: float | None = Field(
        None, gt=0, description="Physical pixel of the input, seen from `to_redshift` (or `redshift`)."
    )
    noise_correlation: str = Field(
        "preset", description="preset, none, bilinear, or a file with the noise's autocorrelation."
    )
    sky_residual: float = Field(
        0.0, ge=0, le=1, description="What sky subtraction leaves, rms as a fraction of the sky."
    )
    sky: str | None = Field(None, description="Blank-sky cut-outs to insert the galaxies into.")
    artifacts: ArtifactConfig = ArtifactConfig()

    @model_validator(mode="after")
    def _consistent(self) -> ObserveConfig:
        if self.to_redshift is not None and self.redshift is None:
            raise ValueError("to_redshift needs redshift, that of the input")
        if self.pixel_scale_parsec is not None and not (self.to_redshift or self.redshift):
            raise ValueError("pixel_scale_parsec needs a redshift above 0 to be seen from")
        if self.sky is not None and self.sky_residual > 0:
            raise ValueError("real sky brings its own residual: give sky or sky_residual, not both")
        return self
