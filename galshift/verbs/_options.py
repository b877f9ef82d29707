"""How a verb says which of its config's fields are options, and what else may be typed.

An option's default, help, bounds and choices are those of the config's field.  Here stands only what a field
does not know: that it is an option, and, where it differs from the field, its name::

    options = ("method", "model", option("epochs", "training.epochs"), "seeds", *reading("read"))
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from galshift.data.options import ReadOptions
from galshift.types import Strict

# A verb's options are a frozen config: what can change a number, checked, with help and bounds.
Config = Strict

READING = "Reading the data"


@dataclass(frozen=True)
class Option:
    """One option of a verb.

    Attributes
    ----------
    name : str
        As Python has it; the command line has hyphens.
    fields : tuple of str
        Key paths of the config that it sets; none: `Step.from_options` knows what to do with it.
    help : str
        Default: the field's description.
    flags : tuple of str
        As typed, where that is not ``--name``.
    metavar, panel : str
        What stands for its value, and the heading under which help shows it.
    several : bool
        True when all words up to the next option belong to it: ``--on a.h5 b.h5``.
    names : tuple of str
        Module and attribute with the names that it takes, for shell completion: a registry, or, where the
        attribute is empty, a module with ``names()`` and ``summary(name)``.
    """

    name: str
    fields: tuple[str, ...]
    help: str = ""
    flags: tuple[str, ...] = ()
    metavar: str = ""
    panel: str = ""
    several: bool = False
    names: tuple[str, str] | None = None


def option(name: str, field: str | None = "", **differs: Any) -> Option:
    """Return the option `name` of the config's field `field` (default: of the same name; None: of no field).

    Parameters
    ----------
    name : str
    field : str or None
        A key path such as ``training.epochs``.
    **differs
        Attributes of :class:`Option` that the field does not have.
    """
    fields = () if field is None else (field or name,)
    return Option(name, fields, **differs)


# Fields of ReadOptions that are typed by another name than their own.
_TYPED = {
    "pixel_scale_arcsec": "pixel_scale",
    "psf_pixel_scale_arcsec": "psf_pixel_scale",
    "vote_columns": "votes",
    "roles": "role",
    "match_radius_arcsec": "match_radius",
}
#: What is said of labels and of the catalogue that has them.
OF_LABELS = frozenset(
    key
    for key in ReadOptions.model_fields
    if "label" in key or "column" in key or key in ("vote_total", "min_confidence", "where", "classes_map")
)
# What holds for both data sets of a pair where it is said once: how pixels are read and which galaxies are
# the same, not what labels mean.
_OF_BOTH = {
    "unit",
    "zero_point",
    "pixel_scale_arcsec",
    "bands",
    "hdu",
    "roles",
    "psf",
    "psf_pixel_scale_arcsec",
    "mask_bits",
    "pattern",
    "override",
    "on_error",
    "common_ids",
    "match_radius_arcsec",
}
# What is of one data set, and of each of a pair where its name says which.
_OF_ONE = {"weights", "blank"}
_METAVARS = {
    "labels": "FILE|COLUMN",
    "label_column": "COLUMN",
    "id_column": "COLUMN",
    "group_column": "COLUMN|sky:1deg",
    "label_bins": "EDGE,...",
    "where": "SENTENCE",
    "match_radius_arcsec": "ARCSEC",
    "vote_columns": "COLUMN,...",
    "vote_total": "COLUMN|N",
    "unit": "UNIT",
    "zero_point": "MAG|g=MAG,...",
    "pixel_scale_arcsec": "ARCSEC",
    "bands": "g,r,i",
    "hdu": "N|NAME",
    "roles": "NAME=ROLE,...",
    "psf": "FILE|FWHM",
    "psf_pixel_scale_arcsec": "ARCSEC",
    "weights": "FILE",
    "blank": "VALUE",
    "mask_bits": "0,1,12|0xHEX",
    "pattern": "PATTERN",
    "classes_map": "OLD=NEW,...",
    "catalog": "FILE",
    "cutout_size": "12arcsec|64pix",
}


def reading(
    field: str, *, both: str = "", only: str = "", less: tuple[str, ...] = (), **names: str
) -> tuple[Option, ...]:
    """Return an option for everything that a user may tell a reader.

    Parameters
    ----------
    field : str
        The config's field of type :class:`ReadOptions`.
    both : str
        A second such field, which what is said of pixels holds for too.
    only : str
        ``source`` or ``target``: the data set of a pair that these options are about, in their names
        (``--target-unit``); of pixels alone.
    less : tuple of str
        Fields that are no options of this verb, because it has its own.
    **names : str
        Other names of the options, by field of ReadOptions.
    """
    found = []
    for key in ReadOptions.model_fields if not only else sorted(_OF_BOTH | _OF_ONE):
        if key in less:
            continue
        fields = (f"{field}.{key}", *([f"{both}.{key}"] if both and key in _OF_BOTH else []))
        name = names.get(key) or _TYPED.get(key, key)
        name = f"{only}_{name}" if only else name
        names_of = ("galshift.data.readers", "READERS") if key == "reader" else None
        found.append(Option(name, fields, metavar=_METAVARS.get(key, ""), panel=READING, names=names_of))
    return tuple(found)


def reading_words(said: Mapping[str, Any]) -> str:
    """Return what was said to a reader as it is typed, each option after a space; see :func:`reading`.

    Parameters
    ----------
    said : mapping of str to object
        Values of :class:`ReadOptions` as plain data.
    """
    words = []
    for key, value in said.items():
        flag = f"--{_TYPED.get(key, key)}".replace("_", "-")
        if isinstance(value, bool):
            words += [flag] if value else []
            continue
        if isinstance(value, Mapping):
            value = ",".join(f"{name}={item}" for name, item in value.items())
        elif isinstance(value, list | tuple):
            value = ",".join(map(str, value))
        words += [flag, shlex.quote(str(value))]
    return "".join(f" {word}" for word in words)


# What every verb with a training loop takes; none of them but the epochs can change a number.
TRAINING = (
    option("checkpoint_every", "training.checkpoint_every_s", metavar="SECONDS"),
    option("track", "training.track"),
)
OBSERVE = option(
    "observe",
    "observe.survey",
    help="Show noise-free labelled galaxies as this survey does, anew at every draw.",
    names=("galshift.surveys", ""),
    metavar="SURVEY",
)
SELECT = option("select", "training.select", metavar="NAME", names=("galshift.selection", "SELECTORS"))


def titled(panel: str, *options: Option) -> tuple[Option, ...]:
    """Return `options` under one heading of the help."""
    return tuple(replace(one, panel=panel) for one in options)


def counted_votes(given: Mapping[str, Any], *, with_total: bool = False) -> dict[str, Any]:
    """Return `given` with labels that are votes, where their columns (or their total) say so."""
    said = given.get("vote_total" if with_total else "votes")
    return {"label_kind": "votes", **given} if said else dict(given)


@dataclass(frozen=True)
class Instead:
    """What a verb does in place of its work, because an option such as ``--dry-run`` asks for it.

    Attributes
    ----------
    name : str
        The option, which takes no value; empty where something that is missing asks.
    help : str
    work : callable
        Takes the checked config (or, where `bare`, a mapping of what was given) and the
        :class:`galshift.verbs.Context`, and returns the JSON-able answer.
    show : callable
        Prints that answer for people.
    needs : tuple of str or None
        Arguments that it cannot do without, where those are others than the verb's own, which may then be
        missing.
    bare : bool
        True where it needs no config.
    trouble : callable
        The error, if any, with which the command ends after it has printed the answer.
    """

    name: str
    help: str
    work: Callable[[Any, Any], Any]
    show: Callable[[Any], None]
    needs: tuple[str, ...] | None = None
    bare: bool = False
    panel: str = ""
    trouble: Callable[[Any], Exception | None] = lambda answer: None

    def spares(self, name: str) -> bool:
        """Tell whether the argument `name` may be missing where this is asked for."""
        return self.needs is not None and name not in self.needs

    def asked(self, given: Mapping[str, Any], required: tuple[str, ...]) -> bool:
        """Tell whether it is asked for: by its option, or by what is missing."""
        if self.name:
            return bool(given.get(self.name))
        return not any(name in given for name in required)
