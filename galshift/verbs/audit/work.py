"""What ``audit.json`` holds: accuracy clean and damaged for each model, and the models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from galshift import console
from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import SEVERITIES, Corruption
from galshift.audit.withstand import compare_damage, damaged, summarise_damage
from galshift.data.paths import bare_name
from galshift.errors import DataError
from galshift.provenance import write_json
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.classifiers import open_classifiers, require_classes
from galshift.runs.linear_images import labelled_images
from galshift.runs.partial import PartialResults
from galshift.spread import HERE, Engine
from galshift.verbs.audit.config import AuditConfig
from galshift.verbs.audit.pieces import CLEAN, Audited
from galshift.verbs.audit.report import audit_report

SHOWN_SEVERITY = 3


def work(config: AuditConfig, run: RunDirectory, device: str, engine: Engine) -> dict[str, Any]:
    """Audit the models of `config`, write numbers and report, and return the results.

    Raises
    ------
    DataError
        When a run or data set cannot be used.
    """
    done = PartialResults(run)
    results, examples = audit(config, device, done, engine)
    write_json(run.path / "audit.json", results)
    build(run.path / "report.html", audit_report(results, examples))
    done.clear()
    return {**results, "outputs": {"results": "audit.json", "report": "report.html"}}


def audit(
    config: AuditConfig, device: str, done: PartialResults, engine: Engine = HERE
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
    audited = Audited(classifiers, test_set, config.data, device, config.seed)
    keep, kinds = audited.keep, _corruptions(config, audited.n_bands)
    groups = np.asarray(test_set.groups)[keep]
    outcomes = _outcomes(audited, [one.name for one in classifiers], list(kinds), done, engine)
    options = {"n_bootstrap": config.n_bootstrap, "seed": config.seed}
    pairs = [
        compare_damage(
            [classifiers[i].name, classifiers[j].name], [outcomes[i], outcomes[j]], groups, **options
        )
        for i, j in combinations(range(len(classifiers)), 2)
    ]
    first = audited.first()
    examples = [(CLEAN, first.linear[0].numpy())] + [
        (name, damaged(first, name, kind, SHOWN_SEVERITY, config.seed)[0]) for name, kind in kinds.items()
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
                "run": bare_name(classifier.path),
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
    audited: Audited, names: Sequence[str], kinds: Sequence[str], partial: PartialResults, engine: Engine
) -> list[dict[str, np.ndarray]]:
    """Return what each model gets right under all damage."""
    partial.say("cells of damage and severity")
    with console.progress("audit", len(names) * (1 + len(kinds) * len(SEVERITIES))) as bar:
        return audited.outcomes(
            kinds, partial, engine, lambda number, note: bar.advance(1, f"{names[number]} {note}")
        )


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


def _warnings(n: int, left_out: int) -> list[str]:
    found = []
    if n < 30:
        found.append(f"Only {n} images were audited: read the intervals, not the accuracies.")
    if left_out:
        found.append(f"{left_out} images are empty or not finite in a band and were left out.")
    return found
