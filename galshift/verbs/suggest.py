"""Suggest which galaxies to label next, to improve a classifier or to measure it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.errors import DataError
from galshift.rundirectory import RunDirectory
from galshift.types import Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import reading

if TYPE_CHECKING:
    import numpy as np
    from astropy.table import Table

    from galshift.report import ReportData
    from galshift.runs.answers import Looked
    from galshift.training.checkpoint import Trained


class SuggestConfig(Strict):
    """How many labels can be had, and what for."""

    run: str = Field(description="Run whose classifier the labels are for.")
    data: str = Field(description="Images to choose from; name=DATA names it.")
    budget: int = Field(ge=1, le=5000, description="How many galaxies can be labelled.")
    aim: Literal["improve", "measure"] = Field(
        "improve", description="Labels to train on, or to measure the accuracy with."
    )
    limit: int = Field(100_000, ge=10, description="Look at no more images than this.")
    pictures: int = Field(60, ge=0, le=1000, description="Images shown in the report.")
    read: ReadOptions = ReadOptions()
    seed: int = 42


@STEPS.register("suggest")
class Suggest(Step):
    """Suggest which galaxies to label next.

    To improve: galaxies that the classifier is unsure of, one from each cluster of its features (CLUE).  To
    measure: a simple random sample, whose accuracy is that of the whole.  Galaxies that have a label are left
    out.  Writes suggest.csv, with a column to fill in, and report.html.
    """

    kind = "suggest"
    version = 1
    Config = SuggestConfig
    positionals = ("run", "data")
    options = ("budget", "aim", "limit", *reading("read"))
    examples = (
        "galshift suggest runs/adapt-1a2b3c4d sdss/ --budget 100",
        "galshift suggest runs/adapt-1a2b3c4d sdss/ --budget 400 --aim measure",
    )
    inputs = ("run", "data", "read.labels?")
    display = ("pictures",)

    def run(self, config: SuggestConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Forward, choose, draw."""
        from galshift.evaluation.predictions import write_predictions
        from galshift.report import build
        from galshift.runs.answers import look
        from galshift.training.checkpoint import load_checkpoint

        trained = load_checkpoint(config.run)
        looked = look(trained, config.data, config.read, context.device, limit=config.limit, seed=config.seed)
        candidates, notes = unlabelled(looked)
        if config.aim == "measure":
            candidates = unseen(looked, candidates, trained, config.data, notes)
        chosen = candidates[choose(looked, candidates, config)]
        table = suggestion_table(trained, looked, chosen)
        n_galaxies = len(set(looked.groups[candidates]))
        if n_galaxies < config.budget:
            notes.append(f"There are only {n_galaxies} galaxies to choose from, fewer than the budget.")
        results = {
            "aim": config.aim,
            "n": len(chosen),
            "n_candidates": n_galaxies,
            "data": looked.name,
            "classes": list(trained.classes),
            "to_fill_in": blanks(trained),
            "mean_entropy": float(table["entropy"].mean()),
            "half_width": 1.96 * 0.5 / len(chosen) ** 0.5,
            "warnings": notes,
            "outputs": {"table": "suggest.csv", "report": "report.html"},
        }
        write_predictions(run.path / "suggest.csv", table)
        build(run.path / "report.html", _page(trained, looked, chosen, table, results, config))
        return results

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what was chosen and what it is good for."""
        return [*sentences(results), *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Fill in the labels; then measure, or train."""
        table = f"{results['run']}/suggest.csv"
        columns, classes = results["to_fill_in"], results["classes"]
        if columns == [LABEL]:
            first, judge = f"the column 'label' of {table} ({', '.join(classes)})", " --label-column label"
            teach = judge
        else:
            first, judge = f"the numbers of votes in {table} ({', '.join(columns)})", ""
            total = "".join(f" --vote-total {name}" for name in columns[len(classes) :])
            teach = f" --votes {','.join(classes)}{total}"
        if results["aim"] == "measure":
            return [f"fill in {first}", f"galshift evaluate RUN --on DATA --labels {table}{judge}"]
        return [f"fill in {first}", f"galshift train DATA --labels {table}{teach} --init RUN"]


LABEL = "label"


def blanks(trained: Trained) -> list[str]:
    """Return the empty columns of the table: one for the class, or the votes for each and their total."""
    head = trained.head
    if head.kind != "votes":
        return [LABEL]
    return [*head.names, *([head.total] if isinstance(head.total, str) else [])]


def unlabelled(looked: Looked) -> tuple[np.ndarray, list[str]]:
    """Return the places of usable images of galaxies without a label, and what was left out.

    Where every galaxy has a label all are candidates, as in a trial of the method.

    Raises
    ------
    DataError
        When none is usable.
    """
    import numpy as np

    known = np.isin(looked.groups, looked.groups[looked.labels >= 0])
    notes = []
    if known.all():
        notes = [f"Every galaxy of {looked.name} has a label already; the labels were not looked at."]
        known[:] = False
    elif known.any():
        n = len(set(looked.groups[known]))
        notes = [f"{n} galaxies of {looked.name} have a label already and are not suggested."]
    candidates = np.flatnonzero(looked.usable & ~known)
    if not candidates.size:
        raise DataError("no image without a label gave an answer", where=looked.dataset.path)
    return candidates, notes


