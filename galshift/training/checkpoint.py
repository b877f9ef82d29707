"""A trained model in one file: safetensors whose header holds the JSON that rebuilds everything else.

Nothing is ever unpickled, and no part of a checkpoint is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import galshift
from galshift.bounds import plain_file
from galshift.errors import DataError
from galshift.models._budget import TooLarge, too_large, within
from galshift.models._weights import check_finite, read_safetensors
from galshift.models.build import rebuild
from galshift.provenance import jsonable
from galshift.training.heads import Head, head_of
from galshift.training.state import write_tensors

if TYPE_CHECKING:
    from galshift.data.preprocess import Preprocessing

FORMAT = 1
FILE = "model.safetensors"
ENCODER = "encoder"  # in the meta of a pre-trained encoder, which has no classes yet
_HINT = "give the folder that train or adapt printed, or its model.safetensors"


@dataclass(frozen=True)
class Trained:
    """A checkpoint, ready to use.

    Attributes
    ----------
    model : nn.Module
        In evaluation mode, on the CPU.
    preprocessing : Preprocessing
        Constants that turn any survey's images into the model's input.
    classes, bands : tuple of str
        In the model's order.
    meta : dict
        What the run said about itself (method, seed, source, scores).
    path : Path
        The file.
    """

    model: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    bands: tuple[str, ...]
    meta: dict[str, Any]
    path: Path

    @property
    def head(self) -> Head:
        """What its outputs mean: scores of `classes`, votes for them, or values of the labels so called."""
        return head_of(self.meta.get("head"), self.classes)


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    *,
    preprocessing: Mapping[str, Any],
    classes: Sequence[str],
    bands: Sequence[str],
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Write `model` and everything that its use needs, atomically.

    Parameters
    ----------
    path : path-like
        The file, or a run directory (then ``model.safetensors`` in it).
    model : nn.Module
        From :func:`galshift.models.build.build_model`.
    preprocessing : mapping
        ``Preprocessing.model_dump(mode="json")``.
    classes, bands : sequence of str
    meta : mapping, optional
        Further JSON-able facts.

    Returns
    -------
    Path
        The file written.
    """
    path = _file(Path(path))
    header = {
        "format": FORMAT,
        "galshift": galshift.__version__,
        "model": model.spec,
        "preprocessing": dict(preprocessing),
        "classes": list(classes),
        "bands": list(bands),
        "meta": dict(meta or {}),
    }
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
    write_tensors(path, tensors, {"galshift": json.dumps(jsonable(header), allow_nan=False)})
    return path


def save_trained(trained: Trained) -> Path:
    """Write `trained` to its path; see :func:`save_checkpoint`."""
    return save_checkpoint(
        trained.path,
        trained.model,
        preprocessing=trained.preprocessing.model_dump(mode="json"),
        classes=trained.classes,
        bands=trained.bands,
        meta=trained.meta,
    )


