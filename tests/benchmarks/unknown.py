"""How well is a class found that only the target has?

::

    python -m tests.benchmarks.unknown --work FOLDER [--seeds 5] [--tasks lens,merger] [--rows pulse,dance]

Strong lenses, and mergers, stand in the target alone, beside three known classes or, in the task
``universal``, nine (``unknown_tasks.py`` says where they come from).  All rows but the last have the source's
noise matched to the target's (``galshift.data.match_noise``), the same network (deepmerge), batches, steps
and augmentation, and are evaluated on target images that adaptation never saw, at the last step.  No target
label is used but by ``supervised``, a network that is given the labels of all classes of the target's
training images: what there is to be found.  Its score is the probability of the unknown class.  Source-only
is ranked by two scores, 1 - max p and the free energy, flagged above the 0.95 quantile of the source's
validation images; the universal methods by their own, flagged above 0.5.

``auroc``: unknown against known; ``h_score``: harmonic mean of ``right``, the share of known images that are
classified right and not flagged, and ``found``, the share of unknown ones that are flagged; ``accuracy``: of
known images, flags ignored; ``share``: the share of known classes as the method estimates it (0.75 is right,
0.82 in ``universal``).
Every run is a file in FOLDER, so that the benchmark can be stopped and goes on where it was.  +- is half a
95 % interval of the mean over seeds (Student's t).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score
from torch import Tensor

from galshift.data.augment import AugmentConfig, augment
from galshift.data.match_noise import NoiseMatcher, noise_excess
from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.provenance import atomic_path, write_json
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.sets import TrainingSet
from tests.benchmarks.transfer_runs import new_network
from tests.benchmarks.transfer_tasks import Task
from tests.benchmarks.unknown_tasks import KNOWN, load_task

ROWS = ("source-only", "supervised", "pulse", "deepastrouda", "dance", "ovanet", "pulse-unmatched")
CONFIG = TrainConfig(
    epochs=15, steps_per_epoch=80, batch_size=48, warmup_epochs=1, patience=None, select="last"
)
AUGMENT = AugmentConfig(noise=(0.0, 0.0))
QUANTILE = 0.95
COLUMNS = ("auroc", "h_score", "right", "found", "accuracy", "share", "seconds")


def run_row(name: str, task: Task, seed: int, path: Path, training: TrainConfig = CONFIG) -> None:
    """Train one row of one task and write its outputs."""
    method: Method = METHODS.get(_method(name))()
    supervised = name == "supervised"
    n_classes = len(task.classes) + supervised
    model = new_network(task, seed, n_classes)
    observe = None
    if not supervised and name != "pulse-unmatched":
        observe = NoiseMatcher(noise_excess(task.source[0], task.target[0]), seed)
    images, labels = task.target if supervised else task.source
    source = TrainingSet(images, torch.where(labels < 0, n_classes - 1, labels), _names("s", images), observe)
    valid = TrainingSet(*task.valid, _names("v", task.valid[0]), observe)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        result = fit(
            model,
            method,
            TrainingJob(
                source=source,
                valid=valid,
                target=TrainingSet(task.target[0]) if method.uses_target else None,
                training=training,
                head=ClassHead((*task.classes, "unknown")[:n_classes]),
                device="cpu",
                augment=partial(_augmented, config=AUGMENT),
                stretch=task.preprocessing.stretch,
            ),
            directory=Path(directory),
            seed=seed,
            progress=None,
        )
    facts = {"seconds": time.process_time() - started, "settings": _settings(name, training)}
    kept = _outputs(result.model, method, task, valid)
    if (share := result.history[-1].get("known_share")) is not None:
        facts["share"] = share
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, facts=np.array(json.dumps(facts)), **kept)


@torch.no_grad()
def _outputs(model: torch.nn.Module, method: Method, task: Task, valid: TrainingSet) -> dict[str, np.ndarray]:
    """Logits, features and the method's own scores of validation and test images, and its own networks."""
    kept = {f"net.{key}": value.numpy() for key, value in method.nets.state_dict().items()}
    tested = {"valid": valid.take(torch.arange(len(valid))), "test": task.target_test[0]}
    for part, linear in tested.items():
        outputs = [model(task.preprocessing.stretch(chunk)) for chunk in linear.split(256)]
        kept[part] = torch.cat([output.logits for output in outputs]).numpy()
        kept[f"features.{part}"] = torch.cat([output.features for output in outputs]).numpy()
        scores = [method.unknown_score(output) for output in outputs]
        if scores[0] is not None:
            kept["score" if part == "test" else "score.valid"] = torch.cat(scores).numpy()
    return kept


def _augmented(images: Tensor, generator: torch.Generator, *, config: AugmentConfig) -> Tensor:
    return augment(images, config, generator)


def _names(prefix: str, images: Tensor) -> tuple[str, ...]:
    return tuple(f"{prefix}{k}" for k in range(len(images)))


