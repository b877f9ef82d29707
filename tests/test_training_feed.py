"""What a step is fed: the same bits whoever draws the views and when, nothing twice, no wait for a GPU."""

from __future__ import annotations

import os
import resource
import signal
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from galshift.data.input_config import AugmentConfig
from galshift.data.stretch import Stretch
from galshift.errors import Interrupted
from galshift.training import _feed, validate
from galshift.training._feed import Feed
from galshift.training.config import TrainConfig
from galshift.training.criterion import build_criterion
from galshift.training.device import DeviceChoice
from galshift.training.job import TrainingJob
from galshift.training.memory import _libc, held_memory
from galshift.training.plan import Plan
from galshift.training.sets import TrainingSet
from galshift.training.train_network import STRONG, Augmenter
from galshift.training.world import World
from tests.test_audit_device import Calls
from tests.training_helpers import BANDS, HEAD, MeanMatching, images, sets, train, weights_hash

pytestmark = pytest.mark.usefixtures("one_thread")

META = torch.device("meta")


def stretch() -> Stretch:
    """Return a fitted asinh stretch."""
    return Stretch(kind="asinh", softening=[1.0] * BANDS, mean=[0.1] * BANDS, std=[1.2] * BANDS)


class TwoViews(MeanMatching):
    """A method with two further views of the target."""

    views = 2


@pytest.mark.parametrize("accumulate", [1, 2])
def test_views_drawn_ahead_are_the_same_bits(tmp_path: Path, monkeypatch, accumulate: int) -> None:
    augment, found = Augmenter(AugmentConfig(zoom=0.1, blur_px=0.5), torch.ones(BANDS)), {}
    for free in (True, False):
        monkeypatch.setattr(_feed, "_core_is_free", lambda device, world, free=free: free)
        result = train(tmp_path / str(free), method=TwoViews(), augment=augment, accumulate=accumulate)
        found[free] = weights_hash(result), result.history
    assert found[True] == found[False]


def test_trouble_with_a_view_is_told_where_it_is_waited_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(_feed, "_core_is_free", lambda device, world: True)
    drawn = []

    def breaking(linear: Tensor, generator: torch.Generator) -> Tensor:
        drawn.append(1)
        if len(drawn) > 3:
            raise ArithmeticError("no such view")
        return linear

    with pytest.raises(ArithmeticError, match="no such view"):
        train(tmp_path, "train", augment=breaking)


class Counting:
    """Images that remember how often they were asked for."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels, self.asked = pixels, Counter()

    def __len__(self) -> int:
        return len(self.pixels)

    def fetch(self, indices: Tensor) -> Tensor:
        """Return images, counted."""
        self.asked.update(indices.tolist())
        return self.pixels[indices]


def test_what_is_validated_on_is_read_once_where_it_fits_and_gives_the_same(tmp_path, monkeypatch) -> None:
    pixels, labels = images(24, 1)
    found, asked = [], []
    for room in (validate.HELD_BYTES, 0):
        monkeypatch.setattr(validate, "HELD_BYTES", room)
        far = Counting(pixels)
        data = sets() | {"source_valid": TrainingSet(far, labels)}
        found.append(weights_hash(train(tmp_path / str(room), data=data)))
        asked.append(far.asked[23])  # the first ones are checked beforehand
    assert found[0] == found[1] == weights_hash(train(tmp_path / "near"))
    assert asked == [1, 4]  # four epochs; what the best one said is not asked for again


@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_best_epochs_outputs_are_the_returned_networks_also_after_a_stop(tmp_path, ema) -> None:
    whole = train(tmp_path / "a", ema=ema)
    with torch.no_grad():
        said = whole.model(sets()["source_valid"].images)
    assert torch.equal(whole.valid.logits, said.logits)
    assert torch.equal(whole.valid.features, said.features)

    def stop(row: dict) -> None:
        if row["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(tmp_path / "b", on_epoch=[stop], ema=ema)
    resumed = train(tmp_path / "b", ema=ema)
    assert torch.equal(resumed.valid.logits, whole.valid.logits)
    # And when all epochs were done before the stop.
    again = train(tmp_path / "b", ema=ema)
    assert torch.equal(again.valid.logits, whole.valid.logits)


class Classifier(nn.Module):
    """The smallest network."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(BANDS, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return self.last(images.mean((2, 3)))


def calls_of_a_step(side: int, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Return what one step on a device without values calls: to look at a value there raises."""
    # Generators exist on the CPU and on GPUs only: here each draw is one more copy from the CPU.
    monkeypatch.setattr(_feed, "torch_stream", lambda *names, device: torch.Generator().manual_seed(1))
    choice = DeviceChoice(META, "float32", "a test", "a test")
    pixels = torch.randn(8, BANDS, side, side, generator=torch.Generator().manual_seed(0)).to(META)
    config = TrainConfig(batch_size=8, epochs=2, warmup_epochs=0, class_weights=(1.0, 2.0, 3.0))
    labels = torch.arange(8) % 3
    job = TrainingJob(
        source=TrainingSet(pixels, labels),
        valid=None,
        target=TrainingSet(pixels),
        training=config,
        head=HEAD,
        device=choice,
        augment=Augmenter(AugmentConfig(), torch.ones(BANDS)),
        strong_augment=Augmenter(STRONG, torch.ones(BANDS)),
        stretch=stretch(),
    )
    feed = Feed(job, Plan(config, 0, 8, 8), 1, torch.channels_last, World())
    model, criterion = Classifier().to(META), build_criterion(config, labels, 3)
    with Calls() as calls:
        source, target = feed.inputs(0, 0, 1)
        criterion(model(source.images), source.labels).backward()
    feed.close()
    for seen in (source.images, target.images, *target.views):
        assert seen.shape == (8, BANDS, side, side)
        assert seen.device == META
        assert seen.is_contiguous(memory_format=torch.channels_last)
    assert (source.index.device, source.labels.device) == (META, META)
    return calls


def test_a_step_never_waits_for_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (calls_of_a_step(side, monkeypatch) for side in (16, 48))
    assert large.all == small.all
    assert "meta" not in large.copies
    # Draws: 6 of each plain view, 8 of the strong one.  Beside them, and never waited for: rows to take from
    # each domain and their index, the labels, the class weights, and 4 constants a view.
    assert large.copies["cpu"] == 6 + 6 + 8 + 2 * 2 + 1 + 1 + 3 * 4


@pytest.mark.skipif(_libc() is None, reason="needs glibc")
def test_freed_memory_is_held_for_the_next_step_and_given_back_at_the_end() -> None:
    def pages(megabytes: int) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(megabytes << 18)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    def held_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    start = held_mb()
    with held_memory(), held_memory():
        taken = [pages(200) for _ in range(5)]  # the second may not fit the hole that the first one left
        assert taken[-1] < taken[0] / 10
        assert held_mb() > start + 150
    assert held_mb() < start + 100
