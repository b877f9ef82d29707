"""The loop: same seed same bits, killed and resumed, stopped by a signal, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from galshift.errors import ConfigError, DataError, Interrupted, NumericalError, ResourceError
from galshift.streams import torch_stream
from galshift.training._store import STATE_FILE
from galshift.training.sets import TrainingSet
from tests.training_helpers import MeanMatching, Slow, SourceOnly, images, sets, train, weights_hash

pytestmark = pytest.mark.usefixtures("one_thread")


def test_same_seed_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    one, two = (train(tmp_path / name) for name in "ab")
    assert weights_hash(one) == weights_hash(two)
    assert one.history == two.history
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()
    assert weights_hash(train(tmp_path / "c", seed=4)) != weights_hash(one)


def test_global_random_state_does_not_matter_and_is_kept(tmp_path: Path) -> None:
    torch.manual_seed(1)
    one = train(tmp_path / "a")
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(1)))
    torch.manual_seed(2)
    assert weights_hash(train(tmp_path / "b")) == weights_hash(one)


def test_it_learns_and_reports_what_it_optimised(tmp_path: Path) -> None:
    result = train(tmp_path, epochs=8, lr=3e-3)
    last = result.history[-1]
    assert last["valid_accuracy"] > 0.9
    assert [row["phase"] for row in result.history[:2]] == ["warm-up", "adapt"]
    assert last["loss"] == pytest.approx(last["classification"] + last["gap"] + last["scale"], rel=1e-6)
    assert last["gradient_norm"] > 0
    assert last["pull_gap"] > 0
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == list(result.history)


def test_what_a_method_observes_is_logged_and_may_be_nan(tmp_path: Path) -> None:
    class Observing(MeanMatching):
        def losses(self, source, target, progress):
            self.observed = {"share": torch.tensor(0.25), "undefined": torch.tensor(float("nan"))}
            return super().losses(source, target, progress)

    rows = train(tmp_path, method=Observing(), accumulate=2).history
    assert "share" not in rows[0]  # the warm-up
    assert [row["share"] for row in rows[1:]] == [0.25] * 3
    assert np.isnan(rows[1]["undefined"])
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[1])["undefined"] is None


def test_the_best_epoch_is_kept_and_warm_up_never_wins(tmp_path: Path) -> None:
    scores = iter([9.0, 1.0, 3.0, 2.0, 0.0])
    rows = []
    result = train(tmp_path, epochs=5, selector=None, select="last", on_epoch=[rows.append])
    assert result.best_epoch == 5
    stopped = train(tmp_path / "b", epochs=5, patience=2, selector=lambda candidate: next(scores))
    assert stopped.best_epoch == 3
    assert stopped.stopped == "patience"
    assert len(stopped.history) == 5
    assert len(rows) == 5


def test_patience_starts_again_after_an_improvement(tmp_path: Path) -> None:
    scores = iter([0.0, 1.0, 0.5, 2.0, 0.5, 0.4, 0.3])
    result = train(tmp_path, epochs=7, patience=2, selector=lambda candidate: next(scores), warmup_epochs=0)
    assert (len(result.history), result.best_epoch) == (6, 4)


class Pooled:
    """A selector whose scores change as the pool grows: the first epochs look best until the fourth."""

    def measure(self, candidate) -> dict:
        return {"mean": float(candidate.logits_target.mean()), "array": candidate.logits_target[:2]}

    def compare(self, measured) -> np.ndarray:
        assert all(isinstance(one["array"], np.ndarray) for one in measured)
        order = np.arange(len(measured), dtype=float)
        return order if len(measured) > 3 else -order


def test_a_pool_of_epochs_is_ranked_afresh_and_survives_a_stop(tmp_path: Path) -> None:
    result = train(tmp_path / "a", epochs=7, warmup_epochs=1, patience=None, selector=Pooled())
    assert result.best_epoch == 7
    assert [row["best_epoch"] for row in result.history] == [0, 2, 2, 2, 5, 6, 7]
    assert [row["score"] for row in result.history][1:] == [0.0, -1.0, -2.0, 3.0, 4.0, 5.0]

    def stop(row: dict) -> None:
        if row["epoch"] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    options = {"epochs": 7, "warmup_epochs": 1, "patience": None, "selector": Pooled()}
    with pytest.raises(Interrupted):
        train(tmp_path / "b", on_epoch=[stop], **options)
    assert weights_hash(train(tmp_path / "b", **options)) == weights_hash(result)
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()


def test_candidate_holds_outputs_and_no_target_labels(tmp_path: Path) -> None:
    seen = []
    train(tmp_path, epochs=2, selector=lambda candidate: seen.append(candidate) or 0.0)
    candidate = seen[-1]
    assert candidate.logits_target.shape == (40, 3)
    assert candidate.features_source_val.shape[0] == 24
    assert candidate.n_classes == 3


@pytest.mark.parametrize("kind", ["train", "adapt"])
def test_an_interrupted_run_ends_in_the_same_bits(tmp_path: Path, kind: str) -> None:
    whole = train(tmp_path / "whole", kind, accumulate=2, clip=0.1)
    pieces = 0
    while True:
        countdown = iter(range(4))

        def stop(countdown=countdown, **_) -> None:
            if next(countdown, None) == 3:
                os.kill(os.getpid(), signal.SIGUSR1)

        try:
            result = train(
                tmp_path / "pieces",
                kind,
                accumulate=2,
                clip=0.1,
                augment=_counted(stop) if pieces < 6 else _counted(),
            )
            break
        except Interrupted:
            pieces += 1
    assert pieces == 6
    assert weights_hash(result) == weights_hash(whole)
    assert (tmp_path / "whole/metrics.jsonl").read_bytes() == (tmp_path / "pieces/metrics.jsonl").read_bytes()


def _counted(call=None):
    from tests.training_helpers import noisy

    def augment(linear, generator):
        if call is not None:
            call()
        return noisy(linear, generator)

    return augment


def test_the_best_weights_outlive_a_stop(tmp_path: Path) -> None:
    """The best epoch lies before the stop, and its weights were on disk by then."""

    def stop(row: dict) -> None:
        if row["epoch"] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    def first_is_best(candidate) -> float:
        return -float(len(calls.append(1) or calls))

    calls: list[int] = []
    whole = train(tmp_path / "a", epochs=6, warmup_epochs=0, selector=first_is_best)
    calls.clear()
    with pytest.raises(Interrupted):
        train(tmp_path / "b", epochs=6, warmup_epochs=0, selector=first_is_best, on_epoch=[stop])
    assert [path.name for path in (tmp_path / "b").glob("best-*")] == ["best-00001.safetensors"]
    result = train(tmp_path / "b", epochs=6, warmup_epochs=0, selector=first_is_best)
    assert result.best_epoch == whole.best_epoch == 1
    assert weights_hash(result) == weights_hash(whole)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = train(tmp_path)
    again = train(tmp_path, augment=_forbidden)
    assert weights_hash(first) == weights_hash(again)
    assert first.history == again.history


def _forbidden(linear, generator):
    raise AssertionError("nothing was left to train")


def test_a_loss_that_is_not_finite_keeps_the_last_good_state(tmp_path: Path) -> None:
    class Exploding(MeanMatching):
        def losses(self, source, target, progress):
            value = super().losses(source, target, progress)
            return value | {"bang": torch.tensor(float("nan")) if progress > 0.5 else torch.tensor(0.0)}

    with pytest.raises(NumericalError, match="bang") as caught:
        train(tmp_path, method=Exploding(), epochs=6, checkpoint_every_s=1e-6)
    assert caught.value.exit_code == 5
    from galshift.training.state import load_state

    state = load_state(tmp_path / STATE_FILE)
    assert state["record"]["epoch"] >= 1
    assert all(torch.isfinite(value).all() for value in state["networks"]["model"].values())


def test_another_training_in_the_directory_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(DataError, match="state of another training"):
        train(tmp_path, lr=0.5)


def test_a_damaged_state_is_one_sentence(tmp_path: Path) -> None:
    train(tmp_path)
    state = tmp_path / STATE_FILE
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be read") as caught:
        train(tmp_path)
    assert caught.value.where == str(state)


def test_target_labels_are_refused_and_what_does_not_fit(tmp_path: Path) -> None:
    data = sets()
    pixels, labels = images(40, 2)
    with pytest.raises(DataError, match="target's labels"):
        train(tmp_path, data=data | {"target_train": TrainingSet(pixels, labels)})
    with pytest.raises(DataError, match="needs target images"):
        train(tmp_path, data=data | {"target_train": None})
    with pytest.raises(DataError, match=r"\(3, 16, 16\) and the network takes \(2, 16, 16\)"):
        train(tmp_path, data=data | {"target_train": TrainingSet(torch.zeros(4, 3, 16, 16))})
    with pytest.raises(DataError, match="labels run from 0 to 47 for 3 classes"):
        train(tmp_path, data=data | {"source_train": replace(data["source_train"], labels=torch.arange(48))})
    with pytest.raises(ConfigError, match="validation set"):
        train(tmp_path, data=data | {"source_valid": None})


def test_the_model_does_not_depend_on_the_order_of_unused_target_rows(tmp_path: Path) -> None:
    """Source-only never reads the target."""
    data = sets()
    one = train(tmp_path / "a", data=data, method=SourceOnly())
    other = data | {"target_train": TrainingSet(torch.full((7, 2, 16, 16), torch.nan))}
    assert weights_hash(train(tmp_path / "b", data=other, method=SourceOnly())) == weights_hash(one)


def test_fetched_images_train_to_the_same_bits(tmp_path: Path) -> None:
    class OnDisk:
        def __init__(self, pixels: torch.Tensor, path: Path) -> None:
            np.save(path, pixels.numpy())
            self.array = np.load(path, mmap_mode="r")

        def __len__(self) -> int:
            return len(self.array)

        def fetch(self, indices: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(self.array[indices.numpy()]))

    data = sets()
    disk = {
        name: TrainingSet(OnDisk(held.images, tmp_path / f"{name}.npy"), held.labels)
        for name, held in data.items()
    }
    one, two = train(tmp_path / "a", data=data, accumulate=2), train(tmp_path / "b", data=disk, accumulate=2)
    assert weights_hash(one) == weights_hash(two)
    assert one.history == two.history


def observed(linear: torch.Tensor, ids, draws) -> torch.Tensor:
    """A toy survey: every second pixel, with noise that follows the image's name and the draw alone."""
    noise = [torch.randn(2, 16, 16, generator=torch_stream(5, name, draw)) for name, draw in zip(ids, draws)]
    return linear[:, :, ::2, ::2] + 0.1 * torch.stack(noise)


