"""Does the unknown class stand aside in the features, and do the known ones of both domains overlap?

::

    python -m tests.benchmarks.unknown_embedding --work FOLDER [--task universal] [--seeds 0] [--rows pulse]

Features of the source's validation images (with the noise that the network trained on) and of the target's
test images, of ``unknown.py``'s runs in FOLDER; a run without features is trained again.  Every feature is
divided by its standard deviation over the source.

``apart``: distance of the domains' centroids over the rms distance of the source's images from theirs, class
by class, median and worst; below 1 the domains overlap.  ``mixed``: of the 10 nearest neighbours of a known
target image, among source images and known target ones, the share that is of the source, over what it would
be by chance.  ``known pure``: of its 10 nearest source images, the share that is of its class.  ``purity``:
of the 10 nearest neighbours of an unknown image among target images, the share that is unknown; ``chance`` is
the share of the unknown in the target.  A picture (t-SNE) of each seed's rows goes to FOLDER.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist
from sklearn.manifold import TSNE

from tests.benchmarks.unknown import is_done, run_row
from tests.benchmarks.unknown_tasks import KNOWN, load_task

ROWS = ("source-only", "pulse", "deepastrouda")
NEIGHBOURS = 10
COLUMNS = ("apart, median", "apart, worst", "mixed", "known pure", "purity", "chance")


def measure(
    source: np.ndarray, labels: np.ndarray, target: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    """Return the columns.

    Parameters
    ----------
    source, target : ndarray
        (M, D) and (N, D) features.
    labels, truth : ndarray
        (M,) and (N,) classes; -1 is the unknown one.
    """
    apart = []
    for k in np.unique(labels):
        own, there = source[labels == k], target[truth == k]
        spread = np.sqrt(((own - own.mean(axis=0)) ** 2).sum(axis=1).mean())
        apart.append(float(np.linalg.norm(own.mean(axis=0) - there.mean(axis=0)) / spread))
    known = target[truth >= 0]
    both = np.concatenate([source, known])
    # Each image is its own nearest neighbour, and does not count.
    near = np.argsort(cdist(known, both), axis=1)[:, 1 : NEIGHBOURS + 1]
    chance = len(source) / (len(both) - 1)
    nearest = np.argsort(cdist(known, source), axis=1)[:, :NEIGHBOURS]
    alike = np.argsort(cdist(target[truth < 0], target), axis=1)[:, 1 : NEIGHBOURS + 1]
    return {
        "apart, median": float(np.median(apart)),
        "apart, worst": max(apart),
        "mixed": float((near < len(source)).mean() / chance),
        "known pure": float((labels[nearest] == truth[truth >= 0][:, None]).mean()),
        "purity": float((truth[alike] < 0).mean()),
        "chance": float((truth < 0).mean()),
    }


def draw(panels: dict[str, tuple[np.ndarray, ...]], classes: tuple[str, ...], path: Path) -> None:
    """Draw t-SNE maps: source small dots, target crosses, the unknown class black."""
    figure = Figure(figsize=(6 * len(panels), 6), layout="constrained")
    for axis, (row, (source, labels, target, truth)) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        flat = TSNE(random_state=0).fit_transform(np.concatenate([source, target]))
        colours = [f"C{k}" for k in range(len(classes))]
        for places, kinds, marker in (
            (flat[: len(source)], labels, "."),
            (flat[len(source) :], truth, "x"),
        ):
            for k, name in enumerate(classes):
                own = places[kinds == k]
                axis.scatter(*own.T, s=14, marker=marker, c=colours[k], label=name if marker == "." else None)
            axis.scatter(*places[kinds < 0].T, s=18, marker="x", c="black", label=None)
        axis.set(title=row, xticks=[], yticks=[])
    axis.legend(fontsize=7)
    figure.savefig(path, dpi=80)


def main() -> None:
    """Measure, draw, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--task", default="universal")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--rows", default=",".join(ROWS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| seed | row | " + " | ".join(COLUMNS) + " |\n" + "|---" * (2 + len(COLUMNS)) + "|")
    for seed in map(int, given.seeds.split(",")):
        task, panels = load_task(given.task, seed, given.work / "data"), {}
        for row in given.rows.split(","):
            path = given.work / given.task / str(seed) / f"{row}.npz"
            if not is_done(row, path) or "features.test" not in np.load(path).files:
                run_row(row, task, seed, path)
            with np.load(path) as stored:
                source, target = stored["features.valid"], stored["features.test"]
            scale = source.std(axis=0)
            used = scale > 1e-6
            source, target = source[:, used] / scale[used], target[:, used] / scale[used]
            panels[row] = (source, task.valid[1].numpy(), target, task.target_test[1].numpy())
            cells = [f"{value:.2f}" for value in measure(*panels[row]).values()]
            print(f"| {seed} | {row} | " + " | ".join(cells) + " |", flush=True)
        draw(panels, KNOWN[given.task], given.work / f"{given.task}-{seed}.png")


if __name__ == "__main__":
    main()
