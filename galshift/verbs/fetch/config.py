"""Options of `fetch`."""

from __future__ import annotations

from pydantic import Field

from galshift.types import Strict


class FetchConfig(Strict):
    """Which public data set; see :mod:`galshift.data.public`."""

    name: str = Field(
        description="Name of the set, or encoder:NAME; galshift fetch without a name lists them."
    )
    only: str | None = Field(None, description="Pattern of the files wanted, such as 'SimReal*'.")
