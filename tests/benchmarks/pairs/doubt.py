"""Predicted accuracy and verdict against the truth of the stored runs, whole kinds of gap left out.

The constants that galshift ships are fitted here (``python -m tests.benchmarks.pairs doubt --write``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import softmax

import galshift
from galshift.doubt.evidence import SIGNS, Evidence, evidence, lost_agreement
from galshift.doubt.predicted import Constants, Predicted, predict_accuracy
from galshift.doubt.sets import prediction_sets
from galshift.doubt.verdict import TRUSTED, UNTRUSTED, judge
from galshift.selection._base import Candidate
from galshift.selection.label_shift import class_mix
from galshift.selection.mix_evidence import CREDIBLE, estimated_mix, is_another_mix
from galshift.selection.mix_evidence import evidence as evidence_of_mix
from tests.benchmarks.pairs import gaps, table
from tests.benchmarks.pairs.choice import FRESH, candidate
from tests.benchmarks.pairs.systems import APART

#: Networks that a user could be left with, and the network of the same run that is beside each.
BESIDE = {
    "source-only": "sinkhorn",
    "source-only-renewed": "source-only",
    **dict.fromkeys(("adabn", "cdan-e", "dann", "infomax", "sinkhorn", "tent"), "source-only"),
}
PLAIN = "source-only"
RENEWED = ("source-only-renewed", "adabn")
FOREST = "morphology-forest"
NETWORK = "network beside"
#: Where there are these witnesses: in a report, in ``predict`` on an adapted run, and on a trained one.
WITNESSES = {"forest, network beside": (FOREST, NETWORK), "network beside": (NETWORK,), "none": ()}
RIDGE = 3.0
SHIPPED = Path(galshift.__file__).parent / "doubt" / "coefficients.yaml"
LITTLE, COLLAPSE, BETTER = 0.05, 0.15, 0.05  # losses of accuracy that the verdict is held to


@dataclass(frozen=True)
class Judged:
    """One run with its truth.

    Attributes
    ----------
    kind, row : str
    seed : int
    evidence : Evidence
    accuracy : float
        On the target.
    best : float
        Accuracy of the best network of the same pair and seed there.
    """

    kind: str
    row: str
    seed: int
    evidence: Evidence
    accuracy: float
    best: float

    @property
    def loss(self) -> float:
        """Accuracy lost against the source."""
        return self.evidence.source_accuracy - self.accuracy

    @property
    def collapsed(self) -> bool:
        """Whether much was lost that another network of the pair would have had."""
        return self.loss >= COLLAPSE and self.best - self.accuracy >= BETTER


def runs(witnesses: Sequence[str] = (FOREST, NETWORK)) -> Iterator[Judged]:
    """Yield every network of `BESIDE` in the table with its evidence, some of `WITNESSES` asked."""
    pairs: dict[tuple[str, int], dict[str, table.Run]] = defaultdict(dict)
    for run in table.read():
        pairs[run.kind, run.seed][run.row] = run
    for (kind, seed), rows in pairs.items():
        networks = [run for name, run in rows.items() if run.network and name not in APART]
        best = max((_accuracy(run) for run in networks), default=0.0)
        for name, beside in BESIDE.items():
            if not {name, beside, FOREST} <= set(rows):
                continue
            run = rows[name]
            source, target = _both(rows, name)
            names = [beside if witness == NETWORK else witness for witness in witnesses]
            others = {other: lost_agreement((source, target), _both(rows, other)) for other in names}
            rivals = {}
            if beside in others:
                theirs = _both(rows, beside)
                rivals[beside] = evidence(theirs[0], run.labels["source_test"], theirs[1])
            found = evidence(source, run.labels["source_test"], target, others, rivals)
            found = replace(found, striped=run.facts["striped"])
            yield Judged(kind, name, seed, found, _accuracy(run), best)


def _both(rows: dict[str, table.Run], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities on the source, which does not bear the target's statistics, and on the target."""
    there = rows[PLAIN if name in RENEWED else name].logits["source_test"]
    return softmax(there, axis=1), softmax(rows[name].logits["target_test"], axis=1)


