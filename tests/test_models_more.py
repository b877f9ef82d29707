"""The further networks: equivariance, attention, masking and weights, against independent arithmetic."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from galshift.errors import ConfigError, DataError
from galshift.models._groups import GROUPS, act, filter_basis
from galshift.models._mae import MaskedAutoencoder, normalised, random_patches
from galshift.models.build import build_model, rebuild
from galshift.models.convnext import skip_some
from galshift.models.equivariant import GroupConv, halve
from galshift.models.vit import TransformerBlock, patchify, positions


def images(n: int, bands: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, bands, size, size, generator=torch.Generator().manual_seed(seed))


def turned(x: torch.Tensor, element: tuple[int, int], turns: int) -> torch.Tensor:
    return torch.from_numpy(act(x.detach().numpy(), element, turns).copy())


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_group_axioms(name):
    group = GROUPS[name]
    elements = group.elements()
    assert [group.number(*element) for element in elements] == list(range(len(group)))
    for a in elements:
        assert group.product(a, group.inverse(a)) == (0, 0)
        for b in elements:
            np.testing.assert_allclose(
                group.matrix(group.product(a, b)), group.matrix(a) @ group.matrix(b), atol=1e-12
            )


@pytest.mark.parametrize("name", ["c4", "d4"])
def test_action_on_pixels_is_that_of_the_matrix(name):
    group = GROUPS[name]
    image = np.random.default_rng(0).normal(size=(5, 5))
    step = np.arange(5) - 2
    for element in group.elements():
        moved = act(image, element, 4)
        for row in range(5):
            for column in range(5):
                x, y = group.matrix(element) @ [step[column], -step[row]]
                assert moved[2 - round(y), 2 + round(x)] == image[row, column]


@pytest.mark.parametrize("name", ["c8", "d8"])
def test_steerable_filters_turn_exactly_by_quarters(name):
    group = GROUPS[name]
    basis = filter_basis(group, 5)
    for number, element in enumerate(group.elements()):
        if element[0] % 2 == 0:
            np.testing.assert_allclose(basis[number], act(basis[0], element, 8), atol=1e-12)


@pytest.mark.parametrize("name", sorted(GROUPS))
@pytest.mark.parametrize("lifting", [True, False])
def test_group_convolution_is_equivariant(name, lifting):
    """Turning the input turns the output's channels and permutes them as the group multiplies."""
    group = GROUPS[name]
    torch.manual_seed(0)
    layer = GroupConv(2, 3, group, 5, lifting=lifting).double()
    fields = torch.randn(2, 2, 11, 11) if lifting else torch.randn(2, 2, len(group), 11, 11)
    fields = fields.double()
    out = layer(fields)
    for element in group.elements():
        if (4 * element[0]) % group.turns:
            continue
        # (g f)(h) = turned f(g**-1 h)
        order = [group.number(*group.product(group.inverse(element), h)) for h in group.elements()]
        moved = turned(fields if lifting else fields[:, :, order], element, group.turns)
        expected = turned(out[:, :, order], element, group.turns)
        torch.testing.assert_close(layer(moved), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(GROUPS))
