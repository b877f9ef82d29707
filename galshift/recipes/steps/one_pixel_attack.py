"""Search for one-pixel detector faults that fool a model, and certify what holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from galshift.audit.attack import AttackConfig
from galshift.audit.faults._base import Detector
from galshift.audit.rates import EventRate
from galshift.data.options import ReadOptions
from galshift.recipes._step import Context, Step
from galshift.recipes.choice import ChoiceOf, Chosen
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory

if TYPE_CHECKING:
    from galshift.recipes.steps._attack_gallery import Example
    from galshift.recipes.steps._attack_products import Side
    from galshift.recipes.steps._attack_sides import Attacked
    from galshift.recipes.steps._attack_store import RowStore

PARTIAL = "partial"


class OnePixelAttackConfig(AttackConfig):
    """Everything that can change the outcome of an attack."""

    run: str = Field(description="Run whose model is attacked.")
    data: str = Field(description="Labelled images.")
    compare: list[str] = Field([], description="Further runs, attacked on the same images.")
    read: ReadOptions = ReadOptions()
    fault: Annotated[Chosen, ChoiceOf("galshift.audit.faults", "FAULTS")] = "rgb"
    survey: str | None = Field(None, description="Preset that knows the electrons of one nJy.")
    detector: Detector = Detector()
    rate: EventRate = Field(EventRate(), description="How often the fault strikes (cosmic, or as stated).")
    target: str | None = Field(None, description="Class to reach; any other than the true one when absent.")
    limit: int | None = Field(None, ge=1, description="Attack at most so many images, drawn by the seed.")
    gallery: int = Field(6, ge=0, description="Images shown in the report, as many that flip as hold out.")
    save_images: bool = Field(False, description="Keep every image before and after in attack.fits.")

    @field_validator("compare", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One run may be given by itself."""
        return [] if value is None else [value] if isinstance(value, str) else value


@STEPS.register("one-pixel-attack")
class OnePixelAttack(Step):
    """Attack each image, keep every row as it is found, then write the products."""

    kind = "one-pixel-attack"
    version = 2
    Config = OnePixelAttackConfig
    inputs = ("run", "data", "compare", "read.labels?")
    display = ("gallery",)
    resumable = True

    def run(self, config: OnePixelAttackConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write ``attack.json``, ``attack.fits`` and ``report.html``."""
        import shutil

        from galshift.provenance import write_json
        from galshift.recipes.steps._attack_products import write_attack
        from galshift.recipes.steps._attack_report import attack_report
        from galshift.recipes.steps._attack_results import attack_results
        from galshift.recipes.steps._attack_sides import open_attacked
        from galshift.report import build
        from galshift.training.threads import cpu_threads, suited_threads

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
        from galshift.recipes.steps._attack_report import headline

        lines = [headline(results)]
        if "compare" in results:
            lines.append(results["compare"]["verdict"])
        return [*lines, *results["warnings"]]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report."""
        return [f"open {results['run']}/report.html"]


def _stores(attacked: Sequence[Attacked], run: RunDirectory) -> list[RowStore]:
    """Open what is kept of each model, with the rows of an earlier try."""
    from galshift import console
    from galshift.recipes.steps._attack_store import RowStore

    stores = []
    for number, one in enumerate(attacked):
        store = RowStore(run.path / PARTIAL, str(number), one.images.linear.shape[-1])
        if store.rows:
            line = f"{one.classifier.name}: {len(store.rows)} images were done already"
            console.say(line)
            run.log(line)
        stores.append(store)
    return stores


def _announce(
    attacked: Sequence[Attacked], stores: Sequence[RowStore], config: OnePixelAttackConfig, run: RunDirectory
) -> None:
    """Say, before starting, how many questions there are and how long they should take."""
    from galshift import console
    from galshift.audit.attack import n_queries, seconds_per_query

    for one, store in zip(attacked, stores):
        images, done = one.images, store.done
        left = [i for i, name in enumerate(images.ids) if name not in done]
        usable = [i for i in left if one.finite[i]]
        if not usable:
            continue
        each = n_queries(one.setting, config, tuple(images.linear.shape[1:]))
        seconds = seconds_per_query(one.setting, config, images.linear[usable[0]]) * each * len(usable)
        line = (
            f"{one.classifier.name}: up to {len(usable)} images x {each:,} queries = {len(usable) * each:,}; "
            f"projected {_duration(seconds)} at {each * len(usable) / seconds:,.0f} queries / s"
        )
        console.say(line)
        run.log(line)


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _search(one: Attacked, store: RowStore, config: OnePixelAttackConfig) -> None:
    """Attack every image that has no row yet; each row is on disk before the next image."""
    from galshift import console
    from galshift.audit.attack import attack

    with console.progress(f"attack {one.classifier.name}", len(one.images.ids)) as bar:
        bar.advance(len(store.rows))
        for row in attack(one.setting, one.images, config, done=store.done):
            store.append({**row.values, "fault": config.fault.kind}, row.vulnerability)
            bar.advance(1)


def _side(one: Attacked, store: RowStore, config: OnePixelAttackConfig) -> Side:
    from galshift.audit.attack import replay
    from galshift.recipes.steps._attack_products import Side

    images = None
    if config.save_images:
        place = {name: i for i, name in enumerate(one.images.ids)}
        images = {
            i: tuple(x.numpy() for x in replay(one.setting, one.images.linear[place[row["id"]]], row))
            for i, row in enumerate(store.rows)
            if row["status"] == "attacked"
        }
    return Side(one.classifier.name, store.rows, store.maps(), images)


def _examples(one: Attacked, store: RowStore, wanted: int) -> list[Example]:
    """Return images for the gallery: half that flip, half that hold out, in the order of the data."""
    from galshift.audit.attack import replay
    from galshift.recipes.steps._attack_gallery import Example

    place = {name: i for i, name in enumerate(one.images.ids)}
    maps = store.maps()
    rows = [row for row in store.rows if row["status"] == "attacked"]
    flips = [row for row in rows if row["flipped"]]
    holds = [row for row in rows if not row["flipped"]]
    n_flips = max(wanted - wanted // 2, wanted - len(holds))
    chosen = flips[:n_flips] + holds[: max(0, wanted - min(n_flips, len(flips)))]
    found = []
    for row in chosen:
        before, after = replay(one.setting, one.images.linear[place[row["id"]]], row)
        vulnerability = None if row["map"] is None else maps[row["map"]]
        found.append(Example(row, before.numpy(), after.numpy(), vulnerability))
    return found
