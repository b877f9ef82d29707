"""What a network is given of a data set: numbers of a sample of its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts, Dataset
from galshift.data.preprocess import Preprocessing, training_sky_sigma
from galshift.data.sky_level import sky_levels, sky_slopes
from galshift.data.units import DIMENSIONLESS
from galshift.domains.stripes import striped
from galshift.provenance import read_record, write_json

#: File of a run with the accounts of the data that it was trained on.
FILE = "data.json"
SAMPLE = 64


@dataclass(frozen=True)
class Account:
    """One data set as a network sees it.

    Attributes
    ----------
    name : str
    n_images, n_galaxies : int
    bands, bands_left_out : tuple of str
        Those that the network takes, in its order, and the others.
    unit : str
        Of the files; every number below is in the network's unit.
    network_unit : str
    shape : tuple of int
        (H, W) [pixel] in the files, the largest where sizes differ.
    pixel_scale_arcsec, network_scale_arcsec : float or None
        Of the files (median) and of what the network takes.
    size : int
        Side [pixel] of what the network takes.
    noise, brightness : tuple of float
        By band: robust sky noise of the images' borders, and the median over images of the 99.5th percentile
        above the sky.
    sky_level, sky_slope : tuple of float
        By band, of the images as they are: what the levels of nine in ten borders are above, and what the
        planes through nine in ten rise by over a side.
    sky : str
        What is taken off every image (`galshift.data.sky_level`).
    psf_fwhm_arcsec : float or None
        Median, where the files say it.
    masked : float
        Fraction of bad pixels.
    n_empty : int
        Images of the sample without one good pixel.
    all_alike : bool
        Whether the sampled images are pixel by pixel the same.
    classes : dict of str to int
        Labelled images a class; empty without labels.
    origins : dict of str to str
        Where unit, scale, bands, ... were found.
    striped : float
        Share of sampled images with whole rows or columns of one value in good pixels, as dead columns, gaps
        between detectors and the edge of a survey leave them.
    stripe_value : float or None
        That value, in the unit of the files; None where they have several.
    """

    name: str
    n_images: int
    n_galaxies: int
    bands: tuple[str, ...]
    bands_left_out: tuple[str, ...]
    unit: str
    network_unit: str
    shape: tuple[int, int]
    pixel_scale_arcsec: float | None
    network_scale_arcsec: float | None
    size: int
    noise: tuple[float, ...]
    brightness: tuple[float, ...]
    psf_fwhm_arcsec: float | None
    masked: float
    n_empty: int
    all_alike: bool
    classes: dict[str, int]
    origins: dict[str, str]
    striped: float = 0.0
    stripe_value: float | None = None
    sky_level: tuple[float, ...] = ()
    sky_slope: tuple[float, ...] = ()
    sky: str = "as-is"

    def rows(self) -> list[tuple[str, str]]:
        """Return (what, text) for people, the same keys for every data set."""
        where = self.origins
        return [
            ("images", f"{self.n_images} of {self.n_galaxies} galaxies"),
            (
                "bands",
                ", ".join(self.bands) + _in_brackets(self._left_out(), where.get("bands")),
            ),
            ("unit", self.unit + _in_brackets(where.get("unit"))),
            ("pixel scale", _scale(self.pixel_scale_arcsec) + _in_brackets(where.get("pixel_scale"))),
            ("size", f"{self.shape[0]} x {self.shape[1]} pixels"),
            ("given to the network", self._fit()),
            ("sky noise", _by_band(self.bands, self.noise, self.network_unit)),
            ("brightness", _by_band(self.bands, self.brightness, self.network_unit)),
            ("PSF FWHM", _arcsec(self.psf_fwhm_arcsec) + _in_brackets(where.get("psf"))),
            ("masked", f"{self.masked:.1%}" + _in_brackets(where.get("mask"))),
            ("classes", ", ".join(f"{name} {n}" for name, n in self.classes.items()) or "no labels"),
        ]

    def _left_out(self) -> str | None:
        return f"left out: {', '.join(self.bands_left_out)}" if self.bands_left_out else None

    def _fit(self) -> str:
        text = f"{self.size} x {self.size} pixels"
        if self.pixel_scale_arcsec is None or self.network_scale_arcsec is None:
            return text if self.shape == (self.size, self.size) else f"{text}, resized"
        ratio = self.network_scale_arcsec / self.pixel_scale_arcsec
        if abs(ratio - 1) > 1e-3:
            text += f" of {self.network_scale_arcsec:.4g} arcsec, resampled by {1 / ratio:.3g}"
        side = self.size * ratio
        if side < min(self.shape) - 0.5:
            text += f", the central {side:.0f} of {min(self.shape)} pixels"
        return text

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self)


def account(
    dataset: Dataset, rows: np.ndarray, preprocessing: Preprocessing, name: str | None = None
) -> tuple[Account, np.ndarray]:
    """Return the account of the images at `rows`, and the linear images (n, C, S, S) that it was taken from.

    At most `SAMPLE` images, evenly spaced, are read.
    """
    info = dataset.info
    rows = np.asarray(rows)
    sample = rows[np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int))]
    cutouts = dataset.read(sample)
    linear = preprocessing.linear(cutouts)
    as_is = preprocessing.model_copy(update={"sky": "as-is"})
    raw = linear if preprocessing.sky == "as-is" else as_is.linear(cutouts)
    scale = None if info.pixel_scale is None else float(np.median(info.pixel_scale))
    fwhm = None if info.psf_fwhm is None else float(np.nanmedian(info.psf_fwhm))
    bad, empty = _bad(cutouts)
    share, value = striped(cutouts)
    found = Account(
        name=name or dataset.name,
        n_images=len(rows),
        n_galaxies=len(np.unique(np.asarray(info.groups)[rows])),
        bands=tuple(preprocessing.bands),
        bands_left_out=tuple(band for band in info.bands if band not in preprocessing.bands),
        unit=str(info.unit),
        network_unit=preprocessing.unit,
        shape=(int(info.shape[1]), int(info.shape[2])),
        pixel_scale_arcsec=scale,
        network_scale_arcsec=preprocessing.pixel_scale_arcsec,
        size=preprocessing.size,
        noise=tuple(training_sky_sigma(linear)),
        brightness=_brightness(linear),
        psf_fwhm_arcsec=None if fwhm is None or not np.isfinite(fwhm) else fwhm,
        masked=bad,
        n_empty=empty,
        all_alike=len(linear) > 1 and bool((linear == linear[:1]).all()),
        classes=_class_counts(info, rows),
        origins={key: str(text) for key, text in (getattr(info, "origins", None) or {}).items()},
        striped=share,
        stripe_value=value,
        sky_level=_lowest(sky_levels(raw)),
        sky_slope=_lowest(sky_slopes(raw)),
        sky=preprocessing.sky,
    )
    return found, linear


def write_accounts(run: Path, accounts: Mapping[str, Account]) -> None:
    """Write ``data.json`` into a run: what it was trained on, by role."""
    write_json(run / FILE, {role: one.document() for role, one in accounts.items()})


def read_accounts(run: Path) -> dict[str, Account]:
    """Return what a run was trained on, by role; empty for runs that did not record it.

    Raises
    ------
    DataError
        When the record is damaged.
    """
    tuples = ("bands", "bands_left_out", "shape", "noise", "brightness", "sky_level", "sky_slope")

    def made(stored: Any) -> dict[str, Account]:
        return {
            role: Account(**{**one, **{key: tuple(one[key]) for key in tuples if key in one}})
            for role, one in stored.items()
        }

    return read_record(Path(run) / FILE, "the run's record of its data is damaged", made) or {}


def _bad(cutouts: Cutouts) -> tuple[float, int]:
    """Fraction of bad pixels, and the number of images without a good one."""
    if cutouts.mask is None:
        return 0.0, 0
    flat = cutouts.mask.reshape(len(cutouts), -1)
    return float(flat.mean()), int(flat.all(axis=1).sum())


def _lowest(values: np.ndarray) -> tuple[float, ...]:
    """The 10th percentile over images, by band: a galaxy reaches into most borders, not into all."""
    return tuple(float(value) for value in np.percentile(values, 10, axis=0))


def _brightness(linear: np.ndarray) -> tuple[float, ...]:
    """Median over images of the 99.5th percentile above the image's median, by band; never 0."""
    flat = linear.reshape(*linear.shape[:2], -1)
    above = np.percentile(flat, 99.5, axis=2) - np.median(flat, axis=2)
    found = np.median(above, axis=0)
    return tuple(float(value) for value in np.where(found > 0, found, np.finfo(np.float32).tiny))


def _class_counts(info: Any, rows: np.ndarray) -> dict[str, int]:
    labels = None if info.labels is None else np.asarray(info.labels)[rows]
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
        return {}
    return {name: int((labels == k).sum()) for k, name in enumerate(info.classes)}


def _in_brackets(*notes: str | None) -> str:
    said = [note for note in notes if note]
    return f" ({'; '.join(said)})" if said else ""


def _scale(scale: float | None) -> str:
    return "not known" if scale is None else f"{scale:.4g} arcsec / pixel"


def _arcsec(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3g} arcsec"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= value < 1e6 else f"{value:.3g}"


def _by_band(bands: Sequence[str], values: Sequence[float], unit: str) -> str:
    shown = ", ".join(f"{band} {_number(value)}" for band, value in zip(bands, values, strict=True))
    return shown if unit == DIMENSIONLESS else f"{shown} {unit}"
