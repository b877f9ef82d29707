"""Selectors inside the training loop: they see a mixture when they ask, and a resumed run ranks alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate
from galshift.training.config import TrainConfig
from tests.training_helpers import sets, train, weights_hash


@pytest.mark.parametrize("name", ["ensv", "guarded", "infomax", "mixval"])
def test_a_run_by_a_selector_repeats_bit_for_bit(tmp_path: Path, name: str) -> None:
    options = {"epochs": 4, "warmup_epochs": 1, "patience": None, "selector": SELECTORS.get(name)()}
    one, two = (train(tmp_path / part, **options) for part in "ab")
    assert one.best_epoch == two.best_epoch >= 2
    assert weights_hash(one) == weights_hash(two)
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()


def test_mixtures_are_of_the_images_that_are_scored(tmp_path: Path) -> None:
    seen: list[Candidate] = []
    train(tmp_path, epochs=1, warmup_epochs=0, selector=lambda candidate: seen.append(candidate) or 0.0)
    candidate, n = seen[0], len(seen[0].logits_target)
    first, second = np.arange(n), np.arange(n)[::-1].copy()
    np.testing.assert_allclose(candidate.mixed(first, second, 1.0), candidate.logits_target, atol=1e-5)
    half = candidate.mixed(first, second, 0.5)
    np.testing.assert_allclose(half, half[::-1], atol=1e-5)
    assert n == len(sets()["target_train"])


def test_the_result_holds_the_source_outputs_of_the_chosen_epoch(tmp_path: Path) -> None:
    result = train(tmp_path, epochs=2, warmup_epochs=0)
    labels = sets()["source_valid"].labels
    accuracy = (result.valid.logits.argmax(1) == labels).double().mean()
    chosen = result.history[result.best_epoch - 1]
    assert float(accuracy) == chosen["valid_accuracy"]
    assert isinstance(result.valid.features, torch.Tensor)


def test_a_misspelt_selector_is_named_with_its_neighbour() -> None:
    with pytest.raises(ValidationError, match="did you mean 'infomax'"):
        TrainConfig(select="infomx")
