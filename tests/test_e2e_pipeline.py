"""From nothing to a report by the command line, each verb in its own process, and what the products hold."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from safetensors.numpy import load_file
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

import galshift
from galshift.__main__ import main
from galshift.errors import DataError
from tests.pipeline import COMMANDS, Pipeline

CLASSES = ["merger", "spiral", "elliptical"]
SOURCE, TARGET = "mocks_sdss-stripe82", "mocks_sdss"


class Page(HTMLParser):
    """Text, headings and addresses of an HTML page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.headings, self.addresses, self.text, self._open = [], [], "", ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self._open = tag
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_data(self, data: str) -> None:
        if self._open in ("h1", "h2"):
            self.headings.append(data)
        if self._open not in ("style", "script"):
            self.text += " " + " ".join(data.split())

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def test_every_verb_prints_one_document_with_outputs_that_exist(pipeline: Pipeline) -> None:
    for verb in COMMANDS:
        found = pipeline.results[verb]
        where = pipeline.folder / (found.get("run") or found["out"])
        folder = where if where.is_dir() else where.parent
        for name in found["outputs"].values():
            assert (folder / name).exists(), f"{verb}: {name}"
        assert "Traceback" not in pipeline.stderr[verb]


def test_mocks_keep_galaxies_labels_and_units(pipeline: Pipeline) -> None:
    with h5py.File(pipeline.folder / "sim.h5") as sim:
        groups, labels = sim["groups"].asstr()[:], sim["labels"][:]
    for name in (SOURCE, TARGET):
        with h5py.File(pipeline.folder / f"{name}.h5") as mocks:
            assert mocks["images"].shape[:2] == (120, 3)
            assert mocks.attrs["unit"] == "nJy"
            np.testing.assert_array_equal(mocks["labels"][:], labels)
            np.testing.assert_array_equal(mocks["groups"].asstr()[:], groups)
            assert np.isfinite(mocks["images"][:]).all()


def test_no_galaxy_is_in_two_splits(pipeline: Pipeline) -> None:
    splits = json.loads((pipeline.folder / "adapt" / "splits.json").read_text())
    for domain in ("source", "target"):
        parts = {part: {i.rsplit("-v", 1)[0] for i in ids} for part, ids in splits[domain]["parts"].items()}
        names = sorted(parts)
        assert all(not parts[a] & parts[b] for a in names for b in names if a < b)
        assert sum(map(len, parts.values())) == 60


def test_metrics_have_the_documented_keys_and_sklearns_values(pipeline: Pipeline) -> None:
    written = json.loads((pipeline.folder / "evaluate" / "metrics.json").read_text())
    assert written["results"] == pipeline.results["evaluate"]["results"]
    assert written["results"][0]["name"] == "sinkhorn"
    table = Table.read(pipeline.folder / "evaluate" / "predictions.fits")
    for name in (SOURCE, TARGET):
        domain = written["results"][0]["domains"][name]
        rows = table[table["data_set"] == name]
        probabilities = np.stack([rows[f"p_{c}"] for c in CLASSES], axis=1)
        labels = np.array([CLASSES.index(c) for c in rows["label"]])
        assert domain["n"] == len(rows)
        assert domain["accuracy"] == pytest.approx(accuracy_score(labels, probabilities.argmax(1)))
        assert domain["macro_f1"] == pytest.approx(f1_score(labels, probabilities.argmax(1), average="macro"))
        assert domain["auroc"] == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"))
        assert domain["majority_class_accuracy"] == pytest.approx(np.bincount(labels).max() / len(labels))
        assert np.sum(domain["confusion"]) == len(rows)
        assert set(domain["per_class"]) == set(CLASSES)
        for key in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece", "brier", "nll"):
            low, high = domain["ci95"][key]
            assert low <= domain[key] <= high or key == "ece"  # binned calibration errors are biased upwards


def test_evaluation_is_on_images_that_no_run_trained_on(pipeline: Pipeline) -> None:
    table = Table.read(pipeline.folder / "evaluate" / "predictions.fits")
    splits = json.loads((pipeline.folder / "adapt" / "splits.json").read_text())
    for role, name in (("source", SOURCE), ("target", TARGET)):
        shown = set(table["id"][table["data_set"] == name])
        assert shown
        assert shown <= set(splits[role]["parts"]["test"])


