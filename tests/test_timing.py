"""--profile: parts add up, cost nothing when off, and stand in the manifest and in a recipe's table."""

from __future__ import annotations

import json
import threading
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from galshift import console, registry, timing
from galshift.cli._app import app
from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.recipes.execute import execute
from galshift.recipes.prepare import prepare
from galshift.verbs._base import Context
from tests import toy_steps  # noqa: F401 (registers its steps)

TINY = {"model": "deepmerge", "training": {"epochs": 2, "batch_size": 8}, "preprocess": {"size": 16}}


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now, self.read = 100.0, 0

    def perf_counter(self) -> float:
        """The time, and one more reading."""
        self.read += 1
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that profiles read."""
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", clock.perf_counter)
    return clock


def test_a_part_inside_another_is_counted_once(clock: Clock) -> None:
    """1 s outside, 2 s of views around 4 s of reading, 8 s of network: each alone, and 15 s in all."""
    with timing.profiled() as profile:
        clock.now += 1
        with timing.part("views"):
            clock.now += 1.5
            with timing.part("reading"):
                clock.now += 4
            clock.now += 0.5
        timing.timed("network")(lambda: setattr(clock, "now", clock.now + 8))()
        found = profile.document()
    assert found == {"reading": 4, "views": 2, "network": 8, "other": 1, "total": 15}
    assert list(found) == ["reading", "views", "network", "other", "total"]


def test_a_part_that_fails_is_counted_and_closed(clock: Clock) -> None:
    """After an error the seconds go to the outer part again, and no profile is left behind."""
    with timing.profiled() as profile:
        with pytest.raises(ValueError, match="on purpose"), timing.part("network"):
            clock.now += 3
            raise ValueError("on purpose")
        clock.now += 2
        assert profile.document() == {"network": 3, "other": 2, "total": 5}
    assert timing.part("network") is timing.part("views")  # nothing is counted any more


def test_another_thread_is_not_counted(clock: Clock) -> None:
    """What a second thread does beside the step costs the step nothing."""

    def beside() -> None:
        with timing.part("views"):
            clock.now += 7

    with timing.profiled() as profile:
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
        assert profile.document() == {"other": 7, "total": 7}


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of two classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = rng.normal(size=(40, 1, 16, 16)).astype(np.float32)
    images[labels == 1, :, 6:10, 6:10] += 5
    path = tmp_path_factory.mktemp("data") / "galaxies.h5"
    write_hdf5(
        path,
        Cutouts(
            images=images,
            unit="nJy",
            bands=("r",),
            pixel_scale=0.3,
            ids=np.array([f"g{i}" for i in range(40)]),
            labels=labels,
            classes=("smooth", "disc"),
        ),
    )
    return path


def test_train_with_a_profile_adds_up_and_changes_no_number(galaxies: Path, tmp_path: Path) -> None:
    """The parts of a real training are there, sum to the total, and the network is the same bit for bit."""
    values = {"data": str(galaxies), **TINY}
    plain = execute("train", values, out=tmp_path / "plain")
    timed = execute("train", values, out=tmp_path / "timed", context=Context(profile=True))
    assert "profile" not in plain.results
    found = json.loads((tmp_path / "timed" / "manifest.json").read_text())["results"]["profile"]
    parts = {name: seconds for name, seconds in found.items() if name != "total"}
    assert {"reading", "views", "network", "losses", "optimizer", "validation", "other"} == set(parts)
    assert all(seconds > 0 for seconds in parts.values())
    assert sum(parts.values()) == pytest.approx(found["total"], abs=1e-3)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "timed")]
    assert files[0] == files[1]
    assert plain.run.fingerprint == timed.run.fingerprint == prepare("train", values).fingerprint


def test_without_a_profile_nothing_is_timed(
    galaxies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one profile, part or look at a GPU in a whole training."""

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("timed without being asked to")

    for name in ("__init__", "part", "document", "_count"):
        monkeypatch.setattr(timing.Profile, name, never)
    monkeypatch.setattr(timing, "_settle", never)
    execute("train", {"data": str(galaxies), **TINY}, out=tmp_path / "run")


def test_a_gpu_is_waited_for_at_both_ends_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice per part, when one is at work, and never where none is."""
    waited: list[int] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append(1))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with timing.profiled(), timing.part("network"):
        pass
    assert len(waited) == 2
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    with timing.profiled(), timing.part("network"):
        pass
    assert len(waited) == 2


def test_a_recipe_has_a_row_for_each_step_and_one_for_all() -> None:
    """Columns are the parts that took any time; an absent one is empty; the last row sums."""
    columns, rows = timing.rows_of(
        {"a": {"reading": 1.0, "other": 2.0, "total": 3.0}, "b": {"views": 4.5, "other": 0.5, "total": 5.0}}
    )
    assert columns == ["seconds", "reading", "views", "other", "total"]
    assert rows == [
        ["a", "1.00", "", "2.00", "3.00"],
        ["b", "", "4.50", "0.50", "5.00"],
        ["all", "1.00", "4.50", "2.50", "8.00"],
    ]
    assert timing.rows_of({"a": {"other": 1.0, "total": 1.0}})[1] == [["a", "1.00", "1.00"]]


def test_other_packages_are_looked_up_once_until_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking twice reads the packages once; a package that is installed meanwhile is seen."""
    asked: list[str] = []
    look_up = metadata.entry_points

    def counted(*, group: str) -> metadata.EntryPoints:
        asked.append(group)
        return look_up(group=group)

    monkeypatch.setattr(registry.metadata, "entry_points", counted)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = registry.entry_points("galshift.methods")
    assert registry.entry_points("galshift.methods") == before
    assert asked == ["galshift.methods"]
    info = tmp_path / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[galshift.methods]\ntoy-pull = toys:Pull\n")
    found = registry.entry_points("galshift.methods")
    assert [point.name for point in found if point not in before] == ["toy-pull"]


def test_a_recipe_profiles_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``run --profile``: each step's manifest has its seconds, the table a row for each step that ran."""
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(
        "recipe: 1\nname: toy\nsteps:\n  words: {uses: toy-make}\n"
        "  counted: {uses: toy-count, data: '${words}'}\n"
    )
    tables: list[list[list[str]]] = []
    monkeypatch.setattr(console, "table", lambda title, columns, rows, **_: tables.append(rows))
    run = ["run", "toy.yaml", "--profile"]
    app(run, standalone_mode=False)
    manifests = [json.loads(path.read_text()) for path in Path("runs").rglob("manifest.json")]
    totals = {one["kind"]: one["results"]["profile"]["total"] for one in manifests}
    assert set(totals) == {"toy-make", "toy-count"}
    assert [row[0] for row in tables[0]] == ["words", "counted", "all"]
    app(run, standalone_mode=False)
    assert len(tables) == 1  # nothing ran the second time
