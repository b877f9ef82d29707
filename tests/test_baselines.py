"""Classifiers without a network: against scikit-learn and NumPy by hand, honest splits, what is said."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.hdf5 import write_hdf5
from galshift.data.preprocess import fit_preprocessing
from galshift.evaluation.baselines import BASELINES, Baseline
from galshift.evaluation.baselines import _measure as measuring
from galshift.evaluation.baselines._base import standardise_by
from galshift.evaluation.baselines.pixel_knn import block_average
from galshift.evaluation.classes import class_metrics
from galshift.evaluation.morphology import measure
from galshift.recipes.execute import execute
from galshift.simulate.generate import simulate, simulate_all
from galshift.streams import stream_seed
from galshift.verbs.evaluate import baselines as comparing
from galshift.verbs.evaluate.baseline_words import baseline_lines, baseline_sentences
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.work import evaluate
from tests.file_operations import galshift

QUICK = {"epochs": 1, "batch_size": 16, "precision": "float32"}


def cloud(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 4) with gaps, of three classes, the last of which is rare."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.5, 0.4, 0.1])
    features = rng.normal(0, 1, (n, 4)) + labels[:, None]
    features[rng.random((n, 4)) < [0.0, 0.2, 0.1, 0.0]] = np.nan
    return features, labels


def test_the_forest_is_that_of_scikit_learn() -> None:
    (features, labels), (test, _) = cloud(120, 0), cloud(30, 1)
    median = np.nanmedian(features, axis=0)
    gaps = [1, 2]  # the columns with gaps in what is learnt from

    def filled(x: np.ndarray) -> np.ndarray:
        return np.hstack([np.where(np.isnan(x), median, x), np.isnan(x[:, gaps])])

    forest = RandomForestClassifier(
        100,
        min_samples_leaf=2,
        class_weight="balanced",
        random_state=stream_seed(5, "baselines", "morphology-forest") % 2**32,
    )
    expected = forest.fit(filled(features), labels).predict_proba(filled(test))
    predict = BASELINES.get("morphology-forest")().learn(features, labels, 3, 5)
    np.testing.assert_array_equal(predict(test), expected)
    np.testing.assert_array_equal(
        BASELINES.get("morphology-forest")().learn(features, labels, 3, 5)(test), expected
    )


def test_neighbours_vote_with_one_over_the_size_of_their_class() -> None:
    (features, labels), (test, _) = cloud(120, 2), cloud(30, 3)
    features, test = np.nan_to_num(features), np.nan_to_num(test)
    nearest = np.linalg.norm(test[:, None] - features, axis=2).argsort(axis=1)[:, :15]
    counts = np.bincount(labels)
    votes = np.stack([(labels[nearest] == k).sum(axis=1) / counts[k] for k in range(3)], axis=1)
    expected = votes / votes.sum(axis=1, keepdims=True)
    predict = BASELINES.get("pixel-knn")().learn(features, labels, 3, 0)
    np.testing.assert_allclose(predict(test), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["morphology-forest", "pixel-knn"])
def test_a_class_without_images_has_no_probability(name: str) -> None:
    features, labels = cloud(60, 4)
    answers = BASELINES.get(name)().learn(features, 2 * (labels > 0), 4, 0)(features)
    assert answers.shape == (60, 4)
    assert (answers[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1)


def test_standardised_features_by_the_closed_form() -> None:
    features = np.array([[1.0, 7.0, np.nan], [3.0, 7.0, np.nan], [np.nan, 7.0, np.nan], [5.0, 7.0, np.nan]])
    own = standardise_by(features)
    spread = np.sqrt(8 / 3)  # of 1, 3, 5
    np.testing.assert_allclose(own(features)[[0, 1, 3], 0], [-2 / spread, 0, 2 / spread])
    np.testing.assert_array_equal(own(features)[:, 1], 0)
    assert np.isnan(own(features)[:, 2]).all()
    np.testing.assert_allclose(own(np.array([[4.0, 9.0, 1.0]])), [[1 / spread, 2.0, 1.0]])


def test_blocks_are_means_of_the_middle() -> None:
    ramp = np.arange(26.0 * 26).reshape(1, 1, 26, 26)
    small = block_average(ramp)  # blocks of 3, eight a side, of the 24 pixels from 1
    assert small.shape == (1, 1, 8, 8)
    assert small[0, 0, 0, 0] == pytest.approx(ramp[0, 0, 1:4, 1:4].mean())
    assert small[0, 0, 7, 2] == pytest.approx(ramp[0, 0, 22:25, 7:10].mean())
    assert block_average(np.ones((2, 3, 72, 72))).shape == (2, 3, 12, 12)
    assert block_average(np.ones((2, 3, 8, 8))).shape == (2, 3, 8, 8)


def images(n: int, sigma: float, seed: int, side: int = 32) -> InMemory:
    """Noise alone, of one galaxy an image."""
    pixels = np.random.default_rng(seed).normal(0, sigma, (n, 1, side, side)).astype(np.float32)
    names = np.array([f"{seed}-{k}" for k in range(n)])
    return InMemory(Cutouts(pixels, unit="nJy", pixel_scale=0.2, bands=("r",), ids=names))


class Spread(Baseline):
    """The scatter of an image's pixels."""

    def features(self, linear, preprocessing):
        """Return (N, 1)."""
        return linear.std(axis=(1, 2, 3), dtype=np.float64)[:, None]


