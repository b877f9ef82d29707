"""Every loss against a value worked out another way: double sums, numpy, scipy, POT, geomloss, or by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from galshift.methods._adversarial import domain_loss, ramp, reverse_gradient
from galshift.methods._conditional import MultilinearMap, conditional_domain_loss, entropy_weights
from galshift.methods._distances import median_off_diagonal, squared_distances
from galshift.methods._helpers import fisher_ratio
from galshift.methods._probabilities import entropy, marginal_entropy, mean_entropy
from galshift.methods._separation import Separation, entropy_separation
from galshift.methods._transport import exact_plan
from galshift.methods.adamatch import aligned, consistency
from galshift.methods.afn import feature_norm_distance, feature_norm_step
from galshift.methods.bnm import negative_nuclear_norm
from galshift.methods.coral import coral
from galshift.methods.dance import neighbourhood_entropy
from galshift.methods.dann import class_balance
from galshift.methods.deepastrouda import adaptive_clustering, rank_agreement
from galshift.methods.deepjdot import deepjdot
from galshift.methods.infomax import negative_information
from galshift.methods.jmmd import jmmd
from galshift.methods.mcc import class_confusion
from galshift.methods.mcd import discrepancy
from galshift.methods.mdd import margin_disparity
from galshift.methods.mmd import MERGER_VARIANCES, gaussian_kernels, mmd
from galshift.methods.ovanet import hard_negative_loss, open_entropy
from galshift.methods.shot import pseudo_labels
from galshift.methods.sinkhorn import sinkhorn_divergence
from galshift.types import Output


@pytest.fixture(scope="module")
def sample() -> dict[str, Tensor]:
    """Two clouds of 128 x 256, logits and labels: the draw that the reference figures were made with."""
    g = torch.Generator().manual_seed(1234)
    kwargs = {"generator": g, "dtype": torch.float64}
    s, t = torch.randn(128, 256, **kwargs), 0.5 + 1.3 * torch.randn(128, 256, **kwargs)
    ls, lt = 2 * torch.randn(128, 4, **kwargs), 2 * torch.randn(128, 4, **kwargs)
    y = torch.randint(0, 4, (128,), generator=g)
    a, b = torch.randn(128, 4, **kwargs), torch.randn(128, 4, **kwargs)
    return {"s": s, "t": t, "ls": ls, "lt": lt, "y": y, "as": a, "at": b}


def clouds(n: int = 7, m: int = 9, d: int = 4) -> tuple[Tensor, Tensor]:
    """Two small clouds of unequal size."""
    g = torch.Generator().manual_seed(5)
    return (
        torch.randn(n, d, generator=g, dtype=torch.float64),
        0.7 + 1.4 * torch.randn(m, d, generator=g, dtype=torch.float64),
    )


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax of rows in numpy."""
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


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


# Adversaries


def test_gradient_reversal_and_its_ramp() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    w = torch.tensor([3.0, 5.0])
    out = reverse_gradient(x, 0.25)
    assert torch.equal(out, x)
    (w * out).sum().backward()
    assert torch.equal(x.grad, -0.25 * w)
    assert (ramp(0.0), ramp(0.5), ramp(1.0)) == pytest.approx((0.0, 0.986614, 0.999909), abs=1e-6)


def test_domain_loss_at_chance_and_when_solved() -> None:
    zero = torch.zeros(5, 1)
    assert domain_loss(zero, torch.zeros(3)).item() == pytest.approx(math.log(2))
    assert domain_loss(zero + 50, zero - 50).item() == pytest.approx(0)
    assert math.isfinite(domain_loss(zero - 1e4, zero + 1e4).item())


def test_class_balance_gives_every_class_the_same_total() -> None:
    one_hot = torch.nn.functional.one_hot(torch.tensor([0, 0, 0, 1]), 3).double()
    assert class_balance(one_hot).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])
    assert class_balance(torch.zeros(2, 3)).tolist() == [1, 1]


