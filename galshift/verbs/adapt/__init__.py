"""Adapt a classifier to a target survey without its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galshift.domains.domain import open_source, open_target
from galshift.domains.observed import survey_version
from galshift.rundirectory import AUTO, BASELINE, RECORD, RunDirectory
from galshift.selection import DEFAULT_EPOCH, SELECTORS
from galshift.training.config import NO_NUMBERS
from galshift.types import Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import OBSERVE, SELECT, TRAINING, counted_votes, option, reading
from galshift.verbs.adapt.auto import chooser
from galshift.verbs.adapt.config import AdaptStepConfig, _check_choice
from galshift.verbs.adapt.work import prepare

if TYPE_CHECKING:
    from galshift.selection.choose import Choice
    from galshift.training.job import TrainingJob
    from galshift.verbs.evaluate.result import Evaluation


@STEPS.register("adapt")
class Adapt(Step):
    """Train on the source and align to the target, whose labels are never used.

    A source-only network is trained beside it with the same augmentation, and both are evaluated on galaxies
    that neither saw.  Continuous labels (--label-kind value) need a method that does without classes, such as
    coral, sinkhorn or deepjdot; votes (--votes) go with all.  Labels and class names are the source's; units,
    scales, bands and HDU go for both (for the target alone: --set read_target.unit=nJy).  On several GPUs:
    torchrun --nproc-per-node N -m galshift adapt ...
    """

    kind = "adapt"
    version = 3
    Config = AdaptStepConfig
    positionals = ("source", "target")
    options = (
        "method",
        "model",
        option("init", metavar="RUN"),
        option("epochs", "training.epochs"),
        SELECT,
        "seeds",
        OBSERVE,
        *TRAINING,
        *reading("read", both="read_target"),
    )
    examples = (
        "galshift adapt sim.h5 sdss/ --seeds 3",
        "galshift adapt sim.h5 sdss/ --method coral --label-kind value --label-column redshift",
    )
    inputs = ("source", "target", "read.labels?", "observe.survey?", "read_target.labels?", "init")
    display = ("samples", *NO_NUMBERS)
    resumable = True
    distributed = True

    def from_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Columns of votes are labels that are votes, unless something else is said."""
        return counted_votes(given)

    def run(self, config: AdaptStepConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write the adapted model, the source-only one, predictions for the target, and the report."""
        from galshift.domains.splits import write_splits
        from galshift.training.checkpoint import FILE
        from galshift.verbs.evaluate.config import EvaluateConfig
        from galshift.verbs.evaluate.products import write_evaluation
        from galshift.verbs.evaluate.work import evaluate

        _check_choice(config)
        source = open_source(config.source, config.read, config.split, config.seed, config.observe)
        target = open_target(config.target, config.read_target, config.split, config.seed, source)
        job = prepare(config, source, target, context.device)
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
            fits[str(seed)] = self._fit_pair(config, job, folder, seed, choices)
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
            "model": job.network,
            "n_source_train": len(job.source),
            "n_target_train": len(job.target),
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
        self, config: AdaptStepConfig, job: TrainingJob, folder: Path, seed: int, choices: list[Choice]
    ) -> dict[str, Any]:
        """Train the source-only network and the adapted one, or several to choose from, with one seed."""
        from galshift.methods import METHODS
        from galshift.training.train_network import source_free, train_network
        from galshift.verbs.adapt.auto import fit_auto
        from galshift.verbs.adapt.mix_prior import target_mix

        def fit(name: str, where: Path, options: Strict | None = None) -> dict[str, Any]:
            method = METHODS.get(name)(options)
            own = job if method.needs_source else source_free(job, folder / BASELINE)
            return train_network(own, method, where, seed, label=name, meta={"method": name})

        pair = {BASELINE: fit(BASELINE, folder / BASELINE)}
        if job.head.kind == "class":
            job = replace(job, prior_target=target_mix(folder / BASELINE, job))
        if config.method.kind != AUTO:
            return pair | {"adapted": fit(config.method.kind, folder, config.method.config)}
        correct = job.head.kind == "class"
        fits, choice = fit_auto(config.method.config, config.training.select, folder, fit, correct=correct)
        choices.append(choice)
        return pair | fits | {"adapted": (pair | fits)[choice.chosen]}

    def _with_selection(
        self, found: Evaluation, folder: Path, method: str, choices: list[Choice]
    ) -> Evaluation:
        """Add warnings that need no label, and how the method was chosen."""
        from galshift.methods import METHODS
        from galshift.verbs.adapt.auto import choice_section
        from galshift.verbs.adapt.warnings import adaptation_warnings

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
        from galshift.verbs.evaluate.products import headlines

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
