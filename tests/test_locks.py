"""Two of the same command: one works, the other says at once who holds the run, and since when."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from galshift.errors import ResourceError
from galshift.locks import SOFT, acquire
from galshift.rundirectory import RunDirectory

ROOT = Path(__file__).parents[1]
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
HOLD = """
import sys, time
from pathlib import Path
from galshift.rundirectory import RunDirectory
{before}
run = RunDirectory.open("run", kind="train", fingerprint="f1", config={{}})
print("held", flush=True)
time.sleep(60)
"""
WITHOUT_FLOCK = """
import errno, fcntl
def no_lock(*args):
    raise OSError(errno.ENOLCK, "no locks")
fcntl.flock = no_lock
"""

SCRIPT = """
import multiprocessing.process, os, subprocess, sys
import galshift
started = []
sys.addaudithook(lambda event, args: started.append(args[0]) if event == "subprocess.Popen" else None)
multiprocessing.process.BaseProcess.start = lambda self: started.append(self.name)
os.register_at_fork(before=lambda: started.append("fork"))
print("began")
done = galshift.pack("data", "data.h5")
print(done.results["n_images"], started)
"""


def holder(place: Path, before: str = "") -> subprocess.Popen:
    """Start a process that holds ``run`` in `place`, and wait until it does."""
    (place / "holder.py").write_text(HOLD.format(before=before), encoding="utf-8")
    words = [sys.executable, "holder.py", "--one", "two words"]
    process = subprocess.Popen(words, cwd=place, env=ENV, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def open_run(place: Path) -> RunDirectory:
    return RunDirectory.open(place / "run", kind="train", fingerprint="f1", config={})


@pytest.mark.parametrize("before", ["", WITHOUT_FLOCK], ids=["flock", "soft"])
def test_who_holds_a_run_is_said_and_a_killed_one_holds_it_no_more(tmp_path, before, monkeypatch):
    began = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    process = holder(tmp_path, before)
    if before:
        no_flock(monkeypatch)
    try:
        with pytest.raises(ResourceError) as caught:
            open_run(tmp_path)
        said = str(caught.value)
        assert caught.value.exit_code == 6
        assert f"process {process.pid} on {socket.gethostname()}" in said
        assert "holder.py --one 'two words'" in said
        since = re.search(r"since (\d{4}-\d\d-\d\d \d\d:\d\d):\d\d UTC", said)
        assert since
        assert began <= since[1] <= time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    finally:
        end(process)
    open_run(tmp_path).close()


def no_flock(monkeypatch) -> None:
    import fcntl

    def no_lock(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_lock)


def test_a_soft_lock_of_another_host_stays(tmp_path, monkeypatch):
    no_flock(monkeypatch)
    (tmp_path / SOFT).write_text(
        json.dumps({"pid": 1, "host": "elsewhere\x1b[31m", "since": "noon", "command": "galshift train a.h5"})
    )
    with pytest.raises(ResourceError) as caught:
        acquire(tmp_path)
    assert "on elsewhere?[31m, since noon (galshift train a.h5)" in str(caught.value)
    assert f"remove {tmp_path / SOFT}" in str(caught.value)
    assert (tmp_path / SOFT).is_file()


def test_a_soft_lock_of_an_older_process_of_the_same_number_is_taken_over(tmp_path, monkeypatch):
    no_flock(monkeypatch)
    text = {"pid": os.getpid(), "host": socket.gethostname(), "began": "1", "since": "noon", "command": "x"}
    (tmp_path / SOFT).write_text(json.dumps(text))
    lock = acquire(tmp_path)
    assert json.loads((tmp_path / SOFT).read_text())["began"] != "1"
    with pytest.raises(ResourceError, match=f"process {os.getpid()} on"):
        acquire(tmp_path)
    lock.release()
    assert not (tmp_path / SOFT).exists()


def test_a_lock_that_says_nothing_is_a_lock(tmp_path, monkeypatch):
    no_flock(monkeypatch)
    (tmp_path / SOFT).write_text("")
    with pytest.raises(ResourceError) as caught:
        acquire(tmp_path)
    assert caught.value.what == "another process is writing this run"


@pytest.mark.parametrize("before", ["", WITHOUT_FLOCK], ids=["flock", "soft"])
def test_of_many_at_once_one_gets_the_lock(tmp_path, before):
    if before:  # a dead process's lock that all of them want to take over
        dead = holder(tmp_path, before)
        end(dead)
    code = f"""
        import sys, time
        from pathlib import Path
        from galshift.errors import ResourceError
        from galshift.locks import acquire
        {before.replace(chr(10), chr(10) + " " * 8)}
        Path("run").mkdir(exist_ok=True)
        print("ready", flush=True); sys.stdin.readline()
        try:
            lock = acquire(Path("run"))
            print("got", flush=True); sys.stdin.readline()
        except ResourceError:
            print("refused", flush=True)
    """
    words = [sys.executable, "-c", textwrap.dedent(code)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    several = [subprocess.Popen(words, cwd=tmp_path, env=ENV, text=True, **pipes) for _ in range(4)]
    for process in several:
        assert process.stdout.readline() == "ready\n"
    for process in several:
        process.stdin.write("\n")
        process.stdin.flush()
    said = sorted(process.stdout.readline() for process in several)
    for process in several:
        process.communicate("\n")
    assert said == ["got\n", "refused\n", "refused\n", "refused\n"]


def test_no_process_is_started_without_workers(tmp_path):
    """2,100 FITS files, which once brought two processes of their own, from a script without a guard."""
    from tests.benchmarks.memory import _fits_file, _header

    header = _header((4, 4))
    for name in ("disc", "ring"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(1050):
            image = np.full((4, 4), i, dtype=np.float32)
            (tmp_path / "data" / name / f"{name}{i}.fits").write_bytes(_fits_file(header, image))
    (tmp_path / "script.py").write_text(SCRIPT)
    env = {**ENV, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    # Python's own platform.platform() asks uname for the name of the processor.
    assert done.stdout == "began\n2100 ['uname']\n", done.stderr
