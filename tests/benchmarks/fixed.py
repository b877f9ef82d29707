"""What each verb spends beside its work: imports, opening, hashing, pages, and the rest.

``python -m tests.benchmarks.fixed [VERB ...]``: CPU seconds of one process for each verb, on small data and
with one torch thread, by the parts of ``--profile``, whose clock is set to CPU time here.  ``before`` is what
was spent until the step began (interpreter, command line, fingerprint), ``after`` what is left at the end
(manifest, hashes of the outputs, table); ``other`` is what the step did under no part's name, imports first.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from galshift.timing import OTHER, PARTS

# The parts that are a verb's work; all others are its fixed cost.
WORK = tuple(part for part in PARTS if part not in ("reading", "pages", OTHER))
COLUMNS = ("total", "work", "before", "reading", "pages", "other", "after")
VERB = """
import sys, time, types
from galshift import timing
timing.time = types.SimpleNamespace(perf_counter=time.process_time)
first = timing.Profile.__init__
def begun(self):
    print("begun", time.process_time(), file=sys.stderr)
    first(self)
timing.Profile.__init__ = begun
from galshift.__main__ import main
main()
"""
VERBS = {
    "simulate": "simulate sim.h5 --n 300 --seed 1",
    "make-mocks": "make-mocks sim.h5 lsst.h5 --survey lsst-y10",
    "train": "train lsst.h5 --epochs 2 --out train",
    "adapt": "adapt lsst.h5 sdss.h5 --method sinkhorn --epochs 3 --out adapt",
    "evaluate": "evaluate adapt --out evaluate",
    "predict": "predict adapt sdss.h5 predictions.fits",
    "embed": "embed adapt lsst.h5 sdss.h5 --out embed",
    "one-pixel-attack": "one-pixel-attack adapt sdss.h5 --survey sdss --limit 1 --out attack",
    "gap": "gap lsst.h5 sdss.h5 --out gap",
}
SECOND = ("simulate sim-2.h5 --n 300 --seed 2", "make-mocks sim-2.h5 sdss.h5 --survey sdss")


def spent(line: str, folder: Path) -> dict[str, float]:
    """Run one command with a profile; return its CPU seconds by column."""
    earlier = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        [sys.executable, "-c", VERB, *line.split(), "--profile", "--json"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise SystemExit(f"galshift {line}\n{ran.stderr}")
    later = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = later.ru_utime + later.ru_stime - earlier.ru_utime - earlier.ru_stime
    profile = json.loads(ran.stdout)["profile"]
    before = float(next(row for row in ran.stderr.splitlines() if row.startswith("begun")).split()[1])
    return {
        "total": total,
        "work": sum(profile.get(name, 0.0) for name in WORK),
        "before": before,
        **{name: profile.get(name, 0.0) for name in ("reading", "pages", OTHER)},
        "after": total - before - profile["total"],
    }


def main(wanted: list[str]) -> None:
    """Run the verbs, each on what the ones before it made, and print a row for each."""
    print(f"{'CPU seconds':18s}" + "".join(f"{name:>9s}" for name in COLUMNS))
    with tempfile.TemporaryDirectory() as scratch:
        for verb, line in VERBS.items():
            row = spent(line, Path(scratch))
            if not wanted or verb in wanted:
                print(f"{verb:18s}" + "".join(f"{row[name]:9.2f}" for name in COLUMNS), flush=True)
            for other in SECOND if verb == "make-mocks" else ():
                spent(other, Path(scratch))


if __name__ == "__main__":
    main(sys.argv[1:])
