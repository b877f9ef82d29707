"""Say which step of realism brings simulated galaxies closer to real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory
from galshift.types import Strict

if TYPE_CHECKING:
    from galshift.recipes.steps._climbing import Climb
    from galshift.report import ReportData, Section


class LadderConfig(Strict):
    """What is made real, step by step, and what it is held against."""

    sim: str = Field(description="Idealised images in a physical unit with a pixel scale.")
    real: str = Field(description="Images of the survey.")
    survey: str = Field(description="The preset of the survey that took the real ones.")
    model: str | None = Field(None, description="Run in whose features the sets are compared as well.")
    sky: str | None = Field(None, description="Blank-sky cut-outs of the survey, as the last step.")
    band_map: dict[str, str] = Field(default_factory=dict, description="Survey band by input band.")
    read: ReadOptions = Field(ReadOptions(), description="How to read the simulated images.")
    read_real: ReadOptions = Field(ReadOptions(), description="How to read the real ones.")
    limit: int = Field(200, ge=20, le=5000, description="At most as many galaxies of either set.")
    n_permutations: int = Field(200, ge=0, le=100_000, description="Relabellings for the MMD's p-value.")
    samples: int = Field(8, ge=0, le=40, description="Galaxies shown on every rung.")
    seed: int = 42


@STEPS.register("ladder")
class Ladder(Step):
    """Write ``ladder.json`` and ``report.html``."""

    kind = "ladder"
    version = 1
    Config = LadderConfig
    inputs = ("sim", "real", "survey?", "model", "sky", "read.labels?", "read_real.labels?")
    display = ("samples",)
    resumable = True

    def versions(self, config: LadderConfig) -> Mapping[str, int]:
        """Return the version of the preset."""
        from galshift import surveys

        return {f"survey {config.survey}": surveys.load(config.survey).version}

    def run(self, config: LadderConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Climb, measure, draw."""
        from galshift.provenance import write_json
        from galshift.recipes.steps._climbing import answer, climb
        from galshift.recipes.steps._kept import Kept
        from galshift.report import build

        kept = Kept(run)
        found = climb(config, context.device, kept)
        document = {
            "between": [found.sim, found.real],
            "n": list(found.n),
            "survey": found.survey,
            "rungs": [
                {
                    "name": rung.name,
                    "mean_ks": rung.mean_ks,
                    "images": rung.gap,
                    "features": rung.features,
                    "quantities": rung.quantities,
                }
                for rung in found.rungs
            ],
            "answer": answer(found),
            "warnings": list(found.notes),
        }
        write_json(run.path / "ladder.json", {"schema": 1, **document})
        build(run.path / "report.html", _page(found, config))
        kept.clear()
        return {**document, "outputs": {"results": "ladder.json", "report": "report.html"}}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the report says at its top."""
        return [*results["answer"], *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; make the mocks."""
        return [
            f"open {results['run']}/report.html in a browser",
            f"galshift make-mocks SIM OUT.h5 --survey {results['survey']}",
        ]


def _page(found: Climb, config: LadderConfig) -> ReportData:
    """The rungs as numbers, then as pictures."""
    from galshift.provenance import command_line, environment
    from galshift.recipes.steps._climbing import answer
    from galshift.report import Figure, ReportData, Section, Table, figures
    from galshift.report.scores import number

    def told_apart(gap: dict[str, Any] | None) -> str | None:
        return None if gap is None else f"{1 - gap['domain_classifier_error']:.0%}"

    rungs = found.rungs
    modelled = ("told apart by the model",) if config.model else ()
    table = Table(
        ("rung", "mean difference (KS)", "told apart", *modelled),
        tuple(
            (
                r.name,
                number(r.mean_ks),
                told_apart(r.gap),
                *([told_apart(r.features)] if config.model else []),
            )
            for r in rungs
        ),
        "Mean difference: over the quantities that every rung shares with the real images; 0 is the same, 1 "
        "no overlap. Told apart: by a cross-validated linear classifier of all measured quantities; 50% is "
        "chance.",
    )
    by_rung = [{row["quantity"]: row["ks"] for row in r.quantities} for r in rungs]
    names = sorted({name for row in by_rung for name in row}, key=lambda name: -by_rung[-1].get(name, 0))
    quantities = Table(
        ("difference (KS) in", *(r.name for r in rungs)),
        tuple((name, *(number(row.get(name)) for row in by_rung)) for name in names),
        "The largest on the last rung first; a dash where a rung has no such quantity, as noise-free images "
        "have no signal-to-noise ratio.",
    )
    none = float("nan")
    drawn = figures.intervals(
        [(r.name, r.mean_ks, none, none, none) for r in rungs],
        x_label="mean difference (KS)",
        limits=(0, 1),
    )
    sections = [
        Section("What each step does", (), (Figure(drawn), table)),
        Section("In which quantity", (), (quantities,)),
    ]
    if config.samples:
        sections += _pictures(found)
    made = {key: value for key, value in environment().items() if key != "command"}
    return ReportData(
        title=f"From {found.sim} to {found.real}, step by step",
        lede=tuple(answer(found)),
        warnings=found.notes,
        sections=tuple(sections),
        command=command_line(),
        provenance={**made, "sim": config.sim, "real": config.real, "seed": config.seed},
    )


def _pictures(found: Climb) -> list[Section]:
    """The same galaxies on every rung, then real ones."""
    from galshift.report import Section
    from galshift.report.pictures import gallery

    shown = [(f"{found.sim}, {rung.name}", rung.images, found.bands) for rung in found.rungs]
    shown.append((f"{found.real}, real", found.real_images, found.real_bands))
    return [
        Section(title, (), (gallery(images, [""] * len(images), bands=bands),))
        for title, images, bands in shown
    ]
