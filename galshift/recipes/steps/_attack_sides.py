"""The models of an attack, and the images as each of them sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.audit.attack import Images, Setting
from galshift.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from galshift.data.options import ReadOptions
    from galshift.recipes.steps._judging import Classifier, JudgedSet
    from galshift.recipes.steps.one_pixel_attack import OnePixelAttackConfig


@dataclass(frozen=True)
class Attacked:
    """One model and the images as it sees them."""

    classifier: Classifier
    setting: Setting
    images: Images
    spread: float


def open_attacked(config: OnePixelAttackConfig, device: str) -> tuple[JudgedSet, list[Attacked]]:
    """Open models and images; the same rows for every model, drawn before any is looked at."""
    from galshift.recipes.steps._judging import open_classifiers
    from galshift.training.device import choose_device

    classifiers = open_classifiers([config.run, *config.compare], with_baseline=False)
    classes = list(classifiers[0].trained.classes)
    if config.target is not None and config.target not in classes:
        raise ConfigError(
            f"the model has no class '{config.target}'",
            where="target",
            hint=did_you_mean(config.target, classes),
        )
    judged = labelled_images(classifiers, config.data, config.read, config.limit, config.seed)
    choice = choose_device(device, "float32").device
    return judged, [_attacked(classifier, judged, classes, config, choice) for classifier in classifiers]


def labelled_images(
    classifiers: Sequence[Classifier],
    data: str,
    read: ReadOptions,
    limit: int | None,
    seed: int,
    *,
    why: str = "only right answers can be attacked",
) -> JudgedSet:
    """Return the images of `data` whose labels the models know, at most `limit`, drawn by the seed.

    `why` ends the sentence that refuses images without labels.

    Raises
    ------
    DataError
        When there is none.
    """
    from dataclasses import replace

    from galshift.recipes.steps._judging import open_judged
    from galshift.streams import numpy_stream

    judged = open_judged(classifiers, [data], read, list(classifiers[0].trained.classes))[0]
    known = np.flatnonzero(judged.labels >= 0)
    if not len(known):
        raise DataError(
            f"the images have no labels that the model knows, and {why}",
            where=data,
            hint="give them with --labels file.csv or --labels COLUMN",
        )
    if limit is not None and limit < len(known):
        drawn = numpy_stream(seed, "one-pixel-attack", "limit").choice(len(known), limit, False)
        known = known[np.sort(drawn)]
    return replace(judged, rows=judged.rows[known], labels=judged.labels[known])


def linear_images(classifier: Classifier, judged: JudgedSet) -> Tensor:
    """Return (N, C, S, S) in the model's own bands, scale and unit; NaN where a band has no good pixel."""
    import torch

    pre = classifier.trained.preprocessing
    pre.check(judged.dataset.info, judged.name)
    parts = [
        _linear(pre, judged.dataset.read(rows))
        for rows in np.array_split(judged.rows, max(1, len(judged.rows) // 128))
    ]
    return torch.from_numpy(np.concatenate(parts))


def _attacked(
    classifier: Classifier, judged: JudgedSet, classes: list[str], config: OnePixelAttackConfig, device: Any
) -> Attacked:
    """Return one model with the images in its own bands, scale and unit, and its own range of values."""
    from galshift.audit.attack import value_range
    from galshift.audit.faults import FAULTS
    from galshift.audit.faults._base import Scene
    from galshift.recipes.steps._detectors import survey_detector

    trained = classifier.trained
    pre = trained.preprocessing
    linear = linear_images(classifier, judged)
    detector = config.detector
    survey = config.survey or judged.dataset.info.survey
    fault = FAULTS.get(config.fault.kind)(config.fault.config)
    if not fault.stretched and not detector.electrons_per_unit and survey is not None:
        detector = survey_detector(survey, pre.bands, pre.unit, pre.pixel_scale_arcsec)
    if not fault.stretched:
        detector.scale(len(pre.bands))
    own = [trained.classes.index(name) for name in classes]
    images = Images(
        linear, np.array(own)[judged.labels], list(judged.ids), list(trained.classes), list(pre.bands)
    )
    scene = Scene(tuple(pre.bands), detector, *value_range(pre.stretch, linear))
    target = None if config.target is None else trained.classes.index(config.target)
    model = trained.model.to(device).eval()
    setting = Setting(model, pre.stretch, fault, scene, pre.image_dependent, target)
    return Attacked(classifier, setting, images, _spread(setting, images))


def _linear(pre: Any, cutouts: Any) -> np.ndarray:
    """Return the images as the model takes them, NaN where a band has no good pixel at all."""
    linear = pre.linear(cutouts)
    if cutouts.mask is not None:
        empty = cutouts.mask.reshape(len(linear), -1, *cutouts.mask.shape[-2:]).all(axis=(2, 3)).any(axis=1)
        linear[empty] = np.nan
    return linear


def _spread(setting: Setting, images: Images) -> float:
    """Return the within-class spread of the clean features."""
    import torch

    from galshift.audit.summary import within_class_spread

    keep = torch.isfinite(images.linear).all(dim=(1, 2, 3)).numpy()
    device = next(setting.model.parameters()).device
    with torch.inference_mode():
        features = [
            setting.model(setting.stretch(part.to(device))).features.cpu().numpy()
            for part in images.linear[keep].split(64)
        ]
    return within_class_spread(np.concatenate(features), images.labels[keep]) if features else float("nan")
