"""A killed audit, depth study or ladder, typed again, does only what is missing and ends in the same bits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import galshift
from galshift.recipes.execute import execute
from galshift.rundirectory import RunDirectory
from galshift.runs.partial import Part, PartialResults
from tests.test_attack_verb import SIZE, write_images, write_run

KINDS = ("noise", "dropout", "gain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs, labelled images, and what an audit left alone says of them."""
    place = tmp_path_factory.mktemp("audit")
    rng = np.random.default_rng(3)
    images = rng.normal(3, 1, (64, 3, SIZE, SIZE)).astype(np.float32)
    labels = write_run(place / "one", images, 1)
    write_run(place / "two", images, 2)
    write_images(place / "data.h5", images, labels)
    audited(place, "whole")
    return place


def audited(folder: Path, out: str) -> dict:
    """Audit both runs in this process."""
    with contextlib.chdir(folder):
        compare = {"run": "one", "data": "data.h5", "compare": ["two"], "corruptions": list(KINDS)}
        return execute("audit", compare, out=out).results


def killed(folder: Path, words: str, parts: int, how: signal.Signals, out: str) -> list[str]:
    """Start a command, signal it once so many parts are on disk, and return their names."""
    process = subprocess.Popen(
        [sys.executable, "-m", "galshift", *words.split(), "--out", out],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 90
    held = folder / out / "partial"
    while time.monotonic() < deadline and process.poll() is None:
        if held.is_dir() and len(list(held.glob("[!.]*.npz"))) >= parts:
            process.send_signal(how)
            break
        time.sleep(0.002)
    assert process.wait(timeout=60) == (-how if how == signal.SIGKILL else 75)
    return sorted(path.name for path in held.glob("[!.]*.npz"))


@pytest.mark.parametrize(("how", "parts"), [(signal.SIGKILL, 4), (signal.SIGTERM, 20)])
def test_a_killed_audit_goes_on_where_it_stopped(
    folder: Path, how: signal.Signals, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galshift.audit import withstand

    out = f"killed-{how.value}-{parts}"
    words = "audit one data.h5 --compare two " + " ".join(f"--corruption {name}" for name in KINDS)
    kept = killed(folder, words, parts, how, out)
    assert parts <= len(kept) < 2 * (1 + 5 * len(KINDS))
    judged, counted = withstand.right, []
    monkeypatch.setattr(withstand, "right", lambda *given: counted.append(1) or judged(*given))
    found = audited(folder, out)
    assert len(counted) == 2 * (1 + 5 * len(KINDS)) - len(kept)
    whole = json.loads((folder / "whole" / "audit.json").read_text())
    assert json.loads((folder / out / "audit.json").read_text()) == whole
    assert {key: found[key] for key in whole} == whole
    assert (
        f"{len(kept)} cells of damage and severity were done already"
        in (folder / out / "log.txt").read_text()
    )
    assert not (folder / out / "partial").exists()


@pytest.mark.parametrize("kind", ["depth", "ladder"])
def test_so_do_depth_and_ladder(kind: str, folder: Path, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        galshift.simulate(out="sim.h5", n=24, size=32, seed=4)
        galshift.train("sim.h5", epochs=1, out="run")
        given, options = {
            "depth": (("run", "sim.h5"), {"survey": "sdss", "times": "0.1,1,10"}),
            "ladder": (("sim.h5", "sim.h5"), {"survey": "sdss", "model": "run"}),
        }[kind]
        words = [kind, *given, *(f"--{name}={value}" for name, value in options.items())]
        kept = killed(tmp_path, " ".join(words), 2, signal.SIGKILL, "killed")
        assert len(kept) >= 2
        for out in ("killed", "whole"):
            getattr(galshift, kind)(*given, **options, out=out)
        texts = [(tmp_path / out / f"{kind}.json").read_text() for out in ("killed", "whole")]
        assert texts[0] == texts[1]
        assert f"{len(kept)} " in (tmp_path / "killed" / "log.txt").read_text()
        assert not (tmp_path / "killed" / "partial").exists()


def test_a_part_is_the_same_made_or_read_back(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path / "run", kind="audit", fingerprint="f", config={}) as run:
        kept = PartialResults(run)
        assert len(kept) == 0
        array = np.array([np.nan, 1.0, -0.0])
        value = {"nan": float("nan"), "number": np.int64(3), "pair": (1, 2)}
        made = kept.once(lambda: Part(value, {"a": array}), "survey/x 0.3", 1)
        read = kept.once(lambda: pytest.fail("made twice"), "survey/x 0.3", 1)
        assert repr(made.value) == repr(read.value) == "{'nan': nan, 'number': 3, 'pair': [1, 2]}"
        assert made.arrays["a"].tobytes() == read.arrays["a"].tobytes() == array.tobytes()
        assert len(kept) == 1
        kept.clear()
        assert not kept.folder.exists()
