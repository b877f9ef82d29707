"""Features of an encoder that is not trained: once per image and view, whatever trains on them."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from galshift.data.augment import AugmentConfig
from galshift.methods import METHODS
from galshift.models.build import build_model
from galshift.streams import torch_stream
from galshift.training import feature_cache
from galshift.training.config import TrainConfig
from galshift.training.feature_store import FeatureStore, Views, encoder_key
from galshift.training.fixed_features import Probe, on_fixed_features, without_other_size
from galshift.training.job import NetworkJob
from galshift.training.loop import fit
from galshift.training.sets import TrainingSet
from galshift.training.statistics_guard import statistics_doubt
from galshift.training.train_network import Augmenter, train_network
from galshift.types import Output
from tests import training_helpers as problem

NOISE = torch.ones(problem.BANDS)


class Constants(SimpleNamespace):
    """What the store asks of a preprocessing."""

    def model_dump(self, mode: str) -> dict:
        return {"offset": self.offset}


def stretched(linear: torch.Tensor) -> torch.Tensor:
    return torch.asinh(linear)


def job(**changes) -> NetworkJob:
    data = problem.sets()
    return NetworkJob(
        source=data["source_train"],
        valid=data["source_valid"],
        target=data["target_train"],
        training=TrainConfig(epochs=3, batch_size=16, tune="head", **changes),
        head=problem.HEAD,
        device="cpu",
        augment=Augmenter(AugmentConfig(zoom=0.1), NOISE),
        strong_augment=Augmenter(AugmentConfig(blur_px=1.0), NOISE),
        stretch=stretched,
        preprocessing=Constants(offset=0.0, classes=["a", "b", "c"], bands=["g", "r"], size=problem.SIZE),
        model=SimpleNamespace(kind="deepmerge"),
    )


def network(seed: int = 0, kind: str = "deepmerge") -> nn.Module:
    sizes = {"in_channels": problem.BANDS, "size": problem.SIZE, "n_classes": problem.CLASSES}
    return build_model(kind, **sizes, seed=seed).eval()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the images that any copy of the network is shown."""
    seen: list[int] = []
    kind = type(network())
    forward = kind.forward

    def counting(self, images):
        seen.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(kind, "forward", counting)
    return seen


def test_features_are_those_of_the_network_for_each_view() -> None:
    given, model, plan = job(), network(), Views(2, 1)
    found = FeatureStore(5).features(given, model, given.target, "target", plan)
    assert found.shape == (40, 4, model.feature_dim)
    linear = given.target.images
    views = [linear]
    for number, augment in enumerate((given.augment, given.augment, given.strong_augment), start=1):
        views.append(augment(linear, torch_stream(5, "features", "target", number, 0)))
    for place, view in enumerate(views):
        with torch.no_grad():
            expected = model(stretched(view)).features
        assert torch.allclose(found[:, place], expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found[:, 1], found[:, 2])


def test_each_image_and_view_is_computed_once_for_all_methods_and_seeds(shown, tmp_path) -> None:
    store, given = FeatureStore(3), job(cached_views=2)
    one = on_fixed_features(given, network(), 0, store)
    assert sum(shown) == 48 * 3 + 24 + 40 * 3
    assert isinstance(one[1], Probe)
    on_fixed_features(given, network(), 0, store)
    on_fixed_features(given, network(), 0, FeatureStore(3))  # another command: from the cache folder
    assert sum(shown) == 48 * 3 + 24 + 40 * 3
    assert len(list(feature_cache.place().glob("*.safetensors"))) == 3


@pytest.mark.parametrize("what", ["weights", "pixels", "augmentation", "stretch", "seed", "views"])
def test_what_changes_features_changes_their_key(what: str, shown) -> None:
    given, model, store = job(), network(), FeatureStore(3)
    first = store.features(given, model, given.source, "source", Views(1))
    done, images, plan = sum(shown), given.source, Views(1)
    if what == "weights":
        model = network(seed=1)
    elif what == "pixels":
        images = TrainingSet(images.images + 1, images.labels)
    elif what == "augmentation":
        given = replace(given, augment=Augmenter(AugmentConfig(zoom=0.2), NOISE))
    elif what == "stretch":
        given = replace(given, preprocessing=Constants(offset=1.0))
    elif what == "seed":
        store = FeatureStore(4)
    else:
        plan = Views(2)
    again = store.features(given, model, images, "source", plan)
    assert sum(shown) > done
    if what != "stretch":  # the stand-in's offset is only a name here
        assert again.shape != first.shape or not torch.equal(again, first)


