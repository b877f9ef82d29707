"""`run --locked`: content compared with the lock: bit for bit, within a tolerance, or named."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from safetensors.numpy import load_file, save_file

from galshift.errors import ConfigError, NumericalError
from galshift.recipes.contents import TOLERANCE, described, distance
from galshift.recipes.lock import read_lock
from galshift.recipes.pins import changed, constraints
from galshift.recipes.read import read_recipe
from galshift.recipes.reproduced import compare, require_reproduced
from galshift.recipes.run import plan_recipe, run_recipe
from tests.file_operations import Server

RECIPE = """\
recipe: 1
name: small
steps:
  sky: {uses: simulate, n: 12, size: 20, classes: [merger, elliptical]}
  packed: {uses: pack, data: "${sky}"}
  mine: {uses: pack, data: own.npy, read: {unit: nJy, pixel_scale_arcsec: 0.2, bands: [g]}}
  net: {uses: train, data: "${sky}", training: {epochs: 1, batch_size: 8}}
"""


def _own(folder: Path) -> None:
    np.save(folder / "own.npy", np.arange(3 * 64, dtype=np.float32).reshape(3, 1, 8, 8))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the recipe has run."""
    folder = tmp_path_factory.mktemp("made")
    _own(folder)
    (folder / "small.yaml").write_text(RECIPE)
    run_recipe(read_recipe(folder / "small.yaml"))
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def _again(folder: Path) -> list[str]:
    recipe = read_recipe(folder / "small.yaml")
    found = compare(plan_recipe(recipe, folder=folder / "runs/small", locked=True), read_lock(recipe))
    return [*found.within, "|", *found.other, "|", *found.notes]


def _product(folder: Path, name: str) -> Path:
    (path,) = folder.glob(f"runs/small/{name}-*/{name}.h5")
    return path


def test_in_another_folder_it_is_reproduced_bit_for_bit(made: Path, tmp_path: Path, server: Server) -> None:
    for name in ("small.yaml", "small.lock.json", "own.npy"):
        shutil.copy(made / name, tmp_path / name)
    ended = server.run(tmp_path, ["run", "small.yaml", "--locked"], clock=1.9e9)
    assert ended.code == 0, ended.said
    assert re.search(r"reproduced: all \d+ files and \d+ numbers in small.lock.json are the same", ended.said)
    assert (tmp_path / "small.lock.json").read_bytes() == (made / "small.lock.json").read_bytes()
    ended = server.run(tmp_path, ["status", "small.yaml", "--verify"])
    assert ended.code == 0, ended.said
    assert "reproduced: all" in ended.said


def test_one_changed_pixel_of_a_result_is_named(copy: Path, server: Server) -> None:
    with h5py.File(_product(copy, "packed"), "r+") as file:
        file["images"][3, 1, 5, 5] += 1000
    within, other, notes = " ".join(_again(copy)).split("|")
    assert "packed/packed.h5: images differs by about" in other
    assert not within.strip()
    assert not notes.strip()
    with pytest.raises(NumericalError, match=r"not what the lock says: packed/packed\.h5: images"):
        recipe = read_recipe(copy / "small.yaml")
        require_reproduced(compare(plan_recipe(recipe), read_lock(recipe)))
    ended = server.run(copy, ["run", "small.yaml", "--locked"])
    assert ended.code == 5
    assert "NOT reproduced" in ended.said
    assert (
        server.run(copy, ["status", "small.yaml", "--verify"]).code == 4
    )  # it was changed after it was made


def test_one_changed_pixel_of_an_input_is_named(copy: Path, server: Server) -> None:
    images = np.load(copy / "own.npy")
    images[2, 0, 7, 7] += 1
    np.save(copy / "own.npy", images)
    with pytest.raises(ConfigError) as caught:
        run_recipe(read_recipe(copy / "small.yaml"), locked=True)
    assert caught.value.problems == ("mine: own.npy has other content",)
    ended = server.run(copy, ["status", "small.yaml", "--verify"])
    assert ended.code == 3, ended.said
    assert "reproduced: all" in ended.said  # the steps that do not read it
    assert "not compared, for they are not done here as the lock has them: mine\n" in ended.said
    assert "own.npy has other content" in ended.said


def test_verify_without_a_result_says_that_nothing_was_compared(made: Path, tmp_path: Path) -> None:
    for name in ("small.yaml", "small.lock.json", "own.npy"):
        shutil.copy(made / name, tmp_path / name)
    recipe = read_recipe(tmp_path / "small.yaml")
    found = compare(plan_recipe(recipe), read_lock(recipe))
    assert found.left == ["sky", "packed", "mine", "net"]
    assert found.sentences("the lock") == [
        "nothing was compared: no step of the lock is done here as it says"
    ]
    assert found.document()["verdict"] == "nothing compared"


def test_one_changed_seed_is_named(copy: Path) -> None:
    recipe = read_recipe(copy / "small.yaml", overrides=["steps.sky.seed=43"])
    with pytest.raises(ConfigError) as caught:
        run_recipe(recipe, locked=True)
    assert caught.value.problems[0] == "sky: seed 42 → 43"
    assert caught.value.problems[1:] == (
        "packed: sky, which it reads, changed",
        "net: sky, which it reads, changed",
    )


