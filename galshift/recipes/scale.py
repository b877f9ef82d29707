"""One recipe at two scales: toy, on built-in galaxies, and full, on a published data set.

::

    scale: toy
    data:
      sdss: {at: full, fetch: deepmerge2, path: "deepmerge2/X.npy:deepmerge2/y.npy"}
    steps:
      galaxies: {uses: simulate, at: toy, n: 300}
      trained:
        uses: train
        data: ${galaxies}
        expect: {results.0.domains.galaxies.accuracy: {at_least: 0.5}}
        full:
          data: ${data.sdss}
          training: {epochs: 200}
          expect: {results.0.domains.sdss.accuracy: {value: 0.9, within: 0.03, published: table 2}}

``scale`` at the top, or ``--scale``, says which one runs; toy where neither does.  A step or an entry of the
data block with ``at`` is there at that scale alone.  What stands in a step's ``full`` goes before what
stands beside it, key by key; what a step expects at full scale stands in its ``full`` alone.  ``fetch`` of an
entry of the data block names the public set that it is, and ``put`` says in words what belongs there.

Both scales are checked whichever runs, so that a misspelt key is not found on the day of the long run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from galshift.data.public import ENCODER
from galshift.data.public import names as public_names
from galshift.errors import did_you_mean
from galshift.recipes.loader import Document, KeyPath
from galshift.recipes.prepare import merged
from galshift.recipes.schema import DATA, FULL, SCALES, TOY, problem

#: Keys that belong to the recipe, of a step and of an entry of the data block.
STEP_KEYS = ("at", "full")
DATA_KEYS = ("at", "fetch", "put")


@dataclass(frozen=True)
class Scaled:
    """A recipe's file at one scale.

    Attributes
    ----------
    scale : {'toy', 'full'} or None
        None for a recipe that says nothing of scales.
    data : dict
        The file's content as that scale has it, without the keys that are about scales.
    document : Document
        The file; it knows the line of what came from a step's ``full``.
    wanted : dict of str to str
        Entry of the data block to what belongs there, as words that follow a colon.
    """

    scale: str | None
    data: dict[str, Any]
    document: Document
    wanted: dict[str, str]


def scales_of(
    data: Mapping[str, Any], document: Document, overrides: Sequence[str], problems: list[str]
) -> list[Scaled]:
    """Return the recipe at the scale that is asked for and, where it has two, at the other one.

    `problems` gains what is wrong with the keys that are about scales; `overrides` go before a ``full``.
    """
    blocks = [(key, entries) for key in ("steps", DATA) if isinstance(entries := data.get(key), dict)]
    own = {"steps": STEP_KEYS, DATA: DATA_KEYS}
    two = any(
        isinstance(body, dict) and not set(own[key]).isdisjoint(body)
        for key, entries in blocks
        for body in entries.values()
    )
    asked = data.get("scale")
    if not two:
        if asked == FULL:
            text = "this recipe is the same at every scale: none of its steps has a 'full'"
            problems.append(problem(document, ("scale",), text))
        return [Scaled(asked, dict(data), document, {})]
    for key, entries in blocks:
        problems += [problem(document, *one) for one in _problems(key, entries)]
    wanted = asked if asked in SCALES else TOY
    found = []
    for scale in (wanted, FULL if wanted == TOY else TOY):
        moved: dict[KeyPath, KeyPath] = {}
        # A word that is no scale stays, for the head to refuse.
        whole = {**data, "scale": scale if asked is None or asked in SCALES else asked}
        for key, entries in blocks:
            whole[key] = {
                name: _at(scale, (key, str(name)), body, own[key], moved)
                for name, body in entries.items()
                if _is_there(body, scale)
            }
        hold = [text for text in overrides if _names_a_step(text, whole["steps"])]
        found.append(
            Scaled(scale, merged(whole, hold), replace(document, moved=moved), _wanted(data.get(DATA), scale))
        )
    return found


def _is_there(body: Any, scale: str) -> bool:
    own = body.get("at") if isinstance(body, dict) else None
    return own not in SCALES or own == scale


def _at(scale: str, place: KeyPath, body: Any, own: Sequence[str], moved: dict[KeyPath, KeyPath]) -> Any:
    """Return a step or an entry of the data block as `scale` has it; `moved` gains where its keys stand."""
    if not isinstance(body, dict):
        return body
    values = {key: value for key, value in body.items() if key not in own}
    if scale == TOY or place[0] == DATA:
        return values
    values.pop("expect", None)
    full = body.get("full")
    return _laid_over(values, full, place, (*place, "full"), moved) if isinstance(full, dict) else values


def _laid_over(
    values: Mapping[str, Any],
    full: Mapping[str, Any],
    place: KeyPath,
    origin: KeyPath,
    moved: dict[KeyPath, KeyPath],
) -> dict[str, Any]:
    found = dict(values)
    for key, value in full.items():
        here, there = (*place, key), (*origin, key)
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _laid_over(found[key], value, here, there, moved)
        else:
            found[key], moved[here] = value, there
    return found


def _names_a_step(text: str, steps: Mapping[str, Any]) -> bool:
    """Return whether an override sets a value of a step of `steps` itself, not one of its ``full``."""
    place = text.partition("=")[0].strip().split(".")
    return len(place) > 2 and place[0] == "steps" and place[1] in steps and place[2] not in STEP_KEYS


def _problems(key: str, entries: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for name, body in entries.items():
        if not isinstance(body, dict):
            continue
        place, scale = (key, str(name)), body.get("at")
        if "at" in body and scale not in SCALES:
            guess = f" ({did_you_mean(scale, SCALES)})" if isinstance(scale, str) else ""
            yield (*place, "at"), f"must be {TOY} or {FULL}, not {scale!r}{guess}"
        yield from _of_data(place, body) if key == DATA else _of_step(place, body)


def _of_step(place: KeyPath, body: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    if "full" not in body:
        return
    full = body["full"]
    if not isinstance(full, dict):
        yield (*place, "full"), f"must be keys with values, not {full!r}"
        return
    if body.get("at") == TOY:
        yield (*place, "full"), "a step that is there at toy scale alone has no 'full'"
    for key in {"uses", *STEP_KEYS} & set(full):
        yield (*place, "full", key), f"'{key}' stands beside 'full', not in it"


def _of_data(place: KeyPath, body: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    known = [name for name in public_names() if not name.startswith(ENCODER)]
    if "fetch" in body and body["fetch"] not in known:
        guess = did_you_mean(str(body["fetch"]), known)
        yield (*place, "fetch"), f"there is no public data set {body['fetch']!r} ({guess})"
    if "put" in body and not isinstance(body["put"], str):
        yield (*place, "put"), f"must be text, not {body['put']!r}"
    if "fetch" in body and "put" in body:
        yield (*place, "put"), "give either 'fetch' or 'put'"


def _wanted(block: Any, scale: str) -> dict[str, str]:
    """Return what belongs where each entry of the data block says, as far as it is told."""
    found = {}
    for name, body in block.items() if isinstance(block, dict) else ():
        if not isinstance(body, dict) or not _is_there(body, scale):
            continue
        if isinstance(body.get("fetch"), str):
            folder = str(body.get("path", "")).partition("/")[0]
            found[str(name)] = f"galshift fetch {body['fetch']} --out {folder}"
        elif isinstance(body.get("put"), str):
            found[str(name)] = f"put there {body['put']}"
    return found
