"""Time `galshift --help` against the help of a bare typer app with as many verbs.

Run ``python -m tests.benchmarks.startup``: CPU seconds of fresh processes, the smallest of several, and their
ratio, which should stay at or below 1.5.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from galshift.cli._app import names

REPEATS = 9

BARE = """
import typer
app = typer.Typer(help="A bare app.")
{verbs}
app(prog_name="bare")
"""
VERB = '''
@app.command("{name}", rich_help_panel="Panel {panel}")
def verb_{index}(data: str, out: str = "x", seed: int = 42, quiet: bool = False) -> None:
    """Do what the verb {name} does, in a sentence of the usual length."""
'''


def cpu_seconds(command: list[str]) -> float:
    """Return user + system seconds of the quickest of `REPEATS` runs of `command`."""
    best = float("inf")
    for _ in range(REPEATS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "100"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def main() -> None:
    """Print the two times and their ratio."""
    verbs = [VERB.format(name=name, index=i, panel=i % 6) for i, name in enumerate(names())]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE.format(verbs="".join(verbs)))
        bare = cpu_seconds([sys.executable, str(script), "--help"])
    ours = cpu_seconds([sys.executable, "-m", "galshift", "--help"])
    print(f"verbs                {len(verbs)}")
    print(f"bare typer --help    {bare:.3f} CPU s")
    print(f"galshift --help      {ours:.3f} CPU s")
    print(f"ratio                {ours / bare:.2f}   (bound 1.5)")


if __name__ == "__main__":
    main()
