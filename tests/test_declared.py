"""A declaration against a header: what is used and what is said, for each pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.errors import DataError

IMAGE = np.random.default_rng(0).normal(5, 1, (40, 40)).astype(np.float32)


def fits_file(folder: Path, **keywords) -> Path:
    header = fits.Header({"FILTER": "r", **keywords})
    scale = header.pop("SCALE", None)
    if scale:
        header.update(
            CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRPIX1=20.5, CRPIX2=20.5, CRVAL1=150.0, CRVAL2=2.0,
            CD1_1=-scale / 3600, CD2_2=scale / 3600, CD1_2=0.0, CD2_1=0.0,
        )  # fmt: skip
    fits.writeto(folder / "one.fits", IMAGE, header)
    return folder / "one.fits"


def hdf5_file(folder: Path, **more) -> Path:
    write_hdf5(folder / "one.h5", Cutouts(IMAGE[None, None], bands=("r",), **more))
    return folder / "one.h5"


NJY, NMGY = {"BUNIT": "nJy", "SCALE": 0.2}, {"BUNIT": "nanomaggy", "SCALE": 0.2}
# header, declaration, what is used: unit, factor on the pixels, scale
AGREE = [
    (NJY, {"unit": "nJy"}, ("nJy", 1.0, 0.2)),
    # The same unit in other words: one nanomaggy is 3.631 uJy by definition (AB zero point 22.5).
    (NMGY, {"unit": "3.631 uJy"}, ("3.631 uJy", 1.0, 0.2)),
    (NJY, {"pixel_scale_arcsec": 0.2015}, ("nJy", 1.0, 0.2015)),
    ({"SCALE": 0.2}, {"unit": "nJy"}, ("nJy", 1.0, 0.2)),
    ({"BUNIT": "nJy"}, {"pixel_scale_arcsec": 0.4}, ("nJy", 1.0, 0.4)),
    ({"BUNIT": "counts", "SCALE": 0.2}, {"zero_point": 27.0}, ("nJy", 10 ** (0.4 * (31.4 - 27)), 0.2)),
    (NMGY, {"zero_point": 22.505}, ("nJy", 10 ** (0.4 * (31.4 - 22.505)), 0.2)),
]
# header, declaration, which word contradicts, what is said
CONTRADICT = [
    (NJY, {"unit": "nanomaggy"}, "unit", r"declared as nmgy.*files say nJy"),
    ({"BUNIT": "counts", "SCALE": 0.2}, {"unit": "nJy"}, "unit", r"declared as nJy.*files say ct"),
    (NJY, {"unit": "dimensionless"}, "unit", r"declared as dimensionless.*say nJy"),
    (NJY, {"pixel_scale_arcsec": 0.21}, "pixel_scale", r"0.21 arcsec.*say 0.2 arcsec"),
    (NJY, {"bands": ("g",)}, "bands", r"declared as g.*files say r"),
    (NMGY, {"zero_point": 22.6}, "zero_point", r"as 22.6.*0.10 mag (fainter|brighter)"),
]


@pytest.mark.parametrize(("header", "declared", "used"), AGREE)
def test_a_word_that_agrees_or_adds_is_used(tmp_path: Path, header, declared, used) -> None:
    dataset = open_dataset(fits_file(tmp_path, **header), ReadOptions(**declared))
    unit, factor, scale = used
    assert (dataset.info.unit, float(np.median(dataset.info.pixel_scale))) == (
        unit,
        pytest.approx(scale, rel=1e-6),
    )
    np.testing.assert_allclose(dataset.read([0]).images[0, 0], IMAGE * factor, rtol=1e-5)
    assert not [note for note in dataset.info.notes if "against the files" in note]


@pytest.mark.parametrize(("header", "declared", "name", "message"), CONTRADICT)
def test_a_word_against_a_header_is_refused_with_both(
    tmp_path: Path, header, declared, name, message
) -> None:
    place = fits_file(tmp_path, **header)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(place, ReadOptions(**declared))
    assert f"--override {name}" in caught.value.hint
    dataset = open_dataset(place, ReadOptions(**declared, override=(name,)))
    assert [note for note in dataset.info.notes if note.startswith(f"{name}: declared against the files")]


def test_an_hdf5_attribute_is_a_header_too(tmp_path: Path) -> None:
    place = hdf5_file(tmp_path, unit="nJy", pixel_scale=0.2)
    with pytest.raises(DataError, match="declared as nmgy, and the files say nJy"):
        open_dataset(place, ReadOptions(unit="nanomaggy"))
    with pytest.raises(DataError, match=r"declared as 0\.3 arcsec, and the files say 0\.2 arcsec"):
        open_dataset(place, ReadOptions(pixel_scale_arcsec=0.3))
    info = open_dataset(place, ReadOptions(pixel_scale_arcsec=0.3, override=("pixel_scale",))).info
    assert info.pixel_scale == 0.3


def test_an_override_that_is_not_needed_changes_nothing(tmp_path: Path) -> None:
    options = ReadOptions(unit="nJy", override=("unit",))
    assert (
        open_dataset(fits_file(tmp_path, BUNIT="nJy", SCALE=0.2), options).info.notes
        == open_dataset(tmp_path / "one.fits").info.notes
    )
