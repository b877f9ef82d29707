"""A recipe: what its file may say, and reading one with every problem found, each with its line.

::

    recipe: 1
    name: sdss-like
    seed: 42
    steps:
      galaxies: {uses: simulate, n: 600}
      mocks:
        uses: make-mocks
        input: ${galaxies}
        survey: sdss

``uses`` names a verb; the other keys are that verb's config, the same as its options on the command line.
``${step}`` is the result of an earlier step and ``${step.role}`` one of its outputs.  ``matrix`` repeats the
steps that mention ``${matrix.axis}`` for every value (and, through references, the steps that follow them);
``${step[*]}`` is every repetition at once.  ``expect`` says what the results should be, and how closely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from galshift.errors import ConfigError, did_you_mean
from galshift.recipes.execute import merged
from galshift.recipes.loader import Document, KeyPath, load_file
from galshift.recipes.problems import dotted, explain
from galshift.recipes.references import Reference, is_malformed, parse, walk
from galshift.recipes.steps import STEPS
from galshift.types import Strict

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]
Scalar = str | int | float | bool


class Expect(Strict):
    """What one number of a step's results should be."""

    value: float | None = Field(None, description="The number itself; needs 'within'.")
    within: float | None = Field(None, ge=0, description="Largest allowed distance from 'value'.")
    at_least: float | None = Field(None, description="Lower bound, inclusive.")
    at_most: float | None = Field(None, description="Upper bound, inclusive.")

    @model_validator(mode="after")
    def _complete(self) -> Expect:
        if (self.value is None) != (self.within is None):
            raise ValueError("'value' and 'within' go together")
        if self.value is None and self.at_least is None and self.at_most is None:
            raise ValueError("give 'value' and 'within', or 'at_least', or 'at_most'")
        return self

    def met_by(self, number: float) -> bool:
        """Tell whether `number` is as expected; NaN never is."""
        near = self.value is None or abs(number - self.value) <= self.within
        return bool(
            near
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and number == number
        )

    def __str__(self) -> str:
        parts = [] if self.value is None else [f"{self.value:g} ± {self.within:g}"]
        parts += [] if self.at_least is None else [f"at least {self.at_least:g}"]
        parts += [] if self.at_most is None else [f"at most {self.at_most:g}"]
        return " and ".join(parts)


class Head(Strict):
    """The top level of a recipe file."""

    recipe: Literal[1] = Field(description="Version of the recipe format.")
    name: Name = Field(description="Names the folder of the results.")
    description: str = Field(
        "", description="What the recipe is for; the first line is shown by 'recipes ls'."
    )
    seed: int = Field(42, description="Seed of every step that gives none itself.")
    matrix: dict[Name, Annotated[list[Scalar], Field(min_length=1)]] = Field(
        {}, description="Axes and their values, such as seed: [1, 2, 3]."
    )
    steps: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)]


@dataclass(frozen=True)
class RecipeStep:
    """One step as the file has it: references still in place."""

    name: str
    uses: str
    values: dict[str, Any]
    expect: dict[str, Expect]

    def references(self) -> list[tuple[KeyPath, Reference]]:
        """Return (key path, reference) for every reference in the step's values."""
        found = ((place, parse(value)) for place, value in walk(self.values))
        return [(place, reference) for place, reference in found if reference is not None]


