"""A survey observed anew at every draw, inside training: the mocks' observer in the loop's hook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import galshift
from galshift import surveys
from galshift.data.cutouts import Cutouts
from galshift.data.open import open_dataset
from galshift.domains.splits import read_splits
from galshift.errors import ConfigError, DataError
from galshift.mocks.config import ObserveConfig
from galshift.mocks.observe import observe
from galshift.mocks.on_the_fly import observer_for
from galshift.models.build import build_model
from galshift.training.checkpoint import load_checkpoint
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import FitResult, fit
from galshift.training.sets import TrainingSet
from tests.training_helpers import SourceOnly, weights_hash


@pytest.fixture(scope="module")
def galaxies() -> Cutouts:
    """Return noise-free Gaussian galaxies whose class is their size."""
    labels = np.arange(24) % 2
    y, x = np.mgrid[:32, :32] - 15.5
    width = np.where(labels, 5.0, 2.5)[:, None, None]
    shape = np.exp(-(x**2 + y**2) / (2 * width**2))
    images = np.stack([2e3 * shape, 3e3 * shape], axis=1).astype(np.float32)
    ids = np.array([f"galaxy-{i}" for i in range(24)])
    return Cutouts(
        images,
        unit="nJy",
        pixel_scale=0.2,
        bands=("g", "r"),
        ids=ids,
        labels=labels,
        classes=("small", "large"),
    )


def trained(galaxies: Cutouts, directory: Path, **options) -> FitResult:
    """Train on new mocks at every draw."""
    look = observer_for(galaxies, surveys.load("sdss"), config=ObserveConfig(seeing="quartiles"), seed=7)
    held = TrainingSet(
        torch.from_numpy(galaxies.images), torch.from_numpy(galaxies.labels), tuple(galaxies.ids), look
    )
    size = look.side(32)
    return fit(
        build_model("deepmerge", in_channels=2, size=size, n_classes=2),
        SourceOnly(),
        TrainingJob(
            source=held,
            valid=held,
            target=None,
            training=TrainConfig(epochs=3, batch_size=8, **options),
            head=ClassHead(galaxies.classes),
            device="cpu",
            stretch=lambda x: torch.asinh(x / 100),
        ),
        directory=directory,
        seed=1,
        progress=None,
    )


def test_mocks_on_the_fly_train_and_repeat(galaxies: Cutouts, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    one, two = trained(galaxies, tmp_path / "a"), trained(galaxies, tmp_path / "b")
    assert weights_hash(one) == weights_hash(two)
    assert one.history[-1]["loss"] < one.history[0]["loss"]


def test_what_is_trained_on_is_the_stored_mock(galaxies: Cutouts) -> None:
    survey, config = surveys.load("sdss"), ObserveConfig()
    look = observer_for(galaxies, survey, config=config, seed=7)
    held = TrainingSet(torch.from_numpy(galaxies.images), ids=tuple(galaxies.ids), observe=look)
    rows = torch.tensor([5, 2])
    named = galaxies.take(rows.numpy()).with_(ids=np.array(["galaxy-5/3", "galaxy-2/3"]))
    stored = observe(named, survey, bands=("g", "r"), config=config, seed=7)
    np.testing.assert_array_equal(held.take(rows, torch.tensor([3, 3])).numpy(), stored.images)


def test_train_observes_and_evaluate_sees_the_survey_too(tmp_path: Path) -> None:
    """The network trains on new mocks; whoever opens the run's held-out part sees one fixed mock of each."""
    torch.set_num_threads(1)
    sim, run = tmp_path / "sim.h5", tmp_path / "run"
    galshift.simulate(out=sim, n=30, views=1, size=40, pixel_scale=0.3)
    galshift.train(str(sim), observe="sdss", epochs=1, out=str(run))
    record = read_splits(run)["source"]
    shown, scale = record.open(), surveys.load("sdss").pixel_scale.value
    assert shown.info.pixel_scale == scale
    assert shown.info.shape[1] == pytest.approx(40 * 0.3 / scale, abs=1)
    rows = record.rows(shown, "test")
    once, again = shown.read(rows), shown.read(rows[::-1])
    np.testing.assert_array_equal(once.images, again.images[::-1])
    noise_free = open_dataset(str(sim)).read(rows)
    np.testing.assert_array_equal(once.labels, noise_free.labels)
    named = noise_free.with_(ids=np.array([f"{name}/-1" for name in noise_free.ids]))
    how = ObserveConfig(seeing="quartiles", random_phase=True)
    stored = observe(named, surveys.load("sdss"), bands=shown.info.bands, config=how, seed=42)
    np.testing.assert_array_equal(once.images, stored.images)
    assert load_checkpoint(run).preprocessing.pixel_scale_arcsec == scale


def test_what_cannot_be_observed_is_said(tmp_path: Path) -> None:
    sim = tmp_path / "sim.h5"
    galshift.simulate(out=sim, n=12, views=1, size=32)
    with pytest.raises(DataError, match="none of the bands"):
        galshift.train(str(sim), observe="euclid-vis", out=str(tmp_path / "run"))
    with pytest.raises(ConfigError, match="unknown survey 'sdsss'"):
        galshift.train(str(sim), observe="sdsss", out=str(tmp_path / "run"))
