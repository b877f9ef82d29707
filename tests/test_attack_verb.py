"""The verb one-pixel-attack: its files, its comparison, its resume, and its words for hard cases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.hdf5 import write_hdf5
from galshift.data.preprocess import PreprocessConfig, fit_preprocessing
from galshift.errors import DataError
from galshift.intervals import wilson_interval
from galshift.models.build import build_model
from galshift.recipes.execute import execute
from galshift.training.checkpoint import load_checkpoint, save_checkpoint
from galshift.verbs import STEPS
from tests import file_operations

SIZE, N = 16, 24
CLASSES = ("elliptical", "merger", "spiral")
COSMIC = {"kind": "cosmic", "quantiles": [0.9], "lengths_pixel": [1, 4]}
DETECTOR = {"electrons_per_unit": [30.0], "exposures": [2.0], "exposure_s": 600.0}


def write_images(path: Path, images: np.ndarray, labels: np.ndarray, classes=CLASSES) -> None:
    """Write labelled images in nJy."""
    cutouts = Cutouts(
        images,
        unit="nJy",
        pixel_scale=0.4,
        bands=("g", "r", "i")[: images.shape[1]],
        ids=np.array([f"galaxy-{i}" for i in range(len(images))]),
        labels=labels,
        classes=classes,
    )
    write_hdf5(path, cutouts)


def write_run(
    path: Path, images: np.ndarray, seed: int, classes=CLASSES, *, stretch: str = "asinh"
) -> np.ndarray:
    """Write the checkpoint of an untrained network with decided answers, and return them."""
    bands = ("g", "r", "i")[: images.shape[1]]
    cutouts = Cutouts(images, unit="nJy", pixel_scale=0.4, bands=bands)
    fitted = fit_preprocessing(InMemory(cutouts), None, PreprocessConfig(stretch=stretch), 0)
    shape = {"in_channels": len(bands), "size": SIZE, "n_classes": len(classes)}
    model = build_model("deepmerge", **shape, seed=seed).eval()
    inputs = torch.from_numpy(fitted.apply(cutouts))
    with torch.no_grad():
        logits = model(inputs).logits
        model.head.bias -= logits.median(0).values
        found = model(inputs).logits.argmax(1).numpy()
    meta = {"method": "source-only"}
    path.mkdir()
    save_checkpoint(
        path, model, preprocessing=fitted.model_dump(mode="json"), classes=classes, bands=bands, meta=meta
    )
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs and images that the first mostly gets right."""
    place = tmp_path_factory.mktemp("attack")
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (N, 3, SIZE, SIZE)).astype(np.float32)
    images += 6 * rng.random((N, 3, 1, 1)).astype(np.float32)
    labels = write_run(place / "one", images, 1)
    write_run(place / "two", images, 2)
    labels[:2] = (labels[:2] + 1) % 3
    images[3, 1] = np.nan
    images[4, 1, 5, 5] = np.nan
    write_images(place / "data.h5", images, labels)
    return place


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict:
    """Return the results of an attack that was left alone."""
    return attacked(folder, folder / "whole", fault=COSMIC, limit=16)


def command(words: str) -> list[str]:
    """Return the words of a galshift command line."""
    detector = [f"--set=detector.{key}={json.dumps(value)}" for key, value in DETECTOR.items()]
    return ["one-pixel-attack", *words.split(), *detector]


def attacked(folder: Path, out: Path, **values) -> dict:
    """Run the step in this process and return its results."""
    config = {"run": str(folder / "one"), "data": str(folder / "data.h5"), "detector": DETECTOR} | values
    return execute("one-pixel-attack", config, out=out).results


def test_the_command_writes_what_it_promises(folder: Path) -> None:
    words = command("one data.h5 --compare two --fault hot --save-images --out out --json")
    done = file_operations.galshift(folder, *words)
    assert done.returncode == 0, done.stderr
    printed, found = json.loads(done.stdout), json.loads((folder / "out" / "attack.json").read_text())
    assert {key: printed[key] for key in found} == found
    assert "queries / s" in done.stderr
    assert "projected" in done.stderr
    # Two wrong ones and one without a band are not attacked; a bad pixel is mended before it is stretched.
    assert found["n_images"] == N
    assert found["n_attacked"] == N - 3
    assert found["not_attacked"]["already wrong"] == 2
    assert found["not_attacked"]["not finite"] == 1
    assert found["clean_accuracy"] == pytest.approx((N - 3) / (N - 1))
    assert found["success_ci95"] == pytest.approx(wilson_interval(found["n_flipped"], N - 3))
    assert found["certificate"]["n_certified"] == N - 3 - found["n_flipped"]
    assert sum(entry["n_attacked"] for entry in found["per_class"].values()) == N - 3
    amplitudes = found["by_amplitude"]
    assert [entry["electrons"] for entry in amplitudes] == [300, 1_000, 3_000, 10_000, 30_000]
    assert found["incremental"] is True
    comparison = found["compare"]
    assert {"mcnemar", "mcnemar_p", "verdict", "n_common", "pairs"} <= set(comparison)
    assert comparison["verdict"] in done.stderr
    assert "more robust" in comparison["verdict"]
    assert [side["name"] for side in comparison["runs"]] == ["source-only (one)", "source-only (two)"]
    page = (folder / "out" / "report.html").read_text()
    assert "more robust" in page
    assert "McNemar" in page
    assert not (folder / "out" / "partial").exists()


