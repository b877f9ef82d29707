"""The choice of the galaxies to label, and the table to fill in."""

from __future__ import annotations

from typing import Any

import numpy as np

from galshift.data.paths import split_name
from galshift.domains.label_record import read_label_record
from galshift.domains.splits import absolute, read_splits
from galshift.embedding.labelling import at_random, at_random_in_strata
from galshift.embedding.strategies import Pool, suggest
from galshift.errors import DataError
from galshift.evaluation.honesty import entropy
from galshift.evaluation.predictions import write_predictions
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.answers import AnsweredSet, answered_set
from galshift.runs.classifiers import load_classifier, run_config
from galshift.training.checkpoint import Trained
from galshift.verbs._again import command_again
from galshift.verbs.suggest.candidates import costs, not_judging, not_trained_on, unlabelled
from galshift.verbs.suggest.config import SuggestConfig
from galshift.verbs.suggest.report import suggest_report
from galshift.verbs.suggest.table import (
    add_costs,
    answered,
    blanks,
    say_chances,
    suggestion_table,
    with_learnt,
)


def work(config: SuggestConfig, run: RunDirectory, device: str) -> dict[str, Any]:
    """Choose the galaxies of `config`, write the table and the report, and return the results.

    Raises
    ------
    DataError
        When no galaxy is left to choose from.
    """
    trained = load_classifier(config.run)
    pool = answered_set(trained, config.data, config.read, device, limit=config.limit, seed=config.seed)
    candidates, notes = unlabelled(pool)
    learnt = np.empty(0, dtype=int)
    if config.aim == "measure":
        candidates = not_trained_on(pool, candidates, trained, config.data, notes)
    else:
        candidates, learnt = not_judging(pool, candidates, trained, config.data, notes)
    candidates, cost = costs(pool, candidates, config.cost, notes)
    places = choose(pool, candidates, cost, learnt, config)
    if not len(places):
        raise DataError(
            f"the budget of {config.budget:g} buys no label: the cheapest costs {cost.min():g}",
            where="budget",
        )
    chosen = candidates[places]
    table = suggestion_table(trained, pool, chosen)
    if config.aim == "measure":
        say_chances(table, pool, candidates, chosen, trained.classes, by_answer=config.strata != "none")
    add_costs(table, cost[places], config.cost, config.batch)
    n_galaxies = len(set(pool.groups[candidates]))
    if config.cost is None and n_galaxies < config.budget:
        notes.append(f"There are only {n_galaxies} galaxies to choose from, fewer than the budget.")
    results = {
        "aim": config.aim,
        **({} if config.strata == "none" else {"strata": config.strata}),
        "n": len(chosen),
        "n_candidates": n_galaxies,
        **({} if config.aim == "measure" else {"by": config.by}),
        **({} if config.cost is None else {"cost": config.cost, "spent": float(cost[places].sum())}),
        "data": pool.name,
        "classes": list(trained.classes),
        "to_fill_in": blanks(trained),
        "mean_entropy": float(table["entropy"].mean()),
        "half_width": 1.96 * 0.5 / len(chosen) ** 0.5,
        "warnings": notes,
        "outputs": {"table": "suggest.csv", "report": "report.html"},
    }
    results |= (loop := _loop(config, trained))
    record = read_label_record(trained.path.parent) if loop else None
    whole = with_learnt(table, record)
    results["n_learnt"] = len(whole) - len(table)
    write_predictions(run.path / "suggest.csv", whole)
    build(run.path / "report.html", suggest_report(trained, pool, chosen, table, results, config))
    return results


def choose(
    pool: AnsweredSet,
    candidates: np.ndarray,
    cost: np.ndarray,
    learnt: np.ndarray,
    config: SuggestConfig,
) -> np.ndarray:
    """Return positions in `candidates`, in the order of labelling.

    Parameters
    ----------
    pool : AnsweredSet
    candidates : ndarray
        (n,) places in it to choose from.
    cost : ndarray
        Of each candidate.
    learnt : ndarray
        Places whose labels are known.
    config : SuggestConfig
    """
    groups = pool.groups[candidates]
    if config.aim == "measure" and config.strata == "answers":
        answers = answered(pool, candidates)
        return at_random_in_strata(groups, answers, config.budget, config.seed)
    if config.aim == "measure":
        return at_random(groups, config.budget, config.seed)
    uncertainty = entropy(pool.probabilities[candidates])
    known = pool.features[learnt]
    found = Pool(pool.features[candidates], uncertainty, np.asarray(groups), cost, known)
    return suggest(found, config.by, config.budget, config.seed)


def _loop(config: SuggestConfig, trained: Trained) -> dict[str, Any]:
    """Say how the run was adapted, where the labels can join that: what comes next, and what came before."""
    run = trained.path.parent
    target = read_splits(run).get("target")
    if config.aim == "measure" or target is None or target.path != absolute(split_name(config.data)[1]):
        return {}
    held = run_config(run)
    if held.get("uses") != "adapt":
        return {}
    again = command_again("adapt", held, less=("target_labels", "earlier"))
    return {"again": again, "earlier": [*(held.get("earlier") or ()), str(config.run)]}