@pytest.mark.parametrize("size", [32, 37])
@pytest.mark.parametrize("training", [True, False])
def test_features_are_invariant(name, size, training):
    group = GROUPS[name]
    options = {"group": name, "width": 3, "blocks": 3, "dropout": 0.0}
    model = build_model("equivariant", in_channels=2, size=size, n_classes=3, options=options)
    x = images(4, 2, size)
    model.train()(x)  # batch statistics that are not the initial ones
    model.train(training)
    expected = model(x)
    for element in group.elements():
        if (4 * element[0]) % group.turns == 0:
            output = model(turned(x, element, group.turns))
            torch.testing.assert_close(output.features, expected.features, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(output.logits, expected.logits, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(
        model(x.transpose(0, 1).reshape(4, 2, size, size)).logits, expected.logits, atol=1e-3
    )


def test_cyclic_network_tells_mirror_images_apart():
    x = images(3, 1, 32)
    logits = {}
    for name in ("c4", "d4"):
        model = build_model(
            "equivariant", in_channels=1, size=32, n_classes=3, options={"group": name}
        ).eval()
        logits[name] = (model(x).logits - model(x.flip(-1)).logits).abs().max().item()
    assert logits["d4"] < 1e-5 < 1e-3 < logits["c4"]


def test_eighth_turn_is_nearly_equivariant_with_steerable_filters():
    from scipy.ndimage import rotate

    rng = np.random.default_rng(0)
    step = np.arange(64) - 31.5
    x, y = np.meshgrid(step, step)
    smooth = sum(
        rng.normal() * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 40) for a, b in rng.uniform(-12, 12, (12, 2))
    )
    other = rotate(smooth, 45, reshape=False, order=3)
    torch.manual_seed(0)
    x, y = (torch.from_numpy(z.copy()).double()[None, None] for z in (smooth, other))
    spread = {}
    for name in ("c4", "c8"):
        layer = GroupConv(1, 8, GROUPS[name], 5, lifting=True).double()
        with torch.no_grad():
            first, second = (layer(z).square().sum((2, 3, 4)) for z in (x, y))
        spread[name] = ((second - first).abs() / first).max().item()
    assert spread["c8"] < 0.05
    assert spread["c8"] < 0.5 * spread["c4"]


@pytest.mark.parametrize("size", [8, 9])
def test_halving_commutes_with_turns(size):
    x = images(2, 3, size)
    for element in GROUPS["d4"].elements():
        assert torch.equal(halve(turned(x, element, 4)), turned(halve(x), element, 4))
    assert halve(x).shape[-1] == (size + 1) // 2


def test_stochastic_depth_keeps_the_mean_and_drops_whole_images():
    torch.manual_seed(0)
    out = skip_some(torch.ones(20_000, 2, 1, 1), 0.3, training=True)
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(out[:, 0], out[:, 1])
    assert torch.equal(skip_some(torch.ones(3, 1), 0.3, training=False), torch.ones(3, 1))


def test_convnext_options_are_checked():
    with pytest.raises(ConfigError, match="equally many"):
        build_model("convnext", in_channels=1, size=64, n_classes=2, options={"depths": [1, 1]})
    with pytest.raises(ConfigError, match="too small"):
        build_model("convnext", in_channels=1, size=8, n_classes=2)


def test_attention_agrees_with_torch_own():
    torch.manual_seed(0)
    block = TransformerBlock(16, 4, 0.0).eval()
    reference = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    reference.in_proj_weight.data, reference.in_proj_bias.data = block.qkv.weight.data, block.qkv.bias.data
    reference.out_proj.weight.data = block.project.weight.data
    reference.out_proj.bias.data = block.project.bias.data
    x = torch.randn(2, 7, 16)
    with torch.no_grad():
        inner = block.norm_attention(x)
        expected = x + reference(inner, inner, inner, need_weights=False)[0]
        expected = expected + block.dense(block.norm_dense(expected))
        torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)


def test_patches_hold_their_pixels_and_images_are_padded_evenly():
    x = images(2, 3, 12)
    patches = patchify(x, 4)
    assert patches.shape == (2, 9, 48)
    torch.testing.assert_close(patches[1, 5], x[1, :, 4:8, 8:12].flatten())
    padded = patchify(images(1, 1, 10), 4)
    assert padded.shape == (1, 9, 16)
    torch.testing.assert_close(padded[0, 4].reshape(4, 4), images(1, 1, 10)[0, 0, 3:7, 3:7])


def test_positions_are_distinct_and_of_unit_scale():
    code = positions(6, 32)
    assert code.shape == (36, 32)
    assert torch.cdist(code, code).add(torch.eye(36) * 9).min() > 0.3
    torch.testing.assert_close(code.square().sum(1), torch.full((36,), 16.0))


def small_vit(size: int = 24):
    options = {"patch": 6, "width": 32, "depth": 2, "heads": 2}
    return build_model("vit", in_channels=2, size=size, n_classes=3, options=options)


def test_hidden_patches_are_chosen_by_the_generator_and_not_seen():
    keep, back = random_patches(3, 16, 0.75, torch.Generator().manual_seed(0))
    assert keep.shape == (3, 4)
    for row, places in zip(keep.tolist(), back.tolist()):
        assert sorted(places) == list(range(16))
        assert [places[patch] for patch in row] == [0, 1, 2, 3]
    vit = small_vit().eval()
    x = images(1, 2, 24)
    changed = x.clone()
    changed[:, :, 18:, 18:] += 5  # the last patch
    seen = torch.arange(15)[None]
    torch.testing.assert_close(vit.tokens(x, seen), vit.tokens(changed, seen))
    assert not torch.allclose(vit(x).features, vit(changed).features)


def test_masked_loss_is_the_error_on_hidden_patches():
    torch.manual_seed(0)
    model = MaskedAutoencoder(small_vit(), width=16, depth=1, heads=2).eval()
    x = images(3, 2, 24)
    result = model(x, torch.Generator().manual_seed(4))
    target = patchify(x, 6).numpy()
    target = (target - target.mean(2, keepdims=True)) / np.sqrt(target.var(2, ddof=1, keepdims=True) + 1e-6)
    error = ((result.patches.detach().numpy() - target) ** 2).mean(2)
    assert result.hidden.sum().item() == 3 * 12
    assert result.loss.item() == pytest.approx(error[result.hidden.numpy()].mean(), rel=1e-5)
    np.testing.assert_allclose(normalised(patchify(x, 6)).numpy(), target, atol=1e-5)


