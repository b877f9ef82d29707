"""Methods on fixed features, and ADDA: maps against scikit-learn and scipy, gradients, and what they gain."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.covariance import empirical_covariance
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.methods._feature_map import RIDGE, scaling
from galshift.methods.coral_features import recolouring
from galshift.methods.pseudo_labels import Beliefs, Config, PseudoLabels, by_class, rescaled
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.sets import TrainingSet
from galshift.types import Batch, Output
from tests.file_operations import galshift

D, K = 6, 3
FIXED = ("standardise", "coral-features", "pseudo-labels")


def clouds(n: int = 400, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two clouds of other means, scales and correlations, float64."""
    rng = np.random.default_rng(seed)
    mix = [rng.normal(size=(D, D)) for _ in range(2)]
    return tuple(torch.from_numpy(rng.normal(size=(n, D)) @ m + rng.normal(size=D)) for m in mix)


class Given(nn.Module):
    """A network whose features are what it is given, as a probe of stored features is."""

    takes_features = True

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(D, K)
        self.feature_dim, self.spec = D, {"n_classes": K, "size": 1, "in_channels": 1}

    def forward(self, features: Tensor) -> Output:
        """Return the features and their logits."""
        return Output(features, self.head(features))


def test_scaling_is_that_of_scikit_learn() -> None:
    cloud, _ = clouds()
    weight, bias = scaling(cloud)
    theirs = StandardScaler().fit(cloud.numpy())
    ridge = RIDGE * theirs.var_.mean()
    expected = (cloud.numpy() - theirs.mean_) / np.sqrt(theirs.var_ + ridge)
    assert np.allclose((cloud @ weight + bias).numpy(), expected, rtol=1e-10)


def test_a_feature_that_does_not_vary_is_not_blown_up() -> None:
    cloud, _ = clouds()
    cloud[:, 2] = 0.3 + 1e-12 * cloud[:, 1]
    weight, bias = scaling(cloud)
    assert (cloud @ weight + bias)[:, 2].abs().max() < 1e-9
    weight, bias = scaling(torch.full((5, D), 2.0, dtype=torch.float64))
    assert bool(torch.isfinite(weight).all())
    assert bool(torch.isfinite(bias).all())


def test_recolouring_is_algorithm_1_with_scipys_roots() -> None:
    source, target = clouds()
    with_ridge = [empirical_covariance(x.numpy()) * len(x) / (len(x) - 1) + 0.5 * np.eye(D) for x in clouds()]
    expected = np.linalg.inv(sqrtm(with_ridge[0])) @ sqrtm(with_ridge[1])
    assert np.allclose(recolouring(source, target, 0.5).numpy(), expected.real, rtol=1e-8, atol=1e-10)


def test_a_small_ridge_gives_the_source_the_covariance_of_the_target() -> None:
    source, target = clouds()
    moved = source @ recolouring(source, target, 1e-9)
    assert np.allclose(np.cov(moved.numpy().T), np.cov(target.numpy().T), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", FIXED)
def test_folding_the_targets_map_into_the_classifier_changes_no_answer(name: str) -> None:
    torch.manual_seed(0)
    source, target = (cloud.float() for cloud in clouds())
    method = METHODS.get(name)()
    method.build(D, K, len(target))
    model = method.prepare(Given()).eval()
    method.start(model, source.split(64), target.split(64))
    method.select_domain(model, "target")
    before = model(target).logits.detach()
    method.select_domain(model, "source")
    assert not torch.allclose(model(target).logits, before, atol=1e-2)
    method.finish(model, target.split(64))
    assert isinstance(model.head, nn.Linear)
    assert torch.allclose(model(target).logits, before, rtol=1e-4, atol=1e-4)


def problem(n: int = 240) -> tuple[TrainingSet, TrainingSet, TrainingSet, Tensor]:
    """Three clusters; the target's features are scaled and moved, as another survey's may be."""
    rng = np.random.default_rng(5)
    centres = 2.0 * rng.normal(size=(K, D))
    sets = []
    for number in range(3):
        labels = np.arange(n) % K
        x = centres[labels] + rng.normal(size=(n, D))
        x = x if number < 2 else x * np.linspace(0.4, 3.0, D) + 12 * np.cos(np.arange(D))
        sets.append((torch.from_numpy(x).float(), torch.from_numpy(labels)))
    (a, la), (b, lb), (c, lc) = sets
    return TrainingSet(a, la), TrainingSet(b, lb), TrainingSet(c), lc


def trained(
    name: str, directory: Path, method=None, resized: Tensor | None = None, epochs: int = 15
) -> tuple[nn.Module, TrainingSet, Tensor]:
    """A head trained by a method on the problem, the target and its hidden labels."""
    torch.manual_seed(0)
    source, valid, target, labels = problem()
    method = method or METHODS.get(name)()
    job = TrainingJob(
        source=source,
        valid=valid,
        target=target if method.uses_target else None,
        training=TrainConfig(epochs=epochs, tune="head", lr=0.02, select="last"),
        head=ClassHead(("a", "b", "c")),
        device="cpu",
        resized=resized,
        augment=lambda x, g: x + 0.1 * torch.randn(x.shape, generator=g),
    )
    result = fit(Given(), method, job, directory=directory, seed=1, progress=None)
    return result.model, target, labels


@pytest.mark.parametrize("name", FIXED)
def test_it_finds_the_classes_of_a_target_with_other_scales(name: str, tmp_path: Path) -> None:
    scores = {}
    for one in ("source-only", name):
        model, target, labels = trained(one, tmp_path / one)
        scores[one] = float((model(target.images).logits.argmax(1) == labels).float().mean())
    assert scores["source-only"] < 0.8
    assert scores[name] > 0.9


@pytest.mark.parametrize("name", FIXED)
def test_the_trained_head_is_plain_and_repeats_bit_for_bit(name: str, tmp_path: Path) -> None:
    one, two = (trained(name, tmp_path / side)[0].state_dict() for side in "ab")
    assert set(one) == {"head.weight", "head.bias"}
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_encoder_must_rest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="features that do not change"):
        trained_all = TrainConfig(epochs=1)
        source, valid, target, _ = problem(30)
        job = TrainingJob(
            source=source,
            valid=valid,
            target=target,
            training=trained_all,
            head=ClassHead(("a", "b", "c")),
            device="cpu",
        )
        fit(Given(), METHODS.get("standardise")(), job, directory=tmp_path, seed=1, progress=None)


