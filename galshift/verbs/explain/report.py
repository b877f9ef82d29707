"""The report of an explanation: pictures beside their maps, and whether to believe them."""

from __future__ import annotations

import numpy as np

from galshift.data.paths import bare_name
from galshift.evaluation.explain import enlarged
from galshift.report import Card, Figure, Gallery, Picture, ReportData, Section, Table, about, figures
from galshift.report.pictures import composite, data_uri, heat
from galshift.report.scores import number
from galshift.streams import numpy_stream
from galshift.verbs.explain.result import SCORES, Explained, Explanation

# A map that still ranks pixels like the true one after the whole network is noise shows the image's shape.
_UNMOVED = 0.5

_LABELS = {
    "on_galaxy": "on the galaxy",
    "on_neighbors": "on neighbours",
    "on_sky": "on sky",
    "on_edge": "at the edge",
    "galaxy_area": "galaxy's share of pixels",
    "enrichment": "times its share",
}


def explain_report(found: Explanation, *, samples: int, seed: int) -> ReportData:
    """Return the whole page."""
    sections = [_pictures_section(found, s, samples, seed) for s in found.sets if samples]
    sections += [_scores_section(found), _check_section(found)]
    return about(
        f"Where the classifier looks on {' and '.join(s.name for s in found.sets)}",
        lede=opening_sentences(found),
        cards=_cards(found),
        warnings=warnings(found),
        sections=sections,
        facts={"run": bare_name(found.trained.path.parent), "layer": found.layer},
    )


def _cards(found: Explanation) -> list[Card]:
    cards = []
    for s in found.sets:
        times = s.scores["enrichment"]
        if np.isfinite(times).any():
            value = float(np.nanmedian(times))
            tone = "good" if value > 1.2 else "bad" if value < 1 else ""
            cards.append(
                Card(
                    f"evidence on the galaxy, {s.name}",
                    f"{value:.1f} ×",
                    "of its share of pixels (median)",
                    tone,
                )
            )
    return cards


def _pictures_section(found: Explanation, s: Explained, samples: int, seed: int) -> Section:
    order = numpy_stream(seed, "explain", "samples", s.name).permutation(len(s.rows))
    chosen = np.sort(order[:samples])
    linear = found.trained.preprocessing.linear(s.dataset.read(s.rows[chosen]))
    large = enlarged(s.maps[chosen], linear.shape[2:])
    classes = found.trained.classes
    pictures = []
    for i, image, weight in zip(chosen, linear, large, strict=True):
        plain = composite(image, bands=found.trained.bands)
        pair = np.concatenate([plain, heat(plain, weight)], axis=1)
        answered, label = s.predicted[i], s.labels[i]
        explained = answered if found.which == "predicted" else label
        words = [str(s.dataset.info.ids[s.rows[i]])]
        if label >= 0:
            words.append(f"truth: {classes[label]}")
        if explained != answered:
            words.append(f"evidence for {classes[explained]}")
        share = s.scores["on_galaxy"][i]
        if np.isfinite(share):
            words.append(f"{share:.0%} on the galaxy")
        tone = ("good" if label == answered else "bad") if label >= 0 else ""
        title = f"{classes[answered]} {s.probabilities[i].max():.0%}"
        pictures.append(Picture(data_uri(pair), title, "; ".join(words), tone))
    text = (
        "Each galaxy as the network sees it before its stretch, and with its map over it: bright is where "
        f"evidence for the {'answer' if found.which == 'predicted' else 'true class'} comes from."
    )
    return Section(f"Some galaxies of {s.name}", (text,), (Gallery(tuple(pictures), size_px=224),))


def _scores_section(found: Explanation) -> Section:
    rows = []
    for name, summary in found.document()["data_sets"].items():
        parts = [("all", summary), *summary["by_predicted_class"].items()]
        parts += [
            (f"{key} answers", summary[key]) for key in ("right", "wrong") if summary.get(key, {}).get("n")
        ]
        rows += [(name, part, row["n"], *(number(row[key]) for key in SCORES)) for part, row in parts]
    table = Table(
        ("data set", "images", "n", *(_LABELS[key] for key in SCORES)),
        tuple(rows),
        "Shares of a map's weight, averaged over images. Classes are the network's answers. Galaxy and "
        "neighbours are the sources detected in the image itself; the edge is the outer tenth on each side.",
    )
    drawn = figures.histogram(
        {s.name: s.scores["on_galaxy"] for s in found.sets},
        x_label="share of the evidence on the galaxy",
        n_bins=20,
    )
    return Section("Where the evidence lies", (), (Figure(drawn), table))


def _check_section(found: Explanation) -> Section:
    values = [row["correlation"] for row in found.check]
    steps = list(range(1, len(values) + 1))
    drawn = figures.curves(
        {"": (steps, values)},
        x_label="weight layers replaced by noise, from the top",
        y_label="rank correlation with the true map",
        marker="o",
        limits=(-1.05, 1.05),
    )
    rows = tuple(
        (i, row["layer"], number(row["correlation"])) for i, row in zip(steps, found.check, strict=True)
    )
    text = (
        "The network's weights are replaced by noise, layer by layer from the answer down to the image, "
        "and the maps drawn again (Adebayo et al. 2018). Maps that stay alike show the image rather than "
        "what was learnt."
    )
    table = Table(("layers", "last replaced", "correlation"), rows)
    return Section("Whether to believe the maps", (text,), (Figure(drawn), table))


def opening_sentences(found: Explanation) -> list[str]:
    """Return the opening sentences."""
    lines = []
    for s in found.sets:
        on, area = _mean(s.scores["on_galaxy"]), _mean(s.scores["galaxy_area"])
        if not np.isfinite(on):
            lines.append(f"On {s.name} no galaxy was detected to compare the maps with.")
            continue
        verdict = (
            "it looks at the galaxy more than at the rest of the image"
            if on > 1.2 * area
            else "it does not single out the galaxy"
        )
        lines.append(
            f"On {s.name}, {on:.0%} of the evidence lies on the galaxy, whose pixels are {area:.0%} of the "
            f"image: {verdict}."
        )
    last = found.check[-1]["correlation"] if found.check else float("nan")
    if np.isfinite(last):
        verdict = (
            "the maps show what the network learnt"
            if last < _UNMOVED
            else "the maps would look alike whatever the network had learnt, so they explain little"
        )
        lines.append(
            f"With every weight replaced by noise, maps correlate by {last:.2f} with the true ones "
            f"(1 = unchanged): {verdict}."
        )
    return lines


def warnings(found: Explanation) -> list[str]:
    """Return what a reader should know before reading the maps."""
    height, width = found.sets[0].maps.shape[1:]
    size = found.trained.preprocessing.size
    lines = [
        f"A map has {width} x {height} pixels for an image of {size} x {size}; anything finer is "
        "interpolation."
    ]
    for s in found.sets:
        empty = int((s.maps.sum(axis=(1, 2)) == 0).sum())
        if empty:
            lines.append(
                f"{empty} of {len(s.rows)} maps of {s.name} are empty: nothing in that layer speaks for the "
                "class."
            )
        if s.n_flagged:
            lines.append(f"{s.n_flagged} images of {s.name} could not be used.")
    return lines


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")
