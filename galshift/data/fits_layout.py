"""How the images of FITS files make up galaxies with bands, masks and variances.

A *place* is where one plane of pixels lies: file number, HDU, and position along a cube's axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from galshift.data.fits_choice import Choice, choose
from galshift.data.roles import band_in, is_band, rest_of, words_of
from galshift.errors import DataError

MAX_BANDS = 20
# What the parts of a variance are called, which add up (JWST: VAR_POISSON, VAR_RNOISE, VAR_FLAT).
_PARTS = {"poisson", "rnoise", "flat", "read", "readnoise", "sky", "source", "shot", "dark"}
AUXILIARY = ("mask", "error", "variance", "weight", "psf")


class Place(NamedTuple):
    """Where one plane lies; `file` and `plane` count from 0, `index` picks it from an array (None: all)."""

    file: int
    plane: int
    index: tuple[int | None, ...] = ()


@dataclass
class Galaxy:
    """One object: its science planes by band, and what goes with them (`None` band: for all bands).

    Several masks of one image count together; so do the parts of its variance.
    """

    name: str
    science: dict[str, Place] = field(default_factory=dict)
    extra: dict[tuple[str, str | None], tuple[Place, ...]] = field(default_factory=dict)
    file: int = 0


def galaxies_of_file(
    number: int,
    stem: str,
    planes: Sequence[dict[str, Any]],
    bands: Sequence[str],
    *,
    ids: frozenset[str] = frozenset(),
    where: object = None,
) -> tuple[Iterable[Galaxy], list[str]]:
    """Return the galaxies of one file, to be gone through once, and what had to be assumed.

    A cube is bands where its header or the user names that many, or its axis is at most 20 long; else it is
    as many galaxies.  Extensions are bands where their names are filters; else each is a galaxy of its own.

    Parameters
    ----------
    number : int
        Of the file, from 0.
    stem : str
        What its galaxy is called.
    planes : sequence of dict
        From :func:`galshift.data.fits_file.describe`, with the user's roles.
    bands : sequence of str
        As the user names them.
    ids : frozenset of str
        Names in the user's catalogue; extensions so called are galaxies.
    where
        The file, for messages.

    Raises
    ------
    DataError
        When nothing says which of its extensions are images.
    """
    choice = choose(planes, bands, ids, where or stem)
    notes, parts = list(choice.notes), []
    if choice.bands:
        places = {name: _flat(number, i, planes[i]) for name, i in zip(choice.bands, choice.images)}
        parts.append([Galaxy(stem, places, file=number)])
        if not bands:
            for i in choice.images:
                said = f"name of HDU {planes[i]['hdu']} ({planes[i]['name']})"
                planes[i]["origins"] = {**planes[i].get("origins", {}), "bands": said}
    else:
        for i in choice.images:
            found, note = _galaxies_of_plane(
                Place(number, i), _label(stem, planes[i], choice), planes[i], bands
            )
            parts.append(found)
            notes += note
    attach, said = _extras(number, planes, choice, where or stem)
    notes += said
    galaxies = map(attach, chain.from_iterable(parts))
    unused = [str(plane["name"] or plane["hdu"]) for plane in planes if plane["role"] in ("ignore", "model")]
    return galaxies, [*notes, *([f"left out, for they are no images: {', '.join(unused)}"] if unused else [])]


def _label(stem: str, plane: dict[str, Any], choice: Choice) -> str:
    if len(choice.images) == 1:
        return stem
    return str(plane["name"]) if choice.by_name else f"{stem}[{plane['hdu']}]"


def _galaxies_of_plane(
    place: Place, name: str, plane: dict[str, Any], bands: Sequence[str]
) -> tuple[Iterable[Galaxy], list[str]]:
    shape = plane["shape"]
    named = plane["name"] if is_band(plane["name"]) else None
    band = (bands[0] if len(bands) == 1 else plane.get("own_band") or plane["band"] or named) or "band0"
    if len(shape) == 2:
        return [Galaxy(name, {band: place}, file=place.file)], []
    # Leading axes of length 1, which radio images carry, are passed over.
    axes = [axis for axis, side in enumerate(shape) if side > 1 or axis >= len(shape) - 2]

    def at(**chosen: int) -> Place:
        picked = {int(axis[1:]): i for axis, i in chosen.items()}
        index = tuple(picked.get(axis, None if axis in axes else 0) for axis in range(len(shape)))
        return place._replace(index=index)

    if len(axes) == 2:
        return [Galaxy(name, {band: at()}, file=place.file)], []
    if len(axes) == 4:
        a, b = f"a{axes[0]}", f"a{axes[1]}"
        names = _names(shape[axes[1]], plane, bands)
        cubes = ({word: at(**{a: n, b: c}) for c, word in enumerate(names)} for n in range(shape[axes[0]]))
        return (Galaxy(f"{name}[{n}]", cube, file=place.file) for n, cube in enumerate(cubes)), []
    if len(axes) > 4:
        raise DataError(f"an image with {len(axes)} axes is not one that galshift can take apart")
    first, middle, last = (shape[axis] for axis in axes)
    # Bands come last where that axis is short, unless the last two make a square: then it is a stack.
    axis = axes[-1] if last <= MAX_BANDS < first and middle != last else axes[0]
    n, a = shape[axis], f"a{axis}"
    known = len(bands) == n or len(plane["bands"]) == n
    if known or (n <= MAX_BANDS and len(bands) != 1):
        names = _names(n, plane, bands)
        note = [] if known else [f"{name}: took the axis of {n} as bands (--bands names them)"]
        return [Galaxy(name, {word: at(**{a: i}) for i, word in enumerate(names)}, file=place.file)], note
    note = [f"{name}: took the axis of {n} as {n} galaxies"]
    return (Galaxy(f"{name}[{i}]", {band: at(**{a: i})}, file=place.file) for i in range(n)), note


def _names(n: int, plane: dict[str, Any], bands: Sequence[str]) -> tuple[str, ...]:
    if len(bands) == n:
        return tuple(bands)
    return tuple(plane["bands"]) if len(plane["bands"]) == n else tuple(f"band{i}" for i in range(n))


def _flat(number: int, i: int, plane: dict[str, Any]) -> Place:
    """Return the place of a plane whose leading axes, if any, are of length 1."""
    extra = len(plane["shape"]) - 2
    return Place(number, i, (0,) * extra + (None, None) if extra > 0 else ())


def _extras(
    number: int, planes: Sequence[dict[str, Any]], choice: Choice, where: object
) -> tuple[Callable[[Galaxy], Galaxy], list[str]]:
    """Return what gives a galaxy the masks, variances and PSFs that stand in its file, and what to say."""
    notes, of_role = [], {}
    for role in AUXILIARY:
        extras = [i for i, plane in enumerate(planes) if plane["role"] == role and i not in choice.images]
        if not extras:
            continue
        matched, said = _matched(role, extras, planes, choice)
        notes += said
        if role == "psf" and any(len(found) > 1 and not choice.bands for found in matched.values()):
            # Simulators write one PSF several times, sampled and distorted differently.
            names = ", ".join(str(planes[k]["name"]) for k in extras)
            notes.append(f"no PSF is taken, for it holds several: {names}")
            continue
        of_role[role] = matched

    def attach(galaxy: Galaxy) -> Galaxy:
        for role, matched in of_role.items():
            for band, place in galaxy.science.items():
                own = _of_band(matched.get(place.plane, []), band, galaxy, planes)
                own = _together(role, own, planes, where)
                if own:
                    galaxy.extra[role, band] = tuple(
                        beside(band, galaxy, planes[place.plane], planes[i], Place(number, i), where)
                        for i in own
                    )
        return galaxy

    return attach, notes


def _of_band(found: list[int], band: str, galaxy: Galaxy, planes: Sequence[dict[str, Any]]) -> list[int]:
    """Return those that are of this band by name (ALLMASK_G), and those that are of none."""
    named = {k: one[0].casefold() for k in found if (one := band_in(str(planes[k]["name"]))) is not None}
    if not {name.casefold() for name in galaxy.science}.intersection(named.values()):
        return found
    return [k for k in found if named.get(k, band.casefold()) == band.casefold()]


def _matched(
    role: str, extras: list[int], planes: Sequence[dict[str, Any]], choice: Choice
) -> tuple[dict[int, list[int]], list[str]]:
    """Return which planes of a role belong to each image: by band or number in the name, EXTVER, or order."""
    images = choice.images
    if len(images) == 1:
        return {images[0]: extras}, []
    rests = {i: rest_of(planes[i]["name"]) for i in (*images, *extras)}
    own = [rests[i] for i in images]
    if len(set(own)) == len(own) and {rests[i] for i in extras} <= set(own) and "" not in own:
        return {i: [k for k in extras if rests[k] == rests[i]] for i in images}, []
    names = ", ".join(dict.fromkeys(str(planes[k]["name"]) for k in extras))
    if len(extras) == 1 and choice.bands:
        return dict.fromkeys(images, extras), [f"{names} serves all bands"]
    vers = [planes[i]["ver"] for i in images]
    if len(set(vers)) == len(vers) and {planes[k]["ver"] for k in extras} <= set(vers):
        return {i: [k for k in extras if planes[k]["ver"] == planes[i]["ver"]] for i in images}, []
    if len(extras) == len(images) and len({planes[k]["name"] for k in extras}) in (1, len(extras)):
        return {i: [k] for i, k in zip(images, extras)}, [f"{names}: matched to the images in their order"]
    return {}, [f"left out, for it is not said whose they are: {names}"]


def _together(role: str, found: list[int], planes: Sequence[dict[str, Any]], where: object) -> list[int]:
    """Return the planes of one role and image that count together; refuse two that say the same thing."""
    if len(found) < 2 or role == "mask":
        return found
    if role == "variance":
        parts = [k for k in found if _PARTS.intersection(_split(planes[k]["name"]))]
        if len(parts) == len(found) and len({planes[k]["name"] for k in found}) == len(found):
            return found
        whole = [k for k in found if k not in parts]
        if len(whole) == 1:
            return whole
    names = [str(planes[k]["name"]) for k in found]
    raise DataError(
        f"it holds {len(found)} extensions of the role '{role}': {', '.join(names)}",
        where=where,
        hint=f"leave one out, such as --role {names[-1]}=ignore",
    )


def _split(name: str) -> list[str]:
    """Return the words of a variance's name after ``VAR``, written together or apart."""
    return [word.removeprefix("var") for word in words_of(name)]


