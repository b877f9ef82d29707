"""What ``audit.json`` holds: accuracy clean and damaged for each model, and the models side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from galshift import console
from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import SEVERITIES, Corruption, Frame
from galshift.audit.withstand import Subject, compare_damage, damaged, summarise_damage, withstand
from galshift.errors import DataError
from galshift.provenance import write_json
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.classifiers import Classifier, open_classifiers, require_classes
from galshift.runs.linear_images import LinearImages, labelled_images
from galshift.runs.partial import Part, PartialResults
from galshift.runs.test_sets import TestSet
from galshift.training.device import choose_device
from galshift.verbs.audit.config import AuditConfig
from galshift.verbs.audit.report import audit_report

SHOWN_SEVERITY = 3


def work(config: AuditConfig, run: RunDirectory, device: str) -> dict[str, Any]:
    """Audit the models of `config`, write numbers and report, and return the results.

    Raises
    ------
    DataError
        When a run or data set cannot be used.
    """
    done = PartialResults(run)
    results, examples = audit(config, device, done)
    write_json(run.path / "audit.json", results)
    build(run.path / "report.html", audit_report(results, examples))
    done.clear()
    return {**results, "outputs": {"results": "audit.json", "report": "report.html"}}


def audit(
    config: AuditConfig, device: str, done: PartialResults
) -> tuple[dict[str, Any], list[tuple[str, np.ndarray]]]:
    """Audit every model; what `done` holds is not done again.

    Returns
    -------
    results : dict
    examples : list of (str, ndarray)
        One image (C, S, S), clean and under each corruption at severity 3.
    """
    classifiers = open_classifiers([config.run, *config.compare], with_baseline=config.baseline)
    require_classes(*(one.trained for one in classifiers))
    why = "without them no accuracy can be counted"
    test_set = labelled_images(classifiers, config.data, config.read, config.limit, config.seed, why=why)
    subjects, keep = _subjects(classifiers, test_set, config, device)
    kinds = _corruptions(config, subjects[0].linear.shape[1])
    groups = np.asarray(test_set.groups)[keep]
    outcomes = _outcomes(subjects, kinds, config.seed, done)
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
        "data": test_set.name,
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
                **summarise_damage(right, groups, **options),
            }
            for classifier, right in zip(classifiers, outcomes, strict=True)
        ],
        "compare": pairs,
        "warnings": [*test_set.notes, *_warnings(int(keep.sum()), left_out)],
    }
    return results, examples


def _outcomes(
    subjects: Sequence[Subject], kinds: Mapping[str, Corruption], seed: int, partial: PartialResults
) -> list[dict[str, np.ndarray]]:
    """Return what each model gets right under all damage."""
    partial.say("cells of damage and severity")
    found = []
    for number, subject in enumerate(subjects):
        with console.progress(f"audit {subject.name}", len(kinds) * len(SEVERITIES)) as bar:
            once = _once(partial, number)
            found.append(
                withstand(
                    subject, kinds, seed, once=once, progress=lambda note, bar=bar: bar.advance(1, note)
                )
            )
    return found


def _once(partial: PartialResults, model: int) -> Callable[[str, int, Callable[[], np.ndarray]], np.ndarray]:
    """Return how `withstand` finds what one model gets right: on disk, else now, and then on disk."""

    def once(name: str, severity: int, find: Callable[[], np.ndarray]) -> np.ndarray:
        return partial.once(lambda: Part(arrays={"right": find()}), model, name, severity).arrays["right"]

    return once


def _subjects(
    classifiers: Sequence[Classifier], test_set: TestSet, config: AuditConfig, device: str
) -> tuple[list[Subject], np.ndarray]:
    """Return every model with its images, and which images (N,) bool all of them can take."""
    place = choose_device(device, "float32").device
    linear: list[Tensor] = [torch.cat(list(LinearImages(c, test_set).blocks())) for c in classifiers]
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
                own[test_set.labels[keep]],
                [str(name) for name in np.asarray(test_set.ids)[keep]],
                Frame(np.asarray(pre.sky_sigma)),
            )
        )
    return subjects, keep


def _corruptions(config: AuditConfig, n_bands: int) -> Mapping[str, Corruption]:
    kinds = {name: CORRUPTIONS.get(name)() for name in config.corruptions or CORRUPTIONS.available()}
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
    return replace(subject, linear=subject.linear[:1], labels=subject.labels[:1], ids=subject.ids[:1])


def _warnings(n: int, left_out: int) -> list[str]:
    found = []
    if n < 30:
        found.append(f"Only {n} images were audited: read the intervals, not the accuracies.")
    if left_out:
        found.append(f"{left_out} images are empty or not finite in a band and were left out.")
    return found
