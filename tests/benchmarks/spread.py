"""Memory of the workers of one verb with ten times the images, and how much sooner two of them are done.

Run it with ``python -m tests.benchmarks.spread`` (``--verbs predict pack embed evaluate audit
one-pixel-attack``, ``--images 5000 50000``; of the attack one image in 250 is attacked).
Each line is a fresh command: peak resident memory of the command and of its largest worker, and its seconds.
With a GPU: ``python -m tests.benchmarks.spread --device cuda --verbs predict``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.hdf5 import write_hdf5
from galshift.data.preprocess import PreprocessConfig, fit_preprocessing
from galshift.models.build import build_model
from galshift.training.checkpoint import save_checkpoint

CLASSES, SIZE, BANDS = ("elliptical", "merger", "spiral"), 48, ("g", "r", "i")
_CHUNK = 1000
_CALLS = {
    "predict": "galshift.predict('run', 'data-{n}.h5', '{out}.fits', device='{device}', {how})",
    "pack": "galshift.pack('data-{n}.h5', '{out}.h5', {how})",
    "embed": ("galshift.embed('run', 'data-{n}.h5', out='{out}', reduce='pca', device='{device}', {how})"),
    "evaluate": (
        "galshift.evaluate('run', on=['data-{n}.h5'], out='{out}', samples=0, device='{device}', {how})"
    ),
    "one-pixel-attack": (
        "galshift.one_pixel_attack('run', 'data-{n}.h5', out='{out}', limit={n} // 250, "
        "device='{device}', {how})"
    ),
    "audit": (
        "galshift.audit('run', 'data-{n}.h5', corruption=['gain'], out='{out}', device='{device}', {how})"
    ),
}
_PROGRAM = """
import json, resource, time
import galshift
from galshift import console
console.set_verbosity(quiet=True)
started = time.perf_counter()
{call}
seconds = time.perf_counter() - started
peak = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([seconds, *peak]))
"""


def write_data(path: Path, n: int) -> None:
    """Write `n` labelled images of noise."""

    def chunks():
        rng = np.random.default_rng(0)
        for start in range(0, n, _CHUNK):
            size = min(_CHUNK, n - start)
            yield Cutouts(
                rng.normal(3, 1, (size, 3, SIZE, SIZE)).astype("f4"),
                unit="nJy",
                pixel_scale=0.4,
                bands=BANDS,
                ids=np.array([f"galaxy-{i:07d}" for i in range(start, start + size)]),
                labels=rng.integers(0, len(CLASSES), size),
                classes=CLASSES,
            )

    write_hdf5(path, chunks())


def write_network(path: Path) -> None:
    """Write an untrained network: how long it takes does not depend on what it has learnt."""
    images = np.random.default_rng(3).normal(3, 1, (64, 3, SIZE, SIZE)).astype(np.float32)
    cutouts = Cutouts(images, unit="nJy", pixel_scale=0.4, bands=BANDS)
    fitted = fit_preprocessing(InMemory(cutouts), None, PreprocessConfig(), 0)
    model = build_model("deepmerge", in_channels=3, size=SIZE, n_classes=len(CLASSES), seed=1)
    made = fitted.model_dump(mode="json")
    save_checkpoint(path, model, preprocessing=made, classes=CLASSES, bands=BANDS)


def measured(folder: Path, verb: str, n: int, workers: int, device: str) -> tuple[float, float, float]:
    """Return seconds, and peak memory [MiB] of the command and of its largest worker."""
    out = f"{verb}-{n}-{workers}"
    call = _CALLS[verb].format(n=n, out=out, device=device, how=f"workers={workers}")
    program = _PROGRAM.format(call=call)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print one line for each verb, number of images and number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbs", nargs="+", default=["predict", "pack"], choices=sorted(_CALLS))
    parser.add_argument("--images", nargs="+", type=int, default=[5_000, 50_000])
    parser.add_argument("--device", default="cpu")
    said = parser.parse_args()
    print(f"{'verb':16} {'images':>7} {'workers':>7} {'seconds':>8} {'command MiB':>12} {'worker MiB':>11}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "run").mkdir()
        write_network(folder / "run")
        for n in said.images:
            write_data(folder / f"data-{n}.h5", n)
            for verb in said.verbs:
                for workers in (1, 2):
                    seconds, own, worker = measured(folder, verb, n, workers, said.device)
                    shown = f"{worker:11.0f}" if workers > 1 else f"{'-':>11}"
                    print(f"{verb:16} {n:7d} {workers:7d} {seconds:8.1f} {own:12.0f} {shown}", flush=True)


if __name__ == "__main__":
    main()
