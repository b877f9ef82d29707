"""Which rows of a table ``p_smooth > 0.8 and class == spiral`` names; no code is evaluated.

The grammar: comparisons (``< <= > >= = == !=``) of one column with one value, or of a column between two
(``0.1 < z < 0.2``), joined by ``and``, ``or`` and brackets.  A name with other signs than letters, digits and
``_ . -`` stands in backticks, a text with such signs in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.data.no_label import missing_numbers, numbers_of_words
from galshift.errors import UsageError, did_you_mean

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<column>`[^`]+`) | (?P<text>'[^']*'|"[^"]*") | (?P<sign><=|>=|==|!=|<>|<|>|=|\(|\)|&&?|\|\|?)
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])) | (?P<word>[^\s`'"<>=!()&|]+)
    )""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_SAME = {"=": "==", "<>": "!="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_HINT = "such as --where 'p_smooth > 0.8 and z < 0.1'"


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def rows_where(table: Any, words: str) -> np.ndarray:
    """Return (N,) bool: the rows of `table` that `words` names.

    A value that is missing (masked, NaN, empty, -99, ...) fulfils no comparison, ``!=`` included.

    Raises
    ------
    UsageError
        When the sentence cannot be read, or names a column that the table does not have.
    """
    parser = _Parser(table, words)
    rows = parser.either()
    if parser.next is not None:
        raise parser.refused(f"there is '{parser.next.text}' where the sentence should end")
    return rows


class _Parser:
    """Reads one sentence from left to right."""

    def __init__(self, table: Any, words: str) -> None:
        self.table, self.words, self.place = table, words, 0
        self.tokens = self._tokens()
        self.columns = {name.casefold(): name for name in reversed(table.colnames)}

    @property
    def next(self) -> _Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def either(self) -> np.ndarray:
        rows = self.both()
        while self._take("or", "|", "||"):
            rows = self.both() | rows
        return rows

    def both(self) -> np.ndarray:
        rows = self.comparison()
        while self._take("and", "&", "&&"):
            rows = self.comparison() & rows
        return rows

    def comparison(self) -> np.ndarray:
        if self._take("("):
            rows = self.either()
            if not self._take(")"):
                raise self.refused("a bracket is not closed")
            return rows
        parts, signs = [self._operand()], []
        while self.next is not None and _SAME.get(self.next.text, self.next.text) in _COMPARE:
            if self.next.kind != "sign":
                break
            signs.append(_SAME.get(self.next.text, self.next.text))
            self.place += 1
            parts.append(self._operand())
        if not signs:
            raise self.refused(f"'{parts[0].text}' is compared with nothing")
        rows = np.ones(len(self.table), dtype=bool)
        for left, sign, right in zip(parts, signs, parts[1:]):
            rows &= self._compare(left, sign, right)
        return rows

    def refused(self, what: str) -> UsageError:
        return UsageError(f"'{self.words}' names no rows: {what}", where="--where", hint=_HINT)

    def _compare(self, left: _Token, sign: str, right: _Token) -> np.ndarray:
        column = self._column(left)
        if column is None:
            column, left, right, sign = self._column(right), right, left, _TURNED.get(sign, sign)
        elif self._column(right) is not None and right.kind == "column":
            raise self.refused("a column is compared with a value, not with another column")
        if column is None:
            named = next((token for token in (left, right) if token.kind in ("word", "column")), left)
            raise UsageError(
                f"the catalogue has no column '{named.text}'",
                where="--where",
                hint=did_you_mean(named.text, self.table.colnames),
            )
        return self._rows(column, sign, right)

    def _rows(self, name: str, sign: str, value: _Token) -> np.ndarray:
        held = np.ma.asarray(self.table[name])
        if held.ndim != 1:
            raise self.refused(f"the column '{name}' holds more than one value a row")
        if value.kind == "number":
            return self._numbers(name, held, sign, value.text)
        if sign not in ("==", "!="):
            raise self.refused(f"'{value.text}' is no number, and {sign} compares numbers")
        texts = np.asarray([str(text).strip() for text in np.ma.filled(held.astype(str), "")])
        return _COMPARE[sign](texts, value.text) & (texts != "") & ~np.ma.getmaskarray(held)

    def _numbers(self, name: str, held: Any, sign: str, text: str) -> np.ndarray:
        if held.dtype.kind in "iu" and re.fullmatch(r"[-+]?\d+", text):
            # Ids of 19 digits are compared digit by digit: no float holds them.
            return _COMPARE[sign](held.data, int(text)) & ~np.ma.getmaskarray(held)
        try:
            if held.dtype.kind in "iufb":
                values = np.ma.filled(held.astype(np.float64), np.nan)
            else:
                values = numbers_of_words(held)
        except ValueError:
            if sign in ("==", "!="):
                return self._rows(name, sign, _Token("text", text))
            raise self.refused(f"the column '{name}' holds words, and {sign} compares numbers") from None
        missing = missing_numbers(values) & (values != float(text))
        with np.errstate(invalid="ignore"):
            return _COMPARE[sign](values, float(text)) & ~missing

    def _column(self, token: _Token) -> str | None:
        if token.kind not in ("word", "column"):
            return None
        return token.text if token.text in self.table.colnames else self.columns.get(token.text.casefold())

    def _operand(self) -> _Token:
        token = self.next
        if token is None or token.kind == "sign" or self._joins(token):
            raise self.refused(
                "it ends too early" if token is None else f"there is '{token.text}' where a value should be"
            )
        self.place += 1
        return token

    def _joins(self, token: _Token) -> bool:
        return token.kind == "word" and token.text.lower() in ("and", "or")

    def _take(self, *texts: str) -> bool:
        token = self.next
        if token is None or token.kind not in ("sign", "word") or token.text.lower() not in texts:
            return False
        self.place += 1
        return True

    def _tokens(self) -> list[_Token]:
        found, place, end = [], 0, len(self.words.rstrip())
        while place < end:
            match = _TOKEN.match(self.words, place)
            if match is None:
                raise self.refused(f"'{self.words[place:end].strip()}' cannot be read")
            kind = str(match.lastgroup)
            text = match[kind]
            found.append(_Token(kind, text[1:-1] if kind in ("column", "text") else text))
            place = match.end()
        if not found:
            raise self.refused("it is empty")
        return found
