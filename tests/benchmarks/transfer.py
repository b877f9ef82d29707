"""Every method, and auto, on transfer tasks; and what each way of choosing an epoch loses.

::

    python -m tests.benchmarks.transfer --work FOLDER [--seeds 15] [--tasks depth,mix] [--methods mmd,dann]
    python -m tests.benchmarks.transfer --work FOLDER --tasks elsewhere --first 0 --seeds 5

The rules of ``auto`` were set on the tasks elsewhere and, where those left a choice, on seeds 0 to 34 of the
first six, and 100 to 102; seeds from 35 only compare.

Every run is a file in FOLDER, so that the benchmark can be stopped and goes on where it was; ``--report``
prints the tables of what is there.  Networks and sets are small (300 + 300 images of 48 pixels, 12 epochs of
10 steps; 750 + 450 drawings), so that the whole takes a laptop some six hours; numbers compare methods with
each other, not with published ones.  Each row is judged at the epoch that ``adapt`` keeps by default, on
target images that adaptation never saw.  +- is half a 95 % interval of the mean over seeds (Student's t).
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.special import softmax
from scipy.stats import t as student
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from galshift.evaluation.calibration import expected_calibration_error, reliability
from galshift.methods import METHODS
from galshift.provenance import write_json
from galshift.selection.mix_evidence import credible_mix
from tests.benchmarks.transfer_choice import (
    RULES,
    auto,
    candidate,
    chosen_epoch,
    macro_f1,
    measurements,
    regrets,
    source_loss_epoch,
)
from tests.benchmarks.transfer_runs import PLAIN, Cell, is_done, read_cell, run_cell
from tests.benchmarks.transfer_tasks import ELSEWHERE, TASKS, UNKNOWN, load_task

COLUMNS = ("source", "accuracy", "balanced", "macro_f1", "ece", "rarest_recall", "seconds")


def judge(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the columns of one run on images of known class."""
    known = labels >= 0
    p, labels = softmax(logits[known], axis=1), labels[known]
    predictions, k = p.argmax(1), p.shape[1]
    counts = np.bincount(labels, minlength=k)
    rarest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
    return {
        "accuracy": float((predictions == labels).mean()),
        "balanced": float(balanced_accuracy_score(labels, predictions)),
        "macro_f1": macro_f1(labels, predictions, k),
        "ece": float(expected_calibration_error(reliability(labels, p))),
        "rarest_recall": float((predictions[labels == rarest] == rarest).mean()),
    }


def universal(cell: Cell, epoch: int) -> dict[str, float]:
    """Return AUROC of the unknown class and the H-score; the score is the method's own, or 1 - max p."""
    labels, logits = cell.labels["target_test"], cell.logits["target_test"][epoch]
    own = cell.unknown is not None
    score = cell.unknown[epoch] if own else 1 - softmax(logits, axis=1).max(1)
    unknown = labels < 0
    flagged = score > 0.5
    right = (logits.argmax(1) == labels) & ~flagged
    known, found = float(right[~unknown].mean()), float(flagged[unknown].mean())
    harmonic = 2 * known * found / (known + found) if known + found else 0.0
    return {"auroc": float(roc_auc_score(unknown, score)), "h_score": harmonic}


def run(work: Path, tasks: list[str], seeds: range, methods: list[str]) -> None:
    """Train whatever is not there yet."""
    for seed in seeds:
        for task in tasks:
            folder = work / task / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            missing = [m for m in methods if not is_done(m, folder)]
            loaded = load_task(task, seed, work / "data") if missing else None
            for method in missing:
                run_cell(method, loaded, seed, folder)
                print(f"seed {seed}, {task}: {method}", flush=True)


def collect(work: Path, tasks: list[str]) -> dict[str, Any]:
    """Return all rows, regrets and choices of the cells that are there."""
    rows: dict[str, dict[str, list]] = {task: defaultdict(list) for task in tasks}
    lost: dict[str, list] = {rule: [] for rule in RULES}
    choices: dict[str, dict[str, Any]] = defaultdict(dict)
    by_task: dict[str, dict[str, list]] = {task: {rule: [] for rule in RULES} for task in tasks}
    for task in tasks:
        for folder in sorted((work / task).glob("*")):
            if not (folder / "source-only.npz").is_file():
                continue
            labels = _labels(work, task, int(folder.name))
            cells = {path.stem: read_cell(path, labels) for path in sorted(folder.glob("*.npz"))}
            plain = cells["source-only"]
            # As adapt asks: the source-only network, and the same with the target's batch norm.
            witnesses = [plain, *([cells["adabn"]] if "adabn" in cells else [])]
            prior = credible_mix(*(candidate(one, source_loss_epoch(one)) for one in witnesses))
            epochs = {}
            for name, cell in cells.items():
                method = "source-only" if name == PLAIN else name
                scores = measurements(cell, folder / f"{name}.npz", prior)
                epochs[name] = epoch = chosen_epoch(cell, scores, method)
                row = judge(cell.logits["target_test"][epoch], labels["target_test"])
                row["source"] = float(
                    (cell.logits["source_test"][epoch].argmax(1) == labels["source_test"]).mean()
                )
                row["seconds"] = cell.facts["seconds"]
                if task in UNKNOWN:
                    row |= universal(cell, epoch)
                rows[task][name].append(row | {"seed": int(folder.name)})
                for rule, value in regrets(cell, scores).items():
                    lost[rule].append(value)
                    by_task[task][rule].append(value)
            _add_auto(rows[task], cells, epochs, labels, int(folder.name), choices[task])
    return {
        "rows": rows,
        "choices": choices,
        "regret": {rule: float(np.mean(values)) for rule, values in lost.items() if values},
        "regret_by_task": {
            task: {rule: float(np.mean(v)) for rule, v in by_task[task].items() if v} for task in tasks
        },
        "runs": len(lost["last"]),
    }


