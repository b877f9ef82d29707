"""Which extensions of a FITS file are images of galaxies: their names say it, or the user is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from galshift.data.roles import band_in, is_name, rest_of, role_words
from galshift.errors import DataError

# Extensions without a name, of one size, may be an image with its error, mask and weight.
_FEW = 9


@dataclass(frozen=True)
class Choice:
    """The images of a file.

    Attributes
    ----------
    images : tuple of int
        Their places among the file's planes.
    bands : tuple of str
        One band each, where together they show one galaxy; empty where each shows galaxies of its own.
    by_name : bool
        Whether galaxies are called by the names of their extensions.
    notes : tuple of str
        What was left out or assumed.
    """

    images: tuple[int, ...]
    bands: tuple[str, ...] = ()
    by_name: bool = False
    notes: tuple[str, ...] = ()


def choose(
    planes: Sequence[dict[str, Any]], bands: Sequence[str], ids: frozenset[str], where: object
) -> Choice:
    """Return which planes are images.

    A plane that its name or the user calls an image decides, and what is not known is left out and named.
    Without one, a single plane is the image; names that are filters, or `bands`, make one galaxy; names of
    the catalogue are galaxies, and so are planes without names that cannot belong to one another.

    Raises
    ------
    DataError
        When it is not said which planes are images.
    """
    known = [i for i, plane in enumerate(planes) if plane["role"] == "image"]
    named = [i for i, plane in enumerate(planes) if plane["role"] is None and is_name(plane["name"])]
    unnamed = [i for i, plane in enumerate(planes) if plane["role"] is None and not is_name(plane["name"])]
    if known:
        chosen = _of_known(planes, known, bands, where)
        notes = _left_out(planes, [*unnamed, *named, *(i for i in known if i not in chosen.images)])
        return Choice(chosen.images, chosen.bands, chosen.by_name, (*chosen.notes, *notes))
    unknown = [*named, *unnamed]
    if not unknown:
        return _of_psfs(planes, where)
    names = [str(planes[i]["name"]) for i in named]
    if named and not unnamed:
        layout = _band_layout(planes, named, bands)
        if layout:
            return Choice(tuple(named), layout)
        if ids and set(names) <= ids and len(set(names)) == len(names):
            return Choice(
                tuple(named), by_name=True, notes=(f"{len(names)} extensions are galaxies of the catalogue",)
            )
        if len(planes) == 1:
            return Choice(tuple(named))
    if unnamed and not named and _apart(planes, unnamed, bands):
        layout = tuple(bands) if len(bands) == len(unnamed) > 1 and _flat_all(planes, unnamed) else ()
        notes = (f"{len(unnamed)} extensions without a name: each is taken as galaxies of its own",)
        return Choice(tuple(unnamed), layout, notes=() if layout or len(unnamed) == 1 else notes)
    raise _ask(planes, unknown, where)


def _of_known(
    planes: Sequence[dict[str, Any]], known: list[int], bands: Sequence[str], where: object
) -> Choice:
    """Choose among planes that are called images."""
    said = [i for i in known if planes[i].get("said")]
    images = said or known
    if not said and len(images) > 1:
        science = [i for i in images if {"sci", "science"}.intersection(role_words(planes[i]["name"]))]
        images = science or images
        stems = {role_words(planes[i]["name"]) for i in images}
        if len(stems) > 1 and not _band_layout(planes, images, ()):
            raise _ask(planes, images, where)
    if len(images) == 1:
        band = band_in(str(planes[images[0]]["name"]))
        planes[images[0]]["own_band"] = band[0] if band and rest_of(planes[images[0]]["name"]) else None
        return Choice(tuple(images))
    layout = _band_layout(planes, images, bands)
    if layout:
        return Choice(tuple(images), layout)
    names = [str(planes[i]["name"]) for i in images]
    by_name = bool(said) and all(names) and len(set(names)) == len(names)
    note = f"{len(images)} images: each is taken as galaxies of its own"
    return Choice(tuple(images), by_name=by_name, notes=(note,))


def _of_psfs(planes: Sequence[dict[str, Any]], where: object) -> Choice:
    """Open a file of PSFs, to be looked at; refuse one that holds masks or errors alone."""
    psfs = tuple(i for i, plane in enumerate(planes) if plane["role"] == "psf")
    if psfs:
        return Choice(psfs, notes=("it holds PSFs only, and no galaxy",))
    names = [str(plane["name"] or plane["hdu"]) for plane in planes]
    raise DataError(
        f"it holds masks, errors or models only, and no image ({', '.join(names[:6])})",
        where=where,
        hint=f"if one is the image, say so: --role {names[0]}=image" if names else None,
    )


def _band_layout(
    planes: Sequence[dict[str, Any]], images: list[int], bands: Sequence[str]
) -> tuple[str, ...]:
    """Return the bands of planes that show one galaxy, one band each; () where they do not."""
    if not _flat_all(planes, images):
        return ()
    names = [str(planes[i]["name"]) for i in images]
    if len(bands) == len(images) > 1 and not set(names) & set(bands):
        # The user counts them: bands in the order of the extensions.
        return tuple(bands)
    if len(images) < 2 and not band_in(names[0]):
        return ()
    if len(set(names)) < len(names):
        return ()
    if all(name in bands for name in names):
        return tuple(names)
    found = [band_in(name) for name in names]
    if any(one is None for one in found):
        return ()
    short = Counter(band for band, _ in found)
    return tuple(band if short[band] == 1 else f"{camera}.{band}" for band, camera in found)


def _apart(planes: Sequence[dict[str, Any]], unnamed: list[int], bands: Sequence[str]) -> bool:
    """Return whether planes without names must be images: one alone, many, or of different sizes."""
    if len(unnamed) == 1 or len(bands) == len(unnamed):
        return True
    if len({planes[i]["kind"] for i in unnamed}) > 1:
        return False
    sizes = {tuple(planes[i]["shape"][-2:]) for i in unnamed}
    return len(sizes) > 1 or len(unnamed) > _FEW or all(planes[i].get("file_of_psfs") for i in unnamed)


def _flat_all(planes: Sequence[dict[str, Any]], images: list[int]) -> bool:
    return all(max(planes[i]["shape"][:-2], default=1) == 1 for i in images)


def _left_out(planes: Sequence[dict[str, Any]], indices: list[int]) -> tuple[str, ...]:
    if not indices:
        return ()
    names = [str(planes[i]["name"]) or f"HDU {planes[i]['hdu']}" for i in sorted(indices)]
    return (f"left out, for an image is named beside them: {', '.join(names)}",)


def _ask(planes: Sequence[dict[str, Any]], unknown: list[int], where: object) -> DataError:
    names = [str(planes[i]["name"]) or str(planes[i]["hdu"]) for i in sorted(unknown)]
    shown = ", ".join(names[:6]) + (f", ... ({len(names)} in all)" if len(names) > 6 else "")
    return DataError(
        f"it is not said which of its extensions are images: {shown}",
        where=where,
        hint=f"--hdu {names[0]} reads that one alone; --role {names[0]}=image|error|variance|weight|mask|"
        "ignore says what one is, and --role '*=image' that each is a galaxy",
    )
