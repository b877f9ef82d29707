"""Scores that choose an epoch, a weight or a method without target labels: one file each.

``label_shift`` and ``mix_evidence`` (the target's class mix), ``information`` (has source-only failed?),
``guards`` (what to warn of) and ``choose`` (the choice between candidates) are no scores.
"""

from galshift.registry import Registry

SELECTORS = Registry(
    "selector",
    "galshift.selection",
    exclude=("choose", "label_shift", "guards", "information", "mix_evidence"),
)
#: What chooses between methods, and between the epochs of one run, unless the user says otherwise.
DEFAULT = "ensv"
DEFAULT_EPOCH = "infomax-source"
