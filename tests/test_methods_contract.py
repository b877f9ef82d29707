"""What every method promises, tried on each the moment it is registered."""

from __future__ import annotations

import ast
import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.spatial.distance import cdist
from torch import Tensor, nn

import galshift
from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.methods.pulse import TAUGHT
from galshift.training.validate import adaptation_loss
from galshift.types import Batch, Output

NAMES = [name for name in METHODS.names() if name != "auto"]
K, D, N_TARGET = 3, 6, 24
# Methods whose terms look at the target alone; the source reaches the encoder through its labels.
# ADDA's source is a copy that rests.
TARGET_ONLY = {"mcc", "infomax", "bnm", "tent", "shot", "adamatch", "fixmatch", "deepastrouda", "adda"}
SILENT = {"source-only", "adabn", "standardise", "coral-features"}
# Without a term, or a game in which the heads climb where the encoder descends.
UNDIRECTED = SILENT | {"mcd", "adda"}


class Net(nn.Module):
    """An encoder with batch norm and a classifier on its features."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, D), nn.BatchNorm1d(D), nn.Tanh())
        self.head = nn.Linear(D, K)

    def forward(self, x: Tensor) -> Output:
        """Return features and logits."""
        features = self.encoder(x)
        return Output(features, self.head(features))


def built(name: str, dtype: torch.dtype = torch.float64) -> Method:
    """A method at its defaults with its networks, dropout off."""
    torch.manual_seed(0)
    method = METHODS.get(name)()
    method.build(D, K, N_TARGET).to(dtype).eval()
    return method


def images(n: int, seed: int, shift: float = 0.0) -> Tensor:
    """N vectors."""
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed)) + shift


def output(n: int, seed: int, dtype: torch.dtype = torch.float64, shift: float = 0.0) -> Output:
    """Random features and logits that want a gradient."""
    g = torch.Generator().manual_seed(seed)
    features = (torch.randn(n, D, generator=g, dtype=torch.float64) + shift).to(dtype)
    logits = torch.randn(n, K, generator=g, dtype=torch.float64).to(dtype)
    return Output(features.requires_grad_(), logits.requires_grad_())


def batches(
    method: Method, n: int = 12, m: int = 12, dtype: torch.dtype = torch.float64, shift: float = 1.0
) -> tuple[Batch | None, Batch]:
    """A source and a target batch of random outputs, shaped as the method wants them."""
    empty = torch.zeros(0)
    source = Batch(empty, output(n, 1, dtype), torch.arange(n) % K, torch.arange(n))
    views = tuple(output(m, 3 + v, dtype, shift) for v in range(method.views))
    target = Batch(empty, output(m, 2, dtype, shift), None, torch.arange(m) % N_TARGET, views)
    return source if method.needs_source else None, target


def total(method: Method, source: Batch | None, target: Batch, progress: float = 0.5) -> Tensor:
    """The sum of the method's terms; 0 for one without any."""
    terms = method.terms(source, target, progress)
    assert all(value.ndim == 0 for value in terms.values())
    return sum(terms.values(), torch.zeros((), dtype=torch.float64))


def leaves(source: Batch | None, target: Batch) -> dict[str, list[Tensor]]:
    """The tensors of each domain that a gradient may reach."""
    found = {"target": [x for out in (target.output, *target.views) for x in out]}
    if source is not None:
        found["source"] = list(source.output)
    return found


def gradients(value: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    """The gradients that exist."""
    found = torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]