def test_a_damaged_file_of_features_is_computed_again(shown) -> None:
    given, model = job(), network()
    first = FeatureStore(3).features(given, model, given.source, "source", Views(1))
    (file,) = feature_cache.place().glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:200])
    before = sum(shown)
    assert torch.equal(FeatureStore(3).features(given, model, given.source, "source", Views(1)), first)
    assert sum(shown) == 2 * before


def test_old_features_make_room_for_new_ones(monkeypatch) -> None:
    monkeypatch.setattr(feature_cache, "LIMIT_BYTES", 10_000)
    for number in range(4):
        feature_cache.save(f"{number}", torch.full((800,), float(number)))
    kept = sorted(path.stem for path in feature_cache.place().glob("*.safetensors"))
    assert "3" in kept
    assert "0" not in kept
    assert sum(path.stat().st_size for path in feature_cache.place().glob("*")) < 14_000
    feature_cache.save("huge", torch.zeros(10_000))
    assert feature_cache.load("huge") is None


def test_a_head_on_cached_features_learns_what_one_on_images_does(tmp_path) -> None:
    plain = replace(job(), augment=None, strong_augment=None)
    method = METHODS.get("source-only")()
    model = network()
    weights = {
        name: _fit(plain, model, method, store, tmp_path / name)
        for name, store in (("images", None), ("features", FeatureStore(3)))
    }
    assert torch.allclose(weights["images"], weights["features"], atol=1e-4)


def _fit(given: NetworkJob, model: nn.Module, method, store, directory: Path) -> torch.Tensor:
    own, trainable = on_fixed_features(replace(given, target=None), copy.deepcopy(model), 0, store)
    return fit(trainable, method, own, directory=directory, seed=3, progress=None).model.head.weight


