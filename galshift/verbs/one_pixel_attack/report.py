"""The report of an attack: what broke, what is certified, two models side by side, and a gallery."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.report import (
    Card,
    Figure,
    Gallery,
    Picture,
    ReportData,
    Section,
    Table,
    about,
    figures,
    pictures,
)


@dataclass(frozen=True)
class Example:
    """One image for the gallery: its row, the image before and after (C, S, S), and its map (S, S) if any."""

    row: Mapping[str, Any]
    before: np.ndarray
    after: np.ndarray
    vulnerability: np.ndarray | None


def attack_report(
    results: Mapping[str, Any], examples: Sequence[Example], mean_map: np.ndarray | None
) -> ReportData:
    """Return the page of one attack; `results` is what ``attack.json`` holds."""
    sections = [_what_broke(results)]
    if "compare" in results:
        sections.append(_comparison(results["compare"]))
    if examples:
        sections.append(gallery_section(examples))
    if mean_map is not None:
        sections.append(where_section(mean_map))
    sections.append(_how(results))
    verdict = (results["compare"]["verdict"],) if "compare" in results else ()
    return about(
        f"One-pixel attack on {results['data']}",
        lede=(headline(results), *verdict),
        cards=_cards(results),
        warnings=results["warnings"],
        sections=sections,
    )


def headline(results: Mapping[str, Any]) -> str:
    """Return the answer in a sentence."""
    n, flipped = results["n_attacked"], results["n_flipped"]
    if n == 0:
        return "No image was attacked: the model classifies none of them right."
    low, high = results["success_ci95"]
    said = (
        f"Of {n} correctly classified images, {flipped} change class under one '{results['fault']}' fault "
        if results["pixels"] == 1
        else f"Of {n} correctly classified images, {flipped} change class under {results['pixels']} "
        f"'{results['fault']}' faults "
    ) + f"({flipped / n:.0%}, 95% interval {low:.0%} to {high:.0%})."
    grid = results["certificate"]
    if grid is not None and n > flipped:
        return said + f" For the other {grid['n_certified']} it is certain that {grid['statement']}."
    if n > flipped:
        return (
            said + " Those that held out were not searched in full: this is a lower limit, not a certificate."
        )
    return said


def _cards(results: Mapping[str, Any]) -> tuple[Card, ...]:
    cards = [
        Card("Clean accuracy", _percent(results["clean_accuracy"]), _interval(results["clean_ci95"])),
        Card("Attacked", str(results["n_attacked"]), "correctly classified"),
        Card("Change class", _percent(results["success_rate"]), _interval(results["success_ci95"])),
    ]
    if results["certificate"] is not None:
        cards.append(Card("Certified", str(results["certificate"]["n_certified"]), "whole grid searched"))
    rate = results["event_rate"]
    if rate is not None:
        share = f"{rate['fraction_per_exposure']:.2g}"
        ends = " to ".join(f"{end:.2g}" for end in rate["ci95"])
        cards.append(Card("Misclassified per exposure", share, f"of galaxies; {ends}"))
    return tuple(cards)


def _what_broke(results: Mapping[str, Any]) -> Section:
    rows = [
        (
            name,
            entry["n_images"],
            _percent(entry["clean_accuracy"]),
            entry["n_attacked"],
            entry["n_flipped"],
            _percent(entry["success_rate"]),
            _interval(entry["success_ci95"]),
        )
        for name, entry in results["per_class"].items()
    ]
    columns = ("class", "images", "clean accuracy", "attacked", "flipped", "success", "95% interval")
    blocks: list[Any] = [
        Table(columns, tuple(rows), caption="One pooled rate hides how unequal classes are.")
    ]
    blocks += _curves({"": results})
    if results["by_amplitude"] and results["by_amplitude"][0]["electrons"] is None:
        listed = tuple((entry["name"], *_counts(entry)) for entry in results["by_amplitude"])
        blocks.append(Table(("value", "attacked", "flipped", "success", "95% interval"), listed))
    text = (*_rescaling_sentence(results["rescaling"]), *_rate_sentence(results["event_rate"]))
    return Section("What changes class", text=text, blocks=tuple(blocks))


def _rescaling_sentence(counts: Mapping[str, int] | None) -> tuple[str, ...]:
    """Tell the effect of the struck pixels from that of stretching the whole image anew."""
    if counts is None:
        return ()
    return (
        f"The stretch of this model depends on the whole image: {counts['n_flipped_locally']} images flip "
        f"by the struck pixels alone, and {counts['n_only_by_rescaling']} of the {counts['n_flipped']} that "
        "flip do so only because the fault changes how the rest of the image is stretched.",
    )


def _rate_sentence(rate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Say what one exposure's events do."""
    if rate is None:
        return ()
    low, high = rate["ci95"]
    return (
        f"At {rate['rate']}, one exposure puts {rate['events_per_stamp']:.2g} events on a stamp of this "
        f"size. If none is repaired, it gets {rate['fraction_per_exposure']:.2g} of the correctly classified "
        f"galaxies wrong (95% interval {low:.2g} to {high:.2g}), and all {rate['exposures']:.0f} exposures "
        f"together {rate['fraction_per_stack_unrejected']:.2g}.",
    )


