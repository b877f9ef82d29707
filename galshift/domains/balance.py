"""How many galaxies of each class the source holds, what each weighs in training, and which are too few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.console import say, warn
from galshift.domains.domain import Domain
from galshift.report import Section, Table
from galshift.training.criterion import class_weights
from galshift.training.job import TrainingJob

FEW_TO_LEARN = 10  # images of a class in the training part
FEW_TO_EVALUATE = 10  # in the test part: one image more or less is a tenth of the completeness


@dataclass(frozen=True)
class Balance:
    """The classes of a source.

    Attributes
    ----------
    names : tuple of str
        K classes, in the network's order.
    counts : dict of str to tuple of int
        Part (``train``, ``valid``, ``test``) to K images.
    rule : str
        The option ``class_weights``.
    weights : tuple of float or None
        K weights of the supervised loss, of mean 1 over the training images; None for equal ones.
    """

    names: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    rule: str
    weights: tuple[float, ...] | None

    def document(self) -> dict[str, Any]:
        """Return what ``metrics.json`` says."""
        return {
            "counts": {
                part: dict(zip(self.names, row, strict=True)) for part, row in sorted(self.counts.items())
            },
            "class_weights": self.rule,
            "weights": None if self.weights is None else dict(zip(self.names, self.weights, strict=True)),
        }

    def sentence(self) -> str | None:
        """Return what the weights are and why; None where every class counts as it comes."""
        if self.weights is None:
            return None
        rows = zip(self.names, self.counts["train"], self.weights, strict=True)
        told = ", ".join(f"{name} {weight:.2g} ({n} images)" for name, n, weight in rows)
        why = "the source is unbalanced" if self.rule == "auto" else f"class_weights: {self.rule}"
        return f"weights of the classes in training: {told}; {why}"

    def too_few(self) -> list[str]:
        """Return a sentence for each class that is too small to learn, or to be evaluated on the source."""
        found = []
        for place, name in enumerate(self.names):
            n, n_test = self.counts["train"][place], self.counts["test"][place]
            if 0 < n < FEW_TO_LEARN:
                found.append(f"class '{name}' has {n} training images: too few to learn from")
            elif n and n_test < FEW_TO_EVALUATE:
                found.append(f"class '{name}' has {n_test} test images in the source: too few to evaluate it")
        return found

    def section(self) -> Section | None:
        """Return the part of the report on an unbalanced source; None for a balanced one."""
        said = self.sentence()
        few = self.too_few()
        if said is None and not few:
            return None
        parts = sorted(self.counts, key=("train", "valid", "test").index)
        rows = tuple(
            (
                name,
                *(self.counts[part][place] for part in parts),
                "1" if self.weights is None else f"{self.weights[place]:.3g}",
            )
            for place, name in enumerate(self.names)
        )
        words = {"train": "training images", "valid": "validation images", "test": "test images"}
        columns = ("class", *(words[part] for part in parts), "weight in training")
        text = [] if said is None else [said[0].upper() + said[1:] + "."]
        text += [f"{one[0].upper()}{one[1:]}." for one in few]
        if said is not None:
            text.append(
                "Weights make the network answer as if all classes were equally common; `--set "
                "training.class_weights=none` leaves them out."
            )
        return Section("Classes of the source", tuple(text), (Table(columns, rows),))


def balance_of(job: TrainingJob, source: Domain) -> Balance | None:
    """Return the balance of the classes that `job` trains on; None where labels are no classes."""
    if job.head.kind != "class" or job.source is None or job.source.labels is None:
        return None
    names = job.head.names
    weights = class_weights(job.source.labels, len(names), job.training.class_weights)
    rule = job.training.class_weights
    return Balance(
        names=tuple(names),
        counts=_counts(source, names),
        rule=rule if isinstance(rule, str) else "given",
        weights=None if weights is None else tuple(round(value, 6) for value in weights.tolist()),
    )


def tell(balance: Balance | None) -> None:
    """Print the weights, and warn of classes that are too small, before anything is trained."""
    if balance is None:
        return
    said = balance.sentence()
    if said is not None:
        say(said)
    for line in balance.too_few():
        warn(line)


def _counts(source: Domain, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Images of each class in each part, in the order of `names`."""
    labels, own = np.asarray(source.info.labels), list(source.info.classes or names)
    order = [own.index(name) if name in own else -1 for name in names]
    found = {}
    for part, rows in source.parts.items():
        seen = np.bincount(labels[rows][labels[rows] >= 0], minlength=len(own))
        found[part] = tuple(int(seen[place]) if place >= 0 else 0 for place in order)
    return found