def test_adapt_judges_itself_as_evaluate_does(pipeline: Pipeline) -> None:
    adapted, evaluated = pipeline.results["adapt"], pipeline.results["evaluate"]
    assert (pipeline.folder / "adapt" / "report.html").is_file()
    mine = json.loads((pipeline.folder / "adapt" / "metrics.json").read_text())
    first = evaluated["results"][0]["domains"][TARGET]
    assert mine["results"][0]["domains"][TARGET]["accuracy"] == first["accuracy"]
    assert {r["name"] for r in mine["results"]} == {"sinkhorn", "source-only"}
    assert adapted["method"] == "sinkhorn"


def test_the_report_says_what_it_must(pipeline: Pipeline) -> None:
    page = Page(pipeline.folder / "evaluate" / "report.html")
    # Beside it lies what its figures show; nothing is asked for over the network.
    assert all(a.startswith(("data:", "#")) or a == "figures.json" for a in page.addresses)
    for words in (
        "always answering",
        "95% interval",
        "What augmentation alone gives",
        "source alone reaches",
        "Too few galaxies",
        "was chosen without any target label",
    ):
        assert words in page.text, words
    for heading in (
        "How well it works",
        f"Some galaxies of {TARGET}",
        f"Some galaxies of {SOURCE}",
        "Which classes are confused",
        "How well probabilities rank",
        "Whether confidence can be believed",
        "How training went",
    ):
        assert heading in page.headings, heading
    assert len([a for a in page.addresses if a.startswith("data:image")]) > 20
    assert "galshift evaluate adapt train" in page.text


def test_predictions_cover_every_image_and_say_which_part_it_had(pipeline: Pipeline) -> None:
    with fits.open(pipeline.folder / "predictions.fits") as hdus:
        table = Table(hdus["PREDICTIONS"].data)
    assert len(table) == 120
    assert table.colnames[:7] == ["id", "group", "data_set", "split", "label", "prediction", "confidence"]
    splits = json.loads((pipeline.folder / "adapt" / "splits.json").read_text())["target"]["parts"]
    assert set(table["split"]) == set(splits)
    assert set(table["id"][table["split"] == "test"]) == set(splits["test"])
    p = np.stack([table[f"p_{c}"] for c in CLASSES], axis=1)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(table["entropy"], -(p * np.log(p)).sum(axis=1), rtol=1e-6)
    evaluated = Table.read(pipeline.folder / "evaluate" / "predictions.fits")
    known = {str(row["id"]): row["p_merger"] for row in table}
    for row in evaluated[evaluated["data_set"] == TARGET]:
        assert row["p_merger"] == pytest.approx(known[str(row["id"])], abs=1e-6)


def test_embedding_and_explorer(pipeline: Pipeline) -> None:
    table = Table.read(pipeline.folder / "embed" / "embedding.fits")
    assert len(table) == 240
    assert np.isfinite(np.stack([table["x"], table["y"], table["anomaly"]])).all()
    explorer = (pipeline.folder / "embed" / "explorer.html").read_text()
    assert not re.search(r"(src|href)=[\"']https?:", explorer)


def test_the_attack_counts_only_what_was_right(pipeline: Pipeline) -> None:
    found = json.loads((pipeline.folder / "attack" / "attack.json").read_text())
    assert found["n_attacked"] <= 2
    assert 0 <= found["clean_accuracy"] <= 1
    assert found["certificate"] is not None
    assert Table.read(pipeline.folder / "attack" / "attack.fits", hdu=1) is not None


def test_the_same_command_again_does_nothing(pipeline: Pipeline) -> None:
    before = {p: p.stat().st_mtime_ns for p in (pipeline.folder / "adapt").rglob("*") if p.name != ".lock"}
    again = pipeline.run(*COMMANDS["adapt"].split())
    assert again.returncode == 0
    assert again.stdout.strip() == "adapt"
    assert "nothing to do" in again.stderr
    assert before == {
        p: p.stat().st_mtime_ns for p in (pipeline.folder / "adapt").rglob("*") if p.name != ".lock"
    }


