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
from galshift.training.threads import advised, measured_threads


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


def test_masked_images_are_flagged(trained: Trained, cutouts: Cutouts) -> None:
    mask = np.zeros(cutouts.images.shape, dtype=bool)
    mask[3], mask[5, :, :10], mask[6, 0, 0, 0] = True, True, True
    result = forward(trained, InMemory(replace(cutouts, mask=mask)), device="cpu", batch_size=4)
    assert result.flags.tolist() == [0, 0, 0, 3, 0, 2, 0, 0, 0, 0, 0]
    assert np.isnan(result.probabilities[3]).all()
    assert np.isfinite(np.delete(result.probabilities, 3, axis=0)).all()


def test_outputs_that_are_not_finite_are_flagged(trained: Trained, cutouts: Cutouts) -> None:
    with torch.no_grad():
        trained.model.head.weight.fill_(float("nan"))
    result = forward(trained, InMemory(cutouts), device="cpu")
    assert (result.flags == 4).all()
    assert np.isnan(result.features).all()


def test_answers_are_in_full_float32_whatever_is_set(trained: Trained, cutouts: Cutouts) -> None:
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("this PyTorch has one switch for all of cuDNN")
    whole = forward(trained, InMemory(cutouts), device="cpu").logits
    convolutions, seen = torch.backends.cudnn.conv, []
    trained.model.register_forward_hook(lambda *_: seen.append(convolutions.fp32_precision))
    own = convolutions.fp32_precision
    try:
        convolutions.fp32_precision = "tf32"
        with torch.autocast("cpu", dtype=torch.bfloat16):
            again = forward(trained, InMemory(cutouts), device="cpu").logits
        assert convolutions.fp32_precision == "tf32"
    finally:
        convolutions.fp32_precision = own
    assert seen == ["ieee"]
    np.testing.assert_array_equal(again, whole)


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


def test_threads_are_measured_and_put_back() -> None:
    before = torch.get_num_threads()
    seconds = measured_threads(3, repeats=1)
    assert torch.get_num_threads() == before
    assert list(seconds) == [1, 2, 3]
    assert all(0 < taken < 60 for taken in seconds.values())
    assert advised({1: 0.30, 2: 0.103, 4: 0.100}) == 2
    assert advised({1: 0.10, 2: 0.2}) == 1
