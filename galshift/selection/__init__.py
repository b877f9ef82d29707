'''Scores that choose an epoch, a weight or a method without target labels: one file each.

``label_shift`` and ``mix_evidence`` (the target's class mix) and ``guards`` (what to warn of) are no scores.

Adding one
----------
A selector scores the outputs of one trained network, higher being better::

    """Mean confidence on the target."""

    from galshift.selection import SELECTORS, Candidate, Selector


    @SELECTORS.register("confidence")
    class Confidence(Selector):
        """The mean of the largest class probability."""

        reference = "Author 2026"

        def score(self, candidate: Candidate) -> float:
            """Return the mean confidence, in (0, 1]."""
            return float(candidate.probabilities_target.max(axis=1).mean())

It is a file of this folder, or an entry point of the group ``galshift.selection``, and is chosen by
``galshift adapt SOURCE TARGET --select confidence``.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.selection._base import Candidate, Selector

SELECTORS = Registry(
    "selector",
    "galshift.selection",
    exclude=("label_shift", "guards", "mix_evidence"),
)
#: What chooses between methods (`galshift.doubt.choice`) and between the epochs of one run, unless the user
#: says otherwise; the first is no selector.
DEFAULT = "expected-accuracy"
DEFAULT_EPOCH = "infomax-source"

__all__ = ["DEFAULT", "DEFAULT_EPOCH", "SELECTORS", "Candidate", "Selector"]
__getattr__ = lazily(__name__, {"galshift.selection._base": ("Candidate", "Selector")})
