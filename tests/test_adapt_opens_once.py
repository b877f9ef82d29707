"""One adapt opens each data set once, and reads no network or output that it has in memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from galshift import provenance
from galshift.data import open as opening
from galshift.domains import start
from galshift.recipes.execute import execute
from galshift.training import checkpoint, validate
from galshift.training.checkpoint import load_checkpoint
from galshift.verbs.adapt import job as adapt_job


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter[str]]:
    """How often each data set is opened, and each file of weights and of outputs read."""
    found = {"data": Counter(), "networks": Counter(), "outputs": Counter()}
    find, read, load = opening.find_reader, checkpoint.read_checkpoint, np.load

    def count_data(path: str | Path) -> str:
        found["data"][Path(path).name] += 1
        return find(path)

    def count_networks(path: str | Path):
        found["networks"][str(path)] += 1
        return read(path)

    def count_outputs(path, *args, **options):
        if str(path).endswith("outputs.npz"):
            found["outputs"][str(path)] += 1
        return load(path, *args, **options)

    monkeypatch.setattr(opening, "find_reader", count_data)
    monkeypatch.setattr(checkpoint, "read_checkpoint", count_networks)
    monkeypatch.setattr(np, "load", count_outputs)
    return found


@pytest.mark.parametrize(
    ("method", "seeds"),
    [("coral", 1), ("shot", 1), ({"kind": "auto", "methods": ["adabn", "mcc"]}, 1), ("coral", 2)],
)
def test_each_data_set_is_opened_once_and_nothing_in_memory_is_read_again(
    surveys: tuple[str, str],
    seen: dict[str, Counter[str]],
    tmp_path: Path,
    method: str | dict,
    seeds: int,
) -> None:
    training = {"epochs": 2, "batch_size": 16, "precision": "float32"}
    values = {"source": surveys[0], "target": surveys[1], "training": training, "samples": 4}
    run = execute("adapt", values | {"method": method, "seeds": seeds}, out=tmp_path / "run").run.path
    assert seen["data"] == {"sim.h5": 1, "sky.h5": 1}
    assert seen["outputs"] == {}
    # The evaluation reads the networks of further seeds, which would fill the memory otherwise.
    further = [run / "seed-43", run / "seed-43" / "source-only"] if seeds == 2 else []
    assert seen["networks"] == {str(folder / "model.safetensors"): 1 for folder in further}


def test_a_further_seed_opens_hashes_fits_and_prepares_nothing_again(
    surveys: tuple[str, str],
    seen: dict[str, Counter[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three seeds, six networks: one opening, hash, fit and training set of each part, as for one seed."""
    done: Counter[str] = Counter()

    def count(place: object, name: str) -> None:
        work = getattr(place, name)

        def counted(*args, **options):
            done[name] += 1
            return work(*args, **options)

        monkeypatch.setattr(place, name, counted)

    count(start, "fit_preprocessing")
    count(adapt_job, "training_set")
    count(provenance.hashlib, "file_digest")
    prepared = validate.HeldInputs.__iter__

    def iterate(self: validate.HeldInputs):
        done["network input"] += self._held is None
        return prepared(self)

    monkeypatch.setattr(validate.HeldInputs, "__iter__", iterate)
    provenance._HASHES.clear()
    training = {"epochs": 2, "batch_size": 16, "precision": "float32"}
    values = {"source": surveys[0], "target": surveys[1], "training": training, "samples": 0, "seeds": 3}
    run = execute("adapt", values | {"method": "coral"}, out=tmp_path / "run").run.path
    assert len(list(run.rglob("model.safetensors"))) == 6
    assert seen["data"] == {"sim.h5": 1, "sky.h5": 1}
    assert done["fit_preprocessing"] == 1
    assert done["training_set"] == 3  # source training and validation, target training
    assert done["network input"] == 2  # source validation and target
    outputs = [file for file in run.rglob("*") if file.is_file() and file.name != "log.txt"]
    held = {"manifest.json", "run.json", "places.json", ".lock"}
    assert done["file_digest"] == 2 + sum(file.name not in held for file in outputs)


def test_a_run_stopped_before_its_evaluation_reads_each_network_once(
    surveys: tuple[str, str],
    seen: dict[str, Counter[str]],
    tmp_path: Path,
) -> None:
    training = {"epochs": 2, "batch_size": 16, "precision": "float32"}
    values = {"source": surveys[0], "target": surveys[1], "training": training, "samples": 0}
    run = execute("adapt", values | {"method": "coral"}, out=tmp_path / "run").run.path
    metrics = (run / "metrics.json").read_bytes()
    for name in ("manifest.json", "metrics.json"):
        (run / name).unlink()
    execute("adapt", values | {"method": "coral"}, out=run)
    folders = (run, run / "source-only")
    assert seen["networks"] == {str(folder / "model.safetensors"): 1 for folder in folders}
    assert seen["outputs"] == {str(folder / "outputs.npz"): 1 for folder in folders}
    assert (run / "metrics.json").read_bytes() == metrics
    assert load_checkpoint(run).meta["method"] == "coral"
