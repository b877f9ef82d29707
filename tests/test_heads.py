"""Heads for numbers: losses against scipy and torch, their gradients, and what they recover."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional

from galshift.errors import ConfigError, DataError
from galshift.methods import METHODS
from galshift.methods.deepjdot import joint_cost
from galshift.methods.jmmd import jmmd
from galshift.methods.mmd import mmd
from galshift.training.config import TrainConfig
from galshift.training.heads import (
    ClassHead,
    ValueHead,
    VotesHead,
    check_method,
    head_of,
    make_head,
)
from galshift.training.likelihoods import (
    LOG_VARIANCE,
    concentrations,
    dirichlet_multinomial_nll,
    gaussian_nll,
)
from galshift.types import Output


def numeric_gradient(loss, x: Tensor, step: float = 1e-4) -> Tensor:
    """Central differences of a scalar function of a float64 tensor."""
    out = torch.zeros_like(x)
    for place in np.ndindex(*x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.clone()
            moved[place] += sign * step
            ends.append(float(loss(moved)))
        out[place] = (ends[0] - ends[1]) / (2 * step)
    return out


def draws(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gaussian_loss_is_scipys_density_and_torchs_loss():
    outputs, labels = draws(6, 4), draws(6, 2, seed=1)
    variance = torch.exp(LOG_VARIANCE * torch.tanh(outputs[:, 2:] / LOG_VARIANCE))
    expected = -stats.norm.logpdf(labels, outputs[:, :2], variance.sqrt()).mean()
    assert float(gaussian_nll(outputs, labels)) == pytest.approx(expected, rel=1e-6)
    peer = functional.gaussian_nll_loss(outputs[:, :2], labels, variance, full=True, eps=1e-12)
    assert float(gaussian_nll(outputs, labels)) == pytest.approx(float(peer), rel=1e-6)


def test_gaussian_loss_has_the_closed_form_gradient():
    outputs, labels = draws(5, 2).requires_grad_(), draws(5, 1, seed=1)
    gaussian_nll(outputs, labels).backward()
    mean, raw = outputs.detach().T
    log_v = LOG_VARIANCE * torch.tanh(raw / LOG_VARIANCE)
    residual = mean - labels[:, 0]
    slope = 1 - torch.tanh(raw / LOG_VARIANCE) ** 2
    expected = torch.stack(
        [residual / log_v.exp(), 0.5 * (1 - residual**2 / log_v.exp()) * slope], dim=1
    ) / len(labels)
    torch.testing.assert_close(outputs.grad, expected, rtol=1e-5, atol=1e-7)


def test_gaussian_loss_stays_finite_where_the_variance_would_not():
    outputs = torch.tensor([[0.0, -1e6], [0.0, 1e6]], requires_grad=True)
    loss = gaussian_nll(outputs, torch.tensor([[0.0], [3.0]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(outputs.grad).all()


@pytest.mark.parametrize("k", [2, 3, 7])
def test_votes_loss_is_scipys_dirichlet_multinomial(k):
    outputs = 2 * draws(8, k)
    counts = torch.from_numpy(np.random.default_rng(k).multinomial(40, np.full(k, 1 / k), size=8))
    expected = -stats.dirichlet_multinomial.logpmf(counts.numpy(), np.exp(outputs.numpy()), 40).mean()
    assert float(dirichlet_multinomial_nll(outputs, counts)) == pytest.approx(expected, rel=1e-6)


def test_votes_loss_has_the_gradient_of_finite_differences():
    counts = torch.tensor([[3.0, 5.0, 2.0], [0.0, 12.5, 0.5]])
    outputs = draws(2, 3).requires_grad_()
    dirichlet_multinomial_nll(outputs, counts).backward()

    def scipy_loss(x: Tensor) -> float:
        from scipy.special import gammaln

        a, n = np.exp(x.numpy()), counts.double().numpy()
        each = gammaln(n + a) - gammaln(a) - gammaln(n + 1)
        rows = gammaln(a.sum(1)) + gammaln(n.sum(1) + 1) - gammaln(n.sum(1) + a.sum(1)) + each.sum(1)
        return -rows.mean()

    expected = numeric_gradient(scipy_loss, outputs.detach())
    torch.testing.assert_close(outputs.grad, expected, rtol=1e-5, atol=1e-6)


def test_votes_become_multinomial_for_large_concentrations():
    fractions = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)
    counts = torch.tensor([[3, 4, 1]])
    expected = -stats.multinomial.logpmf(counts[0].numpy(), 8, fractions[0].numpy())
    found = [float(dirichlet_multinomial_nll(fractions.log() + grow, counts)) for grow in (3.0, 6.0, 9.9)]
    gaps = [abs(value - expected) for value in found]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3


def test_expected_fraction_is_the_softmax_within_and_beyond_the_bounds():
    outputs = torch.tensor([[1.0, -2.0, 0.5], [60.0, 58.0, 59.0], [-70.0, -71.0, -72.0]], requires_grad=True)
    alpha = concentrations(outputs)
    fractions = alpha / alpha.sum(1, keepdim=True)
    torch.testing.assert_close(fractions, torch.softmax(outputs.double(), 1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(alpha[0], outputs[0].double().exp())
    loss = dirichlet_multinomial_nll(outputs, torch.tensor([[1.0, 2, 3]] * 3))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(outputs.grad).all()


def test_known_noise_is_recovered():
    """y = 2 x + noise whose sd is 0.1 for x < 0 and 0.5 above: the network must say so."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(4000, 1, generator=g) * 2 - 1
    truth = torch.where(x < 0, 0.1, 0.5)
    y = 2 * x + truth * torch.randn(4000, 1, generator=g)
    head = make_head("value", ["y"], y.numpy())
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, head.n_outputs))
    criterion = head.criterion(TrainConfig(), y)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(600):
        optimiser.zero_grad()
        criterion(net(x), y).backward()
        optimiser.step()
    value, sigma = head.values(net(x).detach().numpy())
    away = np.abs(x.numpy()) > 0.2
    assert np.abs(value - 2 * x.numpy()).mean() < 0.05
    np.testing.assert_allclose(sigma[away], truth.numpy()[away], rtol=0.3)
    for side in (x.numpy() < -0.2, x.numpy() > 0.2):
        assert np.median(sigma[side]) == pytest.approx(truth.numpy()[side][0], rel=0.08)