def test_one_changed_version_is_named_and_is_no_failure(copy: Path) -> None:
    for path in copy.glob("runs/small/*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest["environment"]["packages"]["numpy"] = "99.1"
        path.write_text(json.dumps(manifest))
    assert _again(copy) == ["|", "|", f"numpy {np.__version__} → 99.1 (every step)"]


def test_a_figure_of_another_matplotlib_is_no_other_result(copy: Path) -> None:
    lock = json.loads((copy / "small.lock.json").read_text())
    lock["steps"]["net"]["outputs"]["curve.pdf"] = {"sha256": "0" * 64}
    (copy / "small.lock.json").write_text(json.dumps(lock))
    (net,) = copy.glob("runs/small/net-*")
    (net / "curve.pdf").write_bytes(b"%PDF")
    assert _again(copy) == ["|", "net/curve.pdf has other bytes", "|"]
    lock["environment"]["packages"]["matplotlib"] = "3.0.1"
    (copy / "small.lock.json").write_text(json.dumps(lock))
    drawn = f"matplotlib 3.0.1 → {importlib.metadata.version('matplotlib')}"
    assert _again(copy) == [f"net/curve.pdf: drawn by {drawn}", "|", "|", f"{drawn} (every step)"]


def test_another_device_is_named(copy: Path) -> None:
    (path,) = copy.glob("runs/small/net-*/manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "computed_on": "a GPU"}))
    assert _again(copy) == ["|", "|", "device cpu → a GPU (net)"]


def test_rounding_is_within_tolerance_and_more_is_not(copy: Path) -> None:
    (path,) = copy.glob("runs/small/net-*/model.safetensors")
    weights = load_file(path)
    name = "encoder.0.0.weight"
    save_file({**weights, name: weights[name] * np.float32(1 + 4e-7)}, path)
    within, other, _ = " ".join(_again(copy)).split("|")
    assert f"net/model.safetensors: {name} differs by about" in within
    assert not other.strip()
    save_file({**weights, name: weights[name] * np.float32(1.001)}, path)
    within, other, _ = " ".join(_again(copy)).split("|")
    (about,) = re.findall(rf"net/model\.safetensors: {name} differs by about (\S+) of its size", other)
    assert 0.0004 < float(about) < 0.002
    assert not within.strip()


def test_the_same_values_stored_otherwise_are_within_tolerance(copy: Path) -> None:
    path = _product(copy, "packed")
    with h5py.File(path, "r+") as file:
        file.attrs["remark"] = "stored again"
    within, other, _ = " ".join(_again(copy)).split("|")
    assert within.strip() == "packed/packed.h5: the same values, stored otherwise"
    assert not other.strip()


def test_what_is_gone_or_of_another_shape_is_named(copy: Path) -> None:
    _product(copy, "packed").unlink()
    with h5py.File(_product(copy, "sky"), "r+") as file:
        images = file["images"][:-1]
        del file["images"]
        file["images"] = images
    _, other, _ = "\n".join(_again(copy)).split("|")
    assert "packed/packed.h5 is missing" in other
    assert "sky/sky.h5: images has another shape or type" in other


def test_a_number_of_the_results_is_compared(copy: Path) -> None:
    lock = json.loads((copy / "small.lock.json").read_text())
    results = lock["steps"]["sky"]["results"]
    assert results["n_images"] == 12
    for value, where in ((12 * (1 + 1e-5), 0), (13, 1)):
        results["n_images"] = value
        (copy / "small.lock.json").write_text(json.dumps(lock))
        parts = "\n".join(_again(copy)).split("|")
        assert "sky: n_images" in parts[where]


def test_nothing_in_the_lock_says_where_and_when(made: Path) -> None:
    text = (made / "small.lock.json").read_text() + (made / "small.constraints.txt").read_text()
    assert str(made) not in text
    assert platform.node() not in text
    assert not re.search(r"\b20\d\d-\d\d-\d\d|T\d\d:\d\d|\"seconds\"|\"utc\"", text)
    lock = json.loads((made / "small.lock.json").read_text())
    assert lock["seed"] == 42
    assert lock["environment"]["packages"]["numpy"] == np.__version__
    assert lock["environment"]["python"] == platform.python_version()
    assert {step["device"] for step in lock["steps"].values()} == {"cpu"}


def test_the_versions_are_pinned_for_pip(made: Path) -> None:
    lines = (made / "small.constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins == sorted(pins, key=str.lower)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line) for line in pins)
    told = dict(line.split("==") for line in pins)
    for name in ("numpy", "pydantic", "pillow", "typing-extensions"):  # asked for, and asked for in turn
        assert told[name] == importlib.metadata.version(name)
    assert "pytest" not in told


def test_a_constraints_file_is_what_pip_reads(made: Path) -> None:
    from packaging.requirements import Requirement

    for line in (made / "small.constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            (pin,) = Requirement(line).specifier
            assert pin.operator == "=="


def test_pins_of_another_environment_name_what_is_known_of_it() -> None:
    text = constraints(
        {"galshift": "0.1", "python": "3.11.2", "packages": {"torch": "2.6.0+cu124", "scipy": None}}
    )
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        "galshift==0.1",
        "torch==2.6.0",
    ]


def test_pins_stay_when_everything_is_skipped_elsewhere(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (copy / "small.constraints.txt").read_bytes()
    monkeypatch.setattr("galshift.recipes.pins.all_software", lambda: {"another": "environment"})
    run_recipe(read_recipe(copy / "small.yaml"))
    assert (copy / "small.constraints.txt").read_bytes() == before


def test_changed_versions_are_told() -> None:
    before = {"galshift": "1", "python": "3.11", "packages": {"numpy": "2.0", "torch": "2.6"}}
    after = {"galshift": "1", "python": "3.12", "packages": {"numpy": "2.1", "torch": None}}
    assert changed(before, after) == ["python 3.11 → 3.12", "numpy 2.0 → 2.1", "torch 2.6 → not installed"]
    assert changed(before, before) == []


def _lines(folder: Path, before: np.ndarray, after: np.ndarray) -> tuple[str, str]:
    for name, values in (("a", before), ("b", after)):
        np.save(folder / f"{name}.npy", values)
    return described(folder / "a.npy")["values"], described(folder / "b.npy")["values"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
def test_one_changed_value_has_its_exact_distance(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(3)
    before = (100 * rng.random((50, 3, 16, 16))).astype(dtype)
    after = before.copy()
    after[7, 1, 3, 4] += 20
    size = max(np.linalg.norm(one.astype(float)) for one in (before, after))
    assert distance(*_lines(tmp_path, before, after)) == pytest.approx(20 / size, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 1.0])
def test_the_distance_of_sketches_is_that_of_the_arrays(tmp_path: Path, scale: float) -> None:
    rng = np.random.default_rng(4)
    shares = []
    for _ in range(20):
        before = rng.normal(size=4000)
        after = before + scale * rng.normal(size=4000)
        size = max(np.linalg.norm(before), np.linalg.norm(after))
        wanted = np.linalg.norm(after - before) / size
        shares.append(distance(*_lines(tmp_path, before, after)) / wanted)
    # Eight sums: chi with eight degrees of freedom, 0.97 on average, with a spread of 0.25.
    assert np.mean(shares) == pytest.approx(0.97, abs=0.2)
    assert all(0.3 < share < 2 for share in shares)


def test_equal_unequal_and_incomparable_arrays(tmp_path: Path) -> None:
    values = np.arange(6.0)
    assert distance(*_lines(tmp_path, values, values)) == 0
    assert distance(*_lines(tmp_path, values, values.reshape(2, 3))) is None
    assert distance(*_lines(tmp_path, values, values.astype("float32"))) is None
    words = np.array(["a", "b"])
    assert np.isnan(distance(*_lines(tmp_path, words, words[::-1])))
    gone = np.where(values == 3, np.nan, values)
    assert distance(*_lines(tmp_path, values, gone)) > TOLERANCE
    assert distance(*_lines(tmp_path, np.array([0.0, -0.0]), np.array([0.0, 0.0]))) is not None


def test_big_endian_values_are_the_same_values(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4")
    one, other = _lines(tmp_path, values, values.astype("<f4"))
    assert one == other


def test_files_of_each_kind_are_described(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    table = fits.BinTableHDU.from_columns([fits.Column("ra", "D", array=values[0])], name="CATALOGUE")
    fits.HDUList([fits.PrimaryHDU(values), table]).writeto(tmp_path / "a.fits")
    np.savez(tmp_path / "a.npz", x=values, y=values[0])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/x"] = values
        file["ids"] = [b"one", b"two"]
    half = (values.view("<u4") >> 16).astype("<u2")
    header = json.dumps({"w": {"dtype": "BF16", "shape": [3, 4], "data_offsets": [0, 24]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + half.tobytes())
    (tmp_path / "a.json").write_text('{"b": [1, 2.5], "a": "word"}')
    (tmp_path / "a.jsonl").write_text('{"b": 1}\n{"b": 2.5}\n')
    found = {path.name: described(path) for path in tmp_path.iterdir()}
    assert {name: set(lines) for name, lines in found.items()} == {
        "a.fits": {"PRIMARY", "CATALOGUE.ra"},
        "a.npz": {"x", "y"},
        "a.h5": {"group/x", "ids"},
        "a.safetensors": {"w"},
        "a.json": {"numbers", "words"},
        "a.jsonl": {"numbers", "words"},
    }
    # These numbers are the same with half of the bits.
    assert found["a.h5"]["group/x"] == found["a.npz"]["x"] == found["a.safetensors"]["w"]
    assert found["a.json"]["numbers"] == found["a.jsonl"]["numbers"]


@pytest.mark.parametrize("name", ["a.h5", "a.fits", "a.npz", "a.npy", "a.safetensors", "a.json", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b'{"a": ' + b"[" * 20_000])
def test_broken_files_are_compared_by_their_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert described(tmp_path / name) == {}
    assert described(tmp_path / "nothing.h5") == {}