def test_the_deeper_domain_gets_the_noise_of_the_other_before_it_is_measured() -> None:
    deep, wide = images(40, 1.0, 0), images(30, 3.0, 1)
    pre = fit_preprocessing(deep, None)
    depth = measuring.common_depth((deep, np.arange(40)), (wide, np.arange(30)), pre, 0)
    assert depth.added_to == "source"
    one = {"spread": Spread()}
    seen = measuring.measured(one, deep, np.arange(40), pre, depth.source, "")["spread"]
    assert seen.mean() == pytest.approx(3.0, rel=0.03)
    seen = measuring.measured(one, wide, np.arange(30), pre, depth.target, "")["spread"]
    assert seen.mean() == pytest.approx(3.0, rel=0.03)
    # An image has the same features whatever is measured with it.
    alone = measuring.measured(one, deep, np.array([7]), pre, depth.source, "")["spread"]
    assert alone[0] == measuring.measured(one, deep, np.arange(40), pre, depth.source, "")["spread"][7]


def test_an_image_without_a_good_pixel_is_not_measured() -> None:
    data = images(4, 1.0, 0)
    mask = np.zeros((4, 1, 32, 32), bool)
    mask[2] = True
    cutouts = data.read(np.arange(4)).with_(mask=mask)
    pre = fit_preprocessing(data, None)
    names = {name: BASELINES.get(name)() for name in BASELINES.names()}
    found = measuring.measured(names, InMemory(cutouts), np.arange(4), pre, None, "")
    assert set(found) == {"morphology-forest", "pixel-knn"}
    assert np.isfinite(found["pixel-knn"]).all(axis=1).tolist() == [True, True, False, True]
    assert np.isnan(found["morphology-forest"][2]).all()
    expected = measure(pre.linear(data.read([0])), bands=("r",)).features()
    np.testing.assert_array_equal(found["morphology-forest"][:1], expected)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two labelled surveys and an adapted run without baselines."""
    folder = tmp_path_factory.mktemp("surveys")
    paths = []
    for name, seed in (("sim", 1), ("sky", 2)):
        made = simulate(60, size=24, seed=seed, bands=("g", "r"))
        paths.append(str(write_hdf5(folder / f"{name}.h5", made)))
    values = {"source": paths[0], "target": paths[1], "method": "coral", "training": QUICK, "samples": 0}
    execute("adapt", {**values, "baselines": False}, out=folder / "run")
    return folder


def test_no_label_of_the_target_or_of_a_test_image_is_used_in_fitting(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all of them permuted, what is learnt from and every answer stay the same; the scores do not."""
    answers: list[np.ndarray] = []
    score = comparing._scores

    def spied(given: np.ndarray, *rest):
        answers.append(given)
        return score(given, *rest)

    monkeypatch.setattr(comparing, "_scores", spied)
    config = EvaluateConfig(runs=[str(finished / "run")], baselines=True, n_bootstrap=50, n_permutations=0)
    first = evaluate(config, "cpu").baselines
    assert [len(one["domains"]) for one in first["results"]] == [2] * 4
    parts = json.loads((finished / "run" / "splits.json").read_text())["source"]["parts"]
    whole = {name: tmp_path / f"{name}.h5" for name in ("sim", "sky")}
    for name, path in whole.items():
        shutil.copy(finished / f"{name}.h5", path)
        with h5py.File(finished / f"{name}.h5", "r+") as file:
            ids = file["ids"].asstr()[:]
            moved = np.flatnonzero(np.isin(ids, parts["test"])) if name == "sim" else np.arange(len(ids))
            labels = file["labels"][:]
            labels[moved] = (labels[moved] + 1) % 3
            file["labels"][:] = labels
    try:
        second = evaluate(config, "cpu").baselines
    finally:
        for name, path in whole.items():
            shutil.copy(path, finished / f"{name}.h5")
    assert len(answers) == 16
    for before, after in zip(answers[:8], answers[8:], strict=True):
        np.testing.assert_array_equal(before, after)
    scores = [
        [row["macro_f1"] for one in found["results"] for row in one["domains"].values()]
        for found in (first, second)
    ]
    assert scores[0] != scores[1]


