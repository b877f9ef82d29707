"""The source observed on the fly: a survey's mocks made anew at every draw, so that none need be stored.

The validation and test parts, and the fit of the preprocessing, see each galaxy's one fixed mock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from galshift.domains.config import OnTheFly
from galshift.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from galshift.data.cutouts import Cutouts, Dataset
    from galshift.data.preprocess import Preprocessing
    from galshift.mocks.on_the_fly import Observer
    from galshift.training.sets import Observe

_FIXED = -1  # the draw that everything but training sees


class Observed:
    """A data set as a survey shows it; images that it is made of stay noise-free.

    Parameters
    ----------
    dataset : Dataset
        With a known unit and one pixel scale.
    config : OnTheFly

    Raises
    ------
    DataError
        When the unit or the pixel scale is not known, or the survey has none of the bands.
    """

    def __init__(self, dataset: Dataset, config: OnTheFly) -> None:
        from galshift import surveys
        from galshift.mocks.config import ObserveConfig
        from galshift.mocks.on_the_fly import Observer

        info, survey = dataset.info, surveys.load(config.survey)
        if info.pixel_scale is None:
            raise DataError(
                "galaxies to observe need a pixel scale",
                where=dataset.path,
                hint="give --pixel-scale in arcsec",
            )
        bands = tuple(band for band in info.bands if band in survey.bands)
        if not bands:
            raise DataError(
                f"{survey.name} has none of the bands {', '.join(info.bands)}",
                where=dataset.path,
                hint=f"its bands are {', '.join(survey.bands)}; name the data's with --bands",
            )
        self.inner, self.config, self.path, self.name = dataset, config, dataset.path, dataset.name
        self.scale, self.side = float(np.median(info.pixel_scale)), min(info.shape[1:])
        how = ObserveConfig(noise=config.noise, seeing=config.seeing, random_phase=config.random_phase)
        self.look: Observer = Observer(survey, bands, self.scale, how, config.seed)
        side = self.look.side(self.side)
        self.info = replace(
            info,
            shape=(len(bands), side, side),
            unit="nJy",
            pixel_scale=survey.pixel_scale.value,
            bands=bands,
            survey=survey.name,
            psf_fwhm=None,
            has_mask=False,
            has_ivar=False,
            has_psf=False,
            ragged=False,
        )

    def __len__(self) -> int:
        return len(self.inner)

    def raw(self, cutouts: Cutouts) -> np.ndarray:
        """Return the noise-free images (B, C, side, side) [nJy / pixel] of the survey's bands."""
        from galshift.data.preprocess import linear_images

        return linear_images(
            cutouts, bands=list(self.look.bands), unit="nJy", scale=self.scale, size=self.side
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the fixed mocks at `indices`."""
        import torch

        cutouts = self.inner.read(indices)
        draws = [_FIXED] * len(cutouts)
        mocks = self.look(torch.from_numpy(self.raw(cutouts)), [str(name) for name in cutouts.ids], draws)
        return self._cutouts(mocks).with_(
            ids=cutouts.ids,
            groups=cutouts.groups,
            labels=cutouts.labels,
            classes=cutouts.classes,
            table=cutouts.table,
        )

    def observer(self, preprocessing: Preprocessing) -> Observe:
        """Return the training set's hook: noise-free images to linear network input, anew each draw."""
        import torch

        def observe(linear: Tensor, ids: Sequence[str], draws: Sequence[int]) -> Tensor:
            mocks = self.look(linear, ids, draws)
            return torch.from_numpy(preprocessing.linear(self._cutouts(mocks)))

        return observe

    def _cutouts(self, mocks: Tensor) -> Cutouts:
        from galshift.data.cutouts import Cutouts

        info = self.info
        return Cutouts(mocks.cpu().numpy(), unit=info.unit, pixel_scale=info.pixel_scale, bands=info.bands)


def observed(dataset: Dataset, config: OnTheFly | None) -> Dataset:
    """Return `dataset` as `config` says it is observed; as it is for None."""
    return dataset if config is None else Observed(dataset, config)
