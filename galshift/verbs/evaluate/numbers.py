"""The scores of a network for numbers on one data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.evaluation.values import is_redshift, photo_z_metrics, value_metrics
from galshift.evaluation.votes import vote_metrics
from galshift.runs.number_answers import Answers
from galshift.runs.test_sets import TestSet
from galshift.training.heads import Head
from galshift.verbs.evaluate.config import EvaluateConfig


def judge(
    head: Head, s: TestSet, said: Answers, names: Sequence[str], config: EvaluateConfig
) -> dict[str, Any]:
    """Return what ``metrics.json`` has of one network on one data set."""
    good = said.usable
    facts = {"role": s.role, "split": s.split, "path": str(s.dataset.path), "n_flagged": int((~good).sum())}
    facts |= {"label_kind": head.kind, "labelled": bool(np.isfinite(s.truth[good]).all(axis=1).any())}
    if not facts["labelled"]:
        centre, groups = said.centre[good], s.groups[good]
        summary = {"n": len(centre), "n_groups": len(np.unique(groups))}
        means = dict(zip(names, centre.mean(axis=0).tolist()))
        return {**facts, **summary, "mean_prediction": means}
    options = {"groups": s.groups[good], "n_bootstrap": config.n_bootstrap, "seed": config.seed}
    if head.kind == "votes":
        order = [head.names.index(name) for name in names]
        return facts | vote_metrics(
            s.truth[good],
            said.centre[good],
            said.width[good, 0],
            names,
            mean=[head.mean[k] for k in order],
            mean_concentration=head.concentration,
            **options,
        )
    per_label = {}
    for k, name in enumerate(names):
        own = head.names.index(name)
        columns = (s.truth[good, k], said.centre[good, k], said.width[good, k])
        per_label[name] = value_metrics(*columns, mean=head.mean[own], sd=head.sd[own], **options)
        if is_redshift(name):
            per_label[name]["photo_z"] = photo_z_metrics(*columns[:2], **options)
    first = per_label[names[0]]
    return {**facts, "n": first["n"], "n_groups": first["n_groups"], "labels": per_label}


def scored(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the numbers by label; those of votes are called ``votes``."""
    if not metrics["labelled"]:
        return {}
    return {"votes": metrics} if metrics["label_kind"] == "votes" else metrics["labels"]
