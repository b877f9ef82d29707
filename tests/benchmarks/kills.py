"""Twenty kills of every verb, several in a row, and what came of them: ``python -m tests.benchmarks.kills``.

Writes ``tests/benchmarks/kills.md``, or the rows of the verbs that are named; ``--kills N`` sets how many
each gets.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
from pathlib import Path

import numpy as np

from tests.every_verb import COMMANDS, make_inputs, sample, stopped, whole
from tests.file_operations import Server

_TABLE = Path(__file__).parent / "kills.md"
_HOW = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def kills_of(operations: list[str], n: int, seed: int) -> list[list[tuple[int, int]]]:
    """Return `n` kills, in trials of one, two or three in a row."""
    rng = np.random.default_rng(seed)
    every = [(one, int(rng.choice(_HOW))) for one in sample(operations, n, seed)]
    trials = []
    while every:
        size = int(rng.integers(1, 4))
        trials.append(every[:size])
        every = every[size:]
    return trials


def _rows_before() -> dict[str, str]:
    """Return the table's row of each verb."""
    lines = _TABLE.read_text().splitlines() if _TABLE.is_file() else []
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("|")}


def main() -> None:
    """Stop every verb, write the table, and name what went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verbs", nargs="*", default=list(COMMANDS))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows, wrong, server = _rows_before(), [], Server()
    with tempfile.TemporaryDirectory() as folder:
        inputs, place = Path(folder) / "inputs", Path(folder) / "place"
        make_inputs(inputs, server)
        for number, verb in enumerate(given.verbs):
            wanted = whole(server, inputs, place, verb)
            trials = kills_of(wanted.operations, given.kills, given.seed + number)
            found = [stopped(server, inputs, place, verb, trial, wanted) for trial in trials]
            refused = [text for one, _ in found for text in one]
            different = [text for _, one in found for text in one]
            wrong += refused + different
            counts = (len(wanted.operations), len(trials), given.kills, len(refused), len(different))
            rows[verb] = f"| {verb} | {' | '.join(map(str, counts))} |"
            print(rows[verb], *refused, *different, sep="\n", flush=True)
    server.close()
    head = "| verb | file operations | trials | kills | refused | different |\n|---|---|---|---|---|---|\n"
    if not wrong:
        text = " ".join((__doc__ or "").split("\n\n")[0].split())
        told = "\n".join(rows[verb] for verb in COMMANDS if verb in rows)
        _TABLE.write_text(f"{text}\n\n{head}{told}\n")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
