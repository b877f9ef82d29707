"""What `make-mocks` does instead: measure a survey's own mocks, or say what the work would take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift import console
from galshift.errors import NumericalError
from galshift.verbs._base import Context
from galshift.verbs._options import Instead
from galshift.verbs.make_mocks.config import MakeMocksConfig


def check(given: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Measure the depth of the survey's mocks beside the published one."""
    from galshift import surveys
    from galshift.mocks.selftest import as_json, check_survey

    bands = given.get("bands")
    bands = bands.split(",") if isinstance(bands, str) else bands
    words = [word.strip() for text in bands or () for word in text.split(",")]
    checks = check_survey(surveys.load(given["survey"]), tuple(words) or None, seed=given["seed"])
    passed = all(one.passed for one in checks)
    return {"survey": given["survey"], "passed": passed, "bands": as_json(checks)}


def show_check(found: Mapping[str, Any]) -> None:
    """Print a check as a table."""
    from galshift.mocks.selftest import COLUMNS, cells

    title = f"{found['survey']}, measured on its own mocks"
    console.table(title, COLUMNS, cells(found["bands"]), to_stdout=True)
    if found["passed"]:
        console.say("all within tolerance")


def out_of_tolerance(found: Mapping[str, Any]) -> Exception | None:
    """Return the error that names the bands that missed, if any did."""
    out = ", ".join(row["band"] for row in found["bands"] if not row["passed"])
    return NumericalError(f"out of tolerance: {out}", where=found["survey"]) if out else None


def dry_run(config: MakeMocksConfig, context: Context) -> dict[str, Any]:
    """Time a few images, and say what all of them would take."""
    from galshift.verbs.make_mocks.estimate import estimate

    return estimate(config, context.device, context.workers)


def show_dry_run(found: Mapping[str, Any]) -> None:
    """Print time and disk."""
    for row in found["estimates"]:
        console.result(f"{row['n']} images: {row['time']}, {row['disk']}")


CHECK = Instead(
    "check",
    "Measure the survey's mocks beside its published depth.",
    work=check,
    show=show_check,
    needs=("survey",),
    bare=True,
    trouble=out_of_tolerance,
)
DRY_RUN = Instead(
    "dry_run",
    "Print the time and disk it takes.",
    work=dry_run,
    show=show_dry_run,
    needs=("input", "out", "survey"),
)
