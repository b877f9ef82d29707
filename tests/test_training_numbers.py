"""The loop with votes and continuous labels: every method that fits, and a run that was interrupted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from galshift.errors import Interrupted
from galshift.methods import METHODS
from galshift.models.build import build_model
from galshift.training.config import TrainConfig
from galshift.training.heads import Head, make_head
from galshift.training.job import TrainingJob
from galshift.training.loop import FitResult, fit
from galshift.training.sets import TrainingSet
from tests.training_helpers import BANDS, SIZE, images, noisy, weights_hash

VALUES = [name for name in METHODS.names() if not METHODS.get(name).needs_classes]
VOTES = [name for name in METHODS.names() if METHODS.get(name).needs_source]


def labelled(kind: str, n: int, seed: int) -> TrainingSet:
    """Images with a bright row: its place is the value, or what most people vote for."""
    pixels, row = images(n, seed)
    if kind == "value":
        return TrainingSet(pixels, (10.0 + 4.0 * row[:, None]).float())
    votes = np.random.default_rng(seed).multinomial(30, 0.1 + 0.7 * np.eye(3)[row.numpy()])
    return TrainingSet(pixels, torch.from_numpy(votes).float())


def train(directory: Path, kind: str, name: str, **options) -> tuple[FitResult, Head]:
    """Train a small network with a method at its defaults."""
    extra = {key: options.pop(key) for key in ("on_epoch",) if key in options}
    source, valid = labelled(kind, 48, 0), labelled(kind, 24, 1)
    names = ["row"] if kind == "value" else ["a", "b", "c"]
    head = make_head(kind, names, source.labels.numpy())
    method = METHODS.get(name)()
    target = TrainingSet(images(40, 2, shift=0.5)[0]) if method.uses_target else None
    model = build_model("deepmerge", in_channels=BANDS, size=SIZE, n_classes=head.n_outputs)
    config = TrainConfig(
        **(
            {"epochs": 2, "warmup_epochs": 0, "batch_size": 16, "select": "source-loss"}
            | ({"tune": "head"} if method.fixed_features else {})
            | options
        )
    )
    job = TrainingJob(
        source=source, valid=valid, target=target, training=config, head=head, device="cpu", augment=noisy
    )
    return fit(model, method, job, directory=directory, seed=3, progress=None, **extra), head


@pytest.mark.parametrize("name", VALUES)
def test_methods_train_continuous_labels(tmp_path: Path, name: str) -> None:
    result, _ = train(tmp_path, "value", name)
    for row in result.history:
        assert np.isfinite([row["regression"], row["valid_loss"], row["valid_rmse"]]).all()
        assert "classification" not in row
        assert "valid_accuracy" not in row


@pytest.mark.parametrize("name", VOTES)
def test_methods_for_classes_train_votes(tmp_path: Path, name: str) -> None:
    result, _ = train(tmp_path, "votes", name)
    assert np.isfinite([[row["votes"], row["valid_loss"], row["loss"]] for row in result.history]).all()


@pytest.mark.parametrize("kind", ["value", "votes"])
def test_it_learns_and_an_interrupted_run_ends_in_the_same_bits(tmp_path: Path, kind: str) -> None:
    options = {"epochs": 12, "lr": 3e-3, "patience": None}
    whole, head = train(tmp_path / "a", kind, "coral", **options)
    if kind == "value":
        assert whole.history[-1]["valid_rmse"] < 0.5  # 1 is the training mean's
        assert head.values(whole.valid.logits.numpy())[1].max() < head.sd[0]
    else:
        assert whole.history[-1]["valid_accuracy"] > 0.7

    def stop(row: dict) -> None:
        if row["epoch"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(tmp_path / "b", kind, "coral", on_epoch=[stop], **options)
    assert weights_hash(train(tmp_path / "b", kind, "coral", **options)[0]) == weights_hash(whole)
