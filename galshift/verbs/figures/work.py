"""Draw the figures of a run into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from galshift.errors import ConfigError
from galshift.report.paper import WIDTHS, read, write
from galshift.verbs.figures.config import FiguresConfig


def work(config: FiguresConfig, folder: Path) -> dict[str, Any]:
    """Draw into `folder` and return the headline results.

    Raises
    ------
    ConfigError
        When there is no such style.
    DataError
        When the run keeps no figures.
    """
    found = read(Path(config.run))
    _check_style(config.style)
    folder.mkdir(parents=True, exist_ok=True)
    files = write(found, folder, form=config.format, width=config.width, style=config.style)
    return {
        "n_figures": len(found["figures"]),
        "n_tables": len(found["tables"]),
        "format": config.format,
        "width_mm": round(25.4 * WIDTHS[config.width], 1),
        "files": files,
        "outputs": {"figures": folder.name},
    }


def _check_style(name: str | None) -> None:
    """Refuse a style that matplotlib cannot use."""
    if name is None:
        return
    from matplotlib import rc_context, style

    try:
        with rc_context():
            style.use(name)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"matplotlib has no style '{name}': {' '.join(str(error).split())[:120]}",
            where="style",
            hint="a name such as seaborn-v0_8-paper, or a .mplstyle file",
        ) from error
