"""Adapt a classifier to a target survey, without its labels or with a few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.domains.config import survey_version
from galshift.methods import METHODS
from galshift.methods.weighting import WEIGHTINGS
from galshift.models import MODELS
from galshift.rundirectory import AUTO, BASELINE, RunDirectory
from galshift.selection import DEFAULT_EPOCH, SELECTORS
from galshift.training.config import NO_NUMBERS
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import OBSERVE, SELECT, TRAINING, counted_votes, option, reading
from galshift.verbs._settings import SETTINGS, settings_lines
from galshift.verbs.adapt.config import CHOICE_VERSION, ON_FEATURES, AdaptStepConfig, chooser
from galshift.verbs.adapt.instead import DRY_RUN


@STEPS.register("adapt")
class Adapt(Step):
    """Train on the source and align to the target, without its labels or with a few (--target-labels).

    A source-only network is trained beside it with the same augmentation, and both are evaluated on galaxies
    that neither saw; those whose labels are given are in no test set, now or later.  Continuous labels
    (--label-kind value) need a method that does without classes, such as coral, sinkhorn or deepjdot; votes
    (--votes) go with all.  Labels and class names are the source's; units, scales, bands and HDU go for
    both: --source-unit, --target-pixel-scale, ... and data cards say them of one.  On several GPUs:
    torchrun --nproc-per-node N -m galshift adapt ...
    """

    kind = "adapt"
    version = 3
    Config = AdaptStepConfig
    positionals = ("source", "target")
    options = (
        SETTINGS,
        "method",
        "model",
        option("encoder", metavar="NAME|FOLDER"),
        option("tune", "training.tune"),
        option("init", metavar="RUN"),
        option("epochs", "training.epochs"),
        option("target_labels", metavar="FILE"),
        option("earlier", metavar="RUN...", several=True),
        SELECT,
        "seeds",
        "baselines",
        OBSERVE,
        *TRAINING,
        *reading("read", both="read_target"),
        *reading("read", only="source"),
        *reading("read_target", only="target"),
    )
    instead = (DRY_RUN,)
    examples = (
        "galshift adapt sim.h5 sdss/ --seeds 3",
        "galshift adapt sim.h5 sdss.yaml --dry-run",
        "galshift adapt sim.h5 sdss/ --target-labels few.csv",
        "galshift adapt sim.h5 sdss/ --encoder efficientnet-lite0",
        "galshift adapt sim.h5 sdss/ --settings sidda --epochs 30",
        "galshift adapt sim.h5 sdss/ --method coral --label-kind value --label-column redshift",
    )
    inputs = (
        "source",
        "target",
        "read.labels?",
        "read.psf?",
        "read.weights?",
        "observe.survey?",
        "read_target.labels?",
        "read_target.psf?",
        "read_target.weights?",
        "init",
        "model.path",
        "encoder.path?",
        "target_labels",
        "earlier",
    )
    newer = ("settings", "baselines", "target_labels", "earlier", "encoder", "match_look")
    display = ("samples", *NO_NUMBERS)
    resumable = True
    distributed = True

    def from_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Columns of votes are labels that are votes, unless something else is said."""
        return counted_votes(given)

    def run(self, config: AdaptStepConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write the adapted model, the source-only one, predictions for the target, and the report."""
        from galshift.verbs.adapt.work import work

        return work(config, run.path, context.device)

    def versions(self, config: AdaptStepConfig) -> Mapping[str, int]:
        """Return the versions of the network, the methods, the survey and what selects."""
        auto = config.method.kind == AUTO
        names = [BASELINE, *config.method.config.methods] if auto else [config.method.kind]
        select = config.training.select
        selectors = {DEFAULT_EPOCH if select == AUTO else select, chooser(select) if auto else select}
        return {
            f"model {config.model.kind}": MODELS.get(config.model.kind).version,
            **({"choice": CHOICE_VERSION} if auto else {}),
            **_encoder_versions(config),
            **{f"method {name}": METHODS.get(name).version for name in names},
            **_weighting_version(config),
            **survey_version(config.observe),
            **{
                f"selector {name}": SELECTORS.get(name).version
                for name in sorted(selectors.intersection(SELECTORS.names()))
            },
        }

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how well the adapted and the source-only network do on images that neither saw."""
        from galshift.verbs.evaluate.products import headlines

        lines = [
            *settings_lines(results),
            *headlines(results["results"], results["warnings"], results.get("baselines")),
        ]
        choice = results.get("selection")
        if choice is None:
            return lines
        told = "target labels" if not results.get("n_target_labels") else "asking a label of the target"
        line = f"chosen without {told}: {choice['chosen']}, of {', '.join(choice['predicted_mix'])}"
        if choice["another_mix"]:
            line += "; every network sees another class mix than the source's"
        return [line, *lines]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; use it."""
        target, out = self.named(results, "target"), self.unused("predictions.fits")
        use = f"galshift predict {self.place(results)} {target} {out}"
        return [*super().next_steps(results), use]


def _encoder_versions(config: AdaptStepConfig) -> dict[str, int]:
    """The versions of the second family, where there is one."""
    if config.encoder is None:
        return {}
    methods = {f"method {name}": METHODS.get(name).version for name in ON_FEATURES}
    return {f"encoder {config.encoder.kind}": MODELS.get(config.encoder.kind).version, **methods}


def _weighting_version(config: AdaptStepConfig) -> dict[str, int]:
    """The version of how the losses are weighed, where it has ever changed: older runs are known without."""
    name = getattr(config.method.config, "weighting", "fixed")
    version = WEIGHTINGS.get(name).version
    return {f"weighting {name}": version} if version > 1 else {}
