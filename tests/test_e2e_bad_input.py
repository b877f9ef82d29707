"""What users get wrong: one clear sentence, the exit code of the design, and nothing half-written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from galshift.__main__ import main
from tests.pipeline import Pipeline

SOURCE, TARGET = "mocks_sdss-stripe82.h5", "mocks_sdss.h5"


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with good data, a good run, and one of everything that is wrong."""
    place = tmp_path_factory.mktemp("bad")
    for name in (SOURCE, TARGET):
        shutil.copy(pipeline.folder / name, place / name)
    shutil.copytree(pipeline.folder / "adapt", place / "run")
    _bad_files(place)
    _bad_hdf5(place)
    _bad_runs(place)
    _bad_recipes(place)
    return place


def _bad_files(place: Path) -> None:
    (place / "empty").mkdir()
    (place / "text.fits").write_text("this is not a FITS file\n" * 200)
    (place / "zero.fits").write_bytes(b"")
    (place / "truncated.h5").write_bytes((place / TARGET).read_bytes()[:100_000])
    (place / "noise.npy").write_bytes(b"noise" * 100)
    (place / "labels.csv").write_text("id,label\nnobody,spiral\n")
    (place / "fits").mkdir()
    for i in range(3):
        hdu = fits.PrimaryHDU(np.ones((3, 40, 40), np.float32))
        hdu.header["BUNIT"] = "nJy"
        hdu.writeto(place / "fits" / f"g{i}.fits")
    whole = (place / "fits" / "g1.fits").read_bytes()
    (place / "fits" / "g1.fits").write_bytes(whole[: len(whole) // 2])
    (place / "pictures").mkdir()
    (place / "pictures" / "a.jpg").write_bytes(b"no picture")


def _bad_hdf5(place: Path) -> None:
    def changed(name: str, change: Callable[[h5py.File], object]) -> None:
        shutil.copy(place / TARGET, place / name)
        with h5py.File(place / name, "r+") as file:
            change(file)

    def first(n: int) -> Callable[[h5py.File], object]:
        def keep(file: h5py.File) -> None:
            for group in (file, file["table"]):
                for key in [
                    key for key in group if isinstance(group[key], h5py.Dataset) and len(group[key]) == 120
                ]:
                    values = group[key][:n]
                    del group[key]
                    group[key] = values

        return keep

    changed("bands.h5", lambda f: f.attrs.__setitem__("bands", ["u", "z", "y"]))
    changed("electrons.h5", lambda f: f.attrs.__setitem__("unit", "electron"))
    changed("nounit.h5", lambda f: f.attrs.__delitem__("unit"))
    changed("noscale.h5", lambda f: f.attrs.__delitem__("pixel_scale"))
    changed("oneclass.h5", lambda f: f["labels"].__setitem__(slice(None), 0))
    changed("nolabels.h5", lambda f: f.__delitem__("labels"))
    changed("label17.h5", lambda f: f["labels"].__setitem__(3, 17))
    changed("noimages.h5", lambda f: f.__delitem__("images"))
    changed("nan.h5", lambda f: f["images"].__setitem__(slice(None), np.nan))
    changed("onegalaxy.h5", first(2))
    changed("threegalaxies.h5", first(6))
    changed("animals.h5", lambda f: f.attrs.__setitem__("classes", ["cat", "dog", "bird"]))


def _bad_runs(place: Path) -> None:
    for name in ("run-truncated", "run-pickled", "run-other", "run-foreign", "run-unfinished"):
        shutil.copytree(place / "run", place / name)
    model = place / "run-truncated" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:3000])
    (place / "run-pickled" / "model.safetensors").write_bytes(b"PK\x03\x04 as torch.save writes")
    model = place / "run-other" / "model.safetensors"
    with safe_open(model, "np") as stored:
        header = stored.metadata()
    tensors = load_file(model)
    save_file({**tensors, "head.weight": np.zeros((7, 7), np.float32)}, model, metadata=header)
    save_file({"x": np.zeros(3)}, place / "run-foreign" / "model.safetensors")
    (place / "run-unfinished" / "manifest.json").unlink()


