"""Files that attack: one sentence and exit 4, bounded time and memory, nothing else started or read."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import ReadOptions, open_dataset
from galshift.errors import DataError, GalshiftError
from tests import file_operations
from tests.hostile import WRITERS, good_fits, picture_bytes

# What a file may take beyond the process that opens it, which takes 250 MB by itself: in all 600 MB.
MOST_MEMORY = 350 << 20
MOST_SECONDS = 20


def opened(path: Path, **options: object) -> None:
    """Open a data set and read its first images, as `inspect` does."""
    dataset = open_dataset(path, ReadOptions(**options))
    dataset.read(np.arange(min(len(dataset), 4)))


def in_child(path: Path, folder: Path) -> tuple[int, str, int]:
    """Return exit status, what was said, and memory [bytes] that opening `path` took a forked process."""
    out, took = folder / "said.txt", folder / "took.txt"
    pid = os.fork()
    if pid == 0:
        code, text = 0, ""
        before = resident("VmRSS")  # most of it the parent's
        try:
            # Bounds what a failure of this test could take, without deciding it.
            resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
            opened(path)
        except GalshiftError as error:
            code, text = error.exit_code, str(error)
        except BaseException as error:
            code, text = 1, repr(error)
        out.write_text(text, encoding="utf-8")
        took.write_text(str(resident("VmHWM") - before))
        os._exit(code)
    began = time.monotonic()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > MOST_SECONDS:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return -1, "it does not end", 0
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(status), out.read_text(encoding="utf-8"), int(took.read_text())


def resident(field: str) -> int:
    """Return the resident memory of this process [bytes]: VmRSS now, VmHWM at its highest."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    return 0


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_one_sentence_and_exit_4(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    code, said, took = in_child(path, tmp_path)
    assert code == 4, f"{code}: {said}"
    assert "\n" not in said
    assert len(said) < 700
    assert said.isprintable()
    assert took < MOST_MEMORY, f"{took >> 20} MB: {said}"
    assert not (tmp_path / "owned").exists()


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run the command line in `cwd`."""
    return file_operations.galshift(cwd, *words)


@pytest.mark.parametrize(
    "name", ["gzip_of_zeros", "images_without_bytes", "a_pipe", "votable_elsewhere", "card_of_laughs"]
)
def test_the_command_line_says_it_in_one_line(name: str, tmp_path: Path) -> None:
    done = run("inspect", WRITERS[name](tmp_path).name, cwd=tmp_path)
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("galshift: ")
    assert done.stderr.count("\n") == 1


def test_ghostscript_is_never_started(tmp_path: Path) -> None:
    """Pillow opens EPS by its first bytes, whatever it is called, and runs `gs` to draw it."""
    tools, log, data = tmp_path / "bin", tmp_path / "started.txt", tmp_path / "data"
    tools.mkdir()
    data.mkdir()
    for name in ("gs", "gswin32c", "sh", "djpeg"):
        tool = tools / name
        tool.write_text(f"#!/bin/bash\necho {name} >> {log}\n")
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    # The stand-in works.
    subprocess.run(["gs"], env={"PATH": f"{tools}:{os.environ['PATH']}"}, check=True)
    assert log.read_text() == "gs\n"
    log.unlink()
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    for name in ("e.png", "e.jpg", "e.fits"):
        (data / name).write_bytes(postscript)
    (data / "good.png").write_bytes(picture_bytes())
    path = f"{tools}:{os.environ['PATH']}"
    for words in (["data"], ["data", "--on-error", "skip"], ["data/e.png", "--reader", "pictures"]):
        file_operations.galshift_alone(tmp_path, "inspect", *words, PATH=path)
    assert not log.exists()


def damaged(folder: Path, keep: int = 3) -> None:
    """Write `keep` good FITS files, and one of everything that one file can do wrong."""
    folder.mkdir()
    for i in range(keep):
        good_fits(folder / f"good{i}.fits", i)
    fits_names = [
        name for name in WRITERS if name.startswith(("a_", "gzip_of_an", "tiles", "no_axes", "axes"))
    ]
    for name in fits_names:
        made = WRITERS[name](folder)
        if not made.name.endswith((".fits", ".fits.gz")) or name == "a_count_of_fields_that_lies":
            made.unlink()


def test_skip_leaves_out_whatever_one_fits_file_does(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    damaged(tmp_path / "data")
    with pytest.raises(DataError):
        open_dataset(tmp_path / "data")
    capsys.readouterr()
    dataset = open_dataset(tmp_path / "data", ReadOptions(on_error="skip"))
    assert dataset.info.ids.tolist() == ["good0", "good1", "good2"]
    assert np.isfinite(dataset.read(range(3)).images).all()
    said = capsys.readouterr().err
    n = len(os.listdir(tmp_path / "data")) - 3
    assert f"skipped {n} of {n + 3} files (" in said
    assert said.count(".fits: ") + said.count(".fits.gz: ") == 5
    assert f"and {n - 5} more" in said
    assert len(dataset.info.left_out) == n


def test_skip_leaves_out_whatever_one_picture_does(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for i in range(3):
        (data / f"good{i}.png").write_bytes(picture_bytes(64, seed=i))
    for name in ("postscript_called_png", "png_of_a_gigapixel", "truncated_jpeg", "gif_called_png"):
        WRITERS[name](data)
    os.mkfifo(data / "pipe.png")
    cut = picture_bytes(64, seed=7)
    (data / "cut.png").write_bytes(cut[: len(cut) // 2])
    dataset = open_dataset(data, ReadOptions(on_error="skip"))
    assert dataset.info.ids.tolist() == ["good0", "good1", "good2"]
    said = capsys.readouterr().err
    assert "skipped 4 of 9 files (" in said
    assert "skipped 2 of 5 images (cut: " in said
    assert "truncated_jpeg: " in said
    assert len(dataset.info.left_out) == 6


def test_what_was_skipped_stands_in_the_manifest(tmp_path: Path) -> None:
    damaged(tmp_path / "data")
    done = run("pack", "data", "out.h5", "--on-error", "skip", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "out.h5.manifest.json").read_text())
    (entry,) = manifest["skipped"].values()
    assert entry["skipped"] == manifest["results"]["n_skipped"]
    assert len(entry["first"]) == 5


def test_a_folder_that_holds_itself_is_read_once(tmp_path: Path) -> None:
    for i in range(3):
        good_fits(tmp_path / f"g{i}.fits", i)
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(open_dataset(tmp_path)) == 3


ESCAPES = "\x1b[31mred\x07\x9b1m\u202eevil\u200b\x00"


def test_nothing_from_a_file_moves_the_terminal(tmp_path: Path) -> None:
    """Names of classes, bands and files, and what libraries say of a file's bytes."""
    images = np.random.default_rng(0).normal(1, 0.1, (4, 1, 8, 8)).astype("f4")
    name = ESCAPES.replace("\x00", "")
    write_hdf5(
        tmp_path / "x.h5",
        Cutouts(images=images, unit="nJy", pixel_scale=0.2, bands=(f"g{name}",), survey=f"s{name}",
                labels=np.asarray([0, 1, 0, 1]), classes=(f"[red]{name}", "b")),
    )  # fmt: skip
    bad = tmp_path / f"bad{name}\n.fits"
    bad.write_bytes(b"SIMPLE  = " + ESCAPES.encode() * 100)
    votable = tmp_path / "v.vot"
    votable.write_text("<a><!DOCTYPE \x1b[31m")
    for words in (["x.h5"], [bad.name], ["v.vot"]):
        done = run("inspect", *words, cwd=tmp_path)
        for stream in (done.stdout, done.stderr):
            assert not [c for c in stream if not (c.isprintable() or c in "\n\t")], repr(stream)
        if words == ["x.h5"]:
            assert "[red]" in done.stdout
        else:
            assert done.returncode == 4
            assert done.stderr.count("\n") == 1


def small(folder: Path, kind: str) -> Path:
    """Write one small sound file of a kind."""
    rng = np.random.default_rng(0)
    path = folder / f"x.{kind}"
    if kind == "fits" or kind == "fits.gz":
        good_fits(path)
    elif kind in ("png", "jpg"):
        path.write_bytes(picture_bytes(16, "PNG" if kind == "png" else "JPEG"))
    elif kind == "npz":
        np.savez_compressed(path, images=rng.normal(size=(3, 1, 8, 8)).astype("f4"), labels=np.arange(3))
    elif kind == "npy":
        np.save(path, rng.normal(size=(3, 1, 8, 8)).astype("f4"))
    else:
        images = rng.normal(size=(3, 1, 8, 8)).astype("f4")
        write_hdf5(path, Cutouts(images=images, unit="nJy", pixel_scale=0.2, bands=("g",)))
    return path


@pytest.mark.parametrize("kind", ["fits", "fits.gz", "h5", "npz", "npy", "png", "jpg"])
def test_a_changed_file_gives_a_value_or_one_sentence(kind: str, tmp_path: Path) -> None:
    path = small(tmp_path, kind)
    whole = path.read_bytes()

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        edits=st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=12),
        length=st.one_of(st.just(len(whole)), st.integers(0, len(whole))),
    )
    def check(edits: list[tuple[int, int]], length: int) -> None:
        content = bytearray(whole)
        for place, value in edits:
            content[place] = value
        path.write_bytes(content[:length])
        said, code = "", 4
        try:
            opened(path)
        except GalshiftError as error:
            said, code = str(error), error.exit_code
        assert code == 4, said
        assert "\n" not in said

    check()


