"""What adapt warns of, from the outputs of the networks that it trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.methods._base import Method
from galshift.selection._base import Candidate
from galshift.selection.guards import (
    VANISHED,
    adversary,
    collapse,
    negative_transfer,
    shifted_mix,
)
from galshift.selection.label_shift import class_mix, estimate_mix
from galshift.selection.mix_evidence import is_another_mix


def adaptation_warnings(
    after: Candidate | None,
    before: Candidate | None,
    history: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    method: type[Method],
    another_mix: bool | None = None,
) -> list[str]:
    """Return a sentence for everything that looks wrong with an adapted network.

    Parameters
    ----------
    after, before : Candidate or None
        Outputs of the adapted and of the source-only network; without one of them there is nothing to say.
    history : sequence of mapping
        Rows of the adapted network's training.
    classes : sequence of str
    method : type of Method
        That of the adapted network.
    another_mix : bool or None
        Whether the target's class mix is taken for another; None: as these two networks say.
    """
    if after is None or before is None:
        return []
    found = [*collapse(after, classes, expected_mix(before)), *adversary(history)]
    found += negative_transfer(after, before)
    if is_another_mix(before, after) if another_mix is None else another_mix:
        estimate = estimate_mix(before.logits_source_val, before.labels_source_val, before.logits_target)
        found += shifted_mix(estimate, classes, aligns=method.aligns)
    return found


def expected_mix(plain: Candidate) -> np.ndarray:
    """Return the class mix (K,) that the target should show, by the source-only network where that can tell.

    A network that itself never answers a class knows nothing of that class's share: the source's mix, or an
    even one without labels, then stands.
    """
    k = plain.n_classes
    if not plain.has_source:
        return np.full(k, 1 / k)
    source = class_mix(plain.labels_source_val, k)
    if not plain.usable or (class_mix(plain.predictions_target, k) < VANISHED * source).any():
        return source
    return estimate_mix(
        plain.logits_source_val, plain.labels_source_val, plain.logits_target, n_bootstrap=0
    ).target
