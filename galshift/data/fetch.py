"""Fetch public data sets: resumable, checksummed where the publisher states a checksum, never half a file.

A broken transfer is taken up where it stopped, and a file gets its name only when its sum is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from galshift.data.http import TooLong, answer, body
from galshift.data.public import PublicSet, RemoteFile
from galshift.errors import DataError, ResourceError
from galshift.machine import machine_fault
from galshift.plain import one_line, plain

ZENODO = "https://zenodo.org/api"
TRIES = 5
# Of a file whose length nobody states, and of a record's list of files.
MOST_BYTES = 1 << 40
_MOST_RECORD = 20_000_000
_CHECKSUM = re.compile(r"(md5|sha1|sha256|sha512):[0-9a-fA-F]{1,128}")
_MOST_NAME = 200
_SLACK = 10_000_000
# A server that answers so will answer the same tomorrow.
_FINAL = (400, 401, 403, 404, 405, 410)


@dataclass(frozen=True)
class Fetched:
    """The files of a public set on disk.

    Attributes
    ----------
    files : tuple of Path
    unchecked : tuple of str
        Names of files whose publisher states no checksum.
    """

    files: tuple[Path, ...]
    unchecked: tuple[str, ...]


def fetch(
    wanted: PublicSet,
    folder: str | Path,
    *,
    only: str | None = None,
    progress: Callable[[int], None] | None = None,
    api: str = "",
    pause: float = 2.0,
) -> Fetched:
    """Bring the files of a public set into `folder`; what is there and sound is not fetched again.

    Parameters
    ----------
    wanted : PublicSet
    folder : path-like
        Broken transfers stay in its ``.part`` folder and are taken up again.
    only : str, optional
        Pattern of the file names wanted, such as ``SimReal*``; all by default.
    progress : callable, optional
        Called with the number of bytes since the last call.
    api : str
        Base address of Zenodo's interface; another for a mirror.
    pause : float
        Seconds before a broken transfer is taken up, doubled each time.

    Raises
    ------
    DataError
        When the set or a file is not at its publisher's any more, or its checksum is wrong twice.
    ResourceError
        When the network or the server fails, or the disk has no room; the same call goes on later.
    """
    folder = Path(folder)
    files = [file for file in listing(wanted, api=api) if only is None or fnmatch(file.name, only)]
    if not files:
        raise DataError(f"no file of the set is called like '{only}'", where=wanted.page)
    folder.mkdir(parents=True, exist_ok=True)
    _check_room(files, folder)
    paths = tuple(_fetch_one(file, folder, progress, pause, wanted.page) for file in files)
    shutil.rmtree(folder / ".part", ignore_errors=True)
    return Fetched(paths, tuple(file.name for file in files if file.checksum is None))


def listing(wanted: PublicSet, *, api: str = "") -> list[RemoteFile]:
    """Return the files of a set: its own list, or that of its Zenodo record with sizes and checksums.

    Raises
    ------
    DataError
        When the record is not there or is not understood.
    ResourceError
        When Zenodo cannot be reached.
    """
    if wanted.zenodo is None:
        return list(wanted.files)
    url = f"{api or ZENODO}/records/{wanted.zenodo}"
    with _errors_told(url, wanted.page), answer(url, {"Accept": "application/json"}) as reply:
        _check_status(reply, url, wanted.page)
        text = b"".join(body(reply, _MOST_RECORD))
    try:
        files = [_remote_file(entry, wanted) for entry in json.loads(text)["files"]]
        if len({file.name for file in files}) < len(files):
            raise ValueError("two files of one name")
        return files
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError("the record's list of files is not understood", where=url) from error


def _remote_file(entry: dict[str, Any], wanted: PublicSet) -> RemoteFile:
    name, url = str(entry["key"]), str(entry["links"]["self"])
    is_name = (
        Path(name).name == name
        and name == plain(name)
        and name.isprintable()
        and 0 < len(os.fsencode(name)) <= _MOST_NAME
    )
    if not is_name or name.startswith(".") or "\\" in name or not url.startswith(("https://", "http://")):
        raise ValueError(f"'{name}' is not a file name")
    stated = wanted.checksums.get(name) or entry.get("checksum")
    size = entry.get("size")
    if size is not None and not 0 <= int(size) <= MOST_BYTES:
        raise ValueError(f"{size} is not a size")
    if stated is not None and not _CHECKSUM.fullmatch(str(stated)):
        raise ValueError(f"'{stated}' is not a checksum")
    return RemoteFile(name=name, url=url, checksum=stated, n_bytes=None if size is None else int(size))


def _fetch_one(
    file: RemoteFile, folder: Path, progress: Callable[[int], None] | None, pause: float, page: str
) -> Path:
    place = folder / file.name
    if place.is_file() and _wrong_sum(file, place) is None:
        if progress is not None:
            progress(file.n_bytes or 0)
        return place
    transfer = Transfer(folder / ".part", file, progress, pause, page)
    wrong: str | None = None
    # What came with a wrong sum is thrown away, and asked for once more from the start.
    for _ in range(2):
        with _errors_told(file.url, page, transfer.part):
            transfer.complete(file.url)
        wrong = _wrong_sum(file, transfer.part)
        if wrong is None:
            # Only what is known to be sound gets its name, by one rename: a kill leaves the part or the file.
            os.replace(transfer.part, place)
            transfer.tag.unlink(missing_ok=True)
            return place
        transfer.discard()
    raise DataError(
        f"{file.name} came with a wrong checksum twice: it is {wrong}, and should be {file.checksum}",
        where=file.url,
        hint=f"see {page}",
    )


def _wrong_sum(file: RemoteFile, place: Path) -> str | None:
    """Return the checksum of what is at `place` where it is not the one that the publisher states."""
    if file.checksum is None:
        return None
    kind, _, stated = file.checksum.partition(":")
    with place.open("rb") as stream:
        found = hashlib.file_digest(stream, kind).hexdigest()
    return None if found == stated.lower() else f"{kind}:{found}"


class Transfer:
    """A download that keeps what has arrived in ``part``, and asks the server for the rest.

    Parameters
    ----------
    folder : Path
        Of parts.
    file : RemoteFile
    progress : callable or None
    pause : float
        Seconds before the first retry.
    page : str
        The publisher's page, for messages.
    """

    def __init__(
        self,
        folder: Path,
        file: RemoteFile,
        progress: Callable[[int], None] | None,
        pause: float,
        page: str,
    ) -> None:
        self.part, self.tag = folder / file.name, folder / f"{file.name}.etag"
        self.progress, self.pause, self.page = progress or (lambda n: None), pause, page
        self.file = file
        folder.mkdir(parents=True, exist_ok=True)

    def complete(self, url: str) -> None:
        """Bring the whole of `url` into the part, with up to five tries."""
        import requests

        broken = (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        )
        if self.part.is_file():
            self.progress(self.part.stat().st_size)
        for number in range(TRIES):
            try:
                self._more(url)
                break
            except broken:
                if number == TRIES - 1:
                    raise
                time.sleep(self.pause * 2**number)

    def discard(self) -> None:
        """Leave nothing of a transfer that is not to be taken up again."""
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def _more(self, url: str) -> None:
        """Append what is missing to the part; a server that cannot resume, or a changed file, starts anew."""
        import requests

        have, headers = self.part.stat().st_size if self.part.is_file() else 0, {}
        tag = self.tag.read_text(encoding="utf-8") if self.tag.is_file() else ""
        if have and not tag and self.file.checksum is None:
            # Nothing would tell whether the rest is of the same file.
            self.progress(-have)
            self.part.unlink()
            have = 0
        if have:
            headers["Range"] = f"bytes={have}-"
            if tag:
                headers["If-Range"] = tag
        with answer(url, headers) as reply:
            if reply.status_code == 416:
                if reply.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return
                self.part.unlink()
                raise requests.ConnectionError("the part does not fit the file")
            _check_status(reply, url, self.page)
            resumed = reply.status_code == 206
            if not resumed and have:
                self.progress(-have)
                have = 0
            elif have and not reply.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                self.part.unlink()
                raise requests.ConnectionError("the server goes on at another place than was asked for")
            if not reply.headers.get("ETag", "W/").startswith("W/"):
                self.tag.write_text(reply.headers["ETag"], encoding="utf-8")
            expected = self._expected(reply, have, url)
            try:
                with self.part.open("ab" if resumed else "wb") as stream:
                    for piece in body(reply, (MOST_BYTES if expected < 0 else expected) - have):
                        stream.write(piece)
                        self.progress(len(piece))
                    stream.flush()
                    os.fsync(stream.fileno())
            except TooLong as error:
                self.discard()
                raise DataError(
                    f"{error}, as its file should have", where=url, hint=f"see {self.page}"
                ) from None
        if expected >= 0 and self.part.stat().st_size != expected:
            raise requests.ConnectionError("the server closed the connection early")

    def _expected(self, reply: Any, have: int, url: str) -> int:
        """Return how long the whole file should be, -1 where nobody says.

        Server and publisher must agree; where a checksum has the last word, nearly.
        """
        said = reply.headers.get("Content-Length", "")
        offered = have + int(said) if said.isascii() and said.isdecimal() else -1
        stated = self.file.n_bytes
        slack = 0 if self.file.checksum is None else _SLACK
        if stated is not None and offered >= 0 and abs(offered - stated) > slack:
            self.discard()
            raise DataError(
                f"{self.file.name} is {stated} bytes by its publisher, and the server offers {offered}",
                where=url,
                hint=f"see {self.page}",
            )
        return offered if offered >= 0 or stated is None else stated


def _check_status(reply: Any, url: str, page: str) -> None:
    """Turn the server's refusal into an error: for good where it says so, else one to try again."""
    import requests

    status = reply.status_code
    if status < 400:
        return
    if status in _FINAL:
        gone = "is not there any more" if status in (404, 410) else "is refused"
        raise DataError(f"the server says that this {gone} (HTTP {status})", where=url, hint=f"see {page}")
    raise requests.ConnectionError(f"HTTP {status}")


