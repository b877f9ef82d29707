"""A metric added in one place is found in ``metrics.json``, the report, the terminal and the list."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from galshift.data.hdf5 import write_hdf5
from galshift.errors import ConfigError
from galshift.evaluation import METRICS, Metric, class_metrics, continuous_metrics, votes_metrics
from galshift.evaluation.classes import classification_metrics
from galshift.evaluation.values import value_metrics
from galshift.evaluation.votes import vote_metrics
from galshift.recipes.catalogue import entries
from galshift.recipes.execute import execute
from galshift.verbs import STEPS
from tests.test_unknown_verbs import rings


def kappa(sample) -> np.ndarray:
    """Cohen's kappa of weighted confusion tables."""
    table = sample.table
    total = table.sum(axis=(1, 2))
    right = np.trace(table, axis1=1, axis2=2) / total
    chance = (table.sum(axis=1) * table.sum(axis=2)).sum(axis=1) / total**2
    return (right - chance) / (1 - chance)


@pytest.fixture
def register():
    """Register metrics for one test."""
    names = []

    def add(name: str, metric: Metric) -> None:
        METRICS.register(name)(metric)
        names.append(name)

    yield add
    for name in names:
        del METRICS._things[name]


def test_a_metric_is_added_in_one_place(register, tmp_path: Path) -> None:
    everywhere = ("table", "figure", "headline", "seeds")
    row = Metric("kappa", "Cohen's kappa", kappa, shown=everywhere, summary="agreement beyond chance")
    register("class.kappa", row)
    write_hdf5(tmp_path / "source.h5", [rings(120, ("flat", "tall"), 1, 3.0)])
    values = {"data": str(tmp_path / "source.h5"), "training": {"epochs": 5, "batch_size": 16}}
    values["augment"] = {"dihedral": False}
    execute("train", values, out=tmp_path / "run")
    write_hdf5(tmp_path / "given.h5", [rings(80, ("flat", "tall"), 2, 12.0)])
    values = {"runs": [str(tmp_path / "run")], "on": [str(tmp_path / "given.h5")], "samples": 0}
    done = execute("evaluate", values, out=tmp_path / "evaluate")
    document = json.loads((tmp_path / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    found = document["results"][0]["domains"]["given"]
    (hit_a, miss_a), (miss_b, hit_b) = found["confusion"]
    true = np.repeat([0, 0, 1, 1], [hit_a, miss_a, miss_b, hit_b])
    said = np.repeat([0, 1, 0, 1], [hit_a, miss_a, miss_b, hit_b])
    assert found["kappa"] == pytest.approx(cohen_kappa_score(true, said))
    low, high = found["ci95"]["kappa"]
    assert low <= found["kappa"] <= high
    assert low < high
    page = (tmp_path / "evaluate" / "report.html").read_text(encoding="utf-8")
    assert "Cohen&#x27;s kappa</th>" in page or "Cohen&#39;s kappa</th>" in page
    assert f"{found['kappa']:.2f} ({low:.2f} to {high:.2f})" in re.sub(r"\s+", " ", page)
    lines = [line for line in STEPS.get("evaluate")().describe(done.results) if line.startswith("given: ")]
    (line,) = [line for line in lines if "verdict" not in line]
    assert f"Cohen's kappa {found['kappa']:.3g}" in line
    assert dict(entries("metrics"))["class.kappa"] == "agreement beyond chance"


def test_every_kind_of_labels_takes_one(register) -> None:
    rng = np.random.default_rng(0)
    y, said = rng.normal(size=60), rng.normal(size=60)
    register(
        "value.worst", Metric("worst", "worst", lambda s: _worst(s, np.abs(s.residuals)), labels="value")
    )
    register(
        "votes.worst", Metric("worst", "worst", lambda s: s.mean(s.scored.concentration), labels="votes")
    )
    found = value_metrics(y, said, np.ones(60), mean=0.0, sd=1.0, n_bootstrap=50)
    assert found["worst"] == np.abs(said - y).max()
    assert found["training_mean"]["worst"] == np.abs(y).max()
    counts, p = rng.integers(1, 9, (60, 2)).astype(float), rng.dirichlet([1, 1], 60)
    how = {"mean": [0.5, 0.5], "mean_concentration": 2.0, "n_bootstrap": 20}
    found = vote_metrics(counts, p, np.full(60, 7.0), ["a", "b"], **how)
    assert found["worst"] == pytest.approx(7.0)
    assert "worst" in found["ci95"]


def _worst(sample, errors: np.ndarray) -> np.ndarray:
    return np.where(sample.images > 0, errors, 0).max(axis=1)


@pytest.mark.parametrize("key", ["n", "accuracy", "ci95"])
def test_a_taken_key_is_refused(register, key: str) -> None:
    register("class.other", Metric(key, "other", kappa))
    with pytest.raises(ConfigError, match=f"the key '{key}', which is taken"):
        class_metrics()


def test_a_metric_of_the_wrong_shape_is_named(register) -> None:
    register("class.flat", Metric("flat", "flat", lambda sample: 0.5))
    with pytest.raises(ConfigError, match="the metric 'flat' gives shape"):
        classification_metrics(np.array([0, 1]), np.eye(2), ["a", "b"], n_bootstrap=0)


def test_every_metric_says_what_it_is() -> None:
    rows = (*class_metrics(), *continuous_metrics(), *votes_metrics())
    assert {f"{row.labels}.{row.key}" for row in rows} <= {name for name, _ in entries("metrics")}
    for row in rows:
        assert row.summary, row.key
        assert row.says(0.5), row.key
