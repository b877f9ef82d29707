"""Tensors of a pre-trained network from a folder, a file or a galshift run; nothing is ever unpickled."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from galshift.bounds import check_unpacked, plain_file
from galshift.errors import DataError
from galshift.plain import one_line

# Names of the file of weights in folders as they are handed out, the safest format first.
FILES = ("model.safetensors", "pytorch_model.bin")
PICKLED = (".pth", ".pt", ".bin", ".ckpt")
DESCRIPTION = "config.json"
_MOST_FACTS = 1_000_000
# What wrappers put before the encoder's own names.
PREFIXES = ("encoder.", "model.", "backbone.", "module.")


@dataclass(frozen=True)
class Weights:
    """What a place holds.

    Attributes
    ----------
    tensors : dict of str to Tensor
        By the names in the file.
    facts : dict
        What ``config.json`` beside them says; empty without one.
    spec : dict or None
        The network of a galshift run, as :func:`galshift.models.build.rebuild` takes it.
    path : Path
        The file.
    sha256 : str
        Of the file.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    spec: dict[str, Any] | None
    path: Path
    sha256: str


def read_weights(place: str | Path) -> Weights:
    """Return the tensors at `place` and what is said of them.

    Parameters
    ----------
    place : path-like
        A folder in Hugging Face layout (``config.json`` and ``model.safetensors``), one file of tensors
        (``.safetensors``; ``.pth``, ``.pt`` or ``.bin``, of which tensors alone are read), or a galshift run.

    Raises
    ------
    DataError
        When there is no such place, no weights in it, or the file holds more than tensors.
    """
    from galshift.provenance import content_sha256

    path = _file(Path(place))
    spec = None
    if path.suffix == ".safetensors":
        tensors, note = read_safetensors(path)
        spec = _spec(note, path)
    elif path.suffix in PICKLED:
        tensors = _tensors_only(path)
    else:
        raise DataError(
            "this is no file of weights", where=path, hint="a .safetensors file, or a .pth file of tensors"
        )
    facts = _facts(path.with_name(DESCRIPTION)) if path.name in FILES and spec is None else {}
    return Weights(tensors, facts, spec, path, content_sha256(path))


def fit_names(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of `found` that `wanted` has, by name without prefixes, their bands fitted."""
    fitted = {}
    for full, value in found.items():
        name = full
        if not value.is_floating_point() and full in wanted and wanted[full].is_floating_point():
            continue
        while name not in wanted and name.startswith(PREFIXES):
            name = name.split(".", 1)[1]
        if name not in wanted:
            continue
        shape = wanted[name].shape
        if value.ndim == 4 and value.shape[1] != shape[1] and _but_bands(value.shape) == _but_bands(shape):
            mean = value.mean(dim=1, keepdim=True) * (value.shape[1] / shape[1])
            value = mean.expand(shape).contiguous()
        if value.shape == shape:
            fitted[name] = value
    return fitted


def without_prefix(tensors: Mapping[str, Tensor], first: str) -> dict[str, Tensor]:
    """Return `tensors` with the wrappers' prefix taken off that stands before the tensor called `first`."""
    for name in tensors:
        prefix = name.removesuffix(first)
        if name.endswith(first) and all(f"{part}." in PREFIXES for part in prefix.split(".")[:-1]):
            return {key.removeprefix(prefix): value for key, value in tensors.items()}
    return dict(tensors)


def _but_bands(shape: torch.Size) -> tuple[int, ...]:
    return (*shape[:1], *shape[2:])


def _file(place: Path) -> Path:
    """The file of weights, where a folder is given."""
    if not place.exists():
        raise DataError(
            "there is no such file or folder of weights", where=place, hint="give a local folder or file"
        )
    if not place.is_dir():
        return place
    for name in FILES:
        if (place / name).is_file():
            return place / name
    others = sorted(file for file in place.glob("*.safetensors"))
    if len(others) == 1:
        return others[0]
    raise DataError(
        f"there is no {FILES[0]} in this folder",
        where=place,
        hint=f"it has {', '.join(file.name for file in others)}: give one of them" if others else None,
    )


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Return the tensors of a safetensors file, and galshift's own words in its header.

    Raises
    ------
    DataError
        When the file is no safetensors file, or a whole one.
    """
    plain_file(path)
    try:
        with safe_open(path, framework="pt") as stored:
            note = (stored.metadata() or {}).get("galshift")
            return {name: stored.get_tensor(name) for name in stored.keys()}, note  # noqa: SIM118
    except (
        Exception
    ) as error:  # the library's own class, and torch's for types and sizes that it does not know
        raise DataError(f"this is not a safetensors file ({one_line(error, 120)})", where=path) from error


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that are not numbers: every answer would be NaN.

    Raises
    ------
    DataError
        Naming the first tensor.
    """
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise DataError(
                f"the tensor '{name}' holds values that are not finite",
                where=path,
                hint="copy the file again",
            )


def _tensors_only(path: Path) -> dict[str, Tensor]:
    """Read a file of torch.save, refusing everything in it that is not a tensor."""
    n_bytes = plain_file(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_unpacked(sum(entry.file_size for entry in archive.infolist()), n_bytes, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the file's protocol: it is readable, or refused below
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except DataError:
        raise
    except Exception as error:  # a damaged archive fails in as many ways as there are instructions
        raise DataError(
            "this file cannot be read as tensors alone, and what could run code is not opened",
            where=path,
            hint="save its state_dict() with torch.save, or as safetensors",
        ) from error
    if isinstance(stored, Mapping) and not all(isinstance(key, str) for key in stored):
        stored = {str(key): value for key, value in stored.items()}
    for key in ("state_dict", "model", "teacher"):
        if isinstance(stored, Mapping) and isinstance(stored.get(key), Mapping):
            stored = stored[key]
    tensors = (
        {str(k): v for k, v in stored.items() if isinstance(v, Tensor)} if isinstance(stored, Mapping) else {}
    )
    if not tensors:
        raise DataError("there are no named tensors in this file", where=path)
    # A view may repeat one number without end.
    claimed = sum(value.numel() * value.element_size() for value in tensors.values())
    check_unpacked(claimed, n_bytes, path)
    return tensors


def _spec(note: str | None, path: Path) -> dict[str, Any] | None:
    """The network that galshift's own header describes."""
    if note is None:
        return None
    try:
        return dict(json.loads(note)["model"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError("the checkpoint's description is damaged", where=path) from error


def _facts(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    if plain_file(path) > _MOST_FACTS:
        raise DataError(f"this description of an encoder is longer than {_MOST_FACTS} bytes", where=path)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("this description of an encoder is not JSON", where=path) from error
    return facts if isinstance(facts, dict) else {}