def test_by_class_is_the_mean_of_the_classes_own_means() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(9, K))).requires_grad_()
    labels = torch.tensor([0, 0, 0, 0, 1, 1, -1, -1, -1])
    log_p = np.log(np.exp(logits.detach().numpy()) / np.exp(logits.detach().numpy()).sum(1, keepdims=True))
    expected = -(log_p[:4, 0].mean() + log_p[4:6, 1].mean()) / 2
    assert by_class(logits, labels).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: by_class(x, labels), logits)
    assert by_class(logits, torch.full((9,), -1)).item() == 0


def test_only_what_all_voters_say_is_believed_and_of_each_class_the_surest() -> None:
    beliefs = Beliefs(8)
    sure = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.95, 0.55, 0.99, 0.9])
    first = torch.stack([sure, 1 - sure], dim=1)
    first[4:7] = first[4:7].flip(1)  # the other class
    second = first.clone()
    second[7] = second[7].flip(0)  # a voter that says another thing
    beliefs.update(torch.arange(8), torch.stack([first, second]))
    assert beliefs.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, -1]
    # Half of each class's own: of the first two of four, of the second the two surest of three (rank 1).
    assert beliefs.accepted(torch.arange(8), 2, 0.5).tolist() == [0, 0, -1, -1, 1, -1, 1, -1]
    assert beliefs.accepted(torch.arange(8), 2, 1.0).tolist() == [0, 0, 0, 0, 1, 1, 1, -1]


def believer(other_size: float, again: Tensor | None) -> PseudoLabels:
    """The method with heads that read the first two features as the logits of two classes."""
    method = PseudoLabels(Config(heads=2, other_size=other_size))
    method.build(2, 2, 4)
    for number, head in enumerate(method.nets["committee"], start=1):
        head.weight.data, head.bias.data = number * torch.eye(2), torch.zeros(2)
    method.again = again
    return method


def test_what_another_input_size_denies_is_not_believed() -> None:
    own = torch.tensor([[2.0, 0], [2, 0], [0, 2], [0, 2]])
    again = torch.tensor([[1.0, 0], [0, 1], [0, 1], [1, 0]])  # it says the other class of the 2nd and the 4th
    index = torch.tensor([3, 0, 2, 1])  # any order
    target = Batch(own[index], Output(own[index], own[index]), None, index)
    source = Batch(own, Output(own, own), torch.tensor([0, 0, 1, 1]), torch.arange(4))
    believed = {}
    for share, seen in ((0.75, again), (0.0, None)):
        method = believer(share, seen)
        method.losses(source, target, 1.0)
        believed[share] = method.nets["beliefs"]
    assert believed[0.0].labels.tolist() == [0, 0, 1, 1]
    assert believed[0.75].labels.tolist() == [0, -1, 1, -1]
    # Heads of slopes 1 and 2: logit differences 2 and 4 of its own size, 1 and 2 of the other.
    sigmoid = 1 / (1 + np.exp(-np.array([2.0, 4, 1, 2])))
    assert believed[0.0].sure[0].item() == pytest.approx(sigmoid[:2].mean(), abs=2e-6)
    assert believed[0.75].sure[0].item() == pytest.approx(sigmoid.mean(), abs=2e-6)


