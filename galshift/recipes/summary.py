"""What a matrix found, as one row a cell: the mean over seeds of each metric, and which row is best.

Axes that only set a seed are repetitions.  The others, and the network (the adapted one, or the one beside it
without adaptation), name the rows; a network that is the same one in several cells is one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galshift.evaluation import METRICS
from galshift.recipes.planned import Planned
from galshift.recipes.results import result_at
from galshift.recipes.schema import Recipe
from galshift.recipes.schema import Summary as Wanted
from galshift.recipes.scores import Row, Seed, mark_best, score

_KINDS = ("evaluate", "adapt", "train")  # in the order in which they are preferred


@dataclass(frozen=True)
class Summary:
    """The table over all cells.

    Attributes
    ----------
    step : str
        Whose results it shows.
    axes : tuple of str
        That are no seeds.
    keys : tuple of str
        Of the metrics that at least one row has.
    rows : list of Row
        In the order of the matrix.
    """

    step: str
    axes: tuple[str, ...]
    keys: tuple[str, ...]
    rows: list[Row]


def summarise(recipe: Recipe, plan: Mapping[str, Planned]) -> Summary | None:
    """Return the table over the cells of a recipe whose steps are done; None without cells that have metrics.

    Parameters
    ----------
    recipe : Recipe
    plan : mapping of str to Planned
    """
    if not recipe.head.matrix:
        return None
    seeds = _seed_axes(recipe)
    axes = tuple(axis for axis in recipe.head.matrix if axis not in seeds)
    wanted = recipe.head.summary or Wanted()
    # A step that is named may have keys of its own beside those of its test sets.
    tried = [(wanted.step, of) for of in (_on_test_sets, _as_a_whole)] if wanted.step else _usual(plan)
    for step, of in tried:
        instances = [planned for planned in plan.values() if planned.step.name == step and planned.done]
        found = [one for planned in instances for one in of(planned, plan, seeds)]
        keys = _keys(wanted, recipe, [one.document for one in found])
        rows = [row for row in _rows(found, keys) if row.values]
        if rows:
            keys = tuple(key for key in keys if any(row.values.get(key) for row in rows))
            for row in rows:
                row.scores = {key: score(row, key) for key in keys if row.values.get(key)}
            mark_best(rows, keys)
            return Summary(step, axes, keys, rows)
    return None


@dataclass(frozen=True)
class _Result:
    """What one network scored on one test set in one cell."""

    cell: dict[str, Any]
    seed: Seed
    network: str
    test_set: str
    adapted: bool
    document: Mapping[str, Any]
    over_seeds: Mapping[str, Sequence[float]]
    problem: str


Reader = Callable[[Planned, Mapping[str, Planned], set[str]], Iterator[_Result]]


def _usual(plan: Mapping[str, Planned]) -> list[tuple[str, Reader]]:
    """Return the steps that score networks, the last of each kind first."""
    found = []
    for kind in _KINDS:
        names = dict.fromkeys(planned.step.name for planned in plan.values() if planned.step.uses == kind)
        found += [(name, _on_test_sets) for name in list(names)[::-1]]
    return found


def _seed_axes(recipe: Recipe) -> set[str]:
    """Return the axes of the matrix that repeat: those that are used for nothing but seeds."""
    used: dict[str, set[bool]] = {}
    for step in recipe.steps.values():
        for place, reference in step.references():
            if reference.axis is not None:
                used.setdefault(reference.axis, set()).add(place[-1] == "seed")
    return {axis for axis in recipe.head.matrix if used.get(axis) == {True}}


def _as_a_whole(planned: Planned, plan: Mapping[str, Planned], seeds: set[str]) -> Iterator[_Result]:
    """Yield the results of a cell as they are."""
    if planned.cell:
        cell, seed = _split(planned.cell, seeds)
        yield _Result(cell, seed, "", "", True, planned.manifest()["results"], {}, "")


def _on_test_sets(planned: Planned, plan: Mapping[str, Planned], seeds: set[str]) -> Iterator[_Result]:
    """Yield what each network of a cell scored on each test set of the target, or on those given."""
    results = planned.manifest()["results"]
    rows = results.get("results")
    scored = [row for row in rows if isinstance(row, Mapping) and row.get("domains")] if rows else []
    for row in scored:
        made_by = _maker(row, plan) or planned
        cell = planned.cell or made_by.cell
        if not cell:
            continue
        known = {name: one for name, one in row["domains"].items() if one.get("labelled", True)}
        roles = {one.get("role") for one in known.values()}
        role = next((one for one in ("target", "given") if one in roles), None)
        over = (results.get("seeds") or {}).get(row.get("name"), {})
        for name, document in known.items():
            if role is None or document.get("role") == role:
                yield _Result(
                    *_split(cell, seeds),
                    _network(row, made_by),
                    str(name),
                    bool(row.get("adapted", True)),
                    document,
                    over.get(name, {}),
                    _content(planned, made_by, str(name), role),
                )


def _network(row: Mapping[str, Any], made_by: Planned) -> str:
    """Return what a network is called in every cell: by its step, where its name has the step's directory."""
    name, method = str(row.get("name", "")), str(row.get("method", ""))
    if method and not row.get("adapted", True) and name.startswith((f"{method} (", f"{method} #")):
        return method
    return name.replace(made_by.directory.name, made_by.step.name)