def test_only_so_many_images_are_measured_drawn_by_the_seed(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "MOST_TRAIN", 20)
    monkeypatch.setattr(comparing, "MOST_TEST", 8)
    config = EvaluateConfig(runs=[str(finished / "run")], baselines=True, n_bootstrap=0, n_permutations=0)
    found = [evaluate(config, "cpu").baselines for _ in range(2)]
    assert found[0]["n_train"] == {"source": 20, "target": 20}
    assert {row["n"] for one in found[0]["results"] for row in one["domains"].values()} == {8}
    assert json.dumps(found[0]) == json.dumps(found[1])


def test_baselines_are_refused_beside_named_data(finished: Path) -> None:
    words = ["evaluate", "run", "--on", "sky.h5", "--baselines"]
    done = galshift(finished, *words)
    assert done.returncode == 3
    assert "leave out --on, or --baselines" in done.stderr


def test_adapt_compares_with_baselines_in_terminal_metrics_and_report(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "sim.h5", simulate(60, size=24, seed=1, bands=("r",)))
    write_hdf5(tmp_path / "sky<i>.h5", simulate(60, size=24, seed=2, bands=("r",)))
    words = ["--method", "coral", "--epochs", "1", "--set", "samples=0", "--out", "run"]
    done = galshift(tmp_path, "adapt", "sim.h5", "sky<i>.h5", *words)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "run" / "metrics.json").read_text())
    found = document["baselines"]
    kinds = [(one["name"], one["standardised"]) for one in found["results"]]
    assert kinds == [(n, s) for n in ("morphology-forest", "pixel-knn") for s in (False, True)]
    own = document["results"][0]["domains"]
    for one in found["results"]:
        assert list(one["domains"]) == ["sim", "sky<i>"]
        for name, row in one["domains"].items():
            assert row["n"] == own[name]["n"]
            change = row["network_minus_baseline"]["macro_f1"]
            assert change["difference"] == pytest.approx(own[name]["macro_f1"] - row["macro_f1"])
            assert row["beaten"] == (change["ci95"][0] > 0)
    assert done.stderr.count("\nbaseline ") == 4
    assert re.search("\nsky<i>: coral (does not beat|beats (all|none of)) [0-9]", done.stderr)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Beside classifiers without a network" in page
    assert "standardised morphology forest" in page
    assert "sky&lt;i&gt;" in page
    assert "sky<i>" not in page


def test_without_target_labels_the_lines_of_the_source_stand_alone(tmp_path: Path) -> None:
    source = str(write_hdf5(tmp_path / "sim.h5", simulate(60, size=24, seed=1, bands=("r",))))
    unlabelled = simulate_all(60, size=24, seed=2, bands=("r",)).with_(labels=None, classes=())
    target = str(write_hdf5(tmp_path / "sky.h5", unlabelled))
    values = {"source": source, "target": target, "method": "coral", "training": QUICK, "samples": 0}
    run = execute("adapt", values, out=tmp_path / "run").run.path
    found = json.loads((run / "metrics.json").read_text())["baselines"]
    assert [list(one["domains"]) for one in found["results"]] == [["sim"]] * 4
    assert "sky" not in " ".join(baseline_lines(found, class_metrics()))


