"""Scores that choose an epoch, a weight or a method without target labels: one file each."""

from galshift.registry import Registry

SELECTORS = Registry("selector", "galshift.selection", exclude=("label_shift",))
