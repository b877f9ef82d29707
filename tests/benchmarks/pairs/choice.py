"""What ``--method auto`` keeps of the stored runs; its rules changed one at a time, and single methods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from scipy.stats import t as student
from sklearn.metrics import f1_score

from galshift.doubt import choice as product
from galshift.selection import DEFAULT
from galshift.selection._base import Candidate
from galshift.selection.mix_evidence import is_another_mix
from tests.benchmarks.pairs import gaps, table
from tests.benchmarks.pairs.rows import UNWEIGHTED
from tests.benchmarks.pairs.systems import APART, POOLS
from tests.benchmarks.pairs.table import Run

PLAIN, ADABN, ALIGNED = "source-only", "source-only-renewed", "sinkhorn"
POOL = (PLAIN, ADABN, ALIGNED)
SINGLE = (PLAIN, ADABN, "sinkhorn", "dann", "cdan-e", "infomax", "tent")
BASELINES = ("morphology-forest", "morphology-forest-standardised", "pixel-knn", "pixel-knn-standardised")

FRESH = 10  # the first seed that was run after the rules had been fixed

Rows = Mapping[str, Run]


def candidate(run: Run) -> Candidate:
    """Return what a choice sees of a run; features are not stored, and outputs stand in for them."""
    logits = {part: run.logits[part] for part in ("valid", "target")}
    k = logits["valid"].shape[1]
    return Candidate(
        logits["target"], logits["target"], logits["valid"], logits["valid"], run.labels["valid"], k
    )


def _by(selector: str, pool: tuple[str, ...] = POOL) -> Callable[[Rows], str]:
    return lambda rows: product.choose({n: candidate(rows[n]) for n in pool}, selector).chosen


def _without_mix(rows: Rows) -> str:
    found = product.choose({n: candidate(rows[n]) for n in POOL})
    return max(POOL, key=lambda name: found.scores[name])


def _mix_alone(rows: Rows) -> str:
    return PLAIN if is_another_mix(*(candidate(rows[n]) for n in POOL)) else ALIGNED


RULES: dict[str, Callable[[Rows], str]] = {
    **{name: (lambda rows, name=name: name) for name in SINGLE},
    **{name: (lambda rows, name=name: name) for name in BASELINES},
    "auto": _by(DEFAULT),
    "auto, no mix rule": _without_mix,
    "sinkhorn, or source-only by the mix rule": _mix_alone,
    "auto, without adabn": lambda rows: (
        product.choose({n: candidate(rows[n]) for n in (PLAIN, ALIGNED)}).chosen
    ),
    "auto, dann too": lambda rows: product.choose({n: candidate(rows[n]) for n in (*POOL, "dann")}).chosen,
    "auto, dann for sinkhorn": lambda rows: (
        product.choose({n: candidate(rows[n]) for n in (PLAIN, ADABN, "dann")}).chosen
    ),
    "by agreement (ensv)": _by("ensv"),
    "by information (infomax)": _by("infomax"),
}


@cache
def scores() -> dict[str, dict[tuple[str, int], float]]:
    """Return rule to (kind, seed) to macro-F1 on the target's test part."""
    pairs = _by_pair()
    found: dict[str, dict[tuple[str, int], float]] = defaultdict(dict)
    for place, rows in pairs.items():
        if not {*SINGLE, *BASELINES} <= set(rows):
            continue
        for rule, pick in RULES.items():
            found[rule][place] = _macro_f1(rows[pick(rows)])
    return found


def _macro_f1(run: Run) -> float:
    return float(
        f1_score(run.labels["target_test"], run.logits["target_test"].argmax(axis=1), average="macro")
    )


def interval(values: list[float]) -> str:
    """Return the mean and half its 95 % interval (Student's t)."""
    if len(values) < 2:
        return f"{np.mean(values):+.3f}"
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.3f} ± {half:.3f}"


def tables() -> str:
    """Return what holds, in Markdown."""
    found = scores()
    kinds = [kind for kind in gaps.KNOWN if any(place[0] == kind for place in found["auto"])]
    shown = (*SINGLE, "auto")
    lines = [
        f"| gap (seeds) | {' | '.join(shown)} | best baseline | auto − source-only |",
        "|---" * (len(shown) + 3) + "|",
    ]
    for kind in kinds:
        places = [place for place in found["auto"] if place[0] == kind]
        means = {rule: np.mean([found[rule][place] for place in places]) for rule in (*shown, *BASELINES)}
        best = max(BASELINES, key=means.get)
        gain = interval([found["auto"][p] - found[PLAIN][p] for p in places])
        held = " (held out)" if kind in gaps.HELD_OUT else ""
        cells = " | ".join(f"{means[rule]:.3f}" for rule in shown)
        lines.append(f"| {kind}{held} ({len(places)}) | {cells} | {best} {means[best]:.3f} | {gain} |")
    lines += [
        "",
        "| rule | mean over pairs | less auto, all | less auto, kinds held out | where it differs (runs) |",
        "|---|---|---|---|---|",
    ]
    for rule in RULES:
        every = [_over(found, rule, kind) for kind in kinds]
        held = [_over(found, rule, kind) for kind in kinds if kind in gaps.HELD_OUT]
        mean = np.mean([one[0] for one in every])
        told = _apart(found, rule, [place for place in found["auto"] if place[0] in kinds])
        lines.append(f"| {rule} | {mean:.3f} | {_difference(every)} | {_difference(held)} | {told} |")
    return "\n".join(lines)


