"""The whole line once, small: verbs as subprocesses, for the end-to-end tests to look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Small, at SDSS's own pixel scale, and yet every class is in every test set.
COMMANDS = {
    "simulate": "simulate sim.h5 --n 60 --views 2 --size 40 --pixel-scale 0.396",
    "make-mocks": "make-mocks sim.h5 mocks.h5 --survey sdss-stripe82 --pair sdss",
    "train": "train mocks_sdss-stripe82.h5 --epochs 2 --out train",
    "adapt": "adapt mocks_sdss-stripe82.h5 mocks_sdss.h5 --method sinkhorn --epochs 2 --out adapt",
    "evaluate": "evaluate adapt train --out evaluate",
    "predict": "predict adapt mocks_sdss.h5 predictions.fits",
    "embed": "embed adapt mocks_sdss-stripe82.h5 mocks_sdss.h5 --out embed",
    "one-pixel-attack": "one-pixel-attack adapt mocks_sdss.h5 --limit 2 --out attack",
}


@dataclass
class Pipeline:
    """What the commands left behind.

    Attributes
    ----------
    folder : Path
        Where they ran.
    results : dict
        The JSON document that each verb printed.
    stderr : dict of str to str
    """

    folder: Path
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    stderr: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one galshift command in the folder."""
        return subprocess.run(
            [sys.executable, "-m", "galshift", *words],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def run_pipeline(folder: Path) -> Pipeline:
    """Run every command in `folder`; each must succeed and print one JSON document."""
    pipeline = Pipeline(folder)
    for verb, command in COMMANDS.items():
        done = pipeline.run(*command.split(), "--json")
        assert done.returncode == 0, f"galshift {command}\n{done.stderr}"
        pipeline.results[verb] = json.loads(done.stdout)
        pipeline.stderr[verb] = done.stderr
    return pipeline
