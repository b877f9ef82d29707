"""The quickstart's claim over several seeds, and what the quickstart costs beside that of another commit.

``python -m tests.benchmarks.quickstart --against 499a758 [--work DIR]``: the recipe of that commit, with its
code, and this one's, both at the same time and on one thread each.  Prints the CPU seconds of both, their
ratio, and the metrics that both evaluations found, with their intervals, side by side.

``python -m tests.benchmarks.quickstart [--work DIR] [--seeds 3]``: what each way of going from LSST to SDSS
reaches.  For each seed: new galaxies, both
surveys, every row of the table trained with the settings of ``recipes/quickstart.yaml``, and all of them
judged on 600 further galaxies per survey that no row has seen.  Work that is done already is not done again,
so that an interrupted benchmark goes on.  Prints a Markdown table: mean and, over the seeds, the lowest and
highest value.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import galshift
from galshift import console

RECIPE = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"
METHODS = ("adabn", "mmd", "coral", "dann", "sinkhorn")
SURVEYS = ("lsst", "sdss")
N_TEST = 600
ROOT = RECIPE.parents[1]
SCORES = ("accuracy", "macro_f1", "ece")
COLUMNS = (("sdss", "macro_f1"), ("sdss", "accuracy"), ("sdss", "ece"), ("lsst", "macro_f1"))


def settings() -> dict[str, dict[str, Any]]:
    """Return the steps of the quickstart as its file has them."""
    return yaml.safe_load(RECIPE.read_text(encoding="utf-8"))["steps"]


def observed(folder: Path, steps: dict[str, Any], name: str, galaxies_seed: int, n: int) -> str:
    """Simulate `n` galaxies, observe them as the survey of the quickstart's step `name`; return the file."""
    ideal, mocks = folder / f"{name}-{galaxies_seed}-ideal.h5", folder / f"{name}-{galaxies_seed}.h5"
    galshift.simulate(str(ideal), n=n, seed=galaxies_seed)
    galshift.make_mocks(str(ideal), str(mocks), survey=steps[name]["survey"], seed=galaxies_seed)
    return str(mocks)


def one_seed(folder: Path, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Train and judge every row; return row, survey and score."""
    steps = settings()
    n = steps["lsst-galaxies"]["n"]
    data, fresh = (
        {name: observed(folder, steps, name, 100 * seed + first + i, count) for i, name in enumerate(SURVEYS)}
        for first, count in ((0, n), (50, N_TEST))
    )
    training = {f"training.{key}": value for key, value in steps["adapted"]["training"].items()}
    plain = {
        **training,
        "augment.noise": steps["plain"]["augment"]["noise"],
        "preprocess.pixel_scale_arcsec": steps["plain"]["preprocess"]["pixel_scale_arcsec"],
    }
    rows = {"source-only, plain": folder / "plain", "ceiling: trained on target labels": folder / "ceiling"}
    galshift.train(data["lsst"], out=str(rows["source-only, plain"]), seed=seed, set=plain)
    galshift.train(data["sdss"], out=str(rows["ceiling: trained on target labels"]), seed=seed, set=plain)
    for method in METHODS:
        run = folder / method
        galshift.adapt(data["lsst"], data["sdss"], method=method, out=str(run), seed=seed, set=training)
        rows["source-only, noise augmentation"] = run / "source-only"
        rows[method] = run
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, run in rows.items():
        judged = galshift.evaluate(
            [str(run)],
            on=[f"lsst={fresh['lsst']}", f"sdss={fresh['sdss']}"],
            out=str(folder / "judged" / name.replace(" ", "-").replace(":", "")),
            set={"baseline": False, "n_permutations": 0, "samples": 0},
        )
        domains = judged.results["results"][0]["domains"]
        found[name] = {survey: {s: domains[survey][s] for s in SCORES} for survey in domains}
        share = {survey: domains[survey]["majority_class_accuracy"] for survey in domains}
        found["majority class"] = {
            survey: {"accuracy": value, "macro_f1": majority_f1(value, 3), "ece": np.nan}
            for survey, value in share.items()
        }
    return found


def majority_f1(share: float, n_classes: int) -> float:
    """Macro F1 of always giving the class of that share: its own F1 is 2 p / (1 + p), the others' are 0."""
    return 2 * share / (1 + share) / n_classes


def table(seeds: list[dict[str, dict[str, dict[str, float]]]]) -> str:
    """Return the Markdown table over seeds."""
    order = ["majority class", "source-only, plain", "source-only, noise augmentation", *METHODS]
    lines = [
        "| | SDSS macro F1 | SDSS accuracy | SDSS ECE | LSST macro F1 |",
        "|---|---|---|---|---|",
    ]
    for row in [*order, "ceiling: trained on target labels"]:
        cells = [cell([s[row][survey][score] for s in seeds]) for survey, score in COLUMNS]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(values: list[float]) -> str:
    """Return the mean and, in brackets, the lowest and highest value; a dash where there is none."""
    if np.isnan(values).all():
        return "–"
    return f"{np.mean(values):.3f} ({np.min(values):.2f}–{np.max(values):.2f})"


def compare(commit: str, work: Path) -> None:
    """Run the quickstart of `commit` and that of this tree at the same time; print costs and metrics."""
    then = work / "then"
    then.mkdir(exist_ok=True)
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(then)], input=packed.stdout, check=True)
    trees = {commit: then, "now": ROOT}
    running = {name: started(tree, work / f"runs-{name}") for name, tree in trees.items()}
    cost = {name: cpu_seconds(process) for name, process in running.items()}
    for name, seconds in cost.items():
        print(f"{name:8s} {seconds:6.1f} CPU s")
    print(f"ratio    {cost['now'] / cost[commit]:6.2f}\n")
    before, now = (found(work / f"runs-{name}") for name in trees)
    print(f"{'':32s}{commit:>24s}{'now':>24s}  each within the other's interval")
    for row in before:
        (old, *one), (new, *other) = before[row], now[row]
        within = one[0] <= new <= one[1] and other[0] <= old <= other[1]
        cells = [f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in (before[row], now[row])]
        print(f"{row:32s}{cells[0]:>24s}{cells[1]:>24s}  {'yes' if within else 'NO'}")


