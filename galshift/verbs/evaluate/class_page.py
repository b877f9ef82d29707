"""What the report of classifiers has of its own: scores, confusion, curves and class mixes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from galshift.evaluation.calibration import reliability
from galshift.evaluation.classes import ACCURACY, always_majority
from galshift.evaluation.metric import shown_in
from galshift.evaluation.ranks import precision_recall_curve, roc_curve
from galshift.report import Card, Section
from galshift.report import scores as parts
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.selection.label_shift import class_mix
from galshift.verbs.evaluate.baseline_words import baseline_card, baseline_section
from galshift.verbs.evaluate.class_mix import predicted_mix
from galshift.verbs.evaluate.class_words import class_losses, opening_sentences, unlabelled_sentences
from galshift.verbs.evaluate.doubt_words import doubt_section, verdict_card
from galshift.verbs.evaluate.result import Evaluation, Page, Row
from galshift.verbs.evaluate.unknown import unknown_section

_READING = (
    "Accuracy alone flatters a classifier where one class is common: look at the majority-class line, at "
    "balanced accuracy (mean recall) and at macro F1, in which every class counts the same."
)
_TABLE_CAPTION = (
    "In brackets: 95% intervals from resampling galaxies. Balanced accuracy, macro F1 and AUROC are means "
    "over the classes that are there. Calibration error: 15 bins, of the predicted class; 0 is best."
)


def class_page(found: Evaluation, label: str) -> Page:
    """Return the page's own parts; `label` is what the scored numbers are called."""
    rows = found.rows(label)
    further = [
        one
        for one in (doubt_section(found), baseline_section(found), unknown_section(found))
        if one is not None
    ]
    results = [*([_how_well(found, rows)] if rows else []), *further]
    details = [
        parts.per_class_section(rows, _precision_recall_curves(found)),
        parts.confusion_section(rows, found.classes),
        parts.roc_section(_roc_curves(found)),
        parts.reliability_section(_reliability_curves(found)),
    ]
    sections = {s.name: _set_section(found, s) for s in found.sets}
    return Page(
        subject="",
        lede=tuple(opening_sentences(found)),
        cards=tuple(card for s in found.sets[::-1] for card in _cards(found, s)),
        results=tuple(results),
        details=tuple(details) if rows else (),
        reading=(_READING,),
        sets={name: section for name, section in sections.items() if section is not None},
        warnings=tuple(class_losses(found)),
    )


def picture(found: Evaluation, s: TestSet, i: int) -> tuple[str, list[str], str]:
    """Return title, notes and tone of the picture of image `i`."""
    main, reference = found.main, found.reference
    p = found.answers(main, s).centre[i]
    notes, known = [], s.labels[i] >= 0
    if known:
        notes.append(f"truth: {found.classes[s.labels[i]]}")
    if reference not in (None, main.name):
        before = found.answers(reference, s).centre[i]
        if np.isfinite(before).all() and before.argmax() != p.argmax():
            notes.append(f"{reference} said {found.classes[before.argmax()]}")
    tone = ("good" if p.argmax() == s.labels[i] else "bad") if known else ""
    return f"{found.classes[p.argmax()]} {p.max():.0%}", notes, tone


def _always(metrics: Mapping[str, Any]) -> tuple[str, Mapping[str, float]]:
    return f"always '{metrics['majority_class']}'", always_majority(metrics)


def _cards(found: Evaluation, s: TestSet) -> list[Card]:
    main = found.main
    metrics = found.metrics(main, s)
    verdict = verdict_card(s, metrics)
    if not metrics["labelled"]:
        sure = f"{metrics['mean_confidence']:.0%}"
        return [*verdict, Card(f"mean confidence on {s.name}", sure, "not an accuracy")]
    key, always = ACCURACY.key, metrics["majority_class_accuracy"]
    low, high = metrics["ci95"].get(key, (np.nan, np.nan))
    note = f"{low:.2f} to {high:.2f}; majority class {always:.2f}"
    tone = "good" if low > always else "bad"
    cards = [*verdict, Card(f"accuracy on {s.name}", f"{metrics[key]:.2f}", note, tone)]
    gain = found.differences.get(main.name, {}).get(s.name)
    if gain:
        change, (low, high) = gain[key]["difference"], gain[key]["ci95"]
        tone = "good" if low > 0 else "bad" if high < 0 else ""
        title = f"gain over {found.reference} on {s.name}"
        cards.append(Card(title, f"{change:+z.2f}", f"{low:+z.2f} to {high:+z.2f}", tone))
    return [*cards, *([] if s.role == "source" else baseline_card(found, s.name))]


