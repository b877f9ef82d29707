"""What classifiers without a network reach beside networks on the transfer tasks, and what they cost.

::

    python -m tests.benchmarks.transfer --work FOLDER --first 35 --seeds 3 --tasks depth,sdss,mix \\
        --methods source-only,adabn,infomax,cdan-e
    python -m tests.benchmarks.baselines --work FOLDER --tasks depth,sdss,mix
    python -m tests.benchmarks.baselines --cost 1000

The first command trains the networks; the second prints macro F1, the mean over seeds and half its 95 %
interval (Student's t), of source-only, auto and every baseline on the same test galaxies.  The third prints
CPU seconds of the baselines on as many images of 72 pixels from each of two surveys, beside those of one
epoch of the default network on them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.preprocess import Preprocessing, fit_preprocessing
from galshift.evaluation.baselines import BASELINES
from galshift.evaluation.baselines._base import standardise_by
from galshift.evaluation.baselines._measure import common_depth, measured
from galshift.methods import METHODS
from galshift.models.build import build_model
from galshift.simulate.generate import simulate_all
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.sets import TrainingSet
from tests.benchmarks.transfer import collect, summary
from tests.benchmarks.transfer_choice import macro_f1
from tests.benchmarks.transfer_tasks import Task, load_task

Images = tuple[Tensor, Tensor]


def data_set(linear: Tensor, pre: Preprocessing, name: str) -> InMemory:
    """Return linear images as a data set that `pre` leaves as they are."""
    ids = np.array([f"{name}{k}" for k in range(len(linear))])
    return InMemory(
        Cutouts(
            linear.numpy(),
            unit=pre.unit,
            pixel_scale=pre.pixel_scale_arcsec,
            bands=tuple(pre.bands),
            ids=ids,
        )
    )


def answers(task: Task, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Return the probabilities of every baseline on the test images of source and target."""
    pre = task.preprocessing
    parts = {
        name: data_set(getattr(task, name)[0], pre, name)
        for name in ("source", "source_test", "target", "target_test")
    }
    rows = {name: np.arange(len(part)) for name, part in parts.items()}
    depth = common_depth((parts["source"], rows["source"]), (parts["target"], rows["target"]), pre, seed)
    baselines = {name: BASELINES.get(name)() for name in BASELINES.names()}
    features = {
        name: measured(baselines, part, rows[name], pre, getattr(depth, name.removesuffix("_test")), name)
        for name, part in parts.items()
    }
    found: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for name, baseline in baselines.items():
        for standardised in (False, True):
            own = {
                domain: standardise_by(features[domain][name]) if standardised else np.asarray
                for domain in ("source", "target")
            }
            predict = baseline.learn(
                own["source"](features["source"][name]), task.source[1].numpy(), len(task.classes), seed
            )
            title = f"standardised {baseline.title}" if standardised else baseline.title
            for domain in own:
                found[title][domain] = predict(own[domain](features[f"{domain}_test"][name]))
    return found


def table(work: Path, tasks: list[str]) -> str:
    """Return macro F1 on source and target as Markdown: networks, then baselines."""
    scores: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    networks = collect(work, tasks)["rows"]
    for task in tasks:
        seeds = [row["seed"] for row in networks[task]["auto"]]
        for name in ("source-only", "auto"):
            scores[name][task, "target"] = [row["macro_f1"] for row in networks[task][name]]
            scores[name][task, "source"] = [row["source"] for row in networks[task][name]]
        for seed in seeds:
            loaded = load_task(task, seed, work / "data")
            for title, by_domain in answers(loaded, seed).items():
                for domain, p in by_domain.items():
                    labels = getattr(loaded, f"{domain}_test")[1].numpy()
                    known = labels >= 0
                    right = p[known].argmax(axis=1)
                    score = macro_f1(labels[known], right, len(loaded.classes))
                    accuracy = float((right == labels[known]).mean())
                    scores[title][task, domain].append(score if domain == "target" else accuracy)
    columns = [(task, domain) for task in tasks for domain in ("target", "source")]
    names = {"target": "target macro F1", "source": "source accuracy"}
    lines = ["| | " + " | ".join(f"{task}: {names[domain]}" for task, domain in columns) + " |"]
    lines.append("|---" * (1 + len(columns)) + "|")
    for name, row in scores.items():
        cells = ["{:.2f} ± {:.2f}".format(*summary(row[column])) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cost(n: int, side: int = 72) -> str:
    """Return CPU seconds of everything on `n` training and `n` target images, and of an epoch of training."""
    galaxies = simulate_all(2 * n, size=side, seed=1)
    rng = np.random.default_rng(0)
    sigma = 0.01 * float(np.percentile(galaxies.images, 99.9))
    pixels = galaxies.images + rng.normal(0, sigma, galaxies.images.shape).astype(np.float32)
    pixels[n:] += rng.normal(0, sigma, pixels[n:].shape)
    pre = fit_preprocessing(InMemory(galaxies.with_(images=pixels, table=None)), np.arange(n))
    linear = torch.from_numpy(pixels)
    labels = torch.from_numpy(galaxies.labels)
    k = len(galaxies.classes)
    source, target = (data_set(one, pre, name) for name, one in (("s", linear[:n]), ("t", linear[n:])))
    start = time.process_time()
    depth = common_depth((source, np.arange(n)), (target, np.arange(n)), pre, 0)
    lines = [f"noise of both domains: {time.process_time() - start:.1f} s"]
    for name in BASELINES.names():
        baseline, one = BASELINES.get(name)(), {}
        for part, noise in ((source, depth.source), (target, depth.target)):
            start = time.process_time()
            one[id(part)] = measured({name: baseline}, part, np.arange(n), pre, noise, name)[name]
            lines.append(f"{name}: features of {n} images {time.process_time() - start:.1f} s")
        start = time.process_time()
        predict = baseline.learn(one[id(source)], labels[:n].numpy(), k, 0)
        predict(one[id(target)])
        lines.append(f"{name}: fitting and answering {time.process_time() - start:.1f} s")
    job = TrainingJob(
        source=TrainingSet(linear[:n], labels[:n]),
        valid=TrainingSet(linear[:50], labels[:50]),
        target=None,
        training=TrainConfig(epochs=1, batch_size=32),
        head=ClassHead(tuple(galaxies.classes)),
        device="cpu",
        stretch=pre.stretch,
    )
    model = build_model("deepmerge", in_channels=pre.n_bands, size=side, n_classes=k)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        fit(model, METHODS.get("source-only")(), job, directory=Path(folder), seed=0, progress=None)
    lines.append(f"one epoch of source-only on {n} images: {time.process_time() - start:.1f} s")
    return "\n".join(lines)


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="folder of the transfer benchmark")
    parser.add_argument("--tasks", default="depth,sdss,mix")
    parser.add_argument("--cost", type=int, help="images of each survey")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.cost:
        print(cost(given.cost))
    if given.work:
        print(table(given.work, given.tasks.split(",")))


if __name__ == "__main__":
    main()
