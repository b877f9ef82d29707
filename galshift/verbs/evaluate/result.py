"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.evaluation.predictions import predictions_table
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.selection.label_shift import MixEstimate

if TYPE_CHECKING:
    from astropy.table import Table

    from galshift.report import Section
    from galshift.selection.label_shift import MixEstimate


@dataclass(frozen=True)
class Outcome:
    """One classifier on one data set.

    Attributes
    ----------
    probabilities : ndarray
        (N, K) in the common class order; NaN where the image could not be used.
    features : ndarray
        (N, D).
    flags : ndarray
        (N,).
    metrics : dict
        As in ``metrics.json``.
    unknown : ndarray or None
        (N,) scores of the method, above 0.5 for a class that the source does not have.
    """

    probabilities: np.ndarray
    features: np.ndarray
    flags: np.ndarray
    metrics: dict[str, Any]
    unknown: np.ndarray | None = None

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool: images with an answer."""
        return np.isfinite(self.probabilities).all(axis=1)


@dataclass(frozen=True)
class Evaluation:
    """Everything that the report and ``metrics.json`` say.

    Attributes
    ----------
    classes : tuple of str
    classifiers : tuple of Classifier
        The runs given, in order, then companions.
    sets : tuple of TestSet
    outcomes : dict
        (classifier name, set name) to Outcome.
    gaps : dict
        Classifier name to the gap between source and target in its features.
    differences : dict
        Classifier name to set name to paired differences against `reference`.
    seeds : dict
        Classifier name to set name to metric to the values over seeds.
    reference : str or None
        The classifier that others are compared with: the source-only one.
    warnings : tuple of str
    estimates : dict
        Set name to its class mix as label shift explains the reference's predictions.
    sections : tuple of Section
        Further parts of the report.
    """

    classes: tuple[str, ...]
    classifiers: tuple[Classifier, ...]
    sets: tuple[TestSet, ...]
    outcomes: dict[tuple[str, str], Outcome]
    gaps: dict[str, dict[str, Any]] = field(default_factory=dict)
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)
    seeds: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    reference: str | None = None
    warnings: tuple[str, ...] = ()
    estimates: dict[str, MixEstimate] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the contents of ``metrics.json``."""
        return {
            "classes": list(self.classes),
            "results": [self._result(c) for c in self.classifiers],
            "reference": self.reference,
            "warnings": list(self.warnings),
            "class_mix": {name: described(one, self.classes) for name, one in self.estimates.items()},
        }

    def _result(self, c: Classifier) -> dict[str, Any]:
        found: dict[str, Any] = {
            "run": str(c.path),
            "name": c.name,
            "method": c.method,
            "adapted": c.adapted,
            "given": c.given,
            "domains": {s.name: self.outcomes[c.name, s.name].metrics for s in self.sets},
        }
        if c.name in self.gaps:
            found["gap"] = self.gaps[c.name]
        if c.name in self.differences:
            found["difference_from_reference"] = self.differences[c.name]
        if c.name in self.seeds:
            found["seeds"] = self.seeds[c.name]
        return found

    def mixes(self, s: TestSet) -> dict[str, dict[str, float]]:
        """Return what else is known of the class mix of a set: its label-shift estimate, the source's."""
        estimate = self.estimates.get(s.name)
        if estimate is None:
            return {}
        mixes = {"estimated": estimate.target, "the source": estimate.source}
        return {name: dict(zip(self.classes, mix.tolist())) for name, mix in mixes.items()}

    def predictions(self, c: Classifier) -> Table:
        """Return the table of predictions of one classifier on every judged set."""
        from astropy.table import vstack

        tables = []
        for s in self.sets:
            outcome = self.outcomes[c.name, s.name]
            catalogue = s.dataset.info.table
            tables.append(
                predictions_table(
                    ids=s.ids,
                    groups=s.groups,
                    probabilities=outcome.probabilities,
                    classes=self.classes,
                    data_set=s.name,
                    split=s.split,
                    labels=s.labels,
                    flags=outcome.flags,
                    unknown=outcome.unknown,
                    catalogue=None if catalogue is None else catalogue[s.rows],
                )
            )
        return vstack(tables, metadata_conflicts="silent") if len(tables) > 1 else tables[0]


def described(estimate: MixEstimate, classes: Sequence[str]) -> dict[str, Any]:
    """Return an estimate for ``metrics.json``."""
    named = {
        part: dict(zip(classes, map(float, getattr(estimate, part)), strict=True))
        for part in ("source", "target", "low", "high")
    }
    return {
        "method": estimate.method,
        "source": named["source"],
        "estimate": named["target"],
        "ci95": {name: [named["low"][name], named["high"][name]] for name in classes},
        "shift": estimate.shift,
        "shifted": estimate.shifted,
    }
