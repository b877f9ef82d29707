"""Detector and processing faults: opt-in, each with its own random stream and its place in the truth mask."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galshift.mocks.config import ArtifactConfig
from galshift.mocks.noise import NoiseLevel


@dataclass
class Plate:
    """One image while faults are added to it.

    Attributes
    ----------
    image : ndarray
        (C, H, W) nJy / pixel, sky-subtracted; changed in place.
    mask : ndarray
        (C, H, W) bool, True where a fault has touched it.
    noise : list of NoiseLevel
        One per band.
    exposures : list of float
        Exposures in each band's coadd.
    """

    image: np.ndarray
    mask: np.ndarray
    noise: list[NoiseLevel]
    exposures: list[float]


def add_artifacts(
    plate: Plate, config: ArtifactConfig, stream: Callable[[str], np.random.Generator]
) -> dict[str, int]:
    """Add every fault that `config` asks for, in the order in which a camera makes them.

    Parameters
    ----------
    plate : Plate
        Changed in place.
    config : ArtifactConfig
    stream : callable
        Gives the random generator of a stage by its name.

    Returns
    -------
    dict
        Number of each fault added.
    """
    counts: dict[str, int] = {}
    if config.satellite_trails:
        counts["satellite_trails"] = satellite_trails(plate, config, stream("satellite-trail"))
    if config.cosmic_rays_per_megapixel:
        counts["cosmic_rays"] = cosmic_rays(plate, config, stream("cosmic-ray"))
    if config.hot_pixel_fraction:
        counts["hot_pixels"] = hot_pixels(plate, config, stream("hot-pixel"))
    if config.full_well_electrons is not None:
        counts["saturated_pixels"] = saturate(plate, config.full_well_electrons)
    if config.bad_columns:
        counts["bad_columns"] = bad_columns(plate, config, stream("bad-column"))
    sigma = np.array([level.sigma_njy for level in plate.noise], dtype=np.float32)
    if config.jpeg_quality is not None:
        plate.image[:] = through_picture(plate.image, sigma, config.jpeg_quality)
    elif config.eight_bit:
        plate.image[:] = through_picture(plate.image, sigma, None)
    return counts


def cosmic_rays(plate: Plate, config: ArtifactConfig, rng: np.random.Generator) -> int:
    """Add straight tracks: random place and angle, exponential length (mean 6 pixels), log-normal charge."""
    n_bands, height, width = plate.image.shape
    total = 0
    for c in range(n_bands):
        number = rng.poisson(config.cosmic_rays_per_megapixel * height * width / 1e6)
        for _ in range(number):
            y, x, angle = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, np.pi)
            length = 1 + rng.exponential(6.0)
            charge = config.cosmic_ray_electrons * np.exp(0.7 * rng.normal())
            step = np.linspace(0, length, int(4 * length) + 2)
            rows = np.floor(y + step * np.sin(angle)).astype(int)
            columns = np.floor(x + step * np.cos(angle)).astype(int)
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            share = charge / plate.noise[c].electrons_per_njy / len(step)
            np.add.at(plate.image[c], (rows[inside], columns[inside]), np.float32(share))
            plate.mask[c, rows[inside], columns[inside]] = True
        total += int(number)
    return total


def hot_pixels(plate: Plate, config: ArtifactConfig, rng: np.random.Generator) -> int:
    """Add a large dark current, log-uniform from 10 to 1000 sky sigmas, to some pixels of the detector."""
    hot = rng.random(plate.image.shape[1:]) < config.hot_pixel_fraction
    excess = 10 ** rng.uniform(1, 3, size=int(hot.sum()))
    for c, level in enumerate(plate.noise):
        plate.image[c][hot] += (excess * level.sigma_njy).astype(np.float32)
        plate.mask[c][hot] = True
    return int(hot.sum())


def bad_columns(plate: Plate, config: ArtifactConfig, rng: np.random.Generator) -> int:
    """Set whole columns to zero counts, which is minus the sky after its subtraction."""
    width = plate.image.shape[2]
    columns = rng.integers(0, width, size=rng.poisson(config.bad_columns))
    for c, level in enumerate(plate.noise):
        plate.image[c][:, columns] = -level.background / level.electrons_per_njy
        plate.mask[c][:, columns] = True
    return len(set(columns.tolist()))


def satellite_trails(plate: Plate, config: ArtifactConfig, rng: np.random.Generator) -> int:
    """Add straight trails with a Gaussian profile 1.5 pixels wide right across the image."""
    height, width = plate.image.shape[1:]
    rows, columns = np.indices((height, width))
    number = rng.poisson(config.satellite_trails)
    for _ in range(number):
        angle, y, x = rng.uniform(0, np.pi), rng.uniform(0, height), rng.uniform(0, width)
        distance = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        profile = np.exp(-0.5 * (distance / 1.5) ** 2).astype(np.float32)
        for c, level in enumerate(plate.noise):
            plate.image[c] += np.float32(config.trail_sigma * level.sigma_njy) * profile
            plate.mask[c] |= np.abs(distance) < 4.5
    return int(number)


def saturate(plate: Plate, full_well: float) -> int:
    """Cut pixels at the full well of one exposure; the excess bleeds along the column until there is room."""
    total = 0
    for c, level in enumerate(plate.noise):
        scale = level.electrons_per_njy / plate.exposures[c]
        sky = level.background / plate.exposures[c]
        electrons = plate.image[c].astype(np.float64) * scale + sky
        full = electrons > full_well
        if full.any():
            filled = bleed(electrons, full_well)
            reached = filled >= full_well * (1 - 1e-9)
            plate.image[c] = ((filled - sky) / scale).astype(np.float32)
            plate.mask[c] |= reached | (np.abs(filled - electrons) > 1e-6 * full_well)
            total += int(reached.sum())
    return total


def bleed(electrons: np.ndarray, full_well: float) -> np.ndarray:
    """Return charge (H, W) after blooming: half of each excess moves up the column, half down.

    Charge is conserved unless it runs off the image.
    """
    filled = np.minimum(electrons, full_well)
    excess = (electrons - filled) / 2
    for order in (range(len(filled)), range(len(filled) - 1, -1, -1)):
        carried = np.zeros(filled.shape[1])
        for row in order:
            carried += excess[row]
            taken = np.minimum(full_well - filled[row], carried)
            filled[row] += taken
            carried -= taken
    return filled


def through_picture(image: np.ndarray, sigma: np.ndarray, quality: int | None) -> np.ndarray:
    """Return (C, H, W) fluxes that went through an 8-bit asinh picture, and a JPEG where `quality` is given.

    The stretch is fixed by the sky noise: asinh(x / 2 sigma) from -5 to 2000 sigma over 255 levels, so every
    image of a survey goes through the same one.
    """
    low, high = np.arcsinh(-2.5), np.arcsinh(1000.0)
    scaled = np.arcsinh(image / (2 * sigma[:, None, None]))
    levels = np.clip(np.round((scaled - low) / (high - low) * 255), 0, 255).astype(np.uint8)
    if quality is not None:
        levels = _jpeg(levels, quality)
    back = levels.astype(np.float64) / 255 * (high - low) + low
    return (np.sinh(back) * 2 * sigma[:, None, None]).astype(np.float32)


def _jpeg(levels: np.ndarray, quality: int) -> np.ndarray:
    """Send (C, H, W) uint8 through JPEG: three bands as one colour picture, others one by one."""
    from PIL import Image

    def once(picture: np.ndarray) -> np.ndarray:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, format="JPEG", quality=quality)
        return np.asarray(Image.open(io.BytesIO(stream.getvalue())))

    if len(levels) == 3:
        return np.moveaxis(once(np.ascontiguousarray(np.moveaxis(levels, 0, -1))), -1, 0)
    return np.stack([once(np.ascontiguousarray(plane)) for plane in levels])
