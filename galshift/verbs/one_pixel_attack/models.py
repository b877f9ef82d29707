"""The models of an attack, and the images as each of them sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from galshift.audit.attack import Images, Setting, value_range
from galshift.audit.detectors import survey_detector
from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Scene
from galshift.audit.summary import within_class_spread
from galshift.errors import ConfigError, did_you_mean
from galshift.models.precision import exact_float32
from galshift.runs.classifiers import Classifier, open_classifiers, require_classes
from galshift.runs.linear_images import LinearImages, labelled_images
from galshift.runs.test_sets import TestSet
from galshift.training.device import choose_device
from galshift.verbs.one_pixel_attack.config import OnePixelAttackConfig

_BATCH = 64


@dataclass(frozen=True)
class Attacked:
    """One model, the images as it sees them, which of them are finite (N,) bool, and its features' spread."""

    classifier: Classifier
    setting: Setting
    images: Images
    finite: np.ndarray
    spread: float


def open_attacked(config: OnePixelAttackConfig, device: str) -> tuple[TestSet, list[Attacked]]:
    """Open models and images; the same rows for every model, drawn before any is classified.

    Raises
    ------
    ConfigError
        When the class to be reached is none of the model's.
    DataError
        When a model predicts continuous labels.
    """
    classifiers = open_classifiers([config.run, *config.compare], with_baseline=False)
    require_classes(*(one.trained for one in classifiers))
    classes = list(classifiers[0].trained.classes)
    if config.target is not None and config.target not in classes:
        raise ConfigError(
            f"the model has no class '{config.target}'",
            where="target",
            hint=did_you_mean(config.target, classes),
        )
    test_set = labelled_images(classifiers, config.data, config.read, config.limit, config.seed)
    choice = choose_device(device, "float32").device
    return test_set, [_attacked(classifier, test_set, classes, config, choice) for classifier in classifiers]


def _attacked(
    classifier: Classifier,
    test_set: TestSet,
    classes: list[str],
    config: OnePixelAttackConfig,
    device: torch.device,
) -> Attacked:
    """Return one model with the images in its own bands, scale and unit, and its own range of values."""
    trained = classifier.trained
    pre = trained.preprocessing
    linear = LinearImages(classifier, test_set)
    detector = config.detector
    survey = config.survey or test_set.dataset.info.survey
    fault = FAULTS.get(config.fault.kind)(config.fault.config)
    if not fault.stretched and not detector.electrons_per_unit and survey is not None:
        detector = survey_detector(survey, pre.bands, pre.unit, pre.pixel_scale_arcsec)
    if not fault.stretched:
        detector.scale(len(pre.bands))
    own = np.array([trained.classes.index(name) for name in classes])[test_set.labels]
    images = Images(linear, own, list(test_set.ids), list(trained.classes), list(pre.bands))
    model = trained.model.to(device).eval()
    low, high, finite, spread = _measured(model, pre.stretch, linear, own)
    scene = Scene(tuple(pre.bands), detector, low, high)
    target = None if config.target is None else trained.classes.index(config.target)
    setting = Setting(model, pre.stretch, fault, scene, pre.image_dependent, target)
    return Attacked(classifier, setting, images, finite, spread)


def _measured(
    model: nn.Module, stretch: Callable[[Tensor], Tensor], linear: LinearImages, labels: np.ndarray
) -> tuple[Tensor, Tensor, np.ndarray, float]:
    """Return, in one pass, each band's stretched range, which images are finite, and the features' spread."""
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
                model(stretch(part.to(device))).features.cpu().numpy() for part in block[good].split(_BATCH)
            ]
    usable = np.concatenate(finite)
    if not features:
        zero = torch.zeros(linear.shape[1])
        return zero, zero + 1, usable, float("nan")
    low, high = (torch.stack(ends) for ends in zip(*ranges))
    return low.amin(0), high.amax(0), usable, within_class_spread(np.concatenate(features), labels[usable])
