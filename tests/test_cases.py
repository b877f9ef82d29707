"""Inputs as archives and people hand them out: the right outcome, or one sentence that helps.

Each is written here.  What it must give follows from the format's standard or the archive's documentation.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from galshift.data.cutouts import Cutouts
from galshift.data.fits_writer import write_fits_folder
from galshift.data.mask_bits import mask_bits
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.domains.config import SplitConfig
from galshift.domains.domain import open_source, open_target
from galshift.errors import DataError
from galshift.runs.test_sets import matched_labels

SIDE = 24
SPLIT = SplitConfig()


def sky(scale: float = 0.2, **cards) -> dict[str, object]:
    step = scale / 3600
    return {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 12,
        "CRPIX2": 12, "CD1_1": -step, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": step, **cards,
    }  # fmt: skip


def galaxy(seed: int = 0, side: int = SIDE) -> np.ndarray:
    y, x = np.indices((side, side)) - (side - 1) / 2
    noise = np.random.default_rng(seed).normal(0, 0.05, (side, side))
    return (10 * np.exp(-np.hypot(x, y) / 3) + noise).astype("f4")


def plane(data: np.ndarray, name: str, **cards) -> fits.ImageHDU:
    hdu = fits.ImageHDU(data, name=name)
    hdu.header.update(cards)
    return hdu


def file(path, *planes, **primary):
    path.parent.mkdir(parents=True, exist_ok=True)
    first = fits.PrimaryHDU()
    first.header.update(primary)
    fits.HDUList([first, *planes]).writeto(path)
    return path


def image(path, seed=0, side=SIDE, **cards):
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu = fits.PrimaryHDU(galaxy(seed, side))
    hdu.header.update(sky() | {"BUNIT": "nJy", "FILTER": "r"} | cards)
    hdu.writeto(path)
    return path


def classes(folder, **counts):
    """One sub-folder a class."""
    for k, (name, n) in enumerate(counts.items()):
        for i in range(n):
            image(folder / name / f"{name}{i}.fits", 100 * k + i)
    return str(folder)


def test_a_target_of_two_galaxies_is_not_said_to_be_the_sources(tmp_path):
    """Nothing is shared, and what the hint says mends it."""
    source = open_source(classes(tmp_path / "s", a=6, b=6), ReadOptions(), SPLIT, 0)
    for i in range(2):
        image(tmp_path / "t" / f"other{i}.fits", 500 + i)
    target = str(tmp_path / "t")
    with pytest.raises(DataError, match="it shows 2 galaxies in all") as caught:
        open_target(target, ReadOptions(), SPLIT, 0, source)
    assert "split.test=0.5" in caught.value.hint
    half = SplitConfig(test=0.5)
    found = open_target(target, ReadOptions(), half, 0, source)
    assert [len(found.parts[part]) for part in ("train", "test")] == [1, 1]


def test_a_target_of_one_image_is_told_to_give_more(tmp_path):
    image(tmp_path / "t" / "only.fits")
    with pytest.raises(DataError, match="shows 1 galaxy") as caught:
        open_target(str(tmp_path / "t"), ReadOptions(), SPLIT, 0)
    assert caught.value.hint == "give more images"


@pytest.mark.parametrize("third", [{}, {"c": 4}])
def test_a_rare_class_of_two_cannot_be_dropped(tmp_path, third):
    folder = classes(tmp_path / "s", a=6, b=1, **third)
    with pytest.raises(DataError, match="'b' has 1 labelled galaxy, and three") as caught:
        open_source(folder, ReadOptions(), SPLIT, 0)
    assert ("--classes-map" in caught.value.hint) == bool(third)


def product(path, survey):
    images = np.stack([galaxy(k)[None] for k in range(4)])
    bad = np.zeros(images.shape, bool)
    bad[:, :, :2] = True
    write_fits_folder(
        path,
        Cutouts(
            images=images, unit="nJy", pixel_scale=0.396, bands=("r",), ids=list("abcd"), mask=bad,
            survey=survey,
        ),
    )  # fmt: skip
    return bad


@pytest.mark.parametrize("survey", ["sdss", "decals", "legacy", "kids"])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("marked", [False, True])
def test_the_mask_of_a_product_is_any_value_but_0(tmp_path, survey, changed, marked):
    """Of a survey whose own masks have bits; also once a file was taken away, or the keyword."""
    bad = product(tmp_path / "p", survey)
    if changed:
        (tmp_path / "p" / "d.fits").unlink()
    if not marked:
        for path in (tmp_path / "p").glob("*.fits"):
            with fits.open(path, mode="update") as hdus:
                del hdus["MASK"].header["GALSHIFT"]
    dataset = open_dataset(tmp_path / "p")
    assert len(dataset) == 4 - changed
    assert dataset.info.origins["mask"].endswith("any value but 0")
    found = dataset.read(np.arange(len(dataset))).mask
    np.testing.assert_array_equal(np.broadcast_to(found, bad[: len(dataset)].shape), bad[: len(dataset)])


def test_sdss_planes_of_sixteen_bits_keep_their_meaning():
    """fpM: plane 0 (INTERP) is news, plane 9 (CR) a fault."""
    bits, source = mask_bits({"BITPIX": 16, "SURVEY": "SDSS"}, {}, "MASK")
    assert source == "SDSS mask planes"
    assert bits & (1 << 9)
    assert not bits & 1


def test_bits_that_one_of_two_conventions_names_count():
    """Legacy Surveys write MBIT_* and the shortened MB_*: a bit that one of them names has its meaning."""
    header = {"MBIT_0": "NPRIMARY", "MBIT_12": "GALAXY", "MB_NPRIM": 1, "MB_SAT_G": 4, "MB_GAL": 4096}
    bits, source = mask_bits(header, {}, "MASKBITS")
    assert bits == 4
    assert source == "MBIT_* and MB_* of its header"


@pytest.mark.parametrize("error", [False, True])
def test_coverage_is_named_as_the_masks_origin(tmp_path, error):
    """DrizzlePac: WHT is an exposure time; it says where there are data, and no noise."""
    weight = np.full((SIDE, SIDE), 900.0, "f4")
    weight[0] = 0
    planes = [plane(galaxy(), "SCI", **sky(0.05)), plane(weight, "WHT")]
    planes += [plane(np.full_like(weight, 0.1), "ERR")] if error else []
    dataset = open_dataset(file(tmp_path / "drc.fits", *planes, TELESCOP="HST", FILTER="F814W"))
    assert dataset.info.origins["mask"] == "HDU 2 (WHT), its coverage"
    assert dataset.info.origins.get("noise") == ("HDU 3 (ERR), its error" if error else None)
    assert dataset.read([0]).mask.sum() == SIDE


def test_the_flags_of_euclid_are_a_mask(tmp_path):
    """VIS frames: SCI, RMS and FLG."""
    flags = np.zeros((SIDE, SIDE), "i4")
    flags[3] = 1
    path = file(
        tmp_path / "vis.fits",
        plane(galaxy(), "SCI", MAGZERO=23.9, BUNIT="ADU", FILTER="VIS", **sky(0.1)),
        plane(np.full((SIDE, SIDE), 0.1, "f4"), "RMS"),
        plane(flags, "FLG"),
        TELESCOP="EUCLID",
    )
    found = open_dataset(path).read([0])
    np.testing.assert_array_equal(found.mask[0, 0], flags != 0)
    # 23.9 is the AB magnitude of one microjansky.
    good = flags == 0
    np.testing.assert_allclose(found.images[0, 0][good], 1000 * galaxy()[good], rtol=2e-3)


def test_the_band_of_a_pan_starrs_stack(tmp_path):
    hdu = fits.PrimaryHDU(galaxy())
    hdu.header.update(sky(0.25, BUNIT="nJy"))
    hdu.header["HIERARCH FPA.FILTERID"] = "r.00000"
    hdu.writeto(tmp_path / "stack.fits")
    info = open_dataset(tmp_path / "stack.fits").info
    assert info.bands == ("r",)
    assert info.origins["bands"] == "FPA.FILTERID of HDU 0"


def test_a_last_block_without_its_padding_is_read(tmp_path):
    """The standard asks for whole blocks of 2880 bytes; the pixels of such a file are all there."""
    path = image(tmp_path / "short.fits")
    path.write_bytes(path.read_bytes()[: 2880 + 4 * SIDE * SIDE])
    np.testing.assert_array_equal(open_dataset(path).read([0]).images[0, 0], galaxy())


def test_sizes_that_differ_by_a_pixel_are_padded_and_masked(tmp_path):
    for k in range(3):
        image(tmp_path / "f" / f"{k}.fits", k, SIDE + k)
    found = open_dataset(tmp_path / "f").read([0, 1, 2])
    assert found.images.shape[-2:] == found.mask.shape[-2:]
    good = (~np.broadcast_to(found.mask, found.images.shape)).sum(axis=(1, 2, 3))
    side = found.images.shape[-1]
    assert list(good) == [min(SIDE + k, side) ** 2 for k in range(3)]


def test_one_group_an_object_is_told_how_to_be_stacked(tmp_path):
    with h5py.File(tmp_path / "g.h5", "w") as held:
        for k in range(5):
            held[f"galaxy_{k}/image"] = galaxy(k)[None]
    with pytest.raises(DataError, match="one group for each of 5 objects") as caught:
        open_dataset(tmp_path / "g.h5")
    assert "'images' (N, C, H, W)" in caught.value.hint


def test_reversed_axes_are_named_and_what_is_said_mends_them(tmp_path):
    """MATLAB, Julia and Fortran keep the first axis last: seen from C, (N, C, H, W) is (W, H, C, N)."""
    images = np.stack([np.stack([galaxy(10 * k + b) for b in range(4)]) for k in range(30)])
    for name, held in (("m", images.transpose()), ("n", images.transpose().transpose())):
        with h5py.File(tmp_path / f"{name}.h5", "w") as opened:
            opened["images"] = held
    with pytest.raises(DataError, match="is not one of galaxy images") as caught:
        open_dataset(tmp_path / "m.h5")
    assert "images.transpose()" in caught.value.hint
    np.testing.assert_array_equal(open_dataset(tmp_path / "n.h5").read([0]).images[0], images[0])


@pytest.fixture
def named(tmp_path):
    """A folder of 12 images, called by 19 digits."""
    names = [str(1237648720693755918 + k) for k in range(12)]
    for k, name in enumerate(names):
        image(tmp_path / "images" / f"{name}.fits", k)
    return str(tmp_path / "images"), names


@pytest.mark.parametrize("scale", [1, 40])
def test_columns_of_votes_are_no_classes(tmp_path, named, scale):
    """Fractions, or counts: what the hint says reads them."""
    folder, names = named
    smooth = np.linspace(0.1, 0.9, 12)
    smooth = np.round(scale * smooth) if scale > 1 else smooth
    catalogue = str(tmp_path / "votes.csv")
    Table({"id": names, "smooth": smooth, "disk": scale - smooth}).write(catalogue)
    with pytest.raises(DataError, match="not classes") as caught:
        open_dataset(folder, ReadOptions(labels=catalogue, label_column="smooth,disk"))
    assert "--votes smooth,disk" in caught.value.hint
    found = open_dataset(folder, ReadOptions(labels=catalogue, vote_columns=("smooth", "disk"))).info
    assert [found.classes[k] for k in found.labels] == ["disk"] * 6 + ["smooth"] * 6


def test_columns_of_words_or_of_few_numbers_side_by_side_stay_classes(tmp_path, named):
    folder, names = named
    catalogue = str(tmp_path / "two.csv")
    table = Table({"id": names, "bar": [0, 1] * 6, "ring": [0, 0, 1] * 4, "word": list("abcdefghijkl")})
    table.write(catalogue)
    found = open_dataset(folder, ReadOptions(labels=catalogue, label_column="bar,ring")).info
    assert found.classes == ("0/0", "0/1", "1/0", "1/1")
    found = open_dataset(folder, ReadOptions(labels=catalogue, label_column="bar,word")).info
    assert len(found.classes) == 12


def test_bins_of_several_columns_are_refused(tmp_path, named):
    folder, names = named
    catalogue = str(tmp_path / "z.csv")
    Table({"id": names, "z": np.linspace(0, 1, 12), "m": np.linspace(9, 11, 12)}).write(catalogue)
    with pytest.raises(DataError, match="cuts one column") as caught:
        open_dataset(folder, ReadOptions(labels=catalogue, label_column="z,m", label_bins=(0, 0.5, 1)))
    assert caught.value.hint == "name one: --label-column z"


@pytest.mark.parametrize("sign", ["", "%", " %"])
def test_votes_in_per_cent(tmp_path, named, sign):
    """Six of twelve winners have 80 % or more of all, whether a sign stands behind each number or not."""
    folder, names = named
    shares = [(92.5, 2.5), (60.5, 34.5)] * 6
    catalogue = tmp_path / "percent.csv"
    rows = [f"{name},{a}{sign},{b}{sign},5{sign}" for name, (a, b) in zip(names, shares)]
    catalogue.write_text("\n".join(["id,smooth,disk,artefact", *rows]) + "\n")
    columns = ("smooth", "disk", "artefact")
    options = ReadOptions(labels=str(catalogue), vote_columns=columns, min_confidence=0.8)
    info = open_dataset(folder, options).info
    assert (info.labels >= 0).sum() == 6
    assert any("if per cent, name all classes" in note for note in info.notes)
    counted = options.model_copy(update={"label_kind": "votes", "min_confidence": 0.0})
    assert any("--vote-total N" in note for note in open_dataset(folder, counted).info.notes)
    found = open_dataset(folder, counted.model_copy(update={"vote_total": 40})).info
    np.testing.assert_allclose(found.labels[0], [37, 1, 2], rtol=1e-6)


def test_words_are_no_votes(tmp_path, named):
    folder, names = named
    catalogue = str(tmp_path / "words.csv")
    Table({"id": names, "kind": ["E", "S"] * 6, "n": range(12)}).write(catalogue)
    with pytest.raises(DataError, match="'kind' holds words, not votes") as caught:
        open_dataset(folder, ReadOptions(labels=catalogue, vote_columns=("kind", "n")))
    assert "--label-column" in caught.value.hint


def test_more_votes_than_there_are_in_all_are_refused(tmp_path, named):
    folder, names = named
    catalogue = str(tmp_path / "votes.csv")
    Table({"id": names, "a": [80] * 12, "b": [20] * 12}).write(catalogue)
    with pytest.raises(DataError, match="--vote-total 40 is less than the votes"):
        open_dataset(folder, ReadOptions(labels=catalogue, vote_columns=("a", "b"), vote_total=40))


def test_ids_and_classes_in_bytes(tmp_path, named):
    """Parquet as Spark and Hive write it: text in columns of the type binary."""
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    folder, names = named
    text = {"id": names, "class": ["E", "S"] * 6}
    columns = {
        key: arrow.array([word.encode() for word in held], arrow.binary()) for key, held in text.items()
    }
    parquet.write_table(arrow.table(columns), tmp_path / "c.parquet")
    info = open_dataset(folder, ReadOptions(labels=str(tmp_path / "c.parquet"))).info
    assert [info.classes[k] for k in info.labels] == text["class"]


@pytest.mark.parametrize("kind", ["fits", "csv", "ecsv"])
def test_ids_of_twenty_digits(tmp_path, kind):
    """Unsigned 64-bit ids, above what a signed one holds."""
    ids = [18446744073709551000 + k for k in range(6)]
    for k, name in enumerate(ids):
        image(tmp_path / "images" / f"{name}.fits", k)
    Table({"id": np.array(ids, "u8"), "class": ["E", "S"] * 3}).write(tmp_path / f"c.{kind}")
    info = open_dataset(tmp_path / "images", ReadOptions(labels=str(tmp_path / f"c.{kind}"))).info
    assert [info.classes[k] for k in info.labels] == ["E", "S"] * 3


@pytest.mark.parametrize("place", ["/share/of/others/gz2/", "C:\\Users\\x\\gz2\\"])
def test_paths_of_another_machine_name_images(tmp_path, named, place):
    folder, names = named
    rows = [f"{place}{name}.png,{'ES'[k % 2]}" for k, name in enumerate(names)]
    (tmp_path / "c.csv").write_text("\r\n".join(["file_loc,class", *rows]), encoding="utf-8-sig")
    info = open_dataset(folder, ReadOptions(labels=str(tmp_path / "c.csv"))).info
    assert [info.classes[k] for k in info.labels] == ["E", "S"] * 6


def test_classes_that_are_numbers_match_by_value(tmp_path, named):
    """One missing label makes floats of a column of whole numbers: 0.0 and 1.0 are the model's 0 and 1."""
    folder, names = named
    catalogue = str(tmp_path / "c.csv")
    rows = [f"{name},{'' if k == 0 else float(k % 2)}" for k, name in enumerate(names)]
    (tmp_path / "c.csv").write_text("\n".join(["id,label", *rows]))
    dataset = open_dataset(folder, ReadOptions(labels=catalogue))
    labels, notes = matched_labels(dataset, np.arange(12), ["1", "0"])
    assert list(labels) == [-1] + [k % 2 == 0 for k in range(1, 12)]
    assert notes == []
    # An exact name goes first, and 0.5 is no whole number.
    labels, notes = matched_labels(dataset, np.arange(12), ["0", "0.0", "1.5"])
    assert list(labels) == [-1] + [1 if k % 2 == 0 else -1 for k in range(1, 12)]
    assert "6 images" in notes[0]
