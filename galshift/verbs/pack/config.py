"""Options of `pack`."""

from __future__ import annotations

from pydantic import Field

from galshift.data.options import ReadOptions
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
