"""Say how deep a survey must be for a classifier."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory
from galshift.types import Strict

if TYPE_CHECKING:
    from galshift.recipes.steps._depth_study import DepthStudy
    from galshift.report import ReportData, Section

Factor = Annotated[float, Field(gt=0, le=1e4)]


class DepthConfig(Strict):
    """Which classifier, on which galaxies, at which depths."""

    run: str = Field(description="Run directory.")
    sim: str = Field(description="Labelled images, noise-free or much deeper than the survey.")
    survey: str = Field(description="A family of presets (lsst), or one preset, exposed shorter and longer.")
    times: list[Factor] = Field(
        [0.03, 0.1, 0.3, 1, 3, 10], min_length=2, description="Exposures in those of the one preset."
    )
    limit: int = Field(300, ge=20, le=20_000, description="At most as many galaxies.")
    band_map: dict[str, str] = Field(default_factory=dict, description="Survey band by input band.")
    read: ReadOptions = ReadOptions()
    n_bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of galaxies for intervals.")
    samples: int = Field(6, ge=0, le=40, description="Galaxies shown at every depth in the report.")
    seed: int = 42


@STEPS.register("depth")
class DepthStep(Step):
    """Write ``depth.json`` and ``report.html``."""

    kind = "depth"
    version = 1
    Config = DepthConfig
    inputs = ("run", "sim", "survey?", "read.labels?")
    display = ("samples",)
    resumable = True

    def versions(self, config: DepthConfig) -> Mapping[str, int]:
        """Return the version of each preset."""
        from galshift.recipes.steps._depth_study import presets_of

        return {f"survey {preset.name}": preset.version for preset in presets_of(config.survey, config.times)}

    def run(self, config: DepthConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Observe, judge, draw."""
        from galshift.provenance import write_json
        from galshift.recipes.steps._depth_study import study
        from galshift.recipes.steps._kept import Kept
        from galshift.report import build

        kept = Kept(run)
        found = study(config, context.device, kept)
        document = {
            "survey": config.survey,
            "data_set": found.data_set,
            "depths": [{"name": r.name, "limit_mag_arcsec2": r.limit, **r.metrics} for r in found.rungs],
            "answer": answer(found),
            "warnings": list(found.notes),
        }
        write_json(run.path / "depth.json", {"schema": 1, **document})
        build(run.path / "report.html", _page(found, config))
        kept.clear()
        return {**document, "outputs": {"results": "depth.json", "report": "report.html"}}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say every accuracy, then what it means."""
        lines = [f"{row['name']}: accuracy {row['accuracy']:.2f}" for row in results["depths"]]
        return [*lines, *results["answer"], *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report."""
        return [f"open {results['run']}/report.html in a browser"]


def answer(found: DepthStudy) -> list[str]:
    """Return the opening sentences: the best depth, and the shallowest that is not surely worse."""
    best = max(found.rungs, key=lambda rung: rung.metrics["accuracy"])
    low, high = best.metrics["ci95"].get("accuracy", (float("nan"), float("nan")))
    interval = f" ({low:.0%} to {high:.0%})" if low == low else ""
    lines = [
        f"On {best.metrics['n_groups']} galaxies of {found.data_set} the classifier is right for "
        f"{best.metrics['accuracy']:.0%}{interval} at its best, as {best.name}; always answering "
        f"'{best.metrics['majority_class']}' would be right for "
        f"{best.metrics['majority_class_accuracy']:.0%}."
    ]
    enough = next((r for r in found.rungs if r.metrics["accuracy"] >= low), best)
    worse = [r for r in found.rungs if r.metrics["accuracy"] < low]
    if enough is not best:
        lines.append(f"From {enough.name} on, its accuracy lies within that interval.")
    if worse:
        shown = worse[-1]
        lines.append(f"As {shown.name} it falls below it, to {shown.metrics['accuracy']:.0%}.")
    lines.append("The classifier was not trained anew for any depth; adapted to one, it may do better there.")
    return lines


def _page(found: DepthStudy, config: DepthConfig) -> ReportData:
    """Accuracy against depth, then the same galaxies at every depth."""
    from galshift.provenance import command_line, environment
    from galshift.report import Figure, ReportData, Section, Table, figures
    from galshift.report.scores import floor_of, number, with_interval

    bands = list(found.rungs[0].limit)
    rows = tuple(
        (
            r.name,
            *(number(r.limit[band]) for band in bands),
            *(with_interval(r.metrics, key) for key in ("accuracy", "macro_f1", "auroc", "ece")),
            number(r.metrics["mean_confidence"]),
        )
        for r in found.rungs
    )
    names = ("accuracy", "macro F1", "AUROC", "calibration error", "mean confidence")
    table = Table(
        ("as", *(f"limit in {band}" for band in bands), *names),
        rows,
        "Limit: surface brightness of 5 sigma in one square arcsecond of sky [AB mag / arcsec2].",
    )
    bars = [
        (
            r.name,
            r.metrics["accuracy"],
            *r.metrics["ci95"].get("accuracy", (math.nan, math.nan)),
            floor_of(r.metrics)["accuracy"],
        )
        for r in found.rungs
    ]
    drawn = figures.intervals(bars, x_label="accuracy", limits=(0, 1))
    middle = bands[len(bands) // 2]
    curve = figures.curves(
        {
            name: ([r.limit[middle] for r in found.rungs], [r.metrics[key] for r in found.rungs])
            for key, name in (("accuracy", "accuracy"), ("mean_confidence", "mean confidence"))
        },
        x_label=f"limit in {middle} [mag / arcsec2]",
        y_label="share",
        marker="o",
        limits=(0, 1.02),
    )
    sections = [
        Section(
            "How well, at which depth",
            ("The same galaxies each time, shallowest first; the short line is the majority class.",),
            (Figure(drawn), Figure(curve), table),
        )
    ]
    sections += _pictures(found) if found.truths else []
    made = {key: value for key, value in environment().items() if key != "command"}
    return ReportData(
        title=f"How deep {found.survey} must be",
        lede=tuple(answer(found)),
        warnings=found.notes,
        sections=tuple(sections),
        command=command_line(),
        provenance={**made, "run": config.run, "sim": config.sim, "seed": config.seed},
    )


def _pictures(found: DepthStudy) -> list[Section]:
    """The same galaxies at every depth, with the answers."""
    from galshift.report import Section
    from galshift.report.pictures import gallery

    sections = []
    for r in found.rungs:
        tones = ["good" if said == truth else "bad" for (said, _), truth in zip(r.answers, found.truths)]
        notes = [f"truth: {truth}" for truth in found.truths]
        titles = [f"{said} {share:.0%}" for said, share in r.answers]
        shown = gallery(r.images, titles, notes=notes, tones=tones, bands=found.trained.bands)
        sections.append(Section(f"As {r.name}", (), (shown,)))
    return sections
