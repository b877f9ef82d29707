"""Every network that is registered is tested the moment it is; sizes against published parameter counts."""

from __future__ import annotations

import json

import pytest
import torch

from galshift.errors import ConfigError, DataError
from galshift.models import MODELS
from galshift.models.build import build_model, parameter_count, rebuild
from galshift.types import Output

NAMES = MODELS.names()
# An encoder without weights is what a checkpoint rebuilds: a small network that no file is needed for.
TINY = {"family": "convnext", "channels": 3, "depths": [1, 1], "widths": [8, 16]}
BARE = {"encoder": {"network": TINY, "size": 32}}


def built(name: str, **changes):
    """Return a small instance, skipping a model whose extra is not installed."""
    usual = {"in_channels": 2, "size": 32, "n_classes": 3, "options": BARE.get(name)}
    try:
        return build_model(name, **(usual | changes))
    except ConfigError as error:
        if "extra" in str(error):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("name", NAMES)
def test_output_shapes_and_head(name: str) -> None:
    model = built(name).eval()
    output = model(torch.randn(3, 2, 32, 32))
    assert isinstance(output, Output)
    assert output.features.shape == (3, model.feature_dim)
    assert output.logits.shape == (3, 3)
    torch.testing.assert_close(model.head(output.features), output.logits)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = built(name)
    model(torch.randn(4, 2, 32, 32)).logits.square().sum().backward()
    missing = [key for key, value in model.named_parameters() if value.requires_grad and value.grad is None]
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_weights_depend_on_the_seed_alone(name: str) -> None:
    torch.manual_seed(0)
    one = built(name, seed=7).state_dict()
    after = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(1))
    torch.manual_seed(1)
    two, other = built(name, seed=7).state_dict(), built(name, seed=8).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", NAMES)
def test_rebuilt_from_json(name: str) -> None:
    model = built(name).eval()
    again = rebuild(json.loads(json.dumps(model.spec)))
    again.load_state_dict(model.state_dict())
    images = torch.randn(2, 2, 32, 32)
    assert torch.equal(again.eval()(images).logits, model(images).logits)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bands", [1, 5])
def test_any_number_of_bands(name: str, bands: int) -> None:
    assert built(name, in_channels=bands).eval()(torch.randn(2, bands, 32, 32)).logits.shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_described(name: str) -> None:
    kind = MODELS.get(name)
    assert kind.reference
    assert kind.typical_use
    assert kind.version >= 1
    assert MODELS.summary(name)
    with pytest.raises(ConfigError, match="options of the model"):
        built(name, options={"no_such_option": 1})


@pytest.mark.parametrize(
    ("name", "bands", "size", "classes", "count"),
    [
        ("resnet18", 3, 224, 1000, 11_689_512),  # the published ImageNet networks
        ("resnet34", 3, 224, 1000, 21_797_672),
        ("resnet50", 3, 224, 1000, 25_557_032),
    ],
)
def test_published_parameter_counts(name: str, bands: int, size: int, classes: int, count: int) -> None:
    assert parameter_count(built(name, in_channels=bands, size=size, n_classes=classes)) == count


def test_deepmerge_by_hand() -> None:
    model = built("deepmerge", in_channels=3, size=75, n_classes=2)
    convolutions = 3 * 25 * 8 + 8 + 8 * 9 * 16 + 16 + 16 * 9 * 32 + 32 + 2 * (8 + 16 + 32)
    dense = 2592 * 64 + 64 + 64 * 32 + 32 + 32 * 2 + 2
    assert parameter_count(model) == convolutions + dense
    assert model.feature_dim == 32
    published = built("deepmerge", in_channels=3, size=75, options={"latent": "convolutional"})
    assert published.feature_dim == 2592


def test_sidda_latent_is_normalised() -> None:
    features = built("sidda").eval()(10 * torch.randn(4, 2, 32, 32)).features
    assert features.shape == (4, 256)
    torch.testing.assert_close(features.mean(1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.var(1, unbiased=False), torch.ones(4), atol=1e-2, rtol=0)


def test_sidda_can_start_as_published() -> None:
    torch.manual_seed(0)
    model = built("sidda", size=64, options={"small_start": True})
    # Spread 0.005 over 256 x 2048 weights, 0.01 over 3 x 256: within 5 standard errors.
    assert model.encoder[4].weight.std().item() == pytest.approx(0.005, rel=5 / (2 * 256 * 2048) ** 0.5)
    assert model.head.weight.std().item() == pytest.approx(0.01, rel=5 / (2 * 3 * 256) ** 0.5)
    assert not model.encoder[4].bias.any()
    assert not model.head.bias.any()


@pytest.mark.parametrize(("size", "side"), [(63, 63), (64, 16), (96, 24)])
def test_resnet_stem_follows_the_size(size: int, side: int) -> None:
    model = built("resnet18", size=size)
    assert model.encoder[0](torch.zeros(1, 2, size, size)).shape[-1] == side


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="too small"):
        built("deepmerge", size=7)
    with pytest.raises(ConfigError, match="unknown model") as caught:
        built("deepmerg")
    assert "did you mean 'deepmerge'" in str(caught.value)
    with pytest.raises(ConfigError, match="in_channels"):
        built("deepmerge", in_channels=0)
    with pytest.raises(DataError, match="incomplete"):
        rebuild({"name": "deepmerge"})
