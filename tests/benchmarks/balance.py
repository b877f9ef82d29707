"""What class weights are worth where the source holds few of some class.

``python -m tests.benchmarks.balance FOLDER [--seeds 5] [--pairs depth,sdss]`` takes tasks of the transfer
benchmark, leaves of every third class of the source a tenth and of every second a third, and trains with and
without ``class_weights: balanced``; the target holds either the source's mix or an even one.  Every run is a
line in FOLDER/runs.jsonl, so that the benchmark goes on where it was.  Printed and written to ``balance.md``:
macro-F1 on the target's test part without weights, and what weights add, paired by seed, with the 95 %
interval of the mean (Student's t).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.stats import t as student
from sklearn.metrics import balanced_accuracy_score, f1_score
from torch import Tensor, nn

from galshift.methods import METHODS
from galshift.training.config import TrainConfig
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from tests.benchmarks.transfer_runs import BATCH, EPOCHS, new_network, settings_of, training_sets
from tests.benchmarks.transfer_tasks import Task, load_task

PAIRS = ("depth", "sdss", "hsc-des", "digits")
METHODS_TRIED = ("source-only", "mmd")
WEIGHTS = ("none", "balanced")
MIXES = ("source", "even")
KEPT = (1.0, 1 / 3, 0.1)  # share that is left of the classes, in turn
FOLDER = Path(__file__).parent


def unbalanced(task: Task, mix: str) -> Task:
    """Return `task` with fewer of some classes in the source, and in the target where `mix` is "source"."""
    few = ("source", "valid", *(("target", "target_test") if mix == "source" else ()))
    return replace(task, **{part: _thinned(*getattr(task, part)) for part in few})


def _thinned(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    rows = []
    for k in range(int(labels.max()) + 1):
        own = torch.nonzero(labels == k).flatten()
        rows.append(own[: max(2, round(len(own) * KEPT[k % len(KEPT)]))])
    kept = torch.cat(rows).sort().values
    return images[kept], labels[kept]


def run(task: Task, method: str, weights: str, seed: int) -> nn.Module:
    """Train, and return the network."""
    model, own = new_network(task, seed), METHODS.get(method)()
    source, valid, target = training_sets(task)
    config = TrainConfig(epochs=EPOCHS, batch_size=BATCH, class_weights=weights, steps_per_epoch=10)
    with tempfile.TemporaryDirectory() as directory:
        job = TrainingJob(
            source=source,
            valid=valid,
            target=target if own.uses_target else None,
            training=config,
            **settings_of(task),
        )
        return fit(model, own, job, directory=Path(directory), seed=seed, progress=None).model


def scored(model: nn.Module, task: Task) -> dict[str, float]:
    """Return the scores of `model` on the target's test part."""
    with torch.no_grad():
        answers = model(task.preprocessing.stretch(task.target_test[0])).logits.argmax(dim=1).numpy()
    labels = task.target_test[1].numpy()
    return {
        "macro_f1": f1_score(labels, answers, average="macro"),
        "balanced": balanced_accuracy_score(labels, answers),
        "accuracy": float((labels == answers).mean()),
    }


def cells(pairs: list[str], seeds: int) -> Iterator[tuple[str, str, int, str]]:
    """Yield (pair, method, seed, weights)."""
    for seed in range(seeds):
        for pair in pairs:
            for method in METHODS_TRIED:
                for weights in WEIGHTS:
                    yield pair, method, seed, weights


def measure(folder: Path, pairs: list[str], seeds: int) -> dict[tuple, dict[str, float]]:
    """Return macro-F1 and balanced accuracy by cell; what is not in `folder` yet is run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "runs.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    done = {tuple(row["cell"]): row["scores"] for row in map(json.loads, lines)}
    for pair, method, seed, weights in cells(pairs, seeds):
        if (pair, "even", method, seed, weights) in done:
            continue
        tasks = {mix: unbalanced(load_task(pair, seed, folder), mix) for mix in MIXES}
        model = None
        for mix, task in tasks.items():
            if model is None or method != "source-only":  # which sees no target: one network for both
                model = run(task, method, weights, seed)
            cell = (pair, mix, method, seed, weights)
            done[cell] = scored(model, task)
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"cell": cell, "scores": done[cell]}) + "\n")
    return done


def table(done: dict[tuple, dict[str, float]]) -> str:
    """Return the table in Markdown: a row for each pair, mix and method."""
    scores: dict[tuple, dict[int, dict[str, dict[str, float]]]] = defaultdict(lambda: defaultdict(dict))
    for (pair, mix, method, seed, weights), found in done.items():
        scores[pair, mix, method][seed][weights] = found
    lines = [
        "| pair | target's mix | method | macro F1 without | with weights | balanced accuracy | accuracy |",
        "|---|---|---|---|---|---|---|",
    ]
    for (pair, mix, method), by_seed in sorted(scores.items()):
        both = [found for found in by_seed.values() if len(found) == 2]
        if len(both) < 2:
            continue
        base = np.mean([found["none"]["macro_f1"] for found in both])
        gains = [
            _interval([found["balanced"][name] - found["none"][name] for found in both])
            for name in ("macro_f1", "balanced", "accuracy")
        ]
        lines.append(f"| {pair} | {mix} | {method} | {base:.3f} | {' | '.join(gains)} |")
    return "\n".join(lines)


def _interval(values: list[float]) -> str:
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.3f} ± {half:.3f}"


def main() -> None:
    """Run what is missing, print the table, write it where it is kept."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", default=",".join(PAIRS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    done = measure(given.folder, given.pairs.split(","), given.seeds)
    found = table(done)
    print(found)
    text = "# Class weights where the source is unbalanced\n\n`python -m tests.benchmarks.balance FOLDER`\n\n"
    (FOLDER / "balance.md").write_text(f"{text}{found}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