def memory_filled(method: Method, seed: int = 9) -> Method:
    """Let a method see every target image once, and be past the time in which it only listens."""
    if "discovery" in method.nets:
        method.nets["discovery"].taught.fill_(TAUGHT)
    for head in dict(method.nets.items()).get("committee", ()):
        nn.init.normal_(head.weight, std=0.01)  # random heads agree on nothing, which teaches nothing
        nn.init.zeros_(head.bias)
        head.bias.data[1] = 3.0
    source, target = batches(method, N_TARGET, N_TARGET)
    method.terms(source, target, 0.5)
    return method


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_both_domains(name: str) -> None:
    method = memory_filled(built(name))
    source, target = batches(method)
    value = total(method, source, target)
    if name in SILENT:
        assert not value.requires_grad
        return
    for domain, tensors in leaves(source, target).items():
        found = gradients(value, tensors)
        assert all(bool(torch.isfinite(g).all()) for g in found), domain
        reached = any(bool((g != 0).any()) for g in found)
        assert reached == (domain == "target" or name not in TARGET_ONLY), domain


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_the_encoder_and_the_methods_own_networks(name: str) -> None:
    torch.manual_seed(1)
    model = Net()
    method = built(name, torch.float32)
    model = method.prepare(model)
    before = copy.deepcopy(method.nets.state_dict())
    trained = list(method.trainable(model))
    own = [p for p in method.nets.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD([*trained, *own], lr=0.05)
    for step in range(3):
        source, target = forwarded(model, method, step)
        terms = method.terms(source, target, 0.5)
        if source is not None:
            terms = {"classification": nn.functional.cross_entropy(source.logits, source.labels), **terms}
        value = method.combine(terms, 0.5)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in trained)
    assert any(bool((p.grad != 0).any()) for p in trained)
    for key, parameter in method.nets.named_parameters():
        assert not parameter.requires_grad or not torch.equal(parameter, before[key]), f"{key} is not trained"


def forwarded(model: nn.Module, method: Method, seed: int, n: int = 16) -> tuple[Batch | None, Batch]:
    """Both domains through the model, as the loop does it."""
    x, y = images(n, 100 + seed), images(n, 200 + seed, shift=0.7)
    labels = torch.arange(n) % K
    method.select_domain(model, "source")
    source = Batch(x, model(x), labels, torch.arange(n)) if method.needs_source else None
    method.select_domain(model, "target")
    views = tuple(model(y + 0.1 * images(n, 300 + v)) for v in range(method.views))
    return source, Batch(y, model(y), None, torch.arange(n), views)


def energy_distance(x: Tensor, y: Tensor) -> float:
    """How far apart two clouds are, by a statistic that no method optimises."""
    a, b = x.detach().numpy(), y.detach().numpy()
    return 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()


ALIGNING = [name for name in NAMES if METHODS.get(name).aligns and name not in TARGET_ONLY | SILENT]


@pytest.mark.parametrize("name", ALIGNING)
def test_a_single_step_moves_the_domains_closer(name: str) -> None:
    method = built(name, torch.float32)
    torch.manual_seed(2)
    source_x, target_x = torch.randn(40, D), 0.6 * torch.randn(40, D) + torch.tensor([2.0, 1, 0, 0, 0, -1])
    head = nn.Linear(D, K)
    labels = torch.arange(40) % K

    def terms(s: Tensor, t: Tensor) -> dict[str, Tensor]:
        source = Batch(torch.zeros(0), Output(s, head(s)), labels, torch.arange(40))
        return method.terms(source, Batch(torch.zeros(0), Output(t, head(t)), None, torch.arange(24)), 1.0)

    target_x = target_x[:24]
    own = [p for key, p in method.nets.named_parameters() if not key.startswith("weighting.")]
    if own:  # an adversary must have seen the domains before it can tell where they differ
        optimiser = torch.optim.Adam(own, lr=0.01)
        for _ in range(25):
            optimiser.zero_grad()
            sum(terms(source_x, target_x).values()).backward()
            optimiser.step()
    s, t = source_x.clone().requires_grad_(), target_x.clone().requires_grad_()
    gradient_s, gradient_t = torch.autograd.grad(sum(terms(s, t).values()), [s, t])
    step = 0.3 / torch.cat([gradient_s, gradient_t]).norm(dim=1).mean()
    before = energy_distance(s, t)
    assert energy_distance(s - step * gradient_s, t - step * gradient_t) < 0.95 * before


