"""Say how deep a survey must be for a classifier."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import names_of, verb
from galshift.cli._reading import ClassesMap, LabelColumn, Labels, PixelScale, Unit, reading

EXAMPLES = (
    "galshift depth runs/adapt-1a2b3c4d sim.h5 --survey lsst",
    "galshift depth runs/adapt-1a2b3c4d sim.h5 --survey decals --times 0.1,0.3,1,3",
)


@verb("depth", without=("workers",))
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)],
    sim: Annotated[
        str,
        typer.Argument(metavar="SIM", help="Labelled images, noise-free or very deep.", show_default=False),
    ],
    survey: Annotated[
        str,
        typer.Option(help="A family of presets (lsst), or one of them.", autocompletion=names_of("surveys")),
    ],
    times: Annotated[
        str | None,
        typer.Option(metavar="F,F,...", help="Exposures, in those of the one preset [default: 0.03 to 10]."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=20, help="At most so many galaxies [default: 300].")
    ] = None,
    labels: Labels = None,
    label_column: LabelColumn = None,
    classes_map: ClassesMap = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
) -> dict:
    """Say how deep a survey must be for a classifier.

    Observes the same galaxies at several depths, evaluates the classifier on each with intervals, and draws
    both.  Galaxies whose images the run has seen are left out.  Writes depth.json and report.html.
    """
    read = reading(
        labels=labels, label_column=label_column, classes_map=classes_map, unit=unit, pixel_scale=pixel_scale
    )
    factors = None if times is None else times.split(",")
    return {"run": run, "sim": sim, "survey": survey, "times": factors, "limit": limit, "read": read}