@pytest.mark.parametrize(("moved", "believes"), [(0, True), (1, False)])
def test_a_training_looks_up_each_image_at_the_other_size(moved: int, believes: bool, tmp_path: Path) -> None:
    # Three classes in turn: one place on, every image is of another class.
    _, _, target, _ = problem()
    method = PseudoLabels(Config(other_size=0.5))
    trained("pseudo-labels", tmp_path, method, resized=0.1 * target.images.roll(moved, 0) + 3, epochs=8)
    agreed = (method.nets["beliefs"].labels >= 0).float().mean()
    assert agreed > 0.8 if believes else agreed < 0.1


def test_features_at_another_size_get_the_scale_of_the_encoders_own() -> None:
    own, _ = clouds()
    assert torch.allclose(rescaled(0.3 * own - torch.arange(D), scaling(own)), own, rtol=1e-9)
    other = own * torch.linspace(0.5, 2, D)
    found = rescaled(other.float(), scaling(own)).numpy()
    assert np.allclose(found.mean(0), own.numpy().mean(0), atol=1e-5)
    assert np.allclose(found.std(0), own.numpy().std(0), rtol=0.01)


def test_another_size_off_is_what_was_there_before() -> None:
    assert set(Config().model_dump()) == set(Config(other_size=0).model_dump())
    assert "other_size" not in Config().model_dump()
    assert Config.model_validate(Config(other_size=0.75).model_dump()).other_size == 0.75
    assert [PseudoLabels(Config(other_size=share)).other_size for share in (0, 1, 0.75)] == [0, 0, 0.75]


def test_adda_teaches_encoder_and_discriminator_apart() -> None:
    torch.manual_seed(0)
    method = METHODS.get("adda")()
    method.build(D, K, 10)
    method.nets.eval()
    source, target = (cloud[:12].float().requires_grad_() for cloud in clouds())
    batch = [Batch(x, Output(x, torch.zeros(12, K)), None, torch.arange(12)) for x in (source, target)]
    terms = method.losses(*batch, 0.5)
    judge = list(method.nets["discriminator"].parameters())
    assert torch.autograd.grad(terms["adda"], judge, retain_graph=True, allow_unused=True) == (None,) * 6
    (none,) = torch.autograd.grad(terms["discriminator"], [target], retain_graph=True, allow_unused=True)
    assert none is None
    # -log sigmoid(D(z)) of equation 9, through a discriminator whose logit is known.
    said = method.nets["discriminator"](nn.functional.layer_norm(target, (D,))).detach().numpy()
    assert terms["adda"].item() == pytest.approx(np.log1p(np.exp(-said)).mean(), rel=1e-5)
    (pull,) = torch.autograd.grad(terms["adda"], [target])
    assert float(pull.abs().sum()) > 0


class Encoder(nn.Module):
    """One linear layer and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Linear(D, D), nn.Linear(D, K)
        self.takes_features, self.feature_dim = True, D
        self.spec = {"n_classes": K, "size": 1, "in_channels": 1}

    def forward(self, x: Tensor) -> Output:
        """Return features and logits."""
        z = self.encoder(x)
        return Output(z, self.head(z))


def test_adda_moves_the_targets_features_and_leaves_classifier_and_source_encoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, valid, _, _ = problem()
    target = TrainingSet(0.8 * source.images.flip(0) + torch.linspace(-2, 2, D))
    model = Encoder()
    head = copy.deepcopy(model.head.state_dict())
    theirs = nn.functional.layer_norm(model(source.images).features.detach(), (D,))  # as is told apart
    before = apart(model, target, theirs)
    method = METHODS.get("adda")()
    job = TrainingJob(
        source=TrainingSet(source.images),
        valid=valid,
        target=target,
        training=TrainConfig(epochs=40, warmup_epochs=0, lr=0.05, select="last"),
        head=ClassHead(("a", "b", "c")),
        device="cpu",
    )
    done = fit(model, method, job, directory=tmp_path, seed=1, progress=None).model
    assert all(torch.equal(done.head.state_dict()[key], head[key]) for key in head)
    assert apart(done, target, theirs) < 0.5 * before
    rested = nn.functional.layer_norm(method.nets["source"](source.images).features, (D,))
    assert torch.allclose(rested, theirs, atol=1e-5)


def apart(model: nn.Module, target: TrainingSet, theirs: Tensor) -> float:
    """The energy distance of the target's features, as a discriminator sees them, from the source's."""
    with torch.no_grad():
        a, b = nn.functional.layer_norm(model(target.images).features, (D,)).numpy(), theirs.numpy()
    return 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()


def test_the_command_line_says_what_a_method_on_fixed_features_needs(tmp_path: Path) -> None:
    for name in "ab":
        np.savez(tmp_path / f"{name}.npz", images=np.zeros((8, 1, 16, 16)), labels=np.arange(8) % 2)
    done = galshift(tmp_path, "adapt", "a.npz", "b.npz", "--method", "standardise")
    assert done.returncode == 3, done.stderr
    assert "standardise works on features that do not change" in done.stderr
    assert "--tune head" in done.stderr
