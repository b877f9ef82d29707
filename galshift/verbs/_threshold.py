"""What ``--threshold class=purity:0.9`` means: a rule for each class by which its galaxies are selected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from galshift.errors import DataError, did_you_mean
from galshift.verbs._options import Option, option

#: Share of the selected that is of the class; share of the class that is selected; probability.
KINDS = ("purity", "completeness", "p")
_FORM = re.compile(r"\s*([a-z]+)\s*:\s*(\d+\.?\d*(?:[eE]-?\d+)?|\.\d+)\s*")


@dataclass(frozen=True)
class Rule:
    """Which galaxies are selected as one class.

    Attributes
    ----------
    kind : {"purity", "completeness", "p"}
    value : float
        In (0, 1]: the purity or completeness that is wanted, or the probability of the class from which on a
        galaxy is selected.
    """

    kind: str
    value: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.value:g}"


def parse(text: str) -> Rule:
    """Return the rule that `text`, such as ``purity:0.9``, names.

    Raises
    ------
    ValueError
        When it names none; the sentence says what one looks like.
    """
    found = _FORM.fullmatch(text)
    if found is None or found[1] not in KINDS:
        raise ValueError(f"'{text}' is no threshold: write purity:0.9, completeness:0.95 or p:0.7")
    value = float(found[2])
    if not 0 < value <= 1:
        raise ValueError(f"'{text}' is out of range: {found[1]} is above 0 and at most 1")
    return Rule(found[1], value)


def _checked(given: dict[str, str]) -> dict[str, str]:
    return {name: str(parse(text)) for name, text in given.items()}


Thresholds = Annotated[
    dict[str, str],
    AfterValidator(_checked),
    Field(description="Select a class by the purity or completeness to expect of it, or by its probability."),
]
#: The option of the verbs that have a field ``threshold``.
THRESHOLD: Option = option("threshold", metavar="CLASS=purity:0.9|completeness:0.95|p:0.7")


def rules_of(given: Mapping[str, str], classes: tuple[str, ...]) -> dict[str, Rule]:
    """Return the rule of each class that was named.

    Raises
    ------
    DataError
        When the network has no such class.
    """
    for name in given:
        if name not in classes:
            raise DataError(
                f"the network has no class '{name}'", where="--threshold", hint=did_you_mean(name, classes)
            )
    return {name: parse(text) for name, text in given.items()}
