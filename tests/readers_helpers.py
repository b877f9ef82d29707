"""What any reader must do with a damaged file."""

from __future__ import annotations

from pathlib import Path

from galshift.data.open import open_dataset
from galshift.errors import DataError


def opens_or_says_why(path: Path) -> bool:
    """Return whether all images of a file can be read; a refusal must be one line that names the file."""
    try:
        dataset = open_dataset(path)
        dataset.read(range(len(dataset)))
    except DataError as error:
        sentence = str(error)
    else:
        return True
    assert str(path) in sentence
    assert "\n" not in sentence
    return False
