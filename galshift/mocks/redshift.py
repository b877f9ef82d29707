"""Move a galaxy to another redshift: size, surface brightness, and which light it then shows.

At matched rest wavelength, with flux density f_nu and angular size theta (Hogg 1999, astro-ph/9905116):

    f_nu(2) / f_nu(1) = (1 + z2) / (1 + z1) x (D_L(1) / D_L(2))^2
    theta(2) / theta(1) = D_A(1) / D_A(2)
    I_nu(2) / I_nu(1) = ((1 + z1) / (1 + z2))^3

The power is 3 for I_nu, which AB magnitudes measure; 5 for I_lambda; 4 for the bolometric intensity.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.errors import ConfigError

#: How far apart, as a fraction, two rest wavelengths may be and still show the same light.
_MATCHED = 0.1


@lru_cache
def distances(redshift: float) -> tuple[float, float]:
    """Return luminosity and angular-diameter distance [Mpc] in the Planck 2018 cosmology."""
    from astropy.cosmology import Planck18

    return (
        float(Planck18.luminosity_distance(redshift).value),
        float(Planck18.angular_diameter_distance(redshift).value),
    )


def flux_ratio(z_from: float, z_to: float) -> float:
    """Flux density f_nu at `z_to` over that at `z_from`, at matched rest wavelength."""
    return (1 + z_to) / (1 + z_from) * (distances(z_from)[0] / distances(z_to)[0]) ** 2


def size_ratio(z_from: float, z_to: float) -> float:
    """Angular size at `z_to` over that at `z_from`."""
    return distances(z_from)[1] / distances(z_to)[1]


def dimming(z_from: float, z_to: float, power: int = 3) -> float:
    """Surface brightness at `z_to` over that at `z_from`: 3 for I_nu, 4 bolometric, 5 for I_lambda."""
    return ((1 + z_from) / (1 + z_to)) ** power


def arcsec_per_pixel(parsec: float, redshift: float) -> float:
    """Angle [arcsec] of a pixel of `parsec` at `redshift`."""
    return parsec / (distances(redshift)[1] * 1e6) * 180 * 3600 / np.pi


def move(cutouts: Cutouts, z_from: float, z_to: float) -> Cutouts:
    """Return images [nJy / pixel] as at `z_to`: fainter, and with a smaller angle per pixel.

    Their bands then show the light of rest wavelength lambda / (1 + z_from) still: see `sources`.

    Raises
    ------
    ConfigError
        When a redshift is not above 0.
    """
    if min(z_from, z_to) <= 0:
        raise ConfigError("a redshift must be above 0 to be moved from or to", where="redshift, to_redshift")
    factor = np.float32(flux_ratio(z_from, z_to))
    angle = size_ratio(z_from, z_to)
    fwhm = None if cutouts.psf_fwhm is None else np.asarray(cutouts.psf_fwhm) * angle
    return cutouts.with_(
        f"redshift {z_from:g} -> {z_to:g}",
        images=cutouts.images * factor,
        ivar=None,
        pixel_scale=np.asarray(cutouts.pixel_scale, dtype=float) * angle,
        psf_fwhm=fwhm if fwhm is None or np.ndim(fwhm) else float(fwhm),
        psf_pixel_scale=None if cutouts.psf_pixel_scale is None else cutouts.psf_pixel_scale * angle,
    )


def sources(
    wavelengths: Mapping[str, float], target_nm: float, z_from: float, z_to: float, choice: str, band: str
) -> dict[str, float]:
    """Return the weights of the input's bands that give the light which a band shows at `z_to`.

    Parameters
    ----------
    wavelengths : mapping
        Effective wavelength [nm] of each input band.
    target_nm : float
        Of the survey's band.
    choice : {"matched", "interpolate", "none"}
        ``matched``: the one input band within 10 % of the rest wavelength.  ``interpolate``: linear in
        wavelength between the two on either side.  ``none``: the input band of the same name, although it
        shows other light.
    band : str
        The survey's band, also the input band of the same name.

    Raises
    ------
    ConfigError
        When the choice cannot be met, or none was made though the light differs.
    """
    needed = target_nm * (1 + z_from) / (1 + z_to)
    if choice == "none":
        return {band: 1.0}
    if choice == "matched":
        nearest = min(wavelengths, key=lambda name: abs(wavelengths[name] / needed - 1))
        if abs(wavelengths[nearest] / needed - 1) <= _MATCHED:
            return {nearest: 1.0}
        raise _unmet(band, needed, wavelengths, "no input band within 10 % of it")
    order = sorted(wavelengths, key=wavelengths.__getitem__)
    for blue, red in itertools.pairwise(order):
        if wavelengths[blue] <= needed <= wavelengths[red]:
            weight = (needed - wavelengths[blue]) / (wavelengths[red] - wavelengths[blue])
            return {blue: 1 - weight, red: weight}
    raise _unmet(band, needed, wavelengths, "it is outside the input's bands")


def _unmet(band: str, needed: float, wavelengths: Mapping[str, float], why: str) -> ConfigError:
    listed = ", ".join(
        f"{name} {value:.0f}" for name, value in sorted(wavelengths.items(), key=lambda i: i[1])
    )
    return ConfigError(
        f"{band} would show light that the input has at {needed:.0f} nm, and {why} ({listed} nm)",
        where="k_correction",
        hint="choose other --bands, a nearer redshift, or k_correction=none to take the same band unchanged",
    )
