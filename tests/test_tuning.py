"""Parameters that are trained or held, layer by layer, and the learning rates of layers."""

from __future__ import annotations

import pytest
import torch

from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.models import MODELS
from galshift.models.build import build_model
from galshift.models.tuning import hold, layers, rates, trained
from galshift.training.config import TrainConfig
from galshift.training.optim import build_optimizer, set_lr
from tests.test_models import BARE, built

HEADS, LAST = {"head.weight", "head.bias"}, {"encoder.6.weight", "encoder.6.bias"}


def small(name: str = "resnet18"):
    return build_model(name, in_channels=1, size=32, n_classes=2, options=BARE.get(name))


@pytest.mark.parametrize("name", MODELS.names())
def test_every_parameter_is_in_one_layer_or_the_head(name: str) -> None:
    model = built(name)
    placed = [key for layer in layers(model) for key in layer]
    heads = [key for key, _ in model.named_parameters() if key.startswith("head.")]
    assert sorted([*placed, *heads]) == sorted(key for key, _ in model.named_parameters())
    assert len(layers(model)) > 1


def test_layers_of_a_residual_network_are_its_blocks() -> None:
    model = small()
    assert len(layers(model)) == 9  # the stem and two blocks in each of four stages (He et al. 2016)
    last = trained(model, "last-2")
    heads = {"head.weight", "head.bias"}
    assert {".".join(key.split(".")[:2]) for key in last - heads} == {"encoder.7", "encoder.8"}
    assert trained(model, "head") == heads
    assert trained(model, "all") == {key for key, _ in model.named_parameters()}
    with pytest.raises(ConfigError, match="has 9 layers") as caught:
        trained(model, "last-10")
    assert "last-9" in caught.value.hint


def test_rates_fall_from_the_head_to_the_input() -> None:
    model = small()
    by_name = rates(model, 0.5)
    assert by_name["head.weight"] == 1
    assert by_name["encoder.8.body.0.weight"] == 0.5
    assert by_name["encoder.0.0.weight"] == 0.5**9
    by_parameter = {parameter: by_name[key] for key, parameter in model.named_parameters()}
    optimizer = build_optimizer(model.parameters(), TrainConfig(lr=0.1), by_parameter)
    set_lr(optimizer, 0.04)
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert found[id(model.head.weight)] == pytest.approx(0.04)
    assert found[id(model.encoder[8].body[0].weight)] == pytest.approx(0.02)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays[id(model.head.weight)] == 0.01
    assert decays[id(model.head.bias)] == 0


def test_what_is_held_does_not_move_statistics_nor_drop_anything() -> None:
    model = build_model("deepmerge", in_channels=1, size=32, n_classes=2)
    free = trained(model, "last-1")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in free)
    before = {key: value.clone() for key, value in model.named_buffers()}
    hold(model.train())
    x = torch.randn(8, 1, 32, 32)
    assert torch.equal(model.encoder[0](x), model.encoder[0](x))
    model(x)
    assert all(torch.equal(value, before[key]) for key, value in model.named_buffers())
    assert model.head.training


@pytest.mark.parametrize(("tune", "moved"), [("head", HEADS), ("last-1", HEADS | LAST)])
def test_training_moves_what_it_may(tune: str, moved: set[str], tmp_path) -> None:
    from tests import training_helpers as problem

    fresh = build_model("deepmerge", in_channels=problem.BANDS, size=problem.SIZE, n_classes=problem.CLASSES)
    start = {key: value.clone() for key, value in fresh.state_dict().items()}
    found = problem.train(tmp_path, tune=tune, epochs=2, select="last", ema=None).model.state_dict()
    changed = {key for key, value in found.items() if not torch.equal(value, start[key])}
    assert changed == moved


def test_a_method_that_may_train_nothing_is_refused(tmp_path) -> None:
    from tests import training_helpers as problem

    with pytest.raises(ConfigError, match="trains nothing"):
        problem.train(tmp_path, method=METHODS.get("tent")(), tune="head", epochs=2)


def test_options_that_say_nothing_leave_the_fingerprint_alone() -> None:
    assert not {"tune", "layer_decay"} & set(TrainConfig().model_dump())
    said = TrainConfig(tune="head", layer_decay=0.7)
    assert TrainConfig.model_validate(said.model_dump()) == said
    for wrong in ("heads", "last-0", "last"):
        with pytest.raises(ValueError, match="must be head, last-N"):
            TrainConfig(tune=wrong)
