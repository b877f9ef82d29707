"""Scores that choose an epoch, a weight or a method without target labels: one file each.

``label_shift`` (the target's class mix) and ``guards`` (what to warn of) stand beside them and are no scores.
"""

from galshift.registry import Registry

SELECTORS = Registry("selector", "galshift.selection", exclude=("label_shift", "guards"))
#: What chooses between methods, and between the epochs of one run, unless the user says otherwise.
DEFAULT = "guarded"
DEFAULT_EPOCH = "infomax-source"
