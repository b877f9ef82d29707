'''Scores that choose an epoch, a weight or a method without target labels: one file each.

``label_shift`` and ``mix_evidence`` (the target's class mix), ``information`` (has source-only failed?),
``guards`` (what to warn of) and ``choose`` (the choice between candidates) are no scores.

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
    exclude=("choose", "label_shift", "guards", "information", "mix_evidence"),
)
#: What chooses between methods, and between the epochs of one run, unless the user says otherwise.
DEFAULT = "ensv"
DEFAULT_EPOCH = "infomax-source"

__all__ = ["DEFAULT", "DEFAULT_EPOCH", "SELECTORS", "Candidate", "Selector"]
__getattr__ = lazily(__name__, {"galshift.selection._base": ("Candidate", "Selector")})
