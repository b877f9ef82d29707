"""What ``galshift inspect`` says of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.data.units import DIMENSIONLESS


def summarize(dataset: Dataset, *, sample: int = 64) -> dict[str, Any]:
    """Return a JSON-able account of a data set: its metadata, and statistics of an even sample of its pixels.

    Parameters
    ----------
    dataset : Dataset
    sample : int
        Images read for the pixel statistics; 0 reads none.
    """
    info = dataset.info
    account: dict[str, Any] = {
        "path": str(dataset.path),
        "name": dataset.name,
        "reader": info.reader,
        "n": info.n,
        "shape": list(info.shape),
        "ragged": info.ragged,
        "unit": info.unit,
        "pixel_scale_arcsec": _span(info.pixel_scale),
        "bands": list(info.bands),
        "groups": len(np.unique(info.groups)),
        "classes": _class_counts(dataset),
        "numbers": _number_ranges(dataset),
        "survey": info.survey,
        "psf_fwhm_arcsec": _span(info.psf_fwhm),
        "mask": info.has_mask,
        "ivar": info.has_ivar,
        "psf": info.has_psf,
        "columns": [] if info.table is None else list(info.table.colnames),
        "history": list(info.history),
        "notes": list(info.notes),
        "origins": dict(info.origins),
        "problems": problems(dataset),
    }
    provenance = getattr(dataset, "provenance", None)
    if callable(provenance):
        account["provenance"] = provenance()
    layout = getattr(dataset, "layout_of_file", None)
    if callable(layout):
        account["layout"] = layout()
    if sample:
        account["pixels"] = pixel_statistics(dataset, sample)
    return account


def pixel_statistics(dataset: Dataset, sample: int) -> dict[str, Any]:
    """Return per band the range, median, robust noise and share of bad pixels of an even sample of images."""
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(sample, len(dataset))).astype(int))
    cutouts = dataset.read(rows)
    mask = cutouts.mask
    if mask is None:
        good = np.ones(cutouts.images.shape, dtype=bool)
    else:
        good = ~(mask if mask.ndim == 4 else np.broadcast_to(mask[:, None], cutouts.images.shape))
    bands = {}
    for c, band in enumerate(cutouts.bands):
        values = cutouts.images[:, c][good[:, c]]
        if not len(values):
            bands[band] = {"bad": 1.0}
            continue
        middle = float(np.median(values))
        bands[band] = {
            "min": float(values.min()),
            "median": middle,
            "max": float(values.max()),
            "noise": float(1.4826 * np.median(np.abs(values - middle))),
            "bad": float(1 - good[:, c].mean()),
        }
    return {"sampled": len(rows), "bands": bands}


def problems(dataset: Dataset) -> list[str]:
    """Return what will stop training or comparison, each with the option that mends it."""
    info = dataset.info
    found = []
    if info.unit is None:
        found.append(
            "the unit is not known: declare it with --unit (nJy, nanomaggy, MJy/sr, mag/arcsec2, ...)"
        )
    if info.pixel_scale is None and info.unit != DIMENSIONLESS:
        found.append("the pixel scale is not known: give --pixel-scale in arcsec")
    if info.shape[0] > 1 and all(band.startswith("band") for band in info.bands):
        found.append("the bands are not named: give --bands in the order of the band axis")
    if info.labels is None:
        found.append("there are no labels: a source needs --labels or one folder per class (a target none)")
    return found


def lines(account: dict[str, Any]) -> list[tuple[str, str]]:
    """Return an account as (property, text) rows for people."""
    n_bands, height, width = account["shape"]
    ragged = " (the largest; sizes differ)" if account["ragged"] else ""
    scale = account["pixel_scale_arcsec"]
    size = "" if not isinstance(scale, float) else f" ({height * scale:.3g} x {width * scale:.3g} arcsec)"
    rows = [
        ("images", f"{account['n']} of {account['groups']} galaxies"),
        ("size", f"{height} x {width} pixels{ragged}{size}"),
        ("bands", f"{n_bands}: {', '.join(account['bands'])}"),
        ("unit", account["unit"] or "not known"),
        ("pixel scale", _scale_text(scale)),
    ]
    if account["classes"]:
        rows.append(("classes", ", ".join(f"{name} {count}" for name, count in account["classes"].items())))
    for name, (low, high, known) in account["numbers"].items():
        rows.append(("label", f"{name}, {low:.4g} to {high:.4g}, known for {known} images"))
    if account["survey"]:
        rows.append(("survey", account["survey"]))
    if account["psf_fwhm_arcsec"] is not None:
        rows.append(("PSF FWHM", _scale_text(account["psf_fwhm_arcsec"]).replace(" / pixel", "")))
    planes = [name for name in ("mask", "ivar", "psf") if account[name]]
    if planes:
        rows.append(("also holds", ", ".join(planes)))
    if account["columns"]:
        shown = account["columns"][:10]
        more = f" and {len(account['columns']) - 10} more" if len(account["columns"]) > 10 else ""
        rows.append(("catalogue", ", ".join(shown) + more))
    layout = {name: text for name, text in account.get("layout", {}).items() if not name.startswith("table/")}
    rows += [("data set", f"/{name}  {text}") for name, text in layout.items()]
    rows += [("history", step) for step in account["history"]]
    names = {"pixel_scale": "pixel scale", "psf": "PSF"}
    rows += [(f"{names.get(key, key)} from", text) for key, text in account["origins"].items()]
    rows += [("note", note) for note in account["notes"]]
    rows += [("needs", problem) for problem in account["problems"]]
    return rows


def _class_counts(dataset: Dataset) -> dict[str, int]:
    info = dataset.info
    labels = info.labels
    if labels is None or np.ndim(labels) != 1 or not info.classes or np.asarray(labels).dtype.kind == "f":
        return {}
    labels = np.asarray(info.labels)
    counts = {name: int((labels == k).sum()) for k, name in enumerate(info.classes)}
    without = int((labels < 0).sum())
    return {**counts, "(none)": without} if without else counts


def _number_ranges(dataset: Dataset) -> dict[str, list[float]]:
    """Return, for labels that are numbers, the smallest, the largest and how many are known."""
    info = dataset.info
    if info.labels is None or np.asarray(info.labels).dtype.kind != "f":
        return {}
    labels = np.asarray(info.labels, dtype=float).reshape(info.n, -1)
    names = info.classes if len(info.classes) == labels.shape[1] else range(labels.shape[1])
    found = {}
    for name, values in zip(names, labels.T):
        known = values[np.isfinite(values)]
        if len(known):
            key = name if isinstance(name, str) else f"label{name}"
            found[key] = [float(known.min()), float(known.max()), len(known)]
    return found


def _span(value: float | np.ndarray | None) -> float | list[float] | None:
    """Return one number, or the smallest and largest where they vary."""
    if value is None:
        return None
    values = np.asarray(value, dtype=float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low if high - low <= 1e-9 * abs(high) else [low, high]


def _scale_text(scale: float | list[float] | None) -> str:
    if scale is None:
        return "not known"
    if isinstance(scale, list):
        return f"{scale[0]:.4g} to {scale[1]:.4g} arcsec / pixel"
    return f"{scale:.4g} arcsec / pixel"
