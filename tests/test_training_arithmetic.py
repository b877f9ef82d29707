"""Schedule, sampler, losses, clipping, accumulation and the running mean against independent arithmetic."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from galshift.errors import ConfigError, DataError
from galshift.training._live import live_line
from galshift.training._networks import Networks
from galshift.training._record import Record
from galshift.training._sharding import clip_gradients
from galshift.training.config import TrainConfig
from galshift.training.criterion import class_weights, source_loss
from galshift.training.ema import ema_copy, ema_decay, ema_update
from galshift.training.optim import build_optimizer, parameter_groups
from galshift.training.plan import Plan
from galshift.training.schedule import (
    adaptation_progress,
    cycle_factor,
    inverse_factor,
    lr_factor,
    step_factor,
)
from galshift.training.sets import TrainingSet, batch_indices
from galshift.training.world import World


def test_schedule_equals_torch() -> None:
    total, ramp, final = 50, 0.1, 0.02
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    rising = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / 5)
    expected = []
    for _ in range(5):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rising.step()
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=44, eta_min=final)
    for _ in range(45):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        falling.step()
    got = [lr_factor(step, total, ramp=ramp, final=final) for step in range(total)]
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert lr_factor(30, 50, ramp=0.1, final=0.0, shape="constant") == 1.0


def test_steps_of_the_learning_rate_equal_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    falling = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 5], gamma=0.1)
    expected = []
    for _ in range(8):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        falling.step()
    assert [step_factor(epoch, (2, 5), 0.1) for epoch in range(8)] == pytest.approx(expected)


def test_cycles_of_the_learning_rate_equal_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    cycle = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 1.0, step_size_up=4, cycle_momentum=False)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cycle.step()
    assert [cycle_factor(step / 2, 4.0) for step in range(20)] == pytest.approx(expected)


def test_inverse_decay_has_its_closed_values() -> None:
    # 6^-0.75 is the root of the root of 1 / 216.
    assert inverse_factor(0.0) == 1.0
    assert inverse_factor(1.5) == inverse_factor(1.0) == pytest.approx(1331**-0.25)
    assert inverse_factor(0.5) == pytest.approx((1 / 216) ** 0.5**2)


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"schedule": "step", "lr_milestones": (1, 3)}, [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]),
        ({"schedule": "cycle", "lr_cycle": 2}, [0.1, 0.55, 1, 0.55, 0.1, 0.55, 1, 0.55]),
    ],
)
def test_a_plan_follows_its_schedule(options: dict, rates: list[float]) -> None:
    config = TrainConfig(lr=2.0, lr_ramp=0.0, epochs=4, warmup_epochs=0, batch_size=5, **options)
    plan = Plan(config, 0, 10, 10)
    assert [plan.lr(step) for step in range(8)] == pytest.approx([2 * rate for rate in rates])


def test_adam_decays_within_the_gradient_as_torch_does() -> None:
    weight = nn.Parameter(torch.full((2, 2), 3.0))
    other = nn.Parameter(torch.full((2, 2), 3.0))
    ours = build_optimizer(
        [weight], TrainConfig(optimiser="adam", lr=0.1, weight_decay=0.2, betas=(0.7, 0.8))
    )
    theirs = torch.optim.Adam([other], lr=0.1, weight_decay=0.2, betas=(0.7, 0.8))
    for _ in range(3):
        for parameter, optimizer in ((weight, ours), (other, theirs)):
            optimizer.zero_grad()
            parameter.sum().backward()
            optimizer.step()
    torch.testing.assert_close(weight, other)


def test_adaptation_progress_runs_from_0_to_1() -> None:
    assert [adaptation_progress(step, 10, 20) for step in (0, 10, 15, 20)] == [0.0, 0.0, 0.5, 1.0]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 40), seed=st.integers(0, 9), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5)
)
def test_sampler_is_one_stream_however_it_is_cut(n: int, seed: int, sizes: list[int]) -> None:
    whole = batch_indices(n, seed, "source", 0, sum(sizes))
    starts = np.cumsum([0, *sizes[:-1]])
    pieces = [batch_indices(n, seed, "source", int(a), b) for a, b in zip(starts, sizes, strict=True)]
    assert torch.equal(whole, torch.cat(pieces))
    for first in range(0, len(whole) - n + 1, n):
        assert sorted(whole[first : first + n].tolist()) == list(range(n))


def test_sampler_streams_differ_by_seed_domain_and_pass() -> None:
    one = batch_indices(50, 0, "source", 0, 50)
    assert not torch.equal(one, batch_indices(50, 1, "source", 0, 50))
    assert not torch.equal(one, batch_indices(50, 0, "target", 0, 50))
    assert not torch.equal(one, batch_indices(50, 0, "source", 50, 50))


def test_plan_pairs_domains_of_different_sizes() -> None:
    plan = Plan(TrainConfig(epochs=10, warmup_epochs=2, batch_size=8), seed=0, n_source=40, n_target=9)
    assert (plan.batch_size, plan.steps_per_epoch, plan.total_steps, plan.warmup_steps) == (8, 5, 50, 10)
    assert plan.indices("target", 9) is None
    target = torch.cat([plan.indices("target", step) for step in range(10, 19)])
    assert torch.equal(torch.bincount(target), torch.full((9,), 8))  # 72 places, 9 images
    assert Plan(TrainConfig(batch_size=64), seed=0, n_source=40, n_target=9).batch_size == 9
    assert Plan(TrainConfig(batch_size=64), seed=0, n_source=40, n_target=9, parts=4).batch_size == 8


def test_warmup_defaults_to_a_fifth_and_must_leave_something() -> None:
    assert [TrainConfig(epochs=n).warmup for n in (1, 5, 30, 200)] == [0, 1, 6, 10]
    with pytest.raises(ValidationError, match="must be less than epochs"):
        TrainConfig(epochs=3, warmup_epochs=3)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 1.0])])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_source_loss_is_torchs_cross_entropy(weights: torch.Tensor | None, smoothing: float) -> None:
    logits, labels = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3
    ours = source_loss(logits, labels, weights=weights, smoothing=smoothing)
    if weights is None:
        expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    else:  # torch weighs the smoothed part by its own class; ours by the image's
        each = functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
        expected = (weights[labels] * each).sum() / weights[labels].sum()
    torch.testing.assert_close(ours, expected)


def test_focal_loss_in_numpy() -> None:
    logits, labels = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 4
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = p[np.arange(12), labels]
    expected = np.mean(-((1 - true) ** 2) * np.log(true))
    got = source_loss(torch.tensor(logits), torch.tensor(labels), focal=2.0)
    assert float(got) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_has_a_finite_gradient_where_p_is_one() -> None:
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    source_loss(logits, torch.tensor([0]), focal=0.5).backward()
    assert torch.isfinite(logits.grad).all()


def test_balanced_class_weights() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    torch.testing.assert_close(class_weights(labels, 3, "balanced"), torch.tensor([4 / 9, 4 / 3, 0.0]))
    assert class_weights(labels, 2, "none") is None


def test_auto_balances_only_what_is_unbalanced() -> None:
    even, uneven = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1])
    assert class_weights(even, 2, "auto") is None
    assert class_weights(torch.tensor([0] * 4 + [1] * 3), 3, "auto") is None  # 4 to 3, and none of the third
    torch.testing.assert_close(class_weights(uneven, 3, "auto"), class_weights(uneven, 3, "balanced"))


def test_effective_numbers_are_those_of_equation_2() -> None:
    counts, beta = np.array([5000, 40, 3]), 0.9999
    each = (1 - beta) / (1 - beta ** counts.astype(float))
    expected = each * counts.sum() / (each @ counts)
    labels = torch.from_numpy(np.repeat(np.arange(3), counts))
    found = class_weights(labels, 4, "effective")
    np.testing.assert_allclose(found[:3], expected, rtol=1e-5)
    assert found[3] == 0
    assert float((found[labels]).mean()) == pytest.approx(1, rel=1e-5)  # the scale of the loss stays


def test_a_row_of_weights_must_have_one_a_class() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    with pytest.raises(ConfigError, match="2 class weights for 3 classes"):
        class_weights(labels, 3, (1.0, 2.0))


def test_clipping_is_one_norm_over_network_and_method() -> None:
    own, extra = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))
    own.grad, extra.grad = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([0.0, 4.0])
    assert float(clip_gradients([own], [extra], 1.0)) == pytest.approx(5.0)
    np.testing.assert_allclose(own.grad, [0.6, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(extra.grad, [0, 0.8], rtol=1e-5)
    assert float(clip_gradients([own], [], None)) == pytest.approx(0.6, rel=1e-5)
    np.testing.assert_allclose(own.grad, [0.6, 0, 0], rtol=1e-5)


def test_running_mean_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    mean = ema_copy(model)
    expected = 1.0
    for step in range(30):
        with torch.no_grad():
            model.weight.fill_(step)
            model.running_mean.fill_(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        ema_update(mean, model, ema_decay(step, 0.9))
        assert float(mean.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(mean.running_mean) == 29


def test_only_matrices_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    matrices, rest = parameter_groups(model.parameters(), TrainConfig(weight_decay=0.3))
    assert [p.shape for p in matrices["params"]] == [(2, 3)]
    assert matrices["weight_decay"] == 0.3
    assert len(rest["params"]) == 3
    assert rest["weight_decay"] == 0.0


def test_biases_and_norms_decay_where_that_is_asked_for() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    (every,) = parameter_groups(model.parameters(), TrainConfig(weight_decay=0.3, decay_of="all"))
    assert (len(every["params"]), every["weight_decay"]) == (4, 0.3)


@pytest.mark.parametrize(("clip_of", "method_gradient"), [("all", 10 / 13), ("network", 5.0)])
def test_a_method_is_clipped_with_the_network_or_not_at_all(clip_of: str, method_gradient: float) -> None:
    networks = object.__new__(Networks)
    networks.config = TrainConfig(clip=2.0, clip_of=clip_of)
    networks.own, networks.extra = [nn.Parameter(torch.zeros(1))], [nn.Parameter(torch.zeros(1))]
    networks.scaler, networks.mean, networks.world = torch.amp.GradScaler("cpu", enabled=False), None, World()
    networks.optimizer = torch.optim.SGD([*networks.own, *networks.extra], lr=1.0)
    networks.own[0].grad, networks.extra[0].grad = torch.tensor([12.0]), torch.tensor([5.0])
    norm = float(networks._update(0))
    # 5, 12, 13: of both the norm is 13, of the network alone 12; the limit is 2.
    assert norm == pytest.approx(13.0 if clip_of == "all" else 12.0)
    assert networks.own[0].item() == pytest.approx(-24 / 13 if clip_of == "all" else -2.0, rel=1e-5)
    assert networks.extra[0].item() == pytest.approx(-method_gradient, rel=1e-5)


def test_adamw_step_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([[1.0, -2.0]]))
    optimizer = build_optimizer([weight], TrainConfig(lr=0.1, weight_decay=0.5))
    weight.grad = torch.tensor([[0.5, 3.0]])
    optimizer.step()
    # The first Adam step is lr * sign(gradient); AdamW first shrinks the weight by lr * decay.
    np.testing.assert_allclose(weight.detach(), [[0.95 - 0.1, -1.9 - 0.1]], rtol=1e-6)


def test_sgd_momentum_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = build_optimizer([weight], TrainConfig(optimiser="sgd", lr=0.1, momentum=0.5))
    expected, velocity = 1.0, 0.0
    for gradient in (1.0, -2.0, 0.5):
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        velocity = 0.5 * velocity + gradient
        expected -= 0.1 * (gradient + 0.5 * velocity)  # Nesterov
        assert float(weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_accumulated_gradient_is_the_gradient_of_the_whole_batch() -> None:
    from galshift.training._networks import Networks
    from galshift.training.job import TrainingJob
    from galshift.training.step import DomainInput
    from galshift.training.world import World
    from tests.training_helpers import HEAD, SourceOnly, images

    class Plain(nn.Module):
        """A network without batch norm."""

        def __init__(self) -> None:
            super().__init__()
            self.head, self.feature_dim = nn.Linear(512, 3), 512
            self.spec = {"n_classes": 3}

        def forward(self, x: torch.Tensor):
            from galshift.types import Output

            return Output(x.flatten(1), self.head(x.flatten(1)))

    torch.manual_seed(0)
    start, (pixels, labels) = Plain(), images(8, 0)
    config = TrainConfig(batch_size=8, clip=None, optimiser="sgd", momentum=0.0)
    plan, source = Plan(config, seed=0, n_source=8, n_target=0), TrainingSet(pixels, labels)
    job = TrainingJob(source=source, valid=None, target=None, training=config, head=HEAD, device="cpu")

    def inputs(number: int, accumulate: int) -> list:
        parts = zip(pixels.chunk(accumulate), labels.chunk(accumulate), strict=True)
        x, y = list(parts)[number]
        return [DomainInput(x, torch.arange(len(x)), y), None]

    steps = []
    for accumulate in (1, 4):
        model = copy.deepcopy(start)
        networks = Networks(job, model, SourceOnly(), plan, World())
        values = networks.step(30, inputs, accumulate, probe=False)
        steps.append((networks.model.head.weight.detach().clone(), values))
    model = copy.deepcopy(start)
    loss = functional.cross_entropy(model(pixels).logits, labels)
    loss.backward()
    expected = model.head.weight - plan.lr(30) * (
        model.head.weight.grad + plan.config.weight_decay * model.head.weight
    )
    for weight, values in steps:
        torch.testing.assert_close(weight, expected, rtol=1e-5, atol=1e-7)
        assert float(values["loss"]) == pytest.approx(float(loss.detach()), rel=1e-6)
        squares = [p.grad.square().sum() for p in model.parameters()]
        assert float(values["gradient_norm"]) == pytest.approx(math.sqrt(float(sum(squares))), rel=1e-5)


def test_training_set_refuses_what_does_not_fit() -> None:
    with pytest.raises(DataError, match="3 labels for 4 training images"):
        TrainingSet(torch.zeros(4, 1, 8, 8), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(DataError, match="int64"):
        TrainingSet(torch.zeros(4, 1, 8, 8), torch.zeros(4))


def test_the_live_line_says_losses_source_score_and_best() -> None:
    config = TrainConfig(epochs=30, select="infomax", batch_size=64)
    plan = Plan(config, seed=0, n_source=128, n_target=64)
    record = Record(step=7, epoch=3, best_epoch=2)
    record.history = [{"valid_accuracy": 0.8125, "valid_loss": 0.5, "score": 0.4321}]
    record.sums = {name: torch.tensor(value) for name, value in (("loss", 1.5), ("classification", 0.5))}
    steps = 7 - 3 * plan.steps_per_epoch
    assert live_line(record, plan) == (
        f"epoch 4/30 warm-up: classification {0.5 / steps:.3g}; "
        "source accuracy 0.812, infomax 0.432, best epoch 2"
    )
    assert live_line(Record(), plan) == "epoch 1/30 warm-up: "


def test_a_pass_that_a_disk_can_follow_still_shows_every_image_once() -> None:
    """Blocks of 10 rows, two mixed at a time: each pass is a permutation, and rows come from few blocks."""
    one, two = (batch_indices(200, 5, "source", start, 200, (10, 2)) for start in (0, 200))
    for taken in (one, two):
        assert sorted(taken.tolist()) == list(range(200))
    assert not torch.equal(one, two)
    blocks = [len(set((part // 10).tolist())) for part in one.split(10)]
    assert max(blocks) <= 5
    anywhere = [len(set((part // 10).tolist())) for part in batch_indices(200, 5, "source", 0, 200).split(10)]
    assert sum(anywhere) > 1.5 * sum(blocks)
