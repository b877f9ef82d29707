"""The few types that cross package borders: strict configs, batches and model outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

if TYPE_CHECKING:
    from torch import Tensor


class Strict(BaseModel):
    """Base of every configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Grown(Strict):
    """A config with options that came later: one at a value that changes nothing is left out of its dump.

    Runs from before such an option was there so keep their fingerprint.  `newer` holds those values.
    """

    newer: ClassVar[Mapping[str, Any]] = {}

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = handler(self)
        return {key: value for key, value in values.items() if self.newer.get(key, ...) != _plain(value)}


def _plain(value: Any) -> Any:
    """A dumped list as the tuple that it was."""
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Chosen:
    """One registered thing, by name, with its own options.

    Attributes
    ----------
    kind : str
        Its registered name.
    config : Strict
        Its own config; an empty one when the thing has none.
    """

    kind: str
    config: Strict

    def dump(self) -> dict[str, Any]:
        """Return ``{kind: ..., option: value, ...}`` as a recipe has it."""
        return {"kind": self.kind, **self.config.model_dump(mode="json")}


class Output(NamedTuple):
    """What every model returns.

    Attributes
    ----------
    features : Tensor
        (B, D) latent vectors that adaptation aligns.
    logits : Tensor
        (B, K) class scores before the softmax.
    """

    features: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Batch:
    """One domain's share of a training step, after the model's forward pass.

    Attributes
    ----------
    images : Tensor
        (B, C, H, W) preprocessed images.
    output : Output
        Features and logits of `images`.
    labels : Tensor or None
        (B,) int64 class indices, or (B, L) continuous labels; always None for the target domain.
    index : Tensor
        (B,) int64 position of each image in its domain's training set, for memory banks.
    views : tuple of Output
        Outputs of the further augmented views that the method asked for (weak first, then strong).
    """

    images: Tensor
    output: Output
    labels: Tensor | None
    index: Tensor
    views: tuple[Output, ...] = ()

    @property
    def features(self) -> Tensor:
        """(B, D) latent vectors."""
        return self.output.features

    @property
    def logits(self) -> Tensor:
        """(B, K) class scores."""
        return self.output.logits
