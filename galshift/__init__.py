"""galshift: make a galaxy classifier trained on one survey or simulation work on another.

Every verb of the command line is a function here with the same name and defaults
(``galshift.adapt("sim.h5", "sdss/", method="mmd")``); they are imported on first use.
"""

from __future__ import annotations

__version__ = "0.1.0"
