"""Packing: the file holds what the data set gives, whoever makes it and however often it is interrupted."""

from __future__ import annotations

import json
import os
import signal

import h5py
import numpy as np
import pytest
from astropy.io import fits

from galshift.data import pack as packing
from galshift.data.open import ReadOptions, open_dataset
from galshift.data.pack import pack
from galshift.errors import DataError


def folder_of_fits(folder, n=6, blank=()):
    """Write small FITS files in two class folders, some with a NaN pixel."""
    rng = np.random.default_rng(0)
    for i in range(n):
        image = rng.normal(size=(2, 5, 6)).astype("f4")
        if i in blank:
            image[0, 1, 2] = np.nan
        place = folder / ("merger" if i % 2 else "spiral") / f"g{i}.fits"
        place.parent.mkdir(parents=True, exist_ok=True)
        header = fits.Header({"BUNIT": "nJy", "BAND0": "g", "BAND1": "r"})
        fits.writeto(place, image, header)
    return folder


def same(first, second):
    a, b = first.read(range(len(first))), second.read(range(len(second)))
    np.testing.assert_array_equal(a.images, b.images)
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.groups, b.groups)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert (a.unit, a.bands, a.classes) == (b.unit, b.bands, b.classes)
    empty = np.zeros(a.images.shape, dtype=bool)
    np.testing.assert_array_equal(empty if a.mask is None else a.mask, empty if b.mask is None else b.mask)


def test_packed_is_the_same_and_a_mask_in_one_piece_is_in_all(tmp_path, monkeypatch):
    data = folder_of_fits(tmp_path / "data", blank=(4,))
    monkeypatch.setattr(packing, "MAX_PIECE", 2)
    seen = []
    packed = pack(data, tmp_path / "out.h5", scratch=tmp_path / "pieces", progress=seen.append)
    assert packed.n == 6
    assert sum(seen) == 6
    same(open_dataset(data), open_dataset(tmp_path / "out.h5"))
    with h5py.File(tmp_path / "out.h5") as file:
        # Files of a folder are read in order: spiral comes last, and g4 is its last.
        assert file["mask"][:].sum(axis=(1, 2, 3)).tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.slow
def test_two_processes_make_the_same_file(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", rng.normal(size=(400, 2, 5, 5)).astype("f4"))
    np.save(tmp_path / "y.npy", rng.integers(0, 3, size=400))
    path = f"{tmp_path / 'x.npy'}:{tmp_path / 'y.npy'}"
    monkeypatch.setattr(packing, "MAX_PIECE", 100)
    for workers in (1, 2):
        pack(path, tmp_path / f"{workers}.h5", scratch=tmp_path / f"pieces{workers}", workers=workers)
    same(open_dataset(tmp_path / "1.h5"), open_dataset(tmp_path / "2.h5"))
    same(open_dataset(path), open_dataset(tmp_path / "2.h5"))


def test_unknown_units_stay_unknown_and_scales_that_vary_stay_so(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    for i, scale in enumerate((0.2, 0.2, 0.3, 0.3)):
        header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 1.0, "CRVAL2": 2.0})
        header.update({"CDELT1": -scale / 3600, "CDELT2": scale / 3600})
        fits.writeto(data / f"{i}.fits", np.ones((4, 4), "f4"), header)
    monkeypatch.setattr(packing, "MAX_PIECE", 2)
    pack(data, tmp_path / "out.h5", scratch=tmp_path / "pieces")
    info = open_dataset(tmp_path / "out.h5").info
    assert info.unit is None
    np.testing.assert_allclose(info.pixel_scale, [0.2, 0.2, 0.3, 0.3], rtol=1e-9)


def test_pieces_that_are_there_are_not_made_again(tmp_path, monkeypatch):
    data = folder_of_fits(tmp_path / "data")
    monkeypatch.setattr(packing, "MAX_PIECE", 2)
    make, made = packing._make, []

    def fail_at_third(bench, piece):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(piece.start)
        return make(bench, piece)

    monkeypatch.setattr(packing, "_make", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        pack(data, tmp_path / "out.h5", scratch=tmp_path / "pieces")
    assert not (tmp_path / "out.h5").exists()
    monkeypatch.setattr(packing, "_make", lambda bench, piece: made.append(piece.start) or make(bench, piece))
    pack(data, tmp_path / "out.h5", scratch=tmp_path / "pieces")
    assert made == [0, 2, 4]
    same(open_dataset(data), open_dataset(tmp_path / "out.h5"))


def test_pixels_that_cannot_be_read_are_refused_or_left_out(tmp_path, capsys):
    """A tile-compressed image is only found out when it is decoded: its header is sound."""
    for i in range(5):
        image = np.random.default_rng(i).integers(0, 999, size=(40, 40)).astype("i2")
        hdu = fits.CompImageHDU(image, compression_type="GZIP_1")
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / f"g{i}.fits")
    broken = bytearray((tmp_path / "g3.fits").read_bytes())
    broken[-2880:-2000] = bytes(880)
    (tmp_path / "g3.fits").write_bytes(broken)
    out = tmp_path / "out.h5"
    with pytest.raises(DataError, match=r"g3\.fits"):
        pack(tmp_path, out, scratch=tmp_path / ".pieces")
    assert not out.exists()
    packed = pack(tmp_path, out, ReadOptions(on_error="skip"), scratch=tmp_path / ".pieces2")
    assert packed.n == 4
    assert list(open_dataset(out).info.ids) == ["g0", "g1", "g2", "g4"]
    assert packed.skipped == ("g3: the FITS file cannot be read: it is truncated or damaged",)
    # Read as it is, the damaged galaxy is told and left out, and the others are there.
    assert "skipped 1 of 5 images (g3: " in capsys.readouterr().err
    cutouts = open_dataset(tmp_path, ReadOptions(on_error="skip")).read(range(4))
    assert cutouts.ids.tolist() == ["g0", "g1", "g2", "g4"]
    np.testing.assert_array_equal(cutouts.images[3, 0], fits.getdata(tmp_path / "g4.fits"))


