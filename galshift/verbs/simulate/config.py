"""Options of `simulate`."""

from __future__ import annotations

from pydantic import Field

from galshift.types import Strict


class SimulateConfig(Strict):
    """What to simulate; see :func:`galshift.simulate.generate.simulate`."""

    n: int = Field(600, ge=1, description="Galaxies; there are n x views images.")
    classes: tuple[str, ...] = Field(
        ("merger", "spiral", "elliptical"),
        min_length=1,
        description="Classes in the order of the labels; also edge-on, barred, lens, round, cigar, "
        "spiral-tight, spiral-loose, edge-on-bulge, edge-on-no-bulge and disturbed.",
    )
    views: int = Field(1, ge=1, description="Cameras per galaxy; all views of one share a group.")
    size: int = Field(96, ge=16, le=4096, description="Pixels along a side.")
    bands: tuple[str, ...] = Field(("g", "r", "i"), min_length=1, description="Bands, of u g r i z y.")
    redshift: float = Field(0.12, ge=0.001, le=3, description="Redshift at which the galaxies stand.")
    pixel_scale_arcsec: float | None = Field(
        None, gt=0, description="Default: 28.8 arcsec / size, 0.3 arcsec at 96 pixels."
    )
    seed: int = Field(42, description="Seed of every random stream.")
