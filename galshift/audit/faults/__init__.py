"""Detector faults, one file each: what one event does to a pixel, in electrons, before the stretch."""

from galshift.registry import Registry

FAULTS = Registry("fault", "galshift.audit.faults")
