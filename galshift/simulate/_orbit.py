"""Two galaxies on a parabolic orbit and the stars of their discs: the restricted three-body problem.

Toomre & Toomre (1972): the two galaxies move as softened points, the stars of their discs feel both and pull
on nothing.  Units: G = 1 and the first galaxy's mass = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SOFTENING = 0.2  # Plummer length of each galaxy's potential
DRAG = 0.5  # dynamical friction on the relative velocity, exp(-(d / DRAG_RANGE)**2) of it
DRAG_RANGE = 0.8


def parabola(time: float, pericentre: float, mu: float) -> tuple[np.ndarray, np.ndarray]:
    """Return position and velocity on a parabolic Kepler orbit, from Barker's equation in closed form.

    Parameters
    ----------
    time : float
        Since pericentre.
    pericentre : float
        Smallest distance.
    mu : float
        G times the sum of the masses.

    Returns
    -------
    tuple of ndarray
        (2,) position, with the pericentre on the +x axis, and (2,) velocity.
    """
    rate = np.sqrt(mu / (2 * pericentre**3))
    # Barker: D + D**3 / 3 = rate * t with D = tan(true anomaly / 2).
    half = 1.5 * rate * time
    root = np.cbrt(abs(half) + np.hypot(half, 1.0))
    d = np.copysign(root - 1 / root, half)
    speed = rate / (1 + d * d)
    position = pericentre * np.array([1 - d * d, 2 * d])
    velocity = 2 * pericentre * speed * np.array([-d, 1.0])
    return position, velocity


@dataclass(frozen=True)
class Encounter:
    """The relative orbit of the two galaxies, sampled in the middle of every step.

    Attributes
    ----------
    mass_ratio : float
        Second over first mass.
    dt : float
    start : ndarray
        (2, 6) position and velocity of both galaxies at the first step.
    centres : ndarray
        (T, 2, 3) positions of both galaxies in the middle of each step, barycentre at rest.
    end : ndarray
        (2, 3) positions at the end.
    since_pericentre : float
        Time between the first closest approach and the end.
    pericentre : float
        The distance then.
    """

    mass_ratio: float
    dt: float
    start: np.ndarray
    centres: np.ndarray
    end: np.ndarray
    since_pericentre: float
    pericentre: float


def encounter(
    mass_ratio: float, pericentre: float, *, before: float, after: float, steps: int, drag: float = DRAG
) -> Encounter:
    """Integrate the two galaxies' softened, decaying orbit (leapfrog, drift-kick-drift).

    Parameters
    ----------
    mass_ratio : float
        Second over first mass.
    pericentre : float
        Of the Kepler parabola that they arrive on.
    before, after : float
        Duration before and after that parabola's pericentre.
    steps : int
    drag : float
        Strength of dynamical friction; 0 for none.
    """
    mu = 1.0 + mass_ratio
    dt = (before + after) / steps
    position, velocity = parabola(-before, pericentre, mu)
    (x, y), (vx, vy) = position.tolist(), velocity.tolist()
    softening2 = 2 * SOFTENING**2
    middle = np.empty((steps, 2))
    for step in range(steps):
        x, y = x + vx * dt / 2, y + vy * dt / 2
        middle[step] = x, y
        d2 = x * x + y * y
        pull = mu * dt / (d2 + softening2) ** 1.5
        keep = np.exp(-drag * dt * np.exp(-d2 / DRAG_RANGE**2)) if drag else 1.0
        vx, vy = (vx - pull * x) * keep, (vy - pull * y) * keep
        x, y = x + vx * dt / 2, y + vy * dt / 2
    share = np.array([-mass_ratio / mu, 1 / mu])
    flat = np.zeros(1)
    centres = np.zeros((steps, 2, 3))
    centres[:, :, :2] = middle[:, None, :] * share[:, None]
    end = np.array([x, y, 0.0]) * share[:, None]
    start = share[:, None] * np.concatenate([position, flat, velocity, flat])
    distance = np.hypot(middle[:, 0], middle[:, 1])
    first = _first_minimum(distance)
    return Encounter(mass_ratio, dt, start, centres, end, (steps - first - 0.5) * dt, float(distance[first]))


def _first_minimum(values: np.ndarray) -> int:
    rising = np.flatnonzero(np.diff(values) > 0)
    return int(rising[0]) if len(rising) else len(values) - 1


def follow(position: np.ndarray, velocity: np.ndarray, orbit: Encounter) -> None:
    """Move test particles through the encounter, in place (leapfrog, drift-kick-drift, float32).

    Parameters
    ----------
    position, velocity : ndarray
        (3, P) float32, each row contiguous: the arrays stay in the cache and nothing is allocated.
    orbit : Encounter
    """
    dt, softening2 = np.float32(orbit.dt), np.float32(SOFTENING**2)
    centres = orbit.centres.astype(np.float32)[..., None]  # (T, 2, 3, 1)
    pulls = np.array([1.0, orbit.mass_ratio], dtype=np.float32) * dt
    offset, step = np.empty_like(position), np.empty_like(position)
    distance2, root = np.empty_like(position[0]), np.empty_like(position[0])
    np.multiply(velocity, dt / 2, out=step)
    position += step
    for index, pair in enumerate(centres):
        for centre, pull in zip(pair, pulls):
            np.subtract(position, centre, out=offset)
            np.einsum("ij,ij->j", offset, offset, out=distance2)
            distance2 += softening2
            np.sqrt(distance2, out=root)
            distance2 *= root
            np.divide(pull, distance2, out=root)
            offset *= root
            velocity -= offset
        last = index == len(centres) - 1
        np.multiply(velocity, dt / 2 if last else dt, out=step)
        position += step


def circular_speed(radius: np.ndarray, mass: float) -> np.ndarray:
    """Return the speed of a circular orbit in a Plummer potential of `mass` and length SOFTENING."""
    return np.sqrt(mass) * radius / (radius * radius + SOFTENING**2) ** 0.75
