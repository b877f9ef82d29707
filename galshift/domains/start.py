"""What a training starts from: another run's weights and constants, or constants fitted on its own source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from galshift.data.options import ReadOptions
from galshift.data.preprocess import PreprocessConfig, Preprocessing, fit_preprocessing
from galshift.domains.account import account
from galshift.domains.domain import Domain
from galshift.domains.frame import common_frame
from galshift.domains.unlike import sky_to_take_off
from galshift.errors import DataError
from galshift.training.checkpoint import Trained
from galshift.training.start import start_from


def started(
    init: str | None,
    config: PreprocessConfig,
    read: ReadOptions,
    seed: int,
    source: tuple[str, Domain],
    *others: tuple[str, Domain],
) -> tuple[Trained | None, Preprocessing]:
    """Return the run to start from, if any, and the preprocessing of all domains.

    Where their skies differ and `config` leaves it open, it takes each image's own off.

    Parameters
    ----------
    init : str or None
        Run to start from.
    config : PreprocessConfig
    read : ReadOptions
        How the source was read.
    seed : int
    source, *others : tuple of str and Domain
        Path and domain; constants are fitted on the first one's training part.

    Raises
    ------
    DataError
        When the domains cannot be brought to common bands, unit and pixel scale.
    """
    path, first = source
    bands = config.bands or list(first.info.bands)
    trained = start_from(init, list(first.info.classes), bands, read.label_kind)
    with _said_of("source" if others else ""):
        if trained is None:
            frame = common_frame(config, first.info, *(domain.info for _, domain in others))
            preprocessing = fit_preprocessing(first.dataset, first.parts["train"], frame, seed)
        else:
            preprocessing = trained.preprocessing
            preprocessing.check(first.info, path)
    for where, domain in others:
        with _said_of("target"):
            preprocessing.check(domain.info, where)
    if trained is None and config.sky == "auto" and others:
        seen = (account(one.dataset, one.parts["train"], preprocessing)[0] for _, one in (source, *others))
        sky = sky_to_take_off(tuple(seen))
        if sky != "as-is":
            frame = frame.model_copy(update={"sky": sky})
            preprocessing = fit_preprocessing(first.dataset, first.parts["train"], frame, seed)
    return trained, preprocessing


@contextmanager
def _said_of(role: str) -> Iterator[None]:
    """Let hints name the options about one of two data sets; without the role in them they go for both."""
    try:
        yield
    except DataError as error:
        if role and error.hint:
            error.hint = re.sub(r"--(unit|pixel-scale|bands|hdu)\b", rf"--{role}-\1", error.hint)
        raise
