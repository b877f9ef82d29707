"""What tells an unknown class, stored beside a checkpoint: the method's own networks that its score needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from galshift.errors import DataError, GalshiftError
from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.models._budget import TooLarge, check_numbers, within
from galshift.models._weights import check_finite
from galshift.training.outputs import OUTPUTS, read_candidate
from galshift.training.predict import Forward
from galshift.training.state import write_tensors
from galshift.types import Output

FILE = "unknown.safetensors"
THRESHOLD = 0.5  # of every method's own score
_FORMAT = 1


def save_scorer(directory: Path, name: str, method: Method, sizes: Mapping[str, int]) -> Path | None:
    """Write what ``unknown_score`` needs, atomically; nothing for a method without one.

    Parameters
    ----------
    directory : Path
        Of the checkpoint.
    name : str
        Of the method in ``METHODS``.
    method : Method
        After training.
    sizes : mapping
        What `Method.build` was given: ``feature_dim``, ``n_classes``, ``n_target``.
    """
    if not method.scoring:
        return None
    tensors = {
        f"{net}.{key}": value.detach().cpu().clone()
        for net in method.scoring
        for key, value in method.nets[net].state_dict().items()
    }
    config = method.config.model_dump(mode="json")
    header = {"format": _FORMAT, "method": name, "config": config, "sizes": dict(sizes)}
    write_tensors(directory / FILE, tensors, {"galshift": json.dumps(header)})
    return directory / FILE


def has_scorer(directory: Path) -> bool:
    """Return whether the run tells an unknown class, by the features."""
    return (directory / FILE).is_file()


def load_scorer(directory: Path) -> Method | None:
    """Return the method with the networks of its score, or None where the run has none.

    Raises
    ------
    DataError
        When the file is damaged or does not fit the method.
    """
    path = directory / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            header = json.loads((stored.metadata() or {})["galshift"])
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        kind = METHODS.get(header["method"])
        method = kind(kind.Config.model_validate(header["config"]))
        check_numbers(header["sizes"], path)
        with within(tensors.values()):
            method.build(**header["sizes"])
        for net in method.scoring:
            own = {key.removeprefix(f"{net}."): v for key, v in tensors.items() if key.startswith(f"{net}.")}
            method.nets[net].load_state_dict(own)
        check_finite(tensors, path)
    except (
        *(SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError),
        *(RecursionError, MemoryError, TooLarge, GalshiftError),
    ) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            "what tells unknown classes is damaged or of another version",
            where=path,
            hint=f"adapt again, or remove the file to do without ({first})",
        ) from error
    method.nets.eval().requires_grad_(False)
    return method


def unknown_scores(method: Method, out: Forward) -> np.ndarray:
    """Return (N,) scores in [0, 1], above 0.5 for an unknown class; NaN where an image gave no answer.

    Parameters
    ----------
    method : Method
        From :func:`load_scorer`.
    out : Forward
        Of the checkpoint that it lay beside.
    """
    scores = np.full(len(out.logits), np.nan)
    good = np.isfinite(out.probabilities).all(axis=1)
    scores[good] = _scored(method, out.features[good], out.logits[good])
    return scores


def source_scores(directory: Path, method: Method) -> np.ndarray | None:
    """Return (M,) scores of the source's validation images, with the noise that they were trained with.

    None where a run did not store what the network gave for them.

    Parameters
    ----------
    directory : Path
        Of the checkpoint.
    method : Method
        From :func:`load_scorer`.
    """
    if not (directory / OUTPUTS).is_file():
        return None
    held = read_candidate(directory)
    if not held.has_source:
        return None
    features, logits = (np.asarray(x, np.float32) for x in (held.features_source_val, held.logits_source_val))
    good = np.isfinite(logits).all(axis=1)
    return _scored(method, features[good], logits[good])


@torch.inference_mode()
def _scored(method: Method, features: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return method.unknown_score(Output(torch.from_numpy(features), torch.from_numpy(logits))).numpy()
