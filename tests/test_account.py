"""What a network is given of a data set, and what is said when another one is unlike it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.preprocess import PreprocessConfig, fit_preprocessing
from galshift.domains.account import account, read_accounts, write_accounts
from galshift.domains.unlike import differences, stands_out
from galshift.errors import DataError


def galaxies(flux: float = 100.0, noise: float = 2.0, n: int = 40, **more) -> InMemory:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-15.5:16, -15.5:16]
    shape = np.exp(-(x**2 + y**2) / 18)
    images = flux * shape[None, None] * np.ones((n, 2, 1, 1)) + rng.normal(0, noise, (n, 2, 32, 32))
    given = {"unit": "nJy", "pixel_scale": 0.2, "bands": ("g", "r"), "labels": np.arange(n) % 2}
    given |= {"images": images.astype("f4"), **more}
    return InMemory(Cutouts(classes=("a", "b"), **given), name="deep")


@pytest.fixture
def network():
    one = galaxies()
    return fit_preprocessing(one, None, PreprocessConfig(size=32, pixel_scale_arcsec=0.2))


def seen(dataset: InMemory, network, name: str = "new"):
    return account(dataset, np.arange(len(dataset)), network, name)[0]


def test_the_numbers_are_those_of_the_images(network) -> None:
    found = seen(galaxies(psf_fwhm=0.7), network)
    np.testing.assert_allclose(found.noise, 2.0, rtol=0.05)
    # 99.5th percentile of a circular Gaussian on 32 x 32 pixels: the 5 brightest pixels are left above it.
    y, x = np.mgrid[-15.5:16, -15.5:16]
    expected = np.percentile(100 * np.exp(-(x**2 + y**2) / 18), 99.5)
    np.testing.assert_allclose(found.brightness, expected, rtol=0.06)
    assert (found.n_images, found.n_galaxies, found.classes) == (40, 40, {"a": 20, "b": 20})
    rows = dict(found.rows())
    assert rows["PSF FWHM"] == "0.7 arcsec"
    assert rows["given to the network"] == "32 x 32 pixels"


def test_crop_and_resampling_are_said(network) -> None:
    rows = dict(seen(galaxies(pixel_scale=0.1), network).rows())
    assert rows["given to the network"] == "32 x 32 pixels of 0.2 arcsec, resampled by 0.5"
    small = network.model_copy(update={"size": 16})
    assert dict(seen(galaxies(), small).rows())["given to the network"].endswith(
        "the central 16 of 32 pixels"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"flux": 100.0 * 3631, "noise": 2.0 * 3631}, r"3,[56]\d\d times brighter than deep: is its unit"),
        ({"flux": 1.0, "noise": 0.02}, "times fainter than deep"),
        ({"noise": 40.0}, "20 times more sky noise than deep"),
        ({"pixel_scale": 0.5}, "pixels of new are 0.5 arcsec, those of deep 0.2 arcsec"),
        ({"flux": 150.0, "noise": 4.0, "pixel_scale": 0.25}, None),
    ],
)
def test_another_data_set_is_compared(network, change, words) -> None:
    lines = differences(seen(galaxies(**change), network), [seen(galaxies(), network, "deep")])
    if words is None:
        assert lines == []
    else:
        assert any(re.search(words, line) for line in lines), lines


def test_like_one_of_two_is_like_enough(network) -> None:
    known = [seen(galaxies(), network, "deep"), seen(galaxies(flux=1e5, noise=2e3), network, "wide")]
    assert differences(seen(galaxies(flux=1.2e5, noise=2e3), network), known) == []


def test_alike_and_empty_images_stand_out(network) -> None:
    one = galaxies(noise=1e-9)
    same = InMemory(replace(one.cutouts, images=np.repeat(one.cutouts.images[:1], 40, axis=0)), name="same")
    mask = np.zeros((40, 32, 32), bool)
    mask[::2] = True
    empty = InMemory(replace(galaxies().cutouts, mask=mask), name="empty")
    lines = stands_out([seen(galaxies(), network, "deep"), seen(same, network, "same")])
    assert lines == ["All sampled images of same are the same, pixel by pixel."]
    found = seen(empty, network, "empty")
    assert found.masked == pytest.approx(0.5)
    assert stands_out([found]) == ["20 of the sampled images of empty have not one good pixel."]


def test_pictures_of_another_range(network) -> None:
    pictures = galaxies(flux=0.8, noise=0.01, unit="dimensionless", pixel_scale=None)
    own = fit_preprocessing(pictures, None, PreprocessConfig(size=32))
    bytes_ = galaxies(flux=0.8 * 255, noise=0.01 * 255, unit="dimensionless", pixel_scale=None)
    lines = differences(seen(bytes_, own), [seen(pictures, own, "unit")])
    assert len(lines) == 1
    assert "255 times larger in value than unit: is its range of values right?" in lines[0]


def test_the_record_is_read_back(network, tmp_path: Path) -> None:
    found = seen(galaxies(psf_fwhm=0.7), network)
    write_accounts(tmp_path, {"source": found})
    assert read_accounts(tmp_path) == {"source": found}
    assert read_accounts(tmp_path / "none") == {}
    (tmp_path / "data.json").write_text('{"source": {"name": 3}}', encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        read_accounts(tmp_path)


@pytest.mark.parametrize("masked", [False, True])
def test_rows_and_columns_of_one_value_are_named_unless_a_mask_does(network, masked: bool) -> None:
    images = galaxies().read(np.arange(40)).images.copy()
    images[:6, :, 4:7] = 0.0  # rows of both bands
    images[6:10, 1, :, 20] = -3.5  # a column of one band
    images[10:13, 0, :15, 9] = 0.0  # not a whole column
    images[13] = 0.0  # an empty image is said as such
    bad = np.zeros(images.shape, dtype=bool)
    bad[:6, :, 4:7] = bad[6:10, 1, :, 20] = True
    found = seen(galaxies(images=images, **({"mask": bad} if masked else {})), network)
    assert found.striped == (0.0 if masked else 10 / 40)
    known = seen(galaxies(), network, "deep")
    said = [line for line in stands_out([known, found]) if "rows or columns" in line]
    assert said == [line for line in differences(found, [known]) if "rows or columns" in line]
    assert [line.split(" of ")[0] for line in said] == ([] if masked else ["25%"])
    assert not stands_out([found, known])
