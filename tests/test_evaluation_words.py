"""The sentences of a report say what the numbers say."""

from __future__ import annotations

from types import SimpleNamespace

from galshift.verbs.evaluate.class_words import augmentation_sentence


def classifier(name: str, *, adapted: bool, noise: list[float]) -> SimpleNamespace:
    """Stand for a classifier trained with that noise augmentation."""
    return SimpleNamespace(name=name, adapted=adapted, config={"augment": {"noise": noise}})


def evaluation(*rows: tuple[SimpleNamespace, float]) -> SimpleNamespace:
    """Stand for classifiers with their macro F1 on one labelled target; 'source-only' is the reference."""
    target = SimpleNamespace(name="sdss", role="target", labelled=True)
    numbers = {c.name: {"accuracy": f1, "macro_f1": f1} for c, f1 in rows}
    return SimpleNamespace(
        classifiers=tuple(c for c, _ in rows),
        main=rows[0][0],
        sets=(target,),
        metrics=lambda c, s: numbers[c.name],
        reference="source-only",
    )


def test_the_gain_is_shared_between_augmentation_and_the_target() -> None:
    """0.20 without noise, 0.60 with, 0.75 adapted: +0.55 in all, of which +0.40 and +0.15."""
    found = evaluation(
        (classifier("adapted", adapted=True, noise=[0, 1]), 0.75),
        (classifier("plain", adapted=False, noise=[0, 0]), 0.20),
        (classifier("source-only", adapted=False, noise=[0, 1]), 0.60),
    )
    text = augmentation_sentence(found)
    assert "accuracy 0.60 and macro F1 0.60 on sdss; without added noise, plain reaches 0.20" in text
    assert "gains +0.55 in macro F1: +0.40 come with augmentation and" in text
    assert text.endswith("and +0.15 with the target's images.")


def test_without_a_plain_run_only_the_reference_is_told() -> None:
    """Two runs with the same augmentation leave nothing to share out."""
    found = evaluation(
        (classifier("mmd", adapted=True, noise=[0, 1]), 0.75),
        (classifier("source-only", adapted=False, noise=[0, 1]), 0.60),
    )
    assert augmentation_sentence(found).endswith("macro F1 0.60 on sdss.")


def test_nothing_is_said_of_runs_that_adapt_nothing() -> None:
    """A report of source-only runs has no such sentence."""
    assert (
        augmentation_sentence(evaluation((classifier("source-only", adapted=False, noise=[0, 1]), 0.6)))
        is None
    )


def test_repeated_names_are_told_apart() -> None:
    from galshift.runs.classifiers import distinct

    assert distinct(["mmd", "dann", "mmd"], ["a", "b", "c"]) == ["mmd (a)", "dann", "mmd (c)"]
    assert distinct(["x", "x", "x"], ["s", "s", "t"]) == ["x (s)", "x #2", "x (t)"]
