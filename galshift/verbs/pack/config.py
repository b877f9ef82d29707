"""Options of `pack`."""

from __future__ import annotations

from pydantic import Field, model_validator

from galshift.data.options import ReadOptions
from galshift.data.public import find_layout
from galshift.errors import UsageError
from galshift.types import Strict

#: What enters fingerprints by content, and products by name.
INPUTS = ("data", "read.labels?", "read.psf?", "read.weights?", "read.catalog")


class PackConfig(Strict):
    """What to pack; see :func:`galshift.data.pack.pack`."""

    data: str = Field(description="Images: a folder, a file, or a pair x.npy:y.npy.")
    read: ReadOptions = Field(
        default_factory=ReadOptions, description="What the files do not say themselves."
    )
    shards: int | None = Field(
        None, ge=1, description="Write a folder OUT of HDF5 files of so many images each, one data set."
    )
    layout: str | None = Field(
        None,
        description="Write as a published set lies on disk, such as deepmerge2/SimReal_SOURCE; OUT is then "
        "the data card of the files beside it.",
    )

    @model_validator(mode="after")
    def _one_form(self) -> PackConfig:
        if self.layout is not None:
            try:
                find_layout(self.layout)
            except UsageError as error:
                raise ValueError(f"{error.what} ({error.hint})") from None
            if self.shards is not None:
                raise ValueError("give either shards or layout")
        return self
