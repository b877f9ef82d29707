"""Distances between clouds against values worked out another way: double sums, scipy, POT, geomloss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from galshift.methods._distances import median_off_diagonal, squared_distances
from galshift.methods._transport import exact_plan
from galshift.methods.coral import coral
from galshift.methods.deepjdot import deepjdot
from galshift.methods.jmmd import jmmd
from galshift.methods.mmd import MERGER_VARIANCES, gaussian_kernels, mmd
from galshift.methods.sinkhorn import sinkhorn_divergence
from galshift.types import Output
from tests.methods_helpers import clouds, reference_draw, softmax


@pytest.fixture(scope="module")
def sample() -> dict[str, Tensor]:
    return reference_draw()


# Distances and kernels


def test_squared_distances_far_from_the_origin() -> None:
    x, y = clouds()
    direct = ((x[:, None] - y[None]) ** 2).sum(2)
    assert torch.allclose(squared_distances(x, y), direct, atol=1e-12)
    offset = squared_distances((x + 1000).float(), (y + 1000).float())
    assert torch.allclose(offset.double(), direct, rtol=2e-3)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_median_off_diagonal(n: int) -> None:
    d2 = np.random.default_rng(n).random((n, n))
    off = np.sort(d2[~np.eye(n, dtype=bool)])
    expected = off[(len(off) - 1) // 2] if len(off) else 0.0
    assert median_off_diagonal(torch.tensor(d2)).item() == expected


def double_sum_mmd(s: Tensor, t: Tensor, statistic: str, variances: np.ndarray, average: bool) -> float:
    """MMD by explicit loops over pairs."""
    x, y = s.numpy(), t.numpy()

    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        total, count = 0.0, 0
        for i in range(len(a)):
            for j in range(len(b)):
                if same and statistic == "unbiased" and i == j:
                    continue
                k = np.exp(-((a[i] - b[j]) ** 2).sum() / (2 * variances))
                total += k.mean() if average else k.sum()
                count += 1
        return total / count

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


@pytest.mark.parametrize("statistic", ["unbiased", "biased"])
def test_mmd_is_the_double_sum(statistic: str) -> None:
    s, t = clouds()
    both = np.concatenate([s, t])
    d2 = ((both[:, None] - both[None]) ** 2).sum(2)
    off = np.sort(d2[~np.eye(len(both), dtype=bool)])
    variances = off[(len(off) - 1) // 2] * 2.0 ** np.arange(1, -4, -1)
    expected = double_sum_mmd(s, t, statistic, variances, average=True)
    assert mmd(s, t, statistic=statistic).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("statistic", ["unbiased", "biased"])
def test_merger_kernels_are_the_double_sum(statistic: str) -> None:
    s, t = clouds()
    expected = double_sum_mmd(s, t, statistic, np.array(MERGER_VARIANCES), average=False)
    assert mmd(s, t, kernels="merger", statistic=statistic).item() == pytest.approx(expected, abs=1e-10)
    assert len(MERGER_VARIANCES) == 19


def test_kernel_gradients_are_the_difference_quotients() -> None:
    d2 = 4 * torch.rand(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    widest = torch.tensor(1.7, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: gaussian_kernels(x, widest, 5), (d2.requires_grad_(),))
    expected = np.exp(-d2.detach().numpy()[..., None] / (2 * 1.7 * 0.5 ** np.arange(5))).mean(-1)
    assert gaussian_kernels(d2, widest, 5).detach().numpy() == pytest.approx(expected, rel=1e-12)


def test_mmd_of_two_gaussians_has_its_closed_form() -> None:
    g = torch.Generator().manual_seed(0)
    d, n, a, b, shift = 3, 300, 1.0, 1.5, 0.8

    def expected_kernel(v: float, mu2: float, s2: float) -> float:
        return (s2 / (s2 + v)) ** (d / 2) * math.exp(-mu2 / (2 * (s2 + v)))

    errors = []
    for _ in range(60):
        s = a * torch.randn(n, d, generator=g, dtype=torch.float64)
        t = b * torch.randn(n, d, generator=g, dtype=torch.float64) + shift
        both = torch.cat([s, t])
        s2 = 2.0 * median_off_diagonal(squared_distances(both, both)).item()
        parts = [expected_kernel(2 * a * a, 0, s2), expected_kernel(2 * b * b, 0, s2)]
        expected = sum(parts) - 2 * expected_kernel(a * a + b * b, d * shift**2, s2)
        errors.append(mmd(s, t, n_kernels=1).item() / expected - 1)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors)) < 0.1


def test_unbiased_mmd_is_zero_on_average_for_equal_distributions() -> None:
    g = torch.Generator().manual_seed(2)
    values = [mmd(*torch.randn(2, 20, 5, generator=g, dtype=torch.float64)).item() for _ in range(400)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 4 * error
    assert min(values) < 0


def test_joint_mmd_of_equal_predictions_is_mmd() -> None:
    s, t = clouds()
    same = [torch.ones(len(x), 3, dtype=torch.float64) for x in (s, t)]
    assert jmmd(Output(s, same[0]), Output(t, same[1])).item() == pytest.approx(mmd(s, t).item(), abs=1e-14)


def test_joint_mmd_of_one_image_each_by_hand() -> None:
    s, t = (torch.tensor([[v]], dtype=torch.float64) for v in (0.0, 1.0))
    ls, lt = (torch.tensor([v], dtype=torch.float64) for v in ([0.0, 0.0], [20.0, -20.0]))
    # One pair: the median squared distance is 1, so the variance is 2; the probabilities are 0.5 apart.
    k = math.exp(-1 / 4) * math.exp(-0.5 / (2 * 0.92**2))
    value = jmmd(Output(s, ls), Output(t, lt), n_kernels=1)
    assert value.item() == pytest.approx(2 - 2 * k, abs=1e-8)


# CORAL


def test_coral_is_numpys_covariance(sample: dict[str, Tensor]) -> None:
    s, t = sample["s"], sample["t"]
    covariances = np.cov(s.numpy(), rowvar=False) - np.cov(t.numpy(), rowvar=False)
    means = s.numpy().mean(0) - t.numpy().mean(0)
    assert coral(s, t, form="paper").item() == pytest.approx((covariances**2).sum() / (4 * 256**2), rel=1e-12)
    assert coral(s, t).item() == pytest.approx((covariances**2).mean() + (means**2).mean(), rel=1e-12)
    assert coral(s, t, form="paper").item() == pytest.approx(0.00816614, abs=1e-8)
    assert coral(s, t).item() == pytest.approx(0.304460, abs=1e-6)


def test_coral_keeps_its_digits_far_from_zero_and_ignores_translation(sample: dict[str, Tensor]) -> None:
    s, t = sample["s"], sample["t"]
    exact = coral(s, t, form="paper").item()
    offset = coral((s + 1000).float(), (t + 1000).float(), form="paper").item()
    assert offset == pytest.approx(exact, rel=1e-4)
    assert coral(s, s + 3, form="paper").item() == pytest.approx(0, abs=1e-20)
    assert coral(3 * s, 3 * t, form="paper").item() == pytest.approx(81 * exact, rel=1e-12)


# Transport


def test_sinkhorn_agrees_with_geomloss() -> None:
    geomloss = pytest.importorskip("geomloss")
    s, t = clouds(30, 40, 3)
    for blur in (0.3, 1.0):
        peer = geomloss.SamplesLoss("sinkhorn", blur=blur, scaling=0.999, backend="tensorized")(s, t).item()
        ours = sinkhorn_divergence(s, t, blur=blur, scaling=0.9, polish=500).item()
        assert ours == pytest.approx(peer, rel=1e-4)


def log_domain_divergence(s: np.ndarray, t: np.ndarray, temperature: float, iterations: int = 3000) -> float:
    """Sinkhorn's alternating iterations in numpy, dual value, debiased."""
    from scipy.special import logsumexp

    def transport(x: np.ndarray, y: np.ndarray) -> float:
        cost = ((x[:, None] - y[None]) ** 2).sum(2) / 2
        f, g = np.zeros(len(x)), np.zeros(len(y))
        for _ in range(iterations):
            f = -temperature * (logsumexp((g - cost) / temperature, axis=1) - np.log(len(y)))
            g = -temperature * (logsumexp((f[:, None] - cost) / temperature, axis=0) - np.log(len(x)))
        return f.mean() + g.mean()

    return transport(s, t) - (transport(s, s) + transport(t, t)) / 2


