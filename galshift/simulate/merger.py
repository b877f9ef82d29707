"""Mergers: restricted three-body encounters of two discs, with tails and bridges (Toomre & Toomre 1972).

Each star carries the light of its place in the exponential disc it was born in, while particles are
spread more evenly than the light, so that tails, drawn from the outer disc, are well sampled.  Young stars
follow the gas density to the power 1.4 (Kennicutt 1998, Eq. 4), measured in three dimensions.
"""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._camera import random_rotation
from galshift.simulate._grid import deposit, smooth_adaptively
from galshift.simulate._light import Frame, slab
from galshift.simulate._orbit import circular_speed, encounter, follow
from galshift.simulate._sersic import sersic_image

PARTICLES = 10_240  # per disc
STEPS_PER_UNIT = 36
BEFORE = 2.5
SCALE_LENGTH, INNER, OUTER = 0.3, 0.05, 0.75  # of the first disc; the second's are sqrt(mass ratio) of them
DISPERSION = 0.05  # of the circular speed, in each direction
MARGIN = 12  # pixels around the image whose light may be smoothed into it
SIGMAS = (0.8, 1.2, 1.8, 2.7, 4.05, 6.075)
_UNIT_MASS_MSUN = 1e11  # dynamical mass of one unit of mass for a galaxy of M_r = -21.3
_G = 4.30091e-6  # kpc (km/s)**2 / Msun
_KPC_PER_KMS_MYR = 977.79