def _add_auto(rows: dict, cells: dict, epochs: dict, labels: dict, seed: int, choices: dict) -> None:
    """Add the row of auto, where all that it tries is there."""
    try:
        name, logits, facts = auto(cells, epochs)
    except KeyError:
        return
    row = judge(logits, labels["target_test"])
    tried = facts["predicted_mix"]
    row["source"] = next(r["source"] for r in rows[name] if r["seed"] == seed)
    row["seconds"] = sum(cells[one].facts["seconds"] for one in tried)
    if "auroc" in rows[name][-1]:
        row |= {key: rows[name][-1][key] for key in ("auroc", "h_score")}
    rows["auto"].append(row | {"seed": seed})
    choices[str(seed)] = {"chosen": name, "another_mix": facts["another_mix"]}


def _labels(work: Path, task: str, seed: int) -> dict[str, np.ndarray]:
    with np.load(work / "data" / f"{task}-{seed}.npz") as stored:
        return {part: stored[f"{part}_labels"] for part in ("valid", "source_test", "target", "target_test")}


def summary(values: list[float]) -> tuple[float, float]:
    """Return the mean and half its 95 % interval, NaN for one value."""
    n = len(values)
    half = student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n) if n > 1 else float("nan")
    return float(np.mean(values)), float(half)


def report(found: dict[str, Any]) -> str:
    """Return every table as Markdown."""
    lines = []
    for task, rows in found["rows"].items():
        if not rows:
            continue
        extra = ("auroc", "h_score") if task in UNKNOWN else ()
        lines += [f"\n### {task}", "", "| method | seeds | " + " | ".join((*COLUMNS, *extra)) + " |"]
        lines.append("|---" * (2 + len(COLUMNS) + len(extra)) + "|")
        order = sorted(rows, key=lambda name: -np.mean([r["macro_f1"] for r in rows[name]]))
        for name in order:
            cells = []
            for column in (*COLUMNS, *extra):
                mean, half = summary([row[column] for row in rows[name]])
                cells.append(f"{mean:.1f}" if column == "seconds" else f"{mean:.3f} ± {half:.3f}")
            lines.append(f"| {name} | {len(rows[name])} | " + " | ".join(cells) + " |")
        if "auto" in rows:
            lines.append("\n" + _verdict(rows, found["choices"][task]))
    lines += ["\n### Regret: target macro-F1 lost against the best epoch of each run", ""]
    lines += ["| rule | all runs | " + " | ".join(found["regret_by_task"]) + " |"]
    lines += ["|---" * (2 + len(found["regret_by_task"])) + "|"]
    for rule, value in sorted(found["regret"].items(), key=lambda item: item[1]):
        each = [f"{by.get(rule, float('nan')):.3f}" for by in found["regret_by_task"].values()]
        lines.append(f"| {rule} | {value:.4f} | " + " | ".join(each) + " |")
    lines.append(f"\n{found['runs']} runs.")
    return "\n".join(lines)


def _verdict(rows: dict[str, list], choices: dict[str, Any]) -> str:
    """Compare auto with the best single method and with source-only on the seeds that all have."""
    seeds = {row["seed"] for row in rows["auto"]}
    complete = {
        name: np.mean([row["macro_f1"] for row in own if row["seed"] in seeds])
        for name, own in rows.items()
        if seeds <= {row["seed"] for row in own} and name not in ("auto", PLAIN)
    }
    best = max(complete, key=complete.get)
    mine = np.mean([row["macro_f1"] for row in rows["auto"]])
    picks = ", ".join(one["chosen"] + ("*" if one["another_mix"] else "") for one in choices.values())
    return (
        f"auto {mine:.3f}; best single method {best} {complete[best]:.3f} ({mine - complete[best]:+.3f}); "
        f"source-only {complete['source-only']:.3f} ({mine - complete['source-only']:+.3f}). "
        f"It chose {picks} (* another class mix seen)."
    )


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--first", type=int, default=35, help="first seed")
    parser.add_argument("--seeds", type=int, default=15, help="how many")
    parser.add_argument("--tasks", default=",".join(TASKS), help="names, or 'elsewhere' for the other seven")
    parser.add_argument("--methods", default="")
    parser.add_argument("--report", action="store_true", help="train nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rest = [name for name in METHODS.names() if name != "source-only"]
    methods = given.methods.split(",") if given.methods else ["source-only", PLAIN, *rest]
    tasks = list(ELSEWHERE) if given.tasks == "elsewhere" else given.tasks.split(",")
    (given.work / "data").mkdir(parents=True, exist_ok=True)
    if not given.report:
        run(given.work, tasks, range(given.first, given.first + given.seeds), methods)
    found = collect(given.work, tasks)
    write_json(given.work / "results.json", found)
    print(report(found))


if __name__ == "__main__":
    main()
