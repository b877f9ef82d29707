"""The models of an attack, and the images as each of them sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.audit.attack import Images, Setting
from galshift.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from galshift.data.options import ReadOptions
    from galshift.recipes.steps._classifiers import Classifier
    from galshift.recipes.steps._judging import JudgedSet
    from galshift.recipes.steps.one_pixel_attack import OnePixelAttackConfig


BLOCK = 128


@dataclass(frozen=True)
class Attacked:
    """One model, the images as it sees them, which of them are finite (N,) bool, and its features' spread."""

    classifier: Classifier
    setting: Setting
    images: Images
    finite: np.ndarray
    spread: float


class LinearImages:
    """Images in one model's bands, scale and unit, read when they are asked for; one block is held.

    Parameters
    ----------
    classifier : Classifier
    judged : JudgedSet

    Attributes
    ----------
    shape : tuple of int
        (N, C, S, S).
    """

    def __init__(self, classifier: Classifier, judged: JudgedSet) -> None:
        self._pre, self._judged = classifier.trained.preprocessing, judged
        self._pre.check(judged.dataset.info, judged.name)
        self.shape = (len(judged.rows), len(self._pre.bands), self._pre.size, self._pre.size)
        self._number, self._block = -1, None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, i: int) -> Tensor:
        number, place = divmod(i, BLOCK)
        if number != self._number:
            self._number, self._block = number, self._read(number)
        return self._block[place]

    def blocks(self) -> Iterator[Tensor]:
        """Yield all images, (B, C, S, S) at a time; NaN where a band has no good pixel."""
        for number in range(-(-len(self) // BLOCK)):
            yield self._read(number)

    def _read(self, number: int) -> Tensor:
        import torch

        rows = self._judged.rows[number * BLOCK : (number + 1) * BLOCK]
        return torch.from_numpy(_linear(self._pre, self._judged.dataset.read(rows)))


def open_attacked(config: OnePixelAttackConfig, device: str) -> tuple[JudgedSet, list[Attacked]]:
    """Open models and images; the same rows for every model, drawn before any is looked at."""
    from galshift.recipes.steps._classifiers import open_classifiers
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


def _attacked(
    classifier: Classifier, judged: JudgedSet, classes: list[str], config: OnePixelAttackConfig, device: Any
) -> Attacked:
    """Return one model with the images in its own bands, scale and unit, and its own range of values."""
    from galshift.audit.faults import FAULTS
    from galshift.audit.faults._base import Scene
    from galshift.recipes.steps._detectors import survey_detector

    trained = classifier.trained
    pre = trained.preprocessing
    linear = LinearImages(classifier, judged)
    detector = config.detector
    survey = config.survey or judged.dataset.info.survey
    fault = FAULTS.get(config.fault.kind)(config.fault.config)
    if not fault.stretched and not detector.electrons_per_unit and survey is not None:
        detector = survey_detector(survey, pre.bands, pre.unit, pre.pixel_scale_arcsec)
    if not fault.stretched:
        detector.scale(len(pre.bands))
    own = np.array([trained.classes.index(name) for name in classes])[judged.labels]
    images = Images(linear, own, list(judged.ids), list(trained.classes), list(pre.bands))
    model = trained.model.to(device).eval()
    low, high, finite, spread = _look(model, pre.stretch, linear, own)
    scene = Scene(tuple(pre.bands), detector, low, high)
    target = None if config.target is None else trained.classes.index(config.target)
    setting = Setting(model, pre.stretch, fault, scene, pre.image_dependent, target)
    return Attacked(classifier, setting, images, finite, spread)


def _look(
    model: Any, stretch: Callable[[Tensor], Tensor], linear: LinearImages, labels: np.ndarray
) -> tuple[Tensor, Tensor, np.ndarray, float]:
    """Return, in one pass, each band's stretched range, which images are finite, and the features' spread."""
    import torch

    from galshift.audit.attack import value_range
    from galshift.audit.summary import within_class_spread
    from galshift.models.precision import exact_float32

    device = next(model.parameters()).device
    ranges, finite, features = [], [], []
    with torch.inference_mode(), exact_float32(device):
        for block in linear.blocks():
            good = torch.isfinite(block).all(dim=(1, 2, 3))
            finite.append(good.numpy())
            if not bool(good.any()):
                continue
            ranges.append(value_range(stretch, block[good]))
            features += [
                model(stretch(part.to(device))).features.cpu().numpy() for part in block[good].split(64)
            ]
    kept = np.concatenate(finite)
    if not features:
        zero = torch.zeros(linear.shape[1])
        return zero, zero + 1, kept, float("nan")
    low, high = (torch.stack(ends) for ends in zip(*ranges))
    return low.amin(0), high.amax(0), kept, within_class_spread(np.concatenate(features), labels[kept])


def _linear(pre: Any, cutouts: Any) -> np.ndarray:
    """Return the images as the model takes them, NaN where a band has no good pixel at all."""
    linear = pre.linear(cutouts)
    if cutouts.mask is not None:
        empty = cutouts.mask.reshape(len(linear), -1, *cutouts.mask.shape[-2:]).all(axis=(2, 3)).any(axis=1)
        linear[empty] = np.nan
    return linear