@KINDS.register("merger")
class Merger:
    """One pair of galaxies some time after their first encounter.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws mass ratio 0.4-1, pericentre 0.6-1.2, 1-5 time units after pericentre, disc
        inclinations 0-60 degrees, bulges, gas and dust.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        self.mass_ratio = rng.uniform(0.4, 1.0)
        self.unit_kpc = rng.uniform(8.0, 11.0)
        after = rng.uniform(1.0, 5.0)
        steps = int(np.ceil((BEFORE + after) * STEPS_PER_UNIT))
        self.orbit = encounter(
            self.mass_ratio, rng.uniform(0.6, 1.2), before=BEFORE, after=after, steps=steps
        )
        self.bulge = rng.uniform(0.08, 0.32, 2)
        self.bulge_radius = rng.uniform(0.06, 0.12, 2) * np.sqrt([1.0, self.mass_ratio])
        self.young_fraction = rng.uniform(0.03, 0.6)
        self.dust = rng.uniform(0.1, 0.8)
        self.retrograde = rng.uniform() < 0.25
        self.light = self._shares()
        discs = [self._disc(rng, index) for index in (0, 1)]
        self.position = np.concatenate([disc[0] for disc in discs], axis=1)
        self.weight = np.concatenate([disc[1] * share for disc, share in zip(discs, self.light)])
        self.young = _young_weights(self.position, self.weight)
        self.tidal_fraction = self._tidal_fraction()

    def _shares(self) -> np.ndarray:
        """Each galaxy's share of the light, (2,): that of the mass."""
        masses = np.array([1.0, self.mass_ratio])
        return masses / masses.sum()

    def _disc(self, rng: np.random.Generator, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where one disc's particles end up, (3, P), and their share of its light, (P,)."""
        mass = (1.0, self.mass_ratio)[index]
        position, velocity, weight = disc_particles(rng, mass)
        tilt, node = np.arccos(rng.uniform(0.5, 1.0)), rng.uniform(0, 2 * np.pi)
        if index == 1 and self.retrograde:
            tilt = np.pi - tilt
        turn = _tilt(tilt, node)
        start = self.orbit.start[index]
        position = (turn @ position + start[:3, None]).astype(np.float32)
        velocity = (turn @ velocity + start[3:, None]).astype(np.float32)
        follow(position, velocity, self.orbit)
        return position, weight

    def _tidal_fraction(self) -> float:
        """Light of stars farther than two initial disc radii from both nuclei, over all light."""
        radii = 2 * OUTER * np.sqrt([1.0, self.mass_ratio])
        far = np.ones(len(self.weight), dtype=bool)
        for centre, radius in zip(self.orbit.end, radii):
            far &= np.sum((self.position - centre[:, None]) ** 2, axis=0) > radius**2
        discs = 1 - self.bulge @ self.light
        return float(self.weight[far].sum() * discs)

    def truth(self) -> dict[str, float]:
        """Return the columns that describe the pair itself."""
        time_unit = np.sqrt(self.unit_kpc**3 / (_G * _UNIT_MASS_MSUN)) * _KPC_PER_KMS_MYR
        separation = float(np.linalg.norm(self.orbit.end[0] - self.orbit.end[1]))
        return {
            "mass_ratio": self.mass_ratio,
            "pericentre_kpc": self.orbit.pericentre * self.unit_kpc,
            "since_pericentre_myr": self.orbit.since_pericentre * float(time_unit),
            "separation_kpc": separation * self.unit_kpc,
            "tidal_fraction": self.tidal_fraction,
            "young_fraction": self.young_fraction,
        }

    def view(self, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Return (C, S, S) light in units of the dust-free r-band light, and the columns of this view."""
        rotation = random_rotation(rng).astype(np.float32)
        scale = np.float32(self.unit_kpc / frame.kpc_per_pixel)
        middle = self.light @ self.orbit.end
        x, y = (rotation @ (self.position - middle.astype(np.float32)[:, None]) * scale)[:2]
        nuclei = (rotation @ (self.orbit.end - middle).T * scale)[:2]
        jitter = rng.uniform(-1, 1, (2, 1)).astype(np.float32)
        wide = frame.size + 2 * MARGIN
        weights = np.stack([np.ones_like(self.weight), self.weight, self.young])
        counts, old, young = deposit(x + jitter[0], y + jitter[1], weights, wide)
        old, young = smooth_adaptively(np.stack([old, young]), counts, sigmas=SIGMAS)
        inner = slice(MARGIN, MARGIN + frame.size)
        bulges = self._bulges(nuclei + jitter, scale, frame)
        discs = 1 - self.bulge @ self.light
        old = old[inner, inner] * np.float32(discs) + bulges
        young = young[inner, inner]
        return self._colour(old, young, frame), {
            "nuclear_separation_kpc": float(np.hypot(*(nuclei[:, 0] - nuclei[:, 1])) * frame.kpc_per_pixel)
        }

    def _bulges(self, nuclei: np.ndarray, scale: float, frame: Frame) -> np.ndarray:
        """Return the light of both bulges, (S, S)."""
        total = np.zeros((frame.size, frame.size), dtype=np.float32)
        for centre, share, light, radius in zip(nuclei.T, self.bulge, self.light, self.bulge_radius):
            total += np.float32(share * light) * sersic_image(
                frame.size, n=2.0, r_eff=float(radius * scale), centre=tuple(centre)
            )
        return total

    def _colour(self, old: np.ndarray, young: np.ndarray, frame: Frame) -> np.ndarray:
        """Return (C, S, S): both populations in every band, dimmed by dust that follows the young stars."""
        old_share, young_share = np.float32(1 - self.young_fraction), np.float32(self.young_fraction)
        area = np.float32((self.unit_kpc * SCALE_LENGTH / frame.kpc_per_pixel) ** 2 * 2 * np.pi)
        depth = np.float32(self.dust) * young * area
        planes = []
        for old_flux, young_flux, extinction in zip(frame.old(), frame.young(), frame.extinction()):
            light = old_share * old_flux * old + young_share * young_flux * young
            planes.append(light * slab(depth * extinction))
        return np.stack(planes)


def disc_particles(rng: np.random.Generator, mass: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions (3, P), velocities (3, P) and light shares (P,) of an exponential disc in xy.

    Radii are stratified and angles follow the golden ratio (a quiet start), so that no shot noise is put in.
    The disc turns anticlockwise, with the circular speed of its own galaxy and a small dispersion.
    """
    size = np.sqrt(mass)
    unit = (np.arange(PARTICLES) + rng.uniform(size=PARTICLES)) / PARTICLES
    # Even in area to the power 0.75: between the light's own distribution and an even one.
    radius = (INNER**1.5 + unit * (OUTER**1.5 - INNER**1.5)) ** (1 / 1.5)
    angle = 2 * np.pi * ((np.arange(PARTICLES) * 0.6180339887498949) % 1.0) + rng.uniform(0, 2 * np.pi)
    weight = np.sqrt(radius) * np.exp(-radius / SCALE_LENGTH)
    radius = radius * size
    speed = circular_speed(radius, mass)
    cos, sin = np.cos(angle), np.sin(angle)
    height = 0.05 * size * SCALE_LENGTH * rng.normal(size=PARTICLES)
    kicks = DISPERSION * speed * rng.normal(size=(3, PARTICLES))
    position = np.stack([radius * cos, radius * sin, height])
    velocity = np.stack([-speed * sin, speed * cos, np.zeros(PARTICLES)]) + kicks
    return position, velocity, (weight / weight.sum()).astype(np.float32)


def _tilt(tilt: float, node: float) -> np.ndarray:
    """Rotation by `tilt` about an axis in the orbital plane at angle `node`."""
    c, s, cn, sn = np.cos(tilt), np.sin(tilt), np.cos(node), np.sin(node)
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    about_z = np.array([[cn, -sn, 0], [sn, cn, 0], [0, 0, 1]])
    return about_z @ about_x


def _young_weights(position: np.ndarray, weight: np.ndarray, cell: float = 0.16) -> np.ndarray:
    """Return each particle's share of the young light: its mass times density ** 0.4, shares adding to 1."""
    density = np.zeros_like(weight)
    for shift in (0.0, 0.5):
        index = np.clip(
            np.floor(position / np.float32(cell) + np.float32(shift)).astype(np.int64) + 32, 0, 63
        )
        flat = (index[0] * 64 + index[1]) * 64 + index[2]
        density += np.bincount(flat, weight, minlength=64**3)[flat].astype(np.float32)
    young = weight * density ** np.float32(0.4)
    return young / young.sum()
