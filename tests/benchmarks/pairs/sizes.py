"""What it changes that `pseudo-labels` of a frozen encoder must agree at a second input size too.

::

    python -m tests.benchmarks.pairs.sizes FOLDER OTHER [--sizes 0.75]

FOLDER is that of ``pairs run``, whose pairs and seeds with a row `pseudo-labels` are trained again, without
and with the other size; OTHER gets a file a run, so that it can be stopped and goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.metrics import f1_score

from galshift.methods import METHODS
from galshift.methods.pseudo_labels import Config, PseudoLabels
from galshift.training.config import TrainConfig
from galshift.training.feature_store import FeatureStore
from galshift.training.train_network import train_network
from galshift.verbs.adapt.mix_prior import target_mix
from tests.benchmarks.pairs import gaps, rows
from tests.benchmarks.pairs.choice import interval
from tests.benchmarks.transfer_tasks import Task

FEW = 0.05  # of the target's images: with fewer accepted, how many of them are right is not told


def run(work: Path, other: Path, sizes: tuple[float, ...]) -> None:
    """Train what has no file yet."""
    places = sorted(
        (int(path.parent.name), path.parent.parent.name) for path in work.glob("*/*/pseudo-labels.npz")
    )
    for seed, kind in places:
        paths = {size: other / kind / str(seed) / f"size-{size}.json" for size in (0.0, *sizes)}
        wanted = {size: path for size, path in paths.items() if not path.is_file()}
        if wanted:
            for size, found in _trained(gaps.load(kind, seed, work), seed, tuple(wanted)):
                wanted[size].parent.mkdir(parents=True, exist_ok=True)
                wanted[size].write_text(json.dumps(found), encoding="utf-8")
            print(kind, seed, flush=True)


def _trained(task: Task, seed: int, sizes: tuple[float, ...]) -> Iterator[tuple[float, dict[str, float]]]:
    """Yield what each size gives, in the way of the row `pseudo-labels`; 0 is exactly that row."""
    training = TrainConfig(
        epochs=rows.EPOCHS, batch_size=rows.BATCH, patience=None, tune="head", cached_views=2
    )
    job = rows.job_of(task, rows.chosen("efficientnet-lite0", size=rows.ENCODER_SIDE), training)
    store = FeatureStore(seed)
    with tempfile.TemporaryDirectory() as folder:
        plain = train_network(
            job, METHODS.get("source-only")(), Path(folder, "probe"), seed, label="", features=store
        )
        job = replace(job, prior_target=target_mix(plain, job))
        for size in sizes:
            method, started = PseudoLabels(Config(other_size=size)), time.process_time()
            made = train_network(job, method, Path(folder, str(size)), seed, label="", features=store)
            seconds = time.process_time() - started
            row = rows.row_of(made, task, job, seconds)
            truth, said = task.target_test[1].numpy(), row.logits["target_test"].argmax(axis=1)
            f1 = float(f1_score(truth, said, average="macro"))
            yield size, {"f1": f1, "seconds": round(seconds, 2), **_believed(method, task)}


def _believed(method: PseudoLabels, task: Task) -> dict[str, float]:
    """The share of target images that was accepted at the end, and the share of those that is right."""
    hidden = task.target[1]
    every = torch.arange(len(hidden))
    taken = method.nets["beliefs"].accepted(every, len(task.classes), method.config.last)
    right = (taken == hidden)[taken >= 0].double().mean()
    return {"accepted": float((taken >= 0).double().mean()), "right": float(right)}


def table(other: Path, sizes: tuple[float, ...]) -> str:
    """Return what holds, in Markdown; ± is half a 95 % interval of the mean over pairs."""
    lines = [
        "| other size | pairs | macro-F1 | less without | better, worse | accepted | right | CPU s |",
        "|---" * 8 + "|",
    ]
    for size in (0.0, *sizes):
        paths = sorted(other.glob(f"*/*/size-{size}.json"))
        found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        without = [json.loads((path.parent / "size-0.0.json").read_text(encoding="utf-8")) for path in paths]
        more = [a["f1"] - b["f1"] for a, b in zip(found, without, strict=True)]
        means = {key: np.mean([one[key] for one in found]) for key in ("f1", "accepted", "seconds")}
        both = zip(found, without, strict=True)
        right = np.mean([a["right"] for a, b in both if min(a["accepted"], b["accepted"]) > FEW])
        counts = f"{sum(x > 0 for x in more)}, {sum(x < 0 for x in more)}"
        lines.append(
            f"| {size} | {len(found)} | {means['f1']:.3f} | {interval(more) if size else '–'} | {counts} | "
            f"{means['accepted']:.2f} | {right:.3f} | {means['seconds']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--sizes", default="0.75", help="shares of the encoder's own")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = tuple(float(size) for size in given.sizes.split(","))
    run(given.folder, given.other, sizes)
    print(table(given.other, sizes))


if __name__ == "__main__":
    main()
