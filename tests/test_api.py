"""galshift in Python: data in memory, results that show themselves, and scripts without a guard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

import galshift
from galshift.data.cutouts import Cutouts
from galshift.errors import DataError, UsageError

ROOT = Path(__file__).resolve().parents[1]
TINY = {"preprocess.size": 16, "training.steps_per_epoch": 2}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def galaxies(n: int = 24, seed: int = 0) -> Cutouts:
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(n, 2, 16, 16)).astype(np.float32)
    labels = np.arange(n) % 2
    images[:, :, 6:10, 6:10] += 5
    images[labels == 1, :, 6:10, 6:10] += 5
    return Cutouts(
        images=images,
        unit="nJy",
        pixel_scale=0.2,
        bands=("g", "r"),
        labels=labels,
        classes=("faint", "<b>bright</b>"),
        table=Table({"mag": rng.normal(20, 1, n)}),
    )


def test_dir_shows_the_functions_and_nothing_else() -> None:
    # Other tests of the same process register steps of their own.
    shown = [name for name in dir(galshift) if not name.startswith(("__", "toy_"))]
    verbs = {path.stem for path in (ROOT / "galshift" / "verbs").iterdir() if not path.stem.startswith("_")}
    assert set(shown) == {*verbs, "inspect", "load", "read"}
    with pytest.raises(AttributeError, match="no attribute 'adpat'"):
        _ = galshift.adpat


def test_arguments_are_checked_by_their_names(place: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        galshift.train("a.h5", epoch=3)
    with pytest.raises(TypeError, match="missing a required"):
        galshift.adapt("a.h5")
    with pytest.raises(UsageError, match="needs INPUT and OUT"):
        galshift.make_mocks(survey="sdss")


def test_cutouts_arrays_and_files_are_the_same_input(place: Path) -> None:
    cutouts = galaxies()
    first = galshift.train(cutouts, epochs=1, set=TINY, seed=1)
    again = galshift.train(galaxies(), epochs=1, set=TINY, seed=1)
    assert again.skipped
    assert again.path == first.path
    other = galshift.train(galaxies(seed=5), epochs=1, set=TINY, seed=1)
    assert other.path != first.path
    assert first.results["classes"] == ["faint", "<b>bright</b>"]
    np.save("x.npy", cutouts.images)
    np.save("y.npy", cutouts.labels)
    words = {"unit": "nJy", "pixel_scale": 0.2, "bands": ["g", "r"], "epochs": 1, "set": TINY}
    in_memory = galshift.train((cutouts.images, cutouts.labels), **words)
    on_disk = galshift.train("x.npy:y.npy", **words)
    assert on_disk.skipped
    assert on_disk.path == in_memory.path


def test_a_result_is_an_input_and_shows_itself(place: Path) -> None:
    run = galshift.train(galaxies(), epochs=2, set=TINY)
    assert len(run.table) == 2
    assert "epoch" in run.table.colnames
    assert run.report is None
    found = galshift.evaluate(run, bootstrap=20)
    assert found.metrics == json.loads((found.path / "metrics.json").read_text())
    assert found.report == found.path / "report.html"
    (domain,) = found.metrics["results"][0]["domains"].values()
    assert len(found.table) == domain["n"] > 0
    assert {"id", "prediction", "confidence"} <= set(found.table.colnames)
    page = found._repr_html_()
    assert "&lt;b&gt;bright&lt;/b&gt;" in page
    assert "<b>bright" not in page
    _well_formed(page)
    loaded = galshift.load(found.path)
    assert loaded.metrics == found.metrics
    assert loaded.skipped
    assert "evaluate" in repr(loaded)
    table = galshift.predict(run, galaxies(6, seed=3), "out.fits")
    assert table.path == Path("out.fits")
    assert len(table.table) == 6


def test_data_are_read_shown_and_used(place: Path) -> None:
    cutouts = galaxies(10)
    data = galshift.read(cutouts)
    assert len(data) == 10
    assert list(data.table["label"]) == ["faint", "<b>bright</b>"] * 5
    np.testing.assert_array_equal(data.table["mag"], cutouts.table["mag"])
    assert data.metrics["classes"] == {"faint": 5, "<b>bright</b>": 5}
    np.testing.assert_array_equal(data.read([3, 1]).images, cutouts.images[[3, 1]])
    page = data._repr_html_()
    assert page.count("<img ") == 8
    assert "<b>bright" not in page
    _well_formed(page)
    np.save("x.npy", cutouts.images)
    told = galshift.read("x.npy", unit="nJy", pixel_scale=0.2, bands=["g", "r"])
    gap = galshift.gap(told, data, limit=20, set={"n_permutations": 0})
    assert gap.report == gap.path / "report.html"
    assert told.info.bands == ("g", "r")


def test_tables_are_labels_or_images(place: Path) -> None:
    cutouts = galaxies(8)
    np.save("x.npy", cutouts.images)
    words = {"unit": "nJy", "pixel_scale": 0.2, "bands": "g,r"}
    zoo = Table({"id": [str(i) for i in range(8)], "label": ["odd" if i % 2 else "even" for i in range(8)]})
    data = galshift.read("x.npy", labels=zoo, label_column="label", **words)
    assert list(data.table["label"]) == ["even", "odd"] * 4
    table = Table({"id": [f"n{i}" for i in range(8)], "image": cutouts.images, "label": zoo["label"]})
    table["image"].unit = "nJy"
    table.meta["pixel_scale"] = 0.2
    shown = galshift.read(table)
    assert list(shown.info.ids[:2]) == ["n0", "n1"]
    assert (shown.info.unit, shown.info.pixel_scale) == ("nJy", 0.2)
    assert list(shown.table["label"]) == ["even", "odd"] * 4
    with pytest.raises(DataError, match="data is a int"):
        galshift.read(3)
    with pytest.raises(DataError, match="Python objects"):
        galshift.read(np.array([object()]))


def test_a_script_needs_no_guard(place: Path) -> None:
    Path("script.py").write_text(
        "import galshift\n"
        "print('began')\n"
        "galshift.simulate('a.h5', n=6, views=3, size=64)\n"
        "done = galshift.pack('a.h5', 'b.h5', workers=2)\n"
        "print(done.results['n_images'])\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "began\n18\n"


def test_worker_processes_do_not_run_the_script_again(place: Path) -> None:
    Path("script.py").write_text(
        "print('began', flush=True)\n"
        "import os\n"
        "from galshift.processes import process_pool\n"
        "with process_pool(2) as pool:\n"
        "    print(sorted(pool.map(abs, [-1, -2])), {pool.submit(os.getpid).result()} != {os.getpid()})\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "began\n[1, 2] True\n"), done.stderr


def _well_formed(page: str) -> None:
    """Fail where a tag is not closed."""
    stack: list[str] = []

    class Check(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag != "img":
                stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert stack.pop() == tag

    Check().feed(page)
    assert stack == []
