"""Damage against arithmetic, and accuracy under it."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import SEVERITIES, Frame
from galshift.audit.withstand import (
    Subject,
    bootstrap_interval,
    compare_damage,
    damaged,
    right_after,
    summarise_damage,
)
from galshift.recipes.execute import execute
from tests.audit_helpers import SIDE, Toy, asinh, linear_images, predicted
from tests.file_operations import galshift
from tests.test_attack_verb import SIZE, write_images, write_run

FRAME = Frame(np.array([1.0, 2.0, 0.5]))
NAMES = CORRUPTIONS.names()
SHUFFLED = ("noise", "dropout", "background", "trail", "bad-column", "gain", "shift", "rotation")


def galaxy(bands: int = 3, side: int = 48) -> np.ndarray:
    """Return a smooth galaxy with a little noise."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    profile = 60 * np.exp(-np.hypot(y, 1.5 * x) / 5)
    rng = np.random.default_rng(0)
    return np.stack([profile * (1 + 0.3 * b) + 0.2 * rng.standard_normal((side, side)) for b in range(bands)])


def apply(
    name: str, image: np.ndarray, severity: int, seed: int = 0, *, sigma: float | None = None
) -> np.ndarray:
    """Return the damaged image."""
    kind = CORRUPTIONS.get(name)()
    frame = Frame(FRAME.sky_sigma[: len(image)] if sigma is None else np.full(len(image), sigma))
    return kind.apply(image, kind.levels[severity - 1], frame, np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
def test_every_corruption_is_seeded_finite_stronger_by_severity_and_leaves_its_input(name: str) -> None:
    kind, image = CORRUPTIONS.get(name), galaxy()
    before = image.copy()
    assert len(kind.levels) == len(SEVERITIES)
    assert kind.unit
    changes = []
    for severity in SEVERITIES:
        first, again = apply(name, image, severity), apply(name, image, severity)
        np.testing.assert_array_equal(first, again)
        assert first.shape == image.shape
        assert np.isfinite(first).all()
        seeds = [np.abs(apply(name, image, severity, seed) - image).mean() for seed in range(6)]
        changes.append(np.mean(seeds))
    np.testing.assert_array_equal(image, before)
    assert changes[0] > 0
    assert changes == sorted(changes)
    if name in SHUFFLED:
        assert not np.array_equal(apply(name, image, 3, 1), apply(name, image, 3, 2))
    if kind.min_bands == 1:
        assert apply(name, galaxy(1), 3).shape == (1, 48, 48)


def test_noise_has_the_stated_sigma() -> None:
    added = apply("noise", np.zeros((3, 200, 200)), 4)
    np.testing.assert_allclose(added.std(axis=(1, 2)), 4 * FRAME.sky_sigma, rtol=0.02)


def test_blur_is_a_gaussian_that_keeps_flux() -> None:
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1.0
    out = apply("blur", point, 4)[0]
    y, x = np.mgrid[:41, :41] - 20
    assert out.sum() == pytest.approx(1)
    # A Gaussian's FWHM is 2.3548 standard deviations.
    assert np.sqrt((out * y**2).sum()) == pytest.approx(4.5 / 2.3548, rel=0.02)
    assert np.sqrt((out * x**2).sum()) == pytest.approx(4.5 / 2.3548, rel=0.02)


def test_background_is_a_plane() -> None:
    plane = apply("background", np.zeros((3, 20, 20)), 3)
    for band, sigma in zip(plane, FRAME.sky_sigma):
        assert abs(band.mean()) == pytest.approx(sigma)
        np.testing.assert_allclose(np.diff(band, n=2, axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(np.diff(band, n=2, axis=1), 0, atol=1e-12)


@pytest.mark.parametrize(("name", "severity"), [("shift", 2), ("misregistration", 4)])
def test_moves_are_as_far_as_stated(name: str, severity: int) -> None:
    distance = CORRUPTIONS.get(name).levels[severity - 1]
    y, x = np.mgrid[:41, :41] - 20.0
    blob = np.repeat(np.exp(-(y**2 + x**2) / 18)[None], 3, axis=0)
    out = apply(name, blob, severity, sigma=1e-6)
    centres = np.array([ndimage.center_of_mass(band) for band in out]) - 20
    np.testing.assert_allclose(np.hypot(*centres.T), distance, rtol=0.05)
    assert bool(np.ptp(centres, axis=0).max() < 0.1) is (name == "shift")


def test_rotation_keeps_what_is_round_and_turns_what_is_not() -> None:
    y, x = np.mgrid[:41, :41] - 20.0
    disc = np.exp(-(y**2 + x**2) / 50)[None]
    np.testing.assert_allclose(apply("rotation", disc, 5, sigma=1e-6), disc, atol=2e-3)
    bar = np.exp(-(y**2) / 8 - x**2 / 200)[None]
    out = apply("rotation", bar, 5, sigma=1e-6)[0]
    inner = np.hypot(y, x) < 15
    angle = 0.5 * np.arctan2(
        2 * (out * x * y)[inner].sum(), (out * x**2)[inner].sum() - (out * y**2)[inner].sum()
    )
    assert abs(np.degrees(angle)) == pytest.approx(45, abs=1)


def test_detector_damage_by_count() -> None:
    image = galaxy() + 100
    out = apply("dropout", image, 5)
    assert (out == 0).mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(out[out != 0], image[out != 0])
    difference = apply("bad-column", image, 3) - image
    bands = np.flatnonzero(np.abs(difference).max(axis=(1, 2)) > 0)
    assert len(bands) == 1
    columns = np.abs(difference[bands[0]]).max(axis=0) > 0
    assert columns.sum() == 4
    np.testing.assert_allclose(np.abs(difference[bands[0]][:, columns]), 20 * FRAME.sky_sigma[bands[0]])
    factor = apply("gain", image, 5) / image
    for band in factor:
        assert band == pytest.approx(band[0, 0])
        assert band[0, 0] == pytest.approx(1.5) or band[0, 0] == pytest.approx(1 / 1.5)


def test_a_trail_crosses_one_band_at_its_stated_height() -> None:
    trail = apply("trail", np.zeros((3, 64, 64)), 3)
    heights = trail.max(axis=(1, 2))
    (band,) = np.flatnonzero(heights)
    assert heights[band] == pytest.approx(30 * FRAME.sky_sigma[band], rel=0.05)
    assert (trail[band] > heights[band] / 2).sum() >= 64


def test_saturation_cuts_and_bleeds_what_it_cuts() -> None:
    band = np.zeros((1, 9, 3))
    band[0, 4, 1] = 10.0
    out = apply("saturation", band, 3)[0]
    # Full at 3: 7 flow, 3.5 to either side, the first pixel fills and half a unit reaches the second.
    np.testing.assert_allclose(out[:, 1], [0, 0, 0.5, 3, 3, 3, 0.5, 0, 0])
    np.testing.assert_array_equal(out[:, [0, 2]], 0)


def test_compression_errs_by_its_step_and_its_quality() -> None:
    image = galaxy() + np.random.default_rng(1).normal(0, FRAME.sky_sigma[:, None, None], (3, 48, 48))
    for severity, q in enumerate(CORRUPTIONS.get("rice").levels, 1):
        error = apply("rice", image, severity) - image
        step = FRAME.sky_sigma / q
        assert (np.abs(error).max(axis=(1, 2)) <= 0.5 * step * 1.01 + 1e-4).all()
        # Subtractive dithering leaves an error uniform over one step.
        np.testing.assert_allclose(error.std(axis=(1, 2)), step / np.sqrt(12), rtol=0.06)
    errors = [np.abs(np.arcsinh(apply("jpeg", image, s)) - np.arcsinh(image)).mean() for s in SEVERITIES]
    assert errors == sorted(errors)
    assert errors[0] < 0.15


def subject(n: int = 20) -> Subject:
    """Return a toy model that is right on clean images."""
    model, linear = Toy(), linear_images(n)
    frame = Frame(np.ones(3))
    ids = [f"galaxy-{i}" for i in range(n)]
    return Subject("toy", model, asinh, linear, predicted(model, linear), ids, frame)


def test_damage_does_not_depend_on_company_or_order() -> None:
    from dataclasses import replace

    one, kind = subject(), CORRUPTIONS.get("noise")()
    whole = damaged(one, "noise", kind, 3, 5)
    part = replace(one, linear=one.linear[[7, 2]], ids=["galaxy-7", "galaxy-2"], labels=one.labels[[7, 2]])
    np.testing.assert_array_equal(damaged(part, "noise", kind, 3, 5), whole[[7, 2]])
    assert not np.array_equal(damaged(one, "noise", kind, 3, 6), whole)


def test_accuracies_are_counted_from_the_model() -> None:
    one = subject()
    kinds = {name: CORRUPTIONS.get(name)() for name in ("noise", "gain")}
    outcomes = {"clean": right_after(one, "clean", None, 0, 1)}
    for name, kind in kinds.items():
        outcomes[name] = np.stack([right_after(one, name, kind, severity, 1) for severity in SEVERITIES])
    assert outcomes["clean"].all()
    for name, kind in kinds.items():
        for severity in SEVERITIES:
            linear = torch.from_numpy(damaged(one, name, kind, severity, 1))
            expected = predicted(one.model, linear) == one.labels
            np.testing.assert_array_equal(outcomes[name][severity - 1], expected)
    found = summarise_damage(outcomes, np.array(one.ids), n_bootstrap=200)
    flat = [s["accuracy"] for entry in found["corruptions"].values() for s in entry["severities"]]
    assert found["mean_accuracy"] == pytest.approx(np.mean(flat))
    assert found["mean_drop"] == pytest.approx(1 - np.mean(flat))
    assert found["by_severity"][2] == pytest.approx((flat[2] + flat[7]) / 2)
    assert found["mean_ci95"][0] <= found["mean_accuracy"] <= found["mean_ci95"][1]


def test_the_bootstrap_draws_galaxies() -> None:
    rng = np.random.default_rng(0)
    galaxies = rng.normal(0, 1, 60)
    groups = np.repeat(np.arange(60), 4)
    low, high = bootstrap_interval(np.repeat(galaxies, 4), groups, n_bootstrap=4000, seed=1)
    # Four images of one galaxy tell nothing new: the standard error is that of 60.
    assert (high - low) / 3.92 == pytest.approx(galaxies.std() / np.sqrt(60), rel=0.06)


def test_two_models_are_told_apart_or_not() -> None:
    rng = np.random.default_rng(2)
    groups = np.arange(200)
    good, bad = rng.random((5, 200)) < 0.9, rng.random((5, 200)) < 0.6
    clean = np.ones(200, bool)
    runs = [{"clean": clean, "noise": good}, {"clean": clean, "noise": bad}]
    told = compare_damage(["adapted", "source-only"], runs, groups)
    assert told["verdict"].startswith("adapted is more robust")
    assert told["difference"] == pytest.approx(good.mean() - bad.mean())
    same = compare_damage(["adapted", "source-only"], [runs[0], runs[0]], groups)
    assert same["verdict"].startswith("Which is more robust cannot be told")


def test_the_verb(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(3, 1, (12, 3, SIZE, SIZE)).astype(np.float32)
    labels = write_run(tmp_path / "one", images, 1)
    write_run(tmp_path / "two", images, 2)
    images[5, 0] = np.nan
    write_images(tmp_path / "data.h5", images, labels)
    words = "audit one data.h5 --compare two --corruption noise --corruption jpeg --out out --json"
    done = galshift(tmp_path, *words.split())
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    printed = json.loads(done.stdout)
    assert {key: printed[key] for key in found} == found
    assert (found["n"], set(found["corruptions"])) == (11, {"noise", "jpeg"})
    first = found["models"][0]
    assert first["clean"]["accuracy"] == 1.0
    assert len(first["corruptions"]["noise"]["severities"]) == 5
    assert found["compare"][0]["verdict"] in done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "more robust" in page
    assert "severity 5" in page
    whole = execute(
        "audit",
        {"run": str(tmp_path / "one"), "data": str(tmp_path / "data.h5"), "limit": 3},
        out=tmp_path / "all",
    ).results
    assert set(whole["corruptions"]) == set(NAMES)
    assert any("read the intervals" in warning for warning in whole["warnings"])


def test_one_band_has_nothing_to_misalign(tmp_path: Path) -> None:
    images = np.random.default_rng(2).normal(2, 1, (6, 1, SIDE, SIDE)).astype(np.float32)
    labels = write_run(tmp_path / "one", images, 4, ("merger", "other"))
    write_images(tmp_path / "data.h5", images, labels, ("merger", "other"))
    config = {"run": str(tmp_path / "one"), "data": str(tmp_path / "data.h5")}
    found = execute("audit", config, out=tmp_path / "out").results
    assert set(found["corruptions"]) == set(NAMES) - {"misregistration"}
    from galshift.errors import DataError

    with pytest.raises(DataError, match="more than 1 band"):
        execute("audit", config | {"corruptions": ["misregistration"]}, out=tmp_path / "no")


def test_an_interval_takes_memory_for_one_draw() -> None:
    values, groups = np.linspace(0, 1, 20_000), np.arange(20_000)
    tracemalloc.start()
    bootstrap_interval(values, groups, n_bootstrap=100, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1000 * len(values)  # all draws at once took 24 bytes for each galaxy and draw, 2,400
