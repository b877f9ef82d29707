"""When another class mix is believed, and what is then done about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from galshift.data.preprocess import Preprocessing
from galshift.data.stretch import Stretch
from galshift.models.build import build_model
from galshift.recipes.steps._auto import correct_mix
from galshift.recipes.steps._candidates import choose
from galshift.selection._base import Candidate
from galshift.selection.label_shift import class_mix, corrected
from galshift.selection.mix_evidence import (
    conservative_mix,
    credible_shift,
    estimated_mix,
    remaining_gap,
    suspected_shift,
)
from galshift.training.checkpoint import load_checkpoint, save_checkpoint

EVEN = np.array([0.5, 0.5])


def gaussians(
    share: float, n: int = 400, *, offset: float = 0.0, noise_axis: float = 0.0, seed: int = 0
) -> tuple[Candidate, np.ndarray]:
    """Two Gaussians 2 apart with exact posteriors; class 0 has `share` of the target; and the truth.

    `offset` moves the target along the axis that tells the classes apart, `noise_axis` along another.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for fraction, shift, aside in ((0.5, 0.0, 0.0), (share, offset, noise_axis)):
        labels = (rng.random(n) >= fraction).astype(int)
        x = 2 * labels - 1 + shift + rng.normal(size=n)
        parts.append((np.stack([x, aside + rng.normal(size=n)], axis=1), labels))
    (source, labels), (target, truth) = parts
    logits = [np.stack([-x[:, 0], x[:, 0]], axis=1) for x in (source, target)]  # log odds of N(1,1) : N(-1,1)
    return Candidate(target, logits[1], source, logits[0], labels, 2), truth


def test_only_what_both_accounts_say_is_believed() -> None:
    source = np.full(3, 1 / 3)
    agreed = conservative_mix(source, np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.4, 0.5]))
    # Class 0: both lower, the smaller step; class 1: both higher; class 2: they disagree, so it stays.
    np.testing.assert_allclose(agreed, np.array([0.2, 0.4, 1 / 3]) / (0.2 + 0.4 + 1 / 3))
    np.testing.assert_allclose(conservative_mix(source, source, np.array([0.8, 0.1, 0.1])), source)


@pytest.mark.parametrize(("share", "believed"), [(0.1, True), (0.9, True), (0.5, False), (0.45, False)])
def test_a_large_shift_is_believed_and_a_small_one_not(share: float, believed: bool) -> None:
    assert credible_shift(gaussians(share, 2000)[0]) is believed
    assert suspected_shift(gaussians(share)[0]) is believed


def test_a_gap_between_surveys_is_suspected_of_another_mix_but_not_believed() -> None:
    """Along the axis of the classes a shift of 0.6 makes Phi(1.6) and Phi(-0.4) of them class 1: 0.645."""
    moved, _ = gaussians(0.5, 4000, offset=0.6)
    assert class_mix(moved.predictions_target, 2)[1] == pytest.approx(0.645, abs=0.02)
    assert suspected_shift(moved)
    assert not credible_shift(moved)


def test_a_network_that_never_answers_a_class_is_no_witness() -> None:
    c, _ = gaussians(0.5)
    blind = Candidate(
        c.features_target,
        c.logits_target + np.array([9, 0]),
        c.features_source_val,
        c.logits_source_val,
        c.labels_source_val,
        2,
    )
    assert not credible_shift(blind)
    assert not credible_shift(Candidate(c.features_target, c.logits_target, None, None, None, 2))


def test_the_estimated_mix_is_the_true_one() -> None:
    candidate, truth = gaussians(0.15, 4000)
    mix, _ = estimated_mix(candidate)
    np.testing.assert_allclose(mix, class_mix(truth, 2), atol=0.02)


def test_the_mix_explains_a_gap_that_is_only_the_mix() -> None:
    assert remaining_gap(gaussians(0.15, 800)[0]) < 0.56
    # A step of 2 between unit Gaussians along another axis: AUC = Phi(2 / sqrt 2) = 0.921.
    assert remaining_gap(gaussians(0.15, 800, noise_axis=2.0)[0]) == pytest.approx(0.921, abs=0.02)
    assert remaining_gap(gaussians(0.5, 2)[0]) == 1.0


