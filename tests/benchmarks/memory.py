"""How much memory each verb takes as the survey grows: peak RSS at two sizes, for every format.

Run by hand::

    python -m tests.benchmarks.memory FOLDER [--sizes 5000,50000] [--verbs predict,embed] [--formats h5,npy]

FOLDER keeps the made-up surveys; the table goes to stdout.  Images
are small (16 x 16 pixels of one band), so that what is held for each image shows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIDE = 16
CLASSES = ("disc", "ring")


def images(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 1, S, S) float32 images and (N,) labels; a row's values depend on its number alone."""
    rows = np.arange(start, stop)
    labels = rows % 2
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = np.hypot(x, y)[None]
    width = 2 + (rows % 97)[:, None, None] / 97
    disc = np.exp(-((radius / width) ** 2))
    ring = np.exp(-((radius - 5) ** 2) / width)
    light = np.where(labels[:, None, None] == 0, disc, ring) * (10 + rows % 13)[:, None, None]
    noise = np.random.default_rng(start).normal(0, 0.3, light.shape)
    return (light + noise).astype(np.float32)[:, None], labels


def make(folder: Path, kind: str, n: int) -> Path:
    """Return the survey of `n` images in the format `kind`, made unless it is there."""
    place = folder / f"{kind}-{n}"
    if not place.exists():
        whole = place.with_name(f"part-{place.name}")
        whole.mkdir()
        FORMATS[kind](whole, n)
        whole.rename(place)
    ends = {"h5": "data.h5", "npy": "x.npy", "npz": "x.npz", "cube": "cube.fits", "table": "table.fits"}
    ends |= {"csv": "catalog.csv", "parquet": "catalog.parquet"}
    return place / ends[kind] if kind in ends else place


def blocks(n: int, size: int = 1000):
    """Yield (start, images, labels) of a survey piece by piece."""
    for start in range(0, n, size):
        yield start, *images(start, min(n, start + size))


def _h5(place: Path, n: int) -> None:
    import h5py

    with h5py.File(place / "data.h5", "w") as file:
        stored = file.create_dataset("images", (n, 1, SIDE, SIDE), "f4", chunks=(64, 1, SIDE, SIDE))
        file["labels"] = np.arange(n) % 2
        file["ids"] = np.array([f"galaxy-{i:08d}" for i in range(n)], dtype="S15")
        file.attrs["classes"] = list(CLASSES)
        file.attrs["unit"], file.attrs["pixel_scale"], file.attrs["bands"] = "nJy", 0.2, ["r"]
        for start, values, _ in blocks(n):
            stored[start : start + len(values)] = values


def _npy(place: Path, n: int) -> None:
    stored = np.lib.format.open_memmap(place / "x.npy", "w+", np.float32, (n, 1, SIDE, SIDE))
    for start, values, _ in blocks(n):
        stored[start : start + len(values)] = values


def _npz(place: Path, n: int) -> None:
    np.savez(place / "x.npz", images=np.concatenate([v for _, v, _ in blocks(n)]), labels=np.arange(n) % 2)


