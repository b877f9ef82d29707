"""Pre-training: several surveys in one frame, no labels, and an encoder that train and adapt start from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import galshift
from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.errors import DataError
from galshift.models._mae import MaskedConfig, MaskedLearner
from galshift.models.build import build_model
from galshift.training.checkpoint import load_checkpoint
from galshift.training.sets import TrainingSet
from galshift.verbs.pretrain.work import joined, reconstruction_error
from tests.training_helpers import Slow

SMALL = {
    "model.width": 24,
    "model.depth": 1,
    "model.patch": 8,
    "masked.width": 16,
    "masked.depth": 1,
    "training.batch_size": 8,
}


def blobs(n: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian galaxies (N, 2, size, size) at the same angular size, whose class is their width."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    width = (0.15 + 0.1 * labels)[:, None, None]
    shape = np.exp(-(x**2 + y**2) / (2 * width**2)) / width**2
    images = np.stack([shape, 0.5 * shape], axis=1) + 0.1 * rng.normal(size=(n, 2, size, size))
    return images.astype(np.float32), labels


def write(path: Path, n: int, size: int, seed: int, *, bands: str, labels: np.ndarray | None = None) -> Path:
    images, own = blobs(n, size, seed)
    images = images if bands == "gr" else images[:, ::-1]
    labels = own if labels is None else labels
    scale = 24.0 / size
    return write_hdf5(
        path,
        Cutouts(
            images,
            unit="nJy",
            pixel_scale=scale,
            bands=tuple(bands),
            labels=labels,
            classes=("round", "flat"),
        ),
    )


@pytest.fixture(scope="module")
def surveys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two surveys with other pixel scales and another order of bands."""
    folder = tmp_path_factory.mktemp("surveys")
    return (
        write(folder / "deep.h5", 48, 32, 0, bands="gr"),
        write(folder / "wide.h5", 32, 24, 1, bands="rg"),
    )


@pytest.fixture(scope="module")
def pretrained(surveys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pretrained") / "run"
    galshift.pretrain(list(map(str, surveys)), epochs=20, out=str(out), set=SMALL)
    return out


def test_hidden_patches_of_new_galaxies_are_filled_in(pretrained: Path) -> None:
    results = json.loads((pretrained / "manifest.json").read_text())["results"]
    assert results["n_train"] + results["n_held_out"] == 80
    assert results["size"] == 24  # at the coarser pixel scale
    assert results["fit"]["held_out_error"] < 0.7
    rows = [json.loads(line) for line in (pretrained / "metrics.jsonl").open()]
    assert rows[-1]["reconstruction"] < rows[0]["reconstruction"]
    assert {row["phase"] for row in rows} == {"pre-train"}


def test_labels_play_no_part(surveys: tuple[Path, Path], pretrained: Path, tmp_path: Path) -> None:
    permuted = write(tmp_path / "deep.h5", 48, 32, 0, bands="gr", labels=np.ones(48, dtype=np.int64))
    galshift.pretrain([str(permuted), str(surveys[1])], epochs=20, out=str(tmp_path / "run"), set=SMALL)
    ours, theirs = ((path / "model.safetensors").read_bytes() for path in (tmp_path / "run", pretrained))
    assert ours == theirs


def test_training_starts_from_the_encoder(surveys: tuple, pretrained: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    galshift.train(str(surveys[0]), init=str(pretrained), epochs=1, out=str(out), set={"training.lr": 1e-9})
    trained, encoder = load_checkpoint(out), load_checkpoint(pretrained, encoder=True)
    assert trained.model.spec["name"] == "vit"
    assert trained.classes == ("round", "flat")
    assert trained.preprocessing.stretch_constants == encoder.preprocessing.stretch_constants
    images = torch.randn(4, 2, 24, 24, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        trained.model(images).features, encoder.model(images).features, rtol=1e-4, atol=1e-5
    )
    assert json.loads((out / "manifest.json").read_text())["results"]["model"] == "vit"


def test_an_encoder_cannot_classify(surveys: tuple, pretrained: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pre-trained encoder, which has no classes yet") as caught:
        galshift.predict(str(pretrained), str(surveys[0]), out=str(tmp_path / "p.csv"))
    assert caught.value.exit_code == 4


def test_an_error_of_one_is_what_the_mean_gives() -> None:
    vit = build_model(
        "vit", in_channels=1, size=16, n_classes=1, options={"patch": 8, "width": 24, "depth": 1}
    )
    learner = MaskedLearner(vit, MaskedConfig(width=16, depth=1), seed=0)
    torch.nn.init.zeros_(learner.autoencoder.predict[-1].weight)
    torch.nn.init.zeros_(learner.autoencoder.predict[-1].bias)
    images = TrainingSet(torch.randn(200, 1, 16, 16, generator=torch.Generator().manual_seed(0)))
    found = reconstruction_error(learner, images, lambda x: x, torch.device("cpu"))
    assert found == pytest.approx(63 / 64, rel=1e-3)  # the variance is unbiased over 64 pixels


def test_joined_sets_are_one_set() -> None:
    first, second = torch.randn(5, 1, 8, 8), torch.randn(3, 1, 8, 8)
    whole, rows = torch.cat([first, second]), torch.tensor([7, 0, 4, 5, 0])
    for kind in (Slow, lambda pixels: pixels):
        both = joined([TrainingSet(kind(first)), TrainingSet(second)])
        assert len(both) == 8
        assert torch.equal(both.take(rows), whole[rows])