def test_random_map_keeps_inner_products_on_average() -> None:
    g = torch.Generator().manual_seed(1)
    f, p = torch.rand(2, 6, generator=g), torch.softmax(torch.randn(2, 3, generator=g), 1)
    exact = MultilinearMap(6, 3)(f, p)
    torch.manual_seed(3)
    products = []
    for _ in range(60):
        h = MultilinearMap(6, 3, max_features=1)(f, p)
        products.append((h[0] @ h[1]).item())
    assert (exact[0] @ exact[1]).item() == pytest.approx(((f[0] @ f[1]) * (p[0] @ p[1])).item(), rel=1e-6)
    error = np.std(products) / np.sqrt(len(products))
    assert np.mean(products) == pytest.approx((exact[0] @ exact[1]).item(), abs=4 * error)


def test_entropy_weights_of_certain_and_uniform_predictions() -> None:
    certain = torch.tensor([[100.0, 0, 0], [0, 100.0, 0]])
    assert entropy_weights(certain).tolist() == pytest.approx([1, 1])
    mixed = entropy_weights(torch.tensor([[100.0, 0, 0], [0, 0, 0]]))
    assert (mixed[0] / mixed[1]).item() == pytest.approx(2 / (1 + 1 / 3))


def test_cdan_e_of_certain_predictions_is_cdan() -> None:
    g = torch.Generator().manual_seed(4)
    nets = torch.nn.ModuleDict({"joint": MultilinearMap(4, 3), "discriminator": torch.nn.Linear(12, 1)})
    outputs = [
        Output(torch.randn(n, 4, generator=g), 100 * torch.eye(3)[torch.arange(n) % 3]) for n in (5, 7)
    ]
    results = [conditional_domain_loss(nets, *outputs, 1.0, by_entropy=e) for e in (False, True)]
    values = [loss.item() for loss, _ in results]
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    z = [o.features.numpy() for o in outputs]
    z = [(x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) for x in z]
    h = [
        (softmax(o.logits.numpy())[:, :, None] * x[:, None]).reshape(len(x), -1)
        for o, x in zip(outputs, z, strict=True)
    ]
    w, b = nets["discriminator"].weight.detach().numpy()[0], nets["discriminator"].bias.item()
    expected = 0.5 * (np.log1p(np.exp(-(h[0] @ w + b))).mean() + np.log1p(np.exp(h[1] @ w + b)).mean())
    assert values[0] == pytest.approx(expected, rel=1e-5)
    right = 0.5 * ((h[0] @ w + b > 0).mean() + (h[1] @ w + b <= 0).mean())
    assert results[0][1].item() == pytest.approx(right)


def test_discrepancy_and_margin_disparity(sample: dict[str, Tensor]) -> None:
    ls, lt, a_s, a_t = (sample[k].numpy() for k in ("ls", "lt", "as", "at"))
    expected = np.abs(softmax(ls) - softmax(lt)).mean()
    assert discrepancy(sample["ls"], sample["lt"]).item() == pytest.approx(expected, rel=1e-12)
    rows = np.arange(len(ls))
    agreed = -np.log(softmax(a_s)[rows, ls.argmax(1)]).mean()
    other = np.log(1 - softmax(a_t)[rows, lt.argmax(1)]).mean()
    value = margin_disparity(sample["ls"], sample["as"], sample["lt"], sample["at"])
    assert value.item() == pytest.approx(other - 4 * agreed, rel=1e-10)
    sure = torch.tensor([[200.0, 0.0]], dtype=torch.float64)
    assert margin_disparity(sure, sure, sure, sure).item() == pytest.approx(-200)


# Predictions


def test_entropies_against_scipy_and_at_certainty(sample: dict[str, Tensor]) -> None:
    from scipy.stats import entropy as peer

    p = softmax(sample["lt"].numpy())
    assert mean_entropy(sample["lt"]).item() == pytest.approx(peer(p, axis=1).mean(), rel=1e-12)
    assert marginal_entropy(sample["lt"]).item() == pytest.approx(peer(p.mean(0)), rel=1e-12)
    certain = torch.tensor([[1e4, 0.0, 0.0]], requires_grad=True)
    entropy(certain).sum().backward()
    assert entropy(certain).item() == 0
    assert torch.isfinite(certain.grad).all()


