"""Which images of two data sets show one galaxy: by given names, by place on the sky, never by numbers."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import galshift
from galshift.data.cutouts import Cutouts
from galshift.data.fits_writer import write_fits_folder
from galshift.data.hdf5 import write_hdf5
from galshift.data.identity import same_galaxies
from galshift.data.leakage import find_leaks
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.data.pack import pack
from galshift.domains.config import SplitConfig
from galshift.domains.domain import open_source, open_target
from galshift.errors import DataError, ResourceError
from galshift.rundirectory import RunDirectory


def noise(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 1, 8, 8)).astype("f4")


def folder(path, names, seed):
    """FITS files called by `names`."""
    path.mkdir()
    for name, image in zip(names, noise(len(names), seed)):
        hdu = fits.PrimaryHDU(image[0])
        hdu.header["BUNIT"], hdu.header["FILTER"] = "nJy", "r"
        hdu.writeto(path / f"{name}.fits")
    return path


def linked(first, second):
    return int((same_galaxies(first, second) != "").sum())


def test_row_numbers_of_two_arrays_are_other_galaxies(tmp_path):
    np.savez(tmp_path / "sim.npz", images=noise(100, 0), labels=np.arange(100) % 2)
    np.savez(tmp_path / "real.npz", images=noise(6, 1))
    options = ReadOptions(unit="nJy", pixel_scale_arcsec=0.2)
    source = open_source(str(tmp_path / "sim.npz"), options, SplitConfig(), 1)
    target = open_target(str(tmp_path / "real.npz"), options, SplitConfig(), 1, source)
    # 20 % of six galaxies are held out, whatever the source's rows of those numbers are for.
    assert {part: len(rows) for part, rows in target.parts.items()} == {"train": 5, "test": 1}
    assert find_leaks(open_dataset(tmp_path / "sim.npz"), open_dataset(tmp_path / "real.npz")).groups == ()


def test_files_of_one_name_in_two_folders_are_other_galaxies(tmp_path):
    one, two = folder(tmp_path / "a", "123", 0), folder(tmp_path / "b", "234", 1)
    assert linked(open_dataset(one), open_dataset(two)) == 0
    assert linked(open_dataset(one), open_dataset(one)) == 3
    common = ReadOptions(common_ids=True)
    assert same_galaxies(open_dataset(one, common), open_dataset(two, common)).tolist() == ["2", "3", ""]
    assert linked(open_dataset(one, common), open_dataset(two)) == 0


def test_packing_gives_no_names(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        np.savez(tmp_path / f"{name}.npz", images=noise(5, seed))
        pack(tmp_path / f"{name}.npz", tmp_path / f"{name}.h5", scratch=tmp_path / f"{name}.pieces")
    a, b = open_dataset(tmp_path / "a.h5"), open_dataset(tmp_path / "b.h5")
    assert a.info.groups.tolist() == b.info.groups.tolist()
    assert linked(a, b) == 0


def test_rows_that_an_older_file_calls_by_number_are_no_names(tmp_path):
    import h5py

    for name, seed in (("a", 0), ("b", 1)):
        write_hdf5(tmp_path / f"{name}.h5", Cutouts(images=noise(5, seed)))
        with h5py.File(tmp_path / f"{name}.h5", "a") as file:
            del file.attrs["groups_from"]
    assert linked(open_dataset(tmp_path / "a.h5"), open_dataset(tmp_path / "b.h5")) == 0


def test_groups_that_someone_named_link(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        images = folder(tmp_path / name, [f"{name}{k}" for k in range(3)], seed)
        rows = "".join(f"{name}{k},galaxy{k + seed}\n" for k in range(3))
        (tmp_path / f"{name}.csv").write_text(f"id,gal\n{rows}", encoding="utf-8")
        assert images.is_dir()
    columns = {"label_column": "id", "group_column": "gal"}
    a, b = (
        open_dataset(tmp_path / name, ReadOptions(labels=str(tmp_path / f"{name}.csv"), **columns))
        for name in "ab"
    )
    assert same_galaxies(a, b).tolist() == ["galaxy1", "galaxy2", ""]


@pytest.mark.parametrize("product", ["one.h5", "one"])
def test_mocks_of_one_data_set_show_the_same_galaxies(tmp_path, product):
    def mocks(seed, *outs):
        y, x = np.indices((16, 16)) - 7.5
        images = np.stack([(9 + k + seed) * np.exp(-np.hypot(x, y) / 3) for k in range(12)])[:, None]
        path = tmp_path / f"{seed}.npz"
        np.savez(path, images=images.astype("f4"), filters=["r"])
        for out, survey in zip(outs, ("hsc-wide", "sdss")):
            words = {"unit": "nJy", "pixel_scale": 0.2, "survey": survey, "size": 8}
            galshift.make_mocks(str(path), str(tmp_path / out), **words)

    mocks(0, product, "two.h5")
    mocks(1, "other.h5")
    one, two, other = (open_dataset(tmp_path / name) for name in (product, "two.h5", "other.h5"))
    assert linked(one, two) == 12
    assert linked(one, other) == linked(two, other) == 0


def test_places_on_the_sky_link_within_the_radius_that_is_stated(tmp_path):
    """0.9 arcsec away in declination, 0.9 arcsec in right ascension at 60 deg, 1.1 arcsec, and across 0 h."""
    ra, dec = np.array([10.0, 20.0, 30.0, 0.0]), np.array([-5.0, 60.0, 0.0, 0.0])
    off = np.array([[0, 0.9], [1.8, 0], [0, 1.1], [-0.5, 0]]) / 3600
    for name, (a, d) in (("a", (ra, dec)), ("b", (ra + off[:, 0], dec + off[:, 1]))):
        table = Table({"ra": a % 360, "dec": d})
        groups = [f"{name}{k}" for k in range(4)]
        write_hdf5(tmp_path / f"{name}.h5", Cutouts(images=noise(4, 0), groups=groups, table=table))
    a, b = open_dataset(tmp_path / "a.h5"), open_dataset(tmp_path / "b.h5")
    assert linked(a, b) == 0
    near = open_dataset(tmp_path / "b.h5", ReadOptions(match_radius_arcsec=1.0))
    assert same_galaxies(a, near).tolist() == ["a0", "a1", "", "a3"]
    write_hdf5(tmp_path / "c.h5", Cutouts(images=noise(4, 0)))
    with pytest.raises(DataError, match="no sky positions"):
        same_galaxies(open_dataset(tmp_path / "c.h5"), near)


def test_all_images_of_a_galaxy_go_with_the_one_that_is_matched(tmp_path):
    table = Table({"ra": [10.0, 50.0], "dec": [0.0, 0.0]})
    write_hdf5(tmp_path / "a.h5", Cutouts(images=noise(2, 0), groups=["x", "y"], table=table))
    table = Table({"ra": [10.0, 10.01, 70.0], "dec": [0.0, 0.0, 0.0]})
    write_hdf5(tmp_path / "b.h5", Cutouts(images=noise(3, 1), groups=["p", "p", "q"], table=table))
    near = open_dataset(tmp_path / "b.h5", ReadOptions(match_radius_arcsec=0.5))
    assert same_galaxies(open_dataset(tmp_path / "a.h5"), near).tolist() == ["x", "x", ""]


def test_new_options_leave_old_fingerprints_alone():
    """What older runs were named by holds none of the options that came after them."""
    young = {
        "label_kind",
        "vote_total",
        "override",
        "label_bins",
        "where",
        "common_ids",
        "match_radius_arcsec",
    }
    assert not young & set(ReadOptions().model_dump())
    said = ReadOptions(where="z > 1", label_bins="0,1", common_ids=True, match_radius_arcsec=1)
    assert said.model_dump(mode="json") | {"label_bins": [0, 1]} == said.model_dump(mode="json")
    assert {"where", "label_bins", "common_ids", "match_radius_arcsec"} <= set(said.model_dump())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gets_a_soft_one(tmp_path, monkeypatch, capsys, number):
    import fcntl

    def no_lock(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    made = {"kind": "train", "fingerprint": "f" * 64, "config": {}}
    run = RunDirectory.open(tmp_path / "run", **made)
    assert "no locks" in capsys.readouterr().err
    with pytest.raises(ResourceError, match="another process is writing"):
        RunDirectory.open(tmp_path / "run", **made)
    run.close()
    RunDirectory.open(tmp_path / "run", **made).close()


def test_names_in_greek_stay_so_through_the_command_line(tmp_path):
    (tmp_path / "αβ γ").mkdir()
    folder(tmp_path / "αβ γ" / "Σπείρα", ["Objekt 0 α−00 100%'s", "b"], 0)
    folder(tmp_path / "αβ γ" / "elliptisch groß", ["c", "d"], 1)
    words = [sys.executable, "-m", "galshift", "inspect", str(tmp_path / "αβ γ"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert '"Σπείρα"' in done.stdout or "\\u03a3\\u03c0" in done.stdout
    assert "elliptisch gro" in done.stdout


def test_a_table_of_a_product_is_utf8(tmp_path):
    write_fits_folder(tmp_path / "f", Cutouts(images=noise(1, 0), ids=["Σ"], groups=["γ"]))
    assert "Σ" in (tmp_path / "f" / "catalog.ecsv").read_text(encoding="utf-8")
