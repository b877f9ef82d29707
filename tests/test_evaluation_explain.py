"""Grad-CAM against its closed form, scores against drawn galaxies, measurements against known light."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import ks_2samp
from torch import Tensor, nn

from galshift.data.cutouts import Cutouts
from galshift.errors import DataError
from galshift.evaluation.explain import (
    enlarged,
    grad_cam,
    map_scores,
    randomisation_check,
    segment,
    spatial_layer,
)
from galshift.evaluation.measurements import common_vectors, compare, measure
from galshift.models.build import build_model
from galshift.types import Output


class Pooled(nn.Module):
    """Convolution, global mean, linear: for this network Grad-CAM is the class activation map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3, padding=1)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Output:
        features = self.conv(x).mean(dim=(2, 3))
        return Output(features=features, logits=self.head(features))


def gaussian(size: int, sigma: float, centre: tuple[float, float], *, ratio: float = 1.0) -> np.ndarray:
    y, x = np.indices((size, size))
    r2 = (x - centre[0]) ** 2 + ((y - centre[1]) / ratio) ** 2
    return np.exp(-r2 / (2 * sigma**2))


def test_grad_cam_is_the_class_activation_map_of_a_pooled_network():
    torch.manual_seed(0)
    model, images = Pooled().eval().requires_grad_(False), torch.randn(4, 2, 9, 11)
    with torch.no_grad():
        activation, logits = model.conv(images).numpy(), model(images).logits
    chosen = logits.argmax(dim=1).numpy()
    weights = model.head.weight.numpy()[chosen]
    wanted = np.maximum(np.einsum("bk,bkhw->bhw", weights, activation), 0)
    wanted /= wanted.sum(axis=(1, 2), keepdims=True)
    assert spatial_layer(model, images) == "conv"
    np.testing.assert_allclose(grad_cam(model, images).numpy(), wanted, rtol=1e-4, atol=1e-7)
    other = grad_cam(model, images, torch.zeros(4, dtype=torch.long)).numpy()
    assert not np.allclose(other[chosen != 0], wanted[chosen != 0])


def test_a_map_is_empty_where_nothing_speaks_for_the_class():
    model = Pooled().eval()
    with torch.no_grad():
        model.conv.weight.zero_()
        model.conv.bias.fill_(1.0)
        model.head.weight.fill_(-1.0)
    maps = grad_cam(model, torch.randn(2, 2, 8, 8))
    assert torch.equal(maps, torch.zeros(2, 8, 8))
    scores = map_scores(maps.numpy(), np.zeros((2, 2, 8, 8)))
    assert np.isnan(scores["on_galaxy"]).all()
    assert np.isnan(scores["on_edge"]).all()


@pytest.mark.parametrize("name", ["deepmerge", "resnet18", "sidda", "convnext"])
def test_every_convolutional_network_has_a_map_of_at_least_seven_pixels(name: str):
    model = build_model(name, in_channels=3, size=64, n_classes=2).eval()
    maps = grad_cam(model, torch.randn(2, 3, 64, 64))
    assert min(maps.shape[1:]) >= 7
    assert torch.isfinite(maps).all()


def test_layers_that_cannot_be_drawn_are_named():
    model, images = Pooled().eval(), torch.randn(1, 2, 8, 8)
    with pytest.raises(DataError, match="no layer 'encoder'"):
        grad_cam(model, images, layer="encoder")
    with pytest.raises(DataError, match="gives no image"):
        grad_cam(model, images, layer="head")
    transformer = build_model("vit", in_channels=3, size=32, n_classes=2).eval()
    with pytest.raises(DataError, match="no convolutional layer"):
        spatial_layer(transformer, torch.zeros(1, 3, 32, 32))


def test_enlarging_keeps_the_weight():
    maps = torch.rand(3, 5, 5)
    large = enlarged(maps, (40, 40))
    np.testing.assert_allclose(large.sum(axis=(1, 2)), maps.sum(dim=(1, 2)), rtol=1e-5)
    assert np.abs(enlarged(np.zeros((1, 5, 5), np.float32), (20, 20))).max() == 0


