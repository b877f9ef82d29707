"""Build a network by name, and rebuild it from the JSON that a checkpoint holds.

How a network is written, and what it must have, is told in :mod:`galshift.models`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from galshift.errors import ConfigError, DataError
from galshift.models import MODELS
from galshift.models._budget import TooLarge, check_numbers
from galshift.plain import one_line
from galshift.streams import stream_seed


def build_model(
    name: str,
    *,
    in_channels: int,
    size: int,
    n_classes: int,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> nn.Module:
    """Return the network called `name` with fresh weights.

    Parameters
    ----------
    name : str
        A name of ``galshift list models``.
    in_channels : int
        Number of bands, C.
    size : int
        Side of the square input images [pixel].
    n_classes : int
        Number of classes, K.
    options : mapping, optional
        The model's own configuration.
    seed : int
        The weights depend on this and on the name only; torch's global random state is left as it was.

    Returns
    -------
    nn.Module
        With ``feature_dim`` (int) and ``spec`` (JSON-able; see :func:`rebuild`).

    Raises
    ------
    ConfigError
        For an unknown model or option, or an image too small for the network.
    """
    kind = MODELS.get(name)
    config = parse_options(name, kind, options)
    for what, value in (("in_channels", in_channels), ("size", size), ("n_classes", n_classes)):
        if value < 1:
            raise ConfigError(f"a network needs {what} of at least 1, not {value}", where=name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(seed, "model", name))
        model = kind(in_channels, size, n_classes, config)
    model.spec = {
        "name": name,
        "version": kind.version,
        "in_channels": in_channels,
        "size": size,
        "n_classes": n_classes,
        # A model that read files while being built says how to rebuild it without them.
        "options": getattr(model, "spec_options", None) or config.model_dump(mode="json"),
    }
    return model


def rebuild(spec: Mapping[str, Any]) -> nn.Module:
    """Return the network that `spec` describes, with fresh weights.

    Raises
    ------
    DataError
        When the spec is not one of ours, or comes from another version of the network.
    """
    wanted = {"name", "version", "in_channels", "size", "n_classes", "options"}
    if not isinstance(spec, Mapping) or not wanted <= set(spec):
        raise DataError("the description of the network is incomplete")
    check_numbers(spec, None)
    try:
        model = build_model(
            str(spec["name"]),
            in_channels=int(spec["in_channels"]),
            size=int(spec["size"]),
            n_classes=int(spec["n_classes"]),
            options=spec["options"],
        )
    except (TooLarge, DataError):
        raise
    except ConfigError as error:
        raise DataError(f"the network cannot be rebuilt: {error.what}", hint=error.hint) from error
    except Exception as error:  # layers do not check what they are given: any size may make them fail
        raise DataError(f"the network cannot be rebuilt: {one_line(error, 160)}") from error
    if model.spec["version"] != spec["version"]:
        raise DataError(
            f"the network '{spec['name']}' was version {spec['version']}; here it is {model.spec['version']}",
            hint="use the galshift that trained it, or train again",
        )
    return model


def parse_options(name: str, kind: Any, options: Mapping[str, Any] | None) -> Any:
    """Return the validated configuration of the model `kind`, called `name` in messages.

    Raises
    ------
    ConfigError
        When options are invalid or unknown; it names every problem at once.
    """
    try:
        return kind.Config.model_validate(dict(options or {}))
    except ValidationError as error:
        problems = [f"{'.'.join(str(p) for p in item['loc'])}: {item['msg']}" for item in error.errors()]
        known = ", ".join(sorted(kind.Config.model_fields)) or "none"
        raise ConfigError(
            f"options of the model '{name}' are invalid: {'; '.join(problems)}",
            hint=f"known options: {known}",
            problems=problems,
        ) from error


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
