"""What to warn of after an adaptation, from what can be seen without target labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.selection._base import Candidate
from galshift.selection._scores import balanced_accuracy, entropy
from galshift.selection.label_shift import MixEstimate, class_mix

VANISHED = 0.2  # of the expected share, below which a class counts as having disappeared
COLLAPSED = 0.5  # of the expected entropy of the class mix
CERTAIN = 0.005  # mean entropy over ln K below which nothing is doubted any more
CHANCE = 0.01  # how close to ln 2 a discriminator's loss must stay to have learned nothing
LITTLE = 0.3  # of the target: fewer known images than that more likely show the same classes differently
SHORTFALL = 0.05  # of source balanced accuracy behind source-only


def collapse(candidate: Candidate, classes: Sequence[str], expected: np.ndarray) -> list[str]:
    """Return a sentence for every sign that the target's predictions have collapsed.

    Parameters
    ----------
    candidate : Candidate
    classes : sequence of str
        K names.
    expected : ndarray
        (K,) class mix that the target should have: its estimate, or the source's.
    """
    if not candidate.usable:
        return ["Some outputs on the target are not finite."]
    p, k = candidate.probabilities_target, candidate.n_classes
    found = class_mix(candidate.predictions_target, k)
    warnings = []
    for name, share, wanted in zip(classes, found, expected, strict=True):
        # A class of which fewer than three images are expected may be missing by chance.
        if wanted * len(p) >= 3 and share < VANISHED * wanted:
            warnings.append(
                f"The class {name} has all but disappeared from the target's predictions: {share:.1%} of "
                f"images, where {wanted:.0%} would be expected."
            )
    if entropy(p.mean(axis=0)) < COLLAPSED * entropy(np.asarray(expected, float)):
        common = classes[int(found.argmax())]
        warnings.append(
            f"The predictions have collapsed: {found.max():.0%} of the target's images are called {common}."
        )
    if entropy(p).mean() < CERTAIN * math.log(k):
        warnings.append(
            "The classifier no longer doubts anything on the target (mean entropy "
            f"{entropy(p).mean():.1e} nat), as after entropy minimisation: its confidence says nothing."
        )
    return warnings


def negative_transfer(adapted: Candidate, plain: Candidate) -> list[str]:
    """Return a sentence when adaptation lowered the score on the source's own validation images."""
    if not (adapted.has_source and plain.has_source):
        return []
    after, before = (
        balanced_accuracy(c.labels_source_val, c.logits_source_val.argmax(axis=1), c.n_classes)
        for c in (adapted, plain)
    )
    if before - after <= SHORTFALL:
        return []
    return [
        f"Adaptation cost balanced accuracy on the source's validation images: {after:.2f} against "
        f"{before:.2f} for source-only. It may have cost as much on the target."
    ]


def adversary(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence when a domain discriminator stayed at chance from the first epoch of adaptation on.

    Parameters
    ----------
    history : sequence of mapping
        The run's rows; ``domain`` is the discriminator's loss, ln 2 at chance.
    """
    losses = [row["domain"] for row in history if row.get("phase") == "adapt" and "domain" in row]
    if not losses or any(abs(loss - math.log(2)) > CHANCE for loss in losses):
        return []
    return [
        "The domain discriminator never told source and target apart, so it gave the network no direction: "
        "the result is that of source-only training. Either the domains are alike, or it did not learn."
    ]


def little_known(name: str, share: float) -> list[str]:
    """Return a sentence when next to nothing of a data set was taken for a class of the source.

    Parameters
    ----------
    name : str
        Of the data set.
    share : float
        Of it that is like the source, by an unknown class's score (`galshift.methods.pulse.known_share`).
    """
    if share >= LITTLE:
        return []
    return [
        f"Only {share:.0%} of {name} look like classes of the source: the surveys probably differ by more "
        "than the noise that is matched, such as in seeing or colours, and the unknown score then tells the "
        "survey rather than the class; make the source look like the target first (galshift "
        "adapt --set match_look=seeing, adapt --observe, or make-mocks)."
    ]


def shifted_mix(estimate: MixEstimate, classes: Sequence[str], *, aligns: bool) -> list[str]:
    """Return a sentence when the target seems to have another class mix than the source.

    Parameters
    ----------
    estimate : MixEstimate
    classes : sequence of str
    aligns : bool
        Whether the method pulls the two feature distributions together as wholes.
    """
    if not estimate.shifted:
        return []
    worst = int(np.abs(estimate.target - estimate.source).argmax())
    text = (
        f"The target seems to hold another mix of classes than the source: {estimate.target[worst]:.0%} "
        f"{classes[worst]} (95% interval {estimate.low[worst]:.0%} to {estimate.high[worst]:.0%}, if each "
        f"class looks the same in both) against {estimate.source[worst]:.0%}."
    )
    if aligns:
        text += (
            " The method pulls the two distributions together as wholes, which forces the source's mix on "
            "the target; compare a method that does not (adabn, mcc), or dann with conditional: true."
        )
    return [text]