def started(tree: Path, out: Path) -> subprocess.Popen:
    """Start the quickstart of the checkout `tree` into `out`, as the command line does, on one thread."""
    recipe = out.with_suffix(".yaml")  # a copy: its lock is left beside it
    recipe.write_text((tree / "recipes" / "quickstart.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "galshift", "run", str(recipe), "--out", str(out), "--quiet"]
    alone = {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env={**os.environ, **alone}, stdout=subprocess.DEVNULL, cwd=out.parent)


def cpu_seconds(process: subprocess.Popen) -> float:
    """Wait for `process` and return its user and system seconds, those of its children included."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the quickstart ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def found(runs: Path) -> dict[str, tuple[float, float, float]]:
    """Return value, lower and upper bound of the scores that the quickstart's evaluation in `runs` found."""
    # The step was called `judged` in the recipe of 0.1.0.
    (file,) = [*runs.glob("evaluated-*/metrics.json"), *runs.glob("judged-*/metrics.json")]
    results = json.loads(file.read_text(encoding="utf-8"))["results"]
    return {
        f"{one['name']} on {survey}: {score}": (domain[score], *domain["ci95"][score])
        for one in results
        for survey, domain in one["domains"].items()
        for score in ("accuracy", "macro_f1")
    }


def main() -> None:
    """Run the seeds, print the table and the quickstart method's gain and cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="folder to keep the runs in [default: a temporary one]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="first seed; several may share one --work")
    parser.add_argument("--against", metavar="COMMIT", help="compare cost and metrics with this commit's")
    options = parser.parse_args()
    console.set_verbosity(quiet=True)
    with tempfile.TemporaryDirectory() as scratch:
        work = (options.work or Path(scratch)).absolute()
        if options.against:
            work.mkdir(parents=True, exist_ok=True)
            compare(options.against, work)
            return
        seeds = []
        for seed in range(options.first, options.first + options.seeds):
            folder = work / f"seed-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            seeds.append(one_seed(folder, seed))
    print(table(seeds))
    method = settings()["adapted"]["method"]
    gain = [s[method]["sdss"]["macro_f1"] - s["source-only, plain"]["sdss"]["macro_f1"] for s in seeds]
    cost = [s["source-only, plain"]["lsst"]["macro_f1"] - s[method]["lsst"]["macro_f1"] for s in seeds]
    print(
        f"\n{method}: gain on SDSS {np.mean(gain):+.3f}, loss on LSST {np.mean(cost):+.3f} (macro F1, mean)"
    )


if __name__ == "__main__":
    main()
