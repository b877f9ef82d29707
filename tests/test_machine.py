"""The machine's faults are told as such, whichever library meets them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from galshift.errors import DataError, ResourceError
from galshift.machine import FAULTS, machine_fault
from galshift.provenance import atomic_path, write_json


def caught(work) -> BaseException:
    with pytest.raises(Exception) as info:  # noqa: PT011
        work()
    return info.value


@pytest.mark.parametrize("number", sorted(FAULTS))
def test_every_errno_is_a_resource_with_a_hint(number: int) -> None:
    found = machine_fault(OSError(number, os.strerror(number), "/data/.out.123.part.h5"))
    assert isinstance(found, ResourceError)
    assert found.exit_code == 6
    assert found.where == "/data/out.h5"
    assert found.hint


@pytest.mark.parametrize(
    "error",
    [
        OSError("Unable to create file (open failed: errno = 28, error message = 'No space left on device')"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError("Not enough space on disk: requested 800000, available 0. "),
        OSError("100000 requested and 32752 written"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 40 TB"),
        MemoryError("Unable to allocate 728. TiB"),
    ],
)
def test_what_libraries_say_in_words_is_understood(error: Exception) -> None:
    assert isinstance(machine_fault(error), ResourceError)


@pytest.mark.parametrize(
    "error", [ValueError("28"), KeyError("x"), FileNotFoundError(2, "no", "x"), DataError("x")]
)
def test_other_errors_are_not_the_machines(error: Exception) -> None:
    assert machine_fault(error) is None


def test_a_cause_is_enough() -> None:
    def fail() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as cause:
            raise RuntimeError("cannot save") from cause

    assert isinstance(machine_fault(caught(fail)), ResourceError)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("writer", ["text", "numpy", "torch"])
def test_a_full_device_is_told_with_the_file_that_was_meant(tmp_path: Path, writer: str) -> None:
    import torch

    data = np.zeros(100_000)
    work = {
        "text": lambda place: place.write_text("x" * 100_000),
        "numpy": lambda place: np.save(place.open("wb"), data),
        "torch": lambda place: torch.save({"a": torch.zeros(100_000)}, place),
    }[writer]

    def write() -> None:
        with atomic_path(tmp_path / "out.bin") as temporary:
            temporary.symlink_to("/dev/full")
            work(temporary)

    error = caught(write)
    assert isinstance(error, ResourceError), error
    assert error.where == str(tmp_path / "out.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    error = caught(lambda: write_json(tmp_path / "x.json", {}))
    tmp_path.chmod(0o700)
    assert isinstance(error, ResourceError)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [["list", "methods", "--json"], ["list", "faults"], ["--version"]])
def test_a_full_output_is_one_sentence_and_exit_6(words: list[str]) -> None:
    command = [sys.executable, "-m", "galshift", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 6
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert done.stderr.count("galshift:") == 1
