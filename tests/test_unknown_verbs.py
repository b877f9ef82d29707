"""A class that only the target has, through adapt, evaluate and predict; its metrics by scikit-learn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.table import Table
from sklearn.metrics import roc_auc_score

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.domains.match_noise import matched
from galshift.errors import ConfigError, DataError
from galshift.evaluation.unknown import unknown_metrics
from galshift.methods import METHODS
from galshift.recipes.execute import execute
from galshift.training.predict import Forward
from galshift.training.sets import TrainingSet
from galshift.training.unknown import load_scorer, save_scorer, unknown_scores
from galshift.types import Output

UNIVERSAL = [name for name in METHODS.names() if METHODS.get(name).scoring]


def rings(n: int, classes: tuple[str, ...], seed: int, sigma: float) -> Cutouts:
    """Bars along x, bars along y, and rings, 16 pixels wide, under noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(classes)
    y, x = np.mgrid[:16, :16] - 7.5
    shapes = {
        "flat": np.exp(-((x / 5) ** 2 + (y / 1.5) ** 2)),
        "tall": np.exp(-((x / 1.5) ** 2 + (y / 5) ** 2)),
        "ring": np.exp(-((np.hypot(x, y) - 5) ** 2)),
    }
    images = np.stack([shapes[classes[k]] for k in labels])[:, None] * 20 + rng.normal(
        0, sigma, (n, 1, 16, 16)
    )
    names = np.array([f"{seed}-{k}" for k in range(n)])
    return Cutouts(
        images=images.astype(np.float32),
        unit="nJy",
        pixel_scale=0.2,
        bands=("r",),
        ids=names,
        groups=names,
        labels=labels,
        classes=classes,
    )


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict]:
    """A run of pulse, its target, and what the verb returned."""
    folder = tmp_path_factory.mktemp("unknown")
    write_hdf5(folder / "source.h5", [rings(160, ("flat", "tall"), 1, 0.5)])
    write_hdf5(folder / "target.h5", [rings(180, ("flat", "tall", "ring"), 2, 1.5)])
    values = {
        "source": str(folder / "source.h5"),
        "target": str(folder / "target.h5"),
        "method": "pulse",
        "training": {"epochs": 12, "batch_size": 16},
        "augment": {"dihedral": False},
        "samples": 0,
    }
    done = execute("adapt", values, out=folder / "run")
    return folder / "run", folder / "target.h5", done.results


def target_result(results: dict, name: str = "pulse") -> dict:
    """The part of a document on one classifier and the target."""
    (found,) = [one for one in results["results"] if one["name"] == name]
    return next(one for one in found["domains"].values() if one["role"] in ("target", "given"))


def test_adapt_says_how_the_unknown_class_is_found(adapted) -> None:
    run, _, results = adapted
    found = target_result(results)["unknown"]
    table = Table.read(run / "predictions.fits")
    table = table[table["data_set"] == "target"]
    # A label that the source does not have is empty in the table: here they are all of the rings.
    outside = np.ma.filled(table["label"], "").astype(str) == ""
    score = np.asarray(table["unknown_score"])
    assert found["n_unknown"] == outside.sum() > 5
    assert found["auroc"] == pytest.approx(roc_auc_score(outside, score), rel=1e-9)
    assert found["auroc"] > 0.9
    assert found["share_flagged"] == pytest.approx((score > 0.5).mean(), rel=1e-9)
    assert 0 <= found["h_score"] <= 1
    assert found["known_share"] == pytest.approx(2 / 3, abs=0.2)  # of three classes that are as common
    assert found["reasons"] == []
    plain = target_result(results, "source-only")["unknown"]
    assert plain["score"] == "1 - max p"
    assert "h_score" not in plain
    assert "Classes that the source does not have" in (run / "report.html").read_text(encoding="utf-8")