@pytest.mark.parametrize("name", [n for n in NAMES if n in TARGET_ONLY or not METHODS.get(n).aligns])
def test_a_single_step_lowers_the_term(name: str) -> None:
    if name in UNDIRECTED:
        return
    method = memory_filled(built(name))
    source, target = batches(method)
    tensors = [x for part in leaves(source, target).values() for x in part]
    value = total(copy.deepcopy(method), source, target)
    found = torch.autograd.grad(value, tensors, allow_unused=True, retain_graph=True)
    with torch.no_grad():
        for x, gradient in zip(tensors, found, strict=True):
            if gradient is not None:
                x -= 1e-3 / max(float(gradient.norm()), 1e-12) * gradient
    assert total(method, source, target).item() < value.item()


@pytest.mark.parametrize("name", NAMES)
def test_order_within_a_batch_does_not_matter(name: str) -> None:
    g = torch.Generator().manual_seed(7)
    values = []
    for shuffle in (False, True):
        method = memory_filled(built(name))
        parts = []
        for batch in batches(method, 12, 10):
            if batch is None:
                parts.append(None)
                continue
            n = len(batch.index)
            rows = torch.randperm(n, generator=g) if shuffle else torch.arange(n)
            outputs = [Output(*(x[rows] for x in out)) for out in (batch.output, *batch.views)]
            labels = None if batch.labels is None else batch.labels[rows]
            parts.append(Batch(batch.images, outputs[0], labels, batch.index[rows], tuple(outputs[1:])))
        values.append(total(method, *parts).item())
    assert values[0] == pytest.approx(values[1], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "m"), [(12, 7), (5, 16), (1, 6), (6, 1), (1, 1)])
def test_unequal_batches_and_batches_of_one(name: str, n: int, m: int) -> None:
    method = built(name)
    source, target = batches(method, n, m)
    check_finite(method, source, target)


def check_finite(method: Method, source: Batch | None, target: Batch) -> None:
    """Value and gradients are finite at the beginning, the middle and the end."""
    for progress in (0.0, 0.5, 1.0):
        value = total(method, source, target, progress)
        assert bool(torch.isfinite(value))
        if value.requires_grad:
            for tensors in leaves(source, target).values():
                assert all(bool(torch.isfinite(g).all()) for g in gradients(value, tensors))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["constant", "zero", "identical", "large", "certain", "one class"])
def test_degenerate_features_stay_finite(name: str, case: str) -> None:
    method = built(name)
    source, target = batches(method)
    parts = [source, target] if source is not None else [target]
    with torch.no_grad():
        for batch in parts:
            for out in (batch.output, *batch.views):
                if case == "constant":
                    out.features.fill_(0.7)
                    out.logits.fill_(0.2)
                if case == "zero":
                    out.features.zero_()
                    out.logits.zero_()
                if case == "large":
                    out.features.mul_(1e4)
                if case == "certain":
                    out.logits.mul_(1e4)
                if case == "one class":
                    out.logits.zero_()[:, 1] = 1e3
        if case == "identical" and source is not None:
            target.features.copy_(source.features)
            target.logits.copy_(source.logits)
    check_finite(method, source, target)


