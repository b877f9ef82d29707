"""What ``--method auto``, its verdict and a second family cost beside one ``--method dann`` run."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

N, SIDE, EPOCHS = 1000, 72, 15
STORED = Path(__file__).parent / "table" / "cost.md"
RUNS = {
    "dann": ("--method", "dann", "--no-baselines"),
    "auto": ("--no-baselines",),
    "auto, with baselines (the verdict's witnesses)": (),
    "auto, with baselines and --encoder efficientnet-lite0 at 96 pixels": (
        *("--encoder", "efficientnet-lite0", "--set", "encoder.size=96"),
    ),
}


def table(folder: Path) -> str:
    """Return CPU seconds of whole commands, each in a process of its own, and their ratio to the first."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, survey in ((1, "lsst-y10"), (2, "lsst-y1")):
        if not (folder / f"{survey}.h5").is_file():
            _command(
                folder,
                "simulate",
                f"ideal-{seed}.h5",
                "--n",
                str(N),
                "--size",
                str(SIDE),
                "--seed",
                str(seed),
            )
            _command(folder, "make-mocks", f"ideal-{seed}.h5", f"{survey}.h5", "--survey", survey)
    lines, first = ["| command | CPU s | over the first |", "|---|---|---|"], None
    for number, (name, words) in enumerate(RUNS.items()):
        given = ("adapt", "lsst-y10.h5", "lsst-y1.h5", "--epochs", str(EPOCHS), *words)
        seconds = _command(folder, *given, "--out", f"run-{number}", "--overwrite")
        first = seconds if first is None else first
        lines.append(f"| {name} | {seconds:.0f} | {seconds / first:.2f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _command(folder: Path, *words: str) -> float:
    """Run galshift in `folder` on one thread and return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run([sys.executable, "-m", "galshift", *words], cwd=folder, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