def test_sinkhorn_agrees_with_alternating_iterations_and_default_is_near_convergence() -> None:
    s, t = clouds(20, 25, 3)
    both = torch.cat([s, t])
    blur = 0.25 * squared_distances(both, both).max().sqrt().item()
    expected = log_domain_divergence(s.numpy(), t.numpy(), blur**2)
    assert sinkhorn_divergence(s, t, scaling=0.9, polish=400).item() == pytest.approx(expected, rel=1e-5)
    assert sinkhorn_divergence(s, t).item() == pytest.approx(expected, rel=1e-3)
    blur /= 5
    expected = log_domain_divergence(s.numpy(), t.numpy(), blur**2)
    assert sinkhorn_divergence(s, t, relative_blur=0.05).item() == pytest.approx(expected, rel=0.05)


def test_the_blur_can_follow_the_distances_between_the_clouds_alone() -> None:
    # 40 within the first cloud; 28, from -20 to 8, between the two.
    s, t = torch.tensor([[-20.0], [20.0]]), torch.tensor([[3.0], [8.0]])
    for diameter, widest in (("all", 40.0), ("between", 28.0)):
        got = sinkhorn_divergence(s, t, relative_blur=0.2, diameter=diameter)
        assert got.item() == pytest.approx(sinkhorn_divergence(s, t, blur=0.2 * widest).item(), rel=1e-6)


