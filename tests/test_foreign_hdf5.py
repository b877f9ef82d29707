"""HDF5 files of others, and galshift's products read back as what they were."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import galshift
from galshift.data.cutouts import Cutouts
from galshift.data.fits_writer import write_fits_folder
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(4, 3, 8, 8)).astype("f4")


def test_attributes_count_without_a_schema(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"], file["groups"] = IMAGES, [1, 0, -1, 1], [b"x", b"x", b"y", b"z"]
        file["mask"] = np.arange(4 * 3 * 64).reshape(IMAGES.shape) == 5
        file.attrs["unit"], file.attrs["pixel_scale"] = "nanomaggies", 0.262
        file.attrs["bands"], file.attrs["classes"] = ["g", "r", "z"], ["disk", "spheroid"]
    dataset = open_dataset(tmp_path / "a.h5")
    info = dataset.info
    assert (info.unit, info.pixel_scale, info.bands) == ("nmgy", 0.262, ("g", "r", "z"))
    assert [info.classes[k] if k >= 0 else None for k in info.labels] == [
        "spheroid",
        "disk",
        None,
        "spheroid",
    ]
    assert info.groups.tolist() == ["x", "x", "y", "z"]
    assert np.argwhere(dataset.read([0, 1]).mask).tolist() == [[0, 0, 0, 5]]


@pytest.mark.parametrize("bands", ['["g", "r", "z"]', "g,r,z", np.array(["g", "r", "z"], dtype="S1")])
@pytest.mark.parametrize("last", [False, True])
def test_bands_however_they_are_written(tmp_path, bands, last):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.moveaxis(IMAGES, 1, -1) if last else IMAGES
        file.attrs["bands"], file.attrs["unit"] = bands, "dimensionless"
    dataset = open_dataset(tmp_path / "a.h5")
    assert (dataset.info.bands, dataset.info.unit) == (("g", "r", "z"), "dimensionless")
    np.testing.assert_array_equal(dataset.read([2]).images[0], IMAGES[2])


def test_names_of_classes_keep_the_order_of_the_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"] = IMAGES, [b"spiral", b"elliptical", b"", b"spiral"]
        file.attrs["classes"] = ["spiral", "merger", "elliptical"]
    info = open_dataset(tmp_path / "a.h5").info
    assert (info.classes, info.labels.tolist()) == (("spiral", "merger", "elliptical"), [0, 2, -1, 0])
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.attrs["classes"] = ["spiral"]
    with pytest.raises(DataError, match="'elliptical' is not among its classes"):
        open_dataset(tmp_path / "a.h5")


@pytest.mark.parametrize("values", [[0, 1, -99, 1], [0.0, 1.0, np.nan, 1.0], [0, 1, -1, 1]])
def test_labels_that_say_none(tmp_path, values):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"] = IMAGES, values
    info = open_dataset(tmp_path / "a.h5").info
    assert (info.classes, info.labels.tolist()) == (("class0", "class1"), [0, 1, -1, 1])


@pytest.mark.parametrize(
    "names", [("image_flux", "image_{}"), ("image_array", "image_{}"), ("image/flux", "image/{}")]
)
@pytest.mark.parametrize("planes", ["a plane a band", "one plane"])
def test_masks_of_multimodal_universe_are_true_where_good(tmp_path, names, planes):
    """Where that is written: github.com/MultimodalUniverse/MultimodalUniverse.

    scripts/jwst/build_parent_sample.py has "mask = invvar > 0", and scripts/hsc/build_parent_sample.py begins
    with ones and clears a pixel where a bad bit is set; scripts/legacysurvey has one plane for all bands.
    """
    good = np.ones(IMAGES.shape if planes == "a plane a band" else (4, 8, 8), dtype=bool)
    good[1, ..., 3, 4] = False
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[names[0]], file[names[1].format("mask")] = IMAGES, good
        file[names[1].format("band")] = np.array([[b"des-g", b"des-r", b"des-z"]] * 4)
        file[names[1].format("psf_fwhm")] = np.full((4, 3), 1.2, "f4")
    dataset = open_dataset(tmp_path / "a.h5", ReadOptions(unit="nanomaggy"))
    cutouts = dataset.read([0, 1])
    bad = np.broadcast_to(cutouts.mask if cutouts.mask.ndim == 4 else cutouts.mask[:, None], (2, 3, 8, 8))
    assert np.argwhere(bad).tolist() == [[1, band, 3, 4] for band in range(3)]
    assert dataset.info.origins["mask"].startswith(f"/{names[1].format('mask')}, true where a pixel is good")
    assert cutouts.bands == ("g", "r", "z")
    assert cutouts.psf_fwhm == pytest.approx(np.full((2, 3), 1.2))
    np.testing.assert_array_equal(cutouts.images[0], IMAGES[0])


def everything(n=4):
    """Cut-outs with all that a product may hold, names in Greek among it."""
    from astropy.table import Table

    mask = RNG.random((n, 2, 8, 8)) < 0.2
    mask[0] = True
    ivar = np.where(mask, 0, RNG.random(mask.shape)).astype("f4")
    ivar[1] = 0
    return Cutouts(
        images=np.where(mask, np.float32(0), RNG.normal(size=mask.shape).astype("f4")),
        unit="nJy",
        pixel_scale=0.17,
        bands=("g", "VIS"),
        ids=[f"Σ {k} 100%'s" for k in range(n)],
        groups=[f"γ{k // 2}" for k in range(n)],
        labels=np.arange(n) % 3 - 1,
        classes=("σπείρα", "elliptisch groß"),
        mask=mask,
        ivar=ivar,
        psf=RNG.random((2, 5, 5)).astype("f4"),
        psf_pixel_scale=0.1,
        psf_fwhm=0.6 + RNG.random((n, 2)),
        survey="hsc-wide",
        history=("made by δ",),
        table=Table({"z": RNG.random(n), "Name": [f"ω{k}" for k in range(n)]}),
    )


def same(one: Cutouts, two: Cutouts) -> None:
    for name in ("images", "mask", "ivar", "labels", "psf", "psf_fwhm", "ids", "groups"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    for name in (
        "unit",
        "pixel_scale",
        "bands",
        "classes",
        "psf_pixel_scale",
        "survey",
        "history",
        "groups_from",
    ):
        assert getattr(one, name) == getattr(two, name), name
    for name in one.table.colnames:
        np.testing.assert_array_equal(np.asarray(one.table[name]), np.asarray(two.table[name]))


def test_a_product_in_fits_comes_back_as_what_it_was(tmp_path):
    made = everything()
    write_fits_folder(tmp_path / "fits", made)
    write_hdf5(tmp_path / "a.h5", made)
    back = open_dataset(tmp_path / "fits").read(np.arange(4))
    same(made, back)
    same(open_dataset(tmp_path / "a.h5").read(np.arange(4)), back)
    assert open_dataset(tmp_path / "fits", ReadOptions(bands=("VIS",))).read([2]).psf.shape == (1, 5, 5)


def test_headers_of_a_product_say_unit_zero_point_and_psf(tmp_path):
    from astropy.io import fits

    write_fits_folder(tmp_path / "fits", everything())
    with fits.open(sorted((tmp_path / "fits").glob("*.fits"))[2]) as hdus:
        header = hdus[0].header
        assert (header["BUNIT"], header["MAGZERO"]) == ("nJy", 31.4)
        assert header["ESCAPED"] == "OBJECT,GROUP,CLASS"
        assert header["OBJECT"].encode().decode("unicode_escape").startswith("Σ")
        assert {"MASK", "IVAR", "PSF"} <= {hdu.name for hdu in hdus}
        assert hdus["PSF"].header["PIXSCALE"] == 0.1


def test_a_product_with_files_added_or_taken_is_read_by_its_files(tmp_path):
    write_fits_folder(tmp_path / "fits", everything())
    sorted((tmp_path / "fits").glob("*.fits"))[0].unlink()
    assert len(open_dataset(tmp_path / "fits")) == 3


@pytest.mark.parametrize("noise", ["none", "gaussian"])
def test_mocks_of_mocks_do_not_depend_on_the_format(tmp_path, noise):
    y, x = np.indices((32, 32)) - 15.5
    images = np.stack([1e3 * np.exp(-np.hypot(x, y * (1 + k / 4)) / 3) for k in range(3)])[:, None]
    mask = np.zeros(images.shape, bool)
    mask[1, 0, 4, 4] = True
    source = Cutouts(images=images, unit="nJy", pixel_scale=0.1, bands=("r",), mask=mask)
    write_hdf5(tmp_path / "in.h5", source)
    found = []
    for name in ("first.h5", "second"):
        galshift.make_mocks(str(tmp_path / "in.h5"), str(tmp_path / name), survey="hsc-wide", noise=noise)
        out = tmp_path / f"of-{name}.h5"
        galshift.make_mocks(str(tmp_path / name), str(out), survey="sdss", noise="none")
        found.append(open_dataset(out).read(np.arange(3)))
    np.testing.assert_array_equal(found[0].images, found[1].images)
    np.testing.assert_array_equal(found[0].mask, found[1].mask)
    assert found[1].images.max(axis=(1, 2, 3)).min() > 100
    assert not found[1].mask.all(axis=(1, 2, 3)).any()


def test_images_without_a_good_pixel_are_masked_and_counted_by_make_mocks(tmp_path, capsys):
    mask = np.zeros((3, 1, 16, 16), bool)
    mask[1] = True
    images = RNG.normal(10, 1, size=mask.shape).astype("f4")
    details = {"unit": "nJy", "pixel_scale": 0.1, "bands": ("r",), "ids": ["a", "b", "c"]}
    write_hdf5(tmp_path / "in.h5", Cutouts(images=images, mask=mask, **details))
    galshift.make_mocks(str(tmp_path / "in.h5"), str(tmp_path / "out.h5"), survey="sdss", size=4)
    assert open_dataset(tmp_path / "out.h5").read([0, 1, 2]).mask.all(axis=(1, 2, 3)).tolist() == [0, 1, 0]
    assert "1 images have no good pixel (b)" in capsys.readouterr().err
    write_hdf5(tmp_path / "none.h5", Cutouts(images=images, mask=np.ones_like(mask), **details))
    with pytest.raises(DataError, match="not one image has a good pixel"):
        galshift.make_mocks(str(tmp_path / "none.h5"), str(tmp_path / "no.h5"), survey="sdss", size=4)


def test_images_without_a_good_pixel_are_left_out_of_training_and_counted(tmp_path, capsys):
    from galshift.data.preprocess import PreprocessConfig, fit_preprocessing
    from galshift.domains.config import SplitConfig
    from galshift.domains.domain import open_source
    from galshift.domains.training_set import training_set

    images = RNG.normal(size=(40, 1, 8, 8)).astype("f4")
    mask = np.zeros(images.shape, bool)
    mask[::10] = True
    details = {"unit": "nJy", "pixel_scale": 0.2, "labels": np.arange(40) // 2 % 2, "classes": ("a", "b")}
    write_hdf5(tmp_path / "a.h5", Cutouts(images=images, mask=mask, **details))
    source = open_source(str(tmp_path / "a.h5"), ReadOptions(), SplitConfig(), seed=1)
    preprocessing = fit_preprocessing(source.dataset, None, PreprocessConfig())
    empty = {str(i) for i in range(0, 40, 10)}
    parts = {part: training_set(source, part, preprocessing) for part in ("train", "valid", "test")}
    for part, found in parts.items():
        assert set(found.ids) == set(source.ids(part)) - empty
        assert len(found.images) == len(found.labels) == len(found.ids)
        assert [int(k) for k in found.labels] == [int(i) // 2 % 2 for i in found.ids]
        assert bool(found.images.flatten(1).any(dim=1).all())
    assert "have no good pixel and are left out" in capsys.readouterr().err
    # The constants are those of the 36 good images, not of zeros beside them.
    good = fit_preprocessing(source.dataset, np.flatnonzero(~mask.all(axis=(1, 2, 3))), PreprocessConfig())
    assert good == preprocessing
