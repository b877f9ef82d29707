"""The sentences of an evaluation's report: the answer first, in words an astronomer would use."""

from __future__ import annotations

from typing import Any

import numpy as np

from galshift.evaluation.honesty import labels_needed
from galshift.runs.classifiers import Classifier, augmentation_of
from galshift.runs.test_sets import TestSet
from galshift.verbs.evaluate.result import Evaluation


def answer(found: Evaluation) -> list[str]:
    """Return the opening sentences: how well, compared with what, at what cost."""
    main = found.classifiers[0]
    lines = []
    for s in found.sets[::-1]:
        metrics = found.outcomes[main.name, s.name].metrics
        if metrics["labelled"]:
            lines.append(_labelled_answer(found, main, s, metrics))
        else:
            lines.append(
                f"{s.name} has no labels, so nothing is claimed about accuracy there; what can be said "
                f"without "
                "labels is below."
            )
    augmented = augmentation_sentence(found)
    return [*lines, *([augmented] if augmented else [])]


def augmentation_sentence(found: Evaluation) -> str | None:
    """Say what augmentation alone would have given, without ever looking at the target."""
    targets = [s for s in found.sets if s.role != "source" and s.labelled]
    if not any(c.adapted for c in found.classifiers) or not targets or found.reference is None:
        return None
    s = targets[-1]
    reference = next(c for c in found.classifiers if c.name == found.reference)
    noise = augmentation_of(reference).get("noise")
    kind = "noise and geometric augmentation" if noise and max(noise) > 0 else "augmentation"
    score = found.outcomes[reference.name, s.name].metrics
    text = (
        f"What augmentation alone gives: trained on the source with the same {kind} and never shown the "
        f"target, the "
        f"network reaches accuracy {score['accuracy']:.2f} and macro F1 {score['macro_f1']:.2f} on {s.name}"
    )
    plain = [
        c
        for c in found.classifiers
        if not c.adapted and c.name != reference.name and augmentation_of(c) != augmentation_of(reference)
    ]
    if not plain:
        return text + "."
    other = found.outcomes[plain[0].name, s.name].metrics
    noise = augmentation_of(plain[0]).get("noise")
    how = "without added noise" if noise and max(noise) == 0 else "with its own augmentation"
    text += f"; {how}, {plain[0].name} reaches {other['accuracy']:.2f} and {other['macro_f1']:.2f}. "
    main = found.classifiers[0]
    if not main.adapted:
        return text.strip()
    alone = score["macro_f1"] - other["macro_f1"]
    gained = found.outcomes[main.name, s.name].metrics["macro_f1"] - other["macro_f1"]
    return (
        f"{text}Over {plain[0].name}, {main.name} gains {gained:+.2f} in macro F1: {alone:+.2f} come with "
        f"augmentation and {gained - alone:+.2f} with the target's images."
    )


def unlabelled_words(found: Evaluation, s: TestSet) -> list[str]:
    """Return what may be said about a data set without labels."""
    main = found.classifiers[0]
    metrics = found.outcomes[main.name, s.name].metrics
    lines = [
        f"No accuracy is claimed for {s.name}, because it has no labels. The shares below are of "
        f"predictions, not of "
        "galaxies: a classifier that errs has the wrong mix.",
        f"Its mean confidence is {metrics['mean_confidence']:.0%}; {metrics['share_confident']:.0%} of "
        f"images are "
        "above 90%. Under a shift, confidence can stay high while answers are wrong.",
        f"To know its accuracy to ± 5%, label {labels_needed()} galaxies drawn at random, "
        f"whatever the "
        f"accuracy is; {labels_needed(0.9)} are enough if it is near 90%.",
    ]
    source = next((o for o in found.sets if o.role == "source" and o.labelled), None)
    if source is not None:
        score = found.outcomes[main.name, source.name].metrics["accuracy"]
        lines.insert(1, f"On held-out images of {source.name}, its own survey, it is right for {score:.0%}.")
    return lines


def called(c: Classifier) -> str:
    """Return how a sentence speaks of a classifier."""
    if c.adapted and c.name.startswith(c.method):
        return f"the classifier adapted with {c.name}"
    return f"the {c.name} classifier" if c.name.startswith(c.method) else c.name


def class_losses(found: Evaluation) -> list[str]:
    """Return a sentence for each class whose recall adaptation lowered by more than 0.15."""
    main = found.classifiers[0]
    if found.reference in (None, main.name):
        return []
    lines = []
    for s in found.sets:
        pair = [found.outcomes[name, s.name].metrics for name in (found.reference, main.name)]
        if not all(metrics["labelled"] for metrics in pair):
            continue
        for label in found.classes:
            before, after = (metrics["per_class"][label]["recall"] for metrics in pair)
            if np.isfinite([before, after]).all() and before - after > 0.15:
                lines.append(
                    f"Fewer {label} are found on {s.name} than before: recall {after:.2f} against "
                    f"{before:.2f} for "
                    f"{found.reference}."
                )
    return lines


def _labelled_answer(found: Evaluation, main: Classifier, s: TestSet, metrics: dict[str, Any]) -> str:
    low, high = metrics["ci95"].get("accuracy", (float("nan"), float("nan")))
    text = (
        f"On {s.name}, {called(main)} is right for {metrics['accuracy']:.0%} of the images of "
        f"{metrics['n_groups']} "
        f"galaxies that it never saw (95% interval {low:.0%} to {high:.0%}); always answering "
        f"'{metrics['majority_class']}' would be right for {metrics['majority_class_accuracy']:.0%}."
    )
    gain = found.differences.get(main.name, {}).get(s.name)
    if not gain or not main.adapted:
        return text
    change, (low, high) = gain["accuracy"]["difference"], gain["accuracy"]["ci95"]
    before = found.outcomes[found.reference, s.name].metrics["accuracy"]
    points = f"{abs(100 * change):.0f} points (interval {100 * low:+.0f} to {100 * high:+.0f})"
    compared = f" The same network trained on the source alone reaches {before:.0%}: "
    if found.differences[main.name][s.name]["n_changed"] == 0:
        return text + " The same network trained on the source alone gives the same answer to every image."
    if not np.isfinite([low, high]).all() or low <= 0 <= high:
        verdict = f"a change of {100 * change:+.0f} points (interval {100 * low:+.0f} to {100 * high:+.0f}), "
        if s.role == "source":
            return text + compared + verdict + "within what chance could make."
        return text + compared + verdict + "so this test set cannot tell whether adaptation helped."
    if change > 0:
        return text + compared + f"adaptation gained {points}."
    if s.role == "source":
        return text + compared + f"adaptation cost {points} here, on its own survey."
    return text + compared + f"adaptation lost {points}, and it did harm."