def twice_as_large(*, fetched: bool = False) -> dict[str, TrainingSet]:
    """Return sets whose images are observed at every draw."""
    large = {}
    for name, held in sets().items():
        pixels = held.images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        ids = tuple(f"{name}-{i}" for i in range(len(held)))
        large[name] = TrainingSet(Slow(pixels) if fetched else pixels, held.labels, ids, observed)
    return large


def test_images_observed_at_every_draw(tmp_path: Path) -> None:
    """The same bits however they are held, cut into micro-batches or interrupted; other noise each pass."""
    whole = train(tmp_path / "a", data=twice_as_large())
    assert whole.history[-1]["valid_accuracy"] > 0.3
    assert weights_hash(train(tmp_path / "b", data=twice_as_large(fetched=True))) == weights_hash(whole)

    def stop(row: dict) -> None:
        if row["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(tmp_path / "c", data=twice_as_large(), on_epoch=[stop])
    assert weights_hash(train(tmp_path / "c", data=twice_as_large())) == weights_hash(whole)
    held = twice_as_large()["source_train"]
    rows = torch.arange(3)
    first, again, second = (held.take(rows, torch.full((3,), draw)) for draw in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_every_image_is_observed_once_a_pass(tmp_path: Path) -> None:
    seen = []

    def noted(linear, ids, draws):
        seen.extend(zip(ids, draws, strict=True))
        return observed(linear, ids, draws)

    data = twice_as_large()
    data["source_train"] = replace(data["source_train"], observe=noted)
    train(tmp_path, "train", data=data, epochs=3)
    drawn = [pair for pair in seen if pair[1] >= 0]
    assert sorted(set(drawn)) == sorted((f"source_train-{i}", d) for i in range(48) for d in range(3))
    assert len(drawn) == 3 * 48


def test_observed_images_need_names() -> None:
    with pytest.raises(DataError, match="need ids"):
        TrainingSet(torch.zeros(3, 2, 32, 32), observe=observed)


def test_views_reach_the_method(tmp_path: Path) -> None:
    shapes = []

    class TwoViews(MeanMatching):
        views = 2

        def losses(self, source, target, progress):
            shapes.append([tuple(view.features.shape) for view in target.views] + [len(source.views)])
            assert not torch.equal(target.views[0].features, target.features)
            return super().losses(source, target, progress)

    train(tmp_path, method=TwoViews())
    assert shapes[0] == [(16, 32), (16, 32), 0]


def test_running_out_of_memory_halves_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from galshift.training import _networks

    forward = _networks.forward_domains

    def small(network, source, target):
        if len(source.images) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(network, source, target)

    monkeypatch.setattr(_networks, "forward_domains", small)
    result = train(tmp_path)
    assert "4 parts of 4" in result.notes[-1]
    assert "out of memory" in capsys.readouterr().err
    assert len(result.history) == 4

    def never(network, source, target):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(_networks, "forward_domains", never)
    with pytest.raises(ResourceError, match="not enough memory for 2 images of 16 pixels"):
        train(tmp_path / "b")


def test_methods_parameters_are_trained_and_frozen_ones_are_not(tmp_path: Path) -> None:
    class HeadOnly(MeanMatching):
        def trainable(self, model: nn.Module):
            return model.head.parameters()

    method = HeadOnly()
    result = train(tmp_path, method=method, augment=None)
    from galshift.models.build import build_model

    fresh = build_model("deepmerge", in_channels=2, size=16, n_classes=3).state_dict()
    assert torch.equal(result.state["encoder.0.0.weight"], fresh["encoder.0.0.weight"])
    assert not torch.equal(result.state["head.weight"], fresh["head.weight"])


OPTIONS = [
    {"ema": None},
    {"focal": 2.0, "label_smoothing": 0.1},
    {"optimiser": "sgd"},
    {"class_weights": "balanced"},
    {"precision": "bfloat16"},
    {"channels_last": False, "schedule": "constant"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options))
def test_options_train(tmp_path: Path, options: dict) -> None:
    result = train(tmp_path, epochs=2, **options)
    assert np.isfinite([row["loss"] for row in result.history]).all()
    assert all(value.dtype != torch.bfloat16 for value in result.state.values())
