"""Predictions of a stored model do not depend on how the work is cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.preprocess import PreprocessConfig, fit_preprocessing
from galshift.errors import DataError, ResourceError, UsageError
from galshift.models.build import build_model
from galshift.training.checkpoint import Trained, load_checkpoint, save_checkpoint
from galshift.training.device import choose_device
from galshift.training.predict import forward


@pytest.fixture
def cutouts() -> Cutouts:
    pixels = np.random.default_rng(0).normal(5, 2, size=(11, 2, 16, 16)).astype(np.float32)
    return Cutouts(
        pixels, unit="nJy", pixel_scale=0.4, bands=("g", "r"), labels=np.arange(11) % 3, classes=tuple("abc")
    )


@pytest.fixture
def trained(cutouts: Cutouts, tmp_path: Path) -> Trained:
    dataset = InMemory(cutouts)
    fitted = fit_preprocessing(dataset, np.arange(11), PreprocessConfig(), 0)
    model = build_model("deepmerge", in_channels=2, size=fitted.size, n_classes=3)
    constants = fitted.model_dump(mode="json")
    return load_checkpoint(
        save_checkpoint(tmp_path, model, preprocessing=constants, classes="abc", bands="gr")
    )


def test_probabilities_features_and_order(trained: Trained, cutouts: Cutouts) -> None:
    done = []
    whole = forward(trained, InMemory(cutouts), device="cpu", progress=done.append)
    inputs = torch.from_numpy(trained.preprocessing.apply(cutouts))
    with torch.no_grad():
        expected = trained.model(inputs)
    np.testing.assert_allclose(whole.logits, expected.logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole.features, expected.features, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole.probabilities, torch.softmax(expected.logits.double(), 1), rtol=1e-5)
    np.testing.assert_allclose(whole.probabilities.sum(1), 1, rtol=1e-12)
    assert (whole.flags == 0).all()
    assert sum(done) == 11
    pieces = forward(trained, InMemory(cutouts), [7, 2, 2], device="cpu", batch_size=2)
    np.testing.assert_allclose(pieces.logits, whole.logits[[7, 2, 2]], rtol=1e-5, atol=1e-6)


def test_an_image_without_light_left_gets_a_flag_or_an_answer_never_nan_unflagged(trained, cutouts) -> None:
    images = cutouts.images.copy()
    images[3] = np.inf
    result = forward(trained, InMemory(replace(cutouts, images=images)), device="cpu")
    bad = ~np.isfinite(result.probabilities).all(1)
    assert (bad == (result.flags != 0)).all()
    assert not bad[[0, 1, 2, 4]].any()


def test_other_bands_are_refused(trained: Trained, cutouts: Cutouts) -> None:
    with pytest.raises(DataError):
        forward(trained, InMemory(replace(cutouts, bands=("i", "z"))), device="cpu")
    with pytest.raises(DataError, match="no images"):
        forward(trained, InMemory(cutouts), [], device="cpu")


def test_devices() -> None:
    choice = choose_device("cpu")
    assert (choice.device.type, choice.precision) == ("cpu", "float32")
    assert choose_device("cpu", "bfloat16").precision == "bfloat16"
    for name in ("tpu", "cpu:1", "cuda:x", ""):
        with pytest.raises(UsageError, match="unknown device"):
            choose_device(name)
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="not available"):
            choose_device("cuda:3")
        assert choose_device("auto").device.type == "cpu"
