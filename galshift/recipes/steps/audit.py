"""Damage the images as surveys do, five severities of each kind, and count what stays right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from galshift.data.options import ReadOptions
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory
from galshift.types import Strict


class AuditConfig(Strict):
    """Everything that can change the outcome of an audit."""

    run: str = Field(description="Run whose model is audited.")
    data: str = Field(description="Labelled images.")
    compare: list[str] = Field([], description="Further runs, on the same damaged images.")
    baseline: bool = Field(True, description="Audit the source-only companion of an adapted run too.")
    read: ReadOptions = ReadOptions()
    corruptions: list[str] = Field([], description="Kinds of damage; empty: all.")
    limit: int | None = Field(None, ge=1, description="At most so many images, drawn by the seed.")
    n_bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of galaxies for intervals.")
    seed: int = 42

    @field_validator("compare", "corruptions", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One may be given by itself."""
        return [] if value is None else [value] if isinstance(value, str) else value


@STEPS.register("audit")
class Audit(Step):
    """Write ``audit.json`` and ``report.html``."""

    kind = "audit"
    version = 1
    Config = AuditConfig
    inputs = ("run", "data", "compare", "read.labels?")
    resumable = True

    def run(self, config: AuditConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Audit every model on the same damaged images."""
        from galshift.provenance import write_json
        from galshift.recipes.steps._audit_report import audit_report
        from galshift.recipes.steps._audit_results import audit
        from galshift.recipes.steps._kept import Kept
        from galshift.report import build

        kept = Kept(run)
        results, examples = audit(config, context.device, kept)
        write_json(run.path / "audit.json", results)
        build(run.path / "report.html", audit_report(results, examples))
        kept.clear()
        return {**results, "outputs": {"results": "audit.json", "report": "report.html"}}

    def versions(self, config: AuditConfig) -> Mapping[str, int]:
        """Return the version of every corruption."""
        from galshift.audit.corruptions import CORRUPTIONS

        names = config.corruptions or CORRUPTIONS.names()
        return {f"corruption {name}": CORRUPTIONS.get(name).version for name in names}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what stays right, and which model withstands more."""
        from galshift.recipes.steps._audit_report import headline

        lines = [headline(model) for model in results["models"]]
        return [*lines, *(pair["verdict"] for pair in results["compare"]), *results["warnings"]]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; then search for faults."""
        return [
            f"open {results['run']}/report.html",
            f"galshift one-pixel-attack {results['models'][0]['run']} DATA",
        ]
