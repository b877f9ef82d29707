"""Real files of many origins through the verbs: what finishes, and what the reports may and may not claim."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import galshift
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.errors import DataError

SMALL = {"preprocess.size": 32, "training.epochs": 1, "method": "sinkhorn"}
# As the sample folder's README derives them: questions that imply a smooth galaxy, or features.
MORPHOLOGY = {
    "Round": "smooth",
    "Disk": "features",
    "Bar": "features",
    "Bulge": "features",
    "Spiral": "features",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with noise-free galaxies in four bands, to observe as any survey."""
    place = tmp_path_factory.mktemp("real")
    galshift.simulate(place / "sim.h5", n=24, views=1, size=40, bands="g,r,i,z")
    return place


@pytest.fixture(autouse=True)
def at_the_desk(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)


def test_illustris_to_sloan_and_decals_finishes_and_claims_nothing(shared_data: Path, desk: Path) -> None:
    origin = shared_data / "gz-survey-examples"
    for survey in ("sloan", "decals"):
        for file in sorted((origin / survey).iterdir())[::3]:
            (desk / "sky" / survey).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, desk / "sky" / survey)
    labels = {
        "labels": origin / "labels.csv",
        "label_column": "question_title",
        "classes_map": {**MORPHOLOGY, "*": ""},
    }
    adapted = galshift.adapt(origin / "illustris", "sky", **labels, out="gz", set=SMALL)
    assert sorted(adapted.results["classes"]) == ["features", "smooth"]
    judged = galshift.evaluate(["gz"], **labels, out="gz-judged", bootstrap=200).results
    report = " ".join((desk / "gz-judged" / "report.html").read_text().split())
    for name in ("illustris", "sky"):
        domain = judged["results"][0]["domains"][name]
        low, high = domain["ci95"]["accuracy"]
        assert low <= domain["accuracy"] <= high
        assert domain["majority_class_accuracy"] > 0.5
        assert f"Too few galaxies: {name} has only {domain['n_groups']} in its test set" in report
        assert f"(accuracy {low:.2f} to {high:.2f})" in report
    assert any("are left out by the labels that are given now" in line for line in judged["warnings"])


def test_pictures_with_votes_are_an_unlabelled_target(shared_data: Path, desk: Path) -> None:
    origin = shared_data / "sdss-gz2-votes"
    pictures = sorted(origin.rglob("*.jpg"))[::25]
    (desk / "gz2").mkdir(exist_ok=True)
    for file in pictures:
        shutil.copy(file, desk / "gz2")
    classes = {"E": "smooth", "S": "features"}
    seen = open_dataset(
        desk / "gz2",
        ReadOptions(
            labels=str(origin / "labels_manifest_1000.csv"), label_column="gz2_class", id_column="asset_id"
        ),
    )
    assert len(seen) == len(pictures)
    assert {name[:1] for name in seen.info.classes} <= {*classes, "A"}
    source = shared_data / "gz-survey-examples"
    galshift.adapt(
        source / "illustris",
        "gz2",
        labels=source / "labels.csv",
        label_column="question_title",
        classes_map={**MORPHOLOGY, "*": ""},
        out="gz2-run",
        set=SMALL,
    )
    _claims_nothing(desk / "gz2-run" / "report.html", "gz2")


def test_cubes_of_unnamed_unit_need_two_words_and_then_are_a_target(shared_data: Path, desk: Path) -> None:
    cutouts = shared_data / "des-cutouts"
    assert open_dataset(cutouts).info.bands == ("g", "r", "i", "z", "Y")
    galshift.make_mocks("sim.h5", "des.h5", survey="des")
    with pytest.raises(DataError, match="the unit of these images is not known"):
        galshift.adapt("des.h5", cutouts, out="des-run")
    assert not (desk / "des-run").exists()
    said = {"read_target.zero_point": 30, "read_target.pixel_scale_arcsec": 0.263}
    galshift.adapt("des.h5", cutouts, out="des-run", set={**SMALL, **said})
    _claims_nothing(desk / "des-run" / "report.html", "des-cutouts")


def test_a_folder_with_a_truncated_file_is_a_target_without_it(shared_data: Path, desk: Path) -> None:
    cubes = shared_data / "decals-fits"
    galshift.make_mocks("sim.h5", "decals.h5", survey="decals")
    with pytest.raises(DataError, match="truncated"):
        galshift.adapt("decals.h5", cubes, out="decals-run")
    galshift.adapt("decals.h5", cubes, on_error="skip", out="decals-run", set=SMALL)
    _claims_nothing(desk / "decals-run" / "report.html", "decals-fits")
    assert len(galshift.predict("decals-run", cubes, "decals.csv", on_error="skip").results["classes"]) == 3


def test_hubble_galaxies_become_mocks_of_two_surveys(shared_data: Path, desk: Path) -> None:
    galaxies = shared_data / "btk-cosmos100"
    read = {"band_map": "F814W=i", "set": {"read.zero_point": 25.94}}
    noise = {}
    for survey, scale in (("lsst-y10", 0.2), ("sdss", 0.396)):
        galshift.make_mocks(galaxies, f"cosmos-{survey}.h5", survey=survey, **read)
        mocks = open_dataset(f"cosmos-{survey}.h5")
        assert mocks.info.bands == ("i",)
        assert mocks.info.unit == "nJy"
        np.testing.assert_allclose(mocks.info.pixel_scale, scale)
        images = mocks.read(np.arange(100)).images
        assert np.isfinite(images).all()
        noise[survey] = 1.4826 * np.median(np.abs(images[:, 0, 0] - np.median(images[:, 0, 0])))
        assert Path(f"cosmos-{survey}.contact.png").stat().st_size > 10_000
    # One visit of SDSS against ten years of LSST, per arcsec2: three magnitudes and more.
    assert noise["sdss"] / 0.396 > 15 * noise["lsst-y10"] / 0.2


def test_a_noise_free_merger_in_magnitudes_becomes_an_sdss_mock(shared_data: Path) -> None:
    merger = shared_data / "realsim-idealised"
    with pytest.raises(DataError, match="no pixel scale"):
        galshift.make_mocks(merger, "merger.h5", survey="sdss")
    galshift.make_mocks(merger, "merger.h5", survey="sdss", pixel_scale=0.1, noise="none")
    mock = open_dataset("merger.h5").read([0])
    light = open_dataset(merger, ReadOptions(pixel_scale_arcsec=0.1)).read([0])
    assert mock.bands == light.bands == ("g", "r", "i")
    # nJy / arcsec2 times the area of a pixel: the light of the merger survives the PSF and the pixels.
    np.testing.assert_allclose(
        mock.images.sum(axis=(2, 3)), 0.1**2 * light.images.sum(axis=(2, 3), dtype=np.float64), rtol=0.03
    )


def _claims_nothing(report: Path, target: str) -> None:
    text = " ".join(report.read_text().split())
    assert f"{target} has no labels, so nothing is claimed about accuracy there" in text
    assert f"No accuracy is claimed for {target}" in text
    assert f"Too few galaxies: {target} has only" in text
    assert f"accuracy on {target}" not in text
    assert "What augmentation alone gives" not in text
