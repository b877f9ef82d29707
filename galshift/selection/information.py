"""Whether the source-only network has failed on the target: how much of what its answers tell is left there.

Scores of single candidates cannot say that not adapting is no option: a network that calls everything a line
agrees with itself.  Two signs together can: a class of the source that is hardly ever answered, and the loss
of the information that answers carry about the images, against what they carry on the source.  Either alone
comes of another mix of classes too: rare ones vanish, and one common class leaves little to tell.
``tests/benchmarks/transfer.py`` measures the rule: 0.7 and more is left where depth or survey change, 0.4 to
0.8 where the mix does, with no class vanishing; mostly less than 0.7 where the answers are little better than
chance, and then classes vanish.
"""

from __future__ import annotations

from galshift.selection._base import Candidate
from galshift.selection._scores import mutual_information
from galshift.selection.label_shift import class_mix

#: Share of the information below which not adapting is no choice.
FAILED = 0.75
#: Share of the answers below which a class of the source has vanished.
VANISHED = 0.02
_LEAST = 1e-3  # nat, below which answers on the source tell nothing either


def information_kept(plain: Candidate) -> float:
    """Return the mutual information of answers and images on the target over that on the source.

    At least 0; above 1 where the network is surer on the target; NaN where it cannot be told.

    References
    ----------
    Bridle, Heading & MacKay 1991 (NeurIPS), the information of a classifier's answers.
    """
    if not (plain.has_source and plain.usable):
        return float("nan")
    source = mutual_information(plain.probabilities_source_val)
    if source < _LEAST:
        return float("nan")
    return max(mutual_information(plain.probabilities_target), 0.0) / source


def has_failed(plain: Candidate) -> bool:
    """Return whether any candidate that holds up is to be preferred, by both signs."""
    if not information_kept(plain) < FAILED:
        return False
    answered = class_mix(plain.predictions_target, plain.n_classes)
    there = class_mix(plain.labels_source_val, plain.n_classes) > VANISHED
    return bool((answered[there] < VANISHED).any())
