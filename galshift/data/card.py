"""Data cards: a small YAML file that says of a data set what its own files do not say.

A card stands wherever a data set is named.  What it says is what the reading options say (the same names, the
same class, :class:`~galshift.data.options.ReadOptions`), and ``path``, where the images are::

    galshift_card: 1
    path: sdss/
    unit: nanomaggy
    pixel_scale_arcsec: 0.396
    labels: zoo.csv
    label_column: t01

Paths in a card (`PATHS`) start from the card's own folder, so that a folder with its card can be moved or
handed on.  An option that is given beside a card goes before what the card says.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from galshift.bounds import plain_file
from galshift.data.options import ReadOptions
from galshift.data.paths import split_pair
from galshift.errors import DataError, did_you_mean
from galshift.plain_yaml import NotPlain, load_plain
from galshift.provenance import atomic_path, remove_dead_parts

KEY = "galshift_card"
VERSION = 1
SUFFIXES = (".yaml", ".yml")
#: Fields of a card that name files; ``labels`` may be a column of the data set's own table instead.
PATHS = ("labels", "catalog", "psf", "weights")
_MOST_BYTES = 1_000_000


class DataCard(ReadOptions):
    """A card that stands inside another file, such as a recipe: the options, and where the images are."""

    path: str = Field(min_length=1, description="Where the images are, or the file of a card.")


@dataclass(frozen=True)
class Resolved:
    """A data set as it was named, with what its card says.

    Attributes
    ----------
    path : str
        The images, or the pair ``x.npy:y.npy``.
    options : ReadOptions
        The card's values, less those that options beside it replaced.
    name : str or None
        What the data set is called: the card's stem; None without a card.
    card : Path or None
    said : ReadOptions or None
        What the card itself says.
    """

    path: str
    options: ReadOptions
    name: str | None = None
    card: Path | None = None
    said: ReadOptions | None = None


def is_card(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` is a data card: a YAML file whose key ``galshift_card`` says so."""
    place = Path(path)
    if place.suffix.lower() not in SUFFIXES or not place.is_file():
        return False
    with place.open("rb") as stream:
        text = stream.read(_MOST_BYTES)
    return any(line.startswith(KEY.encode() + b":") for line in text.splitlines())


def resolve(path: str | os.PathLike[str], options: ReadOptions | None = None) -> Resolved:
    """Return the data set that `path` names: itself, or what the card at `path` says.

    Parameters
    ----------
    path : path-like
    options : ReadOptions, optional
        What was declared beside it; it goes before what a card says.

    Raises
    ------
    DataError
        When a YAML file is no card, or the card is broken.
    """
    options = options or ReadOptions()
    text = os.fspath(path)
    if Path(text).suffix.lower() not in SUFFIXES or not Path(text).is_file():
        return Resolved(text, options)
    place = Path(text)
    values = read_card(place)
    where = _from_here(values.pop("path"), place.parent)
    said = _options(values, place)
    return Resolved(where, merged(said, options), place.stem, place, said)


def merged(card: ReadOptions, given: ReadOptions) -> ReadOptions:
    """Return the values of `card` with those replaced that `given` says explicitly."""
    blank = ReadOptions()
    said = {key for key in given.model_fields_set if getattr(given, key) != getattr(blank, key)}
    return card.model_copy(update={key: getattr(given, key) for key in said})


def placed(read: ReadOptions) -> ReadOptions:
    """Return `read` with the files that it names made absolute, so that it holds from any folder."""
    named = {key: getattr(read, key, None) for key in PATHS}
    files = {key: os.path.abspath(text) for key, text in named.items() if text and os.path.exists(text)}
    return read.model_copy(update=files)


