"""What ``attack.json`` holds: the summary of each attacked model, event rates, and the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.audit.attack import grid_of, is_incremental
from galshift.audit.rates import misclassified_per_exposure
from galshift.audit.summary import Searched, compare, summarise
from galshift.runs.test_sets import TestSet
from galshift.verbs.one_pixel_attack.config import OnePixelAttackConfig
from galshift.verbs.one_pixel_attack.models import Attacked
from galshift.verbs.one_pixel_attack.store import RowStore


def attack_results(
    config: OnePixelAttackConfig, test_set: TestSet, attacked: Sequence[Attacked], stores: Sequence[RowStore]
) -> dict[str, Any]:
    """Return the summary of the first model, and where there are more, all of them side by side."""
    first = attacked[0]
    fault, scene = first.setting.fault, first.setting.scene
    shape = tuple(first.images.linear.shape[1:])
    one_by_one = config.search != "de"
    searched = Searched(fault.variants(scene), not fault.stretched, config.pixels, one_by_one)
    summary = summarise(
        stores[0].rows,
        first.images.classes,
        grid=grid_of(first.setting, config, shape),
        spread=first.spread,
        searched=searched,
    )
    results = {
        "model": first.classifier.name,
        "data": test_set.name,
        "fault": config.fault.kind,
        "search": config.search,
        "pixels": config.pixels,
        "target": config.target,
        "seed": config.seed,
        **summary,
        "event_rate": _event_rate(config, first, stores[0]),
        "incremental": is_incremental(first.setting, shape),
        "detector": scene.detector.model_dump(mode="json"),
        "detector_source": "not used" if fault.stretched else scene.detector.source,
        "warnings": [*test_set.notes, *_warnings(summary)],
    }
    if len(attacked) > 1:
        names = [one.classifier.name for one in attacked]
        rows, spreads = [store.rows for store in stores], [one.spread for one in attacked]
        results["compare"] = compare(names, rows, spreads, searched)
        for side, one, store in zip(results["compare"]["runs"], attacked, stores):
            side["event_rate"] = _event_rate(config, one, store)
    return results


def _event_rate(config: OnePixelAttackConfig, one: Attacked, store: RowStore) -> dict[str, Any] | None:
    """Return the share of galaxies that one exposure's events get wrong, where rate and certificate allow."""
    detector = one.setting.scene.detector
    stated = config.rate.events_per_pixel is not None
    per_pixel = (
        config.rate.per_pixel(detector.exposure_s) if config.fault.kind == "cosmic" or stated else None
    )
    shares = [row["flip_share"] for row in store.rows if row["status"] == "attacked"]
    if per_pixel is None or not shares or any(q is None or not np.isfinite(q) for q in shares):
        return None
    pre = one.classifier.trained.preprocessing
    finer = 1.0
    if detector.pixel_arcsec is not None and pre.pixel_scale_arcsec is not None:
        finer = pre.pixel_scale_arcsec / detector.pixel_arcsec
    bands = len(pre.bands)
    return {
        "rate": config.rate.stated,
        "events_per_pixel": per_pixel,
        "exposure_s": detector.exposure_s,
        **misclassified_per_exposure(
            shares,
            per_pixel * (pre.size * finer) ** 2,
            exposures=sum(detector.by_band("exposures", bands)),
            n_bootstrap=config.rate.n_bootstrap,
            seed=config.seed,
        ),
    }


def _warnings(summary: Mapping[str, Any]) -> list[str]:
    found = []
    if 0 < summary["n_attacked"] < 30:
        found.append(f"Only {summary['n_attacked']} images were attacked: read the interval, not the rate.")
    if summary["not_attacked"].get("not finite"):
        found.append(
            f"{summary['not_attacked']['not finite']} images are empty or not finite in a band and were not "
            "attacked."
        )
    return found
