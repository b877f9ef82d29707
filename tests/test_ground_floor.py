"""The ground floor: registry, provenance, run directories, random streams and the image container."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galshift.data.cutouts import Cutouts, InMemory
from galshift.errors import ConfigError, DataError, GalshiftError, ResourceError
from galshift.provenance import atomic_path, canonical_json, content_sha256, fingerprint, jsonable, write_json
from galshift.registry import Registry
from galshift.rundirectory import RunDirectory
from galshift.streams import numpy_stream, stream_seed, torch_stream


def test_error_reads_as_one_sentence_with_place_and_hint():
    error = DataError("the file is empty", where="a.fits", hint="fetch it again")
    assert str(error) == "a.fits: the file is empty (fetch it again)"
    assert [cls.exit_code for cls in (GalshiftError, ConfigError, DataError, ResourceError)] == [1, 3, 4, 6]


@pytest.fixture
def plugin_package(tmp_path, monkeypatch):
    package = tmp_path / "toythings"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from galshift.registry import Registry\nTOYS = Registry('toy', 'toythings')\n"
    )
    (package / "red_ball.py").write_text(
        '"""A ball that is red.\n\nMore.\n"""\nfrom toythings import TOYS\nTOYS.register("red-ball")(int)\n'
    )
    (package / "_helper.py").write_text("raise RuntimeError('helpers are not imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.startswith("toythings")]:
        del sys.modules[name]


def test_registry_names_and_summaries_come_from_files_without_importing_them(plugin_package):
    from toythings import TOYS

    assert TOYS.names() == ["red-ball"]
    assert TOYS.summary("red-ball") == "A ball that is red."
    assert "toythings.red_ball" not in sys.modules
    assert TOYS.get("red-ball") is int


def test_registry_refuses_an_unknown_name_with_the_closest_one_and_a_second_thing_of_a_name(plugin_package):
    from toythings import TOYS

    with pytest.raises(ConfigError, match=r"unknown toy 'red-bal'.*did you mean 'red-ball'"):
        TOYS.get("red-bal")
    TOYS.get("red-ball")
    with pytest.raises(ConfigError, match="two toys are called 'red-ball'"):
        TOYS.register("red-ball")(float)


def test_entry_points_add_things(monkeypatch):
    registry = Registry("toy", "galshift.nothing_here")

    class Point:
        name = "from-outside"

        def load(self):
            return dict

    monkeypatch.setattr(Registry, "plugins", lambda self: {"from-outside": Point()})
    monkeypatch.setattr(Registry, "_modules", lambda self: {})
    assert registry.get("from-outside") is dict


def test_hash_of_a_file_is_sha256_and_of_a_folder_ignores_order_and_hidden_files(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    assert content_sha256(tmp_path / "a") == hashlib.sha256(b"one").hexdigest()
    first, second = tmp_path / "x", tmp_path / "y"
    for folder, names in ((first, "ab"), (second, "ba")):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
    (second / ".index").write_text("hidden")
    assert content_sha256(first) == content_sha256(second)
    (second / "b").write_text("changed")
    assert content_sha256(first) != content_sha256(second)


def test_hashes_of_folders_in_one_another_differ_and_leave_one_entry_each(tmp_path, monkeypatch):
    """The files are the same; what they are called from the folder on is not."""
    from galshift import provenance

    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    for number in range(20):
        (inner / f"{number}").write_text("same")
    monkeypatch.setattr(provenance, "_HASHES", {})
    found = [content_sha256(place) for place in (tmp_path / "outer", inner, inner / "0", inner)]
    assert len(set(found)) == 3
    assert found[1] == found[3]
    assert len(provenance._HASHES) == 3
    said = "".join(f"{n}\0{hashlib.sha256(b'same').hexdigest()}\n" for n in sorted(map(str, range(20))))
    assert found[1] == hashlib.sha256(said.encode()).hexdigest()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_canonical_json_round_trips(value):
    assert json.loads(canonical_json(value)) == value


def test_fingerprint_depends_on_every_part_and_on_no_order():
    base = fingerprint("train", 1, {"a": 1, "b": 2}, inputs={"data": "x"})
    assert base == fingerprint("train", 1, {"b": 2, "a": 1}, inputs={"data": "x"})
    others = [
        fingerprint("adapt", 1, {"a": 1, "b": 2}, inputs={"data": "x"}),
        fingerprint("train", 2, {"a": 1, "b": 2}, inputs={"data": "x"}),
        fingerprint("train", 1, {"a": 1, "b": 3}, inputs={"data": "x"}),
        fingerprint("train", 1, {"a": 1, "b": 2}, inputs={"data": "y"}),
        fingerprint("train", 1, {"a": 1, "b": 2}, upstream={"data": "x"}),
    ]
    assert len({base, *others}) == 6


def test_jsonable_turns_nan_into_null_and_arrays_into_lists():
    value = {"a": np.float32(1.5), "b": np.array([1, 2]), "c": float("nan"), "d": (Path("x"), np.bool_(True))}
    assert jsonable(value) == {"a": 1.5, "b": [1, 2], "c": None, "d": ["x", True]}


def test_atomic_path_replaces_on_success_and_leaves_the_old_file_on_failure(tmp_path):
    target = tmp_path / "out.json"
    write_json(target, {"a": 1})
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(target.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def open_run(path, fingerprint="f1", **changes):
    return RunDirectory.open(path, kind="train", fingerprint=fingerprint, config={"epochs": 3}, **changes)


def test_run_directory_resumes_the_same_run_refuses_another_and_moves_it_aside_when_told(tmp_path):
    path = tmp_path / "run"
    with open_run(path) as run:
        run.record({"epoch": 1, "loss": float("nan")})
        assert not run.done
    with pytest.raises(DataError, match="has not finished"):
        RunDirectory.load(path)
    with open_run(path) as run:
        run.finish({"accuracy": 0.5})
    assert RunDirectory.load(path).manifest()["results"] == {"accuracy": 0.5}
    assert json.loads((path / "metrics.jsonl").read_text()) == {"epoch": 1, "loss": None}
    with pytest.raises(ConfigError, match="already holds a run of train with another configuration"):
        open_run(path, "f2")
    open_run(path, "f2", overwrite=True).close()
    assert sorted(p.name.split(".")[0] for p in tmp_path.iterdir()) == ["run", "run"]


def test_run_directory_refuses_a_folder_that_is_not_a_run(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(ConfigError, match="files that are not a run"):
        open_run(tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_run_being_written_is_refused_and_is_free_again_after_kill_9(tmp_path):
    code = f"""
        import time
        from galshift.rundirectory import RunDirectory
        run = RunDirectory.open({str(tmp_path / "run")!r}, kind="train", fingerprint="f1", config={{}})
        print("held", flush=True)
        time.sleep(60)
    """
    other = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(ResourceError, match="another process is writing"):
        open_run(tmp_path / "run")
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    other.stdout.close()
    for _ in range(50):
        try:
            open_run(tmp_path / "run").close()
            break
        except ResourceError:
            time.sleep(0.1)
    else:
        pytest.fail("the lock outlived its owner")


def test_streams_differ_by_name_and_seed_and_repeat():
    seeds = {stream_seed(s, *names) for s in (1, 2) for names in (("a",), ("b",), ("a", "b"), ("ab",))}
    assert len(seeds) == 8
    assert numpy_stream(1, "x").integers(1 << 60) == numpy_stream(1, "x").integers(1 << 60)
    assert torch_stream(1, "x").initial_seed() == stream_seed(1, "x")


def test_cutouts_take_keeps_everything_in_step():
    n = 5
    cutouts = Cutouts(
        np.arange(n * 2 * 9, dtype=np.float64).reshape(n, 2, 3, 3),
        pixel_scale=np.arange(n) / 10,
        bands=("g", "r"),
        labels=np.arange(n),
        mask=np.zeros((n, 3, 3), bool),
        classes=tuple("abcde"),
    )
    some = cutouts.take([3, 1])
    assert some.images.dtype == np.float32
    np.testing.assert_array_equal(some.images, cutouts.images[[3, 1]])
    assert list(some.ids) == ["3", "1"]
    np.testing.assert_allclose(some.pixel_scale, [0.3, 0.1])
    np.testing.assert_array_equal(InMemory(cutouts).read([3, 1]).labels, [3, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bands": ("g",)}, "1 band names for images with 2 bands"),
        ({"labels": np.zeros(3)}, "labels has 3 entries for 4 images"),
        ({"mask": np.zeros((4, 2, 2), bool)}, "mask has shape"),
        ({"ivar": np.zeros((4, 3, 3))}, "ivar has shape"),
    ],
)
def test_cutouts_refuse_what_does_not_fit(changes, message):
    with pytest.raises(DataError, match=message):
        Cutouts(np.zeros((4, 2, 3, 3)), **changes)
