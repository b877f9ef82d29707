"""Files that belong to a tile: its mask, weight, error and PSF, told by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.data.fits_file import describe
from galshift.data.fits_layout import Galaxy, Place, beside
from galshift.data.open import FITS_SUFFIXES
from galshift.data.readers._base import stem
from galshift.data.roles import assign, file_role_of, is_band, said_of_file
from galshift.errors import DataError

# Euclid MER: EUC_MER_BGSUB-MOSAIC-NIR-Y_TILE1-HASH_TIME goes with EUC_MER_MOSAIC-NIR-Y-RMS_TILE1-OTHER_TIME.
_EUCLID = re.compile(r"EUC_MER_(?:BGSUB-)?MOSAIC-([A-Z-]+?)(?:-(RMS|FLAG))?_TILE(\d+)\b.*", re.IGNORECASE)


def siblings(tile: Path, roles: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Return the files beside a tile that differ from it by a word for their part, with their roles.

    ``X_ooi_g`` goes with ``X_ood_g`` and ``X_oow_g``, ``X.fits`` with ``X.weight.fits`` and
    ``X.mask.fits.fz``, ``X_drz_sci`` with ``X_drz_wht``; a mask may leave the band out.
    """
    key, found = _key(stem(tile)), []
    for file in sorted(tile.parent.iterdir()):
        if file == tile or not file.name.lower().endswith(FITS_SUFFIXES):
            continue
        other, role = _key(stem(file)), said_of_file(file.name, roles) or _role(stem(file))
        same = other == key or other == tuple(word for word in key if not is_band(word))
        if same and role in ("mask", "error", "variance", "weight", "psf"):
            found.append((file, role))
    return found


def attach(
    galaxy: Galaxy,
    files: list[Path],
    planes: list[list[dict[str, Any]]],
    roles: Mapping[str, str],
) -> list[str]:
    """Give a tile what stands in its sibling files; `files` and `planes` grow by them.  Return what to say.

    What the tile's own file holds goes first, and a second weight or error is left out.
    """
    notes = []
    first = next(iter(galaxy.science.values()))
    image = planes[first.file][first.plane]
    for file, role in siblings(files[0], roles):
        if role != "mask" and any(have == role for have, _ in galaxy.extra):
            notes.append(f"{file.name} is left out: there is another {role}")
            continue
        found = assign(describe(file), {k: v for k, v in roles.items() if k != "*"}, None)
        i = _plane(found, role, image)
        if i is None:
            notes.append(f"{file.name} is left out: it is not said which of its images is the {role}")
            continue
        found[i] = {**found[i], "role": role}
        try:
            at = {
                band: beside(band, galaxy, image, found[i], Place(len(files), i), file)
                for band in galaxy.science
            }
        except DataError as error:
            notes.append(f"{file.name} is left out: {error.what}")
            continue
        for band, place in at.items():
            galaxy.extra[role, band] = (*galaxy.extra.get((role, band), ()), place)
        origins = {**found[i].get("origins", {})}
        if role == "mask":
            origins["mask"] = f"{file.name}, {origins.get('mask', '')}"
        found[i]["origins"] = origins
        files.append(file)
        planes.append(found)
        notes.append(f"{role} from {file.name}")
    return notes


def _plane(planes: list[dict[str, Any]], role: str, image: Mapping[str, Any]) -> int | None:
    """Return the one plane of a sibling that belongs to `image`: of its role, its name, or its HDU."""
    fitting = [i for i, plane in enumerate(planes) if plane["role"] == role]
    fitting = fitting or [i for i, plane in enumerate(planes) if plane["role"] in (None, "image")]
    for same in (
        lambda plane: True,
        lambda plane: image["name"] and str(plane["name"]).casefold() == str(image["name"]).casefold(),
        lambda plane: plane["hdu"] == image["hdu"],
    ):
        chosen = [i for i in fitting if same(planes[i])]
        if len(chosen) == 1:
            return chosen[0]
    return None


def _key(name: str) -> tuple[str, ...]:
    """Return the words of a file's name that do not say which part it plays."""
    euclid = _EUCLID.fullmatch(name)
    if euclid is not None:
        return ("euclid", euclid.group(1).lower(), euclid.group(3))
    words = [word for word in re.split(r"[_\-. ]+", name.lower()) if word]
    return tuple(word for word in words if _word_role(word, name) is None)


def _role(name: str) -> str | None:
    euclid = _EUCLID.fullmatch(name)
    if euclid is not None:
        return {"rms": "error", "flag": "mask"}.get((euclid.group(2) or "").lower(), "image")
    roles = [role for word in re.split(r"[_\-. ]+", name.lower()) if (role := _word_role(word, name))]
    return "psf" if "psf" in roles else roles[-1] if roles else None


def _word_role(word: str, name: str) -> str | None:
    """Return a word's role; in Pan-STARRS' names (skycell) ``wt`` is a variance, elsewhere nothing."""
    if word == "wt" and "skycell" in name.lower():
        return "variance"
    return file_role_of(word)
