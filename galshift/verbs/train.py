"""Train a classifier on labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from galshift.data.input_config import AugmentConfig, PreprocessConfig
from galshift.data.options import ReadOptions
from galshift.domains.config import OnTheFly, SplitConfig
from galshift.domains.domain import open_source
from galshift.domains.frame import common_frame
from galshift.domains.observed import survey_version
from galshift.domains.training_set import training_set
from galshift.rundirectory import RunDirectory
from galshift.training.config import NO_NUMBERS, TrainConfig
from galshift.types import Chosen, Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._choice import ChoiceOf
from galshift.verbs._options import OBSERVE, TRAINING, counted_votes, option, reading


class TrainStepConfig(Strict):
    """Everything that can change a trained classifier."""

    data: str = Field(description="Labelled images.")
    read: ReadOptions = ReadOptions()
    observe: OnTheFly | None = Field(
        None, description="Observe the galaxies as this survey, anew at every draw."
    )
    model: Annotated[Chosen, ChoiceOf("galshift.models", "MODELS")] = Field(
        "deepmerge", description="Network; see galshift list models."
    )
    init: str | None = Field(None, description="Start from the weights of another run.")
    split: SplitConfig = SplitConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainConfig = TrainConfig()
    seed: int = 42


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
        "model",
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
    inputs = ("data", "read.labels?", "observe.survey?", "init")
    display = NO_NUMBERS
    resumable = True
    distributed = True

    def from_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Columns of votes are labels that are votes, unless something else is said."""
        return counted_votes(given)

    def run(self, config: TrainStepConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write ``model.safetensors``, ``splits.json`` and ``metrics.jsonl``."""
        import torch

        from galshift.data.preprocess import fit_preprocessing
        from galshift.domains.splits import write_splits
        from galshift.domains.training_set import head_for
        from galshift.methods import METHODS
        from galshift.training.checkpoint import FILE
        from galshift.training.job import TrainingJob
        from galshift.training.start import start_from
        from galshift.training.train_network import train_network

        source = open_source(config.data, config.read, config.split, config.seed, config.observe)
        names, bands = list(source.info.classes), config.preprocess.bands or list(source.info.bands)
        init = start_from(config.init, names, bands, config.read.label_kind)
        if init is None:
            frame = common_frame(config.preprocess, source.info)
            preprocessing = fit_preprocessing(source.dataset, source.parts["train"], frame, config.seed)
        else:
            preprocessing = init.preprocessing
            preprocessing.check(source.info, config.data)
        job = TrainingJob(
            source=training_set(source, "train", preprocessing),
            valid=training_set(source, "valid", preprocessing),
            target=None,
            preprocessing=preprocessing,
            noise_scale=torch.tensor(preprocessing.sky_sigma),
            augmentation=config.augment,
            model=config.model,
            init=init,
            training=config.training,
            device=context.device,
            head=head_for(config.read, source, preprocessing.classes, init),
        )
        write_splits(run.path, {"source": source.record(config.data, config.read)})
        method = METHODS.get("source-only")()
        summary = train_network(
            job, method, run.path, config.seed, label="train", meta={"method": "source-only"}
        )
        return {
            "model": job.network,
            "method": "source-only",
            "classes": list(preprocessing.classes),
            **({} if config.read.label_kind == "class" else {"label_kind": config.read.label_kind}),
            "n_train": len(job.source),
            "fit": summary,
            "outputs": {"model": FILE},
        }

    def versions(self, config: TrainStepConfig) -> Mapping[str, int]:
        """Return the versions of the network and the survey."""
        from galshift.models import MODELS

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
        ]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Evaluate it."""
        return [f"galshift evaluate {results['run']}"]


def took(seconds: float | None) -> str:
    """Return how long training took, where it is known."""
    return "" if seconds is None else f" in {seconds:.0f} s"