@pytest.mark.parametrize("name", ["coral", "dann", "adamatch", "source-only"])
def test_methods_train_on_features_and_give_the_whole_network(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("galshift.training.train_network.save_trained", lambda trained: None)
    given, start = job(), network()
    monkeypatch.setattr("galshift.training.train_network.starting_network", lambda job, seed: network())
    found = train_network(given, METHODS.get(name)(), tmp_path, 3, label=name, features=FeatureStore(3))
    whole, before = found.network.model.state_dict(), start.state_dict()
    moved = {key for key in whole if not torch.equal(whole[key], before[key])}
    assert moved == {key for key in whole if key.startswith("head.")}
    assert found.candidate.features_target.shape == (40, start.feature_dim)
    with torch.no_grad():
        said = found.network.model.eval()(stretched(given.target.images)).logits.numpy()
    assert np.allclose(found.candidate.logits_target, said, atol=1e-4)


def sized(seed: int) -> nn.Module:
    """A network that takes images of another size, which are seen by other weights here."""
    one, other = network(), network(seed)
    one.resized = lambda share: other
    other.spec = {**other.spec, "options": {"size": 12}}
    return one


def test_features_at_another_size_are_those_of_all_target_images_and_cost_one_pass(shown) -> None:
    given, store = job(cached_views=2), FeatureStore(3)
    plain = on_fixed_features(given, sized(1), 1, store)
    before = sum(shown)
    own, probe = on_fixed_features(given, sized(1), 1, store, 0.75)
    assert sum(shown) - before == 40
    with torch.no_grad():
        expected = network(1)(stretched(given.target.images)).features
    assert torch.allclose(own.resized, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(own.target.images, plain[0].target.images)
    assert plain[0].resized is None
    assert probe.spec["features"] == [*plain[1].spec["features"], 12]
    on_fixed_features(given, sized(1), 1, FeatureStore(3), 0.75)  # another command
    assert sum(shown) - before == 40 + 40  # what was compared with


def test_without_features_at_another_size_it_goes_on_and_says_so(capsys) -> None:
    for given in (job(), job(cached_views=0)):  # a network of one size, and new views at every step
        own, _ = on_fixed_features(given, network(), 2, FeatureStore(3), 0.75)
        (note,) = without_other_size(own, 0.75)
        assert "other_size changed nothing" in note
        assert "other_size changed nothing" in " ".join(capsys.readouterr().err.split())
    assert without_other_size(own, 0.0) == []


def test_the_encoder_key_leaves_the_head_out() -> None:
    one, other = network(), network()
    with torch.no_grad():
        other.head.weight.add_(1)
    assert encoder_key(one) == encoder_key(other) != encoder_key(network(seed=1))


def test_fresh_views_on_request() -> None:
    given, model = job(cached_views=0), network()
    assert on_fixed_features(given, model, 0, FeatureStore(3)) == (given, model)
    free = replace(given, training=TrainConfig(batch_size=16))
    assert on_fixed_features(free, model, 0, FeatureStore(3)) == (free, model)


class Pretrained(nn.Module):
    """Batch norm before a head that reads the sign of what comes out."""

    pretrained = True

    def __init__(self, mean: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.norm.running_mean.fill_(mean)

    def forward(self, images):
        value = self.norm(images).mean((1, 2, 3))[:, None]
        return Output(value, torch.cat([-value, value], dim=1))


@pytest.mark.parametrize(("shares", "doubted"), [((0.5, 0.5), False), ((0.95, 0.05), True)])
def test_statistics_of_the_source_itself_must_not_cost_accuracy(shares, doubted) -> None:
    # Brightness 0 and 2 are the classes, told at 1.  With statistics of an even mix the threshold stays at
    # 1; of images that are nearly all bright it moves to 1.9, and half of the bright ones are lost.
    generator = torch.Generator().manual_seed(0)

    def images(bright: float, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = (torch.arange(n) < bright * n).long()
        return labels[:, None, None, None] * 2.0 + 0.4 * torch.randn(n, 1, 1, 1, generator=generator), labels

    train, labels = images(shares[0], 400)
    held, truth = images(0.5, 200)
    given = replace(
        job(),
        source=TrainingSet(train.expand(-1, 1, 2, 2).contiguous(), labels),
        valid=TrainingSet(held.expand(-1, 1, 2, 2).contiguous(), truth),
        stretch=lambda linear: linear,
    )
    said = statistics_doubt(Pretrained(1.0), given)
    assert (said is not None) == doubted
    ours = Pretrained(1.0)
    ours.pretrained = False
    assert statistics_doubt(ours, given) is None


def test_heads_on_one_encoder_cost_one_pass_and_answer_as_alone(shown) -> None:
    from galshift.runs.shared_encoder import SharedEncoder
    from galshift.training.predict import collected

    images = stretched(problem.images(40, 5)[0])

    def alone(trained):
        with torch.no_grad():
            said = trained.model(images)
        return collected(said.logits.numpy(), said.features.numpy(), np.zeros(40, np.int16))

    networks = [network(), network(), network(seed=1)]
    with torch.no_grad():
        networks[1].head.weight.mul_(2)
    one, other, unlike = (SimpleNamespace(model=n, preprocessing=Constants(offset=0.0)) for n in networks)
    shared, rows, data = SharedEncoder(), np.arange(40), object()
    for trained in (one, other, unlike):
        expected = alone(trained).logits
        before = len(shown)
        found = shared.outputs(trained, data, rows, lambda trained=trained: alone(trained))
        assert np.array_equal(found.logits, expected)
        assert len(shown) - before == (0 if trained is other else 1)
    shared.outputs(one, data, rows[:5], lambda: alone(one))
    assert len(shared._known) == 3


def test_a_head_on_random_features_is_told(capsys) -> None:
    from galshift.training.start import check_tuning

    check_tuning(replace(job(), model=SimpleNamespace(kind="efficientnet-lite0")))
    check_tuning(replace(job(), init=SimpleNamespace(model=network(), meta={})))
    assert capsys.readouterr().err == ""
    check_tuning(job())
    assert "starts from random weights" in capsys.readouterr().err
