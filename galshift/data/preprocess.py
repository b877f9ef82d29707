"""From cut-outs of any survey to what the network sees, by constants fitted once on the training split.

Order: bands by name, bad pixels, unit, sky, pixel scale, common size (still linear), then the stretch.  The
constants travel in the checkpoint and are replayed on every later data set; they are never fitted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from galshift.data.cutouts import Cutouts, DataInfo, Dataset
from galshift.data.input_config import PreprocessConfig
from galshift.data.match import band_order, fill_bad, has_pixels, match_scale
from galshift.data.sky_level import Sky, without_sky
from galshift.data.stretch import Stretch, border, raw_stretch
from galshift.data.units import DIMENSIONLESS, conversion, is_per_area
from galshift.errors import DataError
from galshift.streams import numpy_stream
from galshift.types import Grown

FIT_IMAGES = 2048
FIT_BYTES = 512 << 20
_PART = 128
PICTURE_SIZE = 128


class Preprocessing(Grown):
    """The fitted constants; JSON-able, part of the checkpoint.

    Attributes
    ----------
    bands : list of str
    size : int
        Side of the network's input.
    pixel_scale_arcsec : float or None
        None for pictures of no known scale, which are resized whole.
    unit : str
        Of the linear images.
    classes : list of str
    sky_sigma : list of float
        Robust noise of the training images' borders, one a band, in `unit`.
    sky : str
        What is taken off every image, by `galshift.data.sky_level`.
    stretch_constants : Stretch
    """

    newer: ClassVar[Mapping[str, Any]] = {"sky": "as-is"}

    bands: list[str]
    size: int
    pixel_scale_arcsec: float | None = None
    unit: str
    classes: list[str] = Field(default_factory=list)
    sky_sigma: list[float]
    sky: Sky = "as-is"
    stretch_constants: Stretch

    @property
    def image_dependent(self) -> bool:
        """True where the stretch of one pixel depends on the other pixels of its image."""
        return self.stretch_constants.kind == "sky-sigma"

    @property
    def n_bands(self) -> int:
        """C, the number of input channels."""
        return len(self.bands)

    def linear(self, cutouts: Cutouts) -> np.ndarray:
        """Return (B, C, S, S) float32 linear images in `unit` on the common bands, scale and size.

        Raises
        ------
        DataError
            Where bands, unit or pixel scale cannot be reconciled with the training data.
        """
        scale = self.pixel_scale_arcsec
        return linear_images(
            cutouts, bands=self.bands, unit=self.unit, scale=scale, size=self.size, sky=self.sky
        )

    def stretch(self, linear: Any) -> Any:
        """Return the network's input (B, C, S, S) for linear images; a torch tensor in, one out."""
        return self.stretch_constants(linear)

    def apply(self, cutouts: Cutouts) -> np.ndarray:
        """Return stretched images (B, C, S, S) float32: ``stretch(linear(cutouts))``."""
        import torch

        return self.stretch(torch.from_numpy(self.linear(cutouts))).numpy()

    def check(self, info: DataInfo, name: object = None) -> None:
        """Refuse a data set that cannot be reconciled, before a pixel is read.

        Raises
        ------
        DataError
            Naming both sides and the option that would help.
        """
        try:
            band_order(info.bands, self.bands)
            unit = _known_unit(info)
            conversion(unit, self.unit, info.pixel_scale)
            check_scale(info.pixel_scale, self.pixel_scale_arcsec)
        except DataError as error:
            raise DataError(error.what, where=error.where or name, hint=error.hint) from None


