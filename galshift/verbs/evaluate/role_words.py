"""What each network was trained on, in words: from its record, whatever its method is called."""

from __future__ import annotations

from galshift.report import Section, Table
from galshift.runs.classifiers import Classifier
from galshift.verbs.evaluate.result import Evaluation

_SET_ASIDE = (
    "The images of each test set were set aside before training, by galaxy: no other view of a test galaxy "
    "was trained on."
)


def called(c: Classifier) -> str:
    """Return how a sentence speaks of a classifier."""
    labels = c.roles.target_labels
    if c.roles.fine_tuned:
        return f"{c.name}, trained on {c.roles.words()},"
    if labels is not None:
        return f"{c.name}, which learnt {labels.n} labels of {labels.data} beside its source,"
    if c.adapted and c.name.startswith(c.method):
        return f"the classifier adapted with {c.name}"
    return f"the {c.name} classifier" if c.name.startswith(c.method) else c.name


def never_words(c: Classifier, name: str = "it") -> str:
    """Return what the galaxies of a test set are to a network: what it began with may have seen some."""
    shown = c.roles.fine_tuned and c.roles.adapted
    return f"of which {name} never learnt a label" if shown else f"that {name} never saw"


def compared_words(found: Evaluation) -> str:
    """Return what begins a sentence on the classifier that the first one is compared with."""
    other = found.compared
    if other is None or not other.roles.source_only:
        return f"{found.reference}, trained on {'other data' if other is None else other.roles.words()},"
    first = found.main.roles.stages[0].source
    if other.given and first not in (None, *(stage.source for stage in other.roles.stages)):
        return f"{other.name}, trained on {other.roles.words()} alone,"
    return "The same network trained on the source alone"


def change_words(main: Classifier) -> str:
    """Return what made the difference between a network and one that learnt its source alone."""
    labels = main.roles.target_labels
    if main.roles.fine_tuned:
        return f"fine-tuning on {labels.n} labels of {labels.data}"
    if labels is None:
        return "adaptation"
    what = f"{labels.n} labels of {labels.data}"
    return f"adaptation with {what}" if main.adapted else f"training with {what}"


def roles_section(found: Evaluation) -> Section:
    """Return the part of the page that says what each network was trained on, and what judges it."""
    rows = tuple((c.name, c.roles.words()) for c in found.ordered())
    return Section(
        "What the networks were trained on",
        (held_out_words(found),),
        (Table(("network", "trained on"), rows),),
    )


def held_out_words(found: Evaluation) -> str:
    """Return what the test sets are to these networks."""
    told = [_SET_ASIDE]
    labels = {c.roles.target_labels for c in found.classifiers} - {None}
    if labels:
        most = max(labels, key=lambda one: one.n)
        told.append(
            f"Labels of {most.n} images of {most.data} were trained on, and their galaxies are in no test "
            "set; all other labels of a target were used for this page alone."
        )
    else:
        told.append("Target labels, where there are any, were used for this page alone.")
    shown = {s.target for c in found.classifiers if c.roles.fine_tuned for s in c.roles.stages} - {None}
    if shown:
        names = " and ".join(sorted({one.data for one in shown}))
        told.append(
            f"A fine-tuned network began with one that had seen images of {names} without their labels; such "
            "images may be in these test sets."
        )
    return " ".join(told)


def epoch_words(found: Evaluation) -> str:
    """Return by what the epochs of these networks were chosen."""
    tuned = {c.name: c.roles.target_labels for c in found.classifiers if c.roles.fine_tuned}
    text = "The best epoch was chosen without any target label."
    if not tuned:
        return text
    own = "; ".join(
        f"that of {name} by labels of {seen.data} set aside for it" for name, seen in tuned.items()
    )
    others = len(tuned) < len(found.classifiers)
    return f"{text[:-1]}, but {own}." if others else f"The best epoch: {own}."