def test_weight_is_told_apart_on_galaxy_neighbour_sky_and_edge():
    rng = np.random.default_rng(0)
    size = 40
    galaxy, neighbour = gaussian(size, 3, (20, 19)), gaussian(size, 2, (8, 33))
    image = np.stack([20 * (galaxy + neighbour) + rng.normal(size=(size, size)) for _ in range(2)])
    mine, others = segment(image)
    assert mine[19, 20]
    assert others[33, 8]
    assert not (mine & others).any()
    point = np.zeros((4, size, size), np.float32)
    for row, (y, x) in zip(point, [(19, 20), (33, 8), (19, 36), (10, 30)], strict=True):
        row[y, x] = 1.0
    scores = map_scores(point, np.stack([image] * 4))
    shares = np.stack([scores[f"on_{name}"] for name in ("galaxy", "neighbors", "sky", "edge")], axis=1)
    np.testing.assert_allclose(shares, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(scores["galaxy_area"], mine.mean())
    np.testing.assert_allclose(scores["enrichment"][0], 1 / mine.mean())


def test_nothing_is_detected_in_an_empty_image():
    mine, others = segment(np.zeros((3, 20, 20)))
    assert not mine.any()
    assert not others.any()


def test_the_check_sees_weights_that_change_nothing_and_weights_that_change_all():
    torch.manual_seed(1)
    images = torch.randn(6, 2, 12, 12)
    model = Pooled().eval()
    with torch.no_grad():
        # Constant weights keep mean and zero spread, so the "noise" that replaces them is what was there.
        model.conv.weight.fill_(0.1), model.conv.bias.fill_(0.0)
        model.head.weight.fill_(0.3), model.head.bias.fill_(0.0)
    rows = randomisation_check(model, images)
    assert [row["layer"] for row in rows] == ["head", "conv"]
    np.testing.assert_allclose([row["correlation"] for row in rows], 1.0, atol=1e-6)
    trained = build_model("deepmerge", in_channels=2, size=32, n_classes=2, seed=3).eval()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    rows = randomisation_check(trained, torch.randn(16, 2, 32, 32))
    assert abs(rows[-1]["correlation"]) < 0.5
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


def test_measurements_recover_noise_size_shape_and_colour():
    rng = np.random.default_rng(2)
    n, size, sigma, ratio = 20, 61, 4.0, 0.6
    light = gaussian(size, sigma, (30, 30), ratio=ratio)
    flux = np.array([1.0, 2.0])[:, None, None] * 3000 * light
    images = flux + rng.normal(0, [[[2.0]], [[5.0]]], size=(n, 2, size, size)) + 7
    found = measure(Cutouts(images, unit="nJy", pixel_scale=0.2, bands=("g", "r")))
    median = {name: np.median(values) for name, values in found.items()}
    assert median["sky noise in g [nJy]"] == pytest.approx(2, rel=0.05)
    assert median["sky noise in r [nJy]"] == pytest.approx(5, rel=0.05)
    assert median["sky level in g [nJy]"] == pytest.approx(7, abs=0.2)
    assert median["colour g - r [mag]"] == pytest.approx(2.5 * np.log10(2), abs=0.02)
    total = 2 * np.pi * sigma**2 * ratio * 3000
    assert median["flux in g [nJy]"] == pytest.approx(total, rel=0.03)
    assert median["axis ratio"] == pytest.approx(ratio, abs=0.03)
    r = np.sort(np.hypot(*(np.indices((size, size)) - 30.0)).ravel())
    share = np.cumsum(light.ravel()[np.argsort(np.hypot(*(np.indices((size, size)) - 30.0)).ravel())])
    assert median["half-light radius [arcsec]"] == pytest.approx(
        0.2 * r[np.searchsorted(share, share[-1] / 2)], rel=0.06
    )
    assert abs(median["correlation of neighbouring pixels' noise"]) < 0.05


def test_correlated_noise_has_the_correlation_of_its_kernel():
    rng = np.random.default_rng(3)
    width = 0.8
    images = gaussian_filter(rng.normal(size=(30, 1, 80, 80)), (0, 0, width, width))
    found = measure(Cutouts(images))["correlation of neighbouring pixels' noise"]
    # White noise smoothed by a Gaussian of width s correlates as exp(-d^2 / (4 s^2)), before clipping.
    assert np.mean(found) == pytest.approx(np.exp(-1 / (4 * width**2)), abs=0.05)


def test_padding_and_bad_pixels_count_for_nothing():
    rng = np.random.default_rng(4)
    image = 500 * gaussian(41, 3, (20, 20)) + rng.normal(size=(41, 41))
    padded, mask = np.zeros((1, 1, 61, 61)), np.ones((1, 61, 61), dtype=bool)
    padded[0, 0, 10:51, 10:51], mask[0, 10:51, 10:51] = image, False
    plain = measure(Cutouts(image[None, None]))
    np.testing.assert_equal(measure(Cutouts(padded, mask=mask)), plain)
    nothing = measure(
        Cutouts(np.stack([image, image])[:, None], mask=np.stack([mask[0, 10:51, 10:51], image > -99]))
    )
    assert all(np.isnan(values[1]) for values in nothing.values())


def test_quantities_are_ranked_by_scipys_statistic_with_holms_correction():
    rng = np.random.default_rng(5)
    a = {
        "far": rng.normal(size=80),
        "near": rng.normal(size=80),
        "same": rng.normal(size=80),
        "mine": np.ones(80),
    }
    b = {"far": rng.normal(3, 1, 60), "near": rng.normal(0.5, 1, 60), "same": rng.normal(size=60)}
    rows = compare(a, b)
    assert [row["quantity"] for row in rows][:2] == ["far", "near"]
    raw = {name: ks_2samp(a[name], b[name]) for name in b}
    assert {row["quantity"]: row["ks"] for row in rows} == {
        k: pytest.approx(t.statistic) for k, t in raw.items()
    }
    order = sorted(raw, key=lambda name: raw[name].pvalue)
    wanted = np.maximum.accumulate([min(1, raw[name].pvalue * (3 - i)) for i, name in enumerate(order)])
    by_name = {row["quantity"]: row["p"] for row in rows}
    np.testing.assert_allclose([by_name[name] for name in order], wanted)
    a["near"][:40] = np.nan
    assert [v.shape for v in common_vectors(a, b)] == [(80, 2), (60, 2)]