def load_checkpoint(path: str | Path, *, encoder: bool = False) -> Trained:
    """Return the trained model in a file or run directory.

    Parameters
    ----------
    path : path-like
    encoder : bool
        Whether a pre-trained encoder, which has no classes and an untrained head, will do.

    Raises
    ------
    DataError
        When it is missing, truncated, pickled, of a newer format, or its tensors do not fit the network.
    """
    from galshift.data.preprocess import Preprocessing

    path = _file(Path(getattr(path, "path", path)))
    header, tensors = read_checkpoint(path)
    if header["meta"].get(ENCODER) and not encoder:
        raise DataError(
            "this is a pre-trained encoder, which has no classes yet",
            where=path,
            hint=f"train it first: galshift train DATA --init {path.parent}",
        )
    model = rebuild_with(header["model"], tensors, path)
    try:
        preprocessing = Preprocessing.model_validate(header["preprocessing"])
    except ValueError as error:
        raise DataError(
            f"the checkpoint's preprocessing is not valid: {_first_line(error)}", where=path
        ) from error
    check_finite(tensors, path)
    trained = Trained(
        model=model,
        preprocessing=preprocessing,
        classes=tuple(header["classes"]),
        bands=tuple(header["bands"]),
        meta=dict(header["meta"]),
        path=path,
    )
    _check_sizes(trained, header["model"])
    return trained


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a checkpoint's JSON header and its tensors without building anything.

    Raises
    ------
    DataError
        When there is no such file, or it is not a whole checkpoint of this format.
    """
    path = _file(Path(path))
    if not path.exists():
        raise DataError("there is no trained model", where=path, hint=_HINT)
    plain_file(path, empty=True)
    _refuse_pickle(path)
    if path.suffix != Path(FILE).suffix:
        raise DataError("this is no trained model", where=path, hint=_HINT)
    try:
        tensors, text = read_safetensors(path)
    except DataError as error:
        raise DataError("the checkpoint is damaged or cut short", where=path, hint=error.what) from error
    if text is None:
        raise DataError(
            "these are weights without galshift's description of the model", where=path, hint=_HINT
        )
    try:
        header = json.loads(text)
        number = int(header["format"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError("the checkpoint's description is damaged", where=path) from error
    if number > FORMAT:
        raise DataError(
            f"the checkpoint has format {number}, from galshift {header.get('galshift', '?')}; "
            f"this galshift reads up to {FORMAT}",
            where=path,
            hint="update galshift",
        )
    missing = {"model", "preprocessing", "classes", "bands", "meta"} - set(header)
    if missing:
        raise DataError(f"the checkpoint's description lacks {', '.join(sorted(missing))}", where=path)
    _check_header(header, path)
    return header, tensors


def _check_header(header: Mapping[str, Any], path: Path) -> None:
    """Refuse a description whose parts are of another kind than they should be."""
    for name in ("model", "preprocessing", "meta"):
        if not isinstance(header[name], dict):
            raise DataError(
                f"the checkpoint's description is damaged: its '{name}' is no mapping", where=path
            )
    for name in ("classes", "bands"):
        words = header[name]
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise DataError(
                f"the checkpoint's description is damaged: its '{name}' are no list of names", where=path
            )
        if len(set(words)) < len(words):
            raise DataError(f"the checkpoint's description names one of its {name} twice", where=path)


def _check_sizes(trained: Trained, spec: Mapping[str, Any]) -> None:
    """Refuse a description whose classes or bands are not as many as the network's outputs and inputs."""
    try:
        wanted = trained.head.n_outputs
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            "the checkpoint's description of its labels is damaged", where=trained.path
        ) from error
    pairs = [(len(trained.bands), int(spec["in_channels"]), "bands", "takes")]
    if not trained.meta.get(ENCODER):
        pairs.append((wanted, int(spec["n_classes"]), "outputs", "has"))
    for said, have, what, verb in pairs:
        if said != have:
            raise DataError(
                f"the checkpoint's description is of {said} {what}, and its network {verb} {have}",
                where=trained.path,
                hint="the description was changed, or belongs to other weights",
            )


def rebuild_with(spec: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path) -> nn.Module:
    """Return the network of `spec` with the weights `tensors`, in evaluation mode.

    Raises
    ------
    DataError
        Naming the first tensor that is missing, unknown or of another shape.
    """
    try:
        with within(tensors.values()):
            model = rebuild(spec)
    except DataError as error:
        raise DataError(error.what, where=path, hint=error.hint) from error
    except TooLarge:
        raise too_large(path) from None
    own = model.state_dict()
    for name, value in own.items():
        if name not in tensors:
            raise DataError(
                f"the checkpoint lacks the tensor '{name}' of its network",
                where=path,
                hint="these weights belong to another network",
            )
        if tensors[name].shape != value.shape:
            found, wanted = tuple(tensors[name].shape), tuple(value.shape)
            raise DataError(
                f"the tensor '{name}' has shape {found}, and its network needs {wanted}",
                where=path,
                hint="these weights belong to another network",
            )
        if tensors[name].is_floating_point() != value.is_floating_point():
            raise DataError(
                f"the tensor '{name}' is of type {tensors[name].dtype}, and its network needs {value.dtype}",
                where=path,
                hint="these weights belong to another network",
            )
    unknown = sorted(set(tensors) - set(own))
    if unknown:
        raise DataError(
            f"the checkpoint has a tensor '{unknown[0]}' that its network does not have",
            where=path,
            hint="these weights belong to another network",
        )
    model.load_state_dict(dict(tensors))
    return model.eval().requires_grad_(False)


def _file(path: Path) -> Path:
    """The checkpoint itself, where a directory is given."""
    return path / FILE if path.is_dir() else path


def _refuse_pickle(path: Path) -> None:
    """A pickled checkpoint runs code when loaded: say so by its first bytes, and read no further."""
    with path.open("rb") as stream:
        start = stream.read(9)
    # A safetensors file begins with the length of its JSON header, whose low bytes may be anything.
    ours = start[8:] == b"{"
    if not ours and (start[:2] == b"PK" or start[:1] == b"\x80"):
        raise DataError(
            "this is a pickled checkpoint, which could run code; it was not opened",
            where=path,
            hint="galshift reads its own safetensors checkpoints only",
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
