"""One file per verb: its configuration and its work."""

from galshift.registry import Registry

STEPS = Registry("step", "galshift.verbs")
