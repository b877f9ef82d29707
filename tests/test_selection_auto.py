"""adapt --select and --method auto: label-free, resumable, and honest about what was chosen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from galshift.doubt.choice import choose
from galshift.errors import ConfigError, DataError
from galshift.models.build import build_model
from galshift.recipes.execute import execute
from galshift.selection import DEFAULT
from galshift.selection._base import Candidate
from galshift.training.checkpoint import load_checkpoint
from galshift.training.outputs import read_candidate
from galshift.verbs import STEPS
from galshift.verbs.adapt import auto, mix_prior
from galshift.verbs.adapt.warnings import adaptation_warnings, expected_mix


def values(surveys: tuple[str, str], **more: object) -> dict:
    return {
        "source": surveys[0],
        "target": surveys[1],
        "training": {"epochs": 2, "batch_size": 16, "precision": "float32"},
        "samples": 0,
        **more,
    }


def test_auto_tries_chooses_and_keeps_the_chosen_network(surveys: tuple[str, str], tmp_path: Path) -> None:
    method = {"kind": "auto", "methods": ["adabn", "mcc"]}
    done = execute("adapt", values(surveys, method=method), out=tmp_path / "run")
    run, results = done.run.path, done.results
    choice = json.loads((run / "selection.json").read_text())
    assert results["selection"] == choice
    assert results["method"] == choice["chosen"]
    assert set(choice["predicted_mix"]) == {"source-only", "adabn", "mcc"}
    assert choice["selector"] == DEFAULT
    names = [result["name"] for result in results["results"]]
    assert names == [f"auto ({choice['chosen']})", "source-only"]
    assert set(choice["scores"]) == {"source-only", "adabn", "mcc"}
    folders = {"source-only": run / "source-only", **{n: run / "candidates" / n for n in ("adabn", "mcc")}}
    chosen = folders[choice["chosen"]]
    assert (run / "model.safetensors").read_bytes() == (chosen / "model.safetensors").read_bytes()
    assert "How the method was chosen" in (run / "report.html").read_text()
    assert "class_mix" in json.loads((run / "metrics.json").read_text())
    told = STEPS.get("adapt")().describe(results | {"selection": choice | {"another_mix": True}})[0]
    assert "every network sees another class mix" in told


def test_the_mix_is_asked_of_source_only_and_of_the_same_with_the_targets_batch_norm(
    surveys: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Candidate] = []
    monkeypatch.setattr(mix_prior, "credible_mix", lambda *witnesses: asked.extend(witnesses))
    once = {"epochs": 1, "batch_size": 16, "precision": "float32"}
    run = execute("adapt", values(surveys, method="coral", training=once), out=tmp_path / "run").run.path
    plain, moved = asked
    kept = read_candidate(run / "source-only")
    np.testing.assert_array_equal(plain.logits_target, kept.logits_target)
    np.testing.assert_array_equal(moved.logits_source_val, plain.logits_source_val)
    assert moved.logits_target.shape == plain.logits_target.shape
    assert not np.array_equal(moved.logits_target, plain.logits_target)
    # As AdaBN leaves it, which trains alike with the same seed and exchanges no more than the statistics.
    again = execute("adapt", values(surveys, method="adabn", training=once), out=tmp_path / "adabn").run.path
    np.testing.assert_allclose(moved.logits_target, read_candidate(again).logits_target, rtol=1e-4, atol=1e-4)


def test_the_choice_does_not_depend_on_the_targets_labels(surveys: tuple[str, str], tmp_path: Path) -> None:
    import h5py

    permuted = tmp_path / "sky.h5"
    permuted.write_bytes(Path(surveys[1]).read_bytes())
    with h5py.File(permuted, "r+") as stored:
        stored["labels"][...] = np.random.default_rng(0).permutation(stored["labels"][...])
    method = {"kind": "auto", "methods": ["adabn"]}
    one = execute("adapt", values(surveys, method=method), out=tmp_path / "a")
    two = execute("adapt", values((surveys[0], str(permuted)), method=method), out=tmp_path / "b")
    for name in ("model.safetensors", "selection.json"):
        assert (one.run.path / name).read_bytes() == (two.run.path / name).read_bytes()


@pytest.mark.parametrize("name", ["ensv", "infomax"])
def test_a_selector_chooses_the_epoch(surveys: tuple[str, str], tmp_path: Path, name: str) -> None:
    given = values(surveys, method="mcc")
    given["training"] |= {"select": name, "epochs": 3}
    done = execute("adapt", given, out=tmp_path / "run")
    rows = [json.loads(line) for line in (done.run.path / "metrics.jsonl").read_text().splitlines()]
    scores = [row["score"] for row in rows if row["phase"] == "adapt"]
    assert all(np.isfinite(scores))
    # Source-only, which never sees the target, is left to the source's loss.
    plain = [json.loads(line) for line in (done.run.path / "source-only/metrics.jsonl").open()]
    assert all(row["score"] == -row["valid_loss"] for row in plain)


def test_the_total_loss_chooses_the_epoch(surveys: tuple[str, str], tmp_path: Path) -> None:
    given = values(surveys, method="coral")
    given["training"] |= {"select": "total-loss", "epochs": 4, "warmup_epochs": 1}
    done = execute("adapt", given, out=tmp_path / "run")
    rows = [json.loads(line) for line in (done.run.path / "metrics.jsonl").read_text().splitlines()]
    adapted = [row for row in rows if row["phase"] == "adapt"]
    assert all(row["score"] < -row["valid_loss"] for row in adapted)  # the method's loss is positive
    assert rows[-1]["best_epoch"] == max(adapted, key=lambda row: row["score"])["epoch"]
    plain = [json.loads(line) for line in (done.run.path / "source-only/metrics.jsonl").open()]
    assert all(row["score"] == -row["valid_loss"] for row in plain)


@pytest.mark.parametrize("method", ["adamatch", "shot"])
def test_a_total_loss_that_cannot_be_had_is_refused(
    surveys: tuple[str, str], method: str, tmp_path: Path
) -> None:
    given = values(surveys, method=method)
    given["training"] |= {"select": "total-loss"}
    with pytest.raises(ConfigError, match="not one between validation images"):
        execute("adapt", given, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ({"kind": "auto", "methods": ["adabm"]}, "adabn"),
        ({"kind": "auto", "method": ["adabn"]}, "methods"),
        ("aut", "auto"),
    ],
)
def test_what_auto_does_not_know_is_named(surveys: tuple[str, str], method: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        execute("adapt", values(surveys, method=method))


def of(seed: int, spread: float = 0.3) -> Candidate:
    rng, labels = np.random.default_rng(seed), np.arange(60) % 3
    parts = [3 * np.eye(3)[labels] + spread * rng.normal(size=(60, 3)) for _ in range(2)]
    return Candidate(parts[0], parts[0], parts[1], parts[1], labels, 3)


def test_choose_prefers_the_first_among_equals_and_the_decided_to_the_undecided() -> None:
    same = of(0)
    assert choose({"source-only": same, "other": same}).chosen == "source-only"
    vague = replace(of(1), logits_target=0.2 * of(1).logits_target)
    choice = choose({"vague": vague, "decided": of(2)})
    assert choice.chosen == "decided"
    assert choice.scores["vague"] < choice.scores["decided"]
    assert choose({"decided": of(2), "vague": vague}).chosen == "decided"


def test_a_network_that_calls_everything_the_same_is_not_chosen() -> None:
    c = of(0)
    blind = np.tile([3.0, 0.0, 0.0], (60, 1))
    failed = Candidate(blind, blind, c.features_source_val, c.logits_source_val, c.labels_source_val, 3)
    assert choose({"source-only": failed, "other": of(2)}).chosen == "other"
    # Nor one that has forgotten the source, however sure it is.
    swapped = np.roll(c.logits_source_val, 1, axis=1)
    lost = replace(c, logits_target=9 * c.logits_target, logits_source_val=swapped)
    assert choose({"source-only": of(2), "lost": lost}).chosen == "source-only"


def test_a_network_without_finite_answers_is_dropped() -> None:
    broken = of(1)
    broken.logits_target[0, 0] = np.nan
    choice = choose({"source-only": of(0), "broken": broken})
    assert choice.scores["broken"] is None
    assert choice.chosen == "source-only"


def test_damaged_outputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "outputs.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="selection"):
        read_candidate(tmp_path)
    assert adaptation_warnings(None, None, (), ("a", "b"), object) == []


def test_the_expected_mix_is_the_sources_where_the_plain_network_knows_no_better() -> None:
    good = of(0)
    np.testing.assert_allclose(expected_mix(good), 1 / 3, atol=0.05)
    one = np.tile([5.0, 0, 0], (60, 1))
    blind = Candidate(one, one, good.features_source_val, good.logits_source_val, good.labels_source_val, 3)
    np.testing.assert_allclose(expected_mix(blind), 1 / 3)
    np.testing.assert_allclose(expected_mix(Candidate(one, one, None, None, None, 3)), 1 / 3)


def test_a_method_that_the_network_cannot_have_is_left_out(surveys: tuple[str, str], tmp_path: Path) -> None:
    method = {"kind": "auto", "methods": ["adabn", "mcc"]}
    given = values(surveys, method=method, model={"kind": "vit"})
    done = execute("adapt", given, out=tmp_path / "run")
    assert set(done.results["selection"]["predicted_mix"]) == {"source-only", "mcc"}


def test_a_named_encoder_is_a_second_family_to_choose_from(
    surveys: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = "efficientnet-lite0 standardise"  # whatever the scores are: the report must be able to tell it
    monkeypatch.setattr(auto, "choose", lambda *given: replace(choose(*given), chosen=chosen))
    encoder = {"kind": "efficientnet-lite0", "size": 32, "pretrained": False}
    method = {"kind": "auto", "methods": ["adabn"]}
    run = execute("adapt", values(surveys, method=method, encoder=encoder), out=tmp_path / "run").run.path
    choice = json.loads((run / "selection.json").read_text())
    document = json.loads((run / "metrics.json").read_text())
    assert document["results"][0]["method"] == "standardise"
    assert load_checkpoint(run).meta["method"] == "standardise"
    second = [f"efficientnet-lite0 {name}" for name in ("probe", "standardise", "pseudo-labels")]
    assert list(choice["scores"]) == ["source-only", "adabn", *second]
    probe = load_checkpoint(run / "candidates" / "probe")
    assert probe.model.spec["name"] == "efficientnet-lite0"
    assert probe.meta["method"] == "source-only"
    # Only the head was trained: the encoder is that of a fresh network with the same seed.
    fresh = build_model(
        "efficientnet-lite0",
        in_channels=1,
        size=24,
        n_classes=3,
        options=probe.model.spec["options"],
        seed=42,
    )
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, probe.model.state_dict()[name]) == (not name.startswith("head")), name


def test_an_encoder_beside_a_named_method_is_refused(surveys: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="second family") as told:
        execute("adapt", values(surveys, method="coral", encoder="efficientnet-lite0"))
    assert "--tune head" in told.value.hint