def _how_well(found: Evaluation, rows: Sequence[Row]) -> Section:
    metrics = found.task.metrics()
    constant = "always answering with the most common class"
    drawn = [
        parts.comparison_figure(rows, metric, metric.name, _always, constant)
        for metric in shown_in("figure", metrics)
    ]
    table = parts.scores_table(rows, shown_in("table", metrics), _always, caption=_TABLE_CAPTION)
    text = ["Every classifier is evaluated on the same galaxies, none of which any of them trained on."]
    if found.seeds:
        spread = (
            f"{name} on {where}: {np.mean(scores[ACCURACY.key]):.2f} ± "
            f"{np.std(scores[ACCURACY.key], ddof=1):.2f} over {len(scores[ACCURACY.key])} seeds"
            for name, by_set in found.seeds.items()
            for where, scores in by_set.items()
        )
        text.append(
            "Repeating the training with other seeds gave these accuracies (mean ± standard deviation): "
            f"{'; '.join(spread)}."
        )
    return Section("How well it works", tuple(text), (*drawn, table))


def _set_section(found: Evaluation, s: TestSet) -> Section | None:
    """Return the class mix of a set: predicted, by label shift, and the truth where there are labels."""
    estimate, mixes = found.estimates.get(s.name), {}
    if s.labelled and estimate is None:
        return None
    if s.labelled:
        mixes["true"] = class_mix(s.labels, len(found.classes))
    mixes |= {c.name: predicted_mix(found.answers(c, s)) for c in found.ordered()}
    if estimate is not None:
        mixes |= {"estimated": estimate.target, "the source": estimate.source}
    named = {name: dict(zip(found.classes, mix.tolist(), strict=True)) for name, mix in mixes.items()}
    if not s.labelled:
        return parts.mix_section(named, s.name, unlabelled_sentences(found, s))
    text = (
        "The estimate is what shift of the class mix explains the predictions of "
        f"{found.reference or found.main.name} best, given its errors on held-out images of the source; it "
        "is blind to errors that only the other survey causes."
    )
    return parts.mix_section(named, s.name, (text,))


def _roc_curves(found: Evaluation) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    panels: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for c, s, labels, probabilities in _labelled(found):
        for k, label in enumerate(found.classes):
            if 0 < (labels == k).sum() < len(labels):
                curve = _thinned(*roc_curve(labels == k, probabilities[:, k]))
                panels.setdefault(f"{c.name} on {s.name}", {})[label] = curve
    return panels


def _precision_recall_curves(found: Evaluation) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    panels: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for c, s, labels, probabilities in _labelled(found):
        for k, label in enumerate(found.classes):
            if 0 < (labels == k).sum() < len(labels):
                precision, recall = precision_recall_curve(labels == k, probabilities[:, k])
                panels.setdefault(f"{c.name} on {s.name}", {})[label] = _thinned(recall, precision)
    return panels


def _reliability_curves(found: Evaluation) -> dict[str, dict[str, Any]]:
    panels: dict[str, dict[str, Any]] = {}
    for c, s, labels, probabilities in _labelled(found):
        curve = reliability(labels, probabilities)
        panels.setdefault(s.name, {})[c.name] = (curve.confidence, curve.accuracy, curve.n)
    return panels


def _labelled(found: Evaluation) -> Iterator[tuple[Classifier, TestSet, np.ndarray, np.ndarray]]:
    """Each classifier with the true classes and its probabilities of the labelled images of each set."""
    for s in found.sets[::-1]:
        for c in found.ordered():
            answers = found.answers(c, s)
            known = answers.usable & (s.labels >= 0)
            if known.any():
                yield c, s, s.labels[known], answers.centre[known]


def _thinned(x: Sequence[float], y: Sequence[float], most: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve of at most `most` points, the ends among them, so that it stays drawable."""
    shown = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).astype(int))
    return np.asarray(x)[shown], np.asarray(y)[shown]
