"""Built-in idealised galaxies, one file per class, so that everything runs with nothing downloaded."""

from galshift.registry import Registry

KINDS = Registry("galaxy class", "galshift.simulate", exclude=("generate", "shapes"))
