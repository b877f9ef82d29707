"""Predicted accuracy and verdict: estimates against closed forms, and no label of the target in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import norm

from galshift.data.hdf5 import write_hdf5
from galshift.doubt.estimates import (
    agreement,
    average_confidence,
    average_thresholded_confidence,
    nuclear_norm,
)
from galshift.doubt.evidence import Evidence, evidence, lost_agreement
from galshift.doubt.likeness import likeness
from galshift.doubt.predicted import Constants, predict_accuracy
from galshift.doubt.sets import in_words, prediction_sets
from galshift.doubt.verdict import TRUSTED, UNTOLD, UNTRUSTED, judge
from galshift.errors import DataError
from galshift.recipes.execute import execute
from galshift.simulate.generate import simulate
from galshift.verbs import STEPS


def sure(p: float, n: int) -> np.ndarray:
    """(n, 2) probabilities `p` of the first class."""
    return np.tile([p, 1 - p], (n, 1))


def test_the_difference_of_confidences_is_taken_off_the_accuracy() -> None:
    labels = np.repeat([0, 1], [8, 2])
    assert average_confidence(sure(0.9, 10), labels, sure(0.7, 5)) == pytest.approx(0.8 - 0.2)
    assert average_confidence(sure(0.6, 10), labels, sure(0.9, 5)) == 1.0


def test_the_threshold_leaves_the_sources_accuracy_above_it() -> None:
    confidence = np.linspace(0.6, 0.99, 100)
    source = np.stack([confidence, 1 - confidence], axis=1)
    labels = (np.arange(100) < 25).astype(int)  # three quarters right: the threshold is at the 25th
    target = np.stack([confidence[::2], 1 - confidence[::2]], axis=1)
    assert average_thresholded_confidence(source, labels, target) == pytest.approx(0.75, abs=0.02)
    assert average_thresholded_confidence(source, labels, sure(0.61, 7)) == 0.0
    assert average_thresholded_confidence(source, labels, sure(0.98, 7)) == 1.0


@pytest.mark.parametrize("k", [2, 3, 10])
def test_the_nuclear_norm_is_one_for_even_certainty_and_least_for_none(k: int) -> None:
    certain = np.eye(k)[np.arange(6 * k) % k]
    assert nuclear_norm(certain) == pytest.approx(1.0)
    assert nuclear_norm(np.full((6 * k, k), 1 / k)) == pytest.approx(1 / k)
    assert nuclear_norm(np.eye(k)[np.zeros(6 * k, dtype=int)]) == pytest.approx(1 / np.sqrt(k))


def test_agreement_is_a_share_and_what_is_lost_a_difference() -> None:
    one, other = np.eye(2)[[0, 0, 1, 1]], np.eye(2)[[0, 1, 1, 1]]
    assert agreement(one, other) == 0.75
    assert lost_agreement((one, one), (one, other)) == -0.25


def gaussians(offset: float, n: int = 6000, apart: float = 3.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact posteriors of two Gaussians on source and target, and the source's labels."""
    rng = np.random.default_rng(3)
    labels = np.arange(n) % 2
    x = [apart * (labels - 0.5) + shift + rng.normal(size=n) for shift in (0.0, offset)]
    source, target = (softmax(np.stack([-apart * one, apart * one], axis=1) / 2, axis=1) for one in x)
    return source, labels, target


def test_without_a_gap_the_sources_accuracy_is_expected_and_trusted() -> None:
    signs = evidence(*gaussians(0.0))
    found = predict_accuracy(signs)
    assert found.accuracy == pytest.approx(norm.cdf(1.5), abs=0.015)
    assert judge(signs, found).word == TRUSTED
    assert found.ci95[0] <= norm.cdf(1.5) <= found.ci95[1]


def test_rows_and_columns_of_one_value_that_the_source_lacks_leave_doubt() -> None:
    signs = replace(evidence(*gaussians(0.0)), striped=0.25)
    found = judge(signs, predict_accuracy(signs))
    assert found.word == UNTOLD
    assert found.reasons[0].startswith("25% of its images have whole rows or columns of one value")
    assert judge(replace(signs, striped=0.04), predict_accuracy(signs)).word == TRUSTED


