"""Public data sets by name: one YAML file each, with where its files are and how they are opened."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from galshift.errors import UsageError, did_you_mean
from galshift.types import Strict

_FOLDER = Path(__file__).parent


class RemoteFile(Strict):
    """One file of a public set.

    Attributes
    ----------
    name : str
        What it is called on disk.
    url : str
    checksum : str or None
        ``md5:...`` or ``sha256:...``, where the publisher states one.
    n_bytes : int or None
    """

    name: str
    url: str
    checksum: str | None = None
    n_bytes: int | None = None


class Opening(Strict):
    """What of a set galshift opens (a file, or a pair ``x.npy:y.npy``), and the options that this needs."""

    path: str
    options: str = ""


class PublicSet(Strict):
    """A published data set.

    Attributes
    ----------
    title, page, paper : str
        For people: what it is, where its publisher describes it, whom to cite.
    zenodo : int or None
        Number of the Zenodo record that lists the files, their sizes and MD5 sums.
    files : list of RemoteFile
        The files, for a set that is not on Zenodo.
    checksums : dict
        Checksums that the publisher states elsewhere, by file name; they go before Zenodo's.
    open : list of Opening
    notes : list of str
        What a user should know before comparing with published numbers.
    """

    title: str
    page: str
    paper: str
    zenodo: int | None = None
    files: list[RemoteFile] = Field(default_factory=list)
    checksums: dict[str, str] = Field(default_factory=dict)
    open: list[Opening] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


def names() -> list[str]:
    """Return the names of the public sets."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def public_set(name: str) -> PublicSet:
    """Return the public set `name`.

    Raises
    ------
    UsageError
        When there is none of that name.
    """
    import yaml

    if name not in names():
        raise UsageError(f"there is no public data set '{name}'", hint=did_you_mean(name, names()))
    return PublicSet.model_validate(yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))
