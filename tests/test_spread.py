"""Work in pieces: local processes that die, err and are stopped; the same order whatever happens."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import galshift
from galshift import spread as spreading
from galshift.errors import ConfigError, DataError, ResourceError, UsageError
from galshift.recipes.call import Common, call
from galshift.recipes.execute import execute
from galshift.runs import passes
from galshift.spread import Engine, Task, spread
from galshift.verbs._base import Context
from galshift.verbs.audit import pieces as audit_pieces
from tests import spread_toys
from tests.test_attack_verb import SIZE, write_images, write_run

PIECES = list(range(8))


def toy(folder: Path) -> Task:
    """Return work that squares numbers."""
    return Task(open=spread_toys.opened, make=spread_toys.made, job=str(folder))


def squares(folder: Path, engine: Engine) -> tuple[list[int], set[int]]:
    """Return the results in the order in which they came, and the processes that made them."""
    found = list(spread(toy(folder), PIECES, engine, name=lambda piece: f"number {piece}"))
    assert [piece for piece, _ in found] == PIECES
    return [square for _, (square, _) in found], {process for _, (_, process) in found}


def test_two_processes_open_once_and_answer_in_order(tmp_path: Path) -> None:
    found, processes = squares(tmp_path, Engine(workers=2))
    assert found == [n * n for n in PIECES]
    assert len(processes) <= 2
    assert os.getpid() not in processes
    assert len(list(tmp_path.glob("opened-*"))) <= 2
    assert squares(tmp_path, Engine()) == (found, {os.getpid()})


def test_a_worker_that_dies_costs_its_piece_alone(tmp_path: Path) -> None:
    (tmp_path / "kill-once").touch()
    found, _ = squares(tmp_path, Engine(workers=2))
    assert found == [n * n for n in PIECES]
    attempts = {n: (tmp_path / f"attempts-{n}").stat().st_size for n in PIECES}
    assert attempts == {n: 2 if n == 3 else 1 for n in PIECES}


def test_a_piece_that_takes_three_workers_with_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "kill-always").touch()
    with pytest.raises(ResourceError, match="number 4: the workers"):
        squares(tmp_path, Engine(workers=2))
    assert (tmp_path / "attempts-4").stat().st_size == 3
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("sign", "kind", "text"),
    [
        ("refuse", DataError, "file 5: it is broken (mend it)"),
        ("refuse-config", ConfigError, "it is wrong\n  here\n  there"),
        ("odd", RuntimeError, "Odd: one two"),
    ],
)
def test_an_error_is_the_same_from_a_worker(tmp_path: Path, sign: str, kind: type, text: str) -> None:
    (tmp_path / sign).touch()
    before = []
    with pytest.raises(kind) as error:
        for piece, _ in spread(toy(tmp_path), PIECES, Engine(workers=2)):
            before.append(piece)
    assert type(error.value) is kind
    assert str(error.value) == text
    assert before == [0, 1, 2, 3, 4]


def test_an_interrupt_stops_workers_at_their_work(tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for _ in spread(toy(tmp_path), PIECES, Engine(workers=2)):
            raise KeyboardInterrupt
    assert multiprocessing.active_children() == []
    assert time.monotonic() - started < 25


def test_memory_does_not_grow_with_the_pieces(tmp_path: Path) -> None:
    """No more than two pieces a worker are begun beyond the last one that was taken."""
    work = spread(toy(tmp_path), list(range(40)), Engine(workers=2))
    next(work)
    time.sleep(1.5)
    assert len(list(tmp_path.glob("attempts-*"))) <= 5
    work.close()


def test_a_data_set_of_another_size_elsewhere_is_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "data.h5").write_bytes(b"12345")
    task = Task(spread_toys.opened, spread_toys.made, str(tmp_path), needs=[tmp_path / "data.h5"])
    monkeypatch.setattr(spreading, "_size", lambda path: 4)
    with pytest.raises(ResourceError, match="does not see it") as error:
        list(spread(task, PIECES, Engine(workers=2)))
    assert error.value.where == str(tmp_path / "data.h5")


def test_training_says_how_it_uses_several_processes() -> None:
    for verb in ("train", "adapt", "pretrain"):
        with pytest.raises(UsageError, match="torchrun"):
            call(verb, {"data": "x.h5"}, Common(scheduler="tcp://127.0.0.1:1"))


# The verbs, on a cluster that loses a worker in the middle of each.

RECIPE = """
recipe: 1
name: cells
matrix: {seed: [1, 2, 3]}
steps:
  trained: {uses: train, data: small.h5, seed: "${matrix.seed}", training: {epochs: 2, batch_size: 16}}
  told: {uses: predict, run: "${trained}", data: small.h5}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs and labelled images, two of them without a good pixel in a band."""
    place = tmp_path_factory.mktemp("spread")
    rng = np.random.default_rng(3)
    images = rng.normal(3, 1, (200, 3, SIZE, SIZE)).astype(np.float32)
    labels = write_run(place / "one", images, 1)
    write_run(place / "two", images, 2)
    images[70, 1], images[71] = np.nan, np.nan
    write_images(place / "data.h5", images, labels)
    write_images(place / "small.h5", images[:48], labels[:48])
    (place / "cells.yaml").write_text(RECIPE)
    return place


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the work fine, so that a few images make several pieces."""
    monkeypatch.setattr(passes, "PIECE", 64)
    monkeypatch.setattr(audit_pieces, "PIECE", 64)


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module", autouse=True)
def _workers_know_these_tests():
    """Let processes import the functions of this file, which a user's would find in an installed package."""
    paths, environment = list(sys.path), os.environ.get("PYTHONPATH")
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environment)))
    yield
    sys.path[:] = paths
    if environment is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = environment


