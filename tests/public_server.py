"""A public data set on a server of this machine, for commands that fetch."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: The set whose record is served (it states no checksums of its own), and its files.
NAME = "sidda"
FILES = {"x.npy": bytes(range(256)) * 1000, "notes.txt": b"of this set\n"}


class PublicServer(ThreadingHTTPServer):
    """Serves the Zenodo record of the set `NAME`, and its files.

    Attributes
    ----------
    asked : list of (str, str or None)
        Each file that was asked for, and from where on.
    spoil : int
        How many of the next answers have one wrong byte.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.spoil = 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: PublicServer

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.startswith("/records/"):
            return self._record()
        name, wanted = self.path.rsplit("/", 1)[-1], self.headers.get("Range")
        content = FILES[name]
        self.server.asked.append((name, wanted))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        body = bytearray(content[start:])
        if self.server.spoil and body:
            self.server.spoil -= 1
            body[len(body) // 2] ^= 1
        self.send_response(416 if not body else 206 if start else 200)
        told = f"bytes {start}-{len(content) - 1}" if body else "bytes *"
        self.send_header("Content-Range", f"{told}/{len(content)}")
        return self._end(bytes(body))

    def _record(self) -> None:
        files = [
            {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                "links": {"self": f"{self.server.url}/files/{name}"},
            }
            for name, content in FILES.items()
        ]
        self.send_response(200)
        self._end(json.dumps({"files": files}).encode())

    def _end(self, body: bytes) -> None:
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@functools.cache
def public_server() -> PublicServer:
    """Return the one server of this process."""
    return PublicServer()


def ask(url: str) -> None:
    """Let this process take the server at `url` for Zenodo, and have its cache in the folder ``cache``."""
    from galshift.data import fetch

    fetch.ZENODO = url
    os.environ["XDG_CACHE_HOME"] = os.path.abspath("cache")
