"""Pre-trained encoders: outputs against the packages they come from, layouts by the libraries' key names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from galshift.errors import ConfigError, DataError
from galshift.models import efficientnet_lite0 as lite0
from galshift.models._encoder_input import EncoderInput, Intake, band_mixing
from galshift.models.build import build_model, parameter_count, rebuild


def images(n: int, bands: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, bands, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def lite_weights():
    pytest.importorskip(lite0.PACKAGE, reason="the extra 'encoders' is not installed")


def test_bands_go_to_channels_by_the_stated_rule() -> None:
    np.testing.assert_allclose(band_mixing(1, 3), [[1], [1], [1]])
    np.testing.assert_allclose(band_mixing(2, 3), [[1, 0], [0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(band_mixing(3, 3), np.eye(3))
    third, half = 1 / 3, 1 / 2
    five = [[half, half, 0, 0, 0], [0, third, third, third, 0], [0, 0, 0, half, half]]
    np.testing.assert_allclose(band_mixing(5, 3), five)
    np.testing.assert_allclose(band_mixing(5, 3, reverse=True), np.asarray(five)[:, ::-1])
    np.testing.assert_allclose(band_mixing(3, 1), [[third, third, third]])


def test_stretched_values_reach_the_range_of_the_encoder() -> None:
    config = EncoderInput(size=None, low=-2, high=3, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))
    out = Intake(3, 3, config)(torch.tensor([-2.0, 0.5, 3.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4))
    # -2, 0.5 and 3 are 0, 0.5 and 1 of 0 ... 1, then less the mean over the spread
    expected = [(0 - 0.4) / 0.1, (0.5 - 0.5) / 0.2, (1 - 0.6) / 0.3]
    np.testing.assert_allclose(out[0, :, 0, 0], expected, rtol=1e-5, atol=1e-6)


def test_resizing_averages_what_becomes_smaller_and_keeps_what_fits() -> None:
    config = EncoderInput(size=8, low=0, high=1, mean=(0.0,), std=(1.0,))
    x = images(1, 1, 32)
    small = Intake(1, 1, config)(x)
    assert small.shape == (1, 1, 8, 8)
    assert small.std() < 0.5  # white noise averaged over 4 x 4 pixels and more: a point sample keeps 1
    torch.testing.assert_close(Intake(1, 1, config)(x[..., :8, :8]), x[..., :8, :8])


def test_impossible_ranges_are_refused() -> None:
    with pytest.raises(ConfigError, match="high must be above low"):
        build_model("efficientnet-lite0", in_channels=1, size=32, n_classes=2, options={"low": 1, "high": 1})


def test_lite0_has_the_published_size() -> None:
    """4.7 million parameters with 1000 classes: Google's table of the lite networks (tpu repository)."""
    model = build_model(
        "efficientnet-lite0", in_channels=3, size=224, n_classes=1000, options={"pretrained": False}
    )
    assert parameter_count(model) == 4_652_008


@pytest.mark.parametrize("size", [96, 224])
def test_lite0_agrees_with_the_reference_package(lite_weights, size) -> None:
    peer = pytest.importorskip("efficientnet_lite_pytorch", reason="the peer package is not installed")
    tensors = lite0.imagenet_tensors()
    theirs = peer.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(tensors)
    options = {"size": size, "low": 0, "high": 1, "mean": (0, 0, 0), "std": (1, 1, 1)}
    ours = build_model("efficientnet-lite0", in_channels=3, size=size, n_classes=1000, options=options)
    ours.head.load_state_dict({"weight": tensors["_fc.weight"], "bias": tensors["_fc.bias"]})
    x = images(2, 3, size)
    with torch.no_grad():
        expected, found = theirs.eval()(x), ours.eval()(x)
        deep = theirs.extract_features(x).mean((2, 3))
    torch.testing.assert_close(found.features, deep, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.logits, expected, atol=1e-4, rtol=0)


def test_lite0_is_rebuilt_without_the_package(lite_weights, monkeypatch) -> None:
    model = build_model("efficientnet-lite0", in_channels=1, size=32, n_classes=2).eval()
    monkeypatch.setattr(lite0, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        build_model("efficientnet-lite0", in_channels=1, size=32, n_classes=2)
    assert "pip install 'galshift[encoders]'" in caught.value.hint
    again = rebuild(json.loads(json.dumps(model.spec)))
    again.load_state_dict(model.state_dict())
    x = images(1, 1, 32)
    with torch.no_grad():
        assert torch.equal(again.eval()(x).logits, model(x).logits)


def test_another_file_of_weights_is_refused(lite_weights, monkeypatch) -> None:
    monkeypatch.setattr(lite0, "SHA256", "0" * 64)
    with pytest.raises(DataError, match="not the known file"):
        build_model("efficientnet-lite0", in_channels=1, size=32, n_classes=2)