def test_the_table_and_the_pictures_agree_with_the_model(folder: Path) -> None:
    trained = load_checkpoint(folder / "one")
    with fits.open(folder / "out" / "attack.fits") as units:
        table = Table(units["ATTACK"].data)
        before, after, maps = units["BEFORE"].data, units["AFTER"].data, units["MAPS"].data
        assert {"ATTACK_2", "MAPS_2"} <= {unit.name for unit in units}
    wanted = {"id", "status", "label", "fault", "x", "y", "band", "value", "queries", "p_before", "p_after"}
    assert wanted | {"certified", "seed", "queries_to_flip", "map", "image"} <= set(table.colnames)
    assert len(table) == N
    assert list(table["status"]).count("attacked") == N - 3
    with torch.no_grad():
        for line in table[table["status"] == "attacked"]:
            pair = (stack[line["image"]].astype(np.float32) for stack in (before, after))
            clean, changed = (torch.from_numpy(image[None]) for image in pair)
            label = CLASSES.index(line["label"])
            p = [float(trained.model(x).logits.softmax(1)[0, label]) for x in (clean, changed)]
            assert p == pytest.approx([line["p_before"], line["p_after"]], abs=1e-5)
            assert (CLASSES[int(trained.model(changed).logits.argmax())] != line["label"]) == line["flipped"]
            assert bool(line["certified"]) is not bool(line["flipped"])
            pixels = np.argwhere(np.abs(after[line["image"]] - before[line["image"]]).max(0) > 1e-6)
            assert pixels.tolist() == [[line["y"], line["x"]]]
            assert p[0] - p[1] <= maps[line["map"]].max() + 1e-5


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_typed_again_no_row_is_lost(folder: Path, whole: dict, how: signal.Signals) -> None:
    words = (
        f"one data.h5 --limit 16 --set fault={json.dumps(COSMIC).replace(' ', '')} --out killed-{how.value}"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    rows = folder / f"killed-{how.value}" / "partial" / "0.jsonl"
    quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    started = [sys.executable, "-m", "galshift", *command(words)]
    process = subprocess.Popen(started, cwd=folder, env=environment, **quiet)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if rows.is_file() and rows.read_bytes().count(b"\n") >= 3:
            process.send_signal(how)
            break
        time.sleep(0.002)
    code = process.wait(timeout=60)
    assert code == (-how if how == signal.SIGKILL else 75)
    kept = [json.loads(line) for line in rows.read_text().splitlines()]
    assert 3 <= len(kept) < 16
    # The same in this process, which has torch loaded already; nothing that was there is done again.
    found = attacked(folder, folder / f"killed-{how.value}", fault=COSMIC, limit=16)
    assert {**found, "run": ""} == {**whole, "run": ""}
    log = (folder / f"killed-{how.value}" / "log.txt").read_text()
    assert f"{len(kept)} images were done already" in log
    tables = [Table.read(folder / name / "attack.fits", hdu=1) for name in (f"killed-{how.value}", "whole")]
    for name in tables[0].colnames:
        np.testing.assert_array_equal(tables[0][name], tables[1][name])
    maps = [fits.getdata(folder / name / "attack.fits", "MAPS") for name in (f"killed-{how.value}", "whole")]
    np.testing.assert_array_equal(*maps)


def test_events_per_exposure(folder: Path, tmp_path: Path) -> None:
    found = attacked(folder, tmp_path / "out", fault=COSMIC, limit=8)
    table = Table.read(tmp_path / "out" / "attack.fits", hdu=1)
    shares = np.array(table["flip_share"][table["status"] == "attacked"])
    # 5 events / cm2 / min on 16 x 16 pixels of 15 micrometres for 10 minutes; 2 exposures in each of 3 bands.
    events = 5 * (SIZE * 15e-4) ** 2 * 10
    rate = found["event_rate"]
    assert rate["events_per_stamp"] == pytest.approx(events)
    assert rate["fraction_per_exposure"] == pytest.approx(np.mean(1 - np.exp(-events * shares)))
    assert rate["fraction_per_stack_unrejected"] == pytest.approx(np.mean(1 - np.exp(-6 * events * shares)))
    low, high = rate["ci95"]
    assert low <= rate["fraction_per_exposure"] <= high
    stated = attacked(folder, tmp_path / "hot", fault="hot", limit=4, rate={"events_per_pixel": 0.001})
    assert stated["event_rate"]["events_per_stamp"] == pytest.approx(0.001 * SIZE**2)
    # Nothing is known of how often pixels are hot unless it is said.
    assert attacked(folder, tmp_path / "x", fault="hot", limit=4)["event_rate"] is None


def test_more_pixels_more_runs_and_a_target(folder: Path, tmp_path: Path) -> None:
    others = [str(folder / "two"), str(folder / "one")]
    found = attacked(folder, tmp_path / "k", fault="hot", pixels=5, limit=10, compare=others)
    rates = [entry["success_rate"] for entry in found["by_pixels"]]
    assert [entry["pixels"] for entry in found["by_pixels"]] == [1, 2, 3, 4, 5]
    assert rates == sorted(rates)
    assert found["certificate"] is None
    assert len(found["compare"]["pairs"]) == 3
    # The same run twice differs in nothing.
    names = [side["name"] for side in found["compare"]["runs"]]
    same = [pair for pair in found["compare"]["pairs"] if pair["runs"] == [names[0], names[2]]]
    assert same[0]["p"] == 1.0
    assert "cannot be told" in same[0]["verdict"]
    alone = attacked(folder, tmp_path / "one", fault="hot", limit=10)
    assert found["by_pixels"][0]["n_flipped"] == alone["n_flipped"]
    targeted = attacked(folder, tmp_path / "t", fault="hot", target="spiral")
    assert targeted["not_attacked"]["is the target"] > 0
    table = Table.read(tmp_path / "t" / "attack.fits", hdu=1)
    assert set(table["prediction_after"][table["flipped"]]) <= {"spiral"}


def test_images_are_read_block_by_block(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from galshift.runs import linear_images

    whole = attacked(folder, tmp_path / "whole", limit=12)
    monkeypatch.setattr(linear_images, "BLOCK", 5)
    blocks = attacked(folder, tmp_path / "blocks", limit=12)
    spreads = [found.pop("latent")["within_class_spread"] for found in (blocks, whole)]
    assert spreads[0] == pytest.approx(spreads[1], rel=1e-5)
    assert {**blocks, "run": ""} == {**whole, "run": ""}
    tables = [Table.read(tmp_path / name / "attack.fits", hdu=1) for name in ("whole", "blocks")]
    for name in tables[0].colnames:
        np.testing.assert_array_equal(tables[0][name], tables[1][name])


@pytest.mark.parametrize("search", ["de", "gradient"])
def test_searches_that_certify_nothing_say_so(folder: Path, tmp_path: Path, search: str) -> None:
    de = {"population": 20, "generations": 3}
    found = attacked(folder, tmp_path / "out", search=search, limit=6, de=de)
    assert found["certificate"] is None
    if found["n_flipped"] < found["n_attacked"]:
        assert "not a certificate" in (tmp_path / "out" / "report.html").read_text()


def test_a_stretch_of_the_whole_image_is_reported_apart(tmp_path: Path) -> None:
    images = np.random.default_rng(5).normal(2, 1, (4, 1, SIZE, SIZE)).astype(np.float32)
    labels = write_run(tmp_path / "one", images, 4, ("merger", "other"), stretch="sky-sigma")
    write_images(tmp_path / "data.h5", images, labels, ("merger", "other"))
    found = attacked(tmp_path, tmp_path / "out", fault={"kind": "hot", "amplitudes_e": [30_000.0]})
    assert found["incremental"] is False
    assert found["rescaling"]["n_flipped"] == found["n_flipped"]
    assert "depends on the whole image" in (tmp_path / "out" / "report.html").read_text()


def test_two_classes_and_one_band(tmp_path: Path) -> None:
    images = np.random.default_rng(2).normal(2, 1, (10, 1, SIZE, SIZE)).astype(np.float32)
    images[4] = 1.5
    labels = write_run(tmp_path / "one", images, 4, ("merger", "other"))
    write_images(tmp_path / "data.h5", images, labels, ("merger", "other"))
    found = attacked(tmp_path, tmp_path / "out")
    assert found["n_attacked"] == 10
    assert [v["bands"] for v in found["certificate"]["variants"]] == [["g"], ["g"]]
    one = attacked(tmp_path, tmp_path / "single", limit=1)
    assert one["n_attacked"] == 1
    assert "read the interval" in one["warnings"][0]


def test_all_wrong_is_one_clear_sentence(folder: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(3).normal(2, 1, (6, 3, SIZE, SIZE)).astype(np.float32)
    labels = (write_run(tmp_path / "one", images, 1) + 1) % 3
    write_images(tmp_path / "data.h5", images, labels)
    found = attacked(tmp_path, tmp_path / "out", compare=[str(tmp_path / "one")])
    said = STEPS.get("one-pixel-attack")().describe(found)
    assert said[0] == "No image was attacked: the model classifies none of them right."
    assert "classify no image right in common" in said[1]
    assert (found["n_attacked"], found["success_rate"]) == (0, None)
    assert said[0] in (tmp_path / "out" / "report.html").read_text()


def test_electrons_must_be_known(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="electrons") as caught:
        attacked(folder, tmp_path / "out", fault="hot", detector={})
    assert "--survey" in str(caught.value)
    assert not (tmp_path / "out" / "attack.json").exists()
