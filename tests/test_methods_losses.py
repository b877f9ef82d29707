"""Adversarial, prediction and universal losses against numpy, scipy, or values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from galshift.methods._adversarial import domain_loss, ramp, reverse_gradient
from galshift.methods._conditional import MultilinearMap, conditional_domain_loss, entropy_weights
from galshift.methods._helpers import fisher_ratio
from galshift.methods._probabilities import entropy, marginal_entropy, mean_entropy
from galshift.methods._separation import Separation, entropy_separation
from galshift.methods.adamatch import aligned, consistency
from galshift.methods.afn import feature_norm_distance, feature_norm_step
from galshift.methods.bnm import negative_nuclear_norm
from galshift.methods.dance import neighbourhood_entropy
from galshift.methods.dann import class_balance
from galshift.methods.deepastrouda import adaptive_clustering, rank_agreement
from galshift.methods.infomax import negative_information
from galshift.methods.mcc import class_confusion
from galshift.methods.mcd import discrepancy
from galshift.methods.mdd import margin_disparity
from galshift.methods.ovanet import hard_negative_loss, open_entropy
from galshift.methods.shot import pseudo_labels
from galshift.types import Output
from tests.methods_helpers import clouds, reference_draw, softmax


@pytest.fixture(scope="module")
def sample() -> dict[str, Tensor]:
    return reference_draw()


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