def be_stopped(after):
    """Let this process, which is to run a command, be stopped once the piece at row `after` is made."""
    make, packing.MAX_PIECE = packing._make, 10

    def make_and_be_stopped(bench, piece):
        done = make(bench, piece)
        if piece.start >= int(after):
            os.kill(os.getpid(), signal.SIGTERM)
        return done

    packing._make = make_and_be_stopped


def test_the_command_is_stopped_and_goes_on(tmp_path, server):
    """SIGTERM between pieces: 75 and no file; the same command then finishes without redoing pieces."""
    images = np.random.default_rng(0).normal(size=(50, 1, 8, 8)).astype("f4")
    np.save(tmp_path / "x.npy", images)
    words = ("pack", tmp_path / "x.npy", tmp_path / "out.h5", "--unit", "nJy", "--json")

    def run_until(after):
        before = ("tests.test_data_pack:be_stopped", str(after))
        return server.run(tmp_path, [str(word) for word in words], before=before)

    first = run_until(20)
    assert first.code == 75, first.said
    assert not (tmp_path / "out.h5").exists()
    pieces = tmp_path / ".out.h5.work" / "pieces"
    kept = {path.name: path.stat().st_mtime_ns for path in pieces.glob("*.json")}
    assert len(kept) == 3
    second = run_until(40)
    assert second.code == 75, second.said
    assert {name: (pieces / name).stat().st_mtime_ns for name in kept} == kept
    third = run_until(1000)
    assert third.code == 0, third.said
    assert json.loads(third.printed)["n_images"] == 50
    np.testing.assert_array_equal(open_dataset(tmp_path / "out.h5").read(range(50)).images, images)
    assert not (tmp_path / ".out.h5.work").exists()


def test_votes_and_zero_points_from_the_command(tmp_path):
    """One count at AB zero point 30 is 10^(0.4 (31.4 - 30)) nJy."""
    import galshift

    for i in range(3):
        fits.writeto(tmp_path / f"g{i}.fits", np.full((4, 4), i + 1.0, "f4"))
    (tmp_path / "votes.csv").write_text("name,disc,smooth\ng0,0.9,0.1\ng1,0.5,0.5\ng2,0.2,0.8\n")
    done = galshift.pack(
        tmp_path,
        tmp_path / "out.h5",
        labels=tmp_path / "votes.csv",
        votes="disc,smooth",
        min_confidence=0.7,
        zero_point="30",
    )
    assert done.results["classes"] == ["disc", "smooth"]
    cutouts = open_dataset(tmp_path / "out.h5").read([0, 1, 2])
    assert cutouts.labels.tolist() == [0, -1, 1]
    assert cutouts.unit == "nJy"
    np.testing.assert_allclose(cutouts.images[:, 0, 0, 0], 10**0.56 * np.array([1, 2, 3]), rtol=1e-6)


def test_cutouts_from_a_frame_are_packed(tmp_path):
    """Frame and positions may be given either way round; the star at each position is at the centre."""
    from astropy.table import Table
    from astropy.wcs import WCS

    import galshift
    from galshift.errors import UsageError

    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
    header.update({"CRPIX1": 20.5, "CRPIX2": 20.5, "CDELT1": -1 / 3600, "CDELT2": 1 / 3600, "BUNIT": "nJy"})
    frame = np.zeros((40, 40), "f4")
    frame[10, 12], frame[30, 25] = 1, 2
    fits.writeto(tmp_path / "frame.fits", frame, header)
    ra, dec = WCS(header).all_pix2world([12, 25], [10, 30], 0)
    Table({"id": ["a", "b"], "ra": ra, "dec": dec}).write(tmp_path / "positions.ecsv")
    words = {"size": "9arcsec", "overwrite": True}
    frame_path, positions = tmp_path / "frame.fits", tmp_path / "positions.ecsv"
    galshift.pack(frame_path, tmp_path / "one.h5", catalog=positions, **words)
    galshift.pack(positions, tmp_path / "two.h5", cutouts_from=frame_path, **words)
    for name in ("one.h5", "two.h5"):
        cutouts = open_dataset(tmp_path / name).read([0, 1])
        assert cutouts.ids.tolist() == ["a", "b"]
        assert cutouts.images.shape == (2, 1, 9, 9)
        assert cutouts.images[:, 0, 4, 4].tolist() == [1, 2]
        assert cutouts.pixel_scale == pytest.approx(1.0)
    with pytest.raises(UsageError, match="given twice"):
        galshift.pack(positions, tmp_path / "three.h5", cutouts_from=frame_path, catalog="other.ecsv")