def test_a_pair_of_mocks_is_named_whole_and_anyone_may_read_products(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pipeline.folder)
    monkeypatch.setattr("sys.argv", ["galshift", *COMMANDS["make-mocks"].split()])
    capfd.readouterr()
    with pytest.raises(SystemExit):
        main()
    assert capfd.readouterr().out.split() == [f"{SOURCE}.h5", f"{TARGET}.h5"]
    modes = {path.name: path.stat().st_mode & 0o777 for path in Path("adapt").iterdir() if path.is_file()}
    assert modes["model.safetensors"] == modes["metrics.json"]


@pytest.mark.parametrize("change", ["permuted", "absent"])
def test_target_labels_cannot_reach_the_adapted_model(
    pipeline: Pipeline, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "mocks_sdss.h5"
    shutil.copy(pipeline.folder / "mocks_sdss.h5", target)
    with h5py.File(target, "r+") as file:
        if change == "absent":
            del file["labels"]
        else:
            file["labels"][:] = np.random.default_rng(0).permutation(file["labels"][:])
    galshift.adapt(
        pipeline.folder / f"{SOURCE}.h5", target, method="sinkhorn", epochs=2, out="adapt", device="cpu"
    )
    for part in ("", "source-only"):
        mine = load_file(tmp_path / "adapt" / part / "model.safetensors")
        theirs = load_file(pipeline.folder / "adapt" / part / "model.safetensors")
        assert mine.keys() == theirs.keys()
        assert all(mine[name].tobytes() == theirs[name].tobytes() for name in mine)
    report = (tmp_path / "adapt" / "report.html").read_text()
    assert ("No accuracy is claimed" in report) == (change == "absent")


def test_gap_and_explain(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline.folder)
    data = (f"{SOURCE}.h5", f"{TARGET}.h5")
    found = galshift.gap(*data, model="adapt", out="gap").results
    assert found["between"] == [SOURCE, TARGET]
    assert found["quantities"][0]["quantity"].startswith("sky noise")
    assert found["quantities"][0]["median_b"] > found["quantities"][0]["median_a"]
    assert found["images"]["proxy_a_distance"] > 1
    assert set(found["predicted_mix"]) == {SOURCE, TARGET}
    assert "sky noise" in Page(Path("gap/report.html")).text
    assert len(Table.read("gap/measurements.fits")) == 120
    found = galshift.explain("adapt", list(data), limit=20, out="explain").results
    assert found["map_pixels"] == [10, 10]
    for name in (SOURCE, TARGET):
        scores = found["data_sets"][name]
        total = scores["on_galaxy"] + scores["on_neighbors"] + scores["on_sky"]
        assert total == pytest.approx(1, abs=1e-6)
    with fits.open("explain/explain.fits") as hdus:
        assert hdus["MAPS"].data.shape == (40, 10, 10)
        assert len(hdus["SCORES"].data) == 40
        weight = hdus["MAPS"].data.sum(axis=(1, 2))
    assert np.all(np.isclose(weight, 1, atol=1e-5) | (weight == 0))
    assert "replaced by noise" in Page(Path("explain/report.html")).text


def test_similar_gives_other_galaxies_nearest_first(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline.folder)
    data = f"{TARGET}.h5"
    name = str(Table.read("predictions.fits")["id"][7])
    found = galshift.similar("adapt", data, name, among=[f"{SOURCE}.h5", data], n=12, out="similar").results
    table = Table.read("similar/similar.fits")
    assert len(table) == found["n"] == 12
    assert len(set(table["group"])) == 12
    assert name.rsplit("-v", 1)[0] not in set(table["group"])
    assert (np.diff(table["distance"]) >= 0).all()
    assert set(table["data_set"]) <= {SOURCE, TARGET}
    page = Page(Path("similar/report.html"))
    assert len([a for a in page.addresses if a.startswith("data:image")]) == 13
    with pytest.raises(DataError, match="there is no image 'nobody'"):
        galshift.similar("adapt", data, "nobody")


def test_suggested_galaxies_once_labelled_measure_and_train(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline.folder)
    shutil.copy(f"{TARGET}.h5", "blind.h5")
    with h5py.File("blind.h5", "r+") as file:
        truth = dict(zip(file["ids"].asstr()[:], file["labels"][:], strict=True))
        del file["labels"]
    for aim, n in (("measure", 24), ("improve", 30)):
        found = galshift.suggest("adapt", "blind.h5", budget=n, aim=aim, out=f"suggest-{aim}").results
        assert found["n"] == n
        table = Table.read(f"suggest-{aim}/suggest.csv")
        assert len(set(table["group"])) == n
        table["label"] = [CLASSES[truth[i]] for i in table["id"]]
        table.write(f"{aim}.csv", overwrite=True)
    labels = {"labels": "measure.csv", "label_column": "label"}
    domain = galshift.evaluate(["adapt"], on=["blind.h5"], **labels).results["results"][0]["domains"]["blind"]
    assert domain["n"] == 24
    # Classes come from the catalogue in alphabetical order; the network keeps its own.
    again = galshift.train("blind.h5", labels="improve.csv", label_column="label", init="adapt", epochs=1)
    assert again.results["classes"] == CLASSES
    own = galshift.suggest("adapt", f"{TARGET}.h5", budget=60, aim="measure", out="suggest-own").results
    assert own["n"] == own["n_candidates"] == 12
    assert any("trained on or adapted to" in line for line in own["warnings"])


def test_depth_is_measured_on_unseen_galaxies_shallowest_first(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline.folder)
    found = galshift.depth("adapt", "sim.h5", survey="sdss", times="1,0.01,4", out="depth").results
    assert [row["name"] for row in found["depths"]] == ["sdss x 0.01", "sdss", "sdss x 4"]
    test = set(json.loads((pipeline.folder / "adapt" / "splits.json").read_text())["source"]["parts"]["test"])
    assert found["depths"][0]["n"] <= len({name.rsplit("-v", 1)[0] for name in test})
    limits = [row["limit_mag_arcsec2"]["r"] for row in found["depths"]]
    # 5 sigma of one arcsec2, from the preset's own sky noise per pixel of 0.396 arcsec.
    with h5py.File(f"{TARGET}.h5") as mocks:
        images = mocks["images"][:, 1]
    border = images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    sigma = 1.4826 * np.median(np.abs(border - np.median(border)))
    assert limits[1] == pytest.approx(31.4 - 2.5 * np.log10(5 * sigma / 0.396), abs=0.15)
    # Four times the exposure halves the noise of the sky.
    assert limits[2] - limits[1] == pytest.approx(2.5 * np.log10(2), abs=0.05)
    assert "Too few galaxies" in " ".join(found["warnings"])
    assert "always answering" in Page(Path("depth/report.html")).text


def test_the_ladder_ends_where_the_mocks_were_made(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline.folder)
    found = galshift.ladder("sim.h5", f"{TARGET}.h5", survey="sdss", model="adapt", out="ladder").results
    names = [rung["name"] for rung in found["rungs"]]
    assert names[:3] == ["as simulated", "with PSF and pixels", "with noise"]
    distance = {rung["name"]: rung["mean_ks"] for rung in found["rungs"]}
    # The same galaxies through the same preset: only the noise's own draw differs at that rung.
    assert distance["with noise"] < 0.2 < distance["as simulated"]
    assert not any(
        row["quantity"].startswith("sky noise") and row["p"] < 0.01 for row in found["rungs"][2]["quantities"]
    )
    assert found["rungs"][0]["images"]["proxy_a_distance"] > found["rungs"][2]["images"]["proxy_a_distance"]
    assert all(rung["features"]["n_per_domain"] == 60 for rung in found["rungs"])
    assert "step by step" in Page(Path("ladder/report.html")).text


def test_verbs_of_the_command_line_and_of_python_agree(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pipeline.folder)
    found = galshift.predict("adapt", "mocks_sdss.h5", "again.fits").results
    monkeypatch.setattr("sys.argv", ["galshift", "predict", "adapt", "mocks_sdss.h5", "again.fits", "--json"])
    capfd.readouterr()
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (0, None)
    printed = json.loads(capfd.readouterr().out)
    assert printed["predicted_mix"] == found["predicted_mix"]