@contextmanager
def _errors_told(url: str, page: str, place: Path | None = None) -> Iterator[None]:
    """Turn what can go wrong between here and a server into one sentence; `place` is what is written."""
    import requests

    again = f"try again: it goes on where it stopped; or fetch it by hand from {page}"
    try:
        yield
    except requests.RequestException as error:
        reason = "the server does not answer" if isinstance(error, requests.Timeout) else _reason(error)
        raise ResourceError(f"the download broke: {reason}", where=url, hint=again) from error
    except TooLong as error:
        raise DataError(str(error), where=url, hint=f"see {page}") from error
    except OSError as error:
        fault = machine_fault(error)
        if fault is None:
            raise
        fault.where = fault.where or (None if place is None else str(place))
        raise fault from error


def _reason(error: BaseException) -> str:
    text = one_line(error)
    if "No connection adapters" in text:
        return "the server leads to something that is no web address"
    if "redirects" in text:
        return one_line(text, 80)
    if "NameResolution" in text or "Name or service" in text or "getaddrinfo" in text:
        return "there is no network, or no such server"
    if "Connection aborted" in text:
        return "the server closed the connection early"
    return "the connection failed" if "ConnectionPool" in text else text[:120]


def _check_room(files: list[RemoteFile], folder: Path) -> None:
    """Refuse to begin what the disk cannot hold."""
    missing = sum(file.n_bytes or 0 for file in files if not (folder / file.name).is_file())
    missing -= sum(part.stat().st_size for part in (folder / ".part").glob("*"))
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise ResourceError(
            f"the files need {missing / 1e9:.3g} GB and the disk has {free / 1e9:.3g} GB free",
            where=folder,
            hint="free some, choose a part with --only, or set XDG_CACHE_HOME to another disk",
        )
