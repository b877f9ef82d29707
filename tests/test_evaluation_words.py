"""The sentences of a report say what the numbers say."""

from __future__ import annotations

from types import SimpleNamespace

from galshift.training.roles import Roles, Seen, Stage
from galshift.verbs.evaluate.class_words import augmentation_sentence
from galshift.verbs.evaluate.role_words import called, change_words, compared_words, held_out_words

SIM, SDSS = Seen("sim", 80), Seen("sdss", 90)


def classifier(
    name: str, *, adapted: bool, noise: list[float], roles: Roles | None = None
) -> SimpleNamespace:
    """Stand for a classifier trained with that noise augmentation on a simulation, and perhaps a survey."""
    config = {"augment": {"noise": noise}}
    roles = roles or Roles((Stage(source=SIM, target=SDSS if adapted else None),))
    return SimpleNamespace(name=name, method=name, adapted=adapted, given=True, config=config, roles=roles)


def evaluation(*rows: tuple[SimpleNamespace, float]) -> SimpleNamespace:
    """Stand for classifiers with their macro F1 on one labelled target; 'source-only' is the reference."""
    dataset = SimpleNamespace(name="sdss")
    target = SimpleNamespace(name="sdss", role="target", labelled=True, dataset=dataset)
    numbers = {c.name: {"accuracy": f1, "macro_f1": f1} for c, f1 in rows}
    return SimpleNamespace(
        classifiers=tuple(c for c, _ in rows),
        main=rows[0][0],
        sets=(target,),
        metrics=lambda c, s: numbers[c.name],
        reference="source-only",
        compared=next((c for c, _ in rows if c.name == "source-only"), None),
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


def test_a_fine_tuned_run_is_no_source_only_one_with_another_augmentation() -> None:
    """It has seen labels of the target: no sentence on what augmentation alone gives names it."""
    tuned = Roles((Stage(source=SIM, target=SDSS), Stage(source=Seen("sdss", 24))))
    found = evaluation(
        (classifier("fine-tuned", adapted=True, noise=[0, 0], roles=tuned), 0.75),
        (classifier("source-only", adapted=False, noise=[0, 1]), 0.60),
    )
    assert augmentation_sentence(found).endswith("macro F1 0.60 on sdss.")
    assert "fine-tuned" not in augmentation_sentence(found)


def test_words_follow_the_record_and_not_the_method() -> None:
    """The same method, source-only, is called by what it was given."""
    few = Seen("sdss", 30)
    tuned = Roles((Stage(source=SIM), Stage(source=few)))
    joint, adapted = Roles((Stage(SIM, None, few),)), Roles((Stage(SIM, SDSS, few),))
    assert [one.fine_tuned for one in (tuned, joint, adapted)] == [True, False, False]
    assert [one.adapted for one in (tuned, joint, adapted)] == [False, False, True]
    assert not any(one.source_only for one in (tuned, joint, adapted))
    assert Roles((Stage(SIM), Stage(SIM))).source_only
    assert [one.n_labels("sdss") for one in (tuned, joint, adapted)] == [30, 30, 30]
    assert tuned.words() == "80 labelled images of sim, then on 30 labelled images of sdss"
    assert adapted.words() == (
        "80 labelled images of sim, 90 images of sdss without labels and 30 labelled images of sdss"
    )
    c = classifier("fine-tuned", adapted=False, noise=[0], roles=tuned)
    assert "30 labelled images of sdss" in called(c)
    assert change_words(c) == "fine-tuning on 30 labels of sdss"
    assert change_words(classifier("mmd", adapted=True, noise=[0], roles=adapted)).startswith(
        "adaptation with 30"
    )
    other = classifier("source-only", adapted=False, noise=[0], roles=Roles((Stage(source=Seen("des", 9)),)))
    found = evaluation((classifier("mmd", adapted=True, noise=[0]), 0.7), (other, 0.6))
    assert compared_words(found) == "source-only, trained on 9 labelled images of des alone,"


def test_what_judges_is_told_from_the_record() -> None:
    """Labels that were learnt are named, and a page of runs without says that all only judge."""
    plain = evaluation((classifier("mmd", adapted=True, noise=[0]), 0.7))
    assert "were used for this page alone" in held_out_words(plain)
    few = Roles((Stage(SIM, SDSS, Seen("sdss", 30)),))
    found = evaluation((classifier("mmd", adapted=True, noise=[0], roles=few), 0.7))
    assert "Labels of 30 images of sdss were trained on" in held_out_words(found)
    assert "Target labels, where there are any" not in held_out_words(found)


def test_repeated_names_are_told_apart() -> None:
    from galshift.runs.classifiers import distinct

    assert distinct(["mmd", "dann", "mmd"], ["a", "b", "c"]) == ["mmd (a)", "dann", "mmd (c)"]
    assert distinct(["x", "x", "x"], ["s", "s", "t"]) == ["x (s)", "x #2", "x (t)"]
