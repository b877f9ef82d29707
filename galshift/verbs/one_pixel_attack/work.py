"""Search every pixel of every image, and compare networks."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from typing import Any

from galshift import console
from galshift.audit.attack import Row, attack, n_queries, replay, seconds_per_query
from galshift.provenance import write_json
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.spread import Engine
from galshift.timing import timed
from galshift.training.memory import held_memory
from galshift.training.threads import cpu_threads, suited_threads
from galshift.verbs.one_pixel_attack.config import OnePixelAttackConfig
from galshift.verbs.one_pixel_attack.models import Attacked, open_attacked
from galshift.verbs.one_pixel_attack.pieces import rows_elsewhere
from galshift.verbs.one_pixel_attack.products import Side, write_attack
from galshift.verbs.one_pixel_attack.report import Example, attack_report
from galshift.verbs.one_pixel_attack.results import attack_results
from galshift.verbs.one_pixel_attack.store import PARTIAL, RowStore


def work(config: OnePixelAttackConfig, run: RunDirectory, device: str, engine: Engine) -> dict[str, Any]:
    """Attack the images of `config`, write rows, maps and report, and return the results.

    Raises
    ------
    ConfigError
        When the model has no class of the target's name.
    DataError
        When a run or data set cannot be used.
    """
    test_set, attacked = open_attacked(config, device)
    stores = _stores(attacked, run)
    threads = max(suited_threads(one.classifier.trained.model) for one in attacked)
    with cpu_threads(threads), held_memory():
        _announce(attacked, stores, config, run)
        for one, store in zip(attacked, stores, strict=True):
            if engine.alone or not hasattr(test_set.dataset, "reopen"):
                rows = attack(one.setting, one.images, config, done=store.done)
            else:
                todo = [i for i, name in enumerate(one.images.ids) if name not in store.done]
                rows = rows_elsewhere(one, test_set, todo, config, device, threads, engine)
            _search(one, store, config, rows)
    results = attack_results(config, test_set, attacked, stores)
    sides = [_side(one, store, config) for one, store in zip(attacked, stores, strict=True)]
    examples = _examples(attacked[0], stores[0], config.gallery)
    maps = stores[0].maps()
    write_json(run.path / "attack.json", results)
    write_attack(run.path / "attack.fits", sides, {"FAULT": config.fault.kind, "SEARCH": config.search})
    page = attack_report(results, examples, maps.mean(axis=0) if len(maps) else None)
    build(run.path / "report.html", page)
    shutil.rmtree(run.path / PARTIAL, ignore_errors=True)
    outputs = {"results": "attack.json", "table": "attack.fits", "report": "report.html"}
    return {**results, "outputs": outputs}


def _stores(attacked: Sequence[Attacked], run: RunDirectory) -> list[RowStore]:
    """Open the stored rows of each model, with those of an earlier try."""
    stores = []
    for number, one in enumerate(attacked):
        store = RowStore(run.path / PARTIAL, str(number), one.images.linear.shape[-1])
        if store.rows:
            line = f"{one.classifier.name}: {len(store.rows)} images were done already"
            console.say(line)
            run.log(line)
        stores.append(store)
    return stores


@timed("attack")
def _announce(
    attacked: Sequence[Attacked], stores: Sequence[RowStore], config: OnePixelAttackConfig, run: RunDirectory
) -> None:
    """Say, before starting, how many questions there are and how long they should take."""
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


@timed("attack")
def _search(one: Attacked, store: RowStore, config: OnePixelAttackConfig, rows: Iterable[Row]) -> None:
    """Store the rows of the images that have none yet; each is on disk before the next is asked for."""
    with console.progress(f"attack {one.classifier.name}", len(one.images.ids)) as bar:
        bar.advance(len(store.rows))
        for row in rows:
            store.append({**row.values, "fault": config.fault.kind}, row.vulnerability)
            bar.advance(1)


def _side(one: Attacked, store: RowStore, config: OnePixelAttackConfig) -> Side:
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
