"""The skeleton of a FITS file, walked before astropy reads it: headers that end, and claims that can be true.

Astropy reads on until a header ends, makes room for whatever a header claims, starts on a tile before it
knows how large it becomes, and unpacks ZIP and compress(1) files in one piece.  Here every header is read
once, block by block, and what it claims is compared with what the file holds.
"""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import BinaryIO

from galshift.bounds import (
    DAMAGE,
    MOST_UNPACKED,
    check_unpacked,
    open_unpacked,
    plain_file,
    size,
    stored_bytes,
)
from galshift.errors import DataError

BLOCK = 2880
MAX_BYTES = 8 << 30
# 160 000 cards; HST and LSST write some thousands.
_MOST_HEADER = 4444 * BLOCK
# Tapes and some writers pad to 28 800 bytes or more.
_MOST_TAIL = 10_000_000
_MOST_HDUS = 100_000
_MOST_AXES = 999
_BITPIX = (8, 16, 32, 64, -32, -64)
_STRIDE = 1 << 18
_CARD = re.compile(rb"^([A-Z0-9_-]+) *= *([^/]*)")
_WANTED = re.compile(
    rb"^(SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|GROUPS|TFIELDS|ZIMAGE|ZBITPIX|ZNAXIS\d*|ZTILE\d+) *="
)
_AGAIN = "copy or download it again, or leave such files out with --on-error skip"
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x9d": "packed by compress (.Z)",
    b"\x1f\xa0": "packed by compress (.Z)",
}


def check_structure(path: Path) -> None:
    """Refuse a FITS file whose headers do not end, or claim what the file cannot hold.

    What stands after the last whole HDU is not looked at: reading the file says what is wrong with it.

    Raises
    ------
    DataError
        One sentence; of what is too large, with the limit.
    """
    n_bytes = plain_file(path)
    if n_bytes > MOST_UNPACKED:
        check_unpacked(
            n_bytes, stored_bytes(path), path, what="a file with holes", hint="copy it without them"
        )
    try:
        with open_unpacked(path) as stream:
            packed = not isinstance(stream, io.BufferedReader)  # as it is on the disk
            _refuse_foreign(stream, path)
            _walk(stream, path, n_bytes, packed)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            "the FITS file cannot be read: it is truncated or damaged", where=path, hint=_AGAIN
        ) from error


def _refuse_foreign(stream: BinaryIO, path: Path) -> None:
    head = stream.read(4)
    stream.seek(0)
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise DataError(
                f"this file is {what}, which is not read as FITS",
                where=path,
                hint="unpack it; gzip, bzip2 and fpack are read as they are",
            )