@pytest.fixture(scope="module")
def cluster(_workers_know_these_tests):
    """Return two workers of a Dask cluster, which replaces those that die."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50, processes=True
    ) as made:
        yield made


class Killer:
    """Kills one worker of the cluster, once, when asked."""

    def __init__(self, cluster) -> None:
        self._cluster = cluster
        self.killed = 0

    def __call__(self) -> None:
        """Kill a worker that is at work."""
        if not self.killed:
            busy = [w for w in self._cluster.scheduler.workers.values() if w.processing]
            name = (busy or list(self._cluster.scheduler.workers.values()))[0].name
            self.killed = self._cluster.workers[name].process.pid
            os.kill(self.killed, 9)


@pytest.fixture
def killer(cluster, monkeypatch: pytest.MonkeyPatch) -> Killer:
    """Kill a worker when the first progress is made."""
    from galshift.console import Progress

    kill, real = Killer(cluster), Progress.advance

    def advance(self, step: int = 1, note: str = "") -> None:
        real(self, step, note)
        if step:
            kill()

    monkeypatch.setattr(Progress, "advance", advance)
    return kill


def there(cluster) -> Context:
    """Return the context of a step on the cluster."""
    return Context(scheduler=cluster.scheduler_address)


def rows(path: Path) -> bytes:
    """Return the bytes of a FITS file's table, without its account of when it was made."""
    with fits.open(path) as hdus:
        return hdus[1].data.tobytes()


def both(kind: str, values: dict, folder: Path, cluster) -> tuple[Path, Path]:
    """Run a verb here and on the cluster and return both folders."""
    with contextlib.chdir(folder):
        for name, context in (("here", Context()), ("there", there(cluster))):
            execute(kind, values, out=f"{kind}-{name}", context=context)
    return folder / f"{kind}-here", folder / f"{kind}-there"


def test_predict_and_its_shards_are_the_same_bytes(folder: Path, cluster, killer: Killer) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with contextlib.chdir(folder):
        for name, options in (
            ("here", {}),
            ("there", {"scheduler": cluster.scheduler_address}),
            ("local", {"workers": 2}),
        ):
            done = galshift.predict("one", "data.h5", f"{name}.fits", device="cpu", **options)
            assert (done.metrics["n"], done.metrics["n_flagged"]) == (200, 1)
        galshift.predict("one", "data.h5", "parts.parquet", shards=90, workers=2)
        assert rows(folder / "here.fits") == rows(folder / "there.fits") == rows(folder / "local.fits")
        parts = [parquet.read_table(file) for file in sorted((folder / "parts.parquet").iterdir())]
    assert [len(part) for part in parts] == [90, 90, 20]
    with fits.open(folder / "here.fits") as hdus:
        for name in ("id", "prediction", "confidence", "flag"):
            read = np.concatenate([np.asarray(part[name].to_numpy()) for part in parts])
            expected = np.asarray(hdus[1].data[name])
            np.testing.assert_array_equal(read.astype(expected.dtype), expected)
    assert killer.killed


def test_embed_is_the_same_bytes(folder: Path, cluster, killer: Killer) -> None:
    one, two = both("embed", {"run": "one", "data": ["data.h5"]}, folder, cluster)
    assert rows(one / "embedding.fits") == rows(two / "embedding.fits")
    assert killer.killed


def test_evaluate_is_the_same_bytes(folder: Path, cluster, killer: Killer) -> None:
    values = {"runs": ["one", "two"], "on": ["data.h5"], "n_bootstrap": 50}
    one, two = both("evaluate", values, folder, cluster)
    assert (one / "metrics.json").read_bytes() == (two / "metrics.json").read_bytes()
    assert rows(one / "predictions-1.fits") == rows(two / "predictions-1.fits")
    assert killer.killed


