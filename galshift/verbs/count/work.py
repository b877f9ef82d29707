"""The count: with labels from a random sample, or without by label shift, for all galaxies and in bins."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.data.paths import bare_name
from galshift.doubt.verdict import UNTRUSTED
from galshift.errors import DataError
from galshift.evaluation.count_labelled import Fraction, Sampled, class_fraction, labels_alone, summing_to_one
from galshift.evaluation.count_unlabelled import LEVEL, LabelFree, label_free
from galshift.provenance import write_json
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.classifiers import require_classes
from galshift.runs.doubt import reported
from galshift.runs.held_out import source_outputs
from galshift.spread import Engine
from galshift.training.checkpoint import Trained, load_checkpoint
from galshift.verbs._options import OF_LABELS, reading_words
from galshift.verbs.count.config import CountConfig
from galshift.verbs.count.design import Design, design_of
from galshift.verbs.count.galaxies import Bin, Galaxies, bins_of, open_galaxies
from galshift.verbs.count.report import count_report
from galshift.verbs.count.result import counted, write_table
from galshift.verbs.count.words import basis

OTHER = "other"  # what labels say and the network does not know
_FEW = 20
_WIDE = 0.5  # of an interval that says next to nothing


def work(config: CountConfig, run: RunDirectory, device: str, engine: Engine) -> dict[str, Any]:
    """Count what `config` names, write the files and return the results.

    Raises
    ------
    DataError
        When the run or the data set cannot be used, or without labels the premise of the count does not hold.
    """
    trained = load_checkpoint(config.run)
    require_classes(trained)
    if trained.head.kind != "class":
        raise DataError(
            "this network predicts votes, and a count needs one class a galaxy", where=trained.path
        )
    galaxies = open_galaxies(config, trained, device, engine)
    notes = list(galaxies.notes)
    if galaxies.n_unanswered:
        notes.append(f"{galaxies.n_unanswered} galaxies gave no answer and are not counted.")
    bins = bins_of(galaxies, config, notes)
    if config.read.labels is not None:
        found = _with_labels(galaxies, trained.classes, bins, config, notes)
    else:
        _require_belief(trained, galaxies, config)
        source = source_outputs(trained, device, engine=engine)
        found = _without_labels(galaxies, source, trained.classes, bins, config, notes)
        notes += _said_of_wide(found["classes"])
    document = {
        "data": galaxies.name,
        "model": bare_name(config.run),
        "n_galaxies": len(galaxies.rows),
        "n_unanswered": galaxies.n_unanswered,
        **found,
        "by": config.by,
        "warnings": notes,
    }
    document["answer"] = basis(document)
    write_json(run.path / "count.json", {"schema": 1, **document})
    write_table(run.path, document)
    build(run.path / "report.html", count_report(document, config))
    files = {"results": "count.json", "table": "counts.ecsv", "csv": "counts.csv", "report": "report.html"}
    return {**document, "outputs": files}


def _said_of_wide(classes: Mapping[str, Any]) -> list[str]:
    """What a reader must know where the intervals leave nearly everything open."""
    wide = [name for name, one in classes.items() if one["ci95"][1] - one["ci95"][0] > _WIDE]
    if not wide:
        return []
    return [
        f"The count says next to nothing of {', '.join(wide)}: the network hardly tells the classes apart, "
        "or its source has too few held-out galaxies."
    ]


def advice(config: CountConfig) -> str:
    """Return what helps where a count needs labels: the command that chooses galaxies to label."""
    said = config.read.model_dump(mode="json", exclude_defaults=True)
    words = reading_words({key: said[key] for key in said if key not in OF_LABELS})
    run, data = shlex.quote(config.run), shlex.quote(config.data)
    return (
        f"choose galaxies to label: galshift suggest {run} {data} --budget 100 --aim measure{words}; then "
        "count with --labels"
    )


def _with_labels(
    galaxies: Galaxies, classes: Sequence[str], bins: Sequence[Bin], config: CountConfig, notes: list[str]
) -> dict[str, Any]:
    """Count by a random sample of labels."""
    design = design_of(galaxies, classes, config.read)
    notes += design.notes
    n = int(design.labelled.sum())
    if n < _FEW:
        notes.append(f"Only {n} labels: the intervals are wide.")
    names = list(classes)
    if (galaxies.labels[design.labelled] == len(classes)).any():
        names.append(OTHER)
    everything = np.arange(len(galaxies.rows))
    found = [_sampled(galaxies, design, members, names, config.seed) for members in _parts(everything, bins)]
    return {
        "with_labels": True,
        "n_labels": n,
        "n_drawn_from": int(design.frame.sum()),
        "simple": design.simple,
        "test": None,
        "classes": found[0],
        "bins": [_bin(one, part) for one, part in zip(bins, found[1:], strict=True)],
    }


def _parts(everything: np.ndarray, bins: Sequence[Bin]) -> list[np.ndarray]:
    return [everything, *(one.members for one in bins)]


def _bin(one: Bin, classes: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    place = {"name": one.name, "low": one.low, "high": one.high, "n_galaxies": len(one.members)}
    return {**place, **more, "classes": classes}


def _sampled(
    galaxies: Galaxies, design: Design, members: np.ndarray, names: Sequence[str], seed: int
) -> dict[str, Any] | None:
    """Count the galaxies at `members`; None where not one of them has a label."""
    inside = members[design.frame[members]]
    places = np.flatnonzero(design.labelled[inside])
    if not places.size:
        return None
    p = galaxies.probabilities[inside]
    answers, labels = p.argmax(axis=1), galaxies.labels[inside][places]
    fractions, alone = [], []
    for k in range(len(names)):
        known = k < p.shape[1]
        others = 1 + (np.zeros(len(inside), dtype=int) if design.simple else answers)
        sample = Sampled(
            labels == k,
            places,
            p[:, k] if known else np.zeros(len(inside)),
            np.where(answers == k, 0, others),
            len(members) - len(inside),
        )
        fractions.append(class_fraction(sample, seed, simple=design.simple and known))
        alone.append(labels_alone(sample, seed))
    everyone = galaxies.probabilities[members].argmax(axis=1)
    found = {}
    for k, (name, one) in enumerate(zip(names, summing_to_one(fractions), strict=True)):
        found[name] = {
            **counted(one, len(members)),
            "form": one.form,
            "predicted_fraction": float((everyone == k).mean()),
            "n_labels": int((labels == k).sum()),
            "labels_alone_ci95": [alone[k].low, alone[k].high] if design.simple else None,
        }
    return found


def _require_belief(trained: Trained, galaxies: Galaxies, config: CountConfig) -> None:
    """Raise DataError where the run's own report does not believe its answers to these very images."""
    told = reported(trained, config.data)
    if told is not None and told[1].word == UNTRUSTED:
        raise DataError(
            f"{galaxies.name} cannot be counted without labels: the report of the run says that it "
            f"{UNTRUSTED} there ({told[1].reasons[0]})",
            where=galaxies.path,
            hint=advice(config),
        )


