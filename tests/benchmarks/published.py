"""Published systems by their settings on a task of `published_tasks`, beside what their own code reaches.

``python -m tests.benchmarks.published FOLDER --task shapes --seeds 3 --epochs 30`` writes the arrays into
FOLDER, once: in our layout (``*.npz``) and in SIDDA's (``*_x.npy`` of (N, H, W, C), ``*_y.npy``), trains
every row with every seed and prints accuracy, calibration error and seconds.  Arrays of a peer's run that are
there already are taken as they are, so that both sides see the same images.  Figures and how the peer's were
made stand in ``published.md``.

A row is ``--settings sidda`` as published, the same with one value of ours (what that difference is worth),
or our method at its defaults.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from galshift.recipes.execute import execute
from galshift.verbs import Context
from tests.benchmarks.published_tasks import TASKS, arrays

READ = {"unit": "dimensionless"}  # drawings, which SIDDA takes as pictures
ROWS: dict[str, dict[str, Any]] = {
    "sinkhorn at our defaults": {"method": "sinkhorn"},
    "auto at our defaults": {},
    "sidda": {"settings": "sidda"},
    "deepmerge2": {"settings": "deepmerge2", "training": {"patience": None}},
    "sidda, scales clipped too": {"settings": "sidda", "training": {"clip_of": "all"}},
    "sidda, decay of weights alone": {"settings": "sidda", "training": {"decay_of": "weights"}},
    "sidda, our first weights": {"settings": "sidda", "model": {"small_start": False}},
    "sidda, our annealing": {"settings": "sidda", "method": {"anneal_from": "pairs", "polish": 2}},
    "sidda, measured mean and spread": {"settings": "sidda", "preprocess": {"normalise": None}},
    "sidda, lowest total loss": {"settings": "sidda", "training": {"select": "total-loss"}},
    "sidda, our blur": {"settings": "sidda", "method": {"relative_blur": 0.25}},
    "sidda, learned (bounded)": {"settings": "sidda", "method": {"weighting": "learned"}},
    "sidda, weight 0.03 fixed": {"settings": "sidda", "method": {"weighting": "fixed", "weight": 0.03}},
    "sidda, our stretch": {"settings": "sidda", "preprocess": {"stretch": "auto"}},
    "sidda, our augmentation": {
        "settings": "sidda",
        "augment": {"dihedral": True, "shift_px": 1.0, "flux_jitter": 0.05, "noise": [0.0, 1.0]},
    },
    "sidda, lr 1e-3": {"settings": "sidda", "training": {"lr": 1e-3}},
    "sidda, batch 32": {"settings": "sidda", "training": {"batch_size": 32}},
    "sidda, cosine": {"settings": "sidda", "training": {"schedule": "cosine", "lr_ramp": 0.05}},
    "sidda, our epoch choice": {"settings": "sidda", "training": {"select": "auto"}},
    "sidda, best source accuracy": {"settings": "sidda", "training": {"select": "source-accuracy"}},
}


def row(
    values: dict[str, Any], files: dict[str, Path], epochs: int, seed: int, out: Path
) -> dict[str, float]:
    """Train one row with one seed; return accuracy and calibration errors of both test sets, and seconds."""
    started = time.process_time()
    training = {**values.get("training", {}), "epochs": epochs}
    config = {
        **{"read": READ, "read_target": READ, "samples": 0, "baselines": False, "seed": seed},
        "split": {"valid": 0.2, "test": 0.02},
        **values,
        "training": training,
    }
    pair = {"source": str(files["source_train"]), "target": str(files["target_train"])}
    execute("adapt", pair | config, out=out / "run", context=Context("cpu"))
    seconds = time.process_time() - started
    tests = [f"{domain}={files[f'{domain}_test']}" for domain in ("source", "target")]
    on = {"runs": [str(out / "run")], "on": tests, "read": READ, "n_bootstrap": 0, "n_permutations": 0}
    results = execute("evaluate", on, out=out / "scores", context=Context("cpu")).results["results"]
    found = {"seconds": seconds}
    for domain in ("source", "target"):
        scores = results[0]["domains"][domain]  # the run itself; source-only follows
        found |= {f"{domain}_{key}": scores[key] for key in ("accuracy", "ece", "ece_sidda")}
    return found


def main() -> None:
    """Run the rows and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", choices=tuple(TASKS), default="shapes")
    parser.add_argument("--pools", type=Path, help="where drawn galaxies are stored, FOLDER by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--n", type=int, default=3000, help="training images of each domain")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rows", default=",".join(ROWS), help="names with a ';' between them")
    options = parser.parse_args()
    files = arrays(options.task, options.folder, options.n, options.size, options.pools)
    names = list(ROWS) if options.rows == ",".join(ROWS) else options.rows.split(";")
    columns = ("source_accuracy", "target_accuracy", "target_ece", "target_ece_sidda", "seconds")
    print("| row | seeds | " + " | ".join(columns) + " |\n|" + "---|" * (2 + len(columns)))
    for name in names:
        runs = [
            row(ROWS[name], files, options.epochs, seed, options.folder / "runs" / f"{name}-{seed}")
            for seed in range(options.seeds)
        ]
        cells = [
            f"{np.mean([one[key] for one in runs]):.3f} ± {np.std([one[key] for one in runs]):.3f}"
            for key in columns
        ]
        print(f"| {name} | {len(runs)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
