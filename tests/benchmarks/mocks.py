"""Speed of mocks: GalSim's two ways, ours with exact and Gaussian noise, and the floor of FFTs and numbers.

The task: 256 x 256 pixels of 0.1 arcsec, a Moffat PSF (FWHM 0.8, beta 3.5), 128 x 128 pixels of 0.2 arcsec,
1400 electrons of sky, the source's photons, 9 electrons of read noise.  Every figure is CPU time on one
thread: medians of interleaved runs, so that a busy machine slows all alike.  ``--verb`` also runs the verb.
Run as ``python -m tests.benchmarks.mocks``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from galshift.data.hdf5 import write_hdf5
from galshift.mocks.noise import NoiseLevel, add_noise
from galshift.mocks.optics import View, render
from galshift.mocks.psf import RadialPsf
from galshift.simulate.generate import simulate
from galshift.streams import torch_stream

SKY, READ, FWHM, BETA = 1400.0, 9.0, 0.8, 3.5
#: What must hold: ratio by name.
LEAST = {
    "exact / tuned GalSim": 2.2,
    "gaussian / tuned GalSim": 4.5,
    "exact / default GalSim": 12.0,
    "exact / its floor": 0.75,
    "gaussian / its floor": 0.65,
    "two processes / one": 1.8,
}


def images(n: int) -> np.ndarray:
    """Return n exponential discs, (n, 256, 256) electrons."""
    rng = np.random.default_rng(0)
    y, x = np.indices((256, 256)) - 127.5
    made = [np.exp(-np.hypot(y, x * q) / s) for q, s in zip(rng.uniform(1, 2, n), rng.uniform(8, 16, n))]
    return np.asarray(made, dtype=np.float32) * np.float32(200)


def ours(stack: np.ndarray, kind: str) -> Callable[[], None]:
    """Return the whole task for a stack, with named streams, as `make-mocks` does it."""
    view, level = View(0.1, 0.2, RadialPsf("moffat", FWHM, beta=BETA)), NoiseLevel(1.0, SKY, READ**2)

    def run() -> None:
        truth = render(stack, [view] * len(stack), (128, 128))
        add_noise(truth, level, kind, [torch_stream(42, "benchmark", i) for i in range(len(stack))])

    return run


def galsims(stack: np.ndarray, tuned: bool) -> Callable[[], None]:
    """Return the same by GalSim: its defaults, or the keywords that make it fastest."""
    import galsim

    psf = galsim.Moffat(beta=BETA, fwhm=FWHM)
    more = {"pad_factor": 1.5, "calculate_stepk": False, "calculate_maxk": False} if tuned else {}

    def run() -> None:
        rng = galsim.BaseDeviate(1)
        noise = galsim.CCDNoise(rng, sky_level=SKY, gain=1.0, read_noise=READ)
        for array in stack:
            galaxy = galsim.InterpolatedImage(galsim.Image(array, scale=0.1), **more)
            seen = galsim.Convolve(galaxy, psf).drawImage(nx=128, ny=128, scale=0.2)
            seen.addNoise(noise)

    return run


def floor(n: int, kind: str) -> Callable[[], None]:
    """Return the least that the task needs: one forward and one inverse transform, and the random numbers."""
    given, half = torch.rand(4, 320, 320), torch.rand(4, 160, 81, dtype=torch.complex64)
    sky, generator = torch.full((128, 128), SKY), torch.Generator().manual_seed(1)

    def run() -> None:
        for _ in range(n // 4):
            torch.fft.rfft2(given)
            torch.fft.irfft2(half)
        for _ in range(n):
            torch.randn(128, 128, generator=generator)
            if kind == "exact":
                torch.poisson(sky, generator=generator)

    return run


def rates(n: int, repeats: int) -> dict[str, float]:
    """Images per CPU second of each way: medians over interleaved runs."""
    stack = images(n)
    few = stack[: max(n // 8, 4)]  # default GalSim is slow, and its rate does not depend on the number
    ways = {
        "default GalSim": (galsims(few, tuned=False), len(few)),
        "tuned GalSim": (galsims(stack, tuned=True), n),
        "exact": (ours(stack, "exact"), n),
        "gaussian": (ours(stack, "gaussian"), n),
        "floor, exact": (floor(n, "exact"), n),
        "floor, gaussian": (floor(n, "gaussian"), n),
    }
    for run, _ in ways.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, (run, count) in ways.items():
            began = time.process_time()
            run()
            seconds[name].append((time.process_time() - began) / count)
    return {name: 1 / float(np.median(values)) for name, values in seconds.items()}


def scaling(n: int, repeats: int) -> float:
    """Rate of two processes at once over that of one, in each process's own CPU time."""
    command = [sys.executable, "-m", "tests.benchmarks.mocks", "--one", str(n)]

    def together(count: int) -> float:
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        return sum(float(process.communicate()[0]) for process in running)

    found = [(together(1), together(2)) for _ in range(repeats)]
    return float(np.median([two / one for one, two in found]))


