"""Where the products of make-mocks are written."""

from __future__ import annotations

from pathlib import Path

from galshift.verbs.make_mocks.config import MakeMocksConfig


def surveys_of(config: MakeMocksConfig) -> list[str]:
    """Return the survey to observe with, or the two of a pair."""
    return [config.survey] if config.pair is None else [config.survey, config.pair]


def product_paths(config: MakeMocksConfig, out: Path) -> list[Path]:
    """Return the mocks of each survey, noiseless ones where they are kept apart, and the accounts."""
    main = [place(out, config, name) for name in surveys_of(config)]
    truths = [beside(path, "truth") for path in main if config.truth and not is_hdf5(path)]
    return [*main, *truths, *(beside(path, "images.jsonl") for path in main)]


def place(out: Path, config: MakeMocksConfig, survey: str) -> Path:
    """Return where a survey's mocks go: OUT, or OUT_<survey> for each of a pair."""
    return out if config.pair is None else out.with_name(f"{out.stem}_{Path(survey).stem}{out.suffix}")


def beside(path: Path, what: str) -> Path:
    """Return a path beside a product: `what` replaces ``h5``, or is added to a folder's name."""
    return path.with_name(f"{path.stem}.{what}" if "." in what else f"{path.name}_{what}")


def is_hdf5(path: Path) -> bool:
    """Return whether a product is one HDF5 file."""
    return path.suffix in (".h5", ".hdf5", ".hdf")
