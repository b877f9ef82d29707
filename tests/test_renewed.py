"""AdaBN in adapt: the source-only network of the same run, with the target's batch-norm statistics alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.domains.splits import read_splits
from galshift.recipes.execute import execute
from galshift.simulate.generate import simulate
from galshift.training import train_network
from galshift.training.checkpoint import load_checkpoint
from galshift.training.outputs import read_candidate


@pytest.fixture(scope="module")
def surveys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two small files of simulated galaxies."""
    folder = tmp_path_factory.mktemp("surveys")
    return {
        name: str(write_hdf5(folder / f"{name}.h5", simulate(48, size=24, seed=seed, bands=("r",))))
        for name, seed in (("source", 1), ("target", 2))
    }


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that networks are trained into."""
    seen: list[str] = []
    fit = train_network.fit

    def counted(*args, **options):
        seen.append(Path(options["directory"]).name)
        return fit(*args, **options)

    monkeypatch.setattr(train_network, "fit", counted)
    return seen


def values(surveys: dict[str, str], **more: object) -> dict:
    training = {"epochs": 2, "batch_size": 16, "precision": "float32"}
    return {**surveys, "training": training, "samples": 0, "baselines": False, **more}


def test_one_training_serves_both_and_only_the_statistics_differ(
    surveys: dict[str, str], tmp_path: Path, trainings: list[str]
) -> None:
    execute("adapt", values(surveys, method="adabn"), out=tmp_path / "run")
    assert trainings == ["source-only"]
    plain, moved = (load_checkpoint(tmp_path / "run" / name) for name in ("source-only", ""))
    before, after = plain.model.state_dict(), moved.model.state_dict()
    for name, value in before.items():
        same = torch.equal(value, after[name])
        assert same == (".running_" not in name and "num_batches" not in name), name
    # The first batch norm holds mean and variance of what the first layer gives for all training images.
    dataset = open_dataset(surveys["target"])
    rows = read_splits(tmp_path / "run")["target"].rows(dataset, "train")
    linear = torch.from_numpy(moved.preprocessing.linear(dataset.read(rows)))
    layers = list(moved.model.modules())
    norm = next(k for k, one in enumerate(layers) if isinstance(one, torch.nn.BatchNorm2d))
    convolution = next(one for one in reversed(layers[:norm]) if isinstance(one, torch.nn.Conv2d))
    with torch.no_grad():
        given = convolution(moved.preprocessing.stretch(linear)).transpose(0, 1).flatten(1).double().numpy()
    np.testing.assert_allclose(layers[norm].running_mean.numpy(), given.mean(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layers[norm].running_var.numpy(), given.var(axis=1, ddof=1), rtol=1e-4)


def test_what_is_said_of_the_source_is_the_source_only_networks(
    surveys: dict[str, str], tmp_path: Path
) -> None:
    execute("adapt", values(surveys, method="adabn"), out=tmp_path / "run")
    plain, moved = (read_candidate(tmp_path / "run" / name) for name in ("source-only", ""))
    np.testing.assert_array_equal(plain.logits_source_val, moved.logits_source_val)
    assert not np.array_equal(plain.logits_target, moved.logits_target)
    assert moved.logits_target.shape == plain.logits_target.shape


def test_where_labels_of_the_target_join_it_is_trained(
    surveys: dict[str, str], tmp_path: Path, trainings: list[str]
) -> None:
    dataset = open_dataset(surveys["target"])
    names = np.array(dataset.info.classes)[dataset.info.labels]
    lines = [f"{i},{name}" for i, name in list(zip(dataset.info.ids, names, strict=True))[:12]]
    (tmp_path / "few.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    given = values(surveys, method="adabn", target_labels=str(tmp_path / "few.csv"))
    execute("adapt", given, out=tmp_path / "run")
    assert trainings == ["source-only", "run"]
