"""What adapting a frozen encoder costs beside one pass of the encoder over all cached views.

``python -m tests.benchmarks.encoder FOLDER [--n 1000] [--size 128]`` adapts efficientnet-lite0 with ``--tune
head`` between two simulated surveys of n images each, once with one seed and once with two, each as a command
in a process of its own and without a cache from before; then passes the encoder over as many images as there
were cached views.  Printed: CPU seconds, and their ratios.  The bounds are 3 for the first, and 1.10 for the
second seed.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from galshift.models.build import build_model
from galshift.training.memory import held_memory

VIEWS = 1 + 4  # of each training image: as it is, and augmented
KEPT = 0.8  # of each survey in the training part; validation is seen once


def command(folder: Path, *words: str) -> float:
    """Run galshift in `folder` and return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run([sys.executable, "-m", "galshift", *words], cwd=folder, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def one_pass(n_images: int, side: int) -> float:
    """Return the CPU seconds of the encoder over so many images of the side that it was given."""
    model = build_model("efficientnet-lite0", in_channels=2, size=side, n_classes=3, seed=0).eval()
    model = model.to(memory_format=torch.channels_last)
    images = torch.randn(64, 2, side, side).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), held_memory():
        model(images)
        started = time.process_time()
        for _ in range(10):
            model(images)
        return (time.process_time() - started) * n_images / (10 * len(images))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder, n = given.folder, str(given.n)
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed, survey in (("source", "1", "lsst-y10"), ("target", "2", "sdss")):
        if not (folder / f"{name}.h5").exists():
            sky = ["--n", n, "--size", str(given.size), "--seed", seed]
            command(folder, "simulate", f"{name}-sky.h5", *sky)
            look = ["--survey", survey, "--bands", "g,r", "--size", str(given.size)]
            command(folder, "make-mocks", f"{name}-sky.h5", f"{name}.h5", *look)
    pair = ["source.h5", "target.h5", "--model", "efficientnet-lite0", "--tune", "head", "--method", "mmd"]
    seconds = {}
    for seeds in ("1", "2"):
        shutil.rmtree(folder / "cache", ignore_errors=True)
        shutil.rmtree(folder / f"run-{seeds}", ignore_errors=True)
        extra = ["--seeds", seeds, "--out", f"run-{seeds}", "--quiet", "--no-baselines"]
        seconds[seeds] = command(folder, "adapt", *pair, *extra)
    passed = one_pass(round(2 * given.n * (KEPT * VIEWS + (1 - KEPT))), given.size)
    print(f"one pass over all cached views {passed:.1f} CPU s")
    print(f"adapt {seconds['1']:.1f} CPU s, {seconds['1'] / passed:.2f} of it (bound 3)")
    print(f"two seeds {seconds['2']:.1f} CPU s, {seconds['2'] / seconds['1']:.3f} of one (bound 1.10)")


if __name__ == "__main__":
    main()
