"""The depths that a survey's name stands for."""

from __future__ import annotations

import numpy as np
import pytest

from galshift import surveys
from galshift.errors import ConfigError
from galshift.verbs.depth.presets import longer, presets_of


def test_a_family_is_all_its_presets_and_a_preset_is_exposed_longer_and_shorter():
    assert {p.name for p in presets_of("lsst", [1, 2])} >= {"lsst-visit", "lsst-y1", "lsst-y10"}
    names = [p.name for p in presets_of("lsst-y1", [10, 1, 0.1])]
    assert names == ["lsst-y1 x 0.1", "lsst-y1", "lsst-y1 x 10"]
    with pytest.raises(ConfigError, match="there is no survey 'lst'") as caught:
        presets_of("lst", [1])
    assert "did you mean 'lsst'" in caught.value.hint


@pytest.mark.parametrize("name", ["lsst-y1", "sdss"])
def test_ten_times_the_exposure_is_one_magnitude_and_a_quarter(name: str):
    before, after = surveys.load(name), longer(surveys.load(name), 10.0)
    assert longer(before, 1) is before
    for band in before.bands:
        if before.bands[band].exposures is not None:
            ratio = after.bands[band].exposures.value / before.bands[band].exposures.value
            np.testing.assert_allclose(ratio, 10)
        if before.bands[band].depth is not None:
            gain = after.bands[band].depth.value - before.bands[band].depth.value
            np.testing.assert_allclose(gain, 1.25)
