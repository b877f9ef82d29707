"""What a few labels of the target are worth, and which galaxies to label.

``python -m tests.benchmarks.labels FOLDER [--seeds 5] [--pairs depth,sdss,mix]`` takes tasks of the transfer
benchmark and trains with k = 10, 30, 100, 300 labels of the target (no more than it has; the smaller sets are
parts of the larger ones, drawn at random): on these alone, by fine-tuning the adapted network, on source and
labels together without an alignment, and on all together, also for twice the epochs.  Then 30 labels more, on
top of 10 drawn at random, are asked for by each strategy of ``galshift suggest`` from the network that learnt
the 10.  ``--weights`` tries weights of the labels' term, ``--encoder`` a head on a frozen EfficientNet-lite0.
Every run is a line in FOLDER/runs.jsonl, so that the benchmark goes on where it was.  Printed and, with
``--write``, written to ``labels.md``: macro F1 on the target's test part, with the 95 % interval of the mean
over seeds (Student's t), and differences paired by seed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.stats import t as student
from sklearn.metrics import f1_score
from torch import nn

from galshift.embedding.strategies import Pool, suggest
from galshift.evaluation.honesty import entropy
from galshift.methods import METHODS
from galshift.streams import numpy_stream
from galshift.training.config import TrainConfig
from galshift.training.feature_store import FeatureStore
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.sets import TrainingSet
from galshift.training.train_network import train_network
from tests.benchmarks.pairs import rows
from tests.benchmarks.transfer_runs import BATCH, EPOCHS, new_network, settings_of
from tests.benchmarks.transfer_tasks import Task, load_task

PAIRS = ("depth", "sdss", "mix")
LABELS = (10, 30, 100, 300)
METHOD = "cdan-e"
ARMS = ("labels alone", "fine-tuning", "source + labels", "together")
LONGER = "together, twice the epochs"  # as many as fine-tuning has with the adaptation before it
LONGER_AT = (30, 100, 300)
STRATEGIES = ("random", "uncertainty", "diversity", "mix")
ALIGNED = "standardise"  # of frozen features
ENCODER = tuple(
    f"encoder: {arm}" for arm in ("source-only", "adaptation", "labels alone", "source + labels", "together")
)
WEIGHTS, WEIGHTS_AT = (0.3, 3.0), (30, 100)
FIRST, MORE = 10, 30  # labels drawn at random, and those that a strategy asks for
VALID = 0.2  # of the labels, that choose the epoch of a training on them alone
FOLDER = Path(__file__).parent


def train(
    task: Task,
    seed: int,
    method: str = METHOD,
    labels: np.ndarray | None = None,
    *,
    source: bool = True,
    start: nn.Module | None = None,
    weight: float = 1.0,
    epochs: int = EPOCHS,
) -> nn.Module:
    """Return a network that `method` trained.

    Parameters
    ----------
    task : Task
    seed : int
    method : str
    labels : ndarray, optional
        Rows of the target whose labels are learnt.
    source : bool
        False: on these labels alone, a fifth of which choose the epoch.
    start : nn.Module, optional
        The network to start from.
    weight : float
        Of the labels' term.
    epochs : int
    """
    own, few = METHODS.get(method)(), None
    train_set, valid = _set(*task.source), _set(*task.valid)
    if not source:
        judging, learnt = _parted(task, labels, seed)
        train_set, valid = _of(task, learnt), _of(task, judging)
    elif labels is not None:
        few = _of(task, labels)
    config = TrainConfig(
        epochs=epochs,
        batch_size=BATCH,
        steps_per_epoch=10,
        class_weights="none",
        target_label_weight=weight,
        select="source-loss" if len(valid) else "last",
    )
    model = new_network(task, seed)
    if start is not None:
        model.load_state_dict(start.state_dict())
    with tempfile.TemporaryDirectory() as directory:
        job = TrainingJob(
            source=train_set,
            valid=valid if len(valid) else None,
            target=_set(task.target[0]) if own.uses_target else None,
            labelled=few,
            training=config,
            **settings_of(task),
        )
        return fit(model, own, job, directory=Path(directory), seed=seed, progress=None).model


def probe(
    task: Task,
    seed: int,
    features: FeatureStore,
    method: str = "source-only",
    labels: np.ndarray | None = None,
    *,
    source: bool = True,
) -> nn.Module:
    """Return a frozen EfficientNet-lite0 with a head that `method` trained, as :func:`train` has it."""
    config = TrainConfig(
        epochs=EPOCHS,
        batch_size=BATCH,
        steps_per_epoch=10,
        class_weights="none",
        tune="head",
        cached_views=2,
    )
    job, few = rows.job_of(task, rows.chosen("efficientnet-lite0", size=rows.ENCODER_SIDE), config), None
    if labels is not None:
        few = _of(task, labels)
    if source:
        job = replace(job, labelled=few)
    else:
        judging, learnt = (_of(task, part) for part in _parted(task, labels, seed))
        config = config.model_copy(update={"select": "source-loss" if len(judging) else "last"})
        job = replace(
            job, source=learnt, valid=judging if len(judging) else None, target=None, training=config
        )
    with tempfile.TemporaryDirectory() as directory:
        own = METHODS.get(method)()
        made = train_network(job, own, Path(directory), seed, label="", features=features)
        return made.trained.model


def _set(images: torch.Tensor, labels: torch.Tensor | None = None) -> TrainingSet:
    return TrainingSet(images, labels, tuple(map(str, range(len(images)))))


def _of(task: Task, rows: np.ndarray) -> TrainingSet:
    chosen = torch.as_tensor(rows)
    return _set(task.target[0][chosen], task.target[1][chosen])


def _parted(task: Task, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels that choose an epoch, and those that are learnt; all are learnt where there are few."""
    if len(rows) < 20:
        return rows[:0], rows
    n = round(VALID * len(rows))
    return rows[:n], rows[n:]


