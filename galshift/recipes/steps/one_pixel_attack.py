"""Search for one-pixel detector faults that fool a model, and certify what holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from galshift.audit.attack import AttackConfig, Images, Setting
from galshift.audit.faults._base import Detector
from galshift.data.options import ReadOptions
from galshift.errors import ConfigError, DataError, did_you_mean
from galshift.recipes._step import Context, Step
from galshift.recipes.choice import ChoiceOf, Chosen
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory

if TYPE_CHECKING:
    from galshift.recipes.steps._attack_products import Side
    from galshift.recipes.steps._attack_report import Example
    from galshift.recipes.steps._attack_store import RowStore
    from galshift.recipes.steps._judging import Classifier, JudgedSet

PARTIAL = "partial"


class OnePixelAttackConfig(AttackConfig):
    """Everything that can change the outcome of an attack."""

    run: str = Field(description="Run whose model is attacked.")
    data: str = Field(description="Labelled images.")
    compare: str | None = Field(None, description="A second run, attacked on the same images.")
    read: ReadOptions = ReadOptions()
    fault: Annotated[Chosen, ChoiceOf("galshift.audit.faults", "FAULTS")] = "rgb"
    survey: str | None = Field(None, description="Preset that knows the electrons of one nJy.")
    detector: Detector = Detector()
    target: str | None = Field(None, description="Class to reach; any other than the true one when absent.")
    limit: int | None = Field(None, ge=1, description="Attack at most so many images, drawn by the seed.")
    gallery: int = Field(6, ge=0, description="Images shown in the report, as many that flip as hold out.")
    save_images: bool = Field(False, description="Keep every image before and after in attack.fits.")


@dataclass(frozen=True)
class _Attacked:
    """One model and the images as it sees them."""

    classifier: Classifier
    setting: Setting
    images: Images
    spread: float


@STEPS.register("one-pixel-attack")
class OnePixelAttack(Step):
    """Attack each image, keep every row as it is found, then write the products."""

    kind = "one-pixel-attack"
    version = 1
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
        from galshift.report import build

        judged, attacked = _open(config, context.device)
        _announce(attacked, config, run)
        stores = [_search(one, config, run.path, str(i)) for i, one in enumerate(attacked)]
        results = _results(config, judged, attacked, stores)
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


def _open(config: OnePixelAttackConfig, device: str) -> tuple[JudgedSet, list[_Attacked]]:
    """Open models and images; the same rows for every model, drawn before any is looked at."""
    from dataclasses import replace

    from galshift.recipes.steps._judging import open_classifiers, open_judged
    from galshift.streams import numpy_stream
    from galshift.training.device import choose_device

    runs = [config.run] if config.compare is None else [config.run, config.compare]
    classifiers = open_classifiers(runs, with_baseline=False)
    classes = list(classifiers[0].trained.classes)
    if config.target is not None and config.target not in classes:
        raise ConfigError(
            f"the model has no class '{config.target}'",
            where="target",
            hint=did_you_mean(config.target, classes),
        )
    judged = open_judged(classifiers, [config.data], config.read, classes)[0]
    known = np.flatnonzero(judged.labels >= 0)
    if not len(known):
        raise DataError(
            "the images have no labels that the model knows, and only right answers can be attacked",
            where=config.data,
            hint="give them with --labels file.csv or --labels COLUMN",
        )
    if config.limit is not None and config.limit < len(known):
        drawn = numpy_stream(config.seed, "one-pixel-attack", "limit").choice(len(known), config.limit, False)
        known = known[np.sort(drawn)]
    judged = replace(judged, rows=judged.rows[known], labels=judged.labels[known])
    choice = choose_device(device, "float32").device
    return judged, [_attacked(classifier, judged, classes, config, choice) for classifier in classifiers]


def _attacked(
    classifier: Classifier, judged: JudgedSet, classes: list[str], config: OnePixelAttackConfig, device: Any
) -> _Attacked:
    """Return one model with the images in its own bands, scale and unit, and its own range of values."""
    import torch

    from galshift.audit.attack import value_range
    from galshift.audit.faults import FAULTS
    from galshift.audit.faults._base import Scene
    from galshift.recipes.steps._detectors import survey_detector

    trained = classifier.trained
    pre = trained.preprocessing
    pre.check(judged.dataset.info, config.data)
    parts = [
        pre.linear(judged.dataset.read(rows))
        for rows in np.array_split(judged.rows, max(1, len(judged.rows) // 128))
    ]
    linear = torch.from_numpy(np.concatenate(parts))
    detector = config.detector
    survey = config.survey or judged.dataset.info.survey
    fault = FAULTS.get(config.fault.kind)(config.fault.config)
    if not fault.stretched and not detector.electrons_per_unit and survey is not None:
        detector = survey_detector(survey, pre.bands, pre.unit, pre.pixel_scale_arcsec)
    if not fault.stretched:
        detector.scale(len(pre.bands))
    own = [trained.classes.index(name) for name in classes]
    images = Images(
        linear, np.array(own)[judged.labels], list(judged.ids), list(trained.classes), list(pre.bands)
    )
    scene = Scene(tuple(pre.bands), detector, *value_range(pre.stretch, linear))
    target = None if config.target is None else trained.classes.index(config.target)
    model = trained.model.to(device).eval()
    setting = Setting(model, pre.stretch, fault, scene, pre.image_dependent, target)
    return _Attacked(classifier, setting, images, _spread(setting, images))


def _spread(setting: Setting, images: Images) -> float:
    """Return the within-class spread of the clean features."""
    import torch

    from galshift.audit.summary import within_class_spread

    keep = torch.isfinite(images.linear).all(dim=(1, 2, 3)).numpy()
    device = next(setting.model.parameters()).device
    with torch.inference_mode():
        features = [
            setting.model(setting.stretch(part.to(device))).features.cpu().numpy()
            for part in images.linear[keep].split(64)
        ]
    return within_class_spread(np.concatenate(features), images.labels[keep]) if features else float("nan")


def _announce(attacked: Sequence[_Attacked], config: OnePixelAttackConfig, run: RunDirectory) -> None:
    """Say, before starting, how many questions there are and how long they should take."""
    from galshift import console
    from galshift.audit.attack import n_queries, seconds_per_query

    for one in attacked:
        shape = tuple(one.images.linear.shape[1:])
        usable = [i for i in range(len(one.images.ids)) if bool(one.images.linear[i].isfinite().all())]
        if not usable:
            continue
        each = n_queries(one.setting, config, shape)
        seconds = seconds_per_query(one.setting, config, one.images.linear[usable[0]]) * each * len(usable)
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


def _search(one: _Attacked, config: OnePixelAttackConfig, folder: Path, name: str) -> RowStore:
    """Attack every image that has no row yet; each row is on disk before the next image."""
    from galshift import console
    from galshift.audit.attack import attack
    from galshift.recipes.steps._attack_store import RowStore

    store = RowStore(folder / PARTIAL, name, one.images.linear.shape[-1])
    total = len(one.images.ids)
    with console.progress(f"attack {one.classifier.name}", total) as bar:
        bar.advance(len(store.rows))
        for row in attack(one.setting, one.images, config, done=store.done):
            store.append({**row.values, "fault": config.fault.kind}, row.vulnerability)
            bar.advance(1)
    return store


def _results(
    config: OnePixelAttackConfig, judged: JudgedSet, attacked: Sequence[_Attacked], stores: Sequence[RowStore]
) -> dict[str, Any]:
    from galshift.audit.attack import grid_of, is_incremental
    from galshift.audit.summary import compare, summarise

    first = attacked[0]
    shape = tuple(first.images.linear.shape[1:])
    summary = summarise(
        stores[0].rows, first.images.classes, grid=grid_of(first.setting, config, shape), spread=first.spread
    )
    results = {
        "model": first.classifier.name,
        "data": judged.name,
        "fault": config.fault.kind,
        "search": config.search,
        "pixels": config.pixels,
        "target": config.target,
        "seed": config.seed,
        **summary,
        "incremental": is_incremental(first.setting, shape),
        "detector": first.setting.scene.detector.model_dump(mode="json"),
        "detector_source": "not used"
        if first.setting.fault.stretched
        else first.setting.scene.detector.source,
        "warnings": [*judged.notes, *_warnings(summary)],
    }
    if len(attacked) > 1:
        names = [one.classifier.name for one in attacked]
        results["compare"] = compare(
            names, [store.rows for store in stores], [one.spread for one in attacked]
        )
    return results


def _warnings(summary: Mapping[str, Any]) -> list[str]:
    found = []
    if 0 < summary["n_attacked"] < 30:
        found.append(f"Only {summary['n_attacked']} images were attacked: read the interval, not the rate.")
    if summary["not_attacked"].get("not finite"):
        found.append(
            f"{summary['not_attacked']['not finite']} images hold NaN or infinity and were not attacked."
        )
    return found


def _side(one: _Attacked, store: RowStore, config: OnePixelAttackConfig) -> Side:
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


def _examples(one: _Attacked, store: RowStore, wanted: int) -> list[Example]:
    """Return images for the gallery: half that flip, half that hold out, in the order of the data."""
    from galshift.audit.attack import replay
    from galshift.recipes.steps._attack_report import Example

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
