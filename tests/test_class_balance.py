"""Unbalanced sources: what is weighed, what is said before training, in metrics and in the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.file_operations import galshift

ARGUMENTS = ["--unit", "nJy", "--pixel-scale", "0.4", "--epochs", "1", "--seed", "3"]


def write(path: Path, counts: dict[str, int]) -> None:
    """Noisy images, so many of each class."""
    rng = np.random.default_rng(len(path.stem))
    labels = np.repeat(list(counts), list(counts.values()))
    np.savez(path, images=rng.normal(size=(len(labels), 1, 16, 16)).astype(np.float32), labels=labels)


def test_an_unbalanced_source_is_weighed_and_its_small_class_named(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", {"spiral": 120, "<b>lens": 10})
    write(tmp_path / "bb.npz", {"spiral": 20})
    where = ["--method", "mmd", "--out", "out"]
    done = galshift(tmp_path, "adapt", "a.npz", "bb.npz", *where, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/metrics.json").read_text())["class_balance"]
    counts = found["counts"]["train"]
    assert sum(sum(part.values()) for part in found["counts"].values()) == 130
    expected = {name: sum(counts.values()) / (2 * n) for name, n in counts.items()}
    assert found["weights"] == pytest.approx(expected, rel=1e-5)
    assert found["class_weights"] == "auto"
    said = " ".join(done.stderr.split())
    assert "weights of the classes in training" in said
    assert f"class '<b>lens' has {counts['<b>lens']} training images: too few to learn from" in said
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "Classes of the source" in page
    assert "<b>lens" not in page
    assert "&lt;b&gt;lens" in page


def test_a_balanced_source_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", {"spiral": 70, "lens": 60})
    done = galshift(tmp_path, "train", "a.npz", "--out", "out", *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/manifest.json").read_text())["results"]["class_balance"]
    assert found["weights"] is None
    assert "weights of the classes" not in done.stderr


def test_weights_can_be_left_out_and_are_part_of_what_a_run_is(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", {"spiral": 120, "lens": 40})
    runs = {}
    for rule in ("auto", "none", "balanced", "effective"):
        out = f"out-{rule}"
        extra = ["--set", f"training.class_weights={rule}"]
        done = galshift(tmp_path, "train", "a.npz", "--out", out, *ARGUMENTS, *extra)
        assert done.returncode == 0, done.stderr
        runs[rule] = (
            json.loads((tmp_path / out / "manifest.json").read_text())["results"]["class_balance"]["weights"],
            (tmp_path / out / "model.safetensors").read_bytes()[-2000:],
        )
    assert runs["none"][0] is None
    assert runs["auto"] == runs["balanced"]
    assert runs["auto"][1] != runs["none"][1]
    assert runs["effective"][0]["lens"] > 1 > runs["effective"][0]["spiral"]
