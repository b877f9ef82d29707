"""Finite rotation groups of the plane, and filters that know how to turn: pure functions on small arrays.

An element (r, f) first mirrors left and right when f = 1, then turns anticlockwise by r / n of a full turn.
Elements are numbered ``f * n + r``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Group:
    """The cyclic group C_n, or with mirrors the dihedral group D_n.

    Attributes
    ----------
    turns : int
        n.
    mirrors : bool
    """

    turns: int
    mirrors: bool

    def __len__(self) -> int:
        return self.turns * (2 if self.mirrors else 1)

    def elements(self) -> list[tuple[int, int]]:
        """Return every (r, f) in the order of their numbers."""
        return [(r, f) for f in range(2 if self.mirrors else 1) for r in range(self.turns)]

    def number(self, r: int, f: int) -> int:
        """Return the number of the element (r, f)."""
        return (f % 2) * self.turns + r % self.turns

    def product(self, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        """Return the element that acts as `b` and then `a`; a mirror turns the sense of a rotation."""
        return (a[0] + (-b[0] if a[1] else b[0])) % self.turns, (a[1] + b[1]) % 2

    def inverse(self, a: tuple[int, int]) -> tuple[int, int]:
        """Return the element that undoes `a`; a mirror undoes itself."""
        return (a[0], 1) if a[1] else (-a[0] % self.turns, 0)

    def relative(self) -> np.ndarray:
        """Return (G, G) numbers of g**-1 h, g by row and h by column."""
        elements = self.elements()
        return np.array(
            [[self.number(*self.product(self.inverse(g), h)) for h in elements] for g in elements],
            dtype=np.int64,
        )

    def matrix(self, a: tuple[int, int]) -> np.ndarray:
        """Return the (2, 2) matrix of `a` acting on (x to the right, y upwards)."""
        turn = 2 * np.pi * a[0] / self.turns
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return rotation @ np.diag([-1.0 if a[1] else 1.0, 1.0])


GROUPS = {
    "c4": Group(4, False),
    "d4": Group(4, True),
    "c8": Group(8, False),
    "d8": Group(8, True),
}


def act(array: np.ndarray, element: tuple[int, int], turns: int) -> np.ndarray:
    """Return images (..., H, H) mirrored and turned by an element that is a multiple of a quarter turn."""
    r, f = element
    if (4 * r) % turns:
        raise ValueError("only quarter turns keep the pixel grid")
    return np.rot90(array[..., ::-1] if f else array, 4 * r // turns, axes=(-2, -1))


def filter_basis(group: Group, kernel: int) -> np.ndarray:
    """Return basis filters turned by every element of the group, (G, J, k, k) float64.

    Quarter turns keep the pixel grid, so C4 and D4 use one basis filter per pixel and turn exactly.  For
    eighths of a turn the basis is circular harmonics on Gaussian rings (Weiler & Cesa 2019,
    arXiv:1911.08251), which can be sampled at any angle.
    """
    if group.turns == 4:
        pixels = np.eye(kernel * kernel).reshape(-1, kernel, kernel)
        return np.stack([act(pixels, element, 4) for element in group.elements()])
    half = kernel // 2
    step = np.arange(kernel) - half
    x, y = np.meshgrid(step, -step)
    turned = []
    for element in group.elements():
        # A filter f turned by g has the value f(g**-1 x); matrices are orthogonal.
        back = group.matrix(element).T
        u, v = back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y
        turned.append(_harmonics(np.hypot(u, v), np.arctan2(v, u), half))
    basis = np.stack(turned)
    return basis / np.sqrt(np.sum(basis[0] ** 2, axis=(1, 2)))[None, :, None, None]


def _harmonics(radius: np.ndarray, angle: np.ndarray, half: int) -> np.ndarray:
    """Circular harmonics on rings 0 ... half, of frequencies that the ring's pixels can carry."""
    filters = []
    for ring in range(half + 1):
        envelope = np.exp(-((radius - ring) ** 2) / (2 * 0.6**2))
        for frequency in range(2 * ring + 1):
            # The very centre has no direction, so only frequency 0 has a value there.
            window = envelope * (radius > 0) if frequency else envelope
            filters.append(window * np.cos(frequency * angle))
            if frequency:
                filters.append(window * np.sin(frequency * angle))
    return np.stack(filters)
