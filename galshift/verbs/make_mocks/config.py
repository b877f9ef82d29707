"""Options of `make-mocks`."""

from __future__ import annotations

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.mocks.config import ObserveConfig

KIND, VERSION = "make-mocks", 1  # of the step; its products say so too


#: What enters fingerprints by content, and products by name.
INPUTS = (
    "input",
    "read.labels?",
    "read.psf?",
    "read.weights?",
    "survey?",
    "pair?",
    "psf",
    "input_psf?",
    "sky",
    "noise_correlation?",
)


class MakeMocksConfig(ObserveConfig):
    """What to observe, with which survey, and how."""

    input: str = Field(description="Images in a physical unit with a pixel scale.")
    read: ReadOptions = ReadOptions()
    survey: str = Field(description="A preset (galshift list surveys) or a YAML file.")
    pair: str | None = Field(
        None, description="A second survey of the same galaxies; nested where it can be."
    )
    bands: tuple[str, ...] | None = Field(None, description="The survey's bands; default all it can make.")
    truth: bool = Field(False, description="Store the noiseless images too.")
    seed: int = 42