@pytest.mark.parametrize("name", ["mmd", "jmmd", "coral", "sinkhorn"])
def test_identical_clouds_are_at_the_minimum(name: str) -> None:
    options = {"statistic": "biased"} if "mmd" in name else {}
    method = METHODS.get(name)(METHODS.get(name).Config(**options))
    method.build(D, K, N_TARGET)
    source, target = batches(method)
    with torch.no_grad():
        for mine, theirs in zip(target.output, source.output, strict=True):
            mine.copy_(theirs)
    value = total(method, source, target)
    assert value.item() == pytest.approx(0, abs=1e-12)
    for part in leaves(source, target).values():
        assert all(g.abs().max() < 1e-9 for g in gradients(value, part))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_raised_to_float32(name: str, dtype: torch.dtype) -> None:
    rounded, exact = built(name, torch.float32), built(name, torch.float32)
    source, target = batches(rounded, dtype=dtype)
    value = total(rounded, source, target)
    assert bool(torch.isfinite(value))
    if name in SILENT:
        return
    parts = [
        None
        if batch is None
        else Batch(
            batch.images,
            *[Output(*(x.detach().float() for x in batch.output)), batch.labels, batch.index],
            tuple(Output(*(x.detach().float() for x in view)) for view in batch.views),
        )
        for batch in (source, target)
    ]
    assert value.item() == pytest.approx(total(exact, *parts).item(), rel=1e-6, abs=1e-7)
    for tensors in leaves(source, target).values():
        assert all(bool(torch.isfinite(g).all()) for g in gradients(value, tensors))


@pytest.mark.parametrize("name", NAMES)
def test_features_that_are_not_finite_are_never_hidden(name: str) -> None:
    if name in SILENT:
        return
    method = built(name)
    source, target = batches(method)
    with torch.no_grad():
        target.features[0, 0] = float("nan")
        for out in (target.output, *target.views):
            out.logits[0, 0] = float("nan")
    assert not bool(torch.isfinite(total(method, source, target)))


@pytest.mark.parametrize("name", NAMES)
def test_config_round_trip_and_unknown_keys(name: str) -> None:
    kind = METHODS.get(name)
    assert kind.Config.model_validate(kind().config.model_dump(mode="json")) == kind().config
    with pytest.raises(ValidationError, match="wieght"):
        kind.Config.model_validate({"wieght": 1.0})
    assert kind.reference
    assert kind.__doc__
    assert kind.version >= 1


@pytest.mark.parametrize("name", NAMES)
def test_unknown_scores_are_probabilities(name: str) -> None:
    method = built(name, torch.float32)
    score = method.unknown_score(output(9, 4, torch.float32))
    if score is not None:
        assert score.shape == (9,)
        assert np.all((score.detach().numpy() >= 0) & (score.detach().numpy() <= 1))


def test_nothing_outside_writes_on_a_method() -> None:
    root, found = Path(galshift.__file__).parent, []
    for path in [path for path in root.rglob("*.py") if "methods" not in path.parts]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for one in [inner for target in targets if target is not None for inner in ast.walk(target)]:
                if isinstance(one, ast.Attribute) and ast.unparse(one.value).split(".")[-1] == "method":
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize("name", [name for name in NAMES if METHODS.get(name).needs_source])
def test_the_loss_between_two_sets_leaves_no_trace(name: str) -> None:
    method = built(name)
    if method.views:
        pytest.skip("compares views of one image")
    source, target = (Output(*(x.detach() for x in output(n, seed=n, shift=0.5))) for n in (10, 14))
    labels, place = torch.arange(10) % K, torch.arange(14)
    before = copy.deepcopy(method.nets.state_dict())
    first, again = (adaptation_loss(method, source, labels, target, place, size=5) for _ in range(2))
    assert first == again
    assert np.isfinite(first)
    assert all(torch.equal(value, before[key]) for key, value in method.nets.state_dict().items())


def test_the_loss_between_two_sets_is_a_mean_over_batches_of_both() -> None:
    method = METHODS.get("coral")()
    method.build(D, K, N_TARGET)
    source, target = output(7, 1), output(9, 2)
    labels, place = torch.arange(7) % K, torch.arange(9)
    got = adaptation_loss(method, source, labels, target, place, size=3)
    parts = []
    for rows in (slice(0, 3), slice(3, 6)):  # the seventh row of the source alone is left out
        x, y = (one.features[rows].detach().numpy() for one in (source, target))
        covariances = (np.cov(x.T) - np.cov(y.T)) ** 2
        parts.append(covariances.mean() + ((x.mean(axis=0) - y.mean(axis=0)) ** 2).mean())
    assert got == pytest.approx(np.mean(parts), rel=1e-6)
