"""Dusty discs: thin sheets of old stars around a plane that holds arms, young stars, clumps and dust.

The old disc is cut into sheets of equal light in height.  Seen at an inclination each sheet is shifted along
the minor axis, so that the far half of the disc shines through the dust and the near half stands before it:
the lopsided dimming of real inclined spirals comes from the geometry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galshift.simulate._grid import bin_down, coordinates, deposit, smooth
from galshift.simulate._light import Frame, screen, slab
from galshift.simulate._sersic import sersic_image

SHEETS = 5
MIN_COS = 0.2  # thinner discs need the edge-on class
OVERSAMPLE = 2


@dataclass(frozen=True)
class Arms:
    """Logarithmic arms and the patches between them.

    Attributes
    ----------
    number : int
    pitch : float
        Angle between arm and circle [rad]; the arms trail.
    old, sharpness : float
        Relative amplitude in old stars, and concentration of the young arms (von Mises kappa).
    start : float
        Radius in scale lengths inside which there are no arms.
    patches : ndarray
        (4, J) amplitude, azimuthal number, radial wave number, phase of the modes of flocculence.
    ring : float
        Amplitude of a ring of young stars where the arms start.
    """

    number: int
    pitch: float
    old: float
    sharpness: float
    start: float
    patches: np.ndarray
    ring: float = 0.0


@dataclass(frozen=True)
class Bar:
    """A bar of old stars: half length in scale lengths, axis ratio and share of the old light."""

    length: float
    axis_ratio: float
    share: float


@dataclass(frozen=True)
class Disc:
    """A disc galaxy.

    Attributes
    ----------
    scale_kpc, thickness : float
        Exponential scale length, and sech**2 scale height in units of it.
    bulge_share, bulge_n, bulge_radius, bulge_flattening : float
        Share of the old light, Sérsic index, effective radius in scale lengths, and axis ratio of the
        oblate bulge.
    young_share : float
        Of the light in r without dust.
    dust : float
        Optical depth in r of the whole disc seen face-on at its centre, arms apart.
    dust_lag : float
        Phase by which the dust lane runs along the inner, concave side of the arm [rad].
    clumps : ndarray
        (3, K) radius in scale lengths, angle from the arm's crest [rad] and share of the clumps' light.
    clump_share : float
        Of the young light.
    arms : Arms or None
    bar : Bar or None
    """

    scale_kpc: float
    thickness: float
    bulge_share: float
    bulge_n: float
    bulge_radius: float
    bulge_flattening: float
    young_share: float
    dust: float
    dust_lag: float
    clumps: np.ndarray
    clump_share: float
    arms: Arms
    bar: Bar | None


def draw_disc(rng: np.random.Generator, *, bar: Bar | None, number: int, young_share: float) -> Disc:
    """Draw a spiral's disc; `bar`, the number of arms and the share of young light are the caller's."""
    modes = 14
    patches = np.stack(
        [
            rng.uniform(0.04, 0.30) * rng.normal(size=modes),
            rng.integers(2, 14, modes),
            rng.normal(0, 9, modes),
            rng.uniform(0, 2 * np.pi, modes),
        ]
    )
    start = bar.length if bar else rng.uniform(0.2, 0.7)
    arms = Arms(
        number=number,
        pitch=rng.uniform(0.20, 0.42),
        old=rng.uniform(0.1, 0.6),
        sharpness=rng.uniform(0.6, 5.0),
        start=start,
        patches=patches,
        ring=rng.uniform(0.5, 2.0) if rng.uniform() < 0.2 else 0.0,
    )
    count = int(rng.integers(40, 160))
    light = rng.pareto(1.2, count) + 1  # HII regions: a power law, cut at 60 times the faintest
    light = np.minimum(light, 60.0)
    turn = rng.integers(0, number, count) * 2 * np.pi / number
    clumps = np.stack(
        [
            start + rng.gamma(2.0, 0.8, count),
            turn
            + rng.normal(0, 0.45 / number, count)
            + (rng.uniform(size=count) < 0.2) * rng.uniform(0, 6, count),
            light / light.sum(),
        ]
    )
    return Disc(
        scale_kpc=rng.uniform(2.2, 5.2),
        thickness=rng.uniform(0.06, 0.14),
        bulge_share=rng.uniform(0.06, 0.6),
        bulge_n=round(rng.uniform(1.2, 4.0), 3),
        bulge_radius=rng.uniform(0.15, 0.4),
        bulge_flattening=rng.uniform(0.55, 0.9),
        young_share=young_share,
        dust=rng.uniform(0.2, 1.4),
        dust_lag=rng.uniform(0.4, 0.8),
        clumps=clumps,
        clump_share=rng.uniform(0.03, 0.3),
        arms=arms,
        bar=bar,
    )


def disc_image(
    disc: Disc, frame: Frame, *, cos_inclination: float, angle: float, spin: float, centre: np.ndarray
) -> np.ndarray:
    """Return (C, S, S) light of the inclined disc in units of its dust-free r-band light.

    Parameters
    ----------
    disc : Disc
    frame : Frame
    cos_inclination : float
        In [MIN_COS, 1].
    angle : float
        Position of the major axis [rad].
    spin : float
        Rotation of the pattern in its own plane [rad]; which side is seen (arms turning left or right)
        follows from the sign of its sine.
    centre : ndarray
        (2,) pixels from the middle of the image.
    """
    scale = np.float32(disc.scale_kpc / frame.kpc_per_pixel)
    sine = np.sqrt(1 - cos_inclination**2)
    hand = 1.0 if np.sin(spin) >= 0 else -1.0
    x, y = coordinates(frame.size, OVERSAMPLE)
    x, y = (x - np.float32(centre[0])) / scale, (y - np.float32(centre[1])) / scale
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    major, minor = hand * (x * cos + y * sin), y * cos - x * sin
    plane = _plane(disc, major, minor / np.float32(cos_inclination), spin)
    front, back = _sheets(disc, major, minor, spin, plane.wave, cos_inclination)
    area = np.float32(scale * scale * cos_inclination)
    depth = np.float32(disc.dust / cos_inclination) * plane.dust
    maps = np.stack([front, back, plane.young * np.float32(1 - disc.clump_share)]) / area
    clumps = disc.clump_share * _clumps(disc, frame, scale, cos_inclination, angle, spin, hand, centre)
    bulge = disc.bulge_share * sersic_image(
        frame.size,
        n=disc.bulge_n,
        r_eff=float(disc.bulge_radius * scale),
        axis_ratio=float(np.hypot(disc.bulge_flattening * sine, cos_inclination)),
        angle=angle,
        centre=tuple(centre),
    )
    old_share, young_share = np.float32(1 - disc.young_share), np.float32(disc.young_share)
    planes = []
    for old, young, extinction in zip(frame.old(), frame.young(), frame.extinction()):
        tau = depth * extinction
        dim = screen(tau)
        half = bin_down(dim, OVERSAMPLE) * np.float32(0.5) + np.float32(0.5)
        sheets = old_share * old * (maps[0] + maps[1] * dim) + young_share * young * maps[2] * slab(tau)
        smooth_light = old_share * old * bulge * half + young_share * young * clumps * half
        planes.append(bin_down(sheets, OVERSAMPLE) + smooth_light)
    return np.stack(planes)


@dataclass(frozen=True)
class _Plane:
    """Young light (adding to 1) and dust per unit area in scale lengths, and the old stars' relative arms."""

    young: np.ndarray
    dust: np.ndarray
    wave: np.ndarray


