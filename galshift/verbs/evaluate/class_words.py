"""The sentences of a classifier's report: the result first, in words an astronomer would use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from galshift.evaluation.classes import ACCURACY, MACRO_F1
from galshift.evaluation.honesty import labels_needed
from galshift.runs.classifiers import Classifier, augmentation_of
from galshift.runs.test_sets import TestSet
from galshift.verbs.evaluate.baseline_words import baseline_sentences
from galshift.verbs.evaluate.doubt_words import verdict_sentences
from galshift.verbs.evaluate.result import Evaluation
from galshift.verbs.evaluate.role_words import called, change_words, compared_words, never_words

_LOST_RECALL = 0.15


def opening_sentences(found: Evaluation) -> list[str]:
    """Return how well the first classifier does, compared with what, at what cost."""
    lines = []
    for s in found.sets[::-1]:
        metrics = found.metrics(found.main, s)
        if metrics["labelled"]:
            lines.append(_on_labelled(found, found.main, s, metrics))
        else:
            lines.append(
                f"{s.name} has no labels, so nothing is claimed about accuracy there; what can be said "
                "without labels is below."
            )
    lines += verdict_sentences(found)
    lines += baseline_sentences(found.baselines, found.task.metrics())
    augmented = augmentation_sentence(found)
    return [*lines, *([augmented] if augmented else [])]


def augmentation_sentence(found: Evaluation) -> str | None:
    """Say what augmentation alone would have given, without any image of the target."""
    targets = [s for s in found.sets if s.role != "source" and s.labelled]
    reference = found.compared
    if not targets or reference is None or not reference.roles.source_only:
        return None
    s = targets[-1]
    if all(c.roles.source_only for c in found.classifiers) or reference.roles.n_labels(s.dataset.name):
        return None
    noise = augmentation_of(reference).get("noise")
    kind = "noise and geometric augmentation" if noise and max(noise) > 0 else "augmentation"
    score = found.metrics(reference, s)
    both = " and ".join(metric.says(score[metric.key]) for metric in (ACCURACY, MACRO_F1))
    text = (
        f"What augmentation alone gives: trained on the source with the same {kind} and never shown the "
        f"target, the network reaches {both} on {s.name}"
    )
    plain = [
        c
        for c in found.classifiers
        if c.roles.source_only
        and c.roles.sources == reference.roles.sources
        and c.name != reference.name
        and augmentation_of(c) != augmentation_of(reference)
    ]
    if not plain:
        return text + "."
    other = found.metrics(plain[0], s)
    noise = augmentation_of(plain[0]).get("noise")
    how = "without added noise" if noise and max(noise) == 0 else "with its own augmentation"
    reached = f"{other[ACCURACY.key]:.2f} and {other[MACRO_F1.key]:.2f}"
    text += f"; {how}, {plain[0].name} reaches {reached}. "
    main = found.main
    if not main.adapted or main.roles.target_labels is not None:
        return text.strip()
    alone = score[MACRO_F1.key] - other[MACRO_F1.key]
    gained = found.metrics(main, s)[MACRO_F1.key] - other[MACRO_F1.key]
    return (
        f"{text}Over {plain[0].name}, {main.name} gains {gained:+z.2f} in {MACRO_F1.name}: {alone:+z.2f} "
        f"come with augmentation and {gained - alone:+z.2f} with the target's images."
    )


def unlabelled_sentences(found: Evaluation, s: TestSet) -> list[str]:
    """Return what may be said about a data set without labels."""
    metrics = found.metrics(found.main, s)
    lines = [
        f"No accuracy is claimed for {s.name}, because it has no labels. The shares below are of "
        "predictions, not of galaxies: a classifier that errs has the wrong mix.",
        f"Its mean confidence is {metrics['mean_confidence']:.0%}; {metrics['share_confident']:.0%} of "
        "images are above 90%. Under a shift, confidence can stay high while answers are wrong.",
        f"To know its accuracy to ± 5%, label {labels_needed()} galaxies drawn at random, whatever the "
        f"accuracy is; {labels_needed(0.9)} are enough if it is near 90%.",
    ]
    source = next((o for o in found.sets if o.role == "source" and o.labelled), None)
    if source is not None:
        score = found.metrics(found.main, source)[ACCURACY.key]
        lines.insert(1, f"On held-out images of {source.name}, its own survey, it is right for {score:.0%}.")
    return lines


def class_losses(found: Evaluation) -> list[str]:
    """Return a sentence for each class whose completeness adaptation lowered by more than 0.15."""
    main = found.main
    if found.reference in (None, main.name):
        return []
    lines = []
    for s in found.sets:
        pair = [found.metrics(name, s) for name in (found.reference, main.name)]
        if not all(metrics["labelled"] for metrics in pair):
            continue
        for label in found.classes:
            before, after = (metrics["per_class"][label]["recall"] for metrics in pair)
            if np.isfinite([before, after]).all() and before - after > _LOST_RECALL:
                lines.append(
                    f"Fewer {label} are found on {s.name} than before: completeness {after:.2f} against "
                    f"{before:.2f} for {found.reference}."
                )
    return lines


def _on_labelled(found: Evaluation, main: Classifier, s: TestSet, metrics: Mapping[str, Any]) -> str:
    low, high = metrics["ci95"].get(ACCURACY.key, (float("nan"), float("nan")))
    text = (
        f"On {s.name}, {called(main)} is right for {metrics[ACCURACY.key]:.0%} of the images of "
        f"{metrics['n_groups']} galaxies {never_words(main)} (95% interval {low:.0%} to {high:.0%}); always "
        f"answering '{metrics['majority_class']}' would be right for "
        f"{metrics['majority_class_accuracy']:.0%}."
    )
    gain = found.differences.get(main.name, {}).get(s.name)
    return text if not gain or main.roles.source_only else f"{text} {_gain_sentence(found, s, gain)}"


def _gain_sentence(found: Evaluation, s: TestSet, gain: Mapping[str, Any]) -> str:
    """Say what adaptation changed in accuracy, and whether this test set can tell."""
    other, what = compared_words(found), change_words(found.main)
    if gain["n_changed"] == 0:
        return f"{other} gives the same answer to every image."
    change, (low, high) = gain[ACCURACY.key]["difference"], gain[ACCURACY.key]["ci95"]
    before = found.metrics(found.reference, s)[ACCURACY.key]
    compared = f"{other} reaches {before:.0%}: "
    interval = f"(interval {100 * low:+z.0f} to {100 * high:+z.0f})"
    points = f"{abs(100 * change):.0f} points {interval}"
    if not np.isfinite([low, high]).all() or low <= 0 <= high:
        verdict = f"{compared}a change of {100 * change:+z.0f} points {interval}, "
        if s.role == "source":
            return verdict + "within what chance could make."
        return verdict + f"so this test set cannot tell whether {what} helped."
    if change > 0:
        return compared + f"{what} gained {points}."
    if s.role == "source":
        return compared + f"{what} cost {points} here, on its own survey."
    return compared + f"{what} lost {points}, and it did harm."
