"""Stopped at any file operation, every verb that writes ends, when typed again, as if left alone.

Twenty kills of each: ``python -m tests.benchmarks.kills``.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.every_verb import (
    COMMANDS,
    differences,
    fresh,
    run,
    sample,
    stopped,
    whole,
    words_of,
    written,
)
from tests.file_operations import Server

_PRODUCTS = [verb for verb in COMMANDS if verb.split()[0] in ("simulate", "make-mocks", "pack", "predict")]


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_same_command_ends_as_if_left_alone(
    tmp_path: Path, inputs: Path, server: Server, verb: str
) -> None:
    place = tmp_path / "place"
    wanted = whole(server, inputs, place, verb)
    first, second = sample(wanted.operations, 2, len(verb))
    kills = [(first, signal.SIGKILL), (second, signal.SIGTERM)]
    assert stopped(server, inputs, place, verb, kills, wanted) == ([], [])


def test_what_a_kill_left_of_a_transfer_is_checked(tmp_path: Path, inputs: Path, server: Server) -> None:
    place = tmp_path / "place"
    wanted = whole(server, inputs, place, "fetch")
    fresh(inputs, place)
    for operation in [i + 1 for i, name in enumerate(wanted.operations) if name == "fs"]:
        assert run(server, place, inputs, "fetch", kill=operation).code == -signal.SIGKILL
        found = list(place.glob("cache/galshift/public/*/.part/x.npy"))
        if found:
            break
    (part,) = found
    part.write_bytes(part.read_bytes()[:1000] + b"spoilt")
    ended = run(server, place, inputs, "fetch")
    assert ended.code == 0, ended.said
    assert differences(written(place, inputs), wanted.files) == []


def test_publishing_is_taken_up_between_any_two_renames(tmp_path: Path, inputs: Path, server: Server) -> None:
    place, words = tmp_path / "place", words_of("make-mocks pair", inputs)
    wanted = whole(server, inputs, place, "make-mocks pair")
    # All is made at the first rename into place; the manifest and the six products follow one another.
    renames = [i + 1 for i, name in enumerate(wanted.operations) if name == "re"]
    for first in renames[-8:]:
        server.run(fresh(inputs, place), words, kill=first)
        if (place / ".out.h5.work" / "finished.json").is_file():
            break
        shutil.rmtree(place)
    ready = place.rename(tmp_path / "ready")
    for operation in range(1, 12):
        shutil.copytree(ready, place)
        server.run(place, words, kill=operation)
        assert server.run(place, words).code == 0
        assert differences(written(place, inputs), wanted.files) == []
        shutil.rmtree(place)


def test_what_stood_there_is_moved_aside_only_when_all_is_made(
    tmp_path: Path, inputs: Path, server: Server
) -> None:
    words = [*words_of("simulate", inputs), "--overwrite"]
    operations = server.run(fresh(inputs, tmp_path / "whole"), words).operations
    place = fresh(inputs, tmp_path / "place")
    (place / "out.h5").write_bytes(b"another's")
    for operation in sample(operations[: operations.index("fs")], 4, 0):
        assert server.run(place, words, kill=operation).code == -signal.SIGKILL
        assert (place / "out.h5").read_bytes() == b"another's"
    assert server.run(place, words).code == 0
    (aside,) = place.glob("out.h5.old-*")
    assert aside.read_bytes() == b"another's"
    assert written(place, inputs)["out.h5"] == written(tmp_path / "whole", inputs)["out.h5"]


def test_work_that_is_not_done_is_no_data(tmp_path: Path, inputs: Path, server: Server) -> None:
    place, words = fresh(inputs, tmp_path / "place"), words_of("make-mocks", inputs)
    operations = server.run(place, words).operations
    shutil.rmtree(place)
    server.run(fresh(inputs, place), words, kill=len(operations) - 12)
    (made,) = place.glob(".out.h5.work/product/out.h5")
    ended = server.run(place, ["pack", str(made.relative_to(place)), "packed.h5"])
    assert ended.code == 4
    assert "has not finished" in ended.said


@pytest.mark.parametrize("verb", _PRODUCTS)
def test_products_are_the_same_bytes_elsewhere_and_later(
    tmp_path: Path, inputs: Path, server: Server, verb: str
) -> None:
    found = []
    for name, clock in (("here", "1000000000"), ("there", "1700000000")):
        place = fresh(inputs, tmp_path / name)
        assert server.run(place, words_of(verb, inputs), clock=float(clock)).code == 0
        found.append(written(place, inputs))
    assert found[0] == found[1]


def test_a_finished_run_in_an_archive_is_read_and_repeated(
    tmp_path: Path, inputs: Path, server: Server
) -> None:
    place = fresh(inputs, tmp_path / "place")
    for verb in ("simulate", "embed"):
        assert server.run(place, words_of(verb, inputs)).code == 0
    for verb in ("simulate", "embed", "train"):
        words = [word if verb != "train" or word != "out" else "run" for word in words_of(verb, inputs)]
        ended = server.run(place, words, denied=str(place))
        assert ended.code == 0, ended.said
        assert "nothing to do" in ended.said
    elsewhere = tmp_path / "elsewhere"
    ended = server.run(place, [*words_of("explain", inputs)[:-1], str(elsewhere)], denied=str(place))
    assert ended.code == 0, ended.said
