"""A zip of files that is the same bytes whenever it is made, and is read as if a stranger had made it.

Members are stored, not packed, sorted, with one date and one mode.  ``manifest.json`` among them has the
sha256 of all others.  Reading takes nothing from the archive on trust: names, kinds, sizes, ratios and
overlaps are checked before a byte is read, and nothing is written.
"""

from __future__ import annotations

import hashlib
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from galshift.bounds import plain_file
from galshift.errors import DataError

MANIFEST = "manifest.json"
SCHEMA = 1
MOST_MEMBERS = 10_000
MOST_BYTES = 2_000_000_000
_MOST_MEMBER = 500_000_000
_MOST_TIMES = 100  # what a packed member may be larger than its packed bytes
_SMALL = 1_000_000  # up to which a ratio says nothing
_MOST_LISTED = 4_000_000  # bytes of the list of members
_LONGEST = 240
_DATE = (1980, 1, 1, 0, 0, 0)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, ValueError, OSError)


def write_archive(path: Path, members: Mapping[str, bytes], about: Mapping[str, Any]) -> None:
    """Write `members` and their manifest to the zip file `path`.

    Parameters
    ----------
    path : Path
    members : mapping of str to bytes
        By name, with slashes.
    about : mapping
        What the manifest says besides.
    """
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(members.items())
    }
    manifest = {"galshift_archive": SCHEMA, **about, "members": listed}
    everything = {**members, MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(everything.items()):
            told = zipfile.ZipInfo(name, _DATE)
            told.create_system, told.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(told, content)


def read_archive(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the members of a published archive, each as its manifest says, and the manifest.

    Raises
    ------
    DataError
        When it is no such archive, is made to do harm, or a member (all are named) is not as published.
    """
    size = plain_file(path)
    _check_listing(path, size)
    try:
        with zipfile.ZipFile(path) as archive:
            told = [one for one in archive.infolist() if not (one.is_dir() and one.file_size == 0)]
            _check(path, told, size)
            members, damaged = _read(archive, told)
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(f"this is no zip archive that can be read: {_one_line(error)}", where=path) from None
    if MANIFEST in damaged or MANIFEST not in members:
        what = "is damaged" if MANIFEST in damaged else "is missing: this is no published recipe"
        raise DataError(f"{MANIFEST} {what}", where=path)
    manifest = _manifest(path, members.pop(MANIFEST))
    wrong = [f"{name} (damaged)" for name in damaged]
    for name, known in manifest["members"].items():
        if name in members and hashlib.sha256(members[name]).hexdigest() != known.get("sha256"):
            wrong.append(f"{name} (other content)")
        elif name not in members and name not in damaged:
            wrong.append(f"{name} (missing)")
    wrong += [f"{name} (not in {MANIFEST})" for name in members if name not in manifest["members"]]
    if wrong:
        raise DataError(f"not as published: {', '.join(sorted(wrong))}", where=path, hint="get it again")
    return members, manifest


def _check_listing(path: Path, size: int) -> None:
    """Refuse a list of members that is long, before it is read: the end of a zip says how long it is."""
    with path.open("rb") as stream:
        stream.seek(max(0, size - 65_557))
        end = stream.read()
    place = end.rfind(b"PK\x05\x06")
    if place < 0 or len(end) < place + 22:
        raise DataError("this is no zip archive", where=path)
    count, length = struct.unpack("<HI", end[place + 10 : place + 16])
    if count > MOST_MEMBERS or length > _MOST_LISTED:
        raise DataError(f"more than {MOST_MEMBERS} members, the limit of a published recipe", where=path)


def _check(path: Path, told: Iterable[zipfile.ZipInfo], size: int) -> None:
    """Refuse what galshift never writes; nothing has been read yet."""
    seen: set[str] = set()
    total, end = 0, 0
    told = sorted(told, key=lambda one: one.header_offset)
    if len(told) > MOST_MEMBERS:
        raise DataError(f"more than {MOST_MEMBERS} members, the limit of a published recipe", where=path)
    for one in told:
        name = one.orig_filename
        if problem := _name_problem(name) or _kind_problem(one):
            raise DataError(f"a member {_shown(name)} {problem}", where=path, hint="nothing was unpacked")
        if name.casefold() in seen:  # the same file where capitals make no difference
            raise DataError(f"two members are called {_shown(name)}", where=path, hint="nothing was unpacked")
        seen.add(name.casefold())
        total += one.file_size
        if one.header_offset < end or one.header_offset + one.compress_size > size:
            raise DataError(f"the member {_shown(name)} lies over another one", where=path)
        end = one.header_offset + 30 + one.compress_size
    if total > MOST_BYTES:
        raise DataError(f"{total} bytes unpacked, and {MOST_BYTES} are the limit", where=path)


def _name_problem(name: str) -> str:
    parts = name.split("/")
    if not name or len(name) > _LONGEST or not name.isprintable():
        return "has a name that is empty, too long or not printable"
    if "\\" in name or ":" in name or name.startswith("/"):
        return "has a name that leads out of the archive"
    if any(part in ("", ".", "..") for part in parts):
        return "has a name that leads out of the archive"
    return ""


def _kind_problem(one: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(one.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link or a special file"
    if one.flag_bits & 0x1:
        return "is encrypted"
    if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that is not read here"
    if one.file_size > _MOST_MEMBER:
        return f"is larger than {_MOST_MEMBER} bytes"
    if one.file_size > max(_SMALL, _MOST_TIMES * one.compress_size):
        return f"unpacks to more than {_MOST_TIMES} times its size"
    return ""


def _read(archive: zipfile.ZipFile, told: Iterable[zipfile.ZipInfo]) -> tuple[dict[str, bytes], list[str]]:
    """Return the content of every member, and the names of those that are damaged."""
    members, damaged = {}, []
    for one in told:
        try:
            with archive.open(one) as stream:
                content = stream.read(one.file_size + 1)
            if len(content) != one.file_size:
                raise ValueError("another size than it says")
            members[one.orig_filename] = content
        except _DAMAGE:
            damaged.append(one.orig_filename)
    return members, damaged


def _manifest(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    known = isinstance(found, dict) and found.get("galshift_archive") == SCHEMA
    if not known or not isinstance(found.get("members"), dict):
        raise DataError(f"{MANIFEST} is none that galshift recipes publish writes", where=path)
    if not all(isinstance(one, dict) for one in found["members"].values()):
        raise DataError(f"{MANIFEST} is none that galshift recipes publish writes", where=path)
    return found


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:77]}...")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
