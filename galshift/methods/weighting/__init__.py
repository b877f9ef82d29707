"""Ways to weigh the supervised loss against the adaptation terms: one file each."""

from galshift.registry import Registry

WEIGHTINGS = Registry("weighting", "galshift.methods.weighting")
