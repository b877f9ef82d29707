"""Files that attack, as small as they can be: each writer makes one in a folder and returns its path."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits
from PIL import Image

Writer = Callable[[Path], Path]
WRITERS: dict[str, Writer] = {}
_GIGA = 1_000_000_000


def writer(suffix: str) -> Callable[[Callable[[Path], None]], Callable]:
    """Register a function that writes one file; its name is the function's and `suffix`."""

    def register(write: Callable[[Path], None]) -> Callable:
        name = write.__name__

        def make(folder: Path) -> Path:
            path = folder / f"{name}.{suffix}"
            write(path)
            return path

        WRITERS[name] = make
        return write

    return register


def header(*cards: str) -> bytes:
    """Return a FITS header of some cards, padded to whole blocks."""
    text = "".join(_card(card).ljust(80) for card in (*cards, "END"))
    return text.encode("latin-1").ljust(-(-len(text) // 2880) * 2880)


def _card(card: str) -> str:
    """Return a card in the standard's fixed format."""
    key, equals, value = card.partition("=")
    value = value.strip()
    return f"{key.strip():8}= " + (value if value[:1] == "'" else value.rjust(20)) if equals else card


def primary(*cards: str, bitpix: int = -32, axes: tuple[object, ...] = (8, 8)) -> bytes:
    """Return the header of a primary image with `axes` (NAXIS1 first)."""
    sides = [f"NAXIS{i}  = {side:>20}" for i, side in enumerate(axes, 1)]
    return header("SIMPLE  = T", f"BITPIX  = {bitpix:>20}", f"NAXIS   = {len(axes):>20}", *sides, *cards)


def good_fits(path: Path, seed: int = 0, side: int = 16) -> None:
    """Write a small image that is right."""
    image = np.random.default_rng(seed).normal(1, 0.1, (side, side)).astype("f4")
    hdu = fits.PrimaryHDU(image)
    hdu.header["BUNIT"] = "nJy"
    hdu.header["CDELT1"], hdu.header["CDELT2"] = -1e-4, 1e-4
    hdu.header["CTYPE1"], hdu.header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    hdu.writeto(path, overwrite=True)


def zeros(write: Callable[[bytes], object], n_bytes: int) -> None:
    """Write many zeros in pieces."""
    block = bytes(1 << 20)
    for _ in range(n_bytes >> 20):
        write(block)


def picture_bytes(side: int = 16, form: str = "PNG", seed: int = 0) -> bytes:
    """Return a small picture that is right."""
    values = np.random.default_rng(seed).integers(0, 255, (side, side, 3)).astype("u1")
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, form)
    return stream.getvalue()


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """Return a PNG that claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", body or zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


# FITS


@writer("fits.gz")
def gzip_of_zeros(path: Path) -> None:
    with gzip.open(path, "wb", 9) as stream:
        zeros(stream.write, 640 << 20)


@writer("fits.gz")
def gzip_of_spaces_after_a_card(path: Path) -> None:
    with gzip.open(path, "wb", 9) as stream:
        stream.write(b"SIMPLE  =                    T".ljust(80))
        for _ in range(600):
            stream.write(b" " * (1 << 20))


@writer("fits.gz")
def gzip_of_an_image_of_zeros(path: Path) -> None:
    with gzip.open(path, "wb", 9) as stream:
        stream.write(primary(axes=(16384, 16384)))
        zeros(stream.write, 2 << 20)


@writer("fits.gz")
def gzip_of_zeros_after_an_image(path: Path) -> None:
    with gzip.open(path, "wb", 9) as stream:
        stream.write(primary() + bytes(2880))
        zeros(stream.write, 640 << 20)


@writer("fits.bz2")
def bzip2_of_an_image_of_zeros(path: Path) -> None:
    with bz2.open(path, "wb", 1) as stream:
        stream.write(primary(axes=(8192, 8192)))
        zeros(stream.write, 2 << 20)


@writer("fits")
def xz_of_an_image_of_zeros(path: Path) -> None:
    with lzma.open(path, "wb", preset=0) as stream:
        stream.write(primary(axes=(8192, 8192)))
        zeros(stream.write, 2 << 20)


@writer("fits")
def zip_of_zeros(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.fits", "w") as stream:
        zeros(stream.write, 20 << 20)


@writer("fits")
def tiles_of_a_gigapixel(path: Path) -> None:
    tile = zlib.compress(bytes(4))
    path.write_bytes(
        primary(axes=())
        + header(
            "XTENSION= 'BINTABLE'", "BITPIX  =  8", "NAXIS   =  2", "NAXIS1  =  8", "NAXIS2  =  1",
            f"PCOUNT  =  {len(tile)}", "GCOUNT  =  1", "TFIELDS =  1", "TTYPE1  = 'COMPRESSED_DATA'",
            "TFORM1  = '1PB(99)'", "ZIMAGE  =  T", "ZCMPTYPE= 'GZIP_1'", "ZBITPIX =  32", "ZNAXIS  =  2",
            "ZNAXIS1 =  31000", "ZNAXIS2 =  31000", "ZTILE1  =  31000", "ZTILE2  =  31000",
        )
        + (struct.pack(">II", len(tile), 0) + tile).ljust(2880, b"\0")
    )  # fmt: skip


@writer("fits")
def header_without_end(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(b"SIMPLE  =                    T".ljust(80))
        stream.seek(900 << 20)
        stream.write(b"x")


@writer("fits")
def a_claim_of_10_9(path: Path) -> None:
    path.write_bytes(primary(axes=(10**9, 1)) + bytes(2880))


@writer("fits")
def a_claim_of_10_18(path: Path) -> None:
    path.write_bytes(primary(axes=(10**9, 10**9)) + bytes(2880))


@writer("fits")
def axes_of_10_9(path: Path) -> None:
    path.write_bytes(header("SIMPLE  = T", "BITPIX  = -32", "NAXIS   = 1000000000") + bytes(2880))


@writer("fits")
def a_negative_side(path: Path) -> None:
    path.write_bytes(primary(axes=(-8, 8)) + bytes(2880))


@writer("fits")
def a_side_of_zero(path: Path) -> None:
    path.write_bytes(primary(axes=(0, 8)) + bytes(2880))


@writer("fits")
def no_axes(path: Path) -> None:
    path.write_bytes(primary(axes=()))


@writer("fits")
def a_side_in_words(path: Path) -> None:
    path.write_bytes(primary(axes=("'eight'", 8)) + bytes(2880))


@writer("fits")
def a_bitpix_of_seven(path: Path) -> None:
    path.write_bytes(primary(bitpix=7) + bytes(2880))


@writer("fits")
def a_count_of_fields_that_lies(path: Path) -> None:
    table = header(
        "XTENSION= 'BINTABLE'", "BITPIX  =  8", "NAXIS   =  2", "NAXIS1  =  8", "NAXIS2  =  1",
        "PCOUNT  =  0", "GCOUNT  =  1", "TFIELDS =  999", "TTYPE1  = 'file'", "TFORM1  = '1000000000A'",
    )  # fmt: skip
    path.write_bytes(primary(axes=()) + table + bytes(2880))


@writer("fits")
def cells_that_share_a_heap(path: Path) -> None:
    rows, heap = 2000, 400_000
    table = header(
        "XTENSION= 'BINTABLE'", "BITPIX  =  8", "NAXIS   =  2", "NAXIS1  =  8", f"NAXIS2  =  {rows}",
        f"PCOUNT  =  {heap}", "GCOUNT  =  1", "TFIELDS =  1", "TTYPE1  = 'file'", f"TFORM1  = '1PB({heap})'",
    )  # fmt: skip
    data = struct.pack(">II", heap, 0) * rows + b"x" * heap
    path.write_bytes(primary(axes=()) + table + data.ljust(-(-len(data) // 2880) * 2880, b"\0"))


@writer("fits")
def a_header_of_other_bytes(path: Path) -> None:
    path.write_bytes(primary("OBJECT  = '\xe9\xff\x9b31m\x1b[31m'", "BSCALE  = NaN") + bytes(2880))


@writer("fits")
def a_truncated_image(path: Path) -> None:
    good_fits(path)
    path.write_bytes(path.read_bytes()[:3000])


@writer("fits")
def postscript_called_fits(path: Path) -> None:
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n" * 50)


@writer("fits")
def an_empty_file(path: Path) -> None:
    path.write_bytes(b"")


@writer("fits")
def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@writer("fits")
def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@writer("fits")
def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


# HDF5


def _hdf5(path: Path, fill: Callable[[h5py.File], object], images: object = None) -> None:
    with h5py.File(path, "w") as file:
        if images is not False:
            file["images"] = np.ones((4, 1, 8, 8), "f4") if images is None else images
        file.attrs["schema"], file.attrs["unit"] = "galshift-1", "nJy"
        fill(file)


@writer("h5")
def images_without_bytes(path: Path) -> None:
    _hdf5(path, lambda f: f.create_dataset("images", (_GIGA, 1, 1, 1), "f4", chunks=(1024, 1, 1, 1)), False)


@writer("h5")
def one_image_without_bytes(path: Path) -> None:
    _hdf5(
        path, lambda f: f.create_dataset("images", (4, 1, 31000, 31000), "f4", chunks=(1, 1, 64, 64)), False
    )


@writer("h5")
def a_chunk_of_a_gigabyte(path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["images"] = np.ones((4, 1, 8, 8), "f4")
        data = file.create_dataset("mask", (4, 1, 8, 8), "u1", maxshape=(4, 1, None, None),
                                   chunks=(4, 1, 16000, 16000), compression="gzip")  # fmt: skip
        data.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(100)))

    _hdf5(path, fill, False)


@writer("h5")
def labels_without_bytes(path: Path) -> None:
    _hdf5(path, lambda f: f.create_dataset("pixel_scale", (_GIGA,), "f8", chunks=(1024,)))


@writer("h5")
def a_column_without_bytes(path: Path) -> None:
    _hdf5(path, lambda f: f.create_dataset("table/x", (_GIGA,), "f8", chunks=(1024,)))


@writer("h5")
def foreign_labels_without_bytes(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["images"] = np.ones((4, 8, 8, 3), "u1")
        file.create_dataset("ans", (_GIGA,), "i8", chunks=(1024,))


@writer("h5")
def one_long_text(path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["images"] = np.ones((3000, 1, 2, 2), "f4")
        file["ids"] = ["x" * 900_000, *(f"g{i}" for i in range(2999))]

    _hdf5(path, fill, False)


@writer("h5")
def a_link_to_another_file(path: Path) -> None:
    _hdf5(path, lambda f: f.__setitem__("ids", h5py.ExternalLink("/etc/passwd", "/x")))


@writer("h5")
def bytes_of_another_file(path: Path) -> None:
    _hdf5(path, lambda f: f.create_dataset("ids", (4,), "S8", external=[("/etc/passwd", 0, 32)]))


@writer("h5")
def a_view_of_another_file(path: Path) -> None:
    layout = h5py.VirtualLayout((4, 1, 8, 8), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 1, 8, 8))
    _hdf5(path, lambda f: f.create_virtual_dataset("images", layout), False)


@writer("h5")
def a_view_of_itself(path: Path) -> None:
    layout = h5py.VirtualLayout((4, 1, 8, 8), "f4")
    layout[:] = h5py.VirtualSource(".", "images", (4, 1, 8, 8))
    _hdf5(path, lambda f: f.create_virtual_dataset("images", layout), False)


@writer("h5")
def a_link_that_goes_round(path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["images"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/images")

    _hdf5(path, fill, False)


@writer("h5")
def groups_in_one_another(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["labels"] = np.ones(4)
        for i in range(120):
            file[f"g{i}"] = file["/"]


@writer("h5")
def a_table_of_another_length(path: Path) -> None:
    _hdf5(path, lambda f: f.__setitem__("table/x", np.ones(3)))


@writer("h5")
def a_mask_of_another_shape(path: Path) -> None:
    _hdf5(path, lambda f: f.__setitem__("mask", np.ones((4, 2), "u1")))


@writer("h5")
def scales_of_another_length(path: Path) -> None:
    _hdf5(path, lambda f: f.__setitem__("pixel_scale", np.ones(3)))


@writer("h5")
def images_without_pixels(path: Path) -> None:
    _hdf5(path, lambda f: None, np.ones((4, 1, 0, 8), "f4"))


@writer("h5")
def images_of_text(path: Path) -> None:
    _hdf5(path, lambda f: None, np.full((4, 1, 2, 2), b"x"))


@writer("h5")
def labels_that_are_a_group(path: Path) -> None:
    _hdf5(path, lambda f: f.create_group("labels"))


@writer("h5")
def a_unit_that_is_none(path: Path) -> None:
    _hdf5(path, lambda f: f.attrs.__setitem__("unit", "\x1b[31mred\u202e"))


@writer("fits")
def a_hole_that_is_an_image(path: Path) -> None:
    """Three kilobytes on the disk, of which one image of 8 GB is read."""
    start = primary(axes=(40_000, 50_000))
    path.write_bytes(start)
    os.truncate(path, len(start) + 4 * 40_000 * 50_000 + 640)


def _one_text_many_times(path: Path, n: int, text: bytes, **storage: object) -> None:
    """Write `n` references to one text: HDF5 has 16 bytes of each in the data set, and the text in a heap."""

    def fill(file: h5py.File) -> None:
        kind = h5py.string_dtype()
        data = file.create_dataset("table/note", (n,), kind, **storage)
        data[0] = text

    _hdf5(path, fill)
    with h5py.File(path) as file:
        data = file["table/note"]
        place = data.id.get_offset()
        place = data.id.get_chunk_info(0).byte_offset if place is None else place
    with path.open("r+b") as stream:
        stream.seek(place)
        reference = stream.read(16)
        stream.seek(place)
        stream.write(reference * n)


@writer("h5")
def a_text_of_many_names(path: Path) -> None:
    _one_text_many_times(path, 50_000, b"x" * 60_000)


@writer("h5")
def a_text_of_many_names_packed(path: Path) -> None:
    """The references are packed too, a thousand to one."""
    _one_text_many_times(path, 4, b"x" * 60_000, chunks=(4,))
    with h5py.File(path, "r+") as file:
        _, reference = file["table/note"].id.read_direct_chunk((0,))
        packed = file.create_dataset("table/more", (50_000,), h5py.string_dtype(), chunks=True, compression=1)
        for start in range(0, 50_000, packed.chunks[0]):
            packed.id.write_direct_chunk((start,), zlib.compress(reference[:16] * packed.chunks[0]))


@writer("h5")
def a_text_of_many_names_in_chunks(path: Path) -> None:
    _one_text_many_times(path, 50_000, b"x" * 60_000, chunks=(50_000,))


@writer("h5")
def a_truncated_hdf5(path: Path) -> None:
    _hdf5(path, lambda f: None)
    path.write_bytes(path.read_bytes()[:600])


# Arrays


@writer("npz")
def npz_of_zeros(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("images.npy", "w") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (30, 1, 1024, 1024)}
        )
        zeros(file.write, 120 << 20)


@writer("npz")
def npz_that_lies(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive, archive.open("images.npy", "w") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (250, 1, 1000, 1000)}
        )


@writer("npy")
def npy_that_lies(path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 1, 1000, 1000)}
        )


@writer("npy")
def npy_of_objects(path: Path) -> None:
    np.save(path, np.asarray([{}], dtype=object), allow_pickle=True)


@writer("npy")
def npy_with_an_endless_header(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 4_000_000_000) + b"[" * 9000)


@writer("npy")
def npy_nested(path: Path) -> None:
    text = ("-" * 9000 + "1").encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


@writer("npy")
def npy_without_pixels(path: Path) -> None:
    np.save(path, np.ones((0, 1, 8, 8), "f4"))


# Pictures


@writer("png")
def postscript_called_png(path: Path) -> None:
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n%%EOF\n")


@writer("png")
def png_of_a_gigapixel(path: Path) -> None:
    path.write_bytes(png(31000, 31000))


@writer("png")
def png_below_pillows_limit(path: Path) -> None:
    row = zlib.compress(bytes(12001) * 12000, 9)
    path.write_bytes(png(12000, 12000, row))


@writer("png")
def png_without_pixels(path: Path) -> None:
    path.write_bytes(png(0, 10))


@writer("jpg")
def truncated_jpeg(path: Path) -> None:
    path.write_bytes(picture_bytes(64, "JPEG")[:800])


@writer("png")
def gif_called_png(path: Path) -> None:
    path.write_bytes(picture_bytes(8, "GIF"))


# Tables


@writer("csv")
def one_endless_line(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(b"file,label\n")
        for _ in range(4):
            stream.write(b"x" * (1 << 20))


@writer("csv")
def one_long_cell(path: Path) -> None:
    rows = "".join(f"g{i}.fits,{i % 2}\n" for i in range(2000))
    path.write_text(f"file,label\n{'x' * 900_000}.fits,0\n{rows}")


@writer("csv")
def csv_that_is_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b"file,label\na.fits,0\n"))


@writer("ecsv")
def ecsv_of_zeros(path: Path) -> None:
    with gzip.open(path, "wb", 9) as stream:
        stream.write(b"# %ECSV 1.0\n")
        zeros(stream.write, 20 << 20)


_VOTABLE = (
    '<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE{}>'
    '<FIELD name="file" datatype="char" arraysize="{}"/><DATA>{}</DATA></TABLE></RESOURCE></VOTABLE>'
)


@writer("vot")
def votable_elsewhere(path: Path) -> None:
    stream = '<BINARY><STREAM href="file:///etc/passwd"/></BINARY>'
    path.write_text(_VOTABLE.format("", "8", stream))


@writer("vot")
def votable_with_entities(path: Path) -> None:
    entities = '<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">'
    rows = "<TABLEDATA><TR><TD>&c;</TD></TR></TABLEDATA>"
    path.write_text(f"<!DOCTYPE x [{entities}]>" + _VOTABLE.format("", "*", rows))


@writer("vot")
def votable_of_10_9_rows(path: Path) -> None:
    path.write_text(_VOTABLE.format(f' nrows="{_GIGA}"', "8", "<TABLEDATA></TABLEDATA>"))


@writer("vot")
def votable_of_a_wide_cell(path: Path) -> None:
    rows = "<TABLEDATA><TR><TD>x</TD></TR></TABLEDATA>"
    path.write_text(_VOTABLE.format("", str(_GIGA), rows))


@writer("parquet")
def parquet_of_one_value(path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    n = 40_000_000
    column = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(n, "i1")), arrow.array(["a.fits"]))
    parquet.write_table(arrow.table({"file": column}), path, compression="gzip")


@writer("parquet")
def truncated_parquet(path: Path) -> None:
    path.write_bytes(b"PAR1" + b"\xff" * 200 + struct.pack("<I", 2**31) + b"PAR1")


# Data cards


@writer("yaml")
def card_of_laughs(path: Path) -> None:
    lines = ["galshift_card: 1", "path: x", "a0: &a0 [ha]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    path.write_text("\n".join(lines))


@writer("yaml")
def card_that_is_nested(path: Path) -> None:
    path.write_text("galshift_card: 1\npath: " + "[" * 400_000)


@writer("yaml")
def card_of_a_huge_number(path: Path) -> None:
    path.write_text("galshift_card: 1\npath: x\npixel_scale_arcsec: " + "9" * 9000)


@writer("yaml")
def card_in_base_60(path: Path) -> None:
    path.write_text("galshift_card: 1\npath: x\npixel_scale_arcsec: " + "1:" * 100_000 + "1")


@writer("yaml")
def card_that_runs(path: Path) -> None:
    path.write_text("galshift_card: 1\npath: !!python/object/apply:os.system ['touch owned']\n")


@writer("yaml")
def card_of_another_kind(path: Path) -> None:
    path.write_text(json.dumps({"galshift_card": 1, "path": ["x"], "unit": {"a": 1}}))


@writer("yaml")
def card_with_a_date(path: Path) -> None:
    path.write_text("galshift_card: 1\npath: x\nunit: 2001-99-99\n")
