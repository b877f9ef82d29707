"""Pixels of a declared value hold no data, whatever kind of file they stand in."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from pydantic import ValidationError
from skimage.io import imsave

from galshift.data.card import KEY
from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from tests.file_operations import galshift

HERE = {"unit": "nJy", "pixel_scale_arcsec": 0.2}


def images(value: float, n: int = 4, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Images of two bands with columns of `value`, and where those are."""
    rng = np.random.default_rng(5)
    pixels = rng.normal(0, 1, (n, 2, side, side)).astype(np.float32)
    y, x = np.indices((side, side)) - (side - 1) / 2
    pixels += 40 * np.exp(-(x**2 + y**2) / 18).astype(np.float32)
    where = np.zeros(pixels.shape, dtype=bool)
    where[: n // 2, :, :, 3:6] = True
    where[n // 2, 1, 0] = True
    pixels[where] = value
    return pixels, where


def stored(kind: str, folder: Path, pixels: np.ndarray) -> Path:
    place = folder / f"images.{kind}"
    if kind == "npy":
        np.save(place, pixels)
    elif kind == "h5":
        write_hdf5(place, [Cutouts(images=pixels, unit="nJy", pixel_scale=0.2)])
    elif kind == "foreign.h5":
        with h5py.File(place, "w") as file:
            file["images"] = pixels
    else:
        place = folder / "survey"
        place.mkdir()
        for n, one in enumerate(pixels):
            for band, plane in zip("gr", one, strict=True):
                fits.writeto(place / f"{n}_{band}.fits", plane, fits.Header({"BUNIT": "nJy"}))
    return place


@pytest.mark.parametrize("kind", ["npy", "h5", "foreign.h5", "fits"])
@pytest.mark.parametrize("value", [0.0, -99.9])
def test_pixels_of_the_value_are_masked(tmp_path: Path, kind: str, value: float) -> None:
    pixels, where = images(value)
    path = stored(kind, tmp_path, pixels)
    dataset = open_dataset(path, ReadOptions(blank=value, **HERE))
    cutouts = dataset.read([3, 1, 2])
    np.testing.assert_array_equal(cutouts.mask, where[[3, 1, 2]])
    np.testing.assert_array_equal(cutouts.images, np.where(where, 0, pixels)[[3, 1, 2]])
    assert dataset.info.has_mask
    assert dataset.info.origins["mask"] == f"pixels of {value:g} by --blank"
    plain = open_dataset(path, ReadOptions(**HERE))
    assert plain.read([1]).mask is None
    assert "mask" not in plain.info.origins


def test_pictures_and_counts_with_a_zero_point(tmp_path: Path) -> None:
    grey = np.full((9, 9), 120, dtype=np.uint8)
    grey[:, 4] = 0
    (tmp_path / "pictures").mkdir()
    for name in "ab":
        imsave(tmp_path / "pictures" / f"{name}.png", grey, check_contrast=False)
    cutouts = open_dataset(tmp_path / "pictures", ReadOptions(blank=0)).read([1])
    np.testing.assert_array_equal(cutouts.mask[0].any(axis=0), grey == 0)
    pixels, where = images(0.0)
    np.save(tmp_path / "x.npy", pixels)
    read = ReadOptions(blank=0, zero_point=27.0, pixel_scale_arcsec=0.2)
    np.testing.assert_array_equal(open_dataset(tmp_path / "x.npy", read).read([0]).mask, where[:1])


@pytest.mark.parametrize("planes", [True, False])
def test_a_mask_that_the_file_has_stays(tmp_path: Path, planes: bool) -> None:
    pixels, where = images(0.0)
    own = np.zeros(pixels.shape if not planes else (len(pixels), 16, 16), dtype=bool)
    own[..., 9, 9] = True
    write_hdf5(tmp_path / "x.h5", [Cutouts(images=pixels, unit="nJy", pixel_scale=0.2, mask=own)])
    dataset = open_dataset(tmp_path / "x.h5", ReadOptions(blank=0, **HERE))
    expected = where | (own[:, None] if planes else own)
    np.testing.assert_array_equal(np.broadcast_to(dataset.read([0, 1, 2, 3]).mask, where.shape), expected)
    assert dataset.info.origins["mask"].endswith("; pixels of 0 by --blank")


def test_a_card_says_it_and_what_is_hashed_knows(tmp_path: Path) -> None:
    pixels, where = images(0.0)
    np.save(tmp_path / "x.npy", pixels)
    words = f"{KEY}: 1\npath: x.npy\nunit: nJy\npixel_scale_arcsec: 0.2\n"
    (tmp_path / "with.yaml").write_text(words + "blank: 0\n", encoding="utf-8")
    dataset = open_dataset(tmp_path / "with.yaml")
    np.testing.assert_array_equal(dataset.read([0]).mask, where[:1])
    assert dataset.info.origins["mask"] == "pixels of 0 by data card with.yaml"
    assert ReadOptions(blank=0).model_dump()["blank"] == 0
    # Nothing that was fingerprinted before there was this option changes.
    assert "blank" not in ReadOptions().model_dump()


@pytest.mark.parametrize("value", ["nan", "inf", "white"])
def test_what_is_no_value(value: str) -> None:
    with pytest.raises(ValidationError, match="blank"):
        ReadOptions(blank=value)


def test_the_sentence_on_blank_rows_says_what_masks_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, value in (("one", None), ("two", -1.5)):
        pixels, where = images(0.0 if value is None else value, n=40)
        if value is None:
            pixels[where] = rng.normal(0, 1, where.sum())
        labels = np.arange(40) % 2
        made = Cutouts(images=pixels, unit="nJy", pixel_scale=0.2, labels=labels, classes=("a", "b"))
        write_hdf5(tmp_path / f"{name}.h5", [made])
    dry = ("adapt", "one.h5", "two.h5", "--dry-run")
    done = galshift(tmp_path, *dry)
    told = " ".join((done.stdout + done.stderr).split())
    found = re.search(r"have whole rows or columns of the value -1\.5, .*'galshift ([^']*)' masks them", told)
    assert found is not None, told
    words = found.group(1).replace("DATA", "two.h5").replace("CARD", "two").split()
    done = galshift(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    for masked in (("two.yaml",), ("two.h5", "--target-blank", "-1.5")):
        done = galshift(tmp_path, "adapt", "one.h5", *masked, "--dry-run")
        told = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 0, told
        assert "rows or columns" not in told
        assert "pixels of -1.5 by" in told
