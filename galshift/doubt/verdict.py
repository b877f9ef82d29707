"""Whether anybody should believe a classifier on images without labels, in three words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from galshift.doubt.evidence import Evidence
from galshift.doubt.predicted import Predicted

TRUSTED, UNTOLD, UNTRUSTED = "trusted", "cannot be told", "cannot be trusted"

#: Predicted change of accuracy down to which answers are trusted, and below which they are not; set to find
#: losses of 0.15 without a fuss over those of less than 0.05 (``tests/benchmarks/pairs/doubt.py``).
LITTLE, RUINOUS = -0.04, -0.08
#: Any single account of the change below which nothing is trusted, whatever the others say.
SINGLE = -0.12
#: Mean recall on the source over chance, as a share of what there is over it, below which nothing was learnt.
LEARNT = 0.2
#: Share of images with rows or columns of one value, over the source's, above which nothing is trusted.
STRIPED = 0.05
#: Half a 95 % interval of the source's accuracy above which too little is known of it.
VAGUE = 0.1

HELP = (
    "What would help: labels of some galaxies of the target (galshift suggest), mocks that look more like "
    "the target (galshift make-mocks, --observe), or another method (galshift list methods)."
)


@dataclass(frozen=True)
class Verdict:
    """A verdict and what it rests on.

    Attributes
    ----------
    word : str
        `TRUSTED`, `UNTOLD` or `UNTRUSTED`.
    reasons : tuple of str
        Sentences; the first is the weightiest.
    """

    word: str
    reasons: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it for ``metrics.json``."""
        return {"verdict": self.word, "reasons": list(self.reasons)}


def judge(found: Evidence, predicted: Predicted) -> Verdict:
    """Return the verdict on a classifier.

    Parameters
    ----------
    found : Evidence
    predicted : Predicted
        From the same evidence.
    """
    chance = 1 / found.n_classes
    change, worst = predicted.change, min(predicted.accounts, key=predicted.accounts.get)
    told = f"expected accuracy {predicted.accuracy:.2f}, on the source {found.source_accuracy:.2f}"
    if found.source_recall < chance + LEARNT * (1 - chance):
        recall = f"mean recall of its classes {found.source_recall:.2f}, by chance {chance:.2f}"
        return Verdict(UNTRUSTED, (f"the source itself was hardly learnt ({recall})", told))
    if change < RUINOUS:
        return Verdict(UNTRUSTED, (told, *_signs(found, predicted)))
    if change < LITTLE:
        return Verdict(UNTOLD, (told, *_signs(found, predicted)))
    if predicted.accounts[worst] < SINGLE:
        return Verdict(UNTOLD, (f"the accounts differ: {told}", *_signs(found, predicted)))
    if found.striped > STRIPED:
        share = f"{found.striped:.0%} of its images have whole rows or columns of one value"
        return Verdict(
            UNTOLD, (f"{share}, which those of the source have not: its answers do not tell", told)
        )
    spread = 1.96 * math.sqrt(found.source_accuracy * (1 - found.source_accuracy) / found.n_source)
    if spread > VAGUE:
        few = (
            f"only {found.n_source} held-out images of the source tell how good it is there (± {spread:.2f})"
        )
        return Verdict(UNTOLD, (few, told))
    return Verdict(TRUSTED, (told,))


def _signs(found: Evidence, predicted: Predicted) -> list[str]:
    """Which signs speak of a loss, in sentences, the strongest first."""
    said = []
    for name, change in predicted.accounts.items():
        if name != "own" and change < LITTLE:
            fewer = f"{-found.witnesses[name]:.0%} fewer images than on the source"
            said.append((change, f"it agrees with {name} on {fewer}"))
    if found.vanished < -0.25:
        said.append((found.vanished, "a class has all but vanished from its answers"))
    if found.mix < -0.15:
        said.append(
            (found.mix, f"its answers hold another class mix than the source ({-found.mix:.0%} moved)")
        )
    if found.confidence < -0.05:
        said.append((found.confidence, f"it is {-found.confidence:.0%} less sure than on the source"))
    if found.nuclear < -0.05:
        said.append((found.nuclear, "its answers are less decided, or of fewer classes, than on the source"))
    return [sentence for _, sentence in sorted(said)]
