"""Edge-on discs with a dust lane, by ray through stars and dust; a class for studies to hold back.

The stellar disc is exponential in radius and sech**2 in height (van der Kruit & Searle 1981), the dust a
longer and thinner double exponential; every ray is followed through both (absorption, no scattering).
"""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._grid import bin_down, coordinates
from galshift.simulate._light import Frame
from galshift.simulate._sersic import sersic_image

_SAMPLES = 48  # along a ray
_REACH = 6.0  # scale lengths before and behind the centre
_TALL = 3  # sub-pixels along a pixel


@KINDS.register("edge-on")
class EdgeOn:
    """One edge-on disc galaxy.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws scale length, thickness, bulge and dust; inclinations are 84-90 degrees.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        self.scale_kpc = rng.uniform(3.0, 5.5)
        self.height = rng.uniform(0.13, 0.26)  # sech**2 scale height of old stars, in scale lengths
        self.young_height = 0.4 * self.height
        self.dust_height = rng.uniform(0.12, 0.25) * self.height
        self.dust = rng.uniform(0.4, 1.6)  # face-on central optical depth in r
        self.bulge_share = rng.uniform(0.05, 0.4)
        self.bulge_radius = rng.uniform(0.15, 0.35)
        self.bulge_n = round(rng.uniform(1.5, 3.5), 3)
        self.flattening = rng.uniform(0.5, 0.85)
        self.young_share = rng.uniform(0.15, 0.45)

    def truth(self) -> dict[str, float]:
        """Return the columns that describe the galaxy itself."""
        return {
            "disc_scale_kpc": self.scale_kpc,
            "bulge_fraction": self.bulge_share * (1 - self.young_share),
            "young_fraction": self.young_share,
        }

    def view(self, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Return (C, S, S) light in units of the dust-free r-band light, and the columns of this view."""
        inclination = np.radians(rng.uniform(84, 90))
        angle, centre = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1, 2)
        scale = self.scale_kpc / frame.kpc_per_pixel
        x, y = coordinates(frame.size, _TALL)
        x, y = (
            (x - np.float32(centre[0])) / np.float32(scale),
            (y - np.float32(centre[1])) / np.float32(scale),
        )
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        stars, depth = self._rays(x * cos + y * sin, y * cos - x * sin, inclination, frame.extinction())
        bulge = self.bulge_share * sersic_image(
            frame.size,
            n=self.bulge_n,
            r_eff=float(self.bulge_radius * scale),
            axis_ratio=self.flattening,
            angle=angle,
            centre=tuple(centre),
        )
        old_share, young_share = np.float32(1 - self.young_share), np.float32(self.young_share)
        planes = []
        for index, (old, young) in enumerate(zip(frame.old(), frame.young())):
            light = old_share * old * stars[index, 0] + young_share * young * stars[index, 1]
            half = bin_down(np.float32(0.5) + np.float32(0.5) * np.exp(-depth[index]), _TALL)
            planes.append(bin_down(light, _TALL) / np.float32(scale**2) + old_share * old * bulge * half)
        return np.stack(planes), {"inclination_deg": float(np.degrees(inclination))}

    def _rays(
        self, major: np.ndarray, minor: np.ndarray, inclination: float, extinction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return old and young light (C, 2, ...) per unit area, and the dust's depth to the centre."""
        sine, cosine = np.float32(np.sin(inclination)), np.float32(np.cos(inclination))
        step = np.float32(2 * _REACH / _SAMPLES)
        depth = np.zeros((len(extinction), *major.shape), dtype=np.float32)
        middle = depth
        light = np.zeros((len(extinction), 2, *major.shape), dtype=np.float32)
        shares = ((1 - self.bulge_share, self.height), (1.0, self.young_height))
        for index in range(_SAMPLES):  # from the observer inwards
            along = np.float32(_REACH) - (np.float32(index) + np.float32(0.5)) * step
            y, z = along * sine + minor * cosine, np.abs(along * cosine - minor * sine)
            radius = np.sqrt(major * major + y * y)
            dust = np.exp(-radius / np.float32(1.4) - z / np.float32(self.dust_height))
            dust *= np.float32(self.dust / (2 * self.dust_height)) * step
            disc = np.exp(-radius) * step
            stars = [
                np.float32(share / (4 * np.pi * height))
                / np.cosh(np.minimum(z / np.float32(height), 40)) ** 2
                for share, height in shares
            ]
            if index == _SAMPLES // 2:
                middle = depth.copy()
            for band, ratio in enumerate(extinction):
                seen = np.exp(-(depth[band] + ratio * dust / 2)) * disc
                light[band, 0] += seen * stars[0]
                light[band, 1] += seen * stars[1]
                depth[band] += ratio * dust
        return light, middle
