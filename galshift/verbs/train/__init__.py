"""Train a classifier on labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.domains.config import survey_version
from galshift.models import MODELS
from galshift.rundirectory import RunDirectory
from galshift.training.config import NO_NUMBERS
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import OBSERVE, TRAINING, counted_votes, option, reading
from galshift.verbs._settings import SETTINGS, settings_lines
from galshift.verbs.train.config import TrainStepConfig


@STEPS.register("train")
class Train(Step):
    """Train a classifier on labelled images and keep the epoch with the lowest validation loss.

    Labels are classes, or numbers with an error bar each (--label-kind value --label-column redshift), or the
    votes of people (--votes smooth,disk --vote-total n_votes).

    Galaxies are split into training, validation and test parts; images of one galaxy stay together.  On
    several GPUs: torchrun --nproc-per-node N -m galshift train ...
    """

    kind = "train"
    version = 1
    Config = TrainStepConfig
    positionals = ("data",)
    options = (
        SETTINGS,
        "model",
        option("tune", "training.tune"),
        option("epochs", "training.epochs"),
        option("init", metavar="RUN"),
        OBSERVE,
        *TRAINING,
        *reading("read"),
    )
    examples = (
        "galshift train sim.h5 --model resnet18 --epochs 30",
        "galshift train galaxies.h5 --label-kind value --label-column redshift",
    )
    inputs = ("data", "read.labels?", "read.psf?", "read.weights?", "observe.survey?", "init", "model.path")
    newer = ("settings",)
    display = NO_NUMBERS
    resumable = True
    distributed = True

    def from_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Columns of votes are labels that are votes, unless something else is said."""
        return counted_votes(given)

    def run(self, config: TrainStepConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write ``model.safetensors``, ``splits.json`` and ``metrics.jsonl``."""
        from galshift.verbs.train.work import work

        return work(config, run.path, context.device)

    def versions(self, config: TrainStepConfig) -> Mapping[str, int]:
        """Return the versions of the network and the survey."""
        return {
            f"model {config.model.kind}": MODELS.get(config.model.kind).version,
            **survey_version(config.observe),
        }

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how training went."""
        fit, kind = results["fit"], results.get("label_kind", "class")
        learnt = f"{len(results['classes'])} classes"
        if kind != "class":
            learnt = ("votes for " if kind == "votes" else "") + ", ".join(results["classes"])
        return [
            f"trained {results['model']} on {results['n_train']} images, {learnt}: "
            f"best epoch {fit['best_epoch']} of {fit['epochs']}" + took(fit["seconds"]),
            *fit["notes"],
            *settings_lines(results),
        ]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Evaluate it."""
        return [f"galshift evaluate {self.place(results)}"]


def took(seconds: float | None) -> str:
    """Return how long training took, where it is known."""
    return "" if seconds is None else f" in {seconds:.0f} s"
