"""Finding a class that only the target has: the share of known ones, the loss, and a whole small problem."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from galshift.methods import METHODS
from galshift.methods.pulse import TAUGHT, Discovery, class_shares, domain_loss, known_share
from galshift.types import Batch, Output


def share_by_loop(source: np.ndarray, target: np.ndarray, delta: float = 0.1, gamma: float = 0.01) -> float:
    """Best-bin estimation as its paper's algorithm 1 words it, threshold by threshold."""
    slack = sum(math.sqrt(math.log(4 / delta) / (2 * len(x))) for x in (source, target))
    best, answer = math.inf, math.nan
    for c in source:
        q_s, q_t = (source <= c).mean(), (target <= c).mean()
        if q_t / q_s + (1 + gamma) * slack / q_s < best:
            best, answer = q_t / q_s + (1 + gamma) * slack / q_s, q_t / q_s
    return min(answer, 1.0)


@pytest.mark.parametrize("share", [0.3, 0.75, 1.0])
def test_the_share_of_known_classes_of_a_gaussian_mixture(share: float) -> None:
    rng = np.random.default_rng(3)
    source = rng.normal(size=2000)
    target = np.where(rng.uniform(size=3000) < share, rng.normal(size=3000), rng.normal(4.0, 1.0, 3000))
    found = known_share(torch.from_numpy(source), torch.from_numpy(target))
    assert found == pytest.approx(share_by_loop(source, target), rel=1e-6)
    assert found == pytest.approx(share, abs=0.04)


def test_another_mix_of_known_classes_is_not_taken_for_an_unknown_one() -> None:
    """Two kinds at -1 and +1, half and half in the source, one to nine in the target's 60 % of known."""
    rng = np.random.default_rng(4)
    labels = torch.arange(4000) % 2
    source = torch.from_numpy(rng.normal(2.0 * labels.numpy() - 1, 0.3))
    kinds = rng.choice(3, 4000, p=[0.06, 0.54, 0.4])
    target = torch.from_numpy(rng.normal(np.array([-1.0, 1.0, 4.0])[kinds], 0.3))
    classes = torch.stack([target < 0, target >= 0], dim=1)
    shares = class_shares(source, labels, (source >= 0) == (labels == 1), target, classes)
    assert shares.tolist() == pytest.approx([0.06, 0.54], abs=0.03)
    assert known_share(source, target) < 0.2  # of the kind at -1, a tenth of what the source has one expect


def test_recall_is_allowed_for() -> None:
    """Every fifth image of class 0 is taken for class 1, in either domain."""
    rng = np.random.default_rng(6)
    labels = torch.arange(4000) % 2
    missed = torch.from_numpy(rng.uniform(size=4000) < 0.2)
    predicted = torch.where(missed, 1, labels)
    classes = torch.nn.functional.one_hot(predicted, 2).bool()
    values = torch.from_numpy(rng.normal(size=(2, 4000)))
    shares = class_shares(values[0], labels, predicted == labels, values[1], classes)
    assert float(shares[0]) == pytest.approx(0.5, abs=0.05)


def test_without_images_nothing_is_known() -> None:
    assert known_share(torch.zeros(0), torch.zeros(3)) == 0.0
    nothing = torch.zeros(4, dtype=torch.bool)
    shares = class_shares(torch.zeros(4), torch.zeros(4).long(), nothing, torch.zeros(2), nothing.view(2, 2))
    assert shares.tolist() == [0, 0]


def test_the_domain_loss_and_its_gradient() -> None:
    rng = np.random.default_rng(5)
    s, t, w = rng.normal(size=7), rng.normal(size=4), rng.uniform(0.2, 2, 7)
    source, target = (torch.from_numpy(x).requires_grad_() for x in (s, t))
    value = domain_loss(source, target, torch.from_numpy(w))
    expected = -(w * np.log(1 - expit(s))).mean() - np.log(expit(t)).mean()
    assert value.item() == pytest.approx(expected, rel=1e-12)
    found = torch.autograd.grad(value, [source, target])
    np.testing.assert_allclose(found[0].numpy(), w * expit(s) / 7, rtol=1e-12)
    np.testing.assert_allclose(found[1].numpy(), -expit(-t) / 4, rtol=1e-12)