def test_under_a_credible_shift_aligning_methods_are_out_and_the_gap_decides() -> None:
    plain, _ = gaussians(0.1, 2000, noise_axis=2.0)
    close, _ = gaussians(0.1, 2000, noise_axis=0.0)
    choice = choose({"source-only": plain, "coral": close, "adabn": close}, aligning=["coral"])
    assert choice.chosen == "adabn"
    assert set(choice.gaps) == {"source-only", "adabn"}
    assert choice.shifted_mix == pytest.approx([0.1, 0.9], abs=0.05)
    even = choose({"source-only": gaussians(0.5, 2000)[0], "adabn": close}, aligning=[])
    assert even.shifted_mix is None
    # A selector that the user named decides alone.
    assert choose({"source-only": plain, "adabn": close}, "infomax").shifted_mix is None


def test_the_correction_lives_in_the_networks_last_layer(tmp_path: Path) -> None:
    model = build_model("deepmerge", in_channels=1, size=16, n_classes=2, seed=0).eval()
    preprocessing = Preprocessing(
        bands=["r"], size=16, unit="nJy", classes=["a", "b"], sky_sigma=[1.0],
        stretch_constants=Stretch(kind="linear", mean=[0.0], std=[1.0]),
    ).model_dump(mode="json")  # fmt: skip
    save_checkpoint(
        tmp_path,
        model,
        preprocessing=preprocessing,
        classes=["a", "b"],
        bands=["r"],
        meta={"method": "adabn"},
    )
    images = torch.randn(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model(images).logits.double().numpy()
    candidate, _ = gaussians(0.2)
    mix, calibration = estimated_mix(candidate)
    correct_mix(tmp_path, candidate)
    trained = load_checkpoint(tmp_path)
    with torch.no_grad():
        after = softmax(trained.model(images).logits.double().numpy(), axis=1)
    expected = corrected(calibration(before), class_mix(candidate.labels_source_val, 2), mix)
    np.testing.assert_allclose(after, expected, atol=1e-5)
    assert trained.meta["class_mix"] == pytest.approx(mix.tolist())
    assert trained.meta["method"] == "adabn"


def test_a_known_mix_counts_against_epochs_that_drift_from_it() -> None:
    from dataclasses import replace

    from galshift.selection import DEFAULT_EPOCH, SELECTORS

    score = SELECTORS.get(DEFAULT_EPOCH)().score
    right, _ = gaussians(0.1)
    drifted, _ = gaussians(0.5)
    assert score(drifted) > score(right)  # balanced answers carry more information
    told = [replace(c, prior_target=np.array([0.1, 0.9])) for c in (right, drifted)]
    assert score(told[0]) > score(told[1])
    predicted = class_mix(drifted.predictions_target, 2)
    assert score(drifted) - score(told[1]) == pytest.approx(3 * abs(predicted[0] - 0.1))


def test_adapt_warns_of_a_credible_shift_and_names_what_aligning_does(tmp_path: Path) -> None:
    from galshift.methods import METHODS
    from galshift.recipes.steps._candidates import OUTPUTS
    from galshift.recipes.steps._warnings import adaptation_warnings

    def keep(name: str, candidate: Candidate) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        parts = ("features_target", "logits_target", "features_source_val", "logits_source_val")
        held = {part: getattr(candidate, part) for part in (*parts, "labels_source_val")}
        np.savez(folder / OUTPUTS, **held)
        return folder

    moved, same = keep("moved", gaussians(0.1)[0]), keep("same", gaussians(0.5)[0])
    lines = adaptation_warnings(moved, moved, ("merger", "spiral"), METHODS.get("coral"))
    assert len(lines) == 1
    assert "another mix" in lines[0]
    assert "forces" in lines[0]
    assert adaptation_warnings(same, same, ("merger", "spiral"), METHODS.get("coral")) == []
