"""Whatever stops ``galshift train`` and ``adapt``, the same command again ends in the same bits.

Twenty kills of each, at moments from the first import on: ``python -m tests.benchmarks.engine kills``.
"""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from tests.killing import finish_here, leftovers, make_data, products, stop

pytestmark = pytest.mark.usefixtures("one_thread")

KILL, TERM, USR1, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills")
    make_data(folder)
    return folder / "sim.h5"


@pytest.mark.parametrize(("kind", "signals"), [("train", (KILL, TERM, KILL)), ("adapt", (KILL, USR1, INT))])
def test_stopped_runs_end_in_the_same_bits(tmp_path: Path, data: Path, kind: str, signals: tuple) -> None:
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
        shutil.copy(data, tmp_path / name)
    finish_here(tmp_path / "whole", kind)
    rng = random.Random(kind)
    codes = [stop(tmp_path / "stopped", kind, how, rng, within=0.3) for how in signals]
    expected = [-KILL if how == KILL else 75 for how in signals]
    assert codes[0] == expected[0]
    # A very fast machine may be done before the last signal.
    assert all(code in (wanted, 0) for code, wanted in zip(codes, expected, strict=True))
    finish_here(tmp_path / "stopped", kind)
    whole = products(tmp_path / "whole")
    assert len(whole) == (2 if kind == "train" else 4)
    assert products(tmp_path / "stopped") == whole
    assert leftovers(tmp_path / "stopped") == []