def test_the_score_is_a_half_where_known_and_unknown_are_as_likely() -> None:
    method = METHODS.get("pulse")()
    method.build(4, 3, 10)
    nets = method.nets["discovery"]
    nets.share.fill_(0.6)
    features = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    odds = nets(features).exp().detach()  # p_t / p_s
    posterior = 1 - 0.6 / odds
    score = method.unknown_score(Output(features, torch.zeros(20, 3))).detach()
    assert torch.equal(score > 0.5, posterior > 0.5)
    assert torch.equal(score.argsort(), odds.argsort())


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """Two known classes, three to one in the target though even in the source, and 30 % of a third one."""
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(1)
    centres = torch.tensor([[3.0, 0, 0, 0], [-3.0, 0, 0, 0], [0, 2.5, 2.5, 0]])
    target_y = torch.multinomial(torch.tensor([0.525, 0.175, 0.3]), 1500, replacement=True, generator=g)
    source_y = torch.arange(1500) % 2
    target_x = centres[target_y] + torch.randn(1500, 4, generator=g)
    source_x = centres[source_y] + torch.randn(1500, 4, generator=g)
    encoder, head = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 16)), nn.Linear(16, 2)
    kind = METHODS.get("pulse")
    method = kind(kind.Config(reweight=True))
    nets = method.build(16, 2, 1500)
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters(), *nets.parameters()], lr=3e-3)
    for step in range(400):
        picks, rows = torch.randint(1500, (64,), generator=g), torch.randint(1500, (64,), generator=g)
        z = encoder(source_x[picks])
        source = Batch(source_x[picks], Output(z, head(z)), source_y[picks], picks)
        z = encoder(target_x[rows])
        target = Batch(target_x[rows], Output(z, head(z)), None, rows)
        supervised = nn.functional.cross_entropy(source.logits, source.labels)
        terms = {"classification": supervised, **method.terms(source, target, step / 400)}
        optimiser.zero_grad()
        method.combine(terms, step / 400).backward()
        optimiser.step()
    z = encoder(target_x)
    return nets["discovery"], target_y, method.unknown_score(Output(z, head(z))).detach()


def test_an_unknown_class_is_found_and_the_threshold_holds(trained) -> None:
    _, labels, score = trained
    unknown = labels.numpy() == 2
    # The best there is: the likelihood ratio of spheres 2.5 * sqrt(2) and 3 apart, by their distance alone.
    best = norm.cdf(math.hypot(3, 2.5 * math.sqrt(2)) / math.sqrt(2))
    assert roc_auc_score(unknown, score) > best - 0.02
    flagged = score.numpy() > 0.5
    assert flagged[unknown].mean() > 0.85
    assert flagged[~unknown].mean() < 0.1


def test_share_and_mix_of_the_known_classes_are_estimated(trained) -> None:
    nets, _, _ = trained
    assert float(nets.share) == pytest.approx(0.7, abs=0.06)
    assert nets.mix.tolist() == pytest.approx([1.5, 0.5], abs=0.12)


@pytest.mark.parametrize(
    ("taught", "share", "reaches"),
    [(TAUGHT - 1, 1.0, False), (TAUGHT, 0.7, True), (TAUGHT, 0.4, False)],
    ids=["just begun", "most look known", "few look known"],
)
def test_the_encoder_follows_the_head_only_where_it_can_be_believed(taught, share, reaches) -> None:
    nets = Discovery(3, 2, 40, hidden=8, reweight=False)
    nets.taught.fill_(taught)
    nets.share.fill_(share)
    features = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    nets(nets.heeded(features)).sum().backward()
    assert (features.grad is not None and bool((features.grad != 0).any())) == reaches
    assert all(bool((p.grad != 0).any()) for p in nets.head.parameters())


def test_without_reweighting_the_mix_stays() -> None:
    method = METHODS.get("pulse")()
    method.build(3, 2, 40)
    g = torch.Generator().manual_seed(2)
    for _ in range(3):
        outputs = [Output(torch.randn(40, 3, generator=g), torch.randn(40, 2, generator=g)) for _ in range(2)]
        rows = torch.arange(40)
        method.terms(Batch(rows, outputs[0], rows % 2, rows), Batch(rows, outputs[1], None, rows), 0.5)
    assert method.nets["discovery"].mix.tolist() == [1, 1]
    assert 0.01 <= float(method.observed["known_share"]) <= 1
