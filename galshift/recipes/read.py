"""Read a recipe and find everything that is wrong with it, each with its line, before anything runs."""

from __future__ import annotations

import heapq
import itertools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from galshift.data.card import KEY as CARD
from galshift.errors import ConfigError, did_you_mean
from galshift.recipes.cards import check_data, opened_up
from galshift.recipes.loader import Document, KeyPath, load_file
from galshift.recipes.prepare import InvalidConfig, check_config, merged
from galshift.recipes.references import Reference, is_malformed, parse, substitute, walk
from galshift.recipes.scale import STEP_KEYS, Scaled, scales_of
from galshift.recipes.schema import DATA, Expect, Head, Recipe, RecipeStep, Summary, problem
from galshift.verbs import STEPS
from galshift.verbs._problems import explain, misspelt, unknown_key

# Keys of a step that are the recipe's, not the verb's.
_STEP_KEYS = frozenset({"uses", "expect", *STEP_KEYS})


def read_recipe(path: str | Path, *, base: Path | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe at `path`.

    Parameters
    ----------
    path : path
    base : Path, optional
        See `Recipe.base`; default the file's folder.
    overrides : sequence of str
        ``key.path=value`` as of ``--set``; key paths start at the top of the file.

    Raises
    ------
    ConfigError
        With every problem of form, of references and of values.
    """
    path = Path(path)
    return recipe_of(load_file(path), path, path.parent if base is None else base, overrides)


def recipe_of(document: Document, path: Path, base: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in `document`, which stands or will stand at `path`; see :func:`read_recipe`.

    Raises
    ------
    ConfigError
        When it is no recipe, or with every problem that it has.
    """
    if not isinstance(document.data, dict):
        raise ConfigError(
            "this is not a recipe", where=path, hint="it begins with 'recipe: 1', 'name:' and 'steps:'"
        )
    if "uses" in document.data and "steps" not in document.data:
        hint = f"galshift recipes from {shlex.quote(str(path.parent))} writes the recipe that makes it"
        raise ConfigError("this is how one run was configured, and no recipe", where=path, hint=hint)
    if CARD in document.data and "steps" not in document.data:
        hint = f"galshift inspect {shlex.quote(str(path))} shows the data that it stands for"
        raise ConfigError("this is a data card, and no recipe", where=path, hint=hint)
    data = merged(opened_up(document.data, overrides), overrides)
    problems: list[str] = []
    wanted, *others = scales_of(data, document, overrides, problems)
    recipe, found = _checked(wanted, base)
    problems += found
    for other in others:
        known = set(problems)
        _, found = _checked(other, base)
        problems += [f"{text} (at {other.scale} scale)" for text in found if text not in known]
    if problems or recipe is None:
        raise ConfigError(f"{path.name} is not a valid recipe", problems=sorted(set(problems), key=_line_of))
    return recipe


def _checked(scaled: Scaled, base: Path) -> tuple[Recipe | None, list[str]]:
    """Return the recipe at one scale, None without a right head, and everything that is wrong with it."""
    data, document = scaled.data, scaled.document
    problems: list[str] = []
    head = _head(data, document, problems)
    raw = data.get("steps") if isinstance(data.get("steps"), dict) else {}
    steps = {
        str(name): step
        for name, body in raw.items()
        if isinstance(body, dict) and (step := _step(str(name), body, document, problems)) is not None
    }
    matrix = data.get("matrix") if isinstance(data.get("matrix"), dict) else {}
    axes = {axis: values for axis, values in matrix.items() if isinstance(values, list) and values}
    cards = check_data(data.get(DATA), document, problems)
    named = None if DATA in raw else set(data[DATA]) if isinstance(data.get(DATA), dict) else set()
    if DATA in raw and data.get(DATA):
        text = "a step cannot be called 'data' in a recipe with a data block"
        problems.append(problem(document, ("steps", DATA), text))
    if head is not None and head.summary is not None:
        problems += _summary_problems(head.summary, set(raw), set(axes), document)
    for step in steps.values():
        problems += _reference_problems(step, set(raw), set(axes), named, document)
        problems += _value_problems(step, axes, head.seed if head else 42, document)
    ordered = _ordered(steps, document, problems)
    recipe = None if head is None else Recipe(head, ordered, document, base, cards, scaled.wanted)
    return recipe, problems


def _head(data: Mapping[str, Any], document: Document, problems: list[str]) -> Head | None:
    try:
        return Head.model_validate(data)
    except ValidationError as error:
        problems += [problem(document, place, text) for place, text in explain(error, Head)]
        return None


def _summary_problems(summary: Summary, names: set[str], axes: set[str], document: Document) -> list[str]:
    if not axes:
        return [problem(document, ("summary",), "a table over the cells of a matrix needs a matrix")]
    if summary.step is None or summary.step in names:
        return []
    text = f"there is no step '{summary.step}' ({_known(summary.step, names)})"
    return [problem(document, ("summary", "step"), text)]


def _step(name: str, body: Mapping[str, Any], document: Document, problems: list[str]) -> RecipeStep | None:
    place = ("steps", name)
    if name == "matrix":
        problems.append(problem(document, place, "a step cannot be called 'matrix'"))
    uses = body.get("uses")
    wrong = misspelt("uses", body) if uses is None else None
    if wrong is not None:
        problems.append(problem(document, (*place, wrong), unknown_key(wrong, {"uses"})))
    elif not isinstance(uses, str):
        text = f"this key is required: one of {', '.join(STEPS.names())}"
        problems.append(problem(document, (*place, "uses"), text))
    elif uses not in STEPS.names():
        text = f"there is no verb '{uses}' ({did_you_mean(uses, STEPS.names())})"
        problems.append(problem(document, (*place, "uses"), text))
    else:
        values = {key: value for key, value in body.items() if key not in _STEP_KEYS}
        return RecipeStep(
            name, uses, values, _expect(body.get("expect", {}), (*place, "expect"), document, problems)
        )
    return None


def _expect(value: Any, place: KeyPath, document: Document, problems: list[str]) -> dict[str, Expect]:
    if not isinstance(value, dict):
        problems.append(problem(document, place, "must be keys of results, each with value and within"))
        return {}
    found = {}
    for key, wanted in value.items():
        try:
            found[key] = Expect.model_validate(wanted)
        except ValidationError as error:
            problems += [
                problem(document, (*place, key, *inner), text) for inner, text in explain(error, Expect)
            ]
    return found


def _reference_problems(
    step: RecipeStep, names: set[str], axes: set[str], cards: set[str] | None, document: Document
) -> list[str]:
    found = []
    known = STEPS.get(step.uses).Config.model_fields
    for place, value in walk(step.values):
        if place[0] not in known:
            continue  # a misspelt key is told of as that
        where = ("steps", step.name, *place)
        reference = parse(value)
        if is_malformed(value):
            found.append(
                problem(document, where, f"{value!r} is not a reference; write ${{step}} or ${{step.role}}")
            )
        elif reference is None:
            continue
        elif reference.name == "matrix":
            if reference.role not in axes:
                found.append(
                    problem(
                        document,
                        where,
                        f"the matrix has no '{reference.role}' ({_known(reference.role, axes)})",
                    )
                )
        elif reference.name == DATA and cards is not None:
            if reference.role not in cards or reference.every:
                found.append(problem(document, where, _not_data(reference, cards)))
        elif reference.name == step.name:
            found.append(problem(document, where, "a step cannot refer to itself"))
        elif reference.name not in names:
            found.append(
                problem(
                    document, where, f"there is no step '{reference.name}' ({_known(reference.name, names)})"
                )
            )
    return found


def with_seed(step: RecipeStep, values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return `values` with the recipe's seed, if the verb has one and the step does not give it."""
    seeded = "seed" in STEPS.get(step.uses).Config.model_fields
    return {"seed": seed, **values} if seeded else dict(values)


def _value_problems(
    step: RecipeStep, matrix: Mapping[str, list[Any]], seed: int, document: Document
) -> list[str]:
    """Check a step's values against its config, for every combination of the matrix that it mentions."""
    kind = STEPS.get(step.uses)()
    found: dict[str, None] = {}
    allowed = {name.rstrip("?").split(".")[0] for name in kind.inputs}
    for place, reference in step.references():
        if reference.axis is None and place[0] not in allowed and place[0] in kind.Config.model_fields:
            what = "data" if reference.name == DATA else "a step"
            text = f"{what} can be named only in: {', '.join(sorted(allowed)) or 'no key of this verb'}"
            found[problem(document, ("steps", step.name, *place), text)] = None
    axes = sorted({reference.axis for _, reference in step.references() if reference.axis in matrix})
    for combination in itertools.product(*(matrix[axis] for axis in axes)):
        cell = dict(zip(axes, combination))
        values = with_seed(step, substitute(step.values, lambda ref, cell=cell: _stand_in(ref, cell)), seed)
        try:
            check_config(kind, values)
        except InvalidConfig as error:
            for place, text in error.places:
                if len(place) == 1 and place[0] not in kind.Config.model_fields:
                    text = unknown_key(str(place[0]), {*kind.Config.model_fields, *_STEP_KEYS})
                found[problem(document, ("steps", step.name, *place), text)] = None
    return list(found)


def _stand_in(reference: Reference, cell: Mapping[str, Any]) -> Any:
    """Return what is checked in place of a reference: a matrix value, or a path for a step."""
    if reference.axis in cell:
        return cell[reference.axis]
    path = f"${{{reference.name}}}"
    return [path] if reference.every else path


def _ordered(
    steps: Mapping[str, RecipeStep], document: Document, problems: list[str]
) -> dict[str, RecipeStep]:
    """Return the steps in an order where each follows those it refers to, else in the order of the file."""
    names = list(steps)
    number = {name: k for k, name in enumerate(names)}
    needs = {name: _needs(step, steps) for name, step in steps.items()}
    wanted_by: dict[str, list[str]] = {name: [] for name in names}
    for name, others in needs.items():
        for other in others:
            wanted_by[other].append(name)
    ready = [number[name] for name, others in needs.items() if not others]  # sorted: a heap
    ordered: dict[str, RecipeStep] = {}
    while ready:
        name = names[heapq.heappop(ready)]
        ordered[name] = steps[name]
        for other in wanted_by[name]:
            needs[other].discard(name)
            if not needs[other]:
                heapq.heappush(ready, number[other])
    waiting = [name for name in names if name not in ordered]
    if waiting:
        text = f"these steps wait for one another: {', '.join(waiting)}"
        problems.append(problem(document, ("steps", waiting[0]), text))
    return ordered


def _needs(step: RecipeStep, among: Mapping[str, RecipeStep]) -> set[str]:
    names = {reference.name for _, reference in step.references()}
    return {name for name in names if name in among and name != step.name}


def _not_data(reference: Reference, cards: set[str]) -> str:
    """Return what is wrong with a reference to the data block, whose names are `cards`."""
    if not cards:
        return "this recipe has no data block"
    if reference.role is None or reference.every:
        return f"one data set is named by ${{data.NAME}}, NAME one of {', '.join(sorted(cards))}"
    return f"the data block has no '{reference.role}' ({_known(reference.role, cards)})"


def _known(word: str | None, allowed: set[str]) -> str:
    return did_you_mean(word or "", allowed)


def _line_of(problem: str) -> tuple[int, str]:
    number = problem.split("  ")[0].rsplit(":", 1)[-1]
    return (int(number) if number.isdigit() else 0, problem)
