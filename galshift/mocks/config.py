"""How to observe: every choice that changes a mock's pixels, other than the survey and the seed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from galshift.types import Strict


class ArtifactConfig(Strict):
    """Which faults to add; nothing by default.

    Attributes
    ----------
    cosmic_rays_per_megapixel : float
        Mean number of tracks per million pixels of the finished image.
    cosmic_ray_electrons : float
        Median charge of a track.
    bad_columns : float
        Mean number of dead columns per image.
    hot_pixel_fraction : float
        Fraction of pixels with a large dark current.
    full_well_electrons : float or None
        Charge at which a pixel of one exposure saturates and bleeds along its column.
    satellite_trails : float
        Mean number of trails that cross an image.
    trail_sigma : float
        Peak brightness of a trail in units of the sky noise.
    jpeg_quality : int or None
        Compress and decompress as an 8-bit JPEG of this quality.
    eight_bit : bool
        Round to the 256 levels of an asinh picture.
    flagged : bool
        True where a pipeline has found the faults: they are in the mask, and their inverse variance is 0, so
        that readers leave them out.  False where nobody has: they stay in the images unannounced, for a
        network to meet; the same seed with True gives the same pixels and their mask.
    """

    cosmic_rays_per_megapixel: float = Field(0.0, ge=0)
    cosmic_ray_electrons: float = Field(3000.0, gt=0)
    bad_columns: float = Field(0.0, ge=0)
    hot_pixel_fraction: float = Field(0.0, ge=0, le=1)
    full_well_electrons: float | None = Field(None, gt=0)
    satellite_trails: float = Field(0.0, ge=0)
    trail_sigma: float = Field(20.0, gt=0)
    jpeg_quality: int | None = Field(None, ge=1, le=100)
    eight_bit: bool = False
    flagged: bool = True

    @property
    def any(self) -> bool:
        """True where at least one fault is asked for."""
        return self != ArtifactConfig(flagged=self.flagged)


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