def test_evaluate_and_predict_give_the_same_scores_later(adapted, tmp_path: Path) -> None:
    run, target, _ = adapted
    values = {"runs": [str(run)], "samples": 0, "n_bootstrap": 0, "n_permutations": 0}
    execute("evaluate", values, out=tmp_path / "evaluate")
    first, second = (Table.read(folder / "predictions.fits") for folder in (run, tmp_path / "evaluate"))
    np.testing.assert_allclose(first["unknown_score"], second["unknown_score"], atol=1e-6)
    document = json.loads((tmp_path / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    assert target_result(document)["unknown"]["auroc"] > 0.9
    done = execute("predict", {"run": str(run), "data": str(target)}, out=tmp_path / "said.fits")
    table = Table.read(tmp_path / "said.fits")
    assert done.results["share_unknown"] == pytest.approx((np.asarray(table["unknown_score"]) > 0.5).mean())
    rows = dict(zip(table["id"], table["unknown_score"], strict=True))
    assert [rows[name] for name in first["id"] if name in rows] == pytest.approx(
        [score for name, score in zip(first["id"], first["unknown_score"], strict=True) if name in rows],
        abs=1e-5,
    )


def test_evaluate_says_where_the_score_tells_the_survey(adapted, tmp_path: Path) -> None:
    run, _, _ = adapted
    other = rings(120, ("flat", "tall"), 3, 1.5)  # no unknown class, but a sky that was not subtracted
    write_hdf5(tmp_path / "other.h5", [other.with_(images=other.images + 6)])
    values = {"runs": [str(run)], "on": [str(tmp_path / "other.h5")], "samples": 0}
    done = execute("evaluate", values | {"n_bootstrap": 0, "n_permutations": 0}, out=tmp_path / "evaluate")
    document = json.loads((tmp_path / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    found = target_result(document)["unknown"]
    assert found["known_share"] < 0.3
    (reason,) = found["reasons"]
    assert "tells the survey rather than the class" in reason
    assert reason in document["warnings"]
    assert reason in done.results["warnings"]
    assert "rather than the class" in (tmp_path / "evaluate" / "report.html").read_text(encoding="utf-8")


def test_a_damaged_scorer_is_refused_in_one_sentence(adapted, tmp_path: Path) -> None:
    run, target, _ = adapted
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "unknown.safetensors").write_bytes(b"not tensors")
    with pytest.raises(DataError, match="what tells unknown classes is damaged"):
        execute("predict", {"run": str(copy), "data": str(target)}, out=tmp_path / "said.fits")


def test_matching_beside_an_observation_is_refused(tmp_path: Path) -> None:
    values = {"source": "a.h5", "target": "b.h5", "match_noise": True, "observe": {"survey": "sdss"}}
    write_hdf5(tmp_path / "a.h5", [rings(20, ("flat", "tall"), 1, 0.5)])
    write_hdf5(tmp_path / "b.h5", [rings(20, ("flat", "tall"), 2, 0.5)])
    values |= {key: str(tmp_path / values[key]) for key in ("source", "target")}
    with pytest.raises(ConfigError, match="observed as the survey already"):
        execute("adapt", values, out=tmp_path / "run")


@pytest.mark.parametrize("name", UNIVERSAL)
def test_scores_survive_the_disk(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind = METHODS.get(name)
    method, sizes = kind(), {"feature_dim": 5, "n_classes": 3, "n_target": 9}
    method.build(**sizes)
    for buffer in method.nets.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1)
    assert save_scorer(tmp_path, name, method, sizes) == tmp_path / "unknown.safetensors"
    loaded = load_scorer(tmp_path)
    features, logits = torch.randn(4, 5), torch.randn(4, 3)
    p = torch.softmax(logits, dim=1).double().numpy()
    p[2] = np.nan
    scores = unknown_scores(loaded, Forward(logits.numpy(), features.numpy(), p, np.zeros(4, np.int16)))
    wanted = method.unknown_score(Output(features, logits)).detach().numpy()
    assert np.isnan(scores[2])
    np.testing.assert_allclose(np.delete(scores, 2), np.delete(wanted, 2), rtol=1e-6)


def test_every_universal_method_says_what_its_score_needs() -> None:
    for name in METHODS.names():
        method = METHODS.get(name)()
        method.build(4, 3, 6)
        score = method.unknown_score(Output(torch.zeros(2, 4), torch.zeros(2, 3)))
        assert (score is not None) == (name in UNIVERSAL), name


def test_other_methods_leave_nothing(tmp_path: Path) -> None:
    method = METHODS.get("coral")()
    assert save_scorer(tmp_path, "coral", method, {}) is None
    assert load_scorer(tmp_path) is None


def test_only_the_quieter_domain_gets_noise() -> None:
    sets = [
        TrainingSet(torch.from_numpy(one.images), ids=tuple(one.ids))
        for one in (
            rings(100, ("flat", "tall"), seed, sigma) for seed, sigma in ((1, 0.5), (2, 0.5), (3, 1.5))
        )
    ]
    source, valid, target = matched(*sets, seed=0)
    assert source.observe is not None
    assert valid.observe is not None
    assert target.observe is None
    rows = torch.arange(100)
    corner = source.take(rows, torch.zeros(100, dtype=torch.int64))[..., :3, :3]
    assert float(corner.std()) == pytest.approx(1.5, rel=0.08)


def test_metrics_of_unknown_classes() -> None:
    rng = np.random.default_rng(0)
    unknown, right = rng.uniform(size=400) < 0.3, rng.uniform(size=400) < 0.8
    scores = np.round(np.clip(rng.normal(0.4 + 0.3 * unknown, 0.2), 0, 1), 2)  # ties
    found = unknown_metrics(scores, unknown, right)
    assert found["auroc"] == pytest.approx(roc_auc_score(unknown, scores), rel=1e-12)
    a = np.mean([r and s <= 0.5 for r, s, u in zip(right, scores, unknown, strict=True) if not u])
    b = np.mean([s > 0.5 for s, u in zip(scores, unknown, strict=True) if u])
    assert found["h_score"] == pytest.approx(2 / (1 / a + 1 / b), rel=1e-12)
    assert unknown_metrics(scores, np.zeros(400, bool), right)["auroc"] is None
    assert "h_score" not in unknown_metrics(scores, unknown, right, threshold=None)
    assert unknown_metrics(np.zeros(4), np.arange(4) < 2, np.ones(4, bool))["h_score"] == 0.0