def test_labels_are_standardised_by_the_training_part_and_back():
    labels = np.array([[1.0, 1e5], [3.0, 3e5], [5.0, 2e5]])
    head = make_head("value", ["a", "b"], labels)
    seen = head.seen(torch.from_numpy(labels))
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.std(0, correction=0), 1, rtol=1e-6)
    value, sigma = head.values(np.concatenate([seen.numpy(), np.zeros((3, 2))], axis=1))
    np.testing.assert_allclose(value, labels, rtol=1e-5)
    np.testing.assert_allclose(sigma, np.broadcast_to(labels.std(0), (3, 2)))


@pytest.mark.parametrize(
    "head",
    [
        ClassHead(("a", "b")),
        VotesHead(("a", "b"), mean=(0.25, 0.75), concentration=3.0, total="n_votes"),
        ValueHead(("z",), mean=(0.5,), sd=(0.1,)),
    ],
)
def test_a_head_survives_json(head):
    import json

    assert head_of(json.loads(json.dumps(head.spec())), head.names) == head
    assert head_of(None, ("a", "b")) == ClassHead(("a", "b"))


def test_baseline_concentration_is_the_likeliest():
    rng = np.random.default_rng(0)
    counts = np.stack([rng.multinomial(40, rng.dirichlet([2.0, 3.0, 5.0])) for _ in range(800)])
    head = make_head("votes", ["a", "b", "c"], counts)
    np.testing.assert_allclose(head.mean, [0.2, 0.3, 0.5], atol=0.02)
    assert head.concentration == pytest.approx(10, rel=0.15)


def test_labels_that_cannot_be_learnt_are_refused():
    with pytest.raises(DataError, match=r"is 0\.3 for every"):
        make_head("value", ["z"], np.full((5, 1), 0.3))
    value, votes = ValueHead(("z",), (0.0,), (1.0,)), VotesHead(("a", "b"), (0.5, 0.5), 1.0)
    for head, labels, words in (
        (value, torch.tensor([[math.nan]]), "not finite"),
        (value, torch.zeros(3, dtype=torch.int64), "shape"),
        (value, None, "needs labels"),
        (votes, torch.tensor([[1.0, -1.0]]), "negative"),
        (votes, torch.tensor([[0.0, 0.0]]), "needs a vote"),
        (ClassHead(("a", "b")), torch.zeros(3, 1), "int64"),
    ):
        with pytest.raises(DataError, match=words):
            head.check(labels, "source training set")
    with pytest.raises(ConfigError, match="for classes"):
        value.criterion(TrainConfig(focal=2.0), None)


def test_methods_that_read_classes_are_refused_and_the_others_named():
    head = ValueHead(("z",), (0.0,), (1.0,))
    fit = {name for name in METHODS.names() if not METHODS.get(name).needs_classes}
    assert fit >= {"mmd", "coral", "dann", "sinkhorn", "afn", "adabn", "deepjdot", "jmmd", "source-only"}
    for name in METHODS.names():
        method = METHODS.get(name)()
        if name in fit:
            check_method(method, head, name)
            continue
        with pytest.raises(ConfigError, match=f"{name} .*needs classes") as caught:
            check_method(method, head, name)
        assert "coral" in caught.value.hint
        check_method(method, ClassHead(("a", "b")))
    config = METHODS.get("coral").Config(fisher=0.1)
    with pytest.raises(ConfigError, match="fisher"):
        check_method(METHODS.get("coral")(config), head, "coral")
    config = METHODS.get("dann").Config(conditional=True)
    with pytest.raises(ConfigError, match="conditional"):
        check_method(METHODS.get("dann")(config), head, "dann")


def test_deepjdot_costs_squared_differences_of_continuous_labels():
    source, target, labels, outputs = (
        draws(4, 3),
        draws(5, 3, seed=1),
        draws(4, 2, seed=2),
        draws(5, 4, seed=3),
    )
    found = joint_cost(source, target, labels, outputs, 0.1, 0.7)
    expected = 0.1 * torch.cdist(source, target) ** 2 + 0.7 * torch.cdist(labels, outputs[:, :2]) ** 2
    torch.testing.assert_close(found, expected)


def test_jmmd_conditions_on_the_predicted_means():
    source, target = (
        Output(draws(6, 3), draws(6, 2, seed=1)),
        Output(draws(7, 3, seed=2), draws(7, 2, seed=3)),
    )
    constant = [Output(o.features, torch.cat([torch.ones(len(o.logits), 1), o.logits[:, 1:]], 1).double())
                for o in (source, target)]  # fmt: skip
    assert float(jmmd(*constant, continuous=True)) == pytest.approx(
        float(mmd(source.features, target.features, statistic="unbiased")), rel=1e-9
    )
    assert float(jmmd(source, target, continuous=True)) != pytest.approx(
        float(jmmd(*constant, continuous=True))
    )