def _accuracy(run: table.Run) -> float:
    return float((run.logits["target_test"].argmax(axis=1) == run.labels["target_test"]).mean())


def fitted(given: list[Judged]) -> Constants:
    """Return the constants that fit the runs: a ridge regression of the change on the signs; the width."""
    signs = np.stack([one.evidence.signs for one in given])
    change = -np.array([one.loss for one in given])
    mean, spread = signs.mean(0), signs.std(0)
    z = (signs - mean) / spread
    slopes = np.linalg.solve(z.T @ z + RIDGE * np.eye(len(spread)), z.T @ (change - change.mean())) / spread
    free = Constants(float(change.mean() - slopes @ mean), slopes, (0.0, 0.0))
    said = [predict_accuracy(one.evidence, free) for one in given]
    return Constants(free.intercept, free.signs, width(said, given))


def width(said: list[Predicted], given: list[Judged], level: float = 0.95) -> tuple[float, float]:
    """Return the constants of an interval that holds the truth of `level` of the runs of either half."""
    error = np.array([abs(one.accuracy - p.accuracy) for one, p in zip(given, said, strict=True)])
    change = np.array([abs(p.change) for p in said])
    least = float(np.quantile(error[change <= np.quantile(change, 0.5)], level))
    over = (error - least) / np.maximum(change, 1e-3)
    return least, max(0.0, float(np.quantile(over[change > np.quantile(change, 0.5)], level)))


def left_out(given: list[Judged]) -> list[tuple[Judged, Predicted]]:
    """Return each run with what constants say of it that were fitted without its kind of gap."""
    found = []
    for kind in sorted({one.kind for one in given}):
        by = fitted([one for one in given if one.kind != kind])
        found += [(one, predict_accuracy(one.evidence, by)) for one in given if one.kind == kind]
    return found


def mix_alarms() -> str:
    """Return how often another class mix is believed, where there is none and where there is, in Markdown."""
    pairs: dict[tuple[str, int], dict[str, table.Run]] = defaultdict(dict)
    for run in table.read():
        pairs[run.kind, run.seed][run.row] = run
    told: dict[str, list[bool]] = defaultdict(list)
    for (kind, seed), rows in pairs.items():
        mix = gaps.shares(kind, seed)
        moved = 0.0 if mix is None else max(abs(share - 1 / len(mix)) for share in mix)
        name = "none" + (", kinds written down since" if kind in gaps.SINCE else "")
        if mix is not None:
            name = f"{kind}, {moved:.0%} of one class more or less"
        for row in BESIDE:
            if row != PLAIN and {PLAIN, row} <= set(rows):
                told[name].append(is_another_mix(candidate(rows[PLAIN]), candidate(rows[row])))
    lines = ["| shift of the mix | runs | believed |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {k} | {len(v)} | {np.mean(v):.1%} |" for k, v in sorted(told.items()))])


def coverage(level: float = 0.9) -> str:
    """Return how many truths the prediction sets hold, in Markdown."""
    held: dict[str, list[tuple[float, float, bool]]] = defaultdict(list)
    for run in table.read():
        if run.row not in (PLAIN, "sinkhorn"):
            continue
        logits = np.concatenate([run.logits[part] for part in ("valid", "source_test")])
        labels = np.concatenate([run.labels[part] for part in ("valid", "source_test")])
        k, here = logits.shape[1], run.logits["target_test"]
        one = Candidate(here, here, logits, logits, labels, k)
        explained = evidence_of_mix(one) > CREDIBLE
        weights = estimated_mix(one)[0] / np.maximum(class_mix(labels, k), 1e-3) if explained else None
        members = prediction_sets(logits, labels, level, weights, here).members(here)
        truths = members[np.arange(len(here)), run.labels["target_test"]]
        signs = evidence(softmax(logits, 1), labels, softmax(here, 1))
        signs = replace(signs, striped=run.facts["striped"])
        trusted = judge(signs, predict_accuracy(signs)).word == TRUSTED
        held[run.kind].append((float(truths.mean()), float(members.sum(1).mean()), trusted))
    lines = ["| gap | runs | truths in the set | of trusted runs | classes a set |", "|---|---|---|---|---|"]
    for kind in (kind for kind in gaps.LEVELS if held[kind]):
        values = np.array(held[kind])
        trusted = values[values[:, 2] > 0, 0]
        of = f"{trusted.mean():.1%} ({len(trusted)})" if len(trusted) else "–"
        lines.append(
            f"| {kind} | {len(values)} | {values[:, 0].mean():.1%} | {of} | {values[:, 1].mean():.2f} |"
        )
    return "\n".join(lines)


