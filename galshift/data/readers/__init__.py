"""One file per format that can be opened; ``galshift list readers`` names them."""

from galshift.registry import Registry

READERS = Registry("reader", "galshift.data.readers")