def _over(found: Mapping[str, Mapping[tuple[str, int], float]], rule: str, kind: str) -> tuple[float, float]:
    """The mean of a rule over the seeds of a kind, and its mean difference to auto."""
    places = [place for place in found["auto"] if place[0] == kind]
    mine = np.array([found[rule][place] for place in places])
    return float(mine.mean()), float((mine - [found["auto"][place] for place in places]).mean())


def _difference(kinds: list[tuple[float, float]]) -> str:
    return interval([one[1] for one in kinds])


def _apart(found: Mapping[str, Mapping[tuple[str, int], float]], rule: str, places: list) -> str:
    """What a rule gives less than auto where the two are not the same, and on how many runs."""
    less = [found[rule][p] - found["auto"][p] for p in places if found[rule][p] != found["auto"][p]]
    return f"{interval(less)} ({len(less)})" if less else "–"


def fresh() -> str:
    """Return what holds on seeds, and on kinds, that were run after the rules had been fixed, in Markdown."""
    return _less_auto(scores(), tuple(RULES)) + "\n\n" + new_kinds()


def _less_auto(found: Mapping[str, Mapping[tuple[str, int], float]], rules: tuple[str, ...]) -> str:
    asked = {
        "the same kinds": [p for p in found["auto"] if p[1] >= FRESH and p[0] in gaps.KNOWN],
        "kinds written down since": [p for p in found["auto"] if p[0] in gaps.SINCE],
    }
    asked["both"] = [place for places in asked.values() for place in places]
    shown = {name: places for name, places in asked.items() if places}
    lines = [
        f"| rule | {' | '.join(f'less auto, {name} | where it differs (runs)' for name in shown)} |",
        "|---" * (1 + 2 * len(shown)) + "|",
    ]
    for rule in rules:
        cells = []
        for places in shown.values():
            kinds = [[p for p in places if p[0] == kind] for kind in gaps.LEVELS]
            less = [np.mean([found[rule][p] - found["auto"][p] for p in own]) for own in kinds if own]
            cells += [interval(less), _apart(found, rule, places)]
        lines.append(f"| {rule} | {' | '.join(cells)} |")
    told = "; ".join(
        f"{name}: seeds {', '.join(map(str, sorted({seed for _, seed in places})))}, {len(places)} pairs"
        for name, places in shown.items()
        if name != "both"
    )
    return f"{told}. Means over kinds.\n\n" + "\n".join(lines)


def new_kinds() -> str:
    """Return the scores on the kinds of gap that were written down since, in Markdown."""
    found = scores()
    shown = (*SINGLE, "auto", *BASELINES)
    lines = [f"| gap (seeds) | {' | '.join(shown)} | auto − source-only |", "|---" * (len(shown) + 2) + "|"]
    for kind in gaps.SINCE:
        places = [place for place in found["auto"] if place[0] == kind]
        if places:
            cells = " | ".join(f"{np.mean([found[rule][p] for p in places]):.3f}" for rule in shown)
            gain = interval([found["auto"][p] - found[PLAIN][p] for p in places])
            lines.append(f"| {kind} ({len(places)}) | {cells} | {gain} |")
    return "\n".join(lines)


def skies() -> str:
    """Return what it gives that the sky is taken off where source and target differ in it, in Markdown."""
    by_kind: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    left_in, pick = POOLS["as-is"], RULES["auto"]
    for place, rows in _by_pair().items():
        if {*left_in, *POOL} <= set(rows):
            before = {name: rows[own] for name, own in zip(POOL, left_in, strict=True)}
            both = [(_macro_f1(one[PLAIN]), _macro_f1(one[pick(one)])) for one in (before, rows)]
            by_kind[place[0]].append((*both[0], *both[1]))
    lines = [
        "| gap (seeds) | source-only, left in | taken off | change | auto, left in | taken off | change |",
        "|---" * 7 + "|",
    ]
    for kind in (kind for kind in gaps.LEVELS if by_kind[kind]):
        values = np.array(by_kind[kind])
        cells = []
        for k in (0, 1):
            before, after = values[:, k], values[:, 2 + k]
            cells += [f"{before.mean():.3f}", f"{after.mean():.3f}", interval(list(after - before))]
        lines.append(f"| {kind} ({len(values)}) | {' | '.join(cells)} |")
    return "\n".join(lines)