def _header(naxis: tuple[int, ...]) -> bytes:
    from astropy.io import fits

    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": len(naxis)})
    for axis, side in enumerate(naxis, start=1):
        header[f"NAXIS{axis}"] = side
    header.update({"BUNIT": "nJy", "FILTER": "r", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update({"CDELT1": -0.2 / 3600, "CDELT2": 0.2 / 3600, "CRVAL1": 10.0, "CRVAL2": 0.0})
    return header.tostring().encode()


def _fits_file(header: bytes, image: np.ndarray) -> bytes:
    pixels = image.astype(">f4").tobytes()
    return header + pixels + b"\0" * (-len(pixels) % 2880)


def _folder(place: Path, n: int) -> None:
    header = _header((SIDE, SIDE))
    for name in CLASSES:
        (place / name).mkdir()
    for start, values, labels in blocks(n):
        for i, (image, label) in enumerate(zip(values, labels), start=start):
            (place / CLASSES[label] / f"galaxy-{i:08d}.fits").write_bytes(_fits_file(header, image))


def _cube(place: Path, n: int) -> None:
    with (place / "cube.fits").open("wb") as stream:
        stream.write(_header((SIDE, SIDE, n)))
        for _, values, _ in blocks(n):
            stream.write(values.astype(">f4").tobytes())
        stream.write(b"\0" * (-stream.tell() % 2880))


def _csv(place: Path, n: int) -> None:
    _catalog(place, n, "catalog.csv")


def _parquet(place: Path, n: int) -> None:
    _catalog(place, n, "catalog.parquet")


def _catalog(place: Path, n: int, name: str) -> None:
    """A catalogue beside a folder of FITS files, which it names."""
    (place / "cutouts").mkdir()
    header = _header((SIDE, SIDE))
    for start, values, _ in blocks(n):
        for i, image in enumerate(values, start=start):
            (place / "cutouts" / f"{i:08d}.fits").write_bytes(_fits_file(header, image))
    from astropy.table import Table

    rows = np.arange(n)
    table = Table(
        {
            "id": [f"galaxy-{i:08d}" for i in rows],
            "file": [f"cutouts/{i:08d}.fits" for i in rows],
            "class": np.array(CLASSES)[rows % 2],
            "ra": 10 + rows / 1000,
            "dec": rows / 10000,
            "mag": 18 + rows % 7,
        }
    )
    table.write(place / name, format="ascii.csv" if name.endswith("csv") else "parquet")


def _pictures(place: Path, n: int) -> None:
    from PIL import Image

    for name in CLASSES:
        (place / name).mkdir()
    for start, values, labels in blocks(n):
        grey = np.clip(values[:, 0] * 10 + 20, 0, 255).astype(np.uint8)
        for i, (image, label) in enumerate(zip(grey, labels), start=start):
            Image.fromarray(image).save(place / CLASSES[label] / f"galaxy-{i:08d}.png")


FORMATS: dict[str, Callable[[Path, int], None]] = {
    "h5": _h5,
    "npy": _npy,
    "npz": _npz,
    "folder": _folder,
    "cube": _cube,
    "csv": _csv,
    "parquet": _parquet,
    "pictures": _pictures,
}


def peak(words: list[str]) -> tuple[float, float]:
    """Return peak RSS [MB] and CPU time [s] of one command."""
    process = subprocess.Popen(
        [sys.executable, "-m", "galshift", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}: {said.decode()[-1500:]}")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def command(folder: Path, verb: str, kind: str, n: int, run: str, out: Path) -> list[str]:
    """Return the words of a verb's command on a survey."""
    data = str(make(folder, kind, n))
    read = ["--pixel-scale", "0.2"]
    read += [] if kind == "pictures" else ["--bands", "r"]
    read += ["--unit", "dimensionless"] if kind == "pictures" else ["--unit", "nJy"]
    read += ["--labels", "class"] if kind in ("csv", "parquet") else []
    if verb == "pack":
        return ["pack", data, str(out / "packed.h5"), *read]
    if verb == "predict":
        return ["predict", run, data, str(out / "p.fits"), *read]
    if verb == "embed":
        return ["embed", run, data, "--reduce", "pca", "--out", str(out / "embed"), *read]
    if verb == "evaluate":
        return ["evaluate", run, "--on", data, "--out", str(out / "evaluate"), *read]
    few = ["--epochs", "1", "--set", "training.steps_per_epoch=4", "--method", "mmd", "--model", "sidda"]
    few += ["--out", str(out / "adapt")]
    for word in read[:-2] if kind in ("csv", "parquet") else read:
        few.append(word if not word.startswith("--") else "--target-" + word[2:])
    source = str(make(folder, "pictures" if kind == "pictures" else "h5", 2000))
    return ["adapt", source, data, *few]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", default="5000,50000")
    parser.add_argument("--verbs", default="predict,embed,evaluate,pack,adapt")
    parser.add_argument("--formats", default=",".join(FORMATS))
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    given.folder.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(given.folder / "cache")
    import tempfile

    print(
        "| verb | format | "
        + " | ".join(f"{n} [MB]" for n in sizes)
        + " | ratio | bytes an image | CPU [s] |"
    )
    for kind in given.formats.split(","):
        unit = "pictures" if kind == "pictures" else "h5"
        run = given.folder / f"run-{unit}"
        if not run.exists():
            peak(
                [
                    "train",
                    str(make(given.folder, unit, 2000)),
                    "--model",
                    "sidda",
                    "--epochs",
                    "1",
                    "--out",
                    str(run),
                ]
            )
        for verb in given.verbs.split(","):
            found = []
            for n in sizes:
                make(given.folder, kind, n)
                with tempfile.TemporaryDirectory() as out:
                    found.append(peak(command(given.folder, verb, kind, n, str(run), Path(out))))
            rss = [mb for mb, _ in found]
            each = (rss[-1] - rss[0]) * 1e6 * 1.048576 / (sizes[-1] - sizes[0])
            row = f"| {verb} | {kind} | " + " | ".join(f"{mb:.0f}" for mb in rss)
            print(f"{row} | {rss[-1] / rss[0]:.2f} | {each:.0f} | {found[-1][1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
