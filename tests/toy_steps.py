"""Steps that tests chain into recipes: quick, without images, and countable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from galshift.errors import DataError, Interrupted
from galshift.registry import Registry
from galshift.rundirectory import RunDirectory
from galshift.types import Chosen, Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._choice import ChoiceOf

RUNS: list[str] = []
"""Kinds of the toy steps that did work, in order."""

KERNELS = Registry("kernel", "tests.no_such_package")


@KERNELS.register("gauss")
class Gauss:
    """A thing with options of its own."""

    version = 3

    class Config(Strict):
        """Options."""

        weight: float = 1.0
        widths: list[float] = [1.0, 2.0]


@KERNELS.register("flat")
class Flat:
    """A thing without options."""


class Inner(Strict):
    """A nested config."""

    stretch: Literal["linear", "asinh"] = "linear"
    clip: float = Field(3.0, gt=0)


@STEPS.register("toy-make")
class Make(Step):
    """Write a file of `n` words."""

    kind = "toy-make"
    product = "words.txt"

    class Config(Strict):
        """Options."""

        n: int = Field(3, gt=0)
        word: str = "galaxy"
        seed: int = 42
        fail: bool = False

    def run(self, config: Config, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write the words."""
        RUNS.append(self.kind)
        assert context.out is not None
        if config.fail:
            (run.path / "half.txt").write_text("half")
            raise DataError("the words ran out", where="dictionary")
        context.out.write_text(f"{config.word}\n" * config.n + f"{config.seed}\n")
        (context.out.parent / "extra.txt").write_text("extra")
        return {"outputs": {"extra": "extra.txt"}, "n": config.n}


@STEPS.register("toy-count")
class Count(Step):
    """Count the lines of some files."""

    kind = "toy-count"
    inputs = ("data", "others", "labels?")
    resumable = True

    class Config(Strict):
        """Options."""

        data: str
        others: list[str] = []
        labels: str | None = None
        method: Annotated[Chosen, ChoiceOf("tests.toy_steps", "KERNELS")] = "gauss"  # type: ignore[assignment]
        inner: Inner = Inner()
        scale: float = 1.0
        seed: int = 42
        interrupt: bool = False

    def versions(self, config: Config) -> dict[str, int]:
        """Return the kernel's version."""
        return {f"kernel {config.method.kind}": getattr(KERNELS.get(config.method.kind), "version", 1)}

    def run(self, config: Config, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Count; with `interrupt`, stop the first time."""
        RUNS.append(self.kind)
        marker = run.path / "half.txt"
        if config.interrupt and not marker.exists():
            marker.write_text("half")
            raise Interrupted("stopped", where=run.path, hint="repeat the command to resume")
        lines = {
            path: len(Path(path.split("=")[-1]).read_text().split()) for path in [config.data, *config.others]
        }
        (run.path / "report.html").write_text("<p>counted</p>")
        total = sum(lines.values()) * config.scale
        return {
            "outputs": {"report": "report.html"},
            "total": total,
            "results": [{"domains": {"a.b": {"accuracy": {"value": 0.5, "ci95": [0.4, 0.6]}}}}],
        }

    def describe(self, results: dict[str, Any]) -> list[str]:
        """Say the count."""
        return [f"counted {results['total']:g} words"]

    def next_steps(self, results: dict[str, Any]) -> list[str]:
        """Look at it."""
        return [f"open {results['run']}/report.html"]


@STEPS.register("toy-score")
class Score(Step):
    """Score a network that is as good as it is told to be."""

    kind = "toy-score"
    inputs = ("data",)

    class Config(Strict):
        """Options."""

        data: str
        method: str = "mmd"
        seed: int = 42

    #: (method, seed) to macro F1; without adaptation the method makes no difference.
    SCORES: ClassVar[dict[tuple[str, int], float]] = {}

    def run(self, config: Config, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Return what evaluate would."""
        networks = [(config.method, config.method != "source-only"), ("source-only", False)]
        return {
            "results": [
                {
                    "run": run.path.name,
                    "name": f"{name} ({run.path.name})" if config.method == "source-only" else name,
                    "method": name,
                    "adapted": adapted,
                    "domains": {
                        "sky": {
                            "role": "target",
                            "macro_f1": self.SCORES[name, config.seed],
                            "ci95": {"macro_f1": [0.1, 0.9]},
                            "per_class": {"merger": {"recall": 0.5}},
                        },
                        "sim": {"role": "source", "macro_f1": 1.0},
                    },
                }
                for name, adapted in networks
            ]
        }
