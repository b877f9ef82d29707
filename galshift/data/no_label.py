"""What stands where a catalogue has no label: an empty cell, ``nan``, ``N/A``, -99 and their kin."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from galshift.data.compact import Words

_WORDS = frozenset(("", "nan", "-nan", "n/a", "#n/a", "na", "null", "<na>", "nat", "-", "--"))
# "none" is not among them: it is a class of bars, rings and spiral arms.
_NINES = re.compile(r"-99+(?:\.0*)?")
_ONE = re.compile(r"-[19](?:\.0*)?")
_NEGATIVE = re.compile(r"-\d+(?:\.\d*)?")


def labels_of_words(words: Sequence[str], named: Collection[str] = ()) -> tuple[list[str], Counter[str]]:
    """Return class names with the empty text where a word means that there is none, and which words did.

    -99, -999 and so on always do; -1 and -9 do unless other negative numbers stand beside them, as in
    Hubble's numerical types.

    Parameters
    ----------
    words : sequence of str
    named : collection of str
        Words that the user has named as classes: they are kept.
    """
    absent = _absent(words, named)
    counted = Counter(word for word in words if word in absent and word)
    return ["" if word in absent else word for word in words], counted


def labels_of_different(words: Words, named: Collection[str] = ()) -> tuple[list[str], Counter[str]]:
    """Return what :func:`labels_of_words` makes of each different word, and which words mean no label."""
    absent = _absent(words.different, named)
    counted = Counter({word: n for word, n in words.counts.items() if word in absent and word})
    return ["" if word in absent else word for word in words.different], counted


def _absent(words: Iterable[str], named: Collection[str]) -> set[str]:
    different = set(words)
    negative = {word for word in different if _NEGATIVE.fullmatch(word)}
    coded = any(not (_NINES.fullmatch(word) or _ONE.fullmatch(word)) for word in negative)
    absent = {word for word in different if word.casefold() in _WORDS or _NINES.fullmatch(word)}
    absent |= set() if coded else {word for word in negative if _ONE.fullmatch(word)}
    return absent - set(named)


def missing_classes(values: np.ndarray) -> np.ndarray:
    """Return where (N,) numbers of classes say that there is none: NaN, infinity, -99, ..., or -1, -9.

    As in :func:`labels_of_words`, -1 and -9 are classes where other negative numbers stand beside them.
    """
    values = np.asarray(values, dtype=np.float64)
    missing = missing_numbers(values)
    one = np.isin(values, (-1, -9))
    return missing | one if not ((values < 0) & ~missing & ~one).any() else missing


def missing_numbers(values: np.ndarray) -> np.ndarray:
    """Return where measurements (...) say that there is none: NaN, infinity, -99, -999, -9999, ..."""
    values = np.asarray(values, dtype=np.float64)
    return ~np.isfinite(values) | np.isin(values, [-float("9" * n) for n in range(2, 10)])


def numbers_of_words(values: np.ndarray) -> np.ndarray:
    """Return text (N,) as float64, NaN where a cell is empty or says that there is none.

    Raises
    ------
    ValueError
        When a cell holds anything else.
    """
    words = [str(value).strip() for value in np.ma.filled(np.ma.asarray(values).astype(str), "")]
    return np.asarray([np.nan if word.casefold() in _WORDS else float(word) for word in words])


def said(counted: Counter[str]) -> str:
    """Return ``12 '-99', 3 'nan'`` for people."""
    return ", ".join(f"{n} '{word}'" for word, n in counted.most_common(4))