@pytest.mark.slow
def test_masked_autoencoder_learns_and_reaches_every_encoder_weight():
    torch.manual_seed(0)
    model = MaskedAutoencoder(small_vit(), width=32, depth=1, heads=2)
    step = torch.arange(24.0)
    generator = torch.Generator().manual_seed(0)

    def batch():
        phase = 6.3 * torch.rand(32, 2, 1, 1, generator=generator)
        return torch.sin(0.5 * step[None, None, None] + 0.3 * step[None, None, :, None] + phase)

    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = model(batch(), generator).loss
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    ungraded = [n for n, p in model.named_parameters() if p.grad is None]
    assert ungraded == ["encoder.head.weight", "encoder.head.bias"]


@pytest.mark.parametrize("name", ["equivariant", "convnext", "vit"])
@pytest.mark.parametrize("size", [33, 75, 96])
def test_any_size(name, size):
    model = build_model(name, in_channels=3, size=size, n_classes=4).eval()
    with torch.no_grad():
        assert model(images(2, 3, size)).logits.shape == (2, 4)


def test_vit_refuses_images_smaller_than_a_patch():
    with pytest.raises(ConfigError, match="smaller than a patch"):
        build_model("vit", in_channels=1, size=6, n_classes=2)
    with pytest.raises(ConfigError, match="multiple of 4"):
        build_model("vit", in_channels=1, size=32, n_classes=2, options={"width": 30})


class Tiny(nn.Module):
    """Stands in for an encoder of the library where that is not installed."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(bands, 5, 3)

    def forward(self, x):
        return self.stem(x).mean((2, 3))


@pytest.fixture
def library(monkeypatch):
    """A module with the four names that are used of timm."""

    def create(name, pretrained, in_chans, num_classes, img_size=None):
        assert pretrained is False
        assert num_classes == 0
        if img_size is not None:
            raise TypeError("unexpected keyword argument 'img_size'")
        return Tiny(in_chans)

    module = SimpleNamespace(
        create_model=create, is_model=lambda name: name == "tiny_net", list_models=lambda: ["tiny_net"]
    )
    monkeypatch.setitem(sys.modules, "timm", module)


def test_encoder_weights_from_a_local_file(library, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "encoder.safetensors"
    weight = torch.randn(5, 3, 3, 3)
    save_file(
        {"encoder.stem.weight": weight, "encoder.stem.bias": torch.ones(5), "head.weight": torch.ones(2, 5)},
        path,
    )
    options = {"encoder": "tiny_net", "weights": str(path)}
    same = build_model("timm-encoder", in_channels=3, size=16, n_classes=2, options=options)
    torch.testing.assert_close(same.encoder.stem.weight.data, weight)
    assert same.feature_dim == 5
    grey = build_model("timm-encoder", in_channels=1, size=16, n_classes=2, options=options)
    # A grey image in one band gives what it gave in three equal ones.
    x = images(2, 1, 16)
    torch.testing.assert_close(grey(x).features, same(x.expand(-1, 3, -1, -1)).features, atol=1e-5, rtol=1e-5)
    path.unlink()  # a checkpoint is rebuilt without the file
    again = rebuild(same.spec)
    again.load_state_dict(same.state_dict())
    assert again.spec["options"]["weights_sha256"] == same.spec["options"]["weights_sha256"]
    with pytest.raises(DataError, match="no such weights file"):
        build_model("timm-encoder", in_channels=3, size=16, n_classes=2, options=options)


def test_encoder_trouble_is_named(library, tmp_path):
    def build(**options):
        build_model(
            "timm-encoder", in_channels=3, size=16, n_classes=2, options={"encoder": "tiny_net", **options}
        )

    with pytest.raises(ConfigError, match="no encoder 'tiny_ned'") as caught:
        build(encoder="tiny_ned")
    assert "tiny_net" in caught.value.hint
    with pytest.raises(ConfigError, match="on the network"):
        build(encoder="hf-hub:someone/zoo")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not tensors")
    with pytest.raises(DataError, match="not a safetensors file"):
        build(weights=str(broken))
    from safetensors.torch import save_file

    save_file({"other.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"2 of 2 tensors are missing"):
        build(weights=str(tmp_path / "other.safetensors"))
    with pytest.raises(DataError, match="another content"):
        build(weights=str(tmp_path / "other.safetensors"), weights_sha256="0" * 64)


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        build_model("timm-encoder", in_channels=3, size=16, n_classes=2)
    assert "galshift[models]" in caught.value.hint


@pytest.mark.parametrize("encoder", ["resnet18", "convnext_atto", "vit_tiny_patch16_224"])
def test_real_encoders(encoder):
    pytest.importorskip("timm", reason="the extra 'models' is not installed")
    model = build_model(
        "timm-encoder", in_channels=5, size=64, n_classes=3, options={"encoder": encoder}
    ).eval()
    output = model(images(2, 5, 64))
    assert output.features.shape == (2, model.feature_dim)
    assert output.logits.shape == (2, 3)
