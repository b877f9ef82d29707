"""Adaptation methods: one file each, with its configuration, maths and paper."""

from galshift.registry import Registry

METHODS = Registry("method", "galshift.methods", exclude=("weighting",))
