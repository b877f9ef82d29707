"""The state of an unfinished run: tensors and JSON in one safetensors file, replaced by rename.

A nested state (networks, optimiser, counters) is split into its tensors, named by their path, and the rest,
which is JSON: no part of it is ever unpickled.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from galshift.bounds import plain_file
from galshift.errors import DataError
from galshift.plain import one_line
from galshift.provenance import atomic_path

STATE_FILE = "state.safetensors"
BEST_FILES = "best-*.safetensors"
VERSION = 1
_TENSOR = "tensor"


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the nested `state` (dicts with str or int keys, lists, scalars, tensors) atomically."""
    tensors: dict[str, Tensor] = {}
    rest = _split(state, "", tensors)
    header = {"galshift": json.dumps({"version": VERSION, "state": rest})}
    write_tensors(path, tensors, header)


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a safetensors file atomically, with the permissions of any new file (safetensors grants none)."""
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=header)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)


def load_state(path: Path) -> dict[str, Any]:
    """Return what :func:`save_state` wrote, with tensors on the CPU.

    Raises
    ------
    DataError
        When the file is damaged or from a newer version.
    """
    plain_file(path)
    try:
        with safe_open(path, framework="pt") as stored:
            header = json.loads((stored.metadata() or {})["galshift"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return _joined(header, tensors, path)
    except (
        SafetensorError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
        OSError,
    ) as error:
        raise DataError(
            f"the state of this run cannot be read ({one_line(error, 120)})",
            where=path,
            hint="remove it to train from the start",
        ) from error


def _joined(header: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> dict[str, Any]:
    if header.get("version", 0) > VERSION:
        raise DataError("the state of this run is from a newer galshift", where=path, hint="update galshift")
    return _join(header["state"], tensors)


def _split(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Move the tensors of a nested value aside, leaving JSON."""
    if isinstance(value, Tensor):
        # A private copy: safetensors refuses views, and two names of one storage.
        tensors[path] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {_TENSOR: path}
    if isinstance(value, dict):
        return {"dict": [[key, _split(item, f"{path}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_split(item, f"{path}/{number}", tensors) for number, item in enumerate(value)]
    return value


def _join(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo :func:`_split`."""
    if isinstance(value, dict):
        if _TENSOR in value:
            return tensors[value[_TENSOR]]
        return {key: _join(item, tensors) for key, item in value["dict"]}
    return [_join(item, tensors) for item in value] if isinstance(value, list) else value


def clear(directory: Path) -> None:
    """Remove what only an unfinished run needs."""
    for path in (directory / STATE_FILE, *directory.glob(BEST_FILES)):
        path.unlink(missing_ok=True)
