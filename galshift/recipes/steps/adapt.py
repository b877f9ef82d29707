"""Adapt a classifier to a target survey without its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from galshift.data.augment import AugmentConfig
from galshift.data.options import ReadOptions
from galshift.data.preprocess import PreprocessConfig
from galshift.errors import ConfigError
from galshift.recipes._step import Context, Step
from galshift.recipes.choice import ChoiceOf, Chosen
from galshift.recipes.steps import STEPS
from galshift.recipes.steps._auto import AUTO, BASELINE, RECORD, AutoConfig, chooser
from galshift.recipes.steps._domains import (
    Domain,
    SplitConfig,
    common_frame,
    open_source,
    open_target,
    training_set,
)
from galshift.recipes.steps._observed import OnTheFly, survey_version
from galshift.rundirectory import RunDirectory
from galshift.selection import DEFAULT_EPOCH, SELECTORS
from galshift.training.config import NO_NUMBERS, TrainConfig
from galshift.types import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from galshift.recipes.steps._candidates import Choice
    from galshift.recipes.steps._material import Material
    from galshift.recipes.steps._outcomes import Evaluation
    from galshift.training.sets import TrainingSet


class PairAugmentConfig(AugmentConfig):
    """Augmentation of both domains; noise in units of the noisier domain's sky."""

    noise: tuple[float, float] = (0.0, 1.0)


class AdaptStepConfig(Strict):
    """Everything that can change an adapted classifier."""

    source: str = Field(description="Labelled images.")
    target: str = Field(description="Images of the survey to adapt to; their labels, if any, are not used.")
    read: ReadOptions = Field(ReadOptions(), description="How to read the source.")
    read_target: ReadOptions = Field(ReadOptions(), description="How to read the target.")
    observe: OnTheFly | None = Field(
        None, description="Observe the source as this survey, anew at every draw."
    )
    method: Annotated[Chosen, ChoiceOf("galshift.methods", "METHODS", ((AUTO, AutoConfig),))] = AUTO
    model: Annotated[Chosen, ChoiceOf("galshift.models", "MODELS")] = "deepmerge"
    init: str | None = Field(None, description="Run to start from.")
    split: SplitConfig = SplitConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    augment: PairAugmentConfig = Field(PairAugmentConfig(), description="The same for both networks.")
    match_noise: bool | None = Field(
        None,
        description="Bring one domain's noise up to the other's, as measured in the images of both; "
        "default: where the method needs it.",
    )
    training: TrainConfig = TrainConfig()
    seeds: int = Field(1, ge=1, le=20, description="Repeat with so many seeds, for a mean and an interval.")
    samples: int = Field(24, ge=0, le=500, description="Images shown in the report.")
    seed: int = 42


