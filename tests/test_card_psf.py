"""The PSF of images and the bits of their mask, where a user or a data card states them.

PSFs are Gaussians of known FWHM, so that every expected width is written down here or follows from adding
variances.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from pydantic import ValidationError

import galshift
from galshift.data.card import KEY
from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions, bits_value
from galshift.errors import DataError
from galshift.recipes.inputs import identify
from galshift.recipes.prepare import prepare
from galshift.runs.known_data import _still_there
from galshift.verbs import STEPS
from galshift.verbs._parameters import config_values
from galshift.verbs.make_mocks.jobs import Job, Piece, make

SIGMAS_PER_FWHM = 2.3548
HERE = {"unit": "nJy", "pixel_scale_arcsec": 0.2}


def gauss(side: int, scale: float, fwhm: float) -> np.ndarray:
    y, x = (np.indices((side, side)) - (side - 1) / 2) * scale
    image = np.exp(-(x**2 + y**2) / 2 / (fwhm / SIGMAS_PER_FWHM) ** 2)
    return image / image.sum()


def psf_file(place: Path, fwhm: float = 0.6, scale: float | None = 0.1, side: int = 41) -> str:
    fits.writeto(place, gauss(side, scale or 0.1, fwhm), fits.Header({"PIXSCALE": scale} if scale else {}))
    return str(place)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three images of two bands."""
    place = tmp_path / "survey"
    place.mkdir()
    images = np.random.default_rng(3).normal(1, 1, (3, 2, 12, 12)).astype(np.float32)
    np.save(place / "images.npy", images)
    return place


def card(folder: Path, words: str) -> Path:
    place = folder / "wide.yaml"
    place.write_text(
        f"{KEY}: 1\npath: images.npy\nunit: nJy\npixel_scale_arcsec: 0.2\nbands: [g, r]\n{words}\n",
        encoding="utf-8",
    )
    return place


@pytest.mark.parametrize("words", ["psf: 1.2", "psf: '1.2'"])
def test_a_card_states_a_fwhm(folder: Path, words: str) -> None:
    dataset = open_dataset(card(folder, words))
    assert (dataset.info.psf_fwhm, dataset.info.has_psf) == (1.2, False)
    assert dataset.info.origins["psf"] == "data card wide.yaml"
    cutouts = dataset.read([2, 0])
    assert (cutouts.psf_fwhm, cutouts.psf, cutouts.ids.tolist()) == (1.2, None, ["2", "0"])
    beside = open_dataset(folder / "wide.yaml", ReadOptions(psf="0.8"))
    assert (beside.info.psf_fwhm, beside.info.origins["psf"]) == (0.8, "--psf")


