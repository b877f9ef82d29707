"""Weightings, helper terms, and DANN under another class mix."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.methods._base import MethodConfig
from galshift.methods.weighting import WEIGHTINGS
from galshift.methods.weighting.dynamic_average import WINDOW
from galshift.types import Batch, Output

# Weightings


def weigh(name: str, supervised: float, adaptation: float, progress: float = 0.5) -> tuple[Tensor, nn.Module]:
    """The total of two losses at a new weighting."""
    weighting = WEIGHTINGS.get(name)()
    losses = (torch.tensor(supervised), torch.tensor(adaptation))
    return weighting.combine(*losses, (), progress), weighting


def test_fixed_and_ramped() -> None:
    assert weigh("fixed", 2.0, 3.0)[0].item() == 5
    assert weigh("ramped", 2.0, 3.0, 0.5)[0].item() == pytest.approx(2 + 3 * math.tanh(2.5))
    assert weigh("ramped", 2.0, 3.0, 0.0)[0].item() == 2


def test_learned_weights_start_at_a_half_and_settle_where_the_derivative_is_zero() -> None:
    value, weighting = weigh("learned", 2.0, 3.0)
    assert value.item() == pytest.approx(2 / 2 + 3 / 2 + 2 * math.log(2))
    optimiser = torch.optim.Adam(weighting.parameters(), lr=0.05)
    for _ in range(800):
        optimiser.zero_grad()
        weighting.combine(torch.tensor(0.8), torch.tensor(0.3), (), 0.5).backward()
        optimiser.step()
    # d/de [L / (2 e^2) + ln(1 + e^2)] = 0 at 2 e^4 = L (1 + e^2).
    for scale, loss in zip(weighting.scales().tolist(), (0.8, 0.3), strict=True):
        v = (loss + math.sqrt(loss**2 + 8 * loss)) / 4
        assert scale == pytest.approx(math.sqrt(v), rel=1e-3)


def test_uncertainty_weights_are_those_of_sidda() -> None:
    value, weighting = weigh("uncertainty", 2.0, 3.0)
    assert float(value.detach()) == pytest.approx(2.5)  # (2 + 3) / 2 + ln 1
    # d/de (L / (2 e^2) + ln e) = -L / e^3 + 1 / e, at e = 1.
    value.backward()
    assert weighting.scale.grad.tolist() == pytest.approx([-1.0, -2.0])
    with torch.no_grad():
        weighting.scale.copy_(torch.tensor([4.0, -1.0]))
    weighting.scale.grad = None
    weighting.combine(torch.tensor(8.0), torch.tensor(2.0), (), 0.0).backward()
    assert weighting.scale.tolist() == [4.0, 1.0]  # a quarter of the first
    # The gradient is that of the scales before they were held: -8 / 64 + 1 / 4 and -2 / -1 + 1 / -1.
    assert weighting.scale.grad.tolist() == pytest.approx([0.125, 1.0])
    with torch.no_grad():
        weighting.scale.copy_(torch.tensor([-4.0, 2.0]))
    weighting.combine(torch.tensor(1.0), torch.tensor(1.0), (), 0.0).backward()
    assert weighting.scale.tolist() == pytest.approx([0.001, 2.0])


@pytest.mark.parametrize("adaptation", [0.0, 1e-8, -2.0])
def test_learned_weights_cannot_run_away(adaptation: float) -> None:
    weighting = WEIGHTINGS.get("learned")()
    optimiser = torch.optim.Adam(weighting.parameters(), lr=0.1)
    for _ in range(500):
        optimiser.zero_grad()
        total = weighting.combine(torch.tensor(0.5), torch.tensor(adaptation), (), 0.5)
        total.backward()
        optimiser.step()
    weights = 1 / (2 * weighting.scales().square())
    assert bool(torch.isfinite(total))
    assert total.item() > -10
    assert weights.min() > 0
    assert weights.max() <= 50
    # A term that may go below zero is weighed by its size: the least loss is not a reason for all the weight.
    if adaptation == -2.0:
        assert weights[1] < 1


def test_gradnorm_brings_the_pulls_together() -> None:
    weighting = WEIGHTINGS.get("gradnorm")()
    z = torch.ones(4, requires_grad=True)
    optimiser = torch.optim.Adam(weighting.parameters(), lr=0.02)
    for _ in range(300):
        optimiser.zero_grad()
        supervised, adaptation = z.sum(), 9 * z.sum()
        total = weighting.combine(supervised, adaptation, (z,), 0.5)
        assert total.item() == pytest.approx(
            (weighting.weights(0.5) * torch.tensor([4.0, 36.0])).sum().item()
        )
        total.backward()
        optimiser.step()
    assert weighting.weights(0.5).tolist() == pytest.approx([1.8, 0.2], abs=0.05)
    assert weighting.weights(0.5).sum().item() == pytest.approx(2)


def test_dynamic_average_follows_the_slower_loss() -> None:
    weighting = WEIGHTINGS.get("dynamic-average")()
    one = torch.ones((), requires_grad=True)
    for step in range(2 * WINDOW):
        factor = 1.0 if step < WINDOW else 0.5
        weighting.combine(2 * one, 3 * factor * one, (), 0.5)
    expected = 2 * np.exp([1 / 2, 0.5 / 2]) / np.exp([1 / 2, 0.5 / 2]).sum()
    assert weighting.weights(0.5).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_every_weighting_reaches_both_losses_and_round_trips(name: str) -> None:
    z = torch.ones(3, requires_grad=True)
    weighting = WEIGHTINGS.get(name)()
    total = weighting.combine(z[0].square(), z[1].square(), (z,), 0.7)
    total.backward()
    assert z.grad[0] != 0
    assert z.grad[1] != 0
    assert WEIGHTINGS.get(name)().load_state_dict(weighting.state_dict())
    assert weighting.weights(0.7).shape == (2,)


def test_what_a_step_shows_beside_its_losses() -> None:
    method = METHODS.get("dann")(METHODS.get("dann").Config(weighting="learned"))
    method.build(4, 3, 8).eval()
    apart = [torch.randn(8, 4, generator=torch.Generator().manual_seed(k)) for k in (0, 1)]
    parts = [Batch(torch.zeros(0), Output(z, torch.zeros(8, 3)), None, torch.arange(8)) for z in apart]
    method.combine({"classification": torch.tensor(1.0), **method.terms(*parts, 1.0)}, 1.0)
    seen = {name: float(value) for name, value in method.observed.items()}
    assert seen["reversal"] == pytest.approx(0.3 * math.tanh(5))
    assert 0 <= seen["domain_accuracy"] <= 1
    assert (seen["weight_classification"], seen["weight_adaptation"]) == pytest.approx((0.5, 0.5))


# Helper terms


def test_fisher_centres_are_optimised_and_pull_the_classes_together() -> None:
    method = METHODS.get("source-only")(MethodConfig(fisher=1.0))
    method.build(4, 3, 0)
    torch.manual_seed(0)
    labels = torch.arange(30) % 3
    features = (3 * torch.eye(3, 4)[labels] + torch.randn(30, 4)).requires_grad_()
    optimiser = torch.optim.Adam([*method.nets.parameters()], lr=0.05)
    for _ in range(400):
        source = Batch(torch.zeros(0), Output(features, features[:, :3]), labels, torch.arange(30))
        value = method.terms(source, None, 0.5)["fisher"]
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    # With fixed features the least ratio is S / (S + M), at centres that stand (S + M) / M times as far from
    # their mean as the class means do: S is the scatter within classes, M that of their means.
    x = features.detach()
    means = torch.stack([x[labels == k].mean(0) for k in range(3)])
    within = (x - means[labels]).square().sum(1).mean()
    between = (means - means.mean(0)).square().sum(1).mean()
    centres = method.nets["fisher"].centres.detach()
    assert value.item() == pytest.approx((within / (within + between)).item(), rel=1e-3)
    expected = means.mean(0) + (1 + within / between) * (means - means.mean(0))
    assert torch.allclose(centres, expected, atol=0.02)


def test_fisher_centres_start_where_their_class_is() -> None:
    fisher = METHODS.get("source-only")(MethodConfig(fisher=1.0)).build(2, 3, 0)["fisher"]
    features = torch.tensor([[10.0, 0], [12, 0], [0, 30]])
    fisher(features, torch.tensor([0, 0, 2]))
    assert fisher.placed.tolist() == [True, False, True]
    assert fisher.centres[0].tolist() == [11, 0]
    fisher(features, torch.tensor([1, 0, 2]))
    assert fisher.centres[:2].tolist() == [[11, 0], [10, 0]]


def test_fisher_centres_start_at_random_where_asked() -> None:
    """As published: normal numbers, of the seed that the networks are built with, that no batch moves."""
    method = METHODS.get("mmd")(METHODS.get("mmd").Config(fisher=1.0, fisher_start="random"))
    torch.manual_seed(3)
    fisher = method.build(2, 3, 0)["fisher"]
    fisher(torch.tensor([[10.0, 0], [12, 0], [0, 30]]), torch.tensor([0, 1, 2]))
    assert torch.equal(fisher.centres, torch.randn(3, 2, generator=torch.Generator().manual_seed(3)))


def test_an_option_that_came_later_leaves_a_method_what_it_was() -> None:
    """Every method's config, so its runs' fingerprints too: typed from a run of before."""
    shared = {"weighting", "fisher", "entropy", "domain_batchnorm"}
    for name in ("coral", "sinkhorn", "mmd", "source-only"):
        config = METHODS.get(name).Config()
        assert shared <= set(config.model_dump())
        assert not {"fisher_start", "diameter"} & set(config.model_dump())
        assert type(config)(fisher_start="random").model_dump()["fisher_start"] == "random"


def test_target_entropy_joins_any_method() -> None:
    method = METHODS.get("coral")(METHODS.get("coral").Config(entropy=0.5))
    method.build(4, 3, 8)
    parts = [Batch(torch.zeros(0), Output(torch.randn(8, 4), torch.zeros(8, 3)), None, torch.arange(8))] * 2
    terms = method.terms(*parts, 0.5)
    assert set(terms) == {"coral", "entropy"}
    assert terms["entropy"].item() == pytest.approx(0.5 * math.log(3))


def test_losses_are_computed_in_float32_under_autocast() -> None:
    method = METHODS.get("mmd")()
    method.build(4, 3, 8)
    x = 300 * torch.randn(8, 4)
    parts = [Batch(torch.zeros(0), Output(z, torch.zeros(8, 3)), None, torch.arange(8)) for z in (x, x + 200)]
    exact = method.terms(*parts, 0.5)["mmd"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = method.terms(*parts, 0.5)["mmd"]
    assert inside.dtype == torch.float32
    assert inside.item() == exact.item()


def test_source_only_carries_helper_terms_but_no_second_batch_norm(tmp_path: Path) -> None:
    from galshift.models.build import build_model
    from galshift.training.config import TrainConfig
    from galshift.training.heads import ClassHead
    from galshift.training.job import TrainingJob
    from galshift.training.loop import fit
    from galshift.training.sets import TrainingSet

    with pytest.raises(ConfigError, match="adabn"):
        METHODS.get("source-only")(MethodConfig(domain_batchnorm=True))
    assert METHODS.get("source-only")(MethodConfig(entropy=0.1)).uses_target
    labels = torch.arange(16) % 2
    images = TrainingSet(torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(0)), labels)
    result = fit(
        build_model("deepmerge", in_channels=1, size=16, n_classes=2),
        METHODS.get("source-only")(MethodConfig(fisher=0.5)),
        TrainingJob(
            source=images,
            valid=images,
            target=None,
            training=TrainConfig(epochs=1, batch_size=8),
            head=ClassHead(("a", "b")),
            device="cpu",
        ),
        directory=tmp_path,
        seed=0,
        progress=None,
    )
    assert result.history[0]["fisher"] > 0


# Label shift


@pytest.mark.parametrize(
    ("conditional", "mix"), [(False, (0.9, 0.1)), (True, (0.9, 0.1)), (False, (0.5, 0.5))]
)
def test_conditional_dann_does_not_take_another_class_mix_for_another_domain(
    conditional: bool, mix: tuple[float, float]
) -> None:
    torch.manual_seed(0)
    method = METHODS.get("dann")(METHODS.get("dann").Config(conditional=conditional, strength=0.0))
    method.build(4, 2, 200).eval()
    corners = torch.tensor([[3.0, -1, 0, 1], [-3.0, 1, 0, -1]])
    labels = [torch.arange(200) % 2, (torch.arange(200) >= 200 * mix[0]).long()]
    parts = [
        Batch(
            torch.zeros(0),
            Output(corners[y], 50.0 * (1 - 2 * torch.stack([y, 1 - y], 1))),
            y,
            torch.arange(200),
        )
        for y in labels
    ]
    optimiser = torch.optim.Adam(method.nets.parameters(), lr=0.01)
    for _ in range(150):
        value = method.terms(*parts, 1.0)["domain"]
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    # The best discriminator of two mixtures of separable classes: ln 2 less their Jensen-Shannon divergence.
    p, q = np.array([0.5, 0.5]), np.array([0.5, 0.5]) if conditional else np.array(mix)
    best = -0.5 * (p * np.log(p / (p + q)) + q * np.log(q / (p + q))).sum()
    assert value.item() == pytest.approx(best, abs=2e-3)