def fit_preprocessing(
    dataset: Dataset, indices: np.ndarray | None, config: PreprocessConfig | None = None, seed: int = 42
) -> Preprocessing:
    """Fit the constants on training images.

    At most 2048 images (512 MB), chosen by `seed`, are read.

    Parameters
    ----------
    dataset : Dataset
    indices : ndarray or None
        (n,) rows of the training images, in any order; None for all.
    config : PreprocessConfig, optional
    seed : int

    Raises
    ------
    DataError
        When there are no images, none has a pixel that is good and not zero, the unit is not known, a wanted
        band is not there, or a pixel scale is wanted and the data set's is not known.
    """
    config = config or PreprocessConfig()
    info = dataset.info
    chosen = np.unique(np.arange(len(dataset)) if indices is None else np.asarray(indices))
    if not len(chosen):
        raise DataError("there are no training images to fit the preprocessing on", where=dataset.name)
    unit = common_unit(_known_unit(info, dataset.name), info.pixel_scale)
    scale = config.pixel_scale_arcsec
    if scale is None and info.pixel_scale is not None:
        scale = float(np.median(info.pixel_scale))
    if scale is not None and info.pixel_scale is None:
        check_scale(None, scale)
    size = config.size or _default_size(info, scale)
    bands = list(config.bands) or list(info.bands)
    most = min(FIT_IMAGES, max(64, FIT_BYTES // (4 * len(bands) * size**2)))
    if len(chosen) > most:
        picked = numpy_stream(seed, "preprocess", "fit").choice(len(chosen), most, replace=False)
        chosen = chosen[np.sort(picked)]
    sky: Sky = "as-is" if config.sky == "auto" else config.sky
    images = np.empty((len(chosen), len(bands), size, size), dtype=np.float32)
    good = np.ones(len(chosen), dtype=bool)
    for start in range(0, len(chosen), _PART):
        part = slice(start, start + _PART)
        cutouts = dataset.read(chosen[part])
        good[part] = has_pixels(cutouts)
        images[part] = linear_images(cutouts, bands=bands, unit=unit, scale=scale, size=size, sky=sky)
    images = images if good.all() else images[good]
    if not images.any():
        raise DataError(
            "no training image has a pixel that is good and not zero",
            where=dataset.path,
            hint="galshift inspect shows what the images hold",
        )
    kind = config.stretch
    if kind == "auto":
        kind = "linear" if unit == DIMENSIONLESS else "asinh"
    sigma = training_sky_sigma(images)
    fixed = config.normalise if unit == DIMENSIONLESS else None
    return Preprocessing(
        bands=bands,
        size=size,
        pixel_scale_arcsec=scale,
        unit=unit,
        classes=list(info.classes),
        sky_sigma=sigma,
        sky=sky,
        stretch_constants=_fit_stretch(kind, images, sigma, config.softening, fixed),
    )


def linear_images(
    cutouts: Cutouts, *, bands: list[str], unit: str, scale: float | None, size: int, sky: Sky = "as-is"
) -> np.ndarray:
    """Return (B, C, S, S) float32 images with these bands, unit, pixel scale [arcsec], size and sky."""
    order = band_order(cutouts.bands, bands)
    images = cutouts.images[:, order]
    mask = cutouts.mask
    if mask is not None:
        mask = mask[:, order] if mask.ndim == 4 else np.broadcast_to(mask[:, None], images.shape)
        images = fill_bad(images, mask)
    check_scale(cutouts.pixel_scale, scale)
    factor = conversion(cutouts.unit, unit, cutouts.pixel_scale)
    if np.ndim(factor) or factor != 1.0:
        images = (images * np.reshape(factor, (-1, 1, 1, 1))).astype(np.float32)
    images = without_sky(images, sky)  # before it is resampled, which pads what it lacks with 0
    return match_scale(images, cutouts.pixel_scale, scale, size, average=is_per_area(unit))


def check_scale(pixel_scale: float | np.ndarray | None, wanted: float | None) -> None:
    """Refuse images without a pixel scale where the model works at one, `wanted` [arcsec / pixel].

    Raises
    ------
    DataError
        When `pixel_scale` is None and `wanted` is not.
    """
    if pixel_scale is None and wanted is not None:
        raise DataError(
            f"the pixel scale of these images is not known, and the model works at {wanted:g} arcsec / pixel",
            hint="give --pixel-scale in arcsec",
        )


def common_unit(unit: str, pixel_scale: float | np.ndarray | None) -> str:
    """Return nJy where `unit` can be changed to it, else `unit`.

    Between a flux and a surface brightness that takes the pixel scale [arcsec / pixel], one or (N,).
    """
    try:
        conversion(unit, "nJy", pixel_scale)
    except DataError:
        return unit
    return "nJy"


def training_sky_sigma(images: np.ndarray) -> list[float]:
    """Return the median over (N, C, H, W) images of the robust noise of their borders, by band, never 0.

    Noise-free images have a sigma of 0 there; a thousandth of the 99.5th percentile of |flux| stands in.
    """
    import torch

    edge = border(torch.from_numpy(images)).numpy()
    spread = 1.4826 * np.median(np.abs(edge - np.median(edge, axis=-1, keepdims=True)), axis=-1)
    # Band by band, here and below: the copies that a percentile makes stay small.
    bright = np.asarray([np.percentile(np.abs(images[:, c]), 99.5) for c in range(images.shape[1])])
    sigma = np.median(spread, axis=0)
    floor = np.where(bright > 0, bright, 1.0) * 1e-3
    return [float(value) for value in np.where(sigma > floor * 1e-3, sigma, floor)]


def _fit_stretch(
    kind: str,
    images: np.ndarray,
    sigma: list[float],
    softening: float,
    fixed: tuple[float, float] | None = None,
) -> Stretch:
    ones = [1.0] * images.shape[1]
    constants: dict[str, Any] = {"kind": kind, "mean": [0.0] * len(ones), "std": ones}
    if kind in ("asinh", "sky-sigma"):
        constants["softening"] = [softening * value for value in sigma]
    elif kind == "percentile":
        limits = [np.percentile(images[:, c], (0.1, 99.9)) for c in range(images.shape[1])]
        low, high = np.transpose(limits)
        constants["low"] = [float(value) for value in low]
        constants["high"] = [float(max(value, 1e-30)) for value in high]
    elif kind == "lupton":
        constants["range"] = float(5 * softening * np.mean(sigma))
    stretch = Stretch(**constants)
    if fixed is not None:
        return stretch.model_copy(update={"mean": [fixed[0]] * len(ones), "std": [fixed[1]] * len(ones)})
    mean, std = _mean_and_std(stretch, images)
    return stretch.model_copy(
        update={"mean": mean.tolist(), "std": [s if s > 0 else 1.0 for s in std.tolist()]}
    )


def _mean_and_std(stretch: Stretch, images: np.ndarray) -> tuple[Any, Any]:
    """Return mean and spread of the raw stretch by band, in two passes over pieces that fit in memory."""
    import torch

    parts = torch.from_numpy(images).split(_PART)
    n = images[:, 0].size
    mean = sum(raw_stretch(stretch, part).double().sum(dim=(0, 2, 3)) for part in parts) / n
    away = ((raw_stretch(stretch, part).double() - mean.view(-1, 1, 1)) ** 2 for part in parts)
    return mean, (sum(square.sum(dim=(0, 2, 3)) for square in away) / max(1, n - 1)).sqrt()


def _default_size(info: DataInfo, scale: float | None) -> int:
    side = min(info.shape[1:])
    if scale is None:
        return min(side, PICTURE_SIZE) if info.unit == DIMENSIONLESS else side
    return max(8, round(side * float(np.median(info.pixel_scale)) / scale))


def _known_unit(info: DataInfo, name: object = None) -> str:
    if info.unit is None:
        raise DataError(
            "the unit of these images is not known",
            where=name,
            hint="declare it with --unit, such as --unit nJy, nanomaggy, MJy/sr or mag/arcsec2",
        )
    return info.unit
