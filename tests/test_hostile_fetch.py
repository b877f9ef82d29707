"""A server that attacks, on the loopback: refused or given up in bounded time, and nothing is left lying."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from galshift.data import fetch as fetching
from galshift.data import http
from galshift.data.fetch import fetch, listing
from galshift.data.public import PublicSet, RemoteFile
from galshift.errors import DataError, GalshiftError, ResourceError

CONTENT = np.random.default_rng(0).bytes(200_000)
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
Talk = Callable[[socket.socket, str], None]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up in tests after a second, where users wait a minute and a half."""
    monkeypatch.setattr(http, "TIMEOUT", (1, 1))
    monkeypatch.setattr(http, "ANSWER_S", 1.0)
    monkeypatch.setattr(http, "WINDOW_S", 0.4)
    monkeypatch.setattr(fetching, "TRIES", 2)


@contextmanager
def server(talk: Talk) -> Iterator[tuple[str, list[str]]]:
    """Answer every connection with `talk`, given what was asked; yield the address and the requests."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[str] = []
    over = threading.Event()

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                request = connection.recv(65536).decode("latin-1")
                asked.append(request)
                talk(connection, request)
            except OSError:
                pass  # the client has hung up, as it should

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        over.set()
        listener.close()


def head(status: str = "200 OK", **fields: object) -> bytes:
    """Return the beginning of an answer."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode()


def says(*parts: bytes) -> Talk:
    """Return a server that says the same to everyone."""
    return lambda connection, request: connection.sendall(b"".join(parts))


def drips(first: bytes, drop: bytes = b"x", pause: float = 0.05) -> Talk:
    """Return a server that begins well and then sends a byte now and then, without end."""

    def talk(connection: socket.socket, request: str) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(drop)
            time.sleep(pause)

    return talk


def bring(url: str, folder: Path, **facts: object) -> Path:
    """Fetch one file."""
    file = RemoteFile(name="x.npy", url=f"{url}/x.npy", **facts)
    return fetch(PublicSet(title="t", page="p", paper="p", files=[file]), folder, pause=0).files[0]


