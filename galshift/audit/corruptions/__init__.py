"""Corruptions that surveys really have, one file each: five severities, before the model's stretch."""

from galshift.registry import Registry

CORRUPTIONS = Registry("corruption", "galshift.audit.corruptions")