def _maker(row: Mapping[str, Any], plan: Mapping[str, Planned]) -> Planned | None:
    """Return the step that trained the network of a row of results."""
    folder = str(row.get("run", "")).replace("\\", "/").split("/")
    return next((one for one in plan.values() if one.directory.name in folder), None)


def _content(planned: Planned, made_by: Planned, test_set: str, role: str | None) -> str:
    """Return what says whether two test sets are the same images: what enters fingerprints for them."""
    inputs = [planned.prepared.inputs, made_by.prepared.inputs]
    for one in inputs:
        for known in (one.upstream, one.hashes):
            for place, content in known.items():
                labelled = place.startswith("on[") and (
                    place.endswith(f"={test_set}") or _stem(one.paths.get(place, "")) == test_set
                )
                if labelled or place == (role or "data"):
                    return content
    return " ".join(sorted((*inputs[1].upstream.values(), *inputs[1].hashes.values())))


def _stem(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2].partition(".")[0]


def _split(cell: Mapping[str, Any], seeds: set[str]) -> tuple[dict[str, Any], Seed]:
    left = {axis: value for axis, value in cell.items() if axis not in seeds}
    return left, tuple(cell[axis] for axis in cell if axis in seeds)


def _keys(wanted: Wanted, recipe: Recipe, documents: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the keys that are asked for; of labels that are no classes, the first metrics of each."""
    if recipe.head.summary is not None and "keys" in recipe.head.summary.model_fields_set:
        return tuple(wanted.keys)
    found = [key for key in wanted.keys if any(result_at(one, key) is not None for one in documents)]
    labels = dict.fromkeys(label for one in documents for label in one.get("labels") or ())
    shown = [METRICS.get(name) for name in METRICS.available() if not name.startswith("class.")]
    others = [one for one in shown if "table" in one.shown]
    places = [f"labels.{label}." for label in labels] or [""]
    numbers = [place + one.key for place in places for one in others]
    return tuple(
        found or [key for key in numbers if any(result_at(one, key) is not None for one in documents)]
    )


def _rows(found: Sequence[_Result], keys: Sequence[str]) -> list[Row]:
    rows: dict[tuple[Any, ...], Row] = {}
    for one in found:
        where = (tuple(one.cell.items()), one.network, one.test_set, one.adapted)
        row = rows.setdefault(where, Row(one.cell, one.network, one.test_set, adapted=one.adapted))
        if one.seed in row.problem:
            continue  # the one without adaptation again, as where the method is to adapt nothing
        row.problem[one.seed] = one.problem
        for key in keys:
            value = result_at(one.document, key)
            over = one.over_seeds.get(key)
            if isinstance(over, list | tuple) and len(over) > 1:
                for number, again in enumerate(over):
                    if again is not None:
                        row.values.setdefault(key, {})[(*one.seed, number)] = float(again)
            elif value is not None:
                row.values.setdefault(key, {})[one.seed] = value
                low, high = (result_at(one.document, f"{_interval(key)}.{i}") for i in (0, 1))
                if low is not None and high is not None:
                    row.within[key] = (low, high)
    # The order of the matrix; what is not adapted comes last.
    return sorted(_merged(list(rows.values())), key=lambda row: not row.adapted)


def _interval(key: str) -> str:
    """Return where the interval over galaxies of a metric stands: ``ci95`` beside it."""
    head, dot, last = key.rpartition(".")
    return f"{head}{dot}ci95.{last}"


def _merged(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with networks that are the same one in several cells, as without adaptation, as one."""
    merged: list[Row] = []
    for row in rows:
        same = next((one for one in merged if not row.adapted and _is_same(one, row)), None)
        if same is None:
            merged.append(row)
        else:
            same.cell = {axis: value for axis, value in same.cell.items() if row.cell.get(axis) == value}
    return merged


def _is_same(one: Row, other: Row) -> bool:
    names = (one.network, one.test_set, one.problem, one.values)
    return not one.adapted and names == (other.network, other.test_set, other.problem, other.values)