def _method(name: str) -> str:
    return {"supervised": "source-only", "pulse-unmatched": "pulse", "pulse-look": "pulse"}.get(name, name)


def _settings(name: str, training: TrainConfig) -> dict[str, Any]:
    """What a run depends on besides its task and seed."""
    method = METHODS.get(_method(name))
    held = {"version": method.version, "method": method.Config().model_dump(mode="json")}
    return held | {"training": training.model_dump(mode="json"), "augment": AUGMENT.model_dump(mode="json")}


def is_done(name: str, path: Path, training: TrainConfig = CONFIG) -> bool:
    """Return whether the run is there, with the settings as they are now."""
    if not path.is_file():
        return False
    with np.load(path) as stored:
        return json.loads(str(stored["facts"]))["settings"] == _settings(name, training)


def judge(
    scores: np.ndarray, flagged: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Return the columns that labels tell of; label -1 is the unknown class."""
    unknown = labels < 0
    correct = (logits.argmax(1) == labels)[~unknown]
    right, found = float((correct & ~flagged[~unknown]).mean()), float(flagged[unknown].mean())
    return {
        "auroc": float(roc_auc_score(unknown, scores)),
        "h_score": 2 * right * found / (right + found) if right + found else 0.0,
        "right": right,
        "found": found,
        "accuracy": float(correct.mean()),
    }


def judge_run(name: str, path: Path, labels: np.ndarray) -> dict[str, dict[str, float]]:
    """Return one row, or for source-only two, of a run."""
    with np.load(path) as stored:
        held = {key: stored[key] for key in stored.files}
    facts = json.loads(str(held["facts"]))
    test, valid = held["test"], held["valid"]
    more = {"share": facts.get("share", float("nan")), "seconds": facts["seconds"]}
    if name == "supervised":
        p = softmax(test, axis=1)[:, -1]
        return {name: judge(p, test.argmax(1) == test.shape[1] - 1, test[:, :-1], labels) | more}
    if "score" in held:
        return {name: judge(held["score"], held["score"] > 0.5, test, labels) | more}
    rows = {}
    for kind, score in (("max p", _unsure), ("energy", _energy)):
        limit = np.quantile(score(valid), QUANTILE)
        rows[f"{name}, {kind}"] = judge(score(test), score(test) > limit, test, labels) | more
    return rows


def _unsure(logits: np.ndarray) -> np.ndarray:
    return 1 - softmax(logits, axis=1).max(1)


def _energy(logits: np.ndarray) -> np.ndarray:
    return -logsumexp(logits, axis=1)


def report(work: Path, tasks: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the tables as Markdown, and every value."""
    lines, values = [], {}
    for task in tasks:
        rows: dict[str, list[dict[str, float]]] = defaultdict(list)
        for folder in sorted((work / task).glob("*"), key=lambda path: int(path.name)):
            data = work / "data" / f"{task}-{folder.name}.npz"
            if not data.is_file():  # a seed that has only been begun
                continue
            with np.load(data) as stored:
                labels = stored["target_test_labels"]
            for name in ROWS:
                if (path := folder / f"{name}.npz").is_file():
                    for row, found in judge_run(name, path, labels).items():
                        rows[row].append(found | {"seed": int(folder.name)})
        values[task] = dict(rows)
        lines += [f"\n### {task} in the target alone", "", "| row | seeds | " + " | ".join(COLUMNS) + " |"]
        lines.append("|---" * (2 + len(COLUMNS)) + "|")
        for row, found in rows.items():
            cells = [_cell(column, [one[column] for one in found]) for column in COLUMNS]
            lines.append(f"| {row} | {len(found)} | " + " | ".join(cells) + " |")
    return "\n".join(lines), values


def _cell(column: str, values: list[float]) -> str:
    """Mean and half a 95 % interval."""
    n, mean = len(values), float(np.mean(values))
    if np.isnan(mean):
        return "–"
    if column == "seconds":
        return f"{mean:.0f}"
    half = student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n) if n > 1 else float("nan")
    return f"{mean:.3f} ± {half:.3f}"


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tasks", default=",".join(KNOWN))
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--report", action="store_true", help="train nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tasks, rows = given.tasks.split(","), given.rows.split(",")
    (given.work / "data").mkdir(parents=True, exist_ok=True)
    seeds = range(given.first_seed, given.first_seed + given.seeds) if not given.report else ()
    for seed in seeds:
        for task in tasks:
            folder = given.work / task / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            missing = [name for name in rows if not is_done(name, folder / f"{name}.npz")]
            loaded = load_task(task, seed, given.work / "data") if missing else None
            for name in missing:
                run_row(name, loaded, seed, folder / f"{name}.npz")
                print(f"seed {seed}, {task}: {name}", flush=True)
    text, values = report(given.work, tasks)
    write_json(given.work / "results.json", values)
    print(text)


if __name__ == "__main__":
    main()
