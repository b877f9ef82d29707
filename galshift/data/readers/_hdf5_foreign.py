"""Public HDF5 layouts, read only: Galaxy10, ``images``/``labels`` (+ ``_test``), MultimodalUniverse."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import GIVEN
from galshift.data.mask_bits import declared_bits
from galshift.data.options import ReadOptions
from galshift.data.readers._arrays import (
    ArrayData,
    array_info,
    describe_array,
    interpret_labels,
    named_classes,
)
from galshift.data.readers._base import Opened
from galshift.data.readers._hdf5_parts import (
    attribute_list,
    attribute_text,
    check_rows,
    numbers_of,
    one_line,
    open_file,
    read_rows,
    texts,
    whole,
)
from galshift.data.units import unit_name
from galshift.errors import DataError

# MultimodalUniverse calls pixels image_flux (today) or image_array, or keeps them in a group; its masks are
# true where a pixel is good: scripts/hsc/build_parent_sample.py clears a pixel for a bad bit, and
# scripts/jwst/build_parent_sample.py has "mask = invvar > 0".
_UNIVERSE = ("image_flux", "image_array", "image/flux", "image/array")
_IMAGES = ("images", *_UNIVERSE, "image", "x", "data", "cutouts", "imgs")
_LABELS = ("labels", "ans", "label", "y", "targets", "target")
_GROUPS = ("groups", "group", "galaxy_id", "group_id")
_IDS = ("ids", "id", "object_id", "objid", "name", "dr7objid", "iauname")
GALAXY10 = {
    69: (
        "disk face-on no spiral",
        "smooth completely round",
        "smooth in-between round",
        "smooth cigar shaped",
        "disk edge-on rounded bulge",
        "disk edge-on boxy bulge",
        "disk edge-on no bulge",
        "disk face-on tight spiral",
        "disk face-on medium spiral",
        "disk face-on loose spiral",
    ),
    256: (
        "disturbed",
        "merging",
        "round smooth",
        "in-between round smooth",
        "cigar shaped smooth",
        "barred spiral",
        "unbarred tight spiral",
        "unbarred loose spiral",
        "edge-on without bulge",
        "edge-on with bulge",
    ),
}


def open_foreign(path: Path, file: Any, options: ReadOptions) -> Opened:
    """Open a file that galshift did not write, by the names of its data sets.

    Raises
    ------
    DataError
        Naming what the file holds, when none of it is called like images.
    """
    found = {name.lower(): name for name in listing(file)}
    key = next((found[name] for name in _IMAGES if name in found), None)
    if key is None or file[key].ndim not in (3, 4):
        raise _no_images(file, list(found.values()), path)
    images = file[key]
    check_rows(images, path)
    bands = _bands(file, found, key) or tuple(attribute_list(file, "bands")) or None
    n_bands = None if bands is None else len(bands)
    layout, n, shape, unit, scale = describe_array(images.shape, images.dtype, options, path, n_bands)
    if not layout.startswith("N"):
        layout, n, shape = (
            f"N{layout[1:]}" if layout[0] == "C" else "NHW",
            images.shape[0],
            (1, *images.shape[1:]),
        )
    keys, starts = [key], [n]
    test = found.get(f"{key.lower()}_test")
    if test is not None and file[test].shape[1:] == images.shape[1:]:
        keys, starts = [key, test], [n, n + len(file[test])]
    details = _details(file, found, keys, starts[-1], shape, path)
    unit = unit or unit_name(attribute_text(file, "unit"))
    extras = _extras(path, file, found, key) if len(keys) == 1 else {}
    mask = found[str(_beside(found, key, "mask"))] if "mask" in extras else None
    bits, origins = declared_bits(options.mask_bits, f"/{mask}", file[mask].dtype if mask else None)
    origins = {**_origins(found, key, extras), **origins}
    info = array_info(
        "hdf5",
        starts[-1],
        shape,
        unit,
        options,
        path,
        bands=bands or (("red", "green", "blue") if shape[0] == 3 and images.dtype == np.uint8 else None),
        has_mask=bool({"mask", "good"} & set(extras)),
        has_ivar="ivar" in extras,
        origins=origins,
        **details,
    )
    return ArrayData(path, info, _reader(path, keys, starts), layout, scale, extras, bits)


# What is said of each plane, and in which words: these files do not say it themselves.
_MEANINGS = {
    "good": ("mask", "true where a pixel is good, as MultimodalUniverse has it"),
    "mask": ("mask", "any value but 0 is bad"),
    "ivar": ("noise", "its inverse variance"),
}


def _origins(found: dict[str, str], key: str, extras: dict[str, Callable]) -> dict[str, str]:
    """Where the mask and the noise of the images `key` stand, and what they are taken for."""
    said = {}
    for role in extras:
        about, meaning = _MEANINGS[role]
        plane = found[str(_beside(found, key, "ivar" if role == "ivar" else "mask"))]
        said[about] = f"/{plane}, {meaning}"
    return said


def _no_images(file: Any, names: Sequence[str], path: Path) -> DataError:
    shown = ", ".join(f"{name} {tuple(file[name].shape)}" for name in names[:8])
    last = Counter(name.rsplit("/", 1)[1] for name in names if "/" in name).most_common(1)
    each = [name for name in names if name.rsplit("/", 1)[-1] == last[0][0]] if last else []
    if len(each) > 1 and file[each[0]].ndim in (2, 3):
        return DataError(
            f"it holds one group for each of {len(each)} objects ({each[0]}, {each[1]}, ...)",
            where=path,
            hint=f"write all that are called '{last[0][0]}' as one data set 'images' (N, C, H, W), with "
            "'ids' and 'labels' beside it in the same order",
        )
    return DataError(
        f"no data set in it is called like images; it holds {shown or 'none at all'}",
        where=path,
        hint=f"rename one to 'images' (also read: {', '.join(_IMAGES[1:4])})",
    )


def _extras(path: Path, file: Any, found: dict[str, str], key: str) -> dict[str, Callable]:
    """Row readers of the mask and the inverse variance that belong to the images `key`."""
    shape = file[key].shape
    planes = {shape, *([(shape[0], *shape[2:])] if len(shape) == 4 else [])}
    roles = {"good" if key.lower() in _UNIVERSE else "mask": planes, "ivar": {shape}}
    extras = {}
    for role, shapes in roles.items():
        name = _beside(found, key, "ivar" if role == "ivar" else "mask")
        if name is not None and file[found[name]].shape in shapes:
            extras[role] = _reader(path, [found[name]], [shape[0]])
    return extras


def listing(file: Any) -> list[str]:
    """Return the names of every data set in a file, to a depth of three."""
    import h5py

    names: list[str] = []
    seen = set()

    def walk(group: Any, prefix: str, depth: int) -> None:
        # Groups may be linked into one another: a few of them would stand for any number of names.
        seen.add(h5py.h5o.get_info(group.id).addr)
        for name in group:
            item = group.get(name)
            if isinstance(item, h5py.Dataset):
                names.append(f"{prefix}{name}")
            elif isinstance(item, h5py.Group) and depth < 3 and h5py.h5o.get_info(item.id).addr not in seen:
                walk(item, f"{prefix}{name}/", depth + 1)

    walk(file, "", 0)
    return names


class _RowReader:
    """Reads rows of data sets laid end to end; each process opens its own handle."""

    def __init__(self, path: Path, keys: Sequence[str], ends: Sequence[int]) -> None:
        self.path, self.keys, self.ends = path, list(keys), list(ends)
        self._file: Any = None
        self._pid = 0

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        if self._file is None or self._pid != os.getpid():
            self._file, self._pid = open_file(self.path), os.getpid()
        try:
            if len(self.keys) == 1:
                return read_rows(self._file[self.keys[0]], rows)
            first = self._file[self.keys[0]]
            out = np.empty((len(rows), *first.shape[1:]), dtype=first.dtype)
            start = 0
            for key, end in zip(self.keys, self.ends):
                here = (rows >= start) & (rows < end)
                out[here] = read_rows(self._file[key], rows[here] - start)
                start = end
            return out
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:
            raise DataError(f"its images cannot be read: {one_line(error)}", where=self.path) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


def _reader(path: Path, keys: Sequence[str], ends: Sequence[int]) -> Callable[[np.ndarray], np.ndarray]:
    return _RowReader(path, keys, ends)


def _details(
    file: Any, found: dict[str, str], keys: Sequence[str], n: int, shape: tuple[int, ...], path: Path
) -> dict[str, Any]:
    from astropy.table import Table

    key = next((found[name] for name in _LABELS if name in found), None)
    values = None if key is None else whole(file[key], path)
    columns: dict[str, np.ndarray] = {}
    if len(keys) == 2:
        test = found.get(f"{(key or '').lower()}_test")
        values = None if values is None or test is None else np.concatenate([values, whole(file[test], path)])
        first = len(file[keys[0]])
        columns["split"] = np.repeat(["train", "test"], [first, n - first])
    labels, classes = interpret_labels(values, n, path)
    if key is not None and key.lower() == "ans" and len(classes) == 10:
        classes = GALAXY10.get(shape[1], classes)
    labels, classes = named_classes(labels, tuple(classes), attribute_list(file, "classes"), path)
    for name in found.values():
        data = file[name]
        if "/" not in name and data.ndim == 1 and len(data) == n and name not in (*keys, key):
            values = whole(data, path)
            columns[name] = texts(values, file.filename) if values.dtype.kind in "OS" else values
    ids = next((columns[found[name]] for name in _IDS if found.get(name) in columns), None)
    ids = None if ids is None or len(set(map(str, ids))) < n else np.asarray([str(v).strip() for v in ids])
    groups = next((columns[found[name]] for name in _GROUPS if found.get(name) in columns), None)
    details = {
        "labels": labels,
        "classes": classes,
        "ids": ids,
        "table": Table(columns) if columns else None,
        "pixel_scale": _scale(file, found, n),
        "psf_fwhm": _psf_fwhm(file, found, n, shape[0]),
        "survey": attribute_text(file, "survey"),
    }
    if groups is not None:
        details |= {"groups": np.asarray([str(v).strip() for v in groups]), "groups_from": GIVEN}
    return details


def _psf_fwhm(file: Any, found: dict[str, str], n: int, n_bands: int) -> float | np.ndarray | None:
    """Return the FWHM [arcsec] of each image, or of each of its bands, where the file has it for all."""
    name = next((found[name] for name in ("image_psf_fwhm", "image/psf_fwhm") if name in found), None)
    if name is None or file[name].shape not in ((n,), (n, n_bands)):
        return None
    values = np.asarray(whole(file[name], file.filename), dtype=np.float64)
    return values if np.isfinite(values).all() and (values > 0).all() else None


def _scale(file: Any, found: dict[str, str], n: int) -> float | np.ndarray | None:
    """Return arcsec / pixel where the file says it (Galaxy10 DECaLS: pxscale; MultimodalUniverse: scale)."""
    for name in ("pxscale", "pixel_scale", "image_scale", "image/scale"):
        if name in found and file[found[name]].dtype.kind == "f" and len(file[found[name]]) == n:
            values = np.asarray(whole(file[found[name]], file.filename), dtype=float).reshape(n, -1)[:, 0]
            if (values > 0).all():
                return float(values[0]) if np.allclose(values, values[0]) else values
    scale = numbers_of(file, "pixel_scale") if "pixel_scale" in file.attrs else None
    return scale if scale is None or np.all(np.asarray(scale) > 0) else None


def _bands(file: Any, found: dict[str, str], key: str) -> tuple[str, ...] | None:
    """Return band names of MultimodalUniverse records (one list an image, the same for all), else None."""
    name = _beside(found, key, "band")
    if name is None:
        return None
    values = file[found[name]]
    first = values[0] if values.ndim == 2 and len(values) else whole(values, file.filename)
    names = [str(v) for v in texts(first, file.filename)]
    # des-g, hsc-g, ... are the bands of one survey: the survey is not part of the name.
    return tuple(word.split("-")[-1] if word.count("-") == 1 else word for word in names)


def _beside(found: dict[str, str], key: str, part: str) -> str | None:
    name = key.lower()
    stem = name.rsplit("/", 1)[0] if "/" in name else name.removesuffix("_array").removesuffix("_flux")
    return next((one for one in (f"{stem}/{part}", f"{stem}_{part}", part) if one in found), None)
