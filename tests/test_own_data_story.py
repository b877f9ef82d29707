"""An astronomer's first hour with own files: two cards, one adaptation, one table, one sentence a slip."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from tests import file_operations

N = 40


def galaxy(
    rng: np.random.Generator, side: int, scale: float, flux: float, long: bool, noise: float
) -> np.ndarray:
    """A Gaussian galaxy of 1.5 arcsec, round or three times as long, with its noise."""
    y, x = (np.indices((side, side)) - (side - 1) / 2) * scale
    turn = rng.uniform(0, np.pi)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    shape = np.exp(-((u / (2.6 if long else 1.5)) ** 2 + (v / (0.9 if long else 1.5)) ** 2) / 2)
    return (flux * shape / shape.sum() + rng.normal(0, noise, shape.shape)).astype(np.float32)


def header(scale: float, side: int, **keywords) -> fits.Header:
    found = fits.Header(keywords)
    found.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRPIX1=side / 2 + 0.5, CRPIX2=side / 2 + 0.5)
    found.update(CRVAL1=150.0, CRVAL2=2.0, CD1_1=-scale / 3600, CD1_2=0.0, CD2_1=0.0, CD2_2=scale / 3600)
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """`first/`: FITS without a unit, labels in a CSV; `second/`: counts, another scale, size and bands."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(7)
    (folder / "first").mkdir()
    (folder / "second").mkdir()
    names, labels = [], []
    for k in range(N):
        cube = np.stack([galaxy(rng, 32, 0.396, f, k % 2 == 1, 0.02) for f in (8.0, 10.0, 12.0)])
        name = f"1237648720{k:04d}"
        keywords = header(0.396, 32, BANDS="gri")
        fits.writeto(folder / "first" / f"{name}.fits", cube, keywords)
        names.append(name)
        labels.append("spindle" if k % 2 else "round")
    Table({"objid": names, "t01": labels}).write(folder / "zoo.csv")
    for k in range(N):
        # 27.5 is the magnitude of one count: a nanomaggy is 10**(0.4 * 5) = 100 counts.
        cube = np.stack([100 * galaxy(rng, 52, 0.2, f, k % 2 == 1, 0.01) for f in (8.0, 10.0)])
        fits.writeto(folder / "second" / f"J{k:03d}.fits", cube, header(0.2, 52, BANDS="gr", BUNIT="counts"))
    return folder


def galshift(folder: Path, words: str, code: int = 0) -> subprocess.CompletedProcess:
    done = file_operations.galshift(folder, *shlex.split(words), COLUMNS="200")
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


FIRST = (
    "inspect first --unit nanomaggy --labels zoo.csv --id-column objid --label-column t01 --save first.yaml"
)
SECOND = "inspect second --zero-point 27.5 --save second.yaml"


@pytest.fixture(scope="module")
def run(files: Path) -> str:
    galshift(files, FIRST)
    galshift(files, SECOND)
    done = galshift(files, "adapt first.yaml second.yaml --method coral --epochs 2 --json")
    files.joinpath("stderr.txt").write_text(done.stderr, encoding="utf-8")
    return json.loads(done.stdout)["run"]


def test_the_cards_hold_what_the_files_do_not_say(files: Path, run: str) -> None:
    first, second = ((files / name).read_text(encoding="utf-8") for name in ("first.yaml", "second.yaml"))
    assert "\nunit: nanomaggy\n" in first
    assert "\nlabels: zoo.csv\n" in first
    assert "\npixel_scale_arcsec:" not in first
    assert re.search(r"#   pixel_scale_arcsec: 0\.396 .*WCS", first)
    assert "\nzero_point: 27.5\n" in second


def test_what_the_networks_are_given_is_said_before_training_and_stored(files: Path, run: str) -> None:
    told = (files / "stderr.txt").read_text(encoding="utf-8")
    assert "what the networks are given" in told
    assert re.search(r"bands .*g, r .*left out: i", told)
    assert "resampled by 0.505" in told
    known = json.loads((files / run / "data.json").read_text(encoding="utf-8"))
    assert known["source"]["origins"]["unit"] == "data card first.yaml"
    assert known["target"]["origins"]["unit"] == "data card second.yaml"
    assert known["target"]["origins"]["pixel_scale"] == "WCS of HDU 0"
    assert known["source"]["classes"] == {"round": known["source"]["classes"]["round"], "spindle": 13}
    # The same galaxies in both surveys' units: brightness agrees though the files differ by 2.8e-2.
    ratio = np.divide(known["target"]["brightness"], known["source"]["brightness"])
    assert np.all((ratio > 0.5) & (ratio < 2))
    page = (files / run / "report.html").read_text(encoding="utf-8")
    assert page.index("What the networks are given") < page.index("How well")


def test_the_next_line_works_as_printed(files: Path, run: str) -> None:
    told = galshift(files, "adapt first.yaml second.yaml --method coral --epochs 2").stderr
    line = next(line for line in told.splitlines() if line.startswith("next: galshift predict"))
    galshift(files, line.removeprefix("next: galshift "))
    table = Table.read(files / "predictions.fits", hdu=1)
    assert len(table) == N
    assert set(table["prediction"]) <= {"round", "spindle"}


def test_the_run_remembers_the_data_without_a_card(files: Path, run: str) -> None:
    done = galshift(files, f"predict {run} second again.fits")
    assert "second is read as the run read it: zero_point 27.5" in done.stderr
    one, two = (Table.read(files / name, hdu=1) for name in ("predictions.fits", "again.fits"))
    np.testing.assert_array_equal(one["p_round"], two["p_round"])


def test_data_in_another_unit_are_named_before_anything_is_computed(files: Path, run: str) -> None:
    (files / "third").mkdir(exist_ok=True)
    for path in sorted((files / "second").glob("*.fits"))[:12]:
        with fits.open(path) as hdus:
            fits.writeto(files / "third" / path.name, hdus[0].data, hdus[0].header, overwrite=True)
    done = galshift(files, f"predict {run} third third.fits --zero-point 22.5")
    assert re.search(r"third is \d+ times brighter than .*: is its unit or zero point right\?", done.stderr)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("adapt first second.yaml --dry-run", 4, "no class labels|unit of these images is not known"),
        ("adapt first.yaml second --dry-run", 4, "cannot be changed to|unit"),
        ("adapt second.yaml first.yaml --dry-run", 4, "no class labels"),
        ("inspect second --pixel-scale 0.4", 4, "declared as 0.4 arcsec, and the files say 0.2 arcsec"),
        ("inspect second --unit nanomagy", 4, "no unit that astropy knows"),
        ("adapt first.yml second.yaml --dry-run", 4, "did you mean .*first.yaml"),
        ("adapt first.yaml second.yaml --target-pixel-scale 0.3 --dry-run", 4, "files say 0.2 arcsec"),
        ("inspect first.yaml --override flux", 3, "override"),
    ],
)
def test_each_slip_is_one_sentence(files: Path, run: str, words: str, code: int, message: str) -> None:
    done = galshift(files, words, code)
    assert re.search(message, done.stderr), done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("galshift:")]) == 1


def test_the_same_data_twice_and_one_much_brighter_are_said_without_training(files: Path, run: str) -> None:
    done = galshift(files, "adapt first.yaml first.yaml --dry-run")
    assert "Source and target are the same data set" in done.stderr
    done = galshift(files, "adapt first.yaml second --target-zero-point 22.5 --dry-run")
    # Five magnitudes are a factor of a hundred.
    said = re.search(r"second is ([\d.]+) times brighter than first: is its unit or zero point", done.stderr)
    assert float(said[1]) == pytest.approx(100, rel=0.2)