def beside(
    band: str, galaxy: Galaxy, image: dict[str, Any], extra: dict[str, Any], at: Place, where: object
) -> Place:
    """Return where a mask, an error or a PSF has the plane that belongs to one band of a galaxy.

    Parameters
    ----------
    band : str
    galaxy : Galaxy
    image, extra : dict
        The descriptions of both planes.
    at : Place
        Of `extra`.
    where
        Its file, for messages.

    Raises
    ------
    DataError
        When the sizes do not fit.
    """
    place = galaxy.science[band]
    kernel, shape = extra["role"] == "psf", extra["shape"]
    name = str(extra["name"]) or "HDU " + str(extra["hdu"])
    hint = f"leave it out with --role {extra['name'] or extra['hdu']}=ignore"
    if not kernel and shape == image["shape"]:
        return at._replace(index=place.index)
    if not kernel and shape[-2:] != _sides(place, image):
        sizes = ["x".join(map(str, sides)) for sides in (shape, _sides(place, image))]
        raise DataError(
            f"{name} ({sizes[0]} pixels) is not of its image's size ({sizes[1]})", where=where, hint=hint
        )
    long = [axis for axis, side in enumerate(shape[:-2]) if side > 1]
    if not long:
        return _flat(at.file, at.plane, extra)
    bands = list(galaxy.science)
    if len(long) > 1 or shape[long[0]] != len(bands):
        raise DataError(
            f"{name} has {'x'.join(map(str, shape))} pixels for {len(bands)} bands", where=where, hint=hint
        )
    index: list[int | None] = [0] * (len(shape) - 2) + [None, None]
    index[long[0]] = extra["bands"].index(band) if set(extra["bands"]) == set(bands) else bands.index(band)
    return at._replace(index=tuple(index))


def _sides(place: Place, plane: dict[str, Any]) -> list[int]:
    """Return (height, width) of the image at `place`."""
    shape = plane["shape"]
    return [side for side, i in zip(shape, place.index) if i is None] if place.index else list(shape)