def unseen(
    looked: Looked, candidates: np.ndarray, trained: Trained, data: str, notes: list[str]
) -> np.ndarray:
    """Return the candidates that the run did not train on or adapt to: evaluate judges on no others.

    Raises
    ------
    DataError
        When there are none.
    """
    import numpy as np

    from galshift.data.paths import split_name
    from galshift.domains.splits import absolute, read_splits, split_column

    splits = read_splits(trained.path.parent)
    part = split_column(looked.ids, splits, absolute(split_name(data)[1]))
    seen = np.isin(looked.groups, looked.groups[(part != "") & (part != "test")])
    kept = candidates[~seen[candidates]]
    if not kept.size:
        raise DataError("the run trained on all of these galaxies", where=looked.dataset.path)
    if kept.size < candidates.size:
        n = len(set(looked.groups[candidates])) - len(set(looked.groups[kept]))
        notes.append(f"{n} galaxies that the run trained on or adapted to are not among those drawn from.")
    return kept


def choose(looked: Looked, candidates: np.ndarray, config: SuggestConfig) -> np.ndarray:
    """Return positions in `candidates`, in the order of labelling."""
    from galshift.embedding.labelling import at_random, uncertain_and_different
    from galshift.evaluation.honesty import entropy

    groups = looked.groups[candidates]
    if config.aim == "measure":
        return at_random(groups, config.budget, config.seed)
    uncertainty = entropy(looked.probabilities[candidates])
    return uncertain_and_different(
        looked.features[candidates], uncertainty, groups, config.budget, config.seed
    )


def suggestion_table(trained: Trained, looked: Looked, chosen: np.ndarray) -> Table:
    """Return one row for each galaxy to label, with empty columns to fill in."""
    import numpy as np
    from astropy.table import Table

    from galshift.evaluation.honesty import entropy

    p = looked.probabilities[chosen]
    table = Table()
    table["order"] = np.arange(1, len(chosen) + 1)
    table["id"], table["group"] = looked.ids[chosen].astype(str), looked.groups[chosen].astype(str)
    for name in blanks(trained):
        table[name] = np.full(len(chosen), "", dtype="U32")
    table["prediction"] = np.array(trained.classes)[p.argmax(axis=1)]
    table["confidence"] = p.max(axis=1)
    table["entropy"] = entropy(p)
    return table


def sentences(results: Mapping[str, Any]) -> list[str]:
    """Return plain sentences about a choice."""
    if results["aim"] == "measure":
        return [
            f"{results['n']} galaxies of {results['n_candidates']}, drawn at random: their labels give the "
            f"accuracy on {results['data']} to within ± {results['half_width']:.0%} (95%), at worst.",
            "Label all of them: leaving out the hard ones would flatter the classifier.",
        ]
    return [
        f"{results['n']} galaxies of {results['n_candidates']}, uncertain and unlike one another: "
        "labels that teach most.",
        "They are harder than the rest: do not measure an accuracy on them (--aim measure chooses for that).",
    ]


def _page(
    trained: Trained,
    looked: Looked,
    chosen: np.ndarray,
    table: Table,
    results: Mapping[str, Any],
    config: SuggestConfig,
) -> ReportData:
    """The galaxies to label, in order."""
    import numpy as np

    from galshift.evaluation.honesty import entropy
    from galshift.provenance import command_line, environment
    from galshift.report import Figure, ReportData, Section, figures
    from galshift.report.pictures import gallery
    from galshift.runs.answers import images_of

    sections = []
    if config.pictures:
        shown = chosen[: config.pictures]
        pictures = gallery(
            images_of(trained, looked, shown),
            [str(i) for i in looked.ids[shown]],
            notes=[f"{row['prediction']} {row['confidence']:.0%}" for row in table[: len(shown)]],
            bands=trained.bands,
        )
        told = f"In the order of labelling; suggest.csv has all {len(chosen)}."
        sections.append(Section("Galaxies to label", (told,), (pictures,)))
    everything = entropy(looked.probabilities[looked.usable])
    samples = {f"all of {looked.name}": everything, "suggested": np.asarray(table["entropy"])}
    drawn = figures.histogram(samples, x_label="entropy of the answer [nat]", n_bins=20)
    sections.append(Section("How sure the classifier is of them", (), (Figure(drawn),)))
    made = {key: value for key, value in environment().items() if key != "command"}
    return ReportData(
        title=f"{results['n']} galaxies of {looked.name} to label",
        lede=tuple(sentences(results)),
        warnings=tuple(results["warnings"]),
        sections=tuple(sections),
        command=command_line(),
        provenance={**made, "run": config.run, "seed": config.seed},
    )
