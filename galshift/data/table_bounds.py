"""What is asked of a table's file before a parser sees it: no address to follow, and claims that can be true.

Astropy unpacks text by its first bytes, fetches what ``<STREAM href=...>`` of a VOTable names, and makes room
for the rows that an attribute promises.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galshift.bounds import check_unpacked, plain_file, size
from galshift.errors import DataError

MOST_LINE = 1_000_000
_STRIDE = 1 << 17
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x1f\x9d", b"PK\x03\x04")
_MOST_DEPTH = 64
_NUMBER = re.compile(r"\d+")


def check_text(path: Path) -> None:
    """Refuse a packed file, a line without an end, and one cell that would make every row as wide as itself.

    Raises
    ------
    DataError
        With the limit.
    """
    n_bytes = plain_file(path, empty=True)
    lines, longest, here, comment = 0, 0, 0, False
    with path.open("rb") as stream:
        _refuse_packed(stream.read(6), path)
        stream.seek(0)
        while block := stream.read(_STRIDE):
            parts = block.replace(b"\r", b"\n").split(b"\n")
            for number, part in enumerate(parts):
                if number:
                    lines, here = lines + 1, 0
                if here == 0:
                    comment = part.startswith(b"#")
                here += len(part)
                longest = longest if comment else max(longest, here)
                if here > MOST_LINE:
                    raise DataError(
                        f"line {lines + 1} is longer than {size(MOST_LINE)}, the limit of a table in text",
                        where=path,
                        hint="FITS and parquet hold tables of many columns",
                    )
    # Every cell of a column of text takes the room of its longest one.
    check_unpacked(
        4 * longest * (lines + 1), n_bytes, path, what="a table with a cell so long", hint="shorten its cells"
    )


def check_texts(lengths: Sequence[int], where: object) -> None:
    """Refuse texts of which a few are so long that an array of all would be far larger than they are."""
    if len(lengths):
        check_text_width(int(max(lengths)), len(lengths), int(sum(lengths)), where)


def check_text_width(longest: int, number: int, total: int, where: object) -> None:
    """Refuse `number` texts, `total` signs together, that the `longest` of them makes too wide an array."""
    check_unpacked(4 * longest * number, total, where, what="a column with a text so long", hint="shorten it")


def check_votable(path: Path) -> None:
    """Refuse a VOTable with entities, with data elsewhere or packed, or that claims more rows than it has.

    Raises
    ------
    DataError
        With what was found; a file that is no XML is left to its parser.
    """
    from xml.parsers import expat

    n_bytes = plain_file(path)
    seen = _VoTable(path, n_bytes)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = seen.start, seen.end
    parser.EntityDeclHandler = seen.entity
    with path.open("rb") as stream:
        _refuse_packed(stream.read(6), path)
        stream.seek(0)
        try:
            parser.ParseFile(stream)
        except expat.ExpatError as error:
            raise DataError(f"this VOTable is no XML: {error}", where=path) from error
    wide = 8 * seen.width * max(seen.rows, 1)
    check_unpacked(wide, n_bytes, path, what="the table", hint="is its arraysize right?")


class _VoTable:
    """What a first pass over a VOTable finds."""

    def __init__(self, path: Path, n_bytes: int) -> None:
        self.path, self.n_bytes = path, n_bytes
        self.rows = self.width = self.depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Check one element's attributes."""
        self.depth += 1
        if self.depth > _MOST_DEPTH:
            raise DataError(
                f"its elements stand in one another more than {_MOST_DEPTH} deep", where=self.path
            )
        kind = name.rpartition(":")[2].upper()
        if kind == "TR":
            self.rows += 1
        elif kind == "FIELD":
            sides = [int(side[:18]) for side in _NUMBER.findall(attributes.get("arraysize", "1"))] or [1]
            wide = 1
            for side in sides:
                wide *= max(side, 1)
            self.width += wide
        elif kind == "TABLE" and attributes.get("nrows", "").isdecimal():
            claimed = int(attributes["nrows"][:18])
            if claimed > self.n_bytes:
                raise DataError(f"it claims {claimed} rows in {size(self.n_bytes)}", where=self.path)
        elif kind == "STREAM":
            if any(key.lower() == "href" for key in attributes):
                raise DataError(
                    "its data are elsewhere, and galshift follows no address in a file",
                    where=self.path,
                    hint="save the table with its data in it",
                )
            if attributes.get("encoding", "base64") != "base64":
                raise DataError(f"its data are packed as {attributes['encoding']}", where=self.path)

    def end(self, name: str) -> None:
        """Leave one element."""
        self.depth -= 1

    def entity(self, name: str, *rest: Any) -> None:
        """Refuse every declaration of an entity."""
        raise DataError(f"it declares the entity '{name}', which galshift does not expand", where=self.path)


def check_fits_table(path: Path) -> None:
    """Refuse a FITS table whose cells of variable length share bytes so that they unpack to far more."""
    from astropy.io import fits

    from galshift.data.fits_file import open_fits

    with open_fits(path) as hdus:
        for number, hdu in enumerate(hdus):
            if not isinstance(hdu, fits.BinTableHDU) or not any(
                "P" in str(form) or "Q" in str(form) for form in hdu.columns.formats
            ):
                continue
            raw = hdu.data.view(type(hdu.data).__mro__[1])
            for name, form in zip(hdu.columns.names, hdu.columns.formats):
                if "P" in str(form) or "Q" in str(form):
                    counts = raw[name][:, 0].astype("int64")
                    check_unpacked(
                        16 * int(counts.clip(0).sum()), path.stat().st_size, path, what=f"HDU {number}"
                    )


def _refuse_packed(head: bytes, path: Path) -> None:
    if head.startswith(_PACKED):
        raise DataError("this table is packed, and only plain ones are read", where=path, hint="unpack it")
