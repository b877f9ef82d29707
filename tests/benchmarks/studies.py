"""Every shipped recipe from nothing to its end: what it costs, and whether it gives what it expects.

``python -m tests.benchmarks.studies FOLDER [NAME ...]`` runs recipes in FOLDER, each once, in its own process
and with one torch thread; what is done there already is skipped and keeps its line in FOLDER/done.json.  The
table goes to ``studies.md``.  ``your-survey`` is a template of files that are not there, and is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from galshift.provenance import write_json
from galshift.recipes.find import shipped, summary

TEMPLATES = ("your-survey",)
FOLDER = Path(__file__).parent


def run(name: str, folder: Path) -> dict[str, Any]:
    """Run a recipe in `folder` and return its CPU seconds, exit code and expectations."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "galshift", "run", name, "--json", "--quiet"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    rows = told.get("expect", [])
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return {
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "code": done.returncode,
        "met": sum(row["met"] for row in rows),
        "expected": len(rows),
    }


def table(done: dict[str, dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    lines = ["| recipe | CPU seconds | expectations met | what it is |", "|---|---|---|---|"]
    for name, path in shipped().items():
        if name in done:
            one = done[name]
            met = f"{one['met']} of {one['expected']}" if one["expected"] else "none stated"
            met = met if one["code"] == 0 else f"{met}; exit code {one['code']}"
            lines.append(f"| {name} | {one['cpu_seconds']:.0f} | {met} | {summary(path)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "done.json"
    done = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    for name in given.names or [name for name in shipped() if name not in TEMPLATES]:
        if name not in done or done[name]["code"]:
            done[name] = run(name, given.folder)
            write_json(kept, done)
    found = table(done)
    print(found)
    head = "# What the shipped recipes cost\n\n`python -m tests.benchmarks.studies FOLDER`, one thread.\n\n"
    (FOLDER / "studies.md").write_text(f"{head}{found}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