@dataclass(frozen=True)
class Recipe:
    """A recipe whose form is right.

    Attributes
    ----------
    head : Head
    steps : dict of str to RecipeStep
        In the order in which they run: a step stands after those it refers to.
    document : Document
        The file, for line numbers.
    base : Path
        Folder that relative paths start from and that ``runs/`` and the lock stand in: the file's own, or the
        working directory for a recipe that galshift ships.
    """

    head: Head
    steps: dict[str, RecipeStep]
    document: Document
    base: Path

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.head.name

    def problem(self, place: KeyPath, text: str) -> str:
        """Return one problem as shown: file, line, key path, sentence."""
        return _problem(self.document, place, text)


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
        With every problem of form and of references.  Values of steps are checked by the plan.
    """
    path = Path(path)
    document = load_file(path)
    if not isinstance(document.data, dict):
        raise ConfigError(
            "this is not a recipe", where=path, hint="it begins with 'recipe: 1', 'name:' and 'steps:'"
        )
    data = merged(document.data, overrides)
    problems: list[str] = []
    head = _head(data, document, problems)
    raw = data.get("steps") if isinstance(data.get("steps"), dict) else {}
    steps = {
        str(name): step
        for name, body in raw.items()
        if isinstance(body, dict) and (step := _step(str(name), body, document, problems)) is not None
    }
    axes = set(data.get("matrix") or ()) if isinstance(data.get("matrix"), dict) else set()
    for step in steps.values():
        problems += _reference_problems(step, set(raw), axes, document)
    ordered = _ordered(steps, document, problems)
    if problems or head is None:
        raise ConfigError(f"{path.name} is not a valid recipe", problems=sorted(set(problems), key=_line_of))
    return Recipe(head, ordered, document, path.parent if base is None else base)


def _head(data: Mapping[str, Any], document: Document, problems: list[str]) -> Head | None:
    try:
        return Head.model_validate(data)
    except ValidationError as error:
        problems += [_problem(document, place, text) for place, text in explain(error, Head)]
        return None


def _step(name: str, body: Mapping[str, Any], document: Document, problems: list[str]) -> RecipeStep | None:
    place = ("steps", name)
    if name == "matrix":
        problems.append(_problem(document, place, "a step cannot be called 'matrix'"))
    uses = body.get("uses")
    if not isinstance(uses, str):
        problems.append(
            _problem(document, (*place, "uses"), f"this key is required: one of {', '.join(STEPS.names())}")
        )
        return None
    if uses not in STEPS.names():
        hint = did_you_mean(uses, STEPS.names())
        problems.append(_problem(document, (*place, "uses"), f"there is no verb '{uses}' ({hint})"))
        return None
    expect = {}
    wanted = body.get("expect", {})
    if not isinstance(wanted, dict):
        problems.append(
            _problem(document, (*place, "expect"), "must be keys of results, each with value and within")
        )
        wanted = {}
    for key, value in wanted.items():
        try:
            expect[key] = Expect.model_validate(value)
        except ValidationError as error:
            where = (*place, "expect", key)
            problems += [_problem(document, (*where, *inner), text) for inner, text in explain(error, Expect)]
    values = {key: value for key, value in body.items() if key not in {"uses", "expect"}}
    return RecipeStep(name, uses, values, expect)


def _reference_problems(step: RecipeStep, names: set[str], axes: set[str], document: Document) -> list[str]:
    found = []
    for place, value in walk(step.values):
        where = ("steps", step.name, *place)
        reference = parse(value)
        if is_malformed(value):
            found.append(
                _problem(document, where, f"{value!r} is not a reference; write ${{step}} or ${{step.role}}")
            )
        elif reference is None:
            continue
        elif reference.name == "matrix":
            if reference.role not in axes:
                found.append(
                    _problem(
                        document,
                        where,
                        f"the matrix has no '{reference.role}' ({_known(reference.role, axes)})",
                    )
                )
        elif reference.name == step.name:
            found.append(_problem(document, where, "a step cannot refer to itself"))
        elif reference.name not in names:
            found.append(
                _problem(
                    document, where, f"there is no step '{reference.name}' ({_known(reference.name, names)})"
                )
            )
    return found


def _ordered(
    steps: Mapping[str, RecipeStep], document: Document, problems: list[str]
) -> dict[str, RecipeStep]:
    """Return the steps in an order where each follows those it refers to, else in the order of the file."""
    waiting, ordered = dict(steps), {}
    while waiting:
        ready = [step for step in waiting.values() if not _needs(step, waiting)]
        if not ready:
            circle = ", ".join(waiting)
            first = next(iter(waiting))
            problems.append(
                _problem(document, ("steps", first), f"these steps wait for one another: {circle}")
            )
            return ordered
        ordered[ready[0].name] = waiting.pop(ready[0].name)
    return ordered


def _needs(step: RecipeStep, among: Mapping[str, RecipeStep]) -> bool:
    return any(reference.name in among and reference.name != step.name for _, reference in step.references())


def _known(word: str | None, allowed: set[str]) -> str:
    return did_you_mean(word or "", allowed)


def _problem(document: Document, place: KeyPath, text: str) -> str:
    return f"{document.name}:{document.line(place)}  {dotted(place)}: {text}"


def _line_of(problem: str) -> tuple[int, str]:
    number = problem.split("  ")[0].rsplit(":", 1)[-1]
    return (int(number) if number.isdigit() else 0, problem)
