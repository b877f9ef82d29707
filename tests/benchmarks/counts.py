"""Do the intervals of ``galshift count`` hold, how narrow are they, and does it refuse where it must?

::

    python -m tests.benchmarks.counts --work FOLDER [--repeats 300] [--parts PART,...]

*synthetic*: scores of a class that follow two Gaussians, calibrated for another mix: ``good`` and ``weak``
networks, and a ``wrong`` one that takes the class for the rest and the rest for the class.  *strata*: three
classes of which a network gives most, or few, or (``wrong``) always another.  *free*: three Gaussian classes
of which the mix changes, without and with a change of the images.  *pairs*: a small network (source-only,
deepmerge, 12 epochs) of three pairs of the transfer benchmark and of ``same`` (one survey twice); targets are
drawn from the target images of four seeds without replacement, with one class at 3, 10 or 35 % (for counts
without labels 10, 35 or 60 %).  In ``wrong on purpose`` the network of ``depth`` has its answers moved on by
one class.

A cell is ``--repeats`` targets, without labels of the pairs a third.  ``holds``: share of intervals that hold
the truth (a 95 % interval of that from 300 is +- 2.5 points).  ``width``: mean width; ``of labels alone``:
over that of the interval from the labels alone, in the same way: with Jeffreys' prior, for the same finite
set.  ``r``: correlation of label and answer (0 or 1) among all.
The tables are written to ``counts.md`` beside this file.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.special import softmax

from galshift.embedding.labelling import at_random_in_strata
from galshift.errors import DataError
from galshift.evaluation.count_labelled import Sampled, by_strata, class_fraction, labels_alone
from galshift.evaluation.count_unlabelled import Outputs, label_free
from tests.benchmarks.transfer_runs import new_network, run_cell
from tests.benchmarks.transfer_tasks import Task, load_task

FRACTIONS, LABELS = (0.03, 0.10, 0.35), (30, 100)
N_SYNTHETIC = 1000
POOLED = 4
NETWORKS = 5
Scores = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def gaussian(distance: float) -> Scores:
    """Scores that are right for a mix of 30 % and classes `distance` standard deviations apart."""

    def make(is_class: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = rng.normal(size=len(is_class)) + distance * is_class
        return 1 / (1 + np.exp(-(distance * x - distance**2 / 2 + np.log(0.3 / 0.7))))

    return make


SYNTHETIC: dict[str, Scores] = {
    "good": gaussian(3.2),
    "weak": gaussian(1.2),
    "wrong": lambda is_class, rng: gaussian(2.5)(~is_class, rng),
}


@dataclass
class Tally:
    """Intervals of one cell, as they come."""

    holds: list[bool]
    width: list[float]
    alone_holds: list[bool]
    alone: list[float]
    r: list[float]

    def row(self) -> str:
        """Return the cells of a table."""
        ratio = np.mean(self.width) / np.mean(self.alone)
        return (
            f"{np.mean(self.r):+.2f} | {np.mean(self.holds):.1%} | {np.mean(self.width):.3f} | {ratio:.2f} | "
            f"{np.mean(self.alone_holds):.1%}"
        )


def counted(
    tally: Tally, is_class: np.ndarray, score: np.ndarray, answer: np.ndarray, n: int, seed: int
) -> None:
    """Draw `n` labels, count, and add the interval to the tally."""
    rng = np.random.default_rng([seed, n])
    labelled = rng.permutation(len(is_class))[:n]
    truth = is_class.mean()
    sample = Sampled(is_class[labelled], labelled, score, np.where(answer, 0, 1))
    found, alone = class_fraction(sample, seed), labels_alone(sample, seed)
    tally.holds.append(found.low - 1e-9 <= truth <= found.high + 1e-9)
    tally.alone_holds.append(alone.low - 1e-9 <= truth <= alone.high + 1e-9)
    tally.width.append(found.high - found.low)
    tally.alone.append(alone.high - alone.low)
    varied = answer.any() and not answer.all()
    tally.r.append(float(np.corrcoef(answer, is_class)[0, 1]) if varied else 0.0)


def empty() -> Tally:
    """Return a tally of nothing."""
    return Tally([], [], [], [], [])


HEAD = "| network | class | labels | r | holds | width | of labels alone | labels alone hold |"
RULE = "|---|---|---|---|---|---|---|---|"


def synthetic(repeats: int) -> Iterator[str]:
    """Yield the table of the synthetic classifiers."""
    yield from (HEAD, RULE)
    for name, make in SYNTHETIC.items():
        for share in FRACTIONS:
            for n in LABELS:
                tally = empty()
                for seed in range(repeats):
                    rng = np.random.default_rng(seed)
                    is_class = np.arange(N_SYNTHETIC) < round(
                        share * np.exp(rng.normal(0, 0.1)) * N_SYNTHETIC
                    )
                    score = make(is_class, rng)
                    counted(tally, is_class, score, score >= 0.5, n, seed)
                yield f"| {name} | {share:.0%} | {n} | {tally.row()} |"


def by_answer(repeats: int) -> Iterator[str]:
    """Yield the table of samples with as many again from the galaxies of each answer (suggest --strata)."""
    yield "| network | class | labels | holds | width | of a simple sample's |"
    yield "|---|---|---|---|---|---|"
    for name, right in (("good", 0.92), ("weak", 0.6), ("wrong", 0.05)):
        for share in FRACTIONS:
            for n in LABELS:
                drawn, simple = empty(), empty()
                for seed in range(repeats):
                    rng = np.random.default_rng(seed)
                    mix = np.array([share, 0.6 * (1 - share), 0.4 * (1 - share)])
                    labels = rng.choice(3, N_SYNTHETIC, p=mix)
                    answer = np.where(
                        rng.random(N_SYNTHETIC) < right, labels, rng.integers(0, 3, N_SYNTHETIC)
                    )
                    answer = (answer + 1) % 3 if name == "wrong" else answer
                    is_class = labels == 0
                    counted(simple, is_class, np.where(answer == 0, 0.9, 0.1), answer == 0, n, seed)
                    rows = at_random_in_strata(np.arange(N_SYNTHETIC), answer, n, seed)
                    stratum = np.where(answer == 0, 0, 1 + answer)
                    found = by_strata(Sampled(is_class[rows], rows, answer.astype(float), stratum), seed)
                    drawn.holds.append(found.low - 1e-9 <= is_class.mean() <= found.high + 1e-9)
                    drawn.width.append(found.high - found.low)
                ratio = np.mean(drawn.width) / np.mean(simple.width)
                told = f"{np.mean(drawn.holds):.1%} | {np.mean(drawn.width):.3f} | {ratio:.2f}"
                yield f"| {name} | {share:.0%} | {n} | {told} |"


CHANGES = {
    "mix alone": {},
    "blurred a little": {"scale": 0.8},
    "blurred": {"scale": 0.6},
    "one class moved": {"moved": 0.8},
    "classes swapped": {"swapped": True},
}


def free(repeats: int) -> Iterator[str]:
    """Yield the table of counts without labels: how often refused, and how often right where not."""
    yield "| what changes | refused | intervals that hold, where not refused | mean error |"
    yield "|---|---|---|---|"
    for name, change in CHANGES.items():
        refused, holds, errors = [], [], []
        for seed in range(repeats):
            rng = np.random.default_rng(seed)
            source, _ = _three(rng, 240, np.full(3, 1 / 3), {})
            target, truth = _three(rng, 600, rng.dirichlet([2, 2, 2]), change)
            found = label_free(source, target, n_bootstrap=100, seed=seed)
            refused.append(not found.holds)
            if found.holds:
                holds.append((found.low <= truth) & (truth <= found.high))
                errors.append(np.abs(found.estimate - truth).mean())
        told = f"{np.mean(holds):.1%} | {np.mean(errors):.3f}" if holds else "– | –"
        yield f"| {name} | {np.mean(refused):.1%} | {told} |"


def _three(rng: np.random.Generator, n: int, mix: np.ndarray, change: dict) -> tuple[Outputs, np.ndarray]:
    """Return the logits of three Gaussian classes, and the mix that was drawn."""
    labels = rng.choice(3, n, p=mix)
    shown = (labels + 1) % 3 if change.get("swapped") else labels
    x = 2.5 * change.get("scale", 1.0) * np.eye(3)[shown] + rng.normal(size=(n, 3))
    x[labels == 0, 1] += change.get("moved", 0.0) * 2.5
    outputs = Outputs(2.0 * x, np.arange(n), x, labels)
    return outputs, np.bincount(labels, minlength=3) / n


@dataclass(frozen=True)
class Pool:
    """A network's outputs for held-out images of its source, and for images that targets are drawn from."""

    source: Outputs
    target: Outputs


