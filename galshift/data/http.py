"""A server's answers, none of them without end: time until one begins, rate and length of what follows.

A server that sends a byte now and then keeps every timeout of a socket from passing; headers may go on for
ever, and so may answers that say "continue".  An answer that has not begun after `ANSWER_S` is given up, and
so is a body that falls below `LEAST_RATE`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

#: Seconds to connect, and between two pieces.
TIMEOUT = (15, 60)
ANSWER_S = 90.0
#: Bytes a second, over `WINDOW_S` seconds.
LEAST_RATE = 1000
WINDOW_S = 60.0
_PIECE = 1 << 16


def answer(url: str, headers: dict[str, str]) -> Any:
    """Return the server's answer to a GET, its body still to be read by :func:`body`.

    Redirects are followed between web addresses alone, and never from https to http.

    Raises
    ------
    requests.RequestException
        When there is none in time, or it leads elsewhere.
    """
    import requests

    found: list[Any] = []
    late = threading.Event()

    def ask() -> None:
        try:
            reply = _ask(url, headers)
        except BaseException as error:  # handed on to the caller's thread
            found.append(error)
            return
        found.append(reply)
        if late.is_set():
            reply.close()

    # Nothing ends a thread from outside: one that waits for ever is left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_S)
    if not found:
        late.set()
        raise requests.Timeout(f"no answer within {ANSWER_S:g} s")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def session() -> Any:
    """Return a session that stays on the web, and on https where it began there."""
    import requests

    class Session(requests.Session):
        """Requests' own, but for where it may be led."""

        def get_redirect_target(self, resp: Any) -> str | None:
            """Return where a redirect leads, or refuse it."""
            target = super().get_redirect_target(resp)
            if target is not None and str(resp.url).startswith("https:") and target.startswith("http:"):
                raise requests.exceptions.InvalidURL("the server redirects from https to http")
            return target

    found = Session()
    found.max_redirects = 10
    return found


def _ask(url: str, headers: dict[str, str]) -> Any:
    asked = {"Accept-Encoding": "identity", **headers}
    return session().get(url, stream=True, timeout=TIMEOUT, headers=asked)


def body(reply: Any, most: int) -> Iterator[bytes]:
    """Yield the pieces of an answer's body, as they are sent.

    Raises
    ------
    requests.RequestException
        When the connection breaks, the server is too slow, or it sends more than `most` bytes.
    """
    import requests
    import urllib3

    if reply.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise requests.exceptions.ContentDecodingError("the server packs what was asked for as it is")
    seen, counted, began = 0, 0, time.monotonic()
    while True:
        try:
            piece = reply.raw.read1(_PIECE)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise requests.Timeout("the server has stopped sending") from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise requests.ConnectionError("the server closed the connection early") from error
        if not piece:
            return
        seen, counted = seen + len(piece), counted + len(piece)
        if seen > most:
            raise TooLong(f"the server sends more than {most} bytes")
        now = time.monotonic()
        if now - began > WINDOW_S:
            if counted < LEAST_RATE * (now - began):
                raise requests.Timeout(f"the server sends less than {LEAST_RATE} bytes a second")
            counted, began = 0, now
        yield piece


class TooLong(Exception):
    """A server sends more than it said, or more than is wanted."""