def _plane(disc: Disc, x: np.ndarray, y: np.ndarray, spin: float) -> _Plane:
    """What lies in the mid-plane; x and y in scale lengths."""
    arms = disc.arms
    radius, log_radius, azimuth = _polar(x, y, spin)
    phase = _phase(arms, log_radius, azimuth)
    patches = _patches(arms, log_radius, azimuth)
    outside = _outside(radius, arms.start)
    exponential = np.exp(-radius / np.float32(1.25)) / np.float32(2 * np.pi * 1.25**2)
    kappa = np.float32(arms.sharpness)
    crest = np.exp(kappa * (np.cos(phase) - 1)) / np.float32(_mean_crest(arms.sharpness))
    ring = np.float32(arms.ring) * np.exp(-((radius - np.float32(arms.start)) ** 2) / np.float32(2 * 0.15**2))
    young = exponential * (0.12 + outside * (np.float32(0.88) * crest + ring)) * patches
    lane = np.exp(3 * (np.cos(phase - np.float32(disc.dust_lag)) - 1)) / np.float32(_mean_crest(3.0))
    dust = np.exp(-radius / np.float32(1.35)) * (np.float32(0.35) + outside * lane) * patches
    wave = np.cos(phase) * np.float32(arms.old) * outside
    return _Plane(young, dust, wave)