def pool_of(name: str, work: Path, seed: int = 0) -> Pool:
    """Return the outputs of the network of one pair, trained at the first call.

    Targets are drawn from the target images of `POOLED` seeds of the pair: of one seed, those of ``mix`` are
    so few that 100 labels are nearly all, and an interval of whole galaxies then holds more than it promises.
    """
    task = load_task(name, seed, work)
    folder = work / f"{name}-{seed}"
    folder.mkdir(exist_ok=True)
    if not (folder / "source-only.npz").is_file():
        run_cell("source-only", task, seed, folder)
    model = new_network(task, seed)
    model.load_state_dict(load_file(folder / "source-only.safetensors"))
    target = [load_task(name, one, work) for one in range(seed, seed + POOLED)]
    return Pool(
        _outputs(model.eval(), task, ("valid", "source_test"), [task]),
        _outputs(model, task, ("target", "target_test"), target),
    )


@torch.no_grad()
def _outputs(model: torch.nn.Module, own: Task, parts: tuple[str, ...], tasks: list[Task]) -> Outputs:
    images, labels = (torch.cat([getattr(t, part)[k] for t in tasks for part in parts]) for k in (0, 1))
    labels = labels.numpy()
    out = [model(own.preprocessing.stretch(chunk)) for chunk in images.split(128)]
    logits, features = (torch.cat([getattr(one, key) for one in out]) for key in ("logits", "features"))
    return Outputs(logits.double().numpy(), np.arange(len(labels)), features.double().numpy(), labels)