def _bad_recipes(place: Path) -> None:
    head = "recipe: 1\nname: bad\nsteps:\n"
    (place / "cut.yaml").write_text(head + "  a: {uses: train, data: [\n")
    (place / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    (place / "key.yaml").write_text(head + f"  a: {{uses: train, data: {TARGET}, modle: sidda}}\n")
    (place / "code.yaml").write_text(head + "  a: {uses: !!python/object/apply:os.system ['true']}\n")
    (place / "nothing.yaml").write_text("")


# Command; exit code; words that the one sentence must have.
CASES = [
    ("train missing.h5", 4, "missing.h5: there is no such file or folder"),
    (f"adapt {SOURCE} missing/", 4, "missing/: there is no such file or folder"),
    (f"predict missing {TARGET} out.fits", 4, "missing: there is no such file or folder"),
    ("evaluate run --on missing.h5", 4, "missing.h5: there is no such file or folder"),
    ("make-mocks missing.h5 out.h5 --survey sdss", 4, "missing.h5: there is no such file or folder"),
    ("train empty", 4, "empty: the folder holds no FITS, PNG or JPEG files"),
    (f"adapt {SOURCE} empty", 4, "empty: the folder holds no FITS, PNG or JPEG files"),
    ("make-mocks empty out.h5 --survey sdss", 4, "empty: the folder holds no"),
    ("predict run fits out.fits", 4, "g1.fits: the file is truncated"),
    ("inspect fits", 4, "--on-error skip"),
    ("train truncated.h5", 4, "truncated.h5: this HDF5 file cannot be opened: it is truncated"),
    ("predict run text.fits out.fits", 4, "text.fits: the FITS file cannot be read"),
    ("predict run zero.fits out.fits", 4, "zero.fits: the file is empty"),
    ("train noise.npy", 4, "noise.npy: this is not a NumPy file"),
    ("inspect pictures", 4, "a.jpg: the picture cannot be read"),
    (
        f"predict run-truncated {TARGET} out.fits",
        4,
        "model.safetensors: the checkpoint is damaged or cut short",
    ),
    (f"predict run-pickled {TARGET} out.fits", 4, "could run code; it was not opened"),
    (f"predict run-other {TARGET} out.fits", 4, "these weights belong to another network"),
    (f"predict run-foreign {TARGET} out.fits", 4, "without galshift's description of the model"),
    ("evaluate run-unfinished", 4, "run-unfinished: this run has not finished"),
    (f"evaluate {SOURCE}", 4, "this is no run of train or adapt"),
    (f"predict {SOURCE} {TARGET} out.fits", 4, "this is no trained model"),
    (f"adapt {SOURCE} bands.h5", 4, "no band in common: g, r, i / u, z, y"),
    ("predict run bands.h5 out.fits", 4, "bands.h5: band 'g' is not among these images' bands u,z,y"),
    ("evaluate run --on bands.h5", 4, "bands.h5: band 'g' is not among"),
    (f"gap {SOURCE} bands.h5 --model run", 4, "bands.h5: band 'g' is not among"),
    ("one-pixel-attack run bands.h5", 4, "band 'g' is not among these images' bands u,z,y"),
    (f"train {SOURCE} --bands u,v", 4, "--bands u,v does not fit: the images have the bands g,r,i"),
    (f"adapt {SOURCE} electrons.h5", 4, "pixels in 'electron' cannot be changed to 'nJy'"),
    ("predict run electrons.h5 out.fits", 4, "electrons.h5: pixels in 'electron' cannot be changed"),
    ("predict run nounit.h5 out.fits", 4, "nounit.h5: the unit of these images is not known"),
    ("predict run noscale.h5 out.fits", 4, "noscale.h5: the pixel scale of these images is not known"),
    (f"train {SOURCE} --unit parrots", 4, "'parrots' is no unit"),
    ("train oneclass.h5", 4, "at least two classes and the labels name only 'merger'"),
    (f"adapt oneclass.h5 {TARGET}", 4, "the labels name only 'merger'"),
    ("train nolabels.h5", 4, "the source has no class labels"),
    ("train label17.h5", 4, "has the label 17, and there are 3 classes"),
    (f"train {SOURCE} --labels labels.csv", 4, "no row of the catalogue names an image"),
    (f"train {SOURCE} --label-column nothing", 4, "no column 'nothing'"),
    ("train noimages.h5", 4, "the file has no /images"),
    ("train nan.h5", 4, "no training image has a pixel that is good"),
    (f"adapt {SOURCE} nan.h5", 4, "no image of the train part has a pixel that is good"),
    ("evaluate run --on nan.h5", 4, "not one image of this data set gave an answer"),
    ("embed run nan.h5", 4, "not one image of this data set gave an answer"),
    ("explain run nan.h5", 4, "not one image of this data set gave an answer"),
    (f"gap {SOURCE} nan.h5", 4, "not one image of this data set can be measured"),
    (f"adapt {SOURCE} onegalaxy.h5", 4, "the target shows 1 galaxy; adaptation needs at least two"),
    ("train threegalaxies.h5", 4, "three are needed"),
    (f"gap {SOURCE} onegalaxy.h5", 4, "at least two galaxies"),
    ("one-pixel-attack run nolabels.h5", 4, "only right answers can be attacked"),
    ("one-pixel-attack run animals.h5", 4, "no labels that the model knows"),
    ("explain run nolabels.h5 --class true", 4, "no image has a label that the model knows"),
    (f"explain run {SOURCE} --layer nothing", 4, "the network has no layer 'nothing'"),
    ("run cut.yaml", 3, "cut.yaml:5"),
    ("run binary.yaml", 3, "binary.yaml: this file cannot be read"),
    ("run key.yaml", 3, "Did you mean 'model'"),
    ("run code.yaml", 3, "code.yaml:4"),
    ("validate nothing.yaml", 3, "this is not a recipe"),
    (f"adapt {SOURCE} {TARGET} --method mmdd", 3, "did you mean 'mmd'"),
    (f"adapt {SOURCE} {TARGET} --set trainign.epochs=3", 3, "Did you mean 'training'"),
    (f"train {TARGET} --out run", 3, "choose another --out, or --overwrite"),
    (f"predict run {TARGET} labels.csv", 3, "the output already exists"),
    (f"predict run {TARGET} out.txt", 2, "the output's ending names no known format"),
    (f"adapt {SOURCE} {TARGET} --device tpu", 2, "unknown device 'tpu'"),
]


@pytest.mark.parametrize(("command", "code", "words"), CASES, ids=[case[0] for case in CASES])
def test_one_clear_sentence_and_nothing_left(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: str,
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["galshift", *command.split()])
    before = _content(folder)
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capfd.readouterr()
    assert stop.value.code == code, err
    assert words in " ".join(err.split())
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("galshift: ")
    assert out == ""
    assert _content(folder) == before


def test_a_set_too_small_to_judge_is_adapted_to_and_the_report_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    words = f"adapt {SOURCE} threegalaxies.h5 --method sinkhorn --epochs 1 --out three"
    monkeypatch.setattr(sys, "argv", ["galshift", *words.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (0, None), capfd.readouterr().err
    assert "Too few galaxies: threegalaxies has only 1" in (folder / "three" / "report.html").read_text()


def test_classes_that_the_model_does_not_know_are_named_and_not_scored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    words = f"evaluate run --on animals.h5 good={TARGET} --out two"
    monkeypatch.setattr(sys, "argv", ["galshift", *words.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    err = capfd.readouterr().err
    assert stop.value.code in (0, None), err
    assert "classes that the model does not know (cat, dog, bird)" in err
    assert "animals: sinkhorn: no labels, so no accuracy is claimed" in err
    assert "good: sinkhorn: accuracy" in err


def _content(folder: Path) -> dict[str, int]:
    """Every file but locks, with its time of change."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