def test_infomax_is_the_mutual_information(sample: dict[str, Tensor]) -> None:
    p = softmax(sample["lt"].numpy())
    joint = p / len(p)
    information = (joint * np.log(joint / (joint.sum(0) * joint.sum(1, keepdims=True)))).sum()
    assert negative_information(sample["lt"]).item() == pytest.approx(-information, rel=1e-10)


def test_class_confusion(sample: dict[str, Tensor]) -> None:
    assert class_confusion(1e4 * torch.eye(4)[[0, 1, 2, 3, 3]]).item() == pytest.approx(0, abs=1e-7)
    assert class_confusion(torch.zeros(6, 4)).item() == pytest.approx(3 / 4)
    for temperature, known in ((1.0, 0.418421), (2.5, 0.653976)):
        p = softmax(sample["lt"].numpy() / temperature)
        w = 1 + np.exp((p * np.log(p)).sum(1))
        c = (p * (w / w.mean())[:, None]).T @ p
        c /= c.sum(1, keepdims=True)
        expected = (c.sum() - np.trace(c)) / 4
        value = class_confusion(sample["lt"], temperature).item()
        assert value == pytest.approx(expected, rel=1e-10)
        assert value == pytest.approx(known, abs=2e-6)
    assert class_confusion(1e4 * torch.eye(4)[[0, 0]]).item() == pytest.approx(0, abs=1e-7)


def test_nuclear_norm(sample: dict[str, Tensor]) -> None:
    expected = -np.linalg.svd(softmax(sample["lt"].numpy()), compute_uv=False).sum() / 128
    assert negative_nuclear_norm(sample["lt"]).item() == pytest.approx(expected, rel=1e-10)
    assert expected == pytest.approx(-0.129688, abs=1e-6)
    one_hot = 1e4 * torch.eye(4).repeat(4, 1)
    assert negative_nuclear_norm(one_hot).item() == pytest.approx(-math.sqrt(4 / 16), rel=1e-5)


def test_feature_norm_step_has_its_gradient_and_value() -> None:
    z = clouds()[0].requires_grad_()
    value = feature_norm_step(z, 1.5)
    value.backward()
    norms = z.detach().norm(dim=1, keepdim=True)
    assert value.item() == pytest.approx(1.5**2)
    assert torch.allclose(z.grad, -2 * 1.5 * z.detach() / (len(z) * norms))
    expected = (np.linalg.norm(z.detach().numpy(), axis=1).mean() - 4) ** 2
    assert feature_norm_distance(z, 4.0).item() == pytest.approx(expected)


# Universal and self-training


@pytest.mark.parametrize("k", [2, 3, 10])
def test_separation_counts_certain_and_uniform_samples_for_every_k(k: int) -> None:
    level = math.log(k) / 2
    certain, uniform = 1e3 * torch.eye(k)[:1], torch.zeros(1, k)
    assert entropy_separation(certain, level).item() == pytest.approx(-level, rel=1e-5)
    assert entropy_separation(uniform, level, margin=1.9).item() == pytest.approx(-level, rel=1e-5)


def test_separation_leaves_the_margin_alone() -> None:
    from scipy.optimize import brentq

    logit = brentq(lambda a: entropy(torch.tensor([[a, 0.0]]).double()).item() - 0.3, 0, 10)
    logits = torch.tensor([[logit, 0.0]])
    assert entropy_separation(logits, 0.3).item() == 0
    assert entropy_separation(logits, 0.16).item() == 0
    assert entropy_separation(logits, 0.1).item() == pytest.approx(-0.2, rel=1e-4)
    assert entropy_separation(logits, 0.65).item() == pytest.approx(-0.35, rel=1e-4)


