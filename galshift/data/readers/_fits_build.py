"""From the galaxies that were found in FITS files to a data set: what they agree on, and what is checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.compact import Galaxies
from galshift.data.cutouts import DataInfo
from galshift.data.fits_layout import Galaxy, Place
from galshift.data.mask_bits import DECLARED, spoilt
from galshift.data.options import ReadOptions, bits_value
from galshift.data.readers._fits_agree import agree_on_bands, agree_on_scale, agree_on_unit, origins_of
from galshift.data.readers._fits_data import FitsData
from galshift.data.readers._fits_extras import (
    agree_on_psf,
    has_noise,
    mark_relative,
    refuse_blank_centres,
)
from galshift.data.roles import file_role_of
from galshift.errors import DataError


def build(
    path: Path,
    reader: str,
    files: Sequence[Path],
    planes: list[list[dict[str, Any]]],
    galaxies: Iterable[Galaxy],
    options: ReadOptions,
    *,
    notes: Sequence[str] = (),
    whole: bool = True,
    **details: Any,
) -> FitsData:
    """Return the data set of some galaxies after agreeing on bands, unit, pixel scale and size.

    Parameters
    ----------
    path, reader
        For messages and reports.
    files, planes
        Each file and its description.
    galaxies : iterable of Galaxy
    options : ReadOptions
    notes : sequence of str
    whole : bool
        Whether each image shows one galaxy in full, so that a mask that blanks its centre is refused.
    **details
        Further fields of :class:`DataInfo` (ids, groups, labels, classes, table, pixel_scale).

    Raises
    ------
    DataError
        When the galaxies do not have the same bands or units.
    """
    galaxies = galaxies if isinstance(galaxies, Galaxies) else Galaxies(galaxies)
    galaxies, bands, keep = agree_on_bands(galaxies, options, path)
    if len(keep) < len(galaxies):
        galaxies = Galaxies(galaxies[i] for i in keep)
        details = {name: _kept(value, keep) for name, value in details.items()}
    # Descriptions are shared between files: what this reading decides goes into copies.
    planes = _own_copies(galaxies, planes, options)
    unit, factors, unit_notes = agree_on_unit(galaxies, bands, planes, options, path)
    scale, scale_from = details.pop("pixel_scale", None), details.pop("pixel_scale_from", "")
    if options.pixel_scale_arcsec is not None:
        scale, scale_from = options.pixel_scale_arcsec, "--pixel-scale"
    scale = agree_on_scale(galaxies, bands, planes, path) if scale is None else scale
    side, ragged = _largest({_plane_shape(galaxy.science[bands[0]], planes) for galaxy in galaxies})
    if "ids" not in details:
        details["ids"] = galaxies.names.array()
    weight_notes = mark_relative(galaxies, planes)
    psf_scale, psf_notes = agree_on_psf(galaxies, bands, planes, scale)
    info = DataInfo(
        n=len(galaxies),
        shape=(len(bands), *side),
        reader=reader,
        unit=unit,
        pixel_scale=scale,
        bands=bands,
        has_mask=ragged or any(role != "psf" for galaxy in galaxies for role, _ in galaxy.extra),
        has_ivar=has_noise(galaxies, planes),
        has_psf=psf_scale is not None,
        ragged=ragged,
        notes=(*notes, *unit_notes, *weight_notes, *psf_notes),
        origins=_of_known(origins_of(galaxies, bands, planes, scale_from=scale_from), unit, scale),
        **{"groups": details["ids"], **details},
    )
    skip = options.on_error == "skip"
    dataset = FitsData(path, info, files, planes, galaxies, factors, psf_scale=psf_scale, skip=skip)
    if whole:
        _check_masks(dataset)
    return dataset


def _largest(shapes: set[tuple[int, ...]]) -> tuple[tuple[int, ...], bool]:
    """Return the largest height and width, and whether there are several."""
    return tuple(int(max(shape[axis] for shape in shapes)) for axis in (0, 1)), len(shapes) > 1


def _of_known(origins: dict[str, str], unit: str | None, scale: Any) -> dict[str, str]:
    """Return where the values came from, without those of a unit or a scale that is not known."""
    unknown = {key for key, value in (("unit", unit), ("pixel_scale", scale)) if value is None}
    return {key: text for key, text in origins.items() if key not in unknown}


def _own_copies(
    galaxies: Galaxies, planes: list[list[dict[str, Any]]], options: ReadOptions
) -> list[list[dict[str, Any]]]:
    """Return copies of the descriptions, shared by files that are described and used alike.

    What this reading decides of a plane goes into them: it follows from what the plane is and what it is for.
    """
    uses: list[set[tuple[int, str]] | None] = [None] * len(planes)
    usual: dict[frozenset, set] = {}
    for galaxy in galaxies:
        found: dict[int, set[tuple[int, str]]] = {}
        for place in galaxy.science.values():
            found.setdefault(place.file, set()).add((place.plane, "image"))
        for (role, _), places in galaxy.extra.items():
            for place in places:
                found.setdefault(place.file, set()).add((place.plane, role))
        for file, use in found.items():
            before = uses[file]
            use = use if before is None else before | use
            uses[file] = usual.setdefault(frozenset(use), use)
    made: dict[tuple[int, frozenset], list[dict[str, Any]]] = {}
    copies = []
    for described, use in zip(planes, uses):
        key = (id(described), frozenset(use or ()))
        if key not in made:
            made[key] = [_with_bits(plane, options) for plane in described]
        copies.append(made[key])
    return copies


def _with_bits(plane: dict[str, Any], options: ReadOptions) -> dict[str, Any]:
    """Return a copy of what is known of a plane, with the bits that the user states, should it be a mask."""
    if options.mask_bits is None:
        return dict(plane)
    origins = dict(plane.get("origins", {}))
    origins["mask"] = f"{origins.get('mask', 'mask').partition(', bits by ')[0]}, {DECLARED}"
    return {**plane, "bits": bits_value(options.mask_bits), "origins": origins}


def _check_masks(dataset: FitsData) -> None:
    """Look at the masks of a few galaxies: one that would blank what is to be seen is refused."""
    masked = [
        i for i, galaxy in enumerate(dataset.galaxies) if any(role == "mask" for role, _ in galaxy.extra)
    ]
    if not masked:
        return
    rows = [masked[i] for i in np.unique(np.linspace(0, len(masked) - 1, min(16, len(masked))).astype(int))]
    refuse_blank_centres((masks_of(dataset, row) for row in rows), dataset.path)


def masks_of(dataset: FitsData, row: int) -> tuple[str, np.ndarray] | None:
    """Return what a galaxy's masks are called, and where they spoil any band; None where damaged."""
    galaxy = dataset.galaxies[row]
    places = [place for (role, _), each in galaxy.extra.items() if role == "mask" for place in each]
    try:
        dataset._fetch(places)
    except DataError:
        # Reading the galaxy itself will say what is wrong.
        return None
    planes = [dataset.planes[place.file][place.plane] for place in places]
    bad = [spoilt(dataset._plane(place), plane.get("bits")) for place, plane in zip(places, planes)]
    names = {
        str(plane["name"]) or _pattern(dataset.files[place.file].name) for place, plane in zip(places, planes)
    }
    return sorted(names)[0], np.any(bad, axis=0)


def _pattern(name: str) -> str:
    """Return a pattern that fits files like this one: those with the same word for their part."""
    word = next((word for word in re.split(r"[_\-. ]+", name) if file_role_of(word) == "mask"), None)
    return f"'*{word}*.fits*'" if word else name


def _plane_shape(place: Place, planes: list[list[dict[str, Any]]]) -> tuple[int, int]:
    shape = planes[place.file][place.plane]["shape"]
    kept = [side for side, i in zip(shape, place.index) if i is None] if place.index else shape
    return int(kept[0]), int(kept[1])


def _kept(value: Any, keep: np.ndarray) -> Any:
    """Return the entries at `keep` of what has one for each galaxy; names of classes stay as they are."""
    return value if value is None or isinstance(value, tuple) or np.ndim(value) == 0 else value[keep]
