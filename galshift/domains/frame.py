"""The pixel scale, size and bands that several data sets can be brought to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from galshift.errors import DataError

if TYPE_CHECKING:
    from galshift.data.cutouts import DataInfo
    from galshift.data.preprocess import PreprocessConfig


def common_frame(config: PreprocessConfig, *infos: DataInfo) -> PreprocessConfig:
    """Return `config` with the pixel scale, size and bands that all domains can be brought to.

    The coarsest pixel scale is taken, since resampling to a finer one invents nothing; the size is the
    smallest field of view at that scale; bands are those every domain has, in the first one's order.
    Values that the user gave stay.

    Raises
    ------
    DataError
        When the domains have no band in common.
    """
    changes: dict[str, object] = {}
    scales = [_median(info.pixel_scale) for info in infos]
    if config.pixel_scale_arcsec is None and all(scale is not None for scale in scales):
        changes["pixel_scale_arcsec"] = max(scales)
    if config.size is None:
        scale = config.pixel_scale_arcsec or changes.get("pixel_scale_arcsec")
        fields = [
            min(info.shape[1:]) * (own / scale if own is not None and scale else 1)
            for info, own in zip(infos, scales, strict=True)
        ]
        # Rounded before flooring, so that 48.0 arcsec at 0.4 arcsec is not 119 pixels for a rounding error.
        changes["size"] = max(int(np.floor(round(min(fields), 6))), 16)
    if not config.bands and len(infos) > 1:
        shared = [band for band in infos[0].bands if all(band in info.bands for info in infos[1:])]
        if not shared:
            raise DataError(
                f"the domains have no band in common: {' / '.join(', '.join(info.bands) for info in infos)}",
                hint="name them alike, such as --target-bands g,r,i (and --override bands where files say "
                "other names)",
            )
        changes["bands"] = shared
    return config.model_copy(update=changes) if changes else config


def _median(scale: float | np.ndarray | None) -> float | None:
    return None if scale is None else float(np.median(scale))