#: Rules that ask for no network beyond `POOL`.
OF_POOL = (
    *POOL,
    "auto, no mix rule",
    "sinkhorn, or source-only by the mix rule",
    "auto, without adabn",
    "by agreement (ensv)",
    "by information (infomax)",
)


def worth() -> str:
    """Return what the rules of `auto` are worth where nothing was chosen, in Markdown.

    Every pair of a seed from `FRESH` on whose networks of `POOL` were trained: more than have all rows.
    """
    found: dict[str, dict[tuple[str, int], float]] = defaultdict(dict)
    for place, rows in _by_pair().items():
        if place[1] >= FRESH and set(POOL) <= set(rows):
            of_row = {name: _macro_f1(rows[name]) for name in POOL}
            for rule in ("auto", *OF_POOL):
                found[rule][place] = of_row[RULES[rule](rows)]
    return _less_auto(found, OF_POOL)


def unweighted() -> str:
    """Return what class weights, the default, give where the source's classes are uneven, in Markdown."""
    held = _by_pair()
    lines = ["| gap (seeds) | row | weighted | every image the same | difference |", "|---|---|---|---|---|"]
    for kind in gaps.LEVELS:
        for other in UNWEIGHTED:
            name = other.removesuffix("-unweighted")
            rows = [rows for place, rows in held.items() if place[0] == kind and {name, other} <= set(rows)]
            if rows:
                both = np.array([[_macro_f1(one[name]), _macro_f1(one[other])] for one in rows])
                means, change = both.mean(axis=0), interval(list(both[:, 0] - both[:, 1]))
                lines.append(
                    f"| {kind} ({len(rows)}) | {name} | {means[0]:.3f} | {means[1]:.3f} | {change} |"
                )
    return "\n".join(lines)


def _by_pair() -> dict[tuple[str, int], dict[str, Run]]:
    pairs: dict[tuple[str, int], dict[str, Run]] = defaultdict(dict)
    for run in table.read():
        pairs[run.kind, run.seed][run.row] = run
    return pairs


def beside(names: tuple[str, ...]) -> str:
    """Return what some rows give beside the small network, on pairs where all were run, in Markdown."""
    names = (PLAIN, ALIGNED, *names)
    held = {place: rows for place, rows in _by_pair().items() if set(names) <= set(rows)}
    lines = [f"| gap (seeds) | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for kind in (kind for kind in gaps.LEVELS if any(place[0] == kind for place in held)):
        rows = [rows for place, rows in held.items() if place[0] == kind]
        cells = " | ".join(f"{np.mean([_macro_f1(row[name]) for row in rows]):.3f}" for name in names)
        lines.append(f"| {kind} ({len(rows)}) | {cells} |")
    mean = [np.mean([_macro_f1(rows[name]) for rows in held.values()]) for name in names]
    lines.append(f"| all ({len(held)}) | {' | '.join(f'{one:.3f}' for one in mean)} |")
    return "\n".join(lines)


def published() -> str:
    """Return what published systems give beside `auto`, on the pairs that each was run on, in Markdown."""
    pairs: dict[tuple[str, int], dict[str, Run]] = defaultdict(dict)
    for run in table.read():
        pairs[run.kind, run.seed][run.row] = run
    # What a row takes of the table, and which of that it is.
    picks: dict[str, tuple[tuple[str, ...], Callable[[Rows], str]]] = {
        **{name: ((name,), lambda rows, name=name: name) for name in APART},
        **{f"auto of {change}": (pool, _by(DEFAULT, pool)) for change, pool in POOLS.items()},
    }
    by_kind: dict[str, dict[str, list[tuple[float, ...]]]] = {name: defaultdict(list) for name in picks}
    for (kind, _), rows in sorted(pairs.items()):
        if not set(POOL) <= set(rows):
            continue
        auto = _macro_f1(rows[RULES["auto"](rows)])
        for name, (needs, pick) in picks.items():
            if set(needs) <= set(rows):
                seconds = sum(rows[one].facts["seconds"] for one in needs)
                by_kind[name][kind].append((_macro_f1(rows[pick(rows)]), auto, seconds))
    lines = [
        "| row | pairs | kinds | mean over kinds | auto there | less auto | lowest | highest | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, kinds in ((name, kinds) for name, kinds in by_kind.items() if kinds):
        means = {kind: np.mean(values, axis=0) for kind, values in kinds.items()}
        less = {kind: float(one[0] - one[1]) for kind, one in means.items()}
        mine, auto, seconds = np.mean(list(means.values()), axis=0)
        ends = [f"{kind} {less[kind]:+.3f}" for kind in (min(less, key=less.get), max(less, key=less.get))]
        lines.append(
            f"| {name} | {sum(map(len, kinds.values()))} | {len(kinds)} | {mine:.3f} | {auto:.3f} "
            f"| {interval(list(less.values()))} | {' | '.join(ends)} | {seconds:.0f} |"
        )
    return "\n".join(lines)
