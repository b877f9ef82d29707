"""Pre-train a vision transformer on unlabelled images, to start train or adapt from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.models import MODELS
from galshift.rundirectory import RunDirectory
from galshift.training.config import NO_NUMBERS
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import TRAINING, option, reading
from galshift.verbs.pretrain.config import PretrainConfig


@STEPS.register("pretrain")
class Pretrain(Step):
    """Teach a vision transformer to fill in hidden patches of unlabelled images, and keep the encoder.

    Give images of both surveys: what is learnt from them without labels is where train or adapt starts with
    --init.  A masked autoencoder (He et al. 2022).
    """

    kind = "pretrain"
    version = 1
    Config = PretrainConfig
    positionals = ("data",)
    options = (option("epochs", "training.epochs"), *TRAINING, *reading("read"))
    examples = (
        "galshift pretrain sim.h5 sdss/",
        "galshift pretrain sdss/ decals/ --epochs 200 --set model.patch=4",
    )
    inputs = ("data", "read.psf?", "read.weights?")
    display = NO_NUMBERS
    resumable = True
    distributed = True

    def run(self, config: PretrainConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write ``model.safetensors``, the encoder with an untrained head, and ``metrics.jsonl``."""
        from galshift.verbs.pretrain.work import work

        return work(config, run.path, context.device)

    def versions(self, config: PretrainConfig) -> Mapping[str, int]:
        """Return the version of the network."""
        return {"model vit": MODELS.get("vit").version}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how well hidden patches are filled in."""
        fit = results["fit"]
        return [
            f"pre-trained on {results['n_train']} images without labels, {fit['epochs']} epochs",
            f"error on hidden patches of {results['n_held_out']} images never trained on: "
            f"{fit['held_out_error']:.3f} (1 is what each patch's mean would give)",
            *fit["notes"],
        ]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Train from it, where a data set has labels; else say what can be done with labels."""
        run, named = self.place(results), self.all_named(results, "data")
        labelled = [named[number] for number in results.get("labelled", ()) if number < len(named)]
        if not labelled:
            return [f"train or adapt on images with labels, with the option --init {run}"]
        return [f"galshift train {labelled[0]}{self.said(results)} --init {run}"]
