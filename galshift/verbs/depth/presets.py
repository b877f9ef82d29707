"""The depths of a study: a family of presets, or one preset exposed shorter and longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift import surveys
from galshift.errors import ConfigError, did_you_mean
from galshift.surveys.schema import Survey

_MAGNITUDE_PER_FACTOR = 1.25  # of exposure, where the sky's noise rules: -2.5 log10(1 / sqrt(f))


def presets_of(survey: str, times: Sequence[float]) -> list[Survey]:
    """Return the presets of a family (``lsst``), or one preset exposed each of `times` as long.

    Raises
    ------
    ConfigError
        When there is neither a preset nor a family of this name.
    """
    family = [name for name in surveys.names() if name.startswith(f"{survey}-")]
    if survey in surveys.names() or survey.endswith((".yaml", ".yml")):
        return [longer(surveys.load(survey), factor) for factor in sorted(times)]
    if len(family) > 1:
        return [surveys.load(name) for name in family]
    families = {name.split("-")[0] for name in surveys.names()}
    raise ConfigError(
        f"there is no survey '{survey}', nor a family of several depths",
        where="survey",
        hint=did_you_mean(survey, {*surveys.names(), *families}),
    )


def longer(preset: Survey, factor: float) -> Survey:
    """Return `preset` with `factor` times the exposures, or a depth that such exposures would reach."""
    if factor == 1:
        return preset
    bands = {}
    for name, band in preset.bands.items():
        changes: dict[str, Any] = {}
        if band.exposures is not None:
            number = band.exposures
            changes["exposures"] = number.model_copy(update={"value": number.value * factor})
        if band.depth is not None:
            deeper = band.depth.value + _MAGNITUDE_PER_FACTOR * float(np.log10(factor))
            changes["depth"] = band.depth.model_copy(update={"value": deeper})
        bands[name] = band.model_copy(update=changes)
    return preset.model_copy(update={"name": f"{preset.name} x {factor:g}", "bands": bands})