def refused(url: str, folder: Path, kind: type[GalshiftError], seconds: float = 8, **facts: object) -> str:
    """Return the sentence of a fetch that is refused in time and leaves no file in the folder."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        bring(url, folder, **facts)
    assert time.monotonic() - began < seconds
    assert not (folder / "x.npy").exists()
    assert sorted(path.name for path in folder.iterdir()) in ([], [".part"])
    said = str(caught.value)
    assert "\n" not in said
    assert said.isprintable()
    return said


def left(folder: Path) -> list[str]:
    """Return what is left of a transfer."""
    return sorted(path.name for path in (folder / ".part").iterdir())


def test_a_shorter_body_than_said_is_taken_up_again(tmp_path: Path) -> None:
    with server(says(head(Content_Length=len(CONTENT)), CONTENT[:1000])) as (url, _):
        refused(url, tmp_path, ResourceError, checksum=MD5)
    assert left(tmp_path) == ["x.npy"]


def test_a_longer_body_than_said_is_cut(tmp_path: Path) -> None:
    with server(says(head(Content_Length=len(CONTENT)), CONTENT, b"more" * 1000)) as (url, _):
        assert bring(url, tmp_path, checksum=MD5).read_bytes() == CONTENT


def test_a_longer_body_than_the_publisher_said_is_refused(tmp_path: Path) -> None:
    with server(says(head(Content_Length=len(CONTENT)), CONTENT)) as (url, _):
        said = refused(url, tmp_path, DataError, n_bytes=1000)
    assert "is 1000 bytes by its publisher, and the server offers 200000" in said
    assert left(tmp_path) == []


def test_a_body_without_a_length_ends_where_the_publisher_said(tmp_path: Path) -> None:
    def talk(connection: socket.socket, request: str) -> None:
        connection.sendall(head(Connection="close"))
        while True:
            connection.sendall(bytes(65536))

    with server(talk) as (url, _):
        said = refused(url, tmp_path, DataError, n_bytes=1_000_000)
    assert "sends more than 1000000 bytes" in said
    assert left(tmp_path) == []


@pytest.mark.parametrize("length", ["x", "-5", "1e3", "²", "9" * 400])
def test_lengths_that_are_none(length: str, tmp_path: Path) -> None:
    with server(says(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode(), CONTENT)) as (url, _):
        try:
            bring(url, tmp_path, checksum=MD5)
        except GalshiftError as error:
            said = str(error)
            assert "\n" not in said


def redirect(target: str) -> Talk:
    return says(head("302 Found", Location=target, Content_Length=0, Connection="close"))


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "/etc/\x1b[31m", "", "http://"],
)
def test_redirects_off_the_web(target: str, tmp_path: Path) -> None:
    with server(redirect(target)) as (url, _):
        refused(url, tmp_path, GalshiftError, checksum=MD5)
    assert left(tmp_path) == []


def test_redirects_without_end(tmp_path: Path) -> None:
    with server(redirect("/again")) as (url, asked):
        assert "redirects" in refused(url, tmp_path, ResourceError, checksum=MD5)
        assert len(asked) <= 11 * fetching.TRIES


def test_a_redirect_from_https_to_http_is_refused() -> None:
    import requests

    reply = requests.Response()
    reply.status_code, reply.url = 302, "https://example.org/x"
    reply.headers["Location"] = "http://example.org/x"
    with pytest.raises(requests.exceptions.InvalidURL, match="from https to http"):
        http.session().get_redirect_target(reply)
    reply.headers["Location"] = "https://example.org/y"
    assert http.session().get_redirect_target(reply) == "https://example.org/y"


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (head(Content_Length=10**6), b"x"),
        (head(Transfer_Encoding="chunked"), b"1\r\nx\r\n"),
        (head(Connection="close"), b"x"),
    ],
)
def test_a_server_that_drips_is_given_up(first: bytes, drop: bytes, tmp_path: Path) -> None:
    with server(drips(first, drop)) as (url, _):
        refused(url, tmp_path, ResourceError, checksum=MD5)


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with server(lambda connection, request: time.sleep(5)) as (url, _):
        assert "does not answer" in refused(url, tmp_path, ResourceError, checksum=MD5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0" * 100,
        b"HTTP/1.1 999 \x1b[31m\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500,
    ],
)
def test_answers_that_are_none(answer: bytes, tmp_path: Path) -> None:
    with server(says(answer)) as (url, _):
        refused(url, tmp_path, GalshiftError, checksum=MD5)


@pytest.mark.parametrize("status", ["500 x", "503 x", "429 x"])
def test_a_server_in_trouble_is_asked_a_few_times(status: str, tmp_path: Path) -> None:
    with server(says(head(status, Content_Length=0))) as (url, asked):
        refused(url, tmp_path, ResourceError, checksum=MD5)
        assert len(asked) == fetching.TRIES


def test_a_packed_body_is_not_unpacked(tmp_path: Path) -> None:
    import gzip

    bomb = gzip.compress(bytes(10_000_000))
    with server(says(head(Content_Length=len(bomb), Content_Encoding="gzip"), bomb)) as (url, _):
        refused(url, tmp_path, ResourceError, checksum=MD5)


def test_another_content_is_refused_and_not_kept(tmp_path: Path) -> None:
    with server(says(head(Content_Length=7), b"another")) as (url, asked):
        assert "wrong checksum twice" in refused(url, tmp_path, DataError, checksum=MD5)
        assert len(asked) == 2
    assert left(tmp_path) == []


@pytest.mark.parametrize("place", ["bytes 0-9/200000", "bytes 5000-9/200000", "x", ""])
def test_a_rest_from_another_place_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / ".part").mkdir()
    (tmp_path / ".part" / "x.npy").write_bytes(CONTENT[:1000])
    (tmp_path / ".part" / "x.npy.etag").write_text('"one"')

    def talk(connection: socket.socket, request: str) -> None:
        if "Range:" in request:
            rest = CONTENT[:199_000]
            connection.sendall(head("206 x", Content_Range=place, Content_Length=len(rest)) + rest)
        else:
            connection.sendall(head(Content_Length=len(CONTENT)) + CONTENT)

    with server(talk) as (url, _):
        assert bring(url, tmp_path).read_bytes() == CONTENT


def test_a_part_that_nothing_vouches_for_is_not_taken_up(tmp_path: Path) -> None:
    """Without a checksum and without a tag the rest could be of another file."""
    (tmp_path / ".part").mkdir()
    (tmp_path / ".part" / "x.npy").write_bytes(b"of another file")

    def talk(connection: socket.socket, request: str) -> None:
        assert "Range:" not in request
        connection.sendall(head(Content_Length=len(CONTENT)) + CONTENT)

    with server(talk) as (url, _):
        assert bring(url, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "..",
        ".",
        "",
        ".hidden",
        "x\0",
        "x\n",
        "\x1b[31mx",
        "x" * 300,
        "\u202ex",
    ],
)
def test_names_in_a_record(name: str, tmp_path: Path) -> None:
    entry = {"key": name, "size": 4, "checksum": MD5, "links": {"self": "http://127.0.0.1:9/x"}}
    record_refused({"files": [entry]}, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"links": {"self": "file:///etc/passwd"}},
        {"links": {"self": "ftp://x/y"}},
        {"links": None},
        {"links": []},
        {"size": -1},
        {"size": 10**30},
        {"size": "x"},
        {"size": [1]},
        {"checksum": "crc:1"},
        {"checksum": "md5:zz"},
        {"checksum": 5},
    ],
)
def test_entries_of_a_record(change: dict, tmp_path: Path) -> None:
    entry = {"key": "x.npy", "size": 4, "checksum": MD5, "links": {"self": "http://127.0.0.1:9/x"}} | change
    record_refused({"files": [entry]}, tmp_path)


@pytest.mark.parametrize("record", [None, [], {}, {"files": None}, {"files": 3}, {"files": [None]}, "x"])
def test_records_that_are_none(record: object, tmp_path: Path) -> None:
    record_refused(record, tmp_path)


def record_refused(record: object, folder: Path) -> None:
    """Refuse a record, which is given as JSON; nothing is written."""
    text = json.dumps(record).encode()
    with server(says(head(Content_Length=len(text)), text)) as (url, _):
        wanted = PublicSet(title="t", page="p", paper="p", zenodo=7)
        with pytest.raises(DataError, match="not understood") as caught:
            fetch(wanted, folder / "in", api=url)
        assert str(caught.value).isprintable()
    assert not (folder / "in").exists()


@pytest.mark.parametrize("text", [b"[" * 100_000, b"\xff\xfe", b"{", b"", b" " * 30_000_000])
def test_records_that_are_no_json(text: bytes) -> None:
    with server(says(head(Content_Length=len(text)), text)) as (url, _), pytest.raises(DataError):
        listing(PublicSet(title="t", page="p", paper="p", zenodo=7), api=url)


def test_a_record_that_drips_is_given_up() -> None:
    began = time.monotonic()
    with server(drips(head(Content_Length=10**6))) as (url, _), pytest.raises(ResourceError):
        listing(PublicSet(title="t", page="p", paper="p", zenodo=7), api=url)
    assert time.monotonic() - began < 5
