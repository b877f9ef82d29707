"""Survey presets: one YAML file each, every number with its unit, its source and whether it was verified.

>>> from galshift import surveys
>>> survey = surveys.load("lsst-y10")
>>> survey.bands["r"].depth.value

Adding one
----------
A preset is a YAML file with the keys of :class:`Survey`; ``lsst-y10.yaml`` of this folder is a whole
example and can be copied.  A file of your own is used by its path (``--survey my-camera.yaml``).  In a
package of its own a preset is named by an entry point, and is then listed and used like those that come with
galshift::

    [project.entry-points."galshift.surveys"]
    my-camera = "your_package.surveys"

The module or package holds the file ``my-camera.yaml``.  An entry point may also name a mapping with the
same keys (``my-camera = "your_package.surveys:MY_CAMERA"``), or the path of a file.  Raise the preset's
``version`` whenever its numbers change.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from galshift.presets import Presets
from galshift.registry import lazily

if TYPE_CHECKING:
    from galshift.surveys.schema import Survey

_FOLDER = Path(__file__).parent

__all__ = ["Survey", "available", "load", "names", "summary"]
__getattr__ = lazily(__name__, {"galshift.surveys.schema": ("Survey",)})


def _schema() -> type[Survey]:
    from galshift.surveys.schema import Survey

    return Survey


_PRESETS = Presets(__name__, _FOLDER, "survey", _schema)
names, available, summary = _PRESETS.names, _PRESETS.available, _PRESETS.summary


def load(name: str | Path) -> Survey:
    """Return the survey called `name`, or the one in the user's own YAML file `name`.

    Raises
    ------
    ConfigError
        When there is none, or it states something impossible (all problems at once).
    """
    return _PRESETS.load(name)