def _curves(sides: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """Return success against amplitude, pixels and queries, a line for each model."""
    found = []
    strong = {
        name: [entry for entry in side["by_amplitude"] if entry["electrons"] is not None]
        for name, side in sides.items()
    }
    if all(len(entries) > 1 for entries in strong.values()):
        lines = {
            name or "flipped": (
                [math.log10(max(abs(entry["electrons"]), 1)) for entry in entries],
                [entry["success_rate"] for entry in entries],
            )
            for name, entries in strong.items()
        }
        drawing = _share_curves(lines, "log10 electrons")
        found.append(Figure(drawing, caption="Share of images that one event of this strength can flip."))
    if all(side["by_pixels"] for side in sides.values()):
        lines = {
            name or "flipped": (
                [entry["pixels"] for entry in side["by_pixels"]],
                [entry["success_rate"] for entry in side["by_pixels"]],
            )
            for name, side in sides.items()
        }
        drawing = _share_curves(lines, "pixels changed")
        found.append(Figure(drawing, caption="Share of images flipped by so many pixels, taken one by one."))
    if all(len(side["queries"]["curve"]) > 1 for side in sides.values()):
        lines = {
            name or "flipped": tuple(zip((0, 0.0), *side["queries"]["curve"])) for name, side in sides.items()
        }
        drawing = _share_curves(lines, "queries")
        found.append(Figure(drawing, caption="Share of images flipped by then; failures are censored."))
    return found


def _share_curves(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_label: str) -> str:
    """Draw shares from 0 to a little above the largest."""
    top = max((y for _, shares in lines.values() for y in shares), default=0.0)
    limits = (0.0, min(1.02, max(0.1, 1.25 * top)))
    return figures.curves(lines, x_label=x_label, y_label="share flipped", marker="o", limits=limits)


def _comparison(comparison: Mapping[str, Any]) -> Section:
    rows: list[tuple[Any, ...]] = []
    for side in comparison["runs"]:
        rows.append((side["name"], "all", *_counts(side)))
        rows += [(side["name"], label, *_counts(entry)) for label, entry in side["per_class"].items()]
    latent = [
        (side["name"], group, side["latent"][group]["n"], _two(side["latent"][group]["median"]))
        for side in comparison["runs"]
        for group in ("successes", "failures")
    ]
    text = [comparison["verdict"]]
    for pair in comparison["pairs"]:
        first, second = pair["runs"]
        text.append(
            f"On the same {comparison['n_common']} images: {pair['both']} flip for both {first} and "
            f"{second}, {pair['neither']} for neither, {pair['only_first']} only for {first}, "
            f"{pair['only_second']} only for {second}; McNemar's exact p = {pair['p']:.2g}."
        )
        text += _ratio_sentence(first, second, pair["latent_ratio"])
    interval = [
        (side["name"], side["success_rate"], *side["success_ci95"], float("nan"))
        for side in comparison["runs"]
        if side["success_rate"] is not None
    ]
    blocks: list[Any] = [
        Table(("model", "class", "attacked", "flipped", "success", "95% interval"), tuple(rows))
    ]
    if interval:
        drawing = figures.intervals(interval, x_label="share of common images that change class")
        blocks.append(Figure(drawing, caption="Wilson 95% intervals; the test above is paired and sharper."))
    blocks += _curves({side["name"]: side for side in comparison["runs"]})
    blocks.append(
        Table(
            ("model", "images", "n", "median latent distance / within-class spread"),
            tuple(latent),
            caption="How far the strongest change moves an image in the model's own features. A longer way "
            "speaks for robustness only with failures counted and the features' own scale divided out.",
        )
    )
    return Section("Side by side", text=tuple(text), blocks=tuple(blocks))


def _ratio_sentence(first: str, second: str, ratio: Mapping[str, float | None]) -> list[str]:
    """Say how many times farther the attack went, as DeepAdversaries does, where that is known."""
    if ratio["successes"] is None or ratio["all"] is None:
        return []
    own = ratio["all_over_spread"]
    scaled = "" if own is None else f", {own:.2g} times with the features' own scale divided out"
    return [
        f"In the features of {second} the attack went {ratio['successes']:.2g} times as far as in those of "
        f"{first} where it succeeded, {ratio['all']:.2g} times with failures{scaled}."
    ]


def _how(results: Mapping[str, Any]) -> Section:
    queries = results["queries"]
    rows = [
        ("fault", results["fault"]),
        ("search", results["search"]),
        ("pixels", results["pixels"]),
        ("questions asked of the model", f"{queries['total']:,}"),
        ("incremental forward", "yes" if results["incremental"] else "no: every question is a whole pass"),
        ("detector", results["detector_source"]),
        ("not attacked", ", ".join(f"{n} {why}" for why, n in results["not_attacked"].items()) or "none"),
    ]
    blocks: list[Any] = [Table(("", ""), tuple(rows))]
    grid = results["certificate"]
    if grid is not None:
        listed = tuple((v["name"], ", ".join(f"{x:.4g}" for x in v["values"])) for v in grid["variants"])
        blocks.append(Table(("variant", grid["unit"]), listed, caption=f"The grid: {grid['statement']}."))
    return Section("How it was searched", blocks=tuple(blocks), folded=True)


def _counts(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        entry["n_attacked"],
        entry["n_flipped"],
        _percent(entry["success_rate"]),
        _interval(entry["success_ci95"]),
    )


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.0%} to {ends[1]:.0%}"