def asked(model: nn.Module, task: Task, known: np.ndarray, by: str, seed: int) -> np.ndarray:
    """Return the rows of the target that a strategy asks to label, `known` being labelled."""
    rest = np.setdiff1d(np.arange(len(task.target[0])), known)
    with torch.no_grad():
        out = model(task.preprocessing.stretch(task.target[0]))
    features, p = out.features.numpy(), torch.softmax(out.logits.double(), dim=1).numpy()
    pool = Pool(features[rest], entropy(p[rest]), rest.astype(str), np.ones(len(rest)), features[known])
    return rest[suggest(pool, by, MORE, seed)]


def score(model: nn.Module, task: Task) -> float:
    """Return macro F1 of `model` on the target's test part."""
    with torch.no_grad():
        answers = model(task.preprocessing.stretch(task.target_test[0])).logits.argmax(dim=1).numpy()
    return f1_score(task.target_test[1].numpy(), answers, average="macro")


class Runs:
    """What was measured, by cell; what is not there yet is run and written at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path = folder, folder / "runs.jsonl"
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        self.done = {tuple(row["cell"]): row["macro_f1"] for row in map(json.loads, lines)}

    def take(self, cell: tuple, task: Task, make: Callable[[], nn.Module]) -> None:
        """Score what `make` trains, unless `cell` was measured before."""
        if cell in self.done:
            return
        self.done[cell] = score(make(), task)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"cell": cell, "macro_f1": self.done[cell]}) + "\n")

    def pair(self, name: str, seed: int, weights: Iterable[float]) -> None:
        """Run everything on one pair with one seed."""
        task = load_task(name, seed, self.folder)
        order = numpy_stream(seed, "labels", name).permutation(len(task.target[0]))
        held: dict[str, nn.Module] = {}

        def adapted() -> nn.Module:
            held["adapted"] = held.get("adapted") or train(task, seed)
            return held["adapted"]

        def first() -> nn.Module:
            held["first"] = held.get("first") or train(task, seed, labels=order[:FIRST])
            return held["first"]

        self.take((name, "source-only", 0, seed), task, partial(train, task, seed, "source-only"))
        self.take((name, "adaptation", 0, seed), task, adapted)
        for k in LABELS:
            few = order[:k]
            alone = partial(train, task, seed, "source-only", few, source=False)
            self.take((name, "labels alone", k, seed), task, alone)
            self.take((name, "fine-tuning", k, seed), task, lambda on=alone: on(start=adapted()))
            joint = partial(train, task, seed, "source-only", few)
            self.take((name, "source + labels", k, seed), task, joint)
            self.take((name, "together", k, seed), task, partial(train, task, seed, labels=few))
            if k in LONGER_AT:
                longer = partial(train, task, seed, labels=few, epochs=2 * EPOCHS)
                self.take((name, LONGER, k, seed), task, longer)
            for weight in weights if k in WEIGHTS_AT else ():
                other = partial(train, task, seed, labels=few, weight=weight)
                self.take((name, f"weight {weight:g}", k, seed), task, other)
        for by in STRATEGIES:

            def bought(by: str = by) -> nn.Module:
                known = order[:FIRST]
                more = asked(first(), task, known, by, seed)
                return train(task, seed, labels=np.concatenate([known, more]))

            self.take((name, f"by {by}", FIRST + MORE, seed), task, bought)

    def encoder(self, name: str, seed: int) -> None:
        """Run what is asked of a frozen encoder on one pair with one seed."""
        task = load_task(name, seed, self.folder)
        order = numpy_stream(seed, "labels", name).permutation(len(task.target[0]))
        fit = partial(probe, task, seed, FeatureStore(seed))
        self.take((name, ENCODER[0], 0, seed), task, fit)
        self.take((name, ENCODER[1], 0, seed), task, partial(fit, ALIGNED))
        for k in LABELS:
            few = order[:k]
            self.take((name, ENCODER[2], k, seed), task, partial(fit, labels=few, source=False))
            self.take((name, ENCODER[3], k, seed), task, partial(fit, labels=few))
            self.take((name, ENCODER[4], k, seed), task, partial(fit, ALIGNED, few))


def mean(values: Iterable[float], sign: str = "") -> str:
    """Return ``0.812 ± 0.021``, the mean with the half width of its 95 % interval."""
    x = np.array(list(values))
    if len(x) < 2:
        return f"{x.mean():{sign}.3f}" if len(x) else ""
    half = student.ppf(0.975, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5
    return f"{x.mean():{sign}.3f} ± {half:.3f}"


def tables(done: dict[tuple, float], pairs: list[str]) -> str:
    """Return the tables in Markdown."""
    by: dict[tuple, dict[int, float]] = defaultdict(dict)
    for (pair, arm, k, seed), value in done.items():
        by[pair, arm, k][seed] = value
    lines = ["## Macro F1 on the target by number of labels", ""]
    lines += ["| pair | trained on | k = 0 | " + " | ".join(f"k = {k}" for k in LABELS) + " |"]
    lines += ["|---|---|" + "---|" * (len(LABELS) + 1)]
    for pair in pairs:
        for arm in ("source-only", "adaptation", *ARMS, LONGER, *ENCODER):
            cells = [mean(by[pair, arm, k].values()) for k in (0, *LABELS)]
            seeds = min((len(by[pair, arm, k]) for k in (0, *LABELS) if by[pair, arm, k]), default=0)
            lines.append(f"| {pair} ({seeds} seeds) | {arm} | {' | '.join(cells)} |")
    lines += ["", "## What together gains over each, paired by seed", ""]
    lines += ["| pair | over | " + " | ".join(f"k = {k}" for k in LABELS) + " |"]
    lines += ["|---|---|" + "---|" * len(LABELS)]
    for pair in pairs:
        for arm in (
            "adaptation",
            *ARMS[:-1],
            LONGER,
            *sorted({cell[1] for cell in done if "weight" in cell[1]}),
        ):
            cells = [
                _paired(by[pair, "together", k], by[pair, arm, 0 if arm == "adaptation" else k])
                for k in LABELS
            ]
            lines.append(f"| {pair} | {arm} | {' | '.join(cells)} |")
    lines += ["", f"## {MORE} labels more on top of {FIRST}, by strategy", ""]
    lines += ["| pair | " + " | ".join(STRATEGIES) + " | best against random |", "|---|" + "---|" * 5]
    for pair in pairs:
        found = {one: by[pair, f"by {one}", FIRST + MORE] for one in STRATEGIES}
        best = max(STRATEGIES[1:], key=lambda one: np.mean(list(found[one].values())) if found[one] else 0)
        cells = " | ".join(mean(found[one].values()) for one in STRATEGIES)
        lines.append(f"| {pair} | {cells} | {best} {_paired(found[best], found['random'])} |")
    return "\n".join(lines) + "\n"


def _paired(one: dict[int, float], other: dict[int, float]) -> str:
    return mean([one[seed] - other[seed] for seed in one if seed in other], "+")


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--weights", action="store_true")
    parser.add_argument("--encoder", action="store_true", help="a frozen EfficientNet-lite0 too")
    parser.add_argument("--write", action="store_true", help="write labels.md")
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs, pairs = Runs(given.folder), given.pairs.split(",")
    for seed in range(given.seeds):
        for pair in pairs:
            runs.pair(pair, seed, WEIGHTS if given.weights else ())
            if given.encoder:
                runs.encoder(pair, seed)
    text = tables(runs.done, pairs)
    print(text)
    if given.write:
        page = FOLDER / "labels.md"
        head = page.read_text(encoding="utf-8").split("## Macro F1")[0] if page.is_file() else "# Labels\n\n"
        page.write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    main()