def _target(pool: Outputs, k: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return rows of a target with a share `share` of class k: as many as the pool allows, at most 400."""
    mine, rest = np.flatnonzero(pool.labels == k), np.flatnonzero(pool.labels != k)
    n = int(min(len(mine) / share, len(rest) / (1 - share), 400))
    hits = max(round(share * n), 1)
    return np.concatenate([rng.permutation(mine)[:hits], rng.permutation(rest)[: n - hits]])


def _pools(work: Path, seed: int = 0) -> dict[str, Pool]:
    """The pairs, and the one whose network is wrong on purpose."""
    pools = {name: pool_of(name, work, seed) for name in ("depth", "sdss", "mix", "same")}
    moved = pools["depth"].target
    wrong = Outputs(np.roll(moved.logits, 1, axis=1), moved.groups, moved.features, moved.labels)
    return pools | {"wrong on purpose": Pool(pools["depth"].source, wrong)}


def pairs(repeats: int, work: Path) -> Iterator[str]:
    """Yield the table of real networks with labels."""
    yield from (HEAD.replace("network", "pair"), RULE)
    for name, pool in ((name, one.target) for name, one in _pools(work).items() if name != "same"):
        for share in FRACTIONS:
            for n in LABELS:
                tally = empty()
                for seed in range(repeats):
                    rng = np.random.default_rng(seed)
                    k = seed % pool.logits.shape[1]
                    rows = _target(pool, k, share, rng)
                    answer = pool.logits[rows].argmax(axis=1) == k
                    score = softmax(pool.logits[rows], axis=1)[:, k]
                    counted(tally, pool.labels[rows] == k, score, answer, n, seed)
                yield f"| {name} | {share:.0%} | {n} | {tally.row()} |"


def pairs_free(repeats: int, work: Path) -> Iterator[str]:
    """Yield the table of real networks without labels, of a third of the repeats.

    Where a count is not refused it rests on the source's images too: several networks, each with its own.
    """
    yield "| pair | networks | refused | intervals that hold, where not refused | mean error |"
    yield "|---|---|---|---|---|"
    for name, pool in _pools(work).items():
        others = [pool_of(name, work, seed) for seed in range(1, NETWORKS)] if name == "same" else []
        yield f"| {name} | {1 + len(others)} | {_free_row([pool, *others], repeats // 3)} |"


def _free_row(pools: list[Pool], repeats: int) -> str:
    refused, holds, errors = [], [], []
    for pool, seed in product(pools, range(repeats)):
        rng = np.random.default_rng(seed)
        k = seed % pool.target.logits.shape[1]
        target = pool.target.at(_target(pool.target, k, (0.10, 0.35, 0.6)[seed % 3 - 1], rng))
        truth = np.bincount(target.labels, minlength=target.logits.shape[1]) / len(target.labels)
        try:
            found = label_free(pool.source, target, n_bootstrap=100, seed=seed)
        except DataError:
            refused.append(True)
            continue
        refused.append(not found.holds)
        if found.holds:
            holds.append((found.low <= truth) & (truth <= found.high))
            errors.append(np.abs(found.estimate - truth).mean())
    told = f"{np.mean(holds):.1%} | {np.mean(errors):.3f}" if holds else "– | –"
    return f"{np.mean(refused):.1%} | {told}"


def main() -> None:
    """Print every table, and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of what takes long to make")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--parts", default="synthetic,strata,free,pairs,pairs-free")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    tables = {
        "synthetic": ("Synthetic classifiers, with labels", lambda: synthetic(arguments.repeats)),
        "strata": ("Synthetic classifiers, labels drawn by answer", lambda: by_answer(arguments.repeats)),
        "free": ("Synthetic classifiers, without labels", lambda: free(arguments.repeats)),
        "pairs": (
            "Networks of built-in pairs, with labels",
            lambda: pairs(arguments.repeats, arguments.work),
        ),
        "pairs-free": (
            "Networks of built-in pairs, without labels",
            lambda: pairs_free(arguments.repeats, arguments.work),
        ),
    }
    for part in arguments.parts.split(","):
        title, made = tables[part]
        text = [f"## {title}", ""]
        print(f"## {title}\n")
        for line in made():
            print(line, flush=True)
            text.append(line)
        (arguments.work / f"{part}.md").write_text("\n".join([*text, ""]), encoding="utf-8")
    parts = [arguments.work / f"{part}.md" for part in tables]
    told = [path.read_text(encoding="utf-8") for path in parts if path.is_file()]
    begin = (__doc__ or "").split("\n\n")[0]
    written = "\n".join(
        [f"# {begin}", "", "Made by `python -m tests.benchmarks.counts`; its first lines say how.", "", *told]
    )
    Path(__file__).with_suffix(".md").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