def test_a_loss_is_seen_by_a_witness_that_is_not_fooled() -> None:
    """Moved by 2.5 across the border, of classes 3 apart, half of the images are called right."""
    truth = (norm.cdf(4.0) + norm.cdf(-1.0)) / 2
    source, labels, target = gaussians(2.5)
    right = np.eye(2)[labels]
    told = lost_agreement((source, target), (right, right))
    assert told == pytest.approx(truth - norm.cdf(1.5), abs=0.02)
    signs = evidence(source, labels, target, {"a": told, "b": told})
    found = predict_accuracy(signs)
    assert found.accuracy == pytest.approx(truth, abs=0.02)
    assert judge(signs, found).word == UNTRUSTED
    assert (
        "a class" in " ".join(judge(signs, found).reasons) or "fewer images" in judge(signs, found).reasons[1]
    )


def test_the_median_of_the_accounts_counts_and_one_that_differs_much_leaves_doubt() -> None:
    by = Constants(0.0, np.array([1.0, 0.0]), (0.05, 0.5))
    signs = Evidence(0.9, 3, 0.0, 0.0, -0.02, 0.0, 0.0, witnesses={"a": -0.01, "b": -0.3})
    found = predict_accuracy(signs, by)
    assert found.change == pytest.approx(-0.02)
    assert found.ci95 == pytest.approx((0.88 - 0.06, 0.88 + 0.06))
    assert judge(signs, found).word == UNTOLD
    assert "differ" in judge(signs, found).reasons[0]
    little = Evidence(0.9, 3, 0.0, 0.0, -0.06, 0.0, 0.0)
    assert judge(little, predict_accuracy(little, by)).word == UNTOLD
    ruin = Evidence(0.9, 3, 0.0, 0.0, -0.2, -0.3, -0.4)
    reasons = judge(ruin, predict_accuracy(ruin, by)).reasons
    assert judge(ruin, predict_accuracy(ruin, by)).word == UNTRUSTED
    assert any("vanished" in one for one in reasons)
    assert any("class mix" in one for one in reasons)


@pytest.mark.parametrize(
    ("own", "other", "share"), [(-0.2, -0.2, 1), (-0.2, 0.0, 1), (0.0, -0.2, 1 / 6), (0.1, -0.02, 2 / 3)]
)
def test_what_two_networks_lost_between_them_is_the_ones_that_shows_a_loss(
    own: float, other: float, share: float
) -> None:
    by = Constants(0.0, np.array([1.0, 0.0]), (0.05, 0.5))
    signs = Evidence(0.9, 3, 0.0, 0.0, own, 0.0, 0.0, witnesses={"a": -0.3}, rivals={"a": (other, 0.0)})
    found = predict_accuracy(signs, by)
    assert found.accounts["a"] == pytest.approx(-0.3 * share)
    if share < 1:
        assert not any("30% fewer" in one for one in judge(signs, found).reasons[:1])
    else:
        assert "it agrees with a on 30% fewer images than on the source" in judge(signs, found).reasons


def test_what_has_not_learnt_the_source_is_never_trusted() -> None:
    by = Constants(0.0, np.array([1.0, 0.0]), (0.05, 0.5))
    signs = Evidence(0.9, 3, 0.0, 0.0, 0.0, 0.0, 0.0, source_recall=0.4)  # nine in ten are of one class
    assert judge(signs, predict_accuracy(signs, by)).word == UNTRUSTED