@pytest.mark.parametrize("search", ["exhaustive", "de"])
def test_an_attack_is_the_same_bytes(search: str, folder: Path, cluster, killer: Killer) -> None:
    values = {"run": "one", "data": "data.h5", "compare": ["two"], "limit": 20, "search": search}
    values["de"] = {"population": 12, "generations": 2}
    with contextlib.chdir(folder):
        for name, context in (("here", Context()), ("there", there(cluster))):
            execute("one-pixel-attack", values, out=f"{search}-{name}", context=context)
    for file in ("attack.json", "attack.fits"):
        assert (folder / f"{search}-here" / file).read_bytes() == (
            folder / f"{search}-there" / file
        ).read_bytes()
    assert killer.killed


def test_an_audit_is_the_same_bytes(folder: Path, cluster, killer: Killer) -> None:
    values = {"run": "one", "data": "data.h5", "compare": ["two"], "corruptions": ["noise", "dropout"]}
    one, two = both("audit", values, folder, cluster)
    assert (one / "audit.json").read_bytes() == (two / "audit.json").read_bytes()
    assert json.loads((one / "audit.json").read_text())["n"] == 198
    assert killer.killed


def test_packing_is_the_same_pixels(folder: Path, cluster, killer: Killer, monkeypatch) -> None:
    from galshift.data import pack as packing
    from galshift.data.open import open_dataset

    monkeypatch.setattr(packing, "MAX_PIECE", 40)
    with contextlib.chdir(folder):
        galshift.pack("data.h5", "here.h5")
        galshift.pack("data.h5", "there.h5", scheduler=cluster.scheduler_address)
        one, two = (open_dataset(name).read(np.arange(200)) for name in ("here.h5", "there.h5"))
    for name in ("images", "mask", "ids", "labels"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert killer.killed


def test_a_recipe_matrix_is_the_same_bytes(folder: Path, cluster, monkeypatch) -> None:
    from galshift.recipes import run as running
    from galshift.recipes.read import read_recipe

    kill, real = Killer(cluster), running.run_cells

    def run_cells(cells, context, engine):
        for cell in real(cells, context, engine):
            yield cell
            kill()

    monkeypatch.setattr(running, "run_cells", run_cells)
    with contextlib.chdir(folder):
        found = {}
        for name, options in (
            ("here", {}),
            ("there", {"context": there(cluster)}),
            ("jobs", {"jobs": 2}),
        ):
            recipe = read_recipe("cells.yaml")
            found[name] = running.run_recipe(recipe, folder=folder / f"cells-{name}", **options)
    assert kill.killed
    assert list(found["here"].executed) == list(found["there"].executed) == list(found["jobs"].executed)
    assert len(found["here"].executed) == 6
    for name, planned in found["here"].plan.items():
        for other in ("there", "jobs"):
            directory = found[other].plan[name].directory
            assert directory.name == planned.directory.name
            if planned.step.name == "trained":
                file = "model.safetensors"
                assert (directory / file).read_bytes() == (planned.directory / file).read_bytes()
            else:
                assert rows(directory / "told.fits") == rows(planned.directory / "told.fits")


def test_a_scheduler_that_does_not_answer_is_one_sentence(folder: Path, monkeypatch) -> None:
    pytest.importorskip("distributed")
    from galshift import cluster as clusters

    monkeypatch.setattr(clusters, "_SECONDS_TO_ANSWER", 1)
    with pytest.raises(ResourceError, match="the scheduler does not answer"), contextlib.chdir(folder):
        galshift.predict("one", "data.h5", "none.fits", scheduler="tcp://127.0.0.1:9")
    assert not (folder / "none.fits").exists()


def test_workers_of_another_version_are_one_sentence(folder: Path, cluster, monkeypatch) -> None:
    monkeypatch.setattr(galshift, "__version__", "0.0.1")
    with (
        pytest.raises(ResourceError, match=r"has galshift .*, and this is galshift 0\.0\.1"),
        contextlib.chdir(folder),
    ):
        galshift.predict("one", "data.h5", "none.fits", scheduler=cluster.scheduler_address)


def test_a_piece_that_kills_the_cluster_is_named(tmp_path: Path, cluster, monkeypatch) -> None:
    (tmp_path / "kill-always").touch()
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    # At the first death, pieces that wait at the same worker count as lost with it: each was given to it.
    with pytest.raises(ResourceError, match=r"number \d: the workers that were given this died"):
        squares(tmp_path, Engine(scheduler=cluster.scheduler_address))


def test_without_dask_it_is_one_sentence(tmp_path: Path, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ResourceError, match="needs Dask"):
        squares(tmp_path, Engine(scheduler="tcp://127.0.0.1:9"))
