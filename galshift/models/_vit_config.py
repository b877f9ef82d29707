"""The options of the vision transformer, and of what teaches it without labels."""

from __future__ import annotations

from pydantic import Field, model_validator

from galshift.types import Strict


class ViTConfig(Strict):
    """Options of the vision transformer."""

    patch: int = Field(
        8, ge=2, description="Side of a patch [pixel]; images are padded with zeros to whole patches."
    )
    width: int = Field(192, ge=8, description="Size of a token; a multiple of 4 and of the heads.")
    depth: int = Field(6, ge=1, description="Transformer blocks.")
    heads: int = Field(3, ge=1, description="Attention heads.")
    dropout: float = Field(0.0, ge=0, lt=1, description="In attention and dense layers.")

    @model_validator(mode="after")
    def _divisible(self) -> ViTConfig:
        if self.width % 4 or self.width % self.heads:
            raise ValueError("width must be a multiple of 4 and of heads")
        return self


class MaskedConfig(Strict):
    """What is hidden, and the decoder that must fill it in."""

    hidden_share: float = Field(0.75, gt=0, lt=1, description="Fraction of the patches that is hidden.")
    width: int = Field(
        128, ge=8, description="Size of the decoder's tokens; a multiple of 4 and of the heads."
    )
    depth: int = Field(2, ge=1, description="Decoder blocks.")
    heads: int = Field(4, ge=1, description="Attention heads of the decoder.")
