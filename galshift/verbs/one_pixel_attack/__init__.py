"""Search for one-pixel detector faults that fool a model, and certify what holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.one_pixel_attack.config import OnePixelAttackConfig


@STEPS.register("one-pixel-attack")
class OnePixelAttack(Step):
    """Search for detector faults of one or a few pixels that change what a model says of an image.

    The default search tries every pixel with every value of a stated grid: an image that survives is
    certified for that grid.  Faults in electrons (hot, dead, saturated, cosmic) strike before the model's
    own stretch. Only correctly classified images are attacked.  An interrupted search resumes with the same
    command.
    """

    kind = "one-pixel-attack"
    version = 2
    Config = OnePixelAttackConfig
    positionals = ("run", "data")
    options = (
        option("compare", metavar="RUN2"),
        "fault",
        "search",
        "limit",
        "pixels",
        option("target", metavar="CLASS"),
        option("survey", names=("galshift.surveys", "")),
        "save_images",
        *reading("read"),
    )
    examples = (
        "galshift one-pixel-attack runs/adapt-1a2b3c4d target.h5 --limit 100",
        "galshift one-pixel-attack runs/adapt-1a2b3c4d target.h5 --compare runs/train-5e6f7a8b --fault hot",
    )
    inputs = ("run", "data", "compare", "read.labels?")
    display = ("gallery",)
    resumable = True

    def run(self, config: OnePixelAttackConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write ``attack.json``, ``attack.fits`` and ``report.html``."""
        import shutil

        from galshift.provenance import write_json
        from galshift.report import build
        from galshift.training.threads import cpu_threads, suited_threads
        from galshift.verbs.one_pixel_attack.models import open_attacked
        from galshift.verbs.one_pixel_attack.products import write_attack
        from galshift.verbs.one_pixel_attack.report import attack_report
        from galshift.verbs.one_pixel_attack.results import attack_results
        from galshift.verbs.one_pixel_attack.store import PARTIAL
        from galshift.verbs.one_pixel_attack.work import _announce, _examples, _search, _side, _stores

        judged, attacked = open_attacked(config, context.device)
        stores = _stores(attacked, run)
        with cpu_threads(max(suited_threads(one.classifier.trained.model) for one in attacked)):
            _announce(attacked, stores, config, run)
            for one, store in zip(attacked, stores):
                _search(one, store, config)
        results = attack_results(config, judged, attacked, stores)
        sides = [_side(one, store, config) for one, store in zip(attacked, stores)]
        examples = _examples(attacked[0], stores[0], config.gallery)
        maps = stores[0].maps()
        write_json(run.path / "attack.json", results)
        write_attack(run.path / "attack.fits", sides, {"FAULT": config.fault.kind, "SEARCH": config.search})
        build(
            run.path / "report.html",
            attack_report(results, examples, maps.mean(axis=0) if len(maps) else None),
        )
        shutil.rmtree(run.path / PARTIAL, ignore_errors=True)
        outputs = {"results": "attack.json", "table": "attack.fits", "report": "report.html"}
        return {**results, "outputs": outputs}

    def versions(self, config: OnePixelAttackConfig) -> Mapping[str, int]:
        """Return the version of the fault."""
        from galshift.audit.faults import FAULTS

        return {f"fault {config.fault.kind}": FAULTS.get(config.fault.kind).version}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what broke and what is certified."""
        from galshift.verbs.one_pixel_attack.report import headline

        lines = [headline(results)]
        if "compare" in results:
            lines.append(results["compare"]["verdict"])
        return [*lines, *results["warnings"]]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report."""
        return [f"open {results['run']}/report.html"]
