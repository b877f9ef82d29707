"""The report of an audit: what survives which damage, before and after adaptation, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.report import Card, Figure, ReportData, Section, Table, about, figures, pictures


def headline(model: Mapping[str, Any]) -> str:
    """Return a sentence about one model."""
    low, high = model["mean_ci95"]
    worst = min(model["corruptions"], key=lambda name: model["corruptions"][name]["mean"])
    return (
        f"{model['name']}: {model['clean']['accuracy']:.1%} of undamaged images are right, and "
        f"{model['mean_accuracy']:.1%} on average over all damage (95% interval {low:.1%} to {high:.1%}); "
        f"worst under {worst} ({model['corruptions'][worst]['mean']:.1%})."
    )


def audit_report(results: Mapping[str, Any], examples: Sequence[tuple[str, np.ndarray]]) -> ReportData:
    """Return the page; `results` is what ``audit.json`` holds."""
    models = results["models"]
    lede = [pair["verdict"] for pair in results["compare"]] or [headline(models[0])]
    return about(
        f"Audit on {results['data']}",
        lede=lede,
        cards=[
            Card(
                model["name"],
                f"{model['mean_accuracy']:.1%}",
                f"damaged; {model['clean']['accuracy']:.1%} undamaged",
            )
            for model in models
        ],
        warnings=results["warnings"],
        sections=[
            _overall(results),
            *(_table(model, results) for model in models),
            _examples(examples),
            _levels(results),
        ],
    )


def _overall(results: Mapping[str, Any]) -> Section:
    models, severities = results["models"], results["severities"]
    lines = {
        model["name"]: ([0, *severities], [model["clean"]["accuracy"], *model["by_severity"]])
        for model in models
    }
    names = list(results["corruptions"])
    bars = {model["name"]: [model["corruptions"][name]["mean"] for name in names] for model in models}
    rows = tuple(
        (
            model["name"],
            f"{model['clean']['accuracy']:.1%}",
            f"{model['mean_accuracy']:.1%}",
            f"{model['mean_ci95'][0]:.1%} to {model['mean_ci95'][1]:.1%}",
            f"{model['mean_drop']:.1%}",
        )
        for model in models
    )
    blocks = (
        Table(("model", "undamaged", "mean under damage", "95% interval", "drop"), rows),
        Figure(
            figures.curves(lines, x_label="severity", y_label="accuracy", marker="o", limits=(0, 1)),
            caption="Mean over all kinds of damage; 0 is undamaged.",
        ),
        Figure(figures.bars(names, bars, y_label="accuracy"), caption="Mean over the five severities."),
    )
    text = tuple(headline(model) for model in models)
    return Section("What stays right", text=text, blocks=blocks)


def _table(model: Mapping[str, Any], results: Mapping[str, Any]) -> Section:
    rows = tuple(
        (name, *(f"{cell['accuracy']:.1%}" for cell in entry["severities"]), f"{entry['mean']:.1%}")
        for name, entry in model["corruptions"].items()
    )
    half = max(
        (cell["ci95"][1] - cell["ci95"][0]) / 2
        for entry in model["corruptions"].values()
        for cell in entry["severities"]
    )
    columns = ("damage", *(f"severity {s}" for s in results["severities"]), "mean")
    caption = f"Accuracy on the same {results['n']} images; 95% intervals are at most ±{half:.1%}."
    return Section(f"By kind: {model['name']}", blocks=(Table(columns, rows, caption=caption),))


def _examples(examples: Sequence[tuple[str, np.ndarray]]) -> Section:
    images, titles = [image for _, image in examples], [name for name, _ in examples]
    shown = pictures.gallery(images, titles, size_px=130)
    return Section(
        "What it looks like", text=("One galaxy under each damage at severity 3.",), blocks=(shown,)
    )


def _levels(results: Mapping[str, Any]) -> Section:
    rows = tuple(
        (name, entry["what"], *(f"{level:g}" for level in entry["levels"]), entry["unit"])
        for name, entry in results["corruptions"].items()
    )
    columns = ("damage", "what it does", *(str(s) for s in results["severities"]), "unit")
    text = (
        "Damage is applied to the linear images, before the model's own stretch; each image's is drawn from "
        "its own random stream and is the same for every model. The severities are our choice.",
    )
    return Section("What the severities mean", text=text, blocks=(Table(columns, rows),), folded=True)