def test_a_network_is_beaten_only_beyond_the_interval_of_the_difference() -> None:
    labels = np.tile([0, 1, 2], 40)
    right, guess = np.eye(3)[labels], np.eye(3)[np.roll(labels, 1)]
    half = np.where(np.arange(120)[:, None] % 2, right, guess)
    config = EvaluateConfig(runs=["x"], n_bootstrap=200)
    test_set = SimpleNamespace(labels=labels, groups=np.arange(120).astype(str), name="sky")
    one = comparing.Tested(test_set, np.arange(120), {}, {})

    def beaten(network: np.ndarray, baseline: np.ndarray) -> bool:
        found = SimpleNamespace(
            classes=("a", "b", "c"), main=None, answers=lambda c, s: SimpleNamespace(centre=network)
        )
        row = comparing._scores(baseline, one, found, config)
        assert row["accuracy"] == pytest.approx((baseline.argmax(1) == labels).mean())
        return row["beaten"]

    assert beaten(right, half)
    assert not beaten(half, right)
    assert not beaten(half, half)


def document(*rows: tuple[str, bool, float, float, tuple[float | None, float | None], bool]) -> dict:
    """What metrics.json would say of baselines on one test set."""
    results = []
    for title, standardised, score, difference, ci95, beaten in rows:
        change = {"macro_f1": {"difference": difference, "ci95": list(ci95)}}
        row = {"macro_f1": score, "ci95": {"macro_f1": [score - 0.1, score + 0.1]}, "beaten": beaten}
        domains = {"sky": {**row, "network_minus_baseline": change}}
        results.append({"name": "x", "title": title, "standardised": standardised, "domains": domains})
    return {"network": "coral", "decided_by": "macro_f1", "results": results}


def test_the_headline_says_what_is_not_beaten() -> None:
    said = document(
        ("pixel k-NN", False, 0.5, 0.32, (0.2, 0.41), True),
        ("morphology forest", False, 0.81, 0.01, (-0.03, 0.05), False),
        ("morphology forest", True, 0.78, 0.04, (None, None), False),
    )
    lines = baseline_lines(said, class_metrics())
    assert lines == [
        "baseline pixel k-NN: macro F1 0.50 (0.40 to 0.60) on sky",
        "baseline morphology forest: macro F1 0.81 (0.71 to 0.91) on sky",
        "baseline standardised morphology forest: macro F1 0.78 (0.68 to 0.88) on sky",
        "sky: coral does not beat 2 of 3 classifiers without a network, the best of them "
        "morphology forest macro F1 0.81, difference +0.01 (-0.03 to 0.05)",
    ]
    assert "coral does not beat 2 of 3 " in baseline_sentences(said, class_metrics())[0]
    none = document(("pixel k-NN", False, 0.5, 0.02, (-0.2, 0.41), False))
    assert "coral beats none of 1 " in baseline_sentences(none, class_metrics())[0]


def test_the_headline_says_that_all_are_beaten() -> None:
    said = document(
        ("pixel k-NN", False, 0.5, 0.32, (0.2, 0.41), True),
        ("morphology forest", False, 0.71, 0.11, (0.06, 0.16), True),
    )
    expected = (
        "coral beats all 2 classifiers without a network, the best of them "
        "morphology forest macro F1 0.71, difference +0.11 (0.06 to 0.16)"
    )
    assert baseline_lines(said, class_metrics())[-1] == f"sky: {expected}"
    sentence = f"On sky, {expected}."
    assert baseline_sentences(said, class_metrics()) == [sentence]
    assert baseline_lines(None, class_metrics()) == baseline_sentences(None, class_metrics()) == []


def test_networks_for_numbers_have_no_baselines_and_say_so_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for name, seed in (("sim", 1), ("sky", 2)):
        made = simulate_all(40, size=24, seed=seed, bands=("r",))
        made = replace(
            made, labels=rng.normal(0, 1, (len(made), 1)).astype(np.float32), classes=("z",), table=None
        )
        paths.append(str(write_hdf5(tmp_path / f"{name}.h5", made)))
    values = {"source": paths[0], "target": paths[1], "method": "coral", "training": QUICK, "samples": 0}
    run = execute("adapt", {**values, "read": {"label_kind": "value"}}, out=tmp_path / "run").run.path
    document = json.loads((run / "metrics.json").read_text())
    assert "baselines" not in document
    assert document["warnings"].count(comparing.NO_CLASSES) == 1
