"""The ``data:`` block of a recipe: what its names stand for, and the card files that are written from it.

::

    data:
      sdss: {path: sdss/, unit: nanomaggy, labels: zoo.csv, label_column: t01}
      hsc: hsc.yaml
    steps:
      adapted: {uses: adapt, source: "${data.sdss}", target: "${data.hsc}"}

A name with text is that path: images, or the file of a card.  A name with keys is a data card (see
:mod:`galshift.data.card`); steps read it from ``data/<name>.yaml`` among the recipe's results.
A card enters fingerprints by what it says and by the content of what it names, not by where that file lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from galshift.data.card import PATHS, DataCard, Resolved, resolve, seen_from_here, write_card
from galshift.data.options import ReadOptions
from galshift.data.paths import is_there, split_pair
from galshift.recipes.loader import Document
from galshift.recipes.references import walk
from galshift.recipes.scale import DATA_KEYS
from galshift.recipes.schema import DATA, Recipe, problem
from galshift.verbs._problems import explain, unknown_key


def check_data(block: Any, document: Document, problems: list[str]) -> dict[str, str | DataCard]:
    """Return the entries of a ``data:`` block whose form is right; `problems` gains what is wrong."""
    found: dict[str, str | DataCard] = {}
    for name, entry in block.items() if isinstance(block, dict) else ():
        place = (DATA, str(name))
        references = [(*place, *inner) for inner, value in walk(entry) if "${" in str(value)]
        problems += [
            problem(document, where, "the data block names files; a step can name another step itself")
            for where in references
        ]
        if isinstance(entry, str):
            found[str(name)] = entry
        elif isinstance(entry, dict):
            try:
                found[str(name)] = DataCard.model_validate(entry)
            except ValidationError as error:
                for inner, text in explain(error, DataCard):
                    if len(inner) == 1 and inner[0] not in DataCard.model_fields:
                        text = unknown_key(str(inner[0]), {*DataCard.model_fields, *DATA_KEYS})
                    problems.append(problem(document, (*place, *inner), text))
    return found


def opened_up(data: Mapping[str, Any], overrides: Sequence[str]) -> Mapping[str, Any]:
    """Return `data` with ``hsc: a.yaml`` written as ``hsc: {path: a.yaml}`` where ``data.hsc.KEY`` is set."""
    block = data.get(DATA)
    if not isinstance(block, dict):
        return data
    places = [text.partition("=")[0].strip().split(".") for text in overrides]
    set_in = {place[1] for place in places if len(place) > 2 and place[0] == DATA}
    entries = {
        name: {"path": entry} if isinstance(entry, str) and name in set_in else entry
        for name, entry in block.items()
    }
    return {**data, DATA: entries}


def cards_of(recipe: Recipe, folder: Path) -> dict[str, Resolved]:
    """Return the cards that `recipe` holds itself, by name; ``card`` is where the file of each is or will be.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        Where the recipe's run directories stand.

    Raises
    ------
    DataError
        When the path of one is a YAML file that is no card.
    """
    found = {}
    for name, entry in recipe.data.items():
        if isinstance(entry, str):
            continue
        values = {key: getattr(entry, key) for key in entry.model_fields_set - {"path"}}
        options = ReadOptions.model_validate({**values, **seen_from_here(values, recipe.base)})
        whole = resolve(_based(recipe, entry.path), options)
        found[name] = Resolved(
            whole.path, whole.options, name, folder / DATA / f"{name}.yaml", said=whole.options
        )
    return found


def data_paths(recipe: Recipe, cards: Mapping[str, Resolved]) -> dict[str, str]:
    """Return the path that a step is given for each name of the ``data:`` block."""
    return {
        name: str(cards[name].card) if name in cards else _based(recipe, str(entry))
        for name, entry in recipe.data.items()
    }


def write_cards(recipe: Recipe, folder: Path) -> None:
    """Write the file of every card that `recipe` holds itself, where it does not stand yet."""
    for name, card in cards_of(recipe, folder).items():
        remark = f"From '{DATA}: {name}:' of the recipe {recipe.name}, which is the place to change it."
        write_card(folder / DATA / f"{name}.yaml", card.path, card.options, remark=remark)


def absent_files(recipe: Recipe) -> Iterator[str]:
    """Yield a problem for each file that the ``data:`` block names and that is not there.

    Files of which the recipe says what belongs there are one problem, in one sentence.
    """
    for how in dict.fromkeys(recipe.wanted.values()):
        entries = [name for name, told in recipe.wanted.items() if told == how]
        if absent := dict.fromkeys(part for name in entries for _, part in _absent(recipe, name)):
            yield recipe.problem((DATA, entries[0]), f"there is no {', '.join(absent)}: {how}")
    for name, entry in recipe.data.items():
        for key, part in _absent(recipe, name) if name not in recipe.wanted else ():
            place = (DATA, name) if isinstance(entry, str) else (DATA, name, key)
            yield recipe.problem(place, f"there is no file or folder {part}")


def _absent(recipe: Recipe, name: str) -> Iterator[tuple[str, str]]:
    """Yield (key, path) of each file that an entry of the ``data:`` block names and that is not there."""
    entry = recipe.data[name]
    card = {} if isinstance(entry, str) else entry.model_dump(include=set(PATHS))
    path = entry if isinstance(entry, str) else entry.path
    named = {"path": _based(recipe, path), **seen_from_here(card, recipe.base)}
    for key, text in named.items():
        yield from ((key, part) for part in split_pair(text) if not is_there(part))


def _based(recipe: Recipe, path: str) -> str:
    """Return the path or pair that the recipe names as seen from the working directory."""
    # A trailing slash is kept: "sdss/" says that a folder is meant.
    return ":".join(
        part if recipe.base == Path() else os.path.join(recipe.base, part) for part in split_pair(path)
    )