def test_a_mapped_file_that_becomes_shorter_is_told(tmp_path: Path) -> None:
    """Reading on would end the process by a signal."""
    path = tmp_path / "x.npy"
    np.save(path, np.ones((300, 1, 32, 32), "f4"))
    dataset = open_dataset(path, ReadOptions(unit="nJy"))
    os.truncate(path, 4096)
    with pytest.raises(DataError, match="has become shorter"):
        dataset.read([299])


@pytest.mark.parametrize("verb", ["train", "pack", "gap"])
def test_a_pipe_is_told_before_it_is_read(verb: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.h5")
    words = {"train": ["x.h5"], "pack": ["x.h5", "y.h5"], "gap": ["x.h5", "x.h5"]}[verb]
    done = run(verb, *words, cwd=tmp_path)
    assert done.returncode == 4
    assert "this is a pipe, not a file" in done.stderr


def test_skip_leaves_out_a_broken_file_of_several(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images = np.ones((3, 1, 8, 8), "f4")
    for i in range(2):
        write_hdf5(tmp_path / f"p{i}.h5", Cutouts(images=images, unit="nJy", pixel_scale=0.2, bands=("g",)))
    WRITERS["a_truncated_hdf5"](tmp_path)
    with pytest.raises(DataError, match="a_truncated_hdf5"):
        open_dataset(tmp_path)
    dataset = open_dataset(tmp_path, ReadOptions(on_error="skip"))
    assert len(dataset) == 6
    assert "skipped 1 of 3 files (a_truncated_hdf5.h5: " in capsys.readouterr().err
    assert len(dataset.info.left_out) == 1
