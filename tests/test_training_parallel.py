"""Two processes with half the batch each are one process with the whole batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import galshift
from galshift.errors import UsageError
from galshift.methods import METHODS
from galshift.training.checkpoint import load_checkpoint
from galshift.training.state import load_state
from galshift.training.world import World, first_host, world_from
from tests.killing import leftovers, make_data
from tests.training_helpers import train
from tests.training_parallel import PLAIN, one_step

ROOT = Path(__file__).resolve().parents[1]


def run_together(size: int, *command: str, cwd: Path = ROOT) -> list[str]:
    """Run `command` as `size` processes that know of each other, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=cwd,
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    said = []
    for process in processes:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        said.append(out.strip())
    return said


@pytest.fixture(scope="module")
def of_two(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("two")
    hashes = run_together(2, "tests.training_parallel", str(folder))
    return load_state(folder / "methods.safetensors") | {"hashes": hashes, "folder": folder}


def compare(two: dict, one: dict) -> None:
    """Compare to 1e-5 of the largest gradient (and of each value and buffer)."""
    assert two.keys() == one.keys()
    largest = max(float(value.abs().max()) for key, value in one.items() if key.startswith("gradient/"))
    for key, value in one.items():
        scale = largest if key.startswith("gradient/") else max(float(value.abs().max()), 1e-3)
        assert float((two[key] - value).abs().max()) <= 1e-5 * scale, key


@pytest.mark.parametrize("name", METHODS.names())
def test_two_processes_are_one(of_two: dict, name: str) -> None:
    if name not in of_two["methods"]:
        pytest.skip(f"{name} cannot be built for this network")
    torch.set_num_threads(1)
    compare(of_two["methods"][name], one_step(name, World()))


def test_a_split_network_is_a_whole_one(of_two: dict) -> None:
    compare(of_two["split"], one_step("source-only", World(), model="resnet18"))


def test_a_split_network_goes_on_where_it_stopped(of_two: dict) -> None:
    whole, stopped = of_two["runs"]
    assert stopped == whole


def test_a_whole_run_on_two_processes(of_two: dict, tmp_path: Path) -> None:
    """Same rows as on one, written once, and both end with the same weights."""
    torch.set_num_threads(1)
    train(tmp_path, **PLAIN)
    assert len(set(of_two["hashes"])) == 1
    rows = [
        [json.loads(line) for line in (path / "metrics.jsonl").open()]
        for path in (tmp_path, of_two["folder"] / "plain")
    ]
    assert len(rows[0]) == len(rows[1]) == 4
    for row, other in zip(*rows, strict=True):
        assert row.keys() == other.keys()
        for name in row.keys() & {"loss", "classification", "gap", "valid_loss", "gradient_norm"}:
            assert other[name] == pytest.approx(row[name], rel=2e-3), name


def test_adapt_on_two_processes_is_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process owns the run directory and speaks; the other leaves nothing and says nothing."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    make_data(tmp_path)
    words = ["adapt", "sim.h5", "sim.h5", "--method", "mmd", "--epochs", "2", "--out", "run", "--json"]
    first, second = run_together(2, "galshift", *words, "--set", "training.batch_size=16", cwd=tmp_path)
    results = json.loads(first)
    assert second == ""
    assert results["method"] == "mmd"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "run",
        "scratch",
        "sim.h5",
        "sim.h5.manifest.json",
    ]
    assert list((tmp_path / "scratch").iterdir()) == []
    assert leftovers(tmp_path) == []
    for part in ("run", "run/source-only"):
        assert len((tmp_path / part / "metrics.jsonl").read_text().splitlines()) == 2
        assert load_checkpoint(tmp_path / part).meta["fit"]["epochs"] == 2


def test_verbs_for_one_process_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="simulate runs as one process, and torchrun started 2"):
        galshift.simulate(out=tmp_path / "sim.h5", n=6)


def test_worlds() -> None:
    assert world_from({}) == World()
    torchrun = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert world_from(torchrun) == World(3, 8, 1, "torchrun")
    srun = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1", "SLURM_NTASKS": "8"}
    assert world_from(srun) == World(5, 8, 1, "slurm")
    assert world_from({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}) == World()  # a batch script without srun


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[003-005,9],login1", "gpu003"),
        ("n1", "n1"),
        ("a-b,c", "a-b"),
        ("r1n[07,09]", "r1n07"),
        ("n[1-2]-ib", "n1-ib"),
    ],
)
def test_first_host_of_a_node_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first