def annealed_divergence(s: np.ndarray, t: np.ndarray, blur: float, scaling: float) -> float:
    """Algorithm 1 of Feydy et al. 2019 in numpy: averaged updates while it cools, a full one last."""
    from scipy.special import logsumexp

    both = np.concatenate([s, t])
    start = np.sqrt(((both.max(axis=0) - both.min(axis=0)) ** 2).sum())
    blurs = [start, *start * scaling ** np.arange(1000), blur]
    blurs = [blurs[0], *(one for one in blurs[1:-1] if one > blur), blur]

    def transport(x: np.ndarray, y: np.ndarray) -> float:
        cost = ((x[:, None] - y[None]) ** 2).sum(2) / 2

        def updated(f: np.ndarray, g: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
            return (
                -eps * (logsumexp((g - cost) / eps, axis=1) - np.log(len(y))),
                -eps * (logsumexp((f[:, None] - cost) / eps, axis=0) - np.log(len(x))),
            )

        f, g = updated(np.zeros(len(x)), np.zeros(len(y)), start**2)
        for one in blurs:
            f, g = np.add(f, (new := updated(f, g, one**2))[0]) / 2, np.add(g, new[1]) / 2
        f, g = updated(f, g, blur**2)
        return f.mean() + g.mean()

    return transport(s, t) - (transport(s, s) + transport(t, t)) / 2


def test_sinkhorn_can_anneal_from_the_box_as_the_paper_does() -> None:
    s, t = clouds(12, 17, 3)
    got = sinkhorn_divergence(s, t, blur=0.3, scaling=0.8, polish=0, anneal_from="box").item()
    assert got == pytest.approx(annealed_divergence(s.numpy(), t.numpy(), 0.3, 0.8), rel=1e-9)
    ours = sinkhorn_divergence(s, t, blur=0.3, scaling=0.8, polish=0).item()
    assert abs(ours / got - 1) > 1e-6  # neither has converged


def test_sinkhorn_from_the_box_is_geomloss_and_its_gradient() -> None:
    geomloss = pytest.importorskip("geomloss")
    s, t = (cloud.requires_grad_() for cloud in clouds(30, 40, 3))
    peer = geomloss.SamplesLoss("sinkhorn", blur=0.2, scaling=0.9, backend="tensorized")(s, t)
    ours = sinkhorn_divergence(s, t, blur=0.2, scaling=0.9, polish=0, anneal_from="box")
    assert ours.item() == pytest.approx(peer.item(), rel=1e-9)
    for got, expected in zip(*(torch.autograd.grad(one, (s, t)) for one in (ours, peer)), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-10)


def test_sinkhorn_agrees_with_the_dual_of_pots_plan() -> None:
    ot = pytest.importorskip("ot")
    s, t = clouds(15, 20, 3)
    temperature = 0.5

    def value(x: Tensor, y: Tensor) -> float:
        cost = (((x[:, None] - y[None]) ** 2).sum(2) / 2).numpy()
        a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
        plan = ot.sinkhorn(
            a, b, cost, temperature, method="sinkhorn_log", stopThr=1e-13, numItermax=20000, warn=False
        )
        assert np.allclose(plan.sum(0), b, atol=1e-9)
        divergence = (plan * np.log(np.maximum(plan, 1e-300) / (a[:, None] * b))).sum()
        return (plan * cost).sum() + temperature * divergence

    expected = value(s, t) - (value(s, s) + value(t, t)) / 2
    ours = sinkhorn_divergence(s, t, blur=temperature**0.5, scaling=0.9, polish=300).item()
    assert ours == pytest.approx(expected, rel=1e-5)


def test_sinkhorn_limits() -> None:
    s, t = clouds(12, 12, 3)
    mean2 = (s.mean(0) - t.mean(0)).square().sum().item() / 2
    assert sinkhorn_divergence(s, t, blur=300.0).item() == pytest.approx(mean2, rel=1e-3)
    from scipy.optimize import linear_sum_assignment

    cost = ((s[:, None] - t[None]) ** 2).sum(2).numpy() / 2
    exact = cost[linear_sum_assignment(cost)].mean()
    assert sinkhorn_divergence(s, t, blur=0.05, scaling=0.95, polish=500).item() == pytest.approx(
        exact, rel=0.01
    )
    line = [torch.sort(x[:, 0]).values for x in (s, t)]
    exact = (line[0] - line[1]).square().mean().item() / 2
    value = sinkhorn_divergence(s[:, :1], t[:, :1], blur=0.02, scaling=0.97, polish=3000).item()
    assert value == pytest.approx(exact, rel=0.01)
    assert sinkhorn_divergence(s, s).item() == pytest.approx(0, abs=1e-12)
    one = torch.zeros(1, 3)
    assert sinkhorn_divergence(one, one).item() == 0
    assert sinkhorn_divergence(one, one + 2).item() == pytest.approx(6.0, rel=1e-6)


def test_sinkhorn_gradient_is_that_of_the_converged_value() -> None:
    s, t = clouds(10, 12, 3)
    s.requires_grad_()

    def value(x: Tensor) -> Tensor:
        return sinkhorn_divergence(x, t, blur=0.7, scaling=0.9, polish=300)

    (analytic,) = torch.autograd.grad(value(s), s)
    step, numeric = 1e-4, torch.zeros_like(s)
    for i, j in ((0, 0), (3, 1), (9, 2)):
        up, down = s.detach().clone(), s.detach().clone()
        up[i, j] += step
        down[i, j] -= step
        numeric[i, j] = (value(up) - value(down)) / (2 * step)
        assert analytic[i, j].item() == pytest.approx(numeric[i, j].item(), rel=1e-4)


@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 9), (1, 4), (23, 29)])
def test_exact_plan_agrees_with_pot(n: int, m: int) -> None:
    ot = pytest.importorskip("ot")
    cost = np.random.default_rng(n).random((n, m))
    plan = exact_plan(cost)
    assert plan.sum(1) == pytest.approx(np.full(n, 1 / n))
    assert plan.sum(0) == pytest.approx(np.full(m, 1 / m))
    expected = ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), cost)
    assert (plan * cost).sum() == pytest.approx(expected, rel=1e-9)


def test_deepjdot_is_the_assignment_of_the_joint_cost(sample: dict[str, Tensor]) -> None:
    from scipy.optimize import linear_sum_assignment

    s, t, y, lt = (sample[k].numpy() for k in ("s", "t", "y", "lt"))
    cost = ((s[:, None] - t[None]) ** 2).sum(2) - np.log(softmax(lt)).T[y]
    value = deepjdot(sample["s"], sample["t"], sample["y"], sample["lt"], alpha=1.0, beta=1.0)
    assert value.item() == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-12)
    assert value.item() == pytest.approx(655.83682, rel=1e-6)
