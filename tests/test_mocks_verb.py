"""The verb make-mocks: products, resuming, workers, clusters, pairs, estimates, self-test, bad input."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import galshift
from galshift import surveys
from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.errors import ConfigError, DataError, ResourceError, UsageError
from galshift.mocks.selftest import check_survey
from galshift.verbs.make_mocks import jobs as _mock_jobs


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the work fine, so that a few images make several pieces."""
    monkeypatch.setattr(_mock_jobs, "_PIECE_BYTES", 1)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty labelled galaxies of two bands."""
    rng = np.random.default_rng(8)
    y, x = np.indices((48, 48)) - 23.5
    images = [[b * 60 * np.exp(-np.hypot(y, x * q) / 3) for b in (1, 2)] for q in rng.uniform(1, 2, 40)]
    cutouts = Cutouts(
        np.asarray(images, dtype=np.float32),
        unit="nJy",
        pixel_scale=0.15,
        bands=("g", "r"),
        ids=np.array([f"g{i:02d}" for i in range(40)]),
        groups=np.array([f"group{i // 2}" for i in range(40)]),
        labels=np.arange(40) % 2,
        classes=("round", "flat"),
    )
    return str(write_hdf5(tmp_path_factory.mktemp("mocks") / "given.h5", cutouts))


def contents(path: Path | str) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: file[name][:] for name in ("images", "ivar", "mask", "labels", "ids", "groups")}


def same(one: Path | str, two: Path | str) -> bool:
    a, b = contents(one), contents(two)
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_products_and_their_accounts(given, tmp_path):
    out = tmp_path / "sdss.h5"
    done = galshift.make_mocks(given, str(out), survey="sdss", truth=True)
    made = open_dataset(out)
    assert made.info.unit == "nJy"
    assert made.info.bands == ("g", "r")
    assert made.info.survey == "sdss"
    assert float(made.info.pixel_scale) == 0.396
    assert contents(out)["labels"].tolist() == (np.arange(40) % 2).tolist()
    with h5py.File(out) as file:
        pulls = (file["images"][:] - file["truth"][:]) * np.sqrt(file["ivar"][:])
        assert file["psf"].shape[0] == 2
        provenance = json.loads(file.attrs["provenance"])
    assert pulls.var() == pytest.approx(1, abs=0.05)
    assert provenance["survey"]["name"] == "sdss"
    accounts = [json.loads(line) for line in (tmp_path / "sdss.images.jsonl").read_text().splitlines()]
    assert [account["id"] for account in accounts] == [f"g{i:02d}" for i in range(40)]
    assert accounts[0]["bands"]["r"]["noise"] == "exact"
    assert (tmp_path / "sdss.contact.png").read_bytes()[:4] == b"\x89PNG"
    manifest = json.loads((tmp_path / "sdss.h5.manifest.json").read_text())
    assert set(manifest["outputs"]) == {"sdss.h5", "sdss.images.jsonl", "sdss.contact.png"}
    assert done.results["n_images"] == 40
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert galshift.make_mocks(given, str(out), survey="sdss", truth=True).skipped
    with pytest.raises(ConfigError, match="exists"):
        galshift.make_mocks(given, str(out), survey="sdss")


def test_an_interrupted_run_takes_up_where_it_stopped(given, tmp_path, monkeypatch, small_pieces):
    whole, out = tmp_path / "whole.h5", tmp_path / "part.h5"
    galshift.make_mocks(given, str(whole), survey="lsst-y1")
    real, calls = _mock_jobs.make, []

    def stop_after_two(job, piece, dataset=None):
        calls.append(piece.number)
        if len(calls) == 3:
            raise DataError("the disk went away")
        return real(job, piece, dataset)

    monkeypatch.setattr(_mock_jobs, "make", stop_after_two)
    with pytest.raises(DataError, match="disk"):
        galshift.make_mocks(given, str(out), survey="lsst-y1")
    assert not out.exists()
    galshift.make_mocks(given, str(out), survey="lsst-y1")
    assert calls == [0, 1, 2, 2, 3, 4]
    assert same(whole, out)


def test_workers_do_not_change_a_pixel(given, tmp_path, small_pieces):
    galshift.make_mocks(given, str(tmp_path / "one.h5"), survey="lsst-y1", seeing="nominal")
    galshift.make_mocks(given, str(tmp_path / "two.h5"), survey="lsst-y1", workers=2)
    assert same(tmp_path / "one.h5", tmp_path / "two.h5")


def test_a_cluster_that_loses_a_worker_gives_the_same_pixels(given, tmp_path, small_pieces):
    distributed = pytest.importorskip("distributed")
    galshift.make_mocks(given, str(tmp_path / "here.h5"), survey="lsst-y1")
    silent = {"distributed.scheduler.allowed-failures": 5, "distributed.admin.tick.limit": "1h"}
    import dask

    with (
        dask.config.set(silent),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50, processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        pieces = tmp_path / ".there.h5.work" / "pieces"

        def kill() -> None:
            while not list(pieces.glob("*.json")):
                time.sleep(0.01)
            os.kill(victim, 9)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        galshift.make_mocks(
            given, str(tmp_path / "there.h5"), survey="lsst-y1", scheduler=cluster.scheduler_address
        )
        killer.join(10)
    assert same(tmp_path / "here.h5", tmp_path / "there.h5")


def test_no_scheduler_is_an_error_not_a_traceback(given, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    with pytest.raises(ResourceError, match="scheduler"):
        galshift.make_mocks(given, str(tmp_path / "x.h5"), survey="sdss", scheduler="nowhere://127.0.0.1:1")
    assert not list(tmp_path.iterdir())


def test_a_pair_writes_one_file_each(given, tmp_path):
    done = galshift.make_mocks(given, str(tmp_path / "m.h5"), survey="lsst-y1", pair="lsst-y10", bands=["r"])
    assert done.results["nested"] is True
    galshift.make_mocks(given, str(tmp_path / "alone.h5"), survey="lsst-y1", bands="r")
    assert same(tmp_path / "m_lsst-y1.h5", tmp_path / "alone.h5")
    shallow, deep = (contents(tmp_path / f"m_{name}.h5") for name in ("lsst-y1", "lsst-y10"))
    assert np.median(deep["ivar"] / shallow["ivar"]) == pytest.approx(10, rel=0.01)


def test_a_folder_gets_one_fits_file_an_image(given, tmp_path):
    from astropy.io import fits

    galshift.make_mocks(given, str(tmp_path / "mocks"), survey="sdss", bands="r")
    galshift.make_mocks(given, str(tmp_path / "one.h5"), survey="sdss", bands="r")
    files = sorted((tmp_path / "mocks").rglob("*.fits"))
    assert len(files) == 40
    with fits.open(files[0]) as hdus:
        text = repr(hdus[0].header)
        assert "sdss" in text
    back = open_dataset(tmp_path / "mocks")
    cutouts = back.read(np.argsort(back.info.ids))
    assert np.array_equal(cutouts.images, contents(tmp_path / "one.h5")["images"])


def test_own_survey_file_and_any_key_by_set(given, tmp_path):
    own = tmp_path / "mine.yaml"
    text = (Path(surveys.__file__).parent / "sdss.yaml").read_text().replace("name: sdss", "name: mine")
    own.write_text(text)
    faults = {"artifacts.cosmic_rays_per_megapixel": 500, "noise": "none"}
    galshift.make_mocks(given, str(tmp_path / "m.h5"), survey=str(own), set=faults)
    assert contents(tmp_path / "m.h5")["mask"].any()


def test_faults_reach_the_product_flagged_or_not(given, tmp_path):
    faults = {"artifacts.cosmic_rays_per_megapixel": 2000, "artifacts.satellite_trails": 1}
    clean, flagged, silent = (tmp_path / f"{name}.h5" for name in ("clean", "flagged", "silent"))
    galshift.make_mocks(given, str(clean), survey="lsst-y1")
    galshift.make_mocks(given, str(flagged), survey="lsst-y1", set=faults)
    galshift.make_mocks(given, str(silent), survey="lsst-y1", set={**faults, "artifacts.flagged": False})
    one, two, three = (contents(path) for path in (clean, flagged, silent))
    bad = two["mask"]
    excess = (two["images"] - one["images"]) * np.sqrt(one["ivar"])
    assert np.median(excess[bad]) > 1
    assert not two["ivar"][bad].any()
    # Unannounced, the same pixels stand without a mask: what a reader gives a network.
    assert np.array_equal(two["images"], three["images"])
    assert not three["mask"].any()
    assert np.array_equal(open_dataset(silent).read(np.arange(40)).images, two["images"])


def test_dry_run_writes_nothing(given, tmp_path):
    found = galshift.make_mocks(given, str(tmp_path / "m.h5"), survey="sdss", dry_run=True)
    assert not list(tmp_path.iterdir())
    assert [row["n"] for row in found["estimates"]] == [40, 1_000_000]
    galshift.make_mocks(given, str(tmp_path / "m.h5"), survey="sdss")
    real = sum(path.stat().st_size for path in tmp_path.glob("m.*") if path.suffix in (".h5", ".jsonl"))
    assert found["estimates"][0]["bytes"] == pytest.approx(real, rel=0.05)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"survey": "sdsss"}, ConfigError, "did you mean"),
        ({"survey": "euclid-vis"}, DataError, "band-map"),
        ({"bands": "r,Q"}, DataError, "Q"),
        ({"band_map": "r"}, UsageError, "INPUT=SURVEY"),
        ({"survey": None}, UsageError, "survey"),
        ({"noise": "poisson"}, ConfigError, "noise"),
        ({"to_redshift": 1.0}, ConfigError, "redshift"),
        ({"input_psf": "2.5"}, DataError, "sharp"),
        ({"psf": "nowhere.fits"}, DataError, "nowhere"),
    ],
)
def test_bad_input_is_told_and_leaves_nothing(given, tmp_path, change, error, words):
    with pytest.raises(error, match=words):
        galshift.make_mocks(given, str(tmp_path / "m.h5"), **{"survey": "sdss", **change})
    assert not list(tmp_path.iterdir())


# Surveys with a published depth in an aperture or of a star, in either mode; one band each.
PUBLISHED = [
    ("des", "r"),
    ("euclid-vis", "VIS"),
    ("sdss-stripe82", "r"),
    ("kids", "r"),
    ("decals", "g"),
    ("lsst-visit", "r"),
    ("lsst-y1", "i"),
    ("lsst-y10", "u"),
    ("roman", "Y106"),
]


@pytest.mark.parametrize(("name", "band"), PUBLISHED)
def test_mocks_reach_the_published_depth(name, band):
    (check,) = check_survey(surveys.load(name), (band,))
    assert abs(check.difference) <= 0.2
    assert check.point_snr / check.expected_snr == pytest.approx(1, abs=0.03)
    assert check.flux_ratio == pytest.approx(1, abs=0.01)
    assert check.fwhm_arcsec == pytest.approx(check.expected_fwhm_arcsec, rel=0.02)
    assert check.passed


def test_check_notices_a_depth_that_is_not_reached(tmp_path):
    text = (Path(surveys.__file__).parent / "lsst-y1.yaml").read_text()
    (tmp_path / "wrong.yaml").write_text(text.replace("sky: {value: 21.1,", "sky: {value: 20.1,"))
    (check,) = check_survey(surveys.load(tmp_path / "wrong.yaml"), ("r",))
    assert not check.passed
    # A magnitude of sky is half a magnitude of depth.
    assert check.difference == pytest.approx(0.07 - 0.5, abs=0.06)


def test_check_on_the_command_line(capfd, monkeypatch, tmp_path):
    import sys

    from galshift.__main__ import main

    args = ["galshift", "make-mocks", "--check", "--survey", "sdss", "--bands", "g", "--json"]
    monkeypatch.setattr(sys, "argv", args)
    code = _exit_code(main)
    found = json.loads(capfd.readouterr().out)
    assert code == 0
    assert found["passed"] is True
    assert found["bands"][0]["published"]["value"] == 23.13
    text = (Path(surveys.__file__).parent / "sdss.yaml").read_text().replace("value: 23.13", "value: 24.13")
    (tmp_path / "hopeful.yaml").write_text(text)
    monkeypatch.setattr(sys, "argv", [*args[:4], str(tmp_path / "hopeful.yaml"), *args[5:]])
    assert _exit_code(main) == 5
    assert json.loads(capfd.readouterr().out)["passed"] is False


def _exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
