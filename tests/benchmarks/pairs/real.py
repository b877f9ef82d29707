"""Real pictures: simulated to observed, and survey to survey; smooth galaxies against those with features.

Folders ``gz-survey-examples`` (help pictures of Galaxy Zoo for SDSS, DECaLS and Illustris) and
``sdss-gz2-votes`` (1,000 SDSS pictures with Galaxy Zoo 2's classes) of a folder of real files; both are
public and small, the first was chosen by hand to show something: what is found on them is printed, no claim.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from galshift.provenance import write_json

EXAMPLES, VOTES = "gz-survey-examples", "sdss-gz2-votes"
#: Source and target of each pair.
PAIRS = {
    "illustris to sloan and decals": (("illustris",), ("sloan", "decals")),
    "illustris to sdss": (("illustris",), ("gz2",)),
    "sdss to decals": (("gz2",), ("decals",)),
}
COMMON = ("--set", "preprocess.size=64", "--unit", "dimensionless", "--epochs", "20", "--overwrite")
RUNS = {
    "auto": ("--encoder", "efficientnet-lite0", "--set", "encoder.size=96"),
    "sinkhorn": ("--method", "sinkhorn", "--no-baselines"),
    "dann": ("--method", "dann", "--no-baselines"),
    "probe": ("--model", "efficientnet-lite0", "--tune", "head", "--method", "standardise", "--no-baselines"),
}
KEYS = ("n", "accuracy", "balanced_accuracy", "predicted_accuracy", "verdict")
STORED = Path(__file__).parent / "table" / "real.json"
SMOOTH, FEATURES = {"Round"}, {"Disk", "Bar", "Bulge", "Spiral"}


def classes_of(data: Path) -> dict[str, dict[Path, str]]:
    """Return set to picture to ``smooth`` or ``features``, but for pictures whose answers conflict."""
    said: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    where: dict[str, Path] = {}
    with (data / EXAMPLES / "labels.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            told = _answer(row["question_title"], row["answer_text"])
            if told:
                said[row["survey"]][row["sha256_of_image"]].add(told)
                where[row["sha256_of_image"]] = next((data / EXAMPLES).rglob(row["file"]))
    found = {
        survey: {where[one]: next(iter(told)) for one, told in of.items() if len(told) == 1}
        for survey, of in said.items()
    }
    with (data / VOTES / "labels_manifest_1000.csv").open(newline="") as stream:
        pictures = {path.stem: path for path in (data / VOTES / "thumbs").iterdir()}
        kinds = {"E": "smooth", "S": "features"}
        found["gz2"] = {
            pictures[row["asset_id"]]: kinds[row["gz2_class"][0]]
            for row in csv.DictReader(stream)
            if row["gz2_class"][0] in kinds and row["asset_id"] in pictures
        }
    return found


def _answer(question: str, answer: str) -> str | None:
    """The class that an answer of the decision tree implies."""
    if question == "Shape":
        return {"Smooth": "smooth", "Features or disk": "features"}.get(answer)
    return "smooth" if question in SMOOTH else "features" if question in FEATURES else None


def run(data: Path, work: Path, seeds: int) -> None:
    """Run every row that has no results yet through the command line."""
    classes = classes_of(data)
    for name, sides in PAIRS.items():
        folder = work / name.replace(" ", "-")
        for side, sets in zip(("source", "target"), sides, strict=True):
            for one in sets:
                for picture, label in classes[one].items():
                    own = folder / side / label / f"{one}-{picture.name}"
                    if not own.is_file():
                        own.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(picture, own)
        for seed in range(seeds):
            for row, words in RUNS.items():
                out = f"{row}-{seed}"
                if not (folder / out / "metrics.json").is_file():
                    _command(
                        folder,
                        "adapt",
                        "source",
                        "target",
                        *COMMON,
                        *words,
                        "--out",
                        out,
                        "--seed",
                        str(seed),
                    )
                    print(name, out, flush=True)


def _command(folder: Path, *words: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "galshift", *words, "-q"], cwd=folder, env=environment, check=True)


def gather(work: Path) -> None:
    """Write what the runs in `work` found, a list a pair and row with an entry a seed."""
    told: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in PAIRS:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in RUNS:
            for path in sorted((work / name.replace(" ", "-")).glob(f"{row}-*/metrics.json")):
                for label, said in _rows(row, json.loads(path.read_text(encoding="utf-8"))):
                    found[label].append({key: said[key] for key in KEYS if key in said})
        if found:
            told[name] = found
    write_json(STORED, told)


def table() -> str:
    """Return what was found, in Markdown; intervals over seeds (Student's t)."""
    lines = [
        "| pair | row | accuracy | balanced accuracy | expected accuracy | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in json.loads(STORED.read_text(encoding="utf-8")).items():
        for label, runs in found.items():
            cells = [over_seeds([one[key] for one in runs]) for key in ("accuracy", "balanced_accuracy")]
            expected = [one["predicted_accuracy"] for one in runs if "predicted_accuracy" in one]
            verdicts = Counter(one["verdict"] for one in runs if "verdict" in one)
            told = ", ".join(f"{n} {word}" for word, n in verdicts.most_common())
            cells += [over_seeds(expected) if expected else "–", told or "–"]
            lines.append(
                f"| {name} ({runs[0]['n']} test images, {len(runs)} seeds) | {label} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)


def _rows(row: str, metrics: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a run says of the target by the names that the table gives them."""
    adapted, *others = metrics["results"]
    yield (f"{row}, encoder beside" if row == "auto" else row), adapted["domains"]["target"]
    if row == "auto":
        for other in others:
            yield other["name"], other["domains"]["target"]
        for baseline in metrics["baselines"]["results"]:
            word = ", standardised" if baseline["standardised"] else ""
            yield f"{baseline['title']}{word}", baseline["domains"]["target"]


def over_seeds(values: list[float]) -> str:
    """Return the mean and half its 95 % interval (Student's t)."""
    if len(values) < 2:
        return f"{np.mean(values):.3f}"
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"