def _two(value: float | None) -> str | None:
    return None if value is None else f"{value:.2g}"


def gallery_section(examples: Sequence[Example]) -> Section:
    """Return the images before and after, and the map of each."""
    shown: list[Picture] = []
    peaks = [np.nanmax(e.vulnerability) for e in examples if e.vulnerability is not None]
    white = max([0.01, *peaks])
    for example in examples:
        row = example.row
        tone = "bad" if row["flipped"] else "good"
        before = pictures.composite(example.before)
        after = pictures.composite(example.after)
        circled = circle(after, row["rows"], row["columns"])
        note = f"p {row['p_before']:.2f} to {row['p_after']:.2f}"
        shown += [
            Picture(pictures.data_uri(circle(before, (), ())), f"{row['id']}: {row['prediction']}", "before"),
            Picture(pictures.data_uri(circled), f"{row['prediction_after']}", f"after, {note}", tone),
        ]
        if example.vulnerability is not None:
            heat = heat_map(example.vulnerability, white)
            shown.append(Picture(pictures.data_uri(heat), "where", f"drop of p, white = {white:.2g}"))
    text = (
        "Before; after the strongest change found, its pixel circled; and, per pixel, how much it can do.",
    )
    return Section("Images", text=text, blocks=(Gallery(tuple(shown), size_px=150),))


def where_section(mean_map: np.ndarray) -> Section:
    """Return the map (H, W) averaged over images."""
    white = max(0.01, float(np.nanmax(mean_map)))
    picture = Picture(
        pictures.data_uri(heat_map(mean_map, white)), "mean over images", f"white = {white:.2g}"
    )
    return Section(
        "Where a pixel matters",
        text=("The largest drop of the true class's probability by pixel, at full resolution.",),
        blocks=(Gallery((picture,), size_px=220),),
    )


def circle(picture: np.ndarray, rows: Sequence[int], columns: Sequence[int], *, scale: int = 4) -> np.ndarray:
    """Return (H, W, 3) uint8 enlarged `scale` times, with a ring about each pixel (rows, columns)."""
    big = picture.repeat(scale, axis=0).repeat(scale, axis=1).copy()
    y, x = np.mgrid[: big.shape[0], : big.shape[1]]
    for row, column in zip(rows, columns):
        distance = np.hypot(y - (row + 0.5) * scale + 0.5, x - (column + 0.5) * scale + 0.5)
        big[np.abs(distance - 3 * scale) < 0.9] = (255, 210, 0)
    return big


def heat_map(values: np.ndarray, white: float = 1.0, *, scale: int = 4) -> np.ndarray:
    """Return (H, W, 3) uint8 of `values` between 0 (dark) and `white`, enlarged `scale` times."""
    from matplotlib import colormaps

    shown = np.clip(np.nan_to_num(values, nan=0.0) / white, 0, 1)
    colours = (colormaps["inferno"](shown)[..., :3] * 255).astype(np.uint8)
    return colours.repeat(scale, axis=0).repeat(scale, axis=1)
