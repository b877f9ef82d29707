"""Every shipped recipe from nothing to its end: what it costs, and whether it gives what it expects.

``python -m tests.benchmarks.studies FOLDER [NAME ...] [--seeds 1 2]`` runs recipes in FOLDER at toy scale,
each in its own process and with one torch thread, with its own seed and those of ``--seeds`` (``seed`` at the
top of the recipe: what is trained, and the noise of mocks; galaxies with a seed of their own stay).  What is
done there already is skipped and keeps its line in FOLDER/done.json.  The table goes between the marks of
``studies.md``, where recipes that FOLDER has not run keep their rows.
``your-survey`` is a template of files that are not there, and is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galshift.provenance import write_json
from galshift.recipes.find import shipped

TEMPLATES = ("your-survey",)
BEGIN, END = "<!-- the table -->", "<!-- its end -->"
FOLDER = Path(__file__).parent


def run(name: str, folder: Path, seed: int | None = None) -> dict[str, Any]:
    """Run a recipe in `folder` and return its CPU seconds, exit code and expectations."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "galshift", "run", name, "--json", "--quiet"]
        + ([] if seed is None else ["--set", f"seed={seed}"]),
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return {
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "code": done.returncode,
        "expect": told.get("expect", []),
    }


def table(done: Mapping[str, Mapping[str, Any]], before: str = "") -> str:
    """Return the table in Markdown, a line for each expectation; what is not `done` stays as `before`."""
    old: dict[str, list[str]] = {}
    for line in before.splitlines():
        name = line.split("|")[1].strip() if line.startswith("| ") else ""
        if name or old:
            old.setdefault(name or list(old)[-1], []).append(line)
    lines = [
        "| recipe | CPU seconds | expected | found with its own seed; with others |",
        "|---|---|---|---|",
    ]
    for name in shipped():
        if name not in done:
            lines += old.get(name, [])
            continue
        others = [one for key, one in done.items() if key.startswith(f"{name}:")]
        first = f"| {name} | {done[name]['cpu_seconds']:.0f} |"
        groups = _groups(done[name]["expect"])
        if not groups:
            code = done[name]["code"]
            lines.append(f"{first} none stated | {'ran to its end' if code == 0 else f'exit code {code}'} |")
        for (step, key), rows in groups.items():
            seeds = [_groups(one["expect"]).get((step, key), []) for one in others]
            found = "; ".join([_found(rows), ", ".join(_found(same) for same in seeds if same)])
            place = f"{step} ({len(rows)} cells)" if len(rows) > 1 else rows[0]["step"]
            lines.append(f"{first} {place}: {key} {rows[0]['expected']} | {found.removesuffix('; ')} |")
            first = "| | |"
    return "\n".join(lines)


def _groups(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Return the cells' rows of each expectation, by the step's name in the recipe and the key."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["step"].partition("[")[0], row["key"]), []).append(row)
    return groups


def _found(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the number of the only cell, or the lowest and highest of several; bold where one is missed."""
    numbers = [row["found"] for row in rows]
    if None in numbers:
        return "**absent**"
    ends = dict.fromkeys(f"{number:.3f}" for number in (min(numbers), max(numbers)))
    text = " to ".join(ends)
    return text if all(row["met"] for row in rows) else f"**{text}**"


def main() -> None:
    """Run what is missing, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=[])
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "done.json"
    done = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    for name in given.names or [name for name in shipped() if name not in TEMPLATES]:
        for key, seed in [(name, None), *((f"{name}:{seed}", seed) for seed in given.seeds)]:
            if key not in done:
                done[key] = run(name, given.folder, seed)
                write_json(kept, done)
    page = FOLDER / "studies.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    found = table(done, old)
    print(found)
    page.write_text(f"{before}{BEGIN}\n{found}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
