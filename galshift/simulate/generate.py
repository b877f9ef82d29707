"""Draw galaxies one by one from named streams and hand them out in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.errors import UsageError
from galshift.simulate import KINDS
from galshift.simulate._light import Frame, ab_to_njy, check_bands, distances, njy_to_ab
from galshift.simulate._neighbour import draw_neighbour
from galshift.streams import numpy_stream

FIELD_ARCSEC = 28.8  # side of an image when no pixel scale is given: 0.3 arcsec at 96 pixels
REDSHIFT = 0.12
BRIGHT, FAINT = -22.3, -20.3  # total absolute r magnitude: r = 16.5 to 18.5 at z = 0.12

#: Columns of the truth table; NaN where a quantity does not belong to the class of galaxy.
COLUMNS = (
    "redshift",
    "r_total",
    "mass_ratio",
    "pericentre_kpc",
    "since_pericentre_myr",
    "separation_kpc",
    "nuclear_separation_kpc",
    "tidal_fraction",
    "young_fraction",
    "sersic_n",
    "r_eff_kpc",
    "axis_ratio",
    "disc_scale_kpc",
    "inclination_deg",
    "n_arms",
    "pitch_deg",
    "bulge_fraction",
    "bar_length_kpc",
    "einstein_radius_arcsec",
    "source_redshift",
    "neighbour_light",
    "neighbour_kpc",
)


def simulate(
    n: int,
    *,
    classes: Sequence[str] = ("merger", "spiral", "elliptical"),
    views: int = 1,
    size: int = 96,
    seed: int = 42,
    bands: Sequence[str] = ("g", "r", "i"),
    redshift: float = REDSHIFT,
    pixel_scale_arcsec: float | None = None,
    chunk: int = 64,
) -> Iterator[Cutouts]:
    """Make noise-free images of idealised galaxies, without a PSF.

    Galaxy ``k`` is of class ``classes[k % len(classes)]`` and depends on `seed`, ``k`` and its class alone,
    not on `n` or `chunk`; its views are images ``k * views`` to ``k * views + views - 1`` and share a group.

    Parameters
    ----------
    n : int
        Number of galaxies (groups); there are ``n * views`` images.
    classes : sequence of str
        Classes of galaxy in the order of the labels: ``merger``, ``spiral``, ``elliptical``, ``edge-on``,
        ``barred``, ``lens``, and the finer ``round``, ``cigar``, ``spiral-tight``, ``spiral-loose``,
        ``edge-on-bulge``, ``edge-on-no-bulge``, ``disturbed``.
    views : int
        Cameras per galaxy.
    size : int
        Pixels along a side, at least 16.
    seed : int
    bands : sequence of str
        Of ``u g r i z y``.
    redshift : float
        At which all galaxies stand; it sets sizes (Planck 2018 cosmology) and magnitudes.
    pixel_scale_arcsec : float, optional
        By default ``28.8 / size``: the same field whatever the number of pixels.
    chunk : int
        Galaxies per chunk.

    Yields
    ------
    Cutouts
        `images` in nJy per pixel; `table` holds the truth (:data:`COLUMNS`, and ``mag_<band>``, the AB
        magnitude of the light in the frame).  ``r_total`` is the AB magnitude in r of all light without dust,
        out to infinity; neither a neighbour seen by chance nor a lens's background galaxy counts in it.

    Raises
    ------
    UsageError
        When an argument makes no sense.
    """
    frame = make_frame(size, bands, redshift, pixel_scale_arcsec)
    classes = _check_classes(classes)
    for name, value in (("n", n), ("views", views), ("chunk", chunk)):
        if value < 1:
            raise UsageError(f"{name} must be at least 1, not {value}", where=name)
    return _chunks(n, classes, views, seed, frame, chunk)


def simulate_all(n: int, **options: Any) -> Cutouts:
    """Return everything :func:`simulate` makes as one :class:`Cutouts`."""
    from astropy.table import vstack

    parts = list(simulate(n, **options))
    first = parts[0]
    return first.with_(
        images=np.concatenate([part.images for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        table=vstack([part.table for part in parts], join_type="exact"),
    )


def make_frame(
    size: int, bands: Sequence[str], redshift: float = REDSHIFT, pixel_scale_arcsec: float | None = None
) -> Frame:
    """Return the pixel grid of one image, checked.

    Parameters
    ----------
    size : int
        Side [pixel], at least 16.
    bands : sequence of str
    redshift : float
        Between 0.001 and 3.
    pixel_scale_arcsec : float, optional
        Default: what spreads `FIELD_ARCSEC` over the image.

    Raises
    ------
    UsageError
        When one of these is not possible.
    """
    if size < 16:
        raise UsageError(f"images need at least 16 pixels along a side, not {size}", where="size")
    if not 0.001 <= redshift <= 3:
        raise UsageError(f"the redshift must lie between 0.001 and 3, not {redshift:g}", where="redshift")
    scale = FIELD_ARCSEC / size if pixel_scale_arcsec is None else float(pixel_scale_arcsec)
    if not (np.isfinite(scale) and scale > 0):
        raise UsageError(
            f"the pixel scale must be positive, not {scale:g} arcsec", where="pixel_scale_arcsec"
        )
    _, kpc_per_arcsec = distances(float(redshift))
    return Frame(size, scale, kpc_per_arcsec * scale, float(redshift), check_bands(tuple(bands)))


def _check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    classes = tuple(classes)
    if not classes or len(set(classes)) != len(classes):
        raise UsageError("classes must be named, each once", where="classes", hint=", ".join(KINDS.names()))
    for name in classes:
        KINDS.get(name)
    return classes


def _chunks(
    n: int, classes: tuple[str, ...], views: int, seed: int, frame: Frame, chunk: int
) -> Iterator[Cutouts]:
    for first in range(0, n, chunk):
        galaxies = range(first, min(n, first + chunk))
        shape = (len(galaxies) * views, len(frame.bands), frame.size, frame.size)
        images, rows = np.empty(shape, dtype=np.float32), []
        for row, galaxy in enumerate(galaxies):
            kind = classes[galaxy % len(classes)]
            rows += _galaxy(seed, galaxy, kind, views, frame, images[row * views : (row + 1) * views])
        labels = np.array(
            [galaxy % len(classes) for galaxy in galaxies for _ in range(views)], dtype=np.int64
        )
        yield _cutouts(images, labels, classes, rows, frame, f"simulate seed={seed} n={n} views={views}")


def _galaxy(
    seed: int, galaxy: int, kind: str, views: int, frame: Frame, out: np.ndarray
) -> list[dict[str, Any]]:
    """Fill `out` (views, C, S, S) in nJy with one galaxy and return its truth rows."""
    rng = numpy_stream(seed, "simulate", kind, galaxy)
    magnitude = rng.uniform(BRIGHT, FAINT) + distances(frame.redshift)[0]
    neighbour = draw_neighbour(rng)
    model = KINDS.get(kind)(rng)
    rows = []
    for view in range(views):
        camera = numpy_stream(seed, "simulate", kind, galaxy, "view", view)
        light, seen = model.view(camera, frame)
        if neighbour:
            light = light + neighbour.image(camera, frame)
            seen |= {"neighbour_kpc": neighbour.distance_kpc, "neighbour_light": neighbour.light}
        out[view] = light * np.float32(ab_to_njy(magnitude))
        row = {"id": f"s{seed}-g{galaxy:06d}-v{view}", "group": f"s{seed}-g{galaxy:06d}", "view": view}
        row |= dict.fromkeys(COLUMNS, np.nan) | {"redshift": frame.redshift, "r_total": magnitude}
        fluxes = out[view].sum(axis=(1, 2), dtype=np.float64)
        row |= model.truth() | seen
        row |= {f"mag_{band}": njy_to_ab(flux) for band, flux in zip(frame.bands, fluxes)}
        rows.append(row)
    return rows


def _cutouts(
    images: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    rows: list[dict[str, Any]],
    frame: Frame,
    history: str,
) -> Cutouts:
    from astropy.table import Table

    ids, groups = [row.pop("id") for row in rows], [row.pop("group") for row in rows]
    names = ("view", *COLUMNS, *(f"mag_{band}" for band in frame.bands))
    table = Table({name: np.array([row[name] for row in rows]) for name in names})
    return Cutouts(
        images=images,
        unit="nJy",
        pixel_scale=frame.pixel_scale_arcsec,
        bands=frame.bands,
        ids=np.array(ids),
        groups=np.array(groups),
        labels=labels,
        classes=classes,
        psf_fwhm=0.0,
        survey="galshift-simulated",
        history=(history,),
        table=table,
    )