def test_few_images_widen_the_interval_and_are_no_ground_for_trust() -> None:
    by = Constants(0.0, np.array([1.0, 0.0]), (0.05, 0.5))
    signs = Evidence(0.8, 3, 0.0, 0.0, 0.0, 0.0, 0.0, n_source=24, n_target=3000)
    found = predict_accuracy(signs, by)
    half = np.sqrt(0.05**2 + 1.96**2 * 0.16 * (1 / 24 - 1 / 150))
    assert found.ci95 == pytest.approx((0.8 - half, 0.8 + half))
    assert judge(signs, found).word == UNTOLD
    assert "only 24" in judge(signs, found).reasons[0]
    many = Evidence(0.8, 3, 0.0, 0.0, 0.0, 0.0, 0.0, n_source=400, n_target=3000)
    assert judge(many, predict_accuracy(many, by)).word == TRUSTED


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 6), st.integers(0, 10_000), st.floats(0.1, 20))
def test_bounds_hold_and_order_and_names_of_classes_do_not_matter(k: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    source, target = (softmax(scale * rng.normal(size=(n, k)), axis=1) for n in (40, 55))
    labels = rng.integers(0, k, 40)
    found = predict_accuracy(evidence(source, labels, target))
    assert 0 <= found.ci95[0] <= found.accuracy <= found.ci95[1] <= 1
    renamed, order = rng.permutation(k), rng.permutation(55)
    again = evidence(source[:, renamed], np.argsort(renamed)[labels], target[order][:, renamed])
    assert predict_accuracy(again).change == pytest.approx(found.change, abs=1e-6)


def test_the_sets_are_those_of_the_definition() -> None:
    """Against a weighted quantile written out, image by image and class by class."""
    rng, k, n = np.random.default_rng(5), 3, 60
    labels = rng.integers(0, k, n)
    logits = 2 * np.eye(k)[labels] + rng.normal(size=(n, k))
    weights = np.array([0.5, 1.0, 2.5])
    found = prediction_sets(logits, labels, 0.8, weights)
    score = 1 - found.calibration(logits)[np.arange(n), labels]
    fresh = 2 * rng.normal(size=(40, k))
    p = found.calibration(fresh)
    for i, row in enumerate(found.members(fresh)):
        for c in range(k):
            below = weights[labels[score < 1 - p[i, c]]].sum() / (weights[labels].sum() + weights[c])
            assert row[c] == (below < 0.8)


@pytest.mark.parametrize("mix", [None, (0.1, 0.2, 0.7)])
def test_the_sets_hold_the_stated_share_of_truths_where_only_the_mix_differs(mix: tuple | None) -> None:
    rng, k = np.random.default_rng(6), 3

    def drawn(n: int, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.choice(k, n, p=shares)
        # Classes are told apart unequally well, so that a wrong mix would show.
        return np.array([4.0, 2.0, 0.7])[labels][:, None] * np.eye(k)[labels] + rng.normal(
            size=(n, k)
        ), labels

    even = np.full(k, 1 / 3)
    target = even if mix is None else np.array(mix)
    sets = prediction_sets(*drawn(4000, even), 0.9, None if mix is None else target / even)
    logits, labels = drawn(8000, target)
    assert sets.members(logits)[np.arange(8000), labels].mean() == pytest.approx(0.9, abs=0.012)


def test_the_sets_hold_the_stated_share_of_truths_where_answers_are_less_sure_and_as_right() -> None:
    """Drawn so that confidence is calibrated in both domains, and lower in the target."""
    rng, k = np.random.default_rng(8), 3

    def drawn(n: int, sure: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        logits = rng.normal(size=(n, k)) * rng.uniform(*sure, n)[:, None]
        odds = softmax(logits, axis=1).cumsum(axis=1)
        return logits, (rng.random(n)[:, None] > odds).sum(axis=1).clip(max=k - 1)

    source, (target, truth) = drawn(4000, (1.0, 6.0)), drawn(8000, (0.5, 2.5))
    rows = np.arange(len(truth))
    weighted = prediction_sets(*source, 0.9, target=target).members(target)[rows, truth].mean()
    assert weighted == pytest.approx(0.9, abs=0.012)
    assert prediction_sets(*source, 0.9).members(target)[rows, truth].mean() < 0.87


def test_the_ratio_of_answers_is_that_of_their_densities() -> None:
    """Two sets of answers that are mixtures of sure and unsure ones: the ratio is that of the shares."""
    sure, unsure = np.array([[0.98, 0.01, 0.01]]), np.array([[0.4, 0.35, 0.25]])
    source, target = (np.repeat(np.concatenate([sure, unsure]), n, axis=0) for n in ((800, 200), (300, 700)))
    ratio = likeness(source, target)
    assert ratio(sure)[0] == pytest.approx(0.3 / 0.8, rel=0.02)
    assert ratio(unsure)[0] == pytest.approx(0.7 / 0.2, rel=0.02)
    assert np.isnan(ratio(np.full((1, 3), np.nan))).all()


def test_sets_in_words_and_of_images_without_an_answer() -> None:
    members = np.array([[True, False], [True, True], [False, False], [False, True]])
    assert in_words(members, ("a", "b")).tolist() == ["a", "a | b", "", "b"]
    sets = prediction_sets(np.eye(2)[[0, 1] * 10] * 3, np.array([0, 1] * 10), 0.9)
    assert not sets.members(np.full((2, 2), np.nan)).any()


def test_a_level_that_few_images_cannot_promise_leaves_every_class_in() -> None:
    sets = prediction_sets(np.eye(2)[[0, 1]] * 5, np.array([0, 1]), 0.9)
    assert sets.members(np.array([[9.0, -9.0]])).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An adapted run of a few epochs, and the target's file."""
    folder = tmp_path_factory.mktemp("doubt")
    paths = [
        write_hdf5(folder / f"{name}.h5", simulate(150, size=24, seed=seed, bands=("r",)))
        for name, seed in (("sim", 1), ("sky", 2))
    ]
    values = {
        "source": str(paths[0]),
        "target": str(paths[1]),
        "method": "coral",
        "training": {"epochs": 2, "batch_size": 16, "precision": "float32"},
        "samples": 0,
    }
    execute("adapt", values, out=folder / "run")
    return folder / "run", paths[1]


def target_metrics(folder: Path, name: str = "sky") -> list[dict]:
    document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return [result["domains"][name] for result in document["results"]]


def test_adapt_says_for_each_network_what_is_expected_and_whether_to_believe_it(
    run: tuple[Path, Path],
) -> None:
    folder, _ = run
    adapted, plain = target_metrics(folder)
    for found, beside in ((adapted, "source-only"), (plain, "coral")):
        low, high = found["ci95"]["predicted_accuracy"]
        assert low <= found["predicted_accuracy"] <= high
        assert found["verdict"] in {TRUSTED, UNTOLD, UNTRUSTED}
        assert set(found["doubt"]["accounts"]) == {"own", beside, "the morphology forest"}
    document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert "verdict" not in document["results"][0]["domains"]["sim"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.index("verdict on sky") < page.index('class="lede"')
    assert "Whether to believe it" in page


def test_labels_of_the_target_play_no_part_in_it(run: tuple[Path, Path], tmp_path: Path) -> None:
    import h5py

    folder, target = run
    found = []
    for name in ("right", "wrong"):
        place = tmp_path / name / "sky.h5"
        place.parent.mkdir()
        place.write_bytes(target.read_bytes())
        if name == "wrong":
            with h5py.File(place, "r+") as stored:
                stored["labels"][...] = np.roll(stored["labels"][...], 7)
        values = {"runs": [str(folder)], "on": [str(place)], "samples": 0}
        done = execute("evaluate", values, out=tmp_path / name / "out")
        found.append(target_metrics(done.run.path)[0])
    keys = ("predicted_accuracy", "verdict", "doubt")
    assert found[0]["accuracy"] != found[1]["accuracy"]
    assert [found[0][key] for key in keys] == [found[1][key] for key in keys]
    told = STEPS.get("evaluate")().describe(done.results)
    assert any("verdict: " in line and "accuracy expected without labels" in line for line in told)


def test_too_few_images_are_said_not_guessed(run: tuple[Path, Path], tmp_path: Path) -> None:
    folder, _ = run
    few = write_hdf5(tmp_path / "few.h5", simulate(12, size=24, seed=9, bands=("r",)))
    done = execute("evaluate", {"runs": [str(folder)], "on": [str(few)], "samples": 0}, out=tmp_path / "out")
    assert "verdict" not in target_metrics(done.run.path, "few")[0]
    assert any(
        "No accuracy is predicted" in line and "fewer than 20" in line for line in done.results["warnings"]
    )


def test_predict_carries_verdict_and_sets_whole_and_in_shards(run: tuple[Path, Path], tmp_path: Path) -> None:
    from astropy.table import Table
    from pyarrow import parquet

    folder, target = run
    values = {"run": str(folder), "data": str(target), "level": 0.8}
    done = execute("predict", values, out=tmp_path / "p.fits")
    table = Table.read(tmp_path / "p.fits")
    sets = [str(one).split(" | ") if one else [] for one in table["prediction_set"]]
    assert [bool(one) for one in table["in_doubt"]] == [len(one) != 1 for one in sets]
    assert all(row["prediction"] in one for row, one in zip(table, sets, strict=True) if one)
    header = json.loads("".join(table.meta["HISTORY"]))
    (report,) = target_metrics(folder)[:1]  # whose witnesses predict does not have
    for key in ("verdict", "reasons", "predicted_accuracy"):
        assert header[key] == done.results[key] == report[key]
    assert header["predicted_accuracy_ci95"] == report["ci95"]["predicted_accuracy"]
    assert header["prediction_sets"]["level"] == 0.8
    told = STEPS.get("predict")().describe(done.results)
    assert any(line.startswith("verdict: ") for line in told)
    execute("predict", values | {"shards": 60}, out=tmp_path / "p.parquet")
    parts = [parquet.read_table(one) for one in sorted((tmp_path / "p.parquet").glob("*.parquet"))]
    shards = [one for part in parts for one in part["prediction_set"].to_pylist()]
    assert shards == [str(one) for one in table["prediction_set"]]


def test_of_other_data_the_network_beside_is_predicts_witness(run: tuple[Path, Path], tmp_path: Path) -> None:
    from astropy.table import Table

    folder, _ = run
    other = write_hdf5(tmp_path / "other.h5", simulate(150, size=24, seed=3, bands=("r",)))
    answers, results = {}, {}
    for name, own in (("adapted", folder), ("beside", folder / "source-only")):
        for data in (other, folder.parent / "sim.h5"):
            out = tmp_path / f"{name}-{data.stem}.fits"
            results[name, data.stem] = execute(
                "predict", {"run": str(own), "data": str(data)}, out=out
            ).results
            table = Table.read(out)
            seen = (
                np.isin(table["split"].astype(str), ["valid", "test"]) if data.stem == "sim" else slice(None)
            )
            answers[name, data.stem] = np.asarray(table["prediction"].astype(str))[seen]
    agreed = {k: (answers["adapted", k] == answers["beside", k]).mean() for k in ("other", "sim")}
    lost = agreed["other"] - agreed["sim"]
    told = results["adapted", "other"]["doubt"]["accounts"]
    assert set(told) == {"own", "source-only"}
    assert min(lost, 0) <= told["source-only"] <= max(lost, 0)  # all of it, or a share
    assert (told["source-only"] == 0) == (lost == 0)
    assert set(results["beside", "other"]["doubt"]["accounts"]) == {"own"}


def test_evaluate_takes_from_the_record_what_the_target_has_more_of(
    run: tuple[Path, Path], tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(run[0], tmp_path / "run")
    place = tmp_path / "run" / "data.json"
    seen = json.loads(place.read_text(encoding="utf-8"))
    assert seen["source"]["striped"] == seen["target"]["striped"] == 0.0
    for more, said in ((0.3, 0.2), (0.05, 0.0)):
        seen["source"]["striped"], seen["target"]["striped"] = 0.1, more
        place.write_text(json.dumps(seen), encoding="utf-8")
        out = tmp_path / f"out-{more}"
        done = execute("evaluate", {"runs": [str(tmp_path / "run")], "samples": 0}, out=out)
        assert target_metrics(done.run.path)[0]["doubt"]["signs"]["striped"] == pytest.approx(said)


def test_what_the_report_does_not_believe_is_not_counted_without_labels(
    run: tuple[Path, Path], tmp_path: Path
) -> None:
    import shutil

    folder, target = run
    shutil.copytree(folder, tmp_path / "run")
    place = tmp_path / "run" / "metrics.json"
    document = json.loads(place.read_text(encoding="utf-8"))
    document["results"][0]["domains"]["sky"] |= {"verdict": "cannot be trusted", "reasons": ["it was shown"]}
    place.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DataError, match=r"says that it cannot be trusted there \(it was shown\)") as caught:
        execute("count", {"run": str(tmp_path / "run"), "data": str(target)}, out=tmp_path / "count")
    assert "--aim measure" in caught.value.hint


def test_predict_without_the_source_says_that_it_gives_no_verdict(
    run: tuple[Path, Path], tmp_path: Path
) -> None:
    import shutil

    folder, target = run
    copy = tmp_path / "alone"
    copy.mkdir()
    shutil.copyfile(folder / "model.safetensors", copy / "model.safetensors")
    done = execute("predict", {"run": str(copy), "data": str(target)}, out=tmp_path / "p.csv")
    (line,) = [one for one in done.results["warnings"] if "No verdict and no prediction sets" in one]
    assert f"({copy.name})" in line  # of what
    assert "prediction_set" not in (tmp_path / "p.csv").read_text().splitlines()[0]


def test_labels_that_contradict_the_expectation_are_named() -> None:
    from types import SimpleNamespace

    from galshift.verbs.evaluate.doubt_words import verdict_sentences

    metrics = {
        "labelled": True,
        "accuracy": 0.5,
        "predicted_accuracy": 0.8,
        "ci95": {"accuracy": [0.45, 0.55], "predicted_accuracy": [0.7, 0.9]},
        "verdict": TRUSTED,
        "reasons": [],
    }
    one = SimpleNamespace(name="sky")
    found = SimpleNamespace(sets=(one,), main=None, metrics=lambda c, s: metrics)
    assert "Believe the labels" in verdict_sentences(found)[0]
    metrics["ci95"]["accuracy"] = [0.6, 0.75]
    assert verdict_sentences(found) == []