def read_card(place: Path) -> dict[str, Any]:
    """Return the values of the card at `place`, with paths made to start from the working directory.

    Raises
    ------
    DataError
        When it is no YAML, no card, of another version, or names no images; with the line, if YAML knows it.
    """
    if plain_file(place) > _MOST_BYTES:
        raise DataError(
            f"this file is too large to be a data card: {_MOST_BYTES} bytes are the limit", where=place
        )
    try:
        values = load_plain(place.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        what = "this data card is not valid YAML: it is not UTF-8 text"
        raise DataError(what, where=place) from error
    except NotPlain as error:
        where = f"{place}:{error.line}" if error.line else place
        raise DataError(f"this data card is not valid YAML: {error.problem}", where=where) from error
    if isinstance(values, dict) and {"recipe", "steps"} <= set(values):
        hint = f"galshift run {shlex.quote(str(place))}"
        raise DataError("this is a recipe, no data card", where=place, hint=hint)
    if not isinstance(values, dict) or KEY not in values:
        raise DataError(
            "this YAML file is no data card",
            where=place,
            hint=f"a card has a line '{KEY}: {VERSION}'; galshift inspect DATA --save CARD.yaml writes one",
        )
    version = values.pop(KEY)
    if version != VERSION:
        raise DataError(
            f"this data card is of version {version}, and version {VERSION} is known here", where=place
        )
    if not isinstance(values.get("path"), str) or not values["path"]:
        raise DataError("this data card does not say where the images are", where=place, hint="path: FOLDER/")
    return {**values, **seen_from_here(values, place.parent)}


def seen_from_here(values: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the files that a card in `folder` names (`PATHS`), as seen from the working directory.

    ``labels`` that are neither a file nor look like one are a column of the data's own table, and left out.
    """
    named = {name: values[name] for name in PATHS if isinstance(values.get(name), str)}
    moved = {name: _from_here(text, folder) for name, text in named.items()}
    return {name: path for name, path in moved.items() if Path(path).exists() or "/" in named[name]}


def _options(values: Mapping[str, Any], place: Path) -> ReadOptions:
    known = sorted({*ReadOptions.model_fields, "path"})
    lines = place.read_text(encoding="utf-8-sig").splitlines()
    unknown = [key for key in values if key not in known]
    if unknown:
        name = str(unknown[0])
        raise DataError(
            f"a data card has no key '{name}'",
            where=_line(place, lines, name),
            hint=did_you_mean(name, known),
        )
    try:
        return ReadOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        text = first["msg"].removeprefix("Value error, ")
        raise DataError(
            f"{'.'.join(map(str, first['loc']))}: {text[:1].lower()}{text[1:]}",
            where=_line(place, lines, key),
        ) from error


def _line(place: Path, lines: list[str], key: str) -> str:
    number = next((i for i, line in enumerate(lines, 1) if line.startswith(f"{key}:")), None)
    return str(place) if number is None else f"{place}:{number}"


def _from_here(path: str, folder: Path) -> str:
    """Return the path or pair of a card in `folder` as seen from the working directory."""
    return ":".join(os.path.normpath(folder / part) for part in split_pair(path))


def write_card(
    place: Path,
    path: str,
    options: ReadOptions,
    origins: Mapping[str, tuple[str, str]] | None = None,
    *,
    remark: str = "",
) -> None:
    """Write a card for the images at `path`, atomically, where none stands that says the same.

    Parameters
    ----------
    place : Path
        The card; paths in it are written as seen from its folder.
    path : str
    options : ReadOptions
        What was declared; defaults are left out.
    origins : mapping of str to (str, str), optional
        What the files say themselves, as property to (value, where it stands): written as comments, so that
        the card shows everything and repeats nothing.
    remark : str, optional
        One more comment.
    """
    declared = options.model_dump(mode="json", exclude_defaults=True)
    for name in PATHS:
        if isinstance(declared.get(name), str) and Path(declared[name]).exists():
            declared[name] = _seen_from(declared[name], place.parent)
    lines = [
        "# What the files of this data set do not say themselves. This card stands wherever data are named,",
        f"# as in: galshift inspect {place.name}. Paths start from the folder of this file.",
        *([f"# {_one_line(remark)}"] if remark else []),
        f"{KEY}: {VERSION}",
        _entry("path", _seen_from(path, place.parent)),
        *(_entry(key, value) for key, value in declared.items()),
    ]
    if origins:
        lines += ["", "# What the files say themselves:"]
        lines += [
            f"#   {_one_line(f'{key}: {value}   ({source})')}" for key, (value, source) in origins.items()
        ]
    text = "\n".join(lines) + "\n"
    remove_dead_parts(place)
    if place.is_file() and place.read_bytes() == text.encode():
        return
    with atomic_path(place) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _entry(key: str, value: Any) -> str:
    text = yaml.safe_dump([value], allow_unicode=True, default_flow_style=True, width=float("inf"))
    return f"{key}: {text.strip()[1:-1]}"


def _seen_from(path: str, folder: Path) -> str:
    """Return `path` as written in a card of `folder`: relative where the two share more than the root."""
    found = []
    for part in split_pair(path):
        whole, base = os.path.abspath(part), os.path.abspath(folder)
        near = os.path.commonpath([whole, base]) != os.path.sep
        found.append(os.path.relpath(whole, base) if near else whole)
    return ":".join(found)


def _one_line(text: str) -> str:
    return " ".join(text.split())