@STEPS.register("adapt")
class Adapt(Step):
    """Train source-only and adapted networks on the same images, and judge both on galaxies neither saw."""

    kind = "adapt"
    version = 3
    Config = AdaptStepConfig
    inputs = ("source", "target", "read.labels?", "observe.survey?", "read_target.labels?", "init")
    display = ("samples", *NO_NUMBERS)
    resumable = True
    distributed = True

    def run(self, config: AdaptStepConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write the adapted model, the source-only one, predictions for the target, and the report."""
        from galshift.recipes.steps._evaluation_products import write_evaluation
        from galshift.recipes.steps._outcomes import evaluate
        from galshift.recipes.steps._splits import write_splits
        from galshift.recipes.steps.evaluate import EvaluateConfig
        from galshift.training.checkpoint import FILE

        _check_choice(config)
        source = open_source(config.source, config.read, config.split, config.seed, config.observe)
        target = open_target(config.target, config.read_target, config.split, config.seed, source)
        material = prepare(config, source, target, context.device)
        records = {
            "source": source.record(config.source, config.read),
            "target": target.record(config.target, config.read_target),
        }
        write_splits(run.path, records)
        fits: dict[str, Any] = {}
        choices: list[Choice] = []
        for k in range(config.seeds):
            seed = config.seed + k
            folder = run.path if k == 0 else run.path / f"seed-{seed}"
            fits[str(seed)] = self._fit_pair(config, material, folder, seed, choices)
            if k > 0:
                write_splits(folder, records)
            write_splits(folder / BASELINE, records)
        found = evaluate(
            EvaluateConfig(runs=[str(run.path)], seed=config.seed), context.device, finished=False
        )
        chosen = choices[0].chosen if choices else config.method.kind
        found = self._with_selection(found, run.path, chosen, choices)
        judged = write_evaluation(found, run.path, samples=config.samples, seed=config.seed)
        return {
            "method": chosen,
            "model": material.network,
            "n_source_train": len(material.source),
            "n_target_train": len(material.target),
            "fit": fits,
            **({"selection": choices[0].document()} if choices else {}),
            **found.document(),
            "outputs": {
                "model": FILE,
                "baseline": f"{BASELINE}/{FILE}",
                **({"selection": RECORD} if choices else {}),
                **judged,
            },
        }

    def _fit_pair(
        self, config: AdaptStepConfig, material: Material, folder: Path, seed: int, choices: list[Choice]
    ) -> dict[str, Any]:
        """Train the source-only network and the adapted one, or several to choose from, with one seed."""
        from galshift.methods import METHODS
        from galshift.recipes.steps._auto import fit_auto
        from galshift.recipes.steps._fitting import fit_one, source_free
        from galshift.recipes.steps._mix_prior import target_mix

        def fit(name: str, where: Path, options: Strict | None = None) -> dict[str, Any]:
            method = METHODS.get(name)(options)
            own = material if method.needs_source else source_free(material, folder / BASELINE)
            return fit_one(own, method, where, seed, label=name, meta={"method": name})

        pair = {BASELINE: fit(BASELINE, folder / BASELINE)}
        if material.head.kind == "class":
            material = replace(material, prior_target=target_mix(folder / BASELINE, material))
        if config.method.kind != AUTO:
            return pair | {"adapted": fit(config.method.kind, folder, config.method.config)}
        correct = material.head.kind == "class"
        fits, choice = fit_auto(config.method.config, config.training.select, folder, fit, correct=correct)
        choices.append(choice)
        return pair | fits | {"adapted": (pair | fits)[choice.chosen]}

    def _with_selection(
        self, found: Evaluation, folder: Path, method: str, choices: list[Choice]
    ) -> Evaluation:
        """Add warnings that need no label, and how the method was chosen."""
        from galshift.methods import METHODS
        from galshift.recipes.steps._auto import choice_section
        from galshift.recipes.steps._warnings import adaptation_warnings

        lines = adaptation_warnings(folder, folder / BASELINE, found.classes, METHODS.get(method))
        return replace(
            found,
            warnings=(*found.warnings, *lines, *(line for choice in choices[:1] for line in choice.doubts)),
            sections=tuple(choice_section(choice, found.classes) for choice in choices[:1]),
        )

    def versions(self, config: AdaptStepConfig) -> Mapping[str, int]:
        """Return the versions of the network, the methods, the survey and what selects."""
        from galshift.methods import METHODS
        from galshift.models import MODELS

        auto = config.method.kind == AUTO
        names = [BASELINE, *config.method.config.methods] if auto else [config.method.kind]
        select = config.training.select
        selectors = {DEFAULT_EPOCH if select == AUTO else select, chooser(select) if auto else select}
        return {
            f"model {config.model.kind}": MODELS.get(config.model.kind).version,
            **{f"method {name}": METHODS.get(name).version for name in names},
            **survey_version(config.observe),
            **{
                f"selector {name}": SELECTORS.get(name).version
                for name in sorted(selectors.intersection(SELECTORS.names()))
            },
        }

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how well the adapted and the source-only network do on images that neither saw."""
        from galshift.recipes.steps._evaluation_products import headlines

        lines = headlines(results["results"], results["warnings"])
        choice = results.get("selection")
        if choice is None:
            return lines
        line = f"chosen without target labels: {choice['chosen']}, of {', '.join(choice['predicted_mix'])}"
        if choice["shifted_mix"] is not None:
            mix = zip(results["classes"], choice["shifted_mix"], strict=True)
            line += f"; answers corrected towards {', '.join(f'{share:.0%} {name}' for name, share in mix)}"
        return [line, *lines]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; use it; attack it."""
        run = results["run"]
        return [
            f"open {run}/report.html in a browser",
            f"galshift predict {run} DATA predictions.fits",
        ]


def prepare(config: AdaptStepConfig, source: Domain, target: Domain, device: str) -> Material:
    """Return what every network of this run trains on; constants are fitted on the source's training part.

    Raises
    ------
    DataError
        When the domains cannot be brought to common bands, unit and pixel scale.
    """
    import torch

    from galshift.data.preprocess import fit_preprocessing
    from galshift.recipes.steps._fitting import head_for
    from galshift.recipes.steps._matching import matched, wants_matching
    from galshift.recipes.steps._material import Material
    from galshift.recipes.steps._starting import start_from

    names, bands = list(source.info.classes), config.preprocess.bands or list(source.info.bands)
    init = start_from(config.init, names, bands, config.read.label_kind)
    if init is None:
        frame = common_frame(config.preprocess, source.info, target.info)
        preprocessing = fit_preprocessing(source.dataset, source.parts["train"], frame, config.seed)
    else:
        preprocessing = init.preprocessing
        preprocessing.check(source.info, config.source)
    preprocessing.check(target.info, config.target)
    unlabelled = training_set(target, "train", preprocessing)
    noise = torch.maximum(torch.tensor(preprocessing.sky_sigma), _sky(unlabelled))
    labelled, valid = (training_set(source, part, preprocessing) for part in ("train", "valid"))
    if wants_matching(config):
        labelled, valid, unlabelled = matched(labelled, valid, unlabelled, config.seed)
    return Material(
        source=labelled,
        valid=valid,
        target=unlabelled,
        preprocessing=preprocessing,
        noise_scale=noise,
        augmentation=config.augment,
        model=config.model,
        init=init,
        training=config.training,
        device=device,
        head=head_for(config.read, source, preprocessing.classes, init),
    )


def _check_choice(config: AdaptStepConfig) -> None:
    """Refuse, before anything is read, what does not go together.

    Raises
    ------
    ConfigError
    """
    from galshift.methods import METHODS
    from galshift.recipes.steps._epoch_choice import check_choice
    from galshift.recipes.steps._matching import wants_matching

    wants_matching(config)
    if config.read.label_kind != "value":
        return
    if config.method.kind == AUTO:
        raise ConfigError(
            "auto chooses between classifiers, and the labels are continuous",
            where="method",
            hint="name a method, such as --method coral, mmd, sinkhorn or deepjdot",
        )
    method = METHODS.get(config.method.kind)(config.method.config)
    check_choice(config.training, config.method.kind, method, config.read.label_kind)


def _sky(images: TrainingSet) -> Tensor:
    """The sky noise (C,) of a domain's linear images, from an even sample of them."""
    import torch

    from galshift.data.preprocess import training_sky_sigma

    rows = next(images.chunks(512, limit=512))
    return torch.tensor(training_sky_sigma(images.take(rows).numpy()))
