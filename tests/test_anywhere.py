"""The same commands make the same bytes in every folder, at every time, however they are typed."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

import galshift
from tests.every_verb import differences
from tests.file_operations import Server

#: Files that say when, how long, in which folder and by which command; no hash, lock or comparison has them.
TELLING = {"manifest.json", "places.json", "config.yaml", "log.txt", ".lock"}
PAGE = ".html"  # names the command that was typed
RECIPE = """recipe: 1
name: all
steps:
  sky: {uses: simulate, n: 12, size: 20, classes: [merger, elliptical]}
  mocks: {uses: make-mocks, input: "${sky}", survey: lsst-y10, size: 20}
  packed: {uses: pack, data: "${mocks}"}
  net: {uses: train, data: "${mocks}", training: {epochs: 1, batch_size: 8}}
  adapted: {uses: adapt, source: "${sky}", target: "${mocks}", method: mmd, training: {epochs: 1}}
  judged: {uses: evaluate, runs: ["${net}", "${adapted}"], on: ["${mocks}"]}
  table: {uses: predict, run: "${adapted}", data: "${mocks}"}
  map: {uses: embed, run: "${adapted}", data: ["${sky}", "${mocks}"]}
  attacked: {uses: one-pixel-attack, run: "${net}", data: "${mocks}", limit: 1, search: exhaustive}
  audited: {uses: audit, run: "${net}", data: "${mocks}", limit: 4, corruptions: [jpeg]}
"""


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in TELLING
    }


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, server: Server) -> tuple[Path, Path]:
    """Two folders in which the recipe has run: from within, and from elsewhere, years later."""
    here = tmp_path_factory.mktemp("here")
    there = tmp_path_factory.mktemp("deep") / "in another" / "there"
    there.mkdir(parents=True)
    for folder in (here, there):
        (folder / "all.yaml").write_text(RECIPE)
    for folder, words, clock in ((here, ["all.yaml"], 1e9), (there.parent, [str(there / "all.yaml")], 1.7e9)):
        ended = server.run(folder, ["run", *words], clock=clock)
        assert ended.code == 0, ended.said
    return here, there


def test_a_recipe_makes_the_same_files_elsewhere_and_later(twice: tuple[Path, Path]) -> None:
    here, there = twice
    found, wanted = _files(there), _files(here)
    pages = {name for name in found if name.endswith(PAGE)}
    assert [name for name in differences(found, wanted) if name not in pages] == []
    assert {"all.lock.json", "all.yaml"} < found.keys()
    for name in found.keys() - pages:
        assert os.fsencode(there) not in found[name], name


def test_galshift_tells_the_time_by_the_module_time_alone() -> None:
    """The clock that the commands above are given is that module's."""
    stamp = re.compile(r"\bdatetime\b.*\b(now|today)\(")
    sources = Path(galshift.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if stamp.search(path.read_text())] == []


def test_a_lock_from_elsewhere_says_that_all_is_reproduced(twice: tuple[Path, Path], server: Server) -> None:
    here, there = twice
    shutil.copy(here / "all.lock.json", there)
    ended = server.run(there, ["run", "all.yaml", "--locked"])
    assert ended.code == 0, ended.said
    assert "reproduced" in ended.said


def test_runs_of_before_find_their_data(tmp_path: Path, inputs: Path, server: Server) -> None:
    """Version 0.1 had the place of the data in ``splits.json``."""
    place = tmp_path / "place"
    shutil.copytree(inputs, place)
    splits, places = place / "run" / "splits.json", place / "run" / "places.json"
    told, where = json.loads(splits.read_text()), json.loads(places.read_text())
    assert told["source"].pop("data") == "mocks.h5"
    assert where == {"source": {"path": str(inputs / "mocks.h5"), "read": {}}}
    told["source"]["path"] = where["source"]["path"]
    splits.write_text(json.dumps(told))
    places.unlink()
    ended = server.run(place, ["evaluate", "run", "--out", "out"])
    assert ended.code == 0, ended.said
    assert json.loads((place / "out" / "metrics.json").read_text())["results"][0]["run"] == "run"
