"""What ``audit.json`` holds: accuracy clean and damaged for each model, and the models side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift import console
from galshift.errors import DataError
from galshift.runs.partial import Kept, Part

if TYPE_CHECKING:
    from torch import Tensor

    from galshift.audit.corruptions._base import Corruption
    from galshift.audit.withstand import Subject
    from galshift.runs.classifiers import Classifier
    from galshift.runs.test_sets import TestSet
    from galshift.verbs.audit.config import AuditConfig

SHOWN_SEVERITY = 3


def audit(
    config: AuditConfig, device: str, kept: Kept
) -> tuple[dict[str, Any], list[tuple[str, np.ndarray]]]:
    """Audit every model; what `kept` holds is not done again.

    Returns
    -------
    results : dict
    examples : list of (str, ndarray)
        One image (C, S, S), clean and under each corruption at severity 3.
    """
    from galshift.audit.corruptions._base import SEVERITIES
    from galshift.audit.withstand import compare_damage, damaged, summarise_damage
    from galshift.runs.classifiers import open_classifiers
    from galshift.runs.linear_images import labelled_images

    classifiers = open_classifiers([config.run, *config.compare], with_baseline=config.baseline)
    why = "without them no accuracy can be counted"
    judged = labelled_images(classifiers, config.data, config.read, config.limit, config.seed, why=why)
    subjects, keep = _subjects(classifiers, judged, config, device)
    kinds = _corruptions(config, subjects[0].linear.shape[1])
    groups = np.asarray(judged.groups)[keep]
    outcomes = _outcomes(subjects, kinds, config.seed, kept)
    options = {"n_bootstrap": config.n_bootstrap, "seed": config.seed}
    pairs = [
        compare_damage([subjects[i].name, subjects[j].name], [outcomes[i], outcomes[j]], groups, **options)
        for i, j in combinations(range(len(subjects)), 2)
    ]
    first = subjects[0]
    examples = [("clean", first.linear[0].numpy())] + [
        (name, damaged(_one(first), name, kind, SHOWN_SEVERITY, config.seed)[0])
        for name, kind in kinds.items()
    ]
    left_out = len(keep) - int(keep.sum())
    results = {
        "data": judged.name,
        "n": int(keep.sum()),
        "n_galaxies": len(set(groups)),
        "seed": config.seed,
        "severities": list(SEVERITIES),
        "corruptions": {name: _about(kind) for name, kind in kinds.items()},
        "models": [
            {
                "name": classifier.name,
                "run": str(classifier.path),
                "adapted": classifier.adapted,
                **summarise_damage(done, groups, **options),
            }
            for classifier, done in zip(classifiers, outcomes)
        ],
        "compare": pairs,
        "warnings": [*judged.notes, *_warnings(int(keep.sum()), left_out)],
    }
    return results, examples


def _outcomes(
    subjects: Sequence[Subject], kinds: Mapping[str, Corruption], seed: int, kept: Kept
) -> list[dict[str, np.ndarray]]:
    """Return what each model gets right under all damage."""
    from galshift.audit.corruptions._base import SEVERITIES
    from galshift.audit.withstand import withstand

    kept.say("cells of damage and severity")
    found = []
    for number, subject in enumerate(subjects):
        with console.progress(f"audit {subject.name}", len(kinds) * len(SEVERITIES)) as bar:
            once = _once(kept, number)
            found.append(
                withstand(
                    subject, kinds, seed, once=once, progress=lambda note, bar=bar: bar.advance(1, note)
                )
            )
    return found


def _once(kept: Kept, model: int) -> Callable[[str, int, Callable[[], np.ndarray]], np.ndarray]:
    """Return how `withstand` finds what one model gets right: on disk, else now, and then on disk."""

    def once(name: str, severity: int, find: Callable[[], np.ndarray]) -> np.ndarray:
        return kept.once(lambda: Part(arrays={"right": find()}), model, name, severity).arrays["right"]

    return once


def _subjects(
    classifiers: Sequence[Classifier], judged: TestSet, config: AuditConfig, device: str
) -> tuple[list[Subject], np.ndarray]:
    """Return every model with its images, and which images (N,) bool all of them can take."""
    import torch

    from galshift.audit.corruptions._base import Frame
    from galshift.audit.withstand import Subject
    from galshift.runs.linear_images import LinearImages
    from galshift.training.device import choose_device

    place = choose_device(device, "float32").device
    linear: list[Tensor] = [torch.cat(list(LinearImages(c, judged).blocks())) for c in classifiers]
    keep = np.logical_and.reduce([torch.isfinite(x).all(dim=(1, 2, 3)).numpy() for x in linear])
    if not keep.any():
        raise DataError("no image is finite in every band", where=config.data)
    classes = list(classifiers[0].trained.classes)
    subjects = []
    for classifier, images in zip(classifiers, linear):
        trained, pre = classifier.trained, classifier.trained.preprocessing
        own = np.array([trained.classes.index(name) for name in classes])
        subjects.append(
            Subject(
                classifier.name,
                trained.model.to(place).eval(),
                pre.stretch,
                images[keep],
                own[judged.labels[keep]],
                [str(name) for name in np.asarray(judged.ids)[keep]],
                Frame(np.asarray(pre.sky_sigma)),
            )
        )
    return subjects, keep


def _corruptions(config: AuditConfig, n_bands: int) -> Mapping[str, Corruption]:
    from galshift.audit.corruptions import CORRUPTIONS

    kinds = {name: CORRUPTIONS.get(name)() for name in config.corruptions or CORRUPTIONS.names()}
    usable = {name: kind for name, kind in kinds.items() if n_bands >= kind.min_bands}
    if not usable:
        raise DataError(
            f"{', '.join(kinds)}: this needs more than {n_bands} band",
            where="corruptions",
            hint="name another",
        )
    return usable


def _about(kind: Corruption) -> dict[str, Any]:
    what = (kind.__doc__ or "").split("\n")[0]
    return {"levels": list(kind.levels), "unit": kind.unit, "what": what}


def _one(subject: Subject) -> Subject:
    """Return the subject with its first image alone."""
    from dataclasses import replace

    return replace(subject, linear=subject.linear[:1], labels=subject.labels[:1], ids=subject.ids[:1])


def _warnings(n: int, left_out: int) -> list[str]:
    found = []
    if n < 30:
        found.append(f"Only {n} images were audited: read the intervals, not the accuracies.")
    if left_out:
        found.append(f"{left_out} images are empty or not finite in a band and were left out.")
    return found