def one(n: int) -> float:
    """Images per CPU second of the exact task in this process."""
    run = ours(images(64), "exact")
    run()
    began = time.process_time()
    for _ in range(n // 64):
        run()
    return (n // 64) * 64 / (time.process_time() - began)


def verb(n: int) -> dict[str, float]:
    """`make-mocks` of n images in a process of its own: seconds, what was estimated, peak memory."""
    code = (
        "import sys, time, json, resource, numpy as np, galshift\n"
        "folder, n = sys.argv[1], int(sys.argv[2])\n"
        "given = dict(survey='lsst-y1', bands='g,r,i')\n"
        "found = galshift.make_mocks(folder + '/in.h5', folder + '/x.h5', dry_run=True, **given)\n"
        "began = time.perf_counter()\n"
        "galshift.make_mocks(folder + '/in.h5', folder + '/x.h5', **given)\n"
        "wall = time.perf_counter() - began\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "size = __import__('os').path.getsize(folder + '/x.h5')\n"
        "print(json.dumps(dict(seconds=wall, estimated=found['estimates'][0]['seconds'],\n"
        "    bytes=size, estimated_bytes=found['estimates'][0]['bytes'], peak_mb=peak)))\n"
    )

    with tempfile.TemporaryDirectory() as folder:
        base = next(iter(simulate(8, views=1, size=96)))

        def chunks():
            for begin in range(0, n, 100):
                rows = np.arange(begin, min(begin + 100, n)) % len(base)
                taken = base.take(rows)
                names = np.array([f"g{begin + i}" for i in range(len(rows))])
                yield dataclasses.replace(taken, ids=names, groups=names)

        write_hdf5(Path(folder) / "in.h5", chunks())
        done = subprocess.run(
            [sys.executable, "-c", code, folder, str(n)], stdout=subprocess.PIPE, text=True, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print every rate, the ratios and whether each is what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=64, help="images a run")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--one", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--verb", action="store_true", help="also make 500 and 2000 mocks with the verb")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.one:
        print(one(given.one))
        return
    found = rates(given.n, given.repeats)
    for name, rate in found.items():
        print(f"{name:18s} {rate:8.0f} images / CPU s   {1e3 / rate:7.3f} ms")
    ratios = {
        "exact / tuned GalSim": found["exact"] / found["tuned GalSim"],
        "gaussian / tuned GalSim": found["gaussian"] / found["tuned GalSim"],
        "exact / default GalSim": found["exact"] / found["default GalSim"],
        "exact / its floor": found["exact"] / found["floor, exact"],
        "gaussian / its floor": found["gaussian"] / found["floor, gaussian"],
        "two processes / one": scaling(1280, 3),
    }
    for name, ratio in ratios.items():
        word = "ok" if ratio >= LEAST[name] else "MISSED"
        print(f"{name:26s} {ratio:6.2f}   at least {LEAST[name]:5.2f}   {word}")
    if given.verb:
        small, runs = verb(500), [verb(2000) for _ in range(5)]
        large = runs[-1]
        time_ = float(np.median([run["estimated"] / run["seconds"] for run in runs]))
        disk = large["estimated_bytes"] / large["bytes"]
        print(f"2000 images, estimated / measured: time {time_:.2f}, disk {disk:.2f}   0.70 to 1.30")
        print(f"peak memory [MB]: {small['peak_mb']:.0f} for 500 images, {large['peak_mb']:.0f} for 2000")


if __name__ == "__main__":
    main()