def tables() -> str:
    """Return what holds, in Markdown."""
    lines = [
        "| witnesses | runs | kinds | mean error | of trusted runs | in the 95 % interval | collapses caught "
        "| called untrusted | false alarms | trusted |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for told, witnesses in WITNESSES.items():
        every = list(runs(witnesses))
        found = left_out([one for one in every if one.kind in gaps.KNOWN])
        for name, kinds in (("all", gaps.KNOWN), ("held out", gaps.HELD_OUT)):
            lines.append(_line(told, name, [pair for pair in found if pair[0].kind in kinds]))
        fresh = {
            f"all, seeds {FRESH} on, as shipped": [one for one, _ in found if one.seed >= FRESH],
            "written down since, as shipped": [one for one in every if one.kind in gaps.NEW],
            "written down last, as shipped": [one for one in every if one.kind in gaps.LATER],
        }
        for name, those in fresh.items():
            if those:
                as_shipped = [(one, predict_accuracy(one.evidence)) for one in those]
                lines.append(_line(told, name, as_shipped))
    return "\n".join(lines)


def _line(told: str, name: str, found: list[tuple[Judged, Predicted]]) -> str:
    error = np.array([abs(one.accuracy - p.accuracy) for one, p in found])
    words = np.array([judge(one.evidence, p).word for one, p in found])
    inside = np.mean([p.ci95[0] <= one.accuracy <= p.ci95[1] for one, p in found])
    collapsed = np.array([one.collapsed for one, _ in found])
    fine = np.array([one.loss < LITTLE for one, _ in found])
    trusted, untrusted = words == TRUSTED, words == UNTRUSTED
    caught, called = (~trusted[collapsed]).mean(), untrusted[collapsed].mean()
    alarms, doubted = untrusted[fine].mean(), (~trusted[fine]).mean()
    return (
        f"| {told} | {len(found)} | {name} | {error.mean():.3f} | {error[trusted].mean():.3f} | {inside:.0%} "
        f"| {caught:.0%} of {collapsed.sum()} | {called:.0%} "
        f"| {alarms:.1%} ({doubted:.0%} not trusted) of {fine.sum()} "
        f"| {trusted.mean():.0%} |"
    )


def write() -> None:
    """Fit the shipped constants to all kinds that are not held out, and to seeds before the fresh ones."""
    apart = (*gaps.HELD_OUT, *gaps.SINCE)
    given = [one for one in runs() if one.kind not in apart and one.seed < FRESH]
    by = fitted(given)
    signs = "".join(f"  {name}: {value:.4f}\n" for name, value in zip(SIGNS, by.signs, strict=True))
    SHIPPED.write_text(
        "# Fitted by `python -m tests.benchmarks.pairs doubt --write` to "
        f"{len(given)} stored runs on pairs of the kinds\n# {', '.join(sorted({o.kind for o in given}))}.\n"
        f"intercept: {by.intercept:.4f}\nsigns:\n{signs}width:\n  least: {by.width[0]:.4f}\n"
        f"  per_change: {by.width[1]:.4f}\n",
        encoding="utf-8",
    )
