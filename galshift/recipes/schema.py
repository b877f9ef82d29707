"""A recipe: what its file may say.

::

    recipe: 1
    name: sdss-like
    seed: 42
    data:
      sdss: {path: sdss/, unit: nanomaggy}
    steps:
      galaxies: {uses: simulate, n: 600}
      mocks:
        uses: make-mocks
        input: ${galaxies}
        survey: sdss
      how-far: {uses: gap, a: "${mocks}", b: "${data.sdss}"}

``uses`` names a verb; the other keys are that verb's config, the same as its options on the command line.
``${step}`` is the result of an earlier step and ``${step.role}`` one of its outputs.  ``matrix`` repeats the
steps that mention ``${matrix.axis}`` for every value (and, through references, the steps that follow them);
``${step[*]}`` is every repetition at once.  ``expect`` says what the results should be, and how closely.
A recipe with a matrix ends with one table over all its cells (:mod:`galshift.recipes.summary`), whose
``step`` and ``keys`` the block ``summary`` may name.  ``data`` names data sets once, with what their files do
not say (a data card, see :mod:`galshift.recipes.cards`), and ``${data.name}`` stands for one of them.
``scale`` and ``full`` make one file hold a toy and the published study (:mod:`galshift.recipes.scale`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from galshift.data.card import DataCard
from galshift.recipes.loader import Document, KeyPath
from galshift.recipes.references import Reference, parse, walk
from galshift.types import Strict
from galshift.verbs._problems import dotted

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]
Scalar = str | int | float | bool

#: The block of named data, and the first word of a reference to one.
DATA = "data"
#: Scales of a recipe: built-in galaxies, and published data; see :mod:`galshift.recipes.scale`.
TOY, FULL = "toy", "full"
SCALES = (TOY, FULL)


class Expect(Strict):
    """What one number of a step's results should be."""

    value: float | None = Field(None, description="The number itself; needs 'within'.")
    within: float | None = Field(None, ge=0, description="Largest allowed distance from 'value'.")
    at_least: float | None = Field(None, description="Lower bound, inclusive.")
    at_most: float | None = Field(None, description="Upper bound, inclusive.")
    published: str | None = Field(None, description="Whose figure it is, such as a paper's table.")
    tried: bool = Field(True, description="false: nobody has run this yet, and it may be missed.")

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
        notes = ([self.published] if self.published else []) + (
            [] if self.tried else ["not run yet by anybody"]
        )
        return " and ".join(parts) + (f" ({'; '.join(notes)})" if notes else "")


class Summary(Strict):
    """What the table over all cells of a matrix shows."""

    step: Name | None = Field(
        None, description="The step whose results it shows; default the last evaluate, adapt or train."
    )
    keys: Annotated[list[str], Field(min_length=1)] = Field(
        ["macro_f1", "accuracy", "ece"],
        description="Metrics of a test set (macro_f1, per_class.merger.recall); of a step without test sets, "
        "keys of its results (success_rate).",
    )


class Head(Strict):
    """The top level of a recipe file."""

    recipe: Literal[1] = Field(description="Version of the recipe format.")
    name: Name = Field(description="Names the folder of the results.")
    description: str = Field(
        "", description="What the recipe is for; the first line is shown by 'recipes ls'."
    )
    seed: int = Field(42, description="Seed of every step that gives none itself.")
    scale: Literal["toy", "full"] | None = Field(
        None, description="toy: built-in galaxies; full: published data; --scale goes before it."
    )
    matrix: dict[Name, Annotated[list[Scalar], Field(min_length=1)]] = Field(
        {}, description="Axes and their values, such as seed: [1, 2, 3]."
    )
    data: dict[Name, str | dict[str, Any]] = Field(
        {}, description="Data sets by name: a path, or a data card; ${data.name} in a step is one of them."
    )
    summary: Summary | None = Field(
        None, description="What the table over all cells of the matrix shows: step, keys."
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
    data : dict of str to (str or DataCard)
        What the ``data:`` block names.
    wanted : dict of str to str
        What belongs where an entry of it says, in words, as far as the recipe tells.
    """

    head: Head
    steps: dict[str, RecipeStep]
    document: Document
    base: Path
    data: dict[str, str | DataCard] = field(default_factory=dict)
    wanted: dict[str, str] = field(default_factory=dict)

    @property
    def scale(self) -> str | None:
        """The scale that it is read at; None for a recipe that says nothing of scales."""
        return self.head.scale

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.head.name

    def is_data(self, reference: Reference) -> bool:
        """Tell whether `reference` means an entry of the data block: a step called ``data`` comes first."""
        return reference.name == DATA and DATA not in self.steps

    def problem(self, place: KeyPath, text: str) -> str:
        """Return one problem as shown: file, line, key path, sentence."""
        return problem(self.document, place, text)


def problem(document: Document, place: KeyPath, text: str) -> str:
    """Return one problem as shown: ``file.yaml:9  steps.adapted.method.weigth: sentence``."""
    return f"{document.name}:{document.line(place)}  {dotted(document.told(place))}: {text}"