def _walk(stream: BinaryIO, path: Path, stored: int, packed: bool) -> None:
    place = 0
    for number in range(_MOST_HDUS):
        cards, length = _header(stream, path, number)
        if cards is None:
            if number == 0:
                raise DataError(
                    "the FITS file cannot be read: it does not begin like a FITS file",
                    where=path,
                    hint=_AGAIN,
                )
            _check_tail(stream, path, stored - place if not packed else None)
            return
        place += length
        n_bytes = _data_bytes(cards, path, number)
        _check_tiles(cards, n_bytes, path, number)
        padded = -(-n_bytes // BLOCK) * BLOCK
        if packed:
            check_unpacked(
                place + n_bytes, stored, path, hint="unpack it yourself if it is right all the same"
            )
            _skip(stream, min(padded, MAX_BYTES))
        else:
            if n_bytes and place + n_bytes > stored:
                missing = place + n_bytes - stored
                raise DataError(
                    f"the file is truncated: {missing} of its bytes are missing", where=path, hint=_AGAIN
                )
            stream.seek(place + padded)
        place += padded
    raise DataError(f"the file has more than {_MOST_HDUS} extensions", where=path)


def _check_tail(stream: BinaryIO, path: Path, left: int | None) -> None:
    """Refuse a long rest after the last HDU: it is searched for the end of a header."""
    if left is None:
        left = 0
        while left <= _MOST_TAIL and (piece := stream.read(_STRIDE)):
            left += len(piece)
    if left > _MOST_TAIL:
        raise DataError(
            f"more than {size(_MOST_TAIL)}, the limit, stand after its last extension",
            where=path,
            hint=_AGAIN,
        )


def _skip(stream: BinaryIO, n_bytes: int) -> None:
    """Read over packed bytes in small pieces; the end of the stream may come first."""
    while n_bytes > 0:
        found = len(stream.read(min(_STRIDE, n_bytes)))
        if not found:
            return
        n_bytes -= found


def _header(stream: BinaryIO, path: Path, number: int) -> tuple[dict[str, bytes] | None, int]:
    """Return what a header says of sizes, and its length; None where there is no further header."""
    cards: dict[str, bytes] = {}
    length = 0
    while length < _MOST_HEADER:
        block = stream.read(BLOCK)
        if length == 0 and not block.startswith((b"SIMPLE", b"XTENSION")):
            return None, 0
        if len(block) < 80:
            return None, 0
        length += len(block)
        for start in range(0, len(block), 80):
            card = block[start : start + 80]
            if card.startswith(b"END") and not card[3:].strip(b" \0"):
                return cards, length
            if _WANTED.match(card):
                key, value = _CARD.match(card).groups()
                cards.setdefault(key.decode(), value.strip())
    raise DataError(
        f"the header of HDU {number} does not end within {size(_MOST_HEADER)}, the limit", where=path
    )


def _data_bytes(cards: dict[str, bytes], path: Path, number: int) -> int:
    """Return how many bytes of data a header claims."""
    axes = _axes(cards, "NAXIS", path, number)
    if not axes:
        return 0
    groups = cards.get("GROUPS") == b"T" and axes[0] == 0
    count = math.prod(axes[1:] if groups else axes)
    bits = _integer(cards, "BITPIX", path, number, 8)
    if bits not in _BITPIX:
        raise DataError(f"the header of HDU {number} is impossible: BITPIX = {bits}", where=path)
    extra = _integer(cards, "PCOUNT", path, number, 0)
    repeat = _integer(cards, "GCOUNT", path, number, 1)
    n_bytes = abs(bits) // 8 * repeat * (extra + count)
    if n_bytes > MAX_BYTES:
        shown = "x".join(map(str, reversed(axes[:6])))
        raise DataError(
            f"an image of {shown} pixels is too large: HDU {number} claims {size(n_bytes)}, and "
            f"{size(MAX_BYTES)} is the limit",
            where=path,
        )
    return n_bytes


def _axes(cards: dict[str, bytes], name: str, path: Path, number: int) -> list[int]:
    n = _integer(cards, name, path, number, 0)
    if n > _MOST_AXES:
        raise DataError(f"the header of HDU {number} is impossible: {name} = {n}", where=path)
    return [_integer(cards, f"{name}{axis}", path, number, 0) for axis in range(1, n + 1)]


def _integer(cards: dict[str, bytes], key: str, path: Path, number: int, default: int) -> int:
    text = cards.get(key)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        try:
            value = int(float(text))
        except (ValueError, OverflowError):
            value = -1
    if value < 0 and not key.endswith("BITPIX"):
        shown = text.decode("ascii", "replace")[:24]
        raise DataError(f"the header of HDU {number} is impossible: {key} = {shown}", where=path)
    return value


def _check_tiles(cards: dict[str, bytes], n_bytes: int, path: Path, number: int) -> None:
    """Refuse a tile-compressed image that is far larger than its tiles can stand for."""
    if cards.get("ZIMAGE") != b"T":
        return
    pixels = math.prod(_axes(cards, "ZNAXIS", path, number) or [0])
    image = abs(_integer(cards, "ZBITPIX", path, number, 8)) // 8 * pixels
    if image > MAX_BYTES:
        raise DataError(
            f"HDU {number} is too large: it claims {size(image)}, and {size(MAX_BYTES)} is the limit",
            where=path,
        )
    check_unpacked(image, n_bytes, path, what=f"HDU {number}")
