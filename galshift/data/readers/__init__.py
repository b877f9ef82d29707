'''One file per format that can be opened; ``galshift list readers`` names them.

Adding one
----------
A reader is a function that returns a data set: metadata at once, pixels when they are asked for.  A format
that fits in memory needs no more than its :class:`Cutouts`::

    """Our camera's own files."""

    from galshift.data.readers import READERS, Cutouts, InMemory, stem


    @READERS.register("our-camera")
    def open_our_camera(path, options):
        """Open a ``.cam`` file; `options` are the :class:`ReadOptions` that the user gave."""
        images, labels = ...
        cutouts = Cutouts(images=images, unit="nJy", pixel_scale=0.2, bands=("g", "r"), labels=labels,
                          classes=("spiral", "elliptical"))
        return InMemory(cutouts, name=stem(path), path=path, reader="our-camera")


    # Files called like this are opened without --reader.
    open_our_camera.suffixes = (".cam",)

A large one subclasses :class:`Opened`: it makes the :class:`DataInfo` in ``__init__`` and reads the images at
given indices in ``read``.  Trouble with a file is a ``galshift.errors.DataError``.  Inside galshift it is a
file of this folder, outside an entry point::

    [project.entry-points."galshift.data.readers"]
    our-camera = "your_package.camera:open_our_camera"

Labels, classes, units, bands and groups that the user declares are joined afterwards, as for every format.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.data.cutouts import Cutouts, DataInfo, InMemory
    from galshift.data.options import ReadOptions
    from galshift.data.readers._base import Opened, stem

READERS = Registry("reader", "galshift.data.readers")

__all__ = ["READERS", "Cutouts", "DataInfo", "InMemory", "Opened", "ReadOptions", "stem"]
__getattr__ = lazily(
    __name__,
    {
        "galshift.data.cutouts": ("Cutouts", "DataInfo", "InMemory"),
        "galshift.data.options": ("ReadOptions",),
        "galshift.data.readers._base": ("Opened", "stem"),
    },
)
