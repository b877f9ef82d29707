"""Fetching against a local server that breaks off, corrupts, moves and loses files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from galshift.data import fetch as fetching
from galshift.data.fetch import fetch, listing
from galshift.data.public import PublicSet, RemoteFile, names, public_set
from galshift.errors import DataError, ResourceError, UsageError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`; `breaks` cuts the next answers after so many bytes, `spoil` flips a byte of them."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.records = {"x.npy": CONTENT}, {}
        self.breaks, self.spoil, self.status = [], 0, []
        self.asked, self.resumes, self.tag = [], True, '"one"'
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def do_GET(self):
        server, name = self.server, self.path.rsplit("/", 1)[-1]
        if self.path.startswith("/api/records/"):
            return self.answer_json(server.records.get(name))
        server.asked.append((name, self.headers.get("Range")))
        if server.status:
            return self.refuse(server.status.pop(0))
        if name not in server.files:
            return self.refuse(404)
        content, start = server.files[name], 0
        wanted, same = self.headers.get("Range"), self.headers.get("If-Range") in (None, server.tag)
        if wanted and server.resumes and same:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
        body = bytearray(content[start:])
        if server.spoil:
            server.spoil -= 1
            body[len(body) // 2] ^= 1
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.tag)
        self.end_headers()
        self.wfile.write(body[: server.breaks.pop(0)] if server.breaks else body)
        return None

    def refuse(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer_json(self, value):
        if value is None:
            return self.refuse(404)
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None


@pytest.fixture
def server():
    one = Server()
    yield one
    one.shutdown()
    one.server_close()


def wanted(server, checksum=MD5, **details):
    file = RemoteFile(name="x.npy", url=f"{server.url}/files/x.npy", checksum=checksum)
    return PublicSet(title="t", page="https://example.org/page", paper="p", files=[file], **details)


def get(server, folder, **details):
    return fetch(wanted(server, **details), folder, pause=0)


def resumed_at(server):
    return [int(asked.removeprefix("bytes=").rstrip("-")) for _, asked in server.asked if asked]


def test_a_file_comes_whole_and_once(server, tmp_path):
    seen = []
    found = fetch(wanted(server), tmp_path, pause=0, progress=seen.append)
    assert found.files[0].read_bytes() == CONTENT
    assert found.unchecked == ()
    assert sum(seen) == len(CONTENT)
    get(server, tmp_path)
    assert server.asked == [("x.npy", None)]
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    server.breaks = [1_000_000, 500_000]
    seen = []
    found = fetch(wanted(server), tmp_path, pause=0, progress=seen.append)
    assert found.files[0].read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)
    first, second = resumed_at(server)
    assert 900_000 < first <= 1_000_000
    assert first + 400_000 < second <= first + 500_000


def test_a_second_call_takes_up_what_the_first_left(server, tmp_path):
    server.breaks = [400_000, *[0] * (fetching.TRIES - 1)]
    with pytest.raises(ResourceError, match="goes on where it stopped"):
        get(server, tmp_path)
    assert not (tmp_path / "x.npy").exists()
    assert get(server, tmp_path).files[0].read_bytes() == CONTENT
    assert 300_000 < resumed_at(server)[-1] <= 400_000


def test_a_part_that_was_complete_is_not_fetched_again(server, tmp_path):
    (tmp_path / ".part").mkdir()
    (tmp_path / ".part" / "x.npy").write_bytes(CONTENT)
    assert get(server, tmp_path).files[0].read_bytes() == CONTENT
    assert server.asked == [("x.npy", f"bytes={len(CONTENT)}-")]


def test_a_server_that_cannot_resume_sends_it_all(server, tmp_path):
    server.breaks, server.resumes = [1_000_000], False
    seen = []
    found = fetch(wanted(server), tmp_path, pause=0, progress=seen.append)
    assert found.files[0].read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(server, tmp_path):
    server.breaks = [400_000, *[0] * (fetching.TRIES - 1)]
    with pytest.raises(ResourceError):
        get(server, tmp_path, checksum=None)
    server.files["x.npy"], server.tag = CONTENT[::-1], '"two"'
    found = get(server, tmp_path, checksum=None)
    assert found.files[0].read_bytes() == CONTENT[::-1]
    assert found.unchecked == ("x.npy",)


def test_a_spoilt_transfer_is_asked_for_once_more(server, tmp_path):
    server.spoil = 1
    assert get(server, tmp_path).files[0].read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_file_that_stays_spoilt_is_refused_and_not_kept(server, tmp_path):
    server.spoil = 99
    with pytest.raises(DataError, match="wrong checksum twice"):
        get(server, tmp_path)
    assert not (tmp_path / "x.npy").exists()
    assert not list((tmp_path / ".part").iterdir())


def test_a_spoilt_file_on_disk_is_fetched_again(server, tmp_path):
    (tmp_path / "x.npy").write_bytes(b"short")
    assert get(server, tmp_path).files[0].read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410])
def test_missing_is_said_at_once(server, tmp_path, status):
    server.status = [status]
    with pytest.raises(DataError, match=f"HTTP {status}.*example.org/page"):
        get(server, tmp_path)
    assert len(server.asked) == 1


def test_an_overloaded_server_is_asked_again(server, tmp_path):
    server.status = [503, 500]
    assert get(server, tmp_path).files[0].read_bytes() == CONTENT


def test_no_server(tmp_path):
    file = RemoteFile(name="x.npy", url="http://127.0.0.1:9/x.npy")
    nowhere = PublicSet(title="t", page="p", paper="p", files=[file])
    with pytest.raises(ResourceError, match="connection failed"):
        fetch(nowhere, tmp_path, pause=0)
    assert not list(tmp_path.glob("x*"))


def test_a_full_disk_is_seen_before_the_transfer(server, tmp_path):
    file = RemoteFile(name="x.npy", url=f"{server.url}/x.npy", n_bytes=10**18)
    with pytest.raises(ResourceError, match="GB free"):
        fetch(PublicSet(title="t", page="p", paper="p", files=[file]), tmp_path)
    assert server.asked == []


def record(server, *, key="x.npy"):
    return {
        "files": [
            {"key": key, "size": 3_000_000, "checksum": MD5, "links": {"self": f"{server.url}/c/x.npy"}},
            {"key": "y.npy", "size": 4, "checksum": "md5:0", "links": {"self": f"{server.url}/c/y.npy"}},
        ]
    }


def test_a_zenodo_record_lists_its_files(server, tmp_path):
    server.records["7"] = record(server)
    zenodo = PublicSet(title="t", page="p", paper="p", zenodo=7)
    found = fetch(zenodo, tmp_path, only="x*", api=f"{server.url}/api", pause=0)
    assert [path.name for path in found.files] == ["x.npy"]
    assert found.files[0].read_bytes() == CONTENT
    with pytest.raises(DataError, match="no file of the set"):
        fetch(zenodo, tmp_path, only="z*", api=f"{server.url}/api")
    sha = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    stated = zenodo.model_copy(update={"checksums": {"x.npy": sha}})
    assert listing(stated, api=f"{server.url}/api")[0].checksum == sha


@pytest.mark.parametrize("key", ["../x.npy", "/etc/x", ".hidden"])
def test_a_record_cannot_write_elsewhere(server, tmp_path, key):
    server.records["7"] = record(server, key=key)
    with pytest.raises(DataError, match="not understood"):
        fetch(PublicSet(title="t", page="p", paper="p", zenodo=7), tmp_path, api=f"{server.url}/api")


def test_a_record_that_is_gone(server, tmp_path):
    with pytest.raises(DataError, match="HTTP 404"):
        fetch(PublicSet(title="t", page="p", paper="p", zenodo=8), tmp_path, api=f"{server.url}/api")


def test_every_public_set_says_where_it_is_and_what_to_open():
    assert {"deepmerge", "deepmerge2", "lsst-mocks", "deepastrouda", "sidda"} < set(names())
    assert {"galaxy-da", "galaxy10-sdss", "galaxy10-decals"} < set(names())
    for name in names():
        found = public_set(name)
        assert (found.zenodo is None) != (not found.files)
        assert found.page.startswith("https://")
        assert all(file.url.startswith("https://") for file in found.files)
    with pytest.raises(UsageError, match="did you mean 'sidda'"):
        public_set("sida")


@pytest.mark.slow
def test_the_command_links_files_into_its_run_directory(server, tmp_path):
    server.records["10844811"] = {
        "files": [
            {"key": "Galaxy10.h5", "size": 9, "checksum": MD5, "links": {"self": f"{server.url}/c/x.npy"}}
        ]
    }
    code = (
        "from galshift.data import fetch, public\n"
        f"fetch.ZENODO = '{server.url}/api'\n"
        "real = public.public_set\n"
        "public.public_set = lambda name: real(name).model_copy(update={'checksums': {}})\n"
        "from galshift.__main__ import main; main()"
    )

    def run(out):
        return subprocess.run(
            [sys.executable, "-c", code, "fetch", "galaxy10-sdss", "--out", str(out)],
            capture_output=True,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            timeout=60,
        )

    first = run(tmp_path / "one")
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "one" / "Galaxy10.h5").read_bytes() == CONTENT
    assert f"galshift inspect {tmp_path}/one/Galaxy10.h5" in first.stderr
    second = run(tmp_path / "two")
    assert second.returncode == 0, second.stderr
    assert len(server.asked) == 1
    server.records.clear()
    third = run(tmp_path / "three")
    assert third.returncode == 4
    assert "HTTP 404" in third.stderr
    assert "Traceback" not in third.stderr


def test_encoders_are_fetched_with_licence_and_what_they_learnt(server, tmp_path):
    server.files = {"config.json": b'{"architecture": "convnext_pico"}', "pytorch_model.bin": CONTENT}
    code = (
        "from galshift.data import public\n"
        "real = public.public_set\n"
        "def local(name):\n"
        "    found = real(name)\n"
        f"    here = [f.model_copy(update={{'url': '{server.url}/' + f.name}}) for f in found.files]\n"
        "    return found.model_copy(update={'files': here})\n"
        "public.public_set = local\n"
        "from galshift.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "fetch", "encoder:zoobot-convnext-pico", "--out", "zoobot"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "zoobot/pytorch_model.bin").read_bytes() == CONTENT
    said = " ".join(done.stderr.split())
    assert "states no checksum for config.json, pytorch_model.bin" in said
    assert "licence: Apache-2.0; trained on Galaxy Zoo" in said
    assert "--model zoobot --tune head" in said
    # What nobody states a checksum for is recorded as it came.
    outputs = json.loads((tmp_path / "zoobot/manifest.json").read_text())["outputs"]
    assert outputs["pytorch_model.bin"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_an_encoder_that_is_a_package_or_unknown_is_said():
    with pytest.raises(UsageError, match="comes with a package") as error:
        public_set("encoder:efficientnet-lite0")
    assert "galshift[encoders]" in error.value.hint
    with pytest.raises(UsageError, match="no encoder") as error:
        public_set("encoder:zoobot-convnext-pica")
    assert "encoder:zoobot-convnext-pico" in error.value.hint
    for name in names():
        found = public_set(name)
        assert (found.licence is None) == (not name.startswith("encoder:"))
        assert (found.trained_on is None) == (found.licence is None)
