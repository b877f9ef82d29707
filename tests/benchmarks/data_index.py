"""How long a folder of small FITS files takes to open, the first time and the second.

``python -m tests.benchmarks.data_index [FILES]``

The target is 20 000 files in 60 s on two cores the first time, and 1 s the second.  The floor beside it is
what it takes to open every file and read its first header block, with nothing made of it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from galshift.data.fits_index import index_place

OPEN = """
import os, sys, time
import galshift.data.readers.fits_folder
from galshift.data.open import open_dataset

if __name__ == "__main__":
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    open_dataset(sys.argv[1])
    print(time.perf_counter() - wall, sum(os.times()[:4]) - cpu)
"""


def write_files(folder: Path, n: int) -> None:
    """Write `n` cut-outs of 32 x 32 pixels, each with a position of its own, as an archive hands them out."""
    from astropy.io import fits

    header = fits.Header({"BUNIT": "nanomaggy", "FILTER": "r", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update({"CDELT1": -0.2 / 3600, "CDELT2": 0.2 / 3600, "CRPIX1": 16.5, "CRPIX2": 16.5})
    header.update({"CRVAL1": 150.0, "CRVAL2": 2.0})
    hdu = fits.PrimaryHDU(np.zeros((32, 32), "f4"), header)
    rng = np.random.default_rng(0)
    for i in range(n):
        hdu.header["CRVAL1"], hdu.header["CRVAL2"] = rng.uniform(0, 360), rng.uniform(-60, 60)
        hdu.writeto(folder / f"galaxy-{i:06d}.fits")


def open_once(folder: Path) -> tuple[float, float]:
    """Return wall and CPU seconds (its workers' too) of opening in a fresh process, imports not counted."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(folder)], capture_output=True, text=True, check=True
    )
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu


def main() -> None:
    """Print both openings and their ratio to the floor."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, n)
        started = time.perf_counter()
        for file in sorted(folder.iterdir()):
            with file.open("rb") as stream:
                stream.read(2880)
        floor = time.perf_counter() - started
        (first, cpu_first), (second, cpu_second) = open_once(folder), open_once(folder)
        size = index_place(folder).stat().st_size
    print(f"{n} files: floor {floor:.2f} s (read a block of each)")
    print(f"first opening {first:.2f} s ({cpu_first:.2f} s of CPU), {first / floor:.1f} x the floor")
    print(f"second opening {second:.2f} s ({cpu_second:.2f} s of CPU), {second / floor:.2f} x the floor")
    print(f"index {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