def _sheets(
    disc: Disc, major: np.ndarray, minor: np.ndarray, spin: float, wave: np.ndarray, cosine: float
) -> tuple[np.ndarray, np.ndarray]:
    """Old light before and behind the dust, per unit area in scale lengths.

    The arms of the old stars are taken from the mid-plane: they are broad, the sheets lie close to it.
    """
    sine = np.sqrt(1 - cosine**2)
    heights = disc.thickness * np.arctanh((2 * np.arange(SHEETS) + 1) / SHEETS - 1)
    share = 1 - disc.bulge_share - (disc.bar.share if disc.bar else 0.0)
    sides = [np.zeros_like(major), np.zeros_like(major)]
    for height in heights:
        y = (minor - np.float32(height * sine)) / np.float32(cosine)
        light = np.exp(-np.sqrt(major * major + y * y))
        for side, part in ((0, np.sign(height)), (1, -np.sign(height))):
            if part >= 0:
                sides[side] += light * np.float32((0.5 if part == 0 else 1.0) / SHEETS)
    wave = (1 + wave) * np.float32(share / (2 * np.pi))
    bar = _bar(disc.bar, major, minor / np.float32(cosine), spin) / 2 if disc.bar else np.float32(0)
    return sides[0] * wave + bar, sides[1] * wave + bar


def _bar(bar: Bar, x: np.ndarray, y: np.ndarray, spin: float) -> np.ndarray:
    """A flat-topped bar along the direction where the arms start."""
    cos, sin = np.float32(np.cos(spin)), np.float32(np.sin(spin))
    along = (x * cos + y * sin) / np.float32(bar.length)
    across = (y * cos - x * sin) / np.float32(bar.length * bar.axis_ratio)
    radius2 = np.sqrt(along**4 + across**4)
    # exp(-2.5 rho**2) with elliptical rho of order 4 holds this area.
    area = bar.length**2 * bar.axis_ratio * _SQUARE_AREA / 2.5
    return np.exp(np.float32(-2.5) * radius2) * np.float32(bar.share / area)


_SQUARE_AREA = 3.7081493546027438  # of |x|**4 + |y|**4 < 1


def _polar(x: np.ndarray, y: np.ndarray, spin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    radius = np.sqrt(x * x + y * y + np.float32(1e-6))
    return radius, np.log(radius), np.arctan2(y, x) - np.float32(spin)


def _phase(arms: Arms, log_radius: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Phase of the arms, 0 on the crest; arms start at azimuth 0 at their inner radius."""
    winding = np.float32(1 / np.tan(arms.pitch))
    return np.float32(arms.number) * (azimuth + winding * (log_radius - np.float32(np.log(arms.start))))


def _patches(arms: Arms, log_radius: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Flocculence: a log-normal field of sheared modes with mean 1, one value per whole pixel."""
    log_radius, azimuth = log_radius[::OVERSAMPLE, ::OVERSAMPLE], azimuth[::OVERSAMPLE, ::OVERSAMPLE]
    field = np.zeros_like(log_radius)
    for amplitude, number, wave, phase in arms.patches.astype(np.float32).T:
        field += amplitude * np.cos(number * azimuth + (wave * log_radius + phase))
    # A sum of cosines of amplitudes a has variance sum(a**2) / 2, a log-normal the mean exp(variance / 2).
    patches = np.exp(field - np.float32(np.sum(arms.patches[0] ** 2) / 4))
    return patches.repeat(OVERSAMPLE, axis=0).repeat(OVERSAMPLE, axis=1)


def _outside(radius: np.ndarray, start: float) -> np.ndarray:
    """0 well inside `start`, 1 outside, smooth between."""
    t = np.clip((radius - np.float32(0.6 * start)) / np.float32(0.5 * start), 0, 1)
    return t * t * (3 - 2 * t)


def _mean_crest(kappa: float) -> float:
    from scipy.special import i0e

    return float(i0e(kappa))


def _clumps(
    disc: Disc,
    frame: Frame,
    scale: float,
    cosine: float,
    angle: float,
    spin: float,
    hand: float,
    centre: np.ndarray,
) -> np.ndarray:
    """Star-forming clumps strewn along the arms, (S, S); their light adds to 1 where all are in the frame."""
    radius, offset, light = disc.clumps
    winding = 1 / np.tan(disc.arms.pitch)
    azimuth = offset + spin - winding * np.log(radius / disc.arms.start)
    major, minor = hand * radius * np.cos(azimuth), radius * np.sin(azimuth) * cosine
    x = (major * np.cos(angle) - minor * np.sin(angle)) * scale + centre[0]
    y = (major * np.sin(angle) + minor * np.cos(angle)) * scale + centre[1]
    points = deposit(x.astype(np.float32), y.astype(np.float32), light[None].astype(np.float32), frame.size)
    return smooth(points[0], 0.8)
