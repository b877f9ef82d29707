"""What training from disk costs beside training from memory, and how much memory it needs.

``python -m tests.benchmarks.data_stream speed [GB]`` trains an epoch on images in memory and on the same
images in an HDF5 file whose pages have been dropped, in turn, and prints the ratio of their throughputs
(target: at least 0.85).  ``python -m tests.benchmarks.data_stream memory [GB]`` trains an epoch by
``galshift train`` on a file of that size (default 12) and prints the peak resident memory (target: under
1.5 GB).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, thread
from pathlib import Path

import numpy as np
import torch

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.data.preprocess import fit_preprocessing
from galshift.data.stream import BlockReader
from galshift.methods import METHODS
from galshift.models.build import build_model
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.sets import TrainingSet

BANDS, SIZE, CLASSES, REPEATS = ("g", "r", "i"), 64, ("a", "b", "c"), 5
IMAGE_BYTES = 4 * len(BANDS) * SIZE**2


def images(n: int) -> Iterator[Cutouts]:
    """Yield noise with a square that is brighter in one band, chunk by chunk, in nJy."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2048, len(BANDS), SIZE, SIZE)).astype(np.float32)
    for start in range(0, n, 2048):
        rows = np.arange(start, min(n, start + 2048))
        chunk = np.roll(noise[: len(rows)], start // 2048, axis=-1)
        labels = rows % 3
        chunk[np.arange(len(rows)), labels, 24:40, 24:40] += 1
        yield Cutouts(
            images=chunk,
            unit="nJy",
            pixel_scale=0.2,
            bands=BANDS,
            ids=rows.astype(str),
            labels=labels,
            classes=CLASSES,
        )


def drop_pages(path: Path) -> None:
    """Ask the kernel to forget what it holds of a file."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Waiting(Future):
    """A future that adds up how long it was waited for."""

    seconds = 0.0

    def result(self, timeout: float | None = None):
        """Return the result, and count the seconds until it was there."""
        started = time.perf_counter()
        try:
            return super().result(timeout)
        finally:
            Waiting.seconds += time.perf_counter() - started


def epoch(train: TrainingSet, valid: TrainingSet, stretch) -> tuple[float, float]:
    """Return the seconds of one epoch by the clock, and those that its thread computed or waited for data.

    The second leaves out what other programs took of the machine.
    """
    torch.manual_seed(0)
    model = build_model("deepmerge", in_channels=len(BANDS), size=SIZE, n_classes=len(CLASSES))
    with tempfile.TemporaryDirectory() as name:
        wall, own, Waiting.seconds = time.perf_counter(), time.thread_time(), 0.0
        fit(
            model,
            METHODS.get("source-only")(),
            TrainingJob(
                source=train,
                valid=valid,
                target=None,
                training=TrainConfig(epochs=1, batch_size=64),
                head=ClassHead(tuple(CLASSES)),
                device="cpu",
                stretch=stretch,
            ),
            directory=Path(name),
            seed=0,
            progress=None,
        )
        return time.perf_counter() - wall, time.thread_time() - own + Waiting.seconds


def speed(gigabytes: float) -> None:
    """Print images per second from memory and from disk, and their ratio."""
    n = int(gigabytes * 1e9 / IMAGE_BYTES)
    with tempfile.TemporaryDirectory() as name:
        path = write_hdf5(Path(name) / "set.h5", images(n))
        dataset = open_dataset(path)
        rows, last = np.arange(n - 256), np.arange(n - 256, n)
        preprocessing = fit_preprocessing(dataset, rows[:512])
        labels = torch.from_numpy(dataset.info.labels)
        linear = torch.from_numpy(preprocessing.linear(dataset.read(np.arange(n))))
        held = TrainingSet(linear[:-256], labels[rows])
        valid = TrainingSet(linear[-256:], labels[last])
        by_clock, by_work = [], []
        for _ in range(REPEATS):
            memory, memory_work = epoch(held, valid, preprocessing.stretch)
            drop_pages(path)
            reader = BlockReader(dataset, rows, preprocessing.linear, IMAGE_BYTES)
            disk, disk_work = epoch(TrainingSet(reader, labels[rows]), valid, preprocessing.stretch)
            by_clock.append(memory / disk)
            by_work.append(memory_work / disk_work)
            print(
                f"memory {len(rows) / memory:.0f} images / s, disk {len(rows) / disk:.0f}: ratio "
                f"{by_clock[-1]:.3f}; of work and waiting {by_work[-1]:.3f} (waited {Waiting.seconds:.2f} s)"
            )
    print(
        f"median ratio of throughputs, disk : memory = {statistics.median(by_clock):.3f} by the clock, "
        f"{statistics.median(by_work):.3f} of what the training thread computed and waited for"
    )


def memory(gigabytes: float) -> None:
    """Print the peak resident memory of one epoch of `galshift train`."""
    n = int(gigabytes * 1e9 / IMAGE_BYTES)
    with tempfile.TemporaryDirectory() as name:
        path = write_hdf5(Path(name) / "set.h5", images(n))
        drop_pages(path)
        command = [sys.executable, "-m", "galshift", "train", str(path), "--out", f"{name}/run"]
        started = time.perf_counter()
        subprocess.run([*command, "--epochs", "1", "--device", "cpu", "--quiet"], check=True)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"{n} images, {gigabytes:g} GB: one epoch in {seconds:.0f} s, peak resident memory {peak:.2f} GB")


def main() -> None:
    """Run the part that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("speed", "memory"), default="speed")
    parser.add_argument("gigabytes", nargs="?", type=float)
    options = parser.parse_args()
    work, default = {"speed": (speed, 0.5), "memory": (memory, 12.0)}[options.part]
    torch.set_num_threads(1)
    thread._base.Future = Waiting
    work(options.gigabytes or default)


if __name__ == "__main__":
    main()
