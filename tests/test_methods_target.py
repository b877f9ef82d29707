"""What methods keep of the target: batch-norm statistics, memories, scores of the unknown."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.methods._domain_batchnorm import DomainBatchNorm, batchnorms, estimate_statistics
from galshift.methods._memory import Memory
from galshift.types import Batch, Output


class Net(nn.Module):
    """A convolution with batch norm, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Output:
        """Return features and logits of (B, 1, 6, 6) images."""
        features = self.encoder(x)
        return Output(features, self.head(features))


def stars(n: int, seed: int = 0) -> Tensor:
    """N images of noise, brighter with the seed."""
    return torch.randn(n, 1, 6, 6, generator=torch.Generator().manual_seed(seed)) + seed


def target_batch(model: nn.Module, x: Tensor, start: int = 0) -> Batch:
    """A forwarded target batch."""
    return Batch(x, model(x), None, torch.arange(start, start + len(x)))


# Batch norm


def test_pooled_statistics_are_numpys_whatever_the_batches() -> None:
    model = Net().train()
    x = stars(11, 3)
    assert estimate_statistics(model, x.split(4)) == 11
    assert model.training
    norm = batchnorms(model)[0]
    values = model.encoder[0](x).detach().numpy().transpose(1, 0, 2, 3).reshape(4, -1)
    assert norm.running_mean.numpy() == pytest.approx(values.mean(1), rel=1e-5)
    assert norm.running_var.numpy() == pytest.approx(values.var(1, ddof=1), rel=1e-5)


def test_adabn_changes_statistics_alone_and_twice_is_once() -> None:
    model, method = Net(), METHODS.get("adabn")()
    method.build(64, 3, 20)
    method.prepare(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    method.finish(model, stars(20, 2).split(8))
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert {key for key in changed if "num_batches" not in key} == {
        "encoder.1.running_mean",
        "encoder.1.running_var",
    }
    model.eval()
    first = model(stars(5)).logits
    method.finish(model, stars(20, 2).split(8))
    assert torch.allclose(model.eval()(stars(5)).logits, first, atol=1e-6)


@pytest.mark.parametrize("name", ["adabn", "tent"])
def test_a_model_without_batch_norm_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="batch norm"):
        METHODS.get(name)().prepare(nn.Linear(2, 2))


def adapted(name: str) -> tuple[Net, dict[str, Tensor]]:
    """A network after ten source-free steps, and its state before."""
    torch.manual_seed(3)
    model, method = Net(), METHODS.get(name)()
    nets = method.build(64, 3, 24)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.SGD([*method.trainable(method.prepare(model)), *nets.parameters()], lr=0.05)
    for step in range(10):
        start = 8 * (step % 3)
        batch = target_batch(model.train(), stars(24, 1)[start : start + 8], start)
        total = method.combine(method.terms(None, batch, step / 10), step / 10)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    method.finish(model, stars(24, 1).split(8))
    return model, before


def test_tent_trains_batch_norm_alone_and_grows_surer() -> None:
    model, before = adapted("tent")
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert {key for key in changed if "running" not in key and "num" not in key} == {
        "encoder.1.weight",
        "encoder.1.bias",
    }


def test_shot_leaves_the_classifier_alone() -> None:
    model, before = adapted("shot")
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in ("head.weight", "head.bias"))
    assert not torch.equal(model.encoder[0].weight, before["encoder.0.weight"])


def test_domain_batch_norm_keeps_the_domains_apart_and_ends_as_the_targets() -> None:
    method = METHODS.get("coral")(METHODS.get("coral").Config(domain_batchnorm=True))
    assert method.own_forward
    model = Net()
    keys = list(model.state_dict())
    method.build(64, 3, 20)
    model = method.prepare(model).train()
    norm = model.encoder[1]
    assert isinstance(norm, DomainBatchNorm)
    for domain, x in (("source", stars(20)), ("target", stars(20, 4))):
        method.select_domain(model, domain)
        model(x)
    assert not torch.equal(norm.source.running_mean, norm.target.running_mean)
    wanted = norm.target.running_mean.clone()
    method.finish(model, [])
    assert list(model.state_dict()) == keys
    assert torch.equal(model.encoder[1].running_mean, wanted)


# Memory and universal adaptation


def test_memory_replaces_rows_and_hides_an_image_from_itself() -> None:
    memory = Memory(5, 2)
    memory.remember(torch.tensor([3, 1]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    memory.remember(torch.tensor([3]), torch.tensor([[5.0, 6.0]]))
    rows, allowed = memory.others(torch.tensor([1, 0]))
    assert rows[3].tolist() == [5, 6]
    assert allowed.tolist() == [[False, False, False, True, False], [False, True, False, True, False]]


@pytest.mark.parametrize("name", ["deepastrouda", "dance"])
def test_an_unknown_class_stands_out_among_two_known_ones(name: str) -> None:
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(1)
    centres = torch.tensor([[3.0, 0, 0, 0], [-3.0, 0, 0, 0], [0, 3.0, 3.0, 0]])
    labels = torch.arange(300) % 3
    target_x = centres[labels] + 0.4 + torch.randn(300, 4, generator=g)
    source_y = torch.arange(200) % 2
    source_x = centres[source_y] + torch.randn(200, 4, generator=g)
    encoder, head = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 16)), nn.Linear(16, 2)
    method: Method = METHODS.get(name)()
    nets = method.build(16, 2, 300)
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters(), *nets.parameters()], lr=3e-3)
    for step in range(200):
        picks, rows = torch.randint(200, (64,), generator=g), torch.randint(300, (64,), generator=g)
        z = encoder(source_x[picks])
        source = Batch(source_x[picks], Output(z, head(z)), source_y[picks], picks)
        z = encoder(target_x[rows])
        target = Batch(target_x[rows], Output(z, head(z)), None, rows)
        supervised = nn.functional.cross_entropy(source.logits, source.labels)
        terms = {"classification": supervised, **method.terms(source, target, step / 200)}
        optimiser.zero_grad()
        method.combine(terms, step / 200).backward()
        optimiser.step()
    z = encoder(target_x)
    score = method.unknown_score(Output(z, head(z))).detach().numpy()
    assert roc_auc_score(labels.numpy() == 2, score) > 0.85