def test_a_card_names_a_file_from_its_own_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    psf_file(folder / "psf.fits")
    card(folder, "psf: psf.fits")
    shutil.move(folder, tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset("moved/wide.yaml")
    assert dataset.info.psf_fwhm == pytest.approx(0.6, rel=0.02)
    cutouts = dataset.read([1])
    assert (cutouts.psf.shape, cutouts.psf_pixel_scale) == ((2, 41, 41), 0.1)
    np.testing.assert_allclose(cutouts.psf[1], gauss(41, 0.1, 0.6), atol=1e-6)
    assert any("PSF of psf.fits, one PSF for g, r: FWHM" in note for note in dataset.info.notes)


def test_each_band_has_the_plane_of_its_name(folder: Path) -> None:
    stack = np.stack([gauss(41, 0.1, fwhm) for fwhm in (0.5, 1.0)])
    header = fits.Header({"PIXSCALE": 0.1, "BANDS": "r,g"})
    fits.writeto(folder / "psf.fits", stack, header)
    dataset = open_dataset(card(folder, "psf: psf.fits"))
    assert dataset.info.psf_fwhm.shape == (3, 2)
    np.testing.assert_allclose(dataset.info.psf_fwhm[0], [1.0, 0.5], rtol=0.03)
    two = Cutouts(np.ones((1, 2, 8, 8), np.float32), bands=("g", "r"))
    write_hdf5(folder / "two.h5", two)
    red = open_dataset(folder / "two.h5", ReadOptions(bands=("r",), psf=str(folder / "psf.fits")))
    assert red.info.psf_fwhm == pytest.approx(0.5, rel=0.03)


def test_inspect_saves_what_is_stated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    psf_file(folder / "psf.fits", scale=None)
    given = {"psf": "psf.fits", "psf_pixel_scale": 0.1, "unit": "nJy", "pixel_scale": 0.2}
    galshift.inspect("images.npy", **given, save="saved.yaml")
    assert {"psf: psf.fits", "psf_pixel_scale_arcsec: 0.1"} <= set(Path("saved.yaml").read_text().split("\n"))
    info = open_dataset("saved.yaml").info
    assert info.psf_fwhm == pytest.approx(0.6, rel=0.02)
    assert info.origins["psf"] == "data card saved.yaml"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("psf: nowhere.fits", "no such PSF file.*FWHM in arcsec"),
        ("psf: bare.fits", "states no pixel scale.*--psf-pixel-scale 0.03"),
        ("psf: sky.fits", "stands on a pedestal"),
        ("psf: damaged.npy", "cannot be read"),
        ("psf: -1", r"wide.yaml:6: psf: the FWHM of a PSF is above 0 arcsec"),
        ("psf: nan", r"wide.yaml:6: psf: the FWHM of a PSF is above 0 arcsec"),
        ("mask_bits: '0,1'", "no mask with bits"),
        ("mask_bits: 3", r"wide.yaml:6: mask_bits: numbers of bits are a list such as \[0, 1, 12\]"),
        ("mask_bits: '4099'", r"wide.yaml:6: mask_bits: '4099' names no bits.*0x1003"),
    ],
)
def test_what_cannot_be_is_one_sentence(folder: Path, words: str, message: str) -> None:
    psf_file(folder / "bare.fits", scale=None)
    fits.writeto(folder / "sky.fits", gauss(41, 0.1, 0.6) + 0.01, fits.Header({"PIXSCALE": 0.1}))
    (folder / "damaged.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=f"(?s){message}"):
        open_dataset(card(folder, words))


IMAGES = np.ones((2, 1, 16, 16), np.float32)


def stored(folder: Path, **more: object) -> Path:
    write_hdf5(folder / "own.h5", Cutouts(IMAGES, bands=("r",), unit="nJy", pixel_scale=0.2, **more))
    return folder / "own.h5"


def extension(folder: Path) -> Path:
    image = fits.ImageHDU(IMAGES[0, 0], fits.Header({"BUNIT": "nJy", "FILTER": "r"}), name="SCI")
    psf = fits.ImageHDU(gauss(41, 0.1, 0.9), fits.Header({"PIXSCALE": 0.1}), name="PSF")
    fits.HDUList([fits.PrimaryHDU(), image, psf]).writeto(folder / "own.fits")
    return folder / "own.fits"


OWN = {
    "attribute": lambda folder: stored(folder, psf_fwhm=0.9),
    "image": lambda folder: stored(folder, psf=gauss(41, 0.1, 0.9), psf_pixel_scale=0.1),
    "extension": extension,
}


@pytest.mark.parametrize("name", OWN)
def test_a_word_against_the_files_own_psf(tmp_path: Path, name: str) -> None:
    path = OWN[name](tmp_path)
    scale = {"pixel_scale_arcsec": 0.2}
    with pytest.raises(
        DataError, match=r"the PSF is declared as 1.2 arcsec.*files say 0.(9|896) arcsec"
    ) as caught:
        open_dataset(path, ReadOptions(psf="1.2", **scale))
    assert "--override psf" in caught.value.hint
    assert open_dataset(path, ReadOptions(psf="0.92", **scale)).info.psf_fwhm == 0.92  # within 5 %
    meant = open_dataset(path, ReadOptions(psf="1.2", override=("psf",), **scale))
    assert any("psf: declared against the files" in note for note in meant.info.notes)
    assert (meant.read([0]).psf_fwhm, meant.read([0]).psf) == (1.2, None)


def test_what_the_files_do_not_know_contradicts_nothing(tmp_path: Path) -> None:
    unknown = stored(tmp_path, psf_fwhm=np.full((2, 1), np.nan, np.float32))
    assert open_dataset(unknown, ReadOptions(psf="1.2")).info.psf_fwhm == 1.2
    assert open_dataset(unknown, ReadOptions(psf="1.2")).info.notes == ()
    point = stored(tmp_path, psf_fwhm=0.0)  # images without a PSF, as galshift simulate makes them
    with pytest.raises(DataError, match=r"declared as 1\.2 arcsec.*files say 0 arcsec"):
        open_dataset(point, ReadOptions(psf="1.2"))


def width(image: np.ndarray, scale: float) -> float:
    """FWHM of a Gaussian by its second moment."""
    y, x = (np.indices(image.shape).T - (np.asarray(image.shape) - 1) / 2).T
    return SIGMAS_PER_FWHM * scale * float(np.sqrt((image * (x**2 + y**2)).sum() / image.sum() / 2))


def test_make_mocks_takes_the_card_s_psf_for_the_input_s(tmp_path: Path) -> None:
    """A star of FWHM 0.5 seen through a PSF of 0.8 has 0.8, not the 0.94 of both, where 0.5 is stated."""
    np.save(tmp_path / "images.npy", np.float32(1e6) * gauss(121, 0.05, 0.5)[None, None].repeat(2, 0))
    for name in ("fwhm", "file", "bare"):
        psf = {"fwhm": "psf: 0.5", "file": "psf: input.fits", "bare": ""}[name]
        (tmp_path / f"{name}.yaml").write_text(
            f"{KEY}: 1\npath: images.npy\nunit: nJy\npixel_scale_arcsec: 0.05\nbands: [i]\n{psf}\n"
        )
    psf_file(tmp_path / "input.fits", 0.5, 0.05, 121)
    given = {"survey": "hsc-wide", "noise": "none", "psf": psf_file(tmp_path / "survey.fits", 0.8, 0.05, 121)}
    seen = {}
    for name in ("fwhm", "file", "bare"):
        galshift.make_mocks(str(tmp_path / f"{name}.yaml"), str(tmp_path / f"{name}.h5"), **given)
        with h5py.File(tmp_path / f"{name}.h5") as file:
            seen[name] = width(file["images"][0, 0].astype(float), 0.168)
    # The survey's pixel is wider than those on which its PSF was measured.
    pixels = SIGMAS_PER_FWHM**2 * (0.168**2 - 0.05**2) / 12
    assert seen["fwhm"] == pytest.approx(np.sqrt(0.8**2 + pixels), rel=0.01)
    assert seen["file"] == pytest.approx(np.sqrt(0.8**2 + pixels), rel=0.01)
    assert seen["bare"] == pytest.approx(np.sqrt(0.8**2 + 0.5**2 + pixels), rel=0.01)


def test_a_stated_psf_stands_for_those_that_a_catalogue_names(shared_data: Path) -> None:
    path = str(shared_data / "btk-cosmos100")
    seen = []
    for more in ({}, {"psf": "0.3", "override": ["psf"]}):
        read = {"zero_point": 25.94, **more}
        job = Job(
            path,
            read,
            {"band_map": {"F814W": "i"}, "noise": "none"},
            ("hsc-wide",),
            None,
            0,
            "cpu",
            ((30, 30),),
        )
        (observation,) = make(job, Piece(0, 0, 1))
        seen.append(observation.cutouts.images[0, 0])
    assert seen[1].max() > 1.01 * seen[0].max()  # more blur was taken out


FLAGS = np.zeros((2, 16, 16), np.int32)
FLAGS[:, 2, 3], FLAGS[:, 4, 5], FLAGS[:, 6, 7] = 1, 8, 9  # bit 0, bit 3, both


def flagged(folder: Path, kind: str) -> Path:
    place = folder / {"npz": "a.npz", "galshift": "a.h5", "others": "b.h5", "fits": "a.fits"}[kind]
    if kind == "npz":
        np.savez(place, images=IMAGES, mask=FLAGS[:, None])
    elif kind == "fits":
        header = fits.Header({"TELESCOP": "JWST", "BUNIT": "nJy", "FILTER": "r"})
        image = fits.ImageHDU(IMAGES[0, 0], header, name="SCI")
        mask = fits.ImageHDU(FLAGS[0], fits.Header({"TELESCOP": "JWST"}), name="DQ")
        fits.HDUList([fits.PrimaryHDU(), image, mask]).writeto(place)
    else:
        with h5py.File(place, "w") as file:
            file["images" if kind == "galshift" else "image"] = IMAGES
            file["mask"] = FLAGS[:, None]
            if kind == "galshift":
                file.attrs.update(unit="nJy", pixel_scale=0.2)
    return place


@pytest.mark.parametrize("kind", ["npz", "galshift", "others", "fits"])
@pytest.mark.parametrize("bits", ["3", "0x8", " 3,"])
def test_stated_bits_go_before_all_else(tmp_path: Path, kind: str, bits: str) -> None:
    path = flagged(tmp_path, kind)
    plain = np.any(open_dataset(path, ReadOptions(**HERE)).read([0]).mask, axis=1)[0]
    dataset = open_dataset(path, ReadOptions(mask_bits=bits, **HERE))
    bad = np.any(dataset.read([0]).mask, axis=1)[0]
    assert np.argwhere(bad).tolist() == [[4, 5], [6, 7]]
    # JWST itself says bit 0; a mask of which nothing is known spoils wherever it is not 0.
    assert plain.sum() == (2 if kind == "fits" else 3)
    assert dataset.info.origins["mask"].endswith("bits by --mask-bits")


def test_a_mask_of_true_and_false_has_no_bits(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, mask=FLAGS[:, None] > 0)
    with pytest.raises(DataError, match="no mask with bits"):
        open_dataset(tmp_path / "a.npz", ReadOptions(mask_bits="3"))


@pytest.mark.parametrize(
    ("words", "value"), [("0", 1), ("0,1,12", 4099), ("0x1003", 4099), ("12, 0 ,1,1", 4099), ("62", 2**62)]
)
def test_bits_in_words(words: str, value: int) -> None:
    assert bits_value(words) == value
    assert ReadOptions(mask_bits=words).mask_bits == words


@pytest.mark.parametrize("words", ["", "63", "-1", "one", "0x0", "0x", "0.5"])
def test_what_is_no_bit(words: str) -> None:
    with pytest.raises(ValidationError, match="names no bits"):
        ReadOptions(mask_bits=words)


def test_a_card_lists_bits(tmp_path: Path) -> None:
    flagged(tmp_path, "npz").rename(tmp_path / "images.npz")
    (tmp_path / "c.yaml").write_text(f"{KEY}: 1\npath: images.npz\nmask_bits: [3, 12]\n")
    dataset = open_dataset(tmp_path / "c.yaml")
    assert np.argwhere(dataset.read([1]).mask[0, 0]).tolist() == [[4, 5], [6, 7]]
    assert dataset.info.origins["mask"] == "array 'mask', bits by data card c.yaml"


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NHW"])
def test_a_file_of_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """Of counts with a zero point, an inverse variance is in counts^-2."""
    weights = np.arange(3 * 2 * 12 * 12, dtype=float).reshape(3, 2, 12, 12)
    weights[2, :, 0, 0], weights[2, :, 0, 1] = np.nan, -1
    stored = {"NCHW": weights, "NHWC": np.moveaxis(weights, 1, -1), "NHW": weights[:, 0]}[layout]
    np.save(folder / "weights.npy", stored)
    place = folder / "counts.yaml"
    place.write_text(f"{KEY}: 1\npath: images.npy\nzero_point: 28.9\nbands: [g, r]\nweights: weights.npy\n")
    shutil.move(folder, tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset("moved/counts.yaml")
    assert (dataset.info.has_ivar, dataset.info.origins["noise"]) == (True, "data card counts.yaml")
    found = dataset.read([2, 0]).ivar
    expected = (weights[:, [0, 0]] if layout == "NHW" else weights)[
        [2, 0]
    ] / 100  # 31.4 - 28.9: 10 nJy a count
    expected[0, :, 0, :2] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("weights: nowhere.npy", "no such file of weights"),
        ("weights: short.npy", r"weights have the shape \(2, 12, 12\), and the images \(3, 2, 12, 12\)"),
        ("weights: damaged.npy", "can be read"),
        ("weights: short.npy\npath: own.h5", r"files have their own \(/ivar\).*--override weights"),
        ("weights: short.npy\npath: own.fits", "extensions .--role NAME=weight"),
    ],
)
def test_weights_that_cannot_be(folder: Path, words: str, message: str) -> None:
    np.save(folder / "short.npy", np.ones((2, 12, 12)))
    (folder / "damaged.npy").write_bytes(b"\x93NUMPY")
    stored(folder, ivar=np.ones_like(IMAGES))
    extension(folder)
    place = folder / "w.yaml"
    path = "" if "path" in words else "path: images.npy\n"
    place.write_text(f"{KEY}: 1\n{path}{words}\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"(?s){message}"):
        open_dataset(place)


def test_weights_meant_against_the_files_own(tmp_path: Path) -> None:
    path = stored(tmp_path, ivar=np.ones_like(IMAGES))
    np.save(tmp_path / "w.npy", 4 * IMAGES)
    dataset = open_dataset(path, ReadOptions(weights=str(tmp_path / "w.npy"), override=("weights",)))
    assert (dataset.read([1]).ivar == 4).all()
    assert dataset.info.origins["noise"] == "--weights"


def test_both_domains_or_one(folder: Path) -> None:
    given = {"source": "a", "target": "b", "psf": "0.7", "target_psf": "1.1", "source_mask_bits": "3"}
    values = config_values(STEPS.get("adapt"), given)
    assert (values["read"]["psf"], values["read_target"]["psf"]) == ("0.7", "1.1")
    assert values["read"]["mask_bits"] == "3"
    assert "mask_bits" not in values["read_target"]
    values = config_values(STEPS.get("adapt"), {"source": "a", "target": "b", "weights": "w.npy"})
    assert values["read"] == {"weights": "w.npy"}
    assert "read_target" not in values


def test_a_run_goes_on_without_a_psf_or_weights_that_are_gone(tmp_path: Path) -> None:
    gone, here = str(tmp_path / "gone.fits"), psf_file(tmp_path / "here.fits")
    read = ReadOptions(psf=gone, psf_pixel_scale_arcsec=0.1, weights=str(tmp_path / "gone.npy"), unit="nJy")
    assert _still_there(read) == ReadOptions(unit="nJy")
    for kept in (ReadOptions(psf=here, psf_pixel_scale_arcsec=0.1), ReadOptions(psf="1.2")):
        assert _still_there(kept) == kept


def test_a_psf_file_counts_by_its_content(folder: Path, tmp_path: Path) -> None:
    names = [psf_file(tmp_path / f"{i}.fits", fwhm) for i, fwhm in enumerate((0.6, 0.6, 0.7))]
    data = str(folder / "images.npy")

    def made(**read: str) -> str:
        return prepare("pack", {"data": data, "read": read}).fingerprint

    first, same, other = (made(psf=name) for name in names)
    assert first == same
    assert len({first, other, made(), made(psf="0.6"), made(psf="0.7")}) == 5
    shutil.copy(names[0], folder / "psf.fits")
    before = identify({"data": str(card(folder, "psf: psf.fits"))}, ("data",))
    shutil.copy(names[2], folder / "psf.fits")
    after = identify({"data": str(folder / "wide.yaml")}, ("data",))
    changed = {key for key in before.hashes if before.hashes[key] != after.hashes[key]}
    assert changed == {"data.psf"}
