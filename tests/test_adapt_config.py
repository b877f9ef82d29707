"""The options of adapt."""

from __future__ import annotations

from galshift.verbs.adapt.config import AdaptStepConfig


def test_setting_one_augmentation_leaves_the_others_as_adapt_has_them() -> None:
    """Both networks see noise up to the noisier survey's own, whatever else is set."""
    changed = AdaptStepConfig(source="a.h5", target="b.h5", augment={"shift_px": 0})
    assert changed.augment.shift_px == 0
    assert changed.augment.noise == AdaptStepConfig(source="a.h5", target="b.h5").augment.noise == (0.0, 1.0)
