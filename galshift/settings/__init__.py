"""Settings of published systems by name: one YAML file each, every value with its source.

>>> from galshift import settings
>>> settings.load("sidda").tree()["training"]["lr"]
0.01

Settings are values for options of `train` and `adapt`; what is said singly wins over them.

Adding one
----------
Settings are a YAML file with the keys of :class:`Settings`; ``sidda.yaml`` of this folder is a whole example
and can be copied.  A file of your own is used by its path (``--settings mine.yaml``).  In a package of its
own it is named by an entry point, and is then listed and used like those that come with galshift::

    [project.entry-points."galshift.settings"]
    mine = "your_package.settings"

The module or package holds the file ``mine.yaml``.  Raise ``version`` whenever a value changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from galshift.presets import Presets
from galshift.registry import lazily

if TYPE_CHECKING:
    from galshift.settings.schema import Settings

_FOLDER = Path(__file__).parent

__all__ = ["Settings", "available", "load", "names", "summary"]
__getattr__ = lazily(__name__, {"galshift.settings.schema": ("Settings",)})


def _schema() -> type[Settings]:
    from galshift.settings.schema import Settings

    return Settings


_PRESETS = Presets(__name__, _FOLDER, "settings", _schema)
names, available, summary = _PRESETS.names, _PRESETS.available, _PRESETS.summary


def load(name: str | Path) -> Settings:
    """Return the settings called `name`, or those in the user's own YAML file `name`.

    Raises
    ------
    ConfigError
        When there is none, or it states something impossible (all problems at once).
    """
    return _PRESETS.load(name)