def _without_labels(
    galaxies: Galaxies,
    source: Any,
    classes: Sequence[str],
    bins: Sequence[Bin],
    config: CountConfig,
    notes: list[str],
) -> dict[str, Any]:
    """Count by label shift, or refuse to."""
    everything = np.arange(len(galaxies.rows))
    how = {"n_bootstrap": config.n_bootstrap, "seed": config.seed}
    try:
        whole = label_free(source, galaxies.outputs(everything), **how)
    except DataError as error:
        raise DataError(error.what, where=error.where or config.run, hint=advice(config)) from error
    if not whole.holds:
        raise DataError(
            f"{galaxies.name} cannot be counted without labels: what the network gives for it is no mixture "
            f"of what it gives for its source's classes (p = {whole.p:.2g} by the test of {whole.worst}, "
            f"corrected for {len(whole.tests)} tests; refused below {LEVEL})",
            where=galaxies.path,
            hint=advice(config),
        )
    parts = [label_free(source, galaxies.outputs(one.members), **how) for one in bins]
    refused = [one.name for one, part in zip(bins, parts, strict=True) if not part.holds]
    if refused:
        notes.append(
            f"Not counted without labels, by the same test as the whole: {config.by} {', '.join(refused)}."
        )
    rows = [
        _bin(one, _mixed(part, galaxies, one.members, classes) if part.holds else None, p=part.p)
        for one, part in zip(bins, parts, strict=True)
    ]
    return {
        "with_labels": False,
        "n_source": len(np.unique(source.groups)),
        "test": {"p": whole.p, "level": LEVEL, "p_values": whole.tests},
        "classes": _mixed(whole, galaxies, everything, classes),
        "bins": rows,
    }


def _mixed(
    found: LabelFree, galaxies: Galaxies, members: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    answers = galaxies.probabilities[members].argmax(axis=1)
    return {
        name: {
            **counted(
                Fraction(*map(float, (found.estimate[k], found.low[k], found.high[k])), ""), len(members)
            ),
            "form": "label shift",
            "predicted_fraction": float((answers == k).mean()),
            "by_confusion": float(found.confusion[k]),
            "source_fraction": float(found.source[k]),
        }
        for k, name in enumerate(classes)
    }