def test_separation_level_is_the_mean_entropy_of_the_target() -> None:
    from scipy.stats import entropy as peer

    separation = Separation(4, 3)
    assert separation.level().item() == pytest.approx(math.log(3) / 2)
    logits = torch.tensor([[4.0, 0, 0], [5.0, 0, 0], [9.0, 0, 0]])
    separation(torch.tensor([0, 2, 3]), logits)
    expected = peer(softmax(logits.numpy()), axis=1).mean()
    assert separation.level().item() == pytest.approx(expected, rel=1e-5)
    energies = -np.log(np.exp(logits.numpy()).sum(1))
    scores = 1 / (1 + np.exp(-(energies - energies.mean()) / energies.std(ddof=1)))
    assert separation.unknown_score(logits).numpy() == pytest.approx(scores, rel=1e-5)
    separation(torch.arange(4), 1e3 * torch.eye(4, 3))
    assert separation.level().item() == pytest.approx(math.log(3) / 4)


def test_neighbourhood_entropy_by_hand() -> None:
    features = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    prototypes = torch.eye(2, dtype=torch.float64)
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    allowed = torch.tensor([[False, True]])
    p = np.exp(np.array([1, 0, 0]) / 0.5)
    p /= p.sum()
    value = neighbourhood_entropy(features, prototypes, bank, allowed, temperature=0.5)
    assert value.item() == pytest.approx(-(p * np.log(p)).sum(), rel=1e-10)


def test_rank_agreement_and_clustering_by_hand() -> None:
    p = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64)
    bank = torch.tensor([[0.5, 0.4, 0.1], [0.5, 0.1, 0.4], [0.1, 0.3, 0.6]], dtype=torch.float64)
    assert rank_agreement(p, bank, 3).tolist() == [[True, False, False]]
    assert rank_agreement(p, bank, 1).tolist() == [[True, True, False]]
    allowed = torch.tensor([[True, True, True]])
    s = (p @ bank.T)[0].numpy()
    expected = 0.5 * (-np.log(s[0]) - np.log(1 - s[1:]).mean())
    assert adaptive_clustering(p, bank, allowed, 3).item() == pytest.approx(expected, rel=1e-12)
    assert adaptive_clustering(p, bank, ~allowed, 3).item() == 0


def test_one_vs_all_losses_by_hand() -> None:
    scores, labels = torch.tensor([[2.0, -1.0, 0.5]], dtype=torch.float64), torch.tensor([0])
    q = 1 / (1 + np.exp(-scores.numpy()[0]))
    expected = -np.log(q[0]) + max(-np.log(1 - q[1]), -np.log(1 - q[2]))
    assert hard_negative_loss(scores, labels).item() == pytest.approx(expected, rel=1e-12)
    binary = -(q * np.log(q) + (1 - q) * np.log(1 - q)).mean()
    assert open_entropy(scores).item() == pytest.approx(binary, rel=1e-12)
    assert open_entropy(torch.zeros(3, 2)).item() == pytest.approx(math.log(2))


def test_pseudo_labels_mend_a_wrong_prediction() -> None:
    features = torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.9, 0.0], [0.0, 1.0], [0.1, 1.0]])
    p = torch.tensor([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.4, 0.6, 0], [0.1, 0.9, 0], [0.2, 0.8, 0]])
    assert pseudo_labels(features, p).tolist() == [0, 0, 0, 1, 1]


def test_alignment_and_consistency() -> None:
    p_source = torch.tensor([[0.5, 0.5]])
    p_target = torch.tensor([[0.9, 0.1], [0.7, 0.3]])
    out = aligned(p_target, p_source)
    assert out[0].tolist() == pytest.approx(
        [0.9 / 0.8 / (0.9 / 0.8 + 0.1 / 0.2), 0.1 / 0.2 / (0.9 / 0.8 + 0.5)]
    )
    logits = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    value = consistency(p_target, logits, 0.8)
    assert value.item() == pytest.approx(math.log1p(math.exp(-1)) / 2, rel=1e-6)


def test_fisher_ratio_by_hand() -> None:
    features, labels = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])
    centres = torch.tensor([[0.0, 0.0], [0.0, 4.0]])
    assert fisher_ratio(features, labels, centres).item() == pytest.approx(((1 + 4) / 2) / 4)
