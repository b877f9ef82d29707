"""What adapt warns of, from what it kept of the networks that it trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.methods._base import Method
from galshift.selection._base import Candidate
from galshift.selection.guards import (
    VANISHED,
    adversary,
    collapse,
    little_known,
    negative_transfer,
    shifted_mix,
)
from galshift.selection.label_shift import class_mix, estimate_mix
from galshift.selection.mix_evidence import suspected_shift
from galshift.training.outputs import OUTPUTS, read_candidate


def adaptation_warnings(
    adapted: Path, baseline: Path, classes: Sequence[str], method: type[Method]
) -> list[str]:
    """Return a sentence for everything that looks wrong with an adapted network.

    Parameters
    ----------
    adapted, baseline : Path
        Folders of the adapted and of the source-only network.
    classes : sequence of str
    method : type of Method
        That of the adapted network.
    """
    if not all((folder / OUTPUTS).is_file() for folder in (adapted, baseline)):
        return []
    after, before = read_candidate(adapted), read_candidate(baseline)
    history = _history(adapted)
    found = [*collapse(after, classes, expected_mix(before)), *adversary(history), *little_known(history)]
    found += negative_transfer(after, before)
    if suspected_shift(before):
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


def _history(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    )
