"""The report of a suggestion: the galaxies to label, in order, and how sure the classifier is of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.data.paths import bare_name
from galshift.evaluation.honesty import entropy
from galshift.report import Figure, ReportData, Section, about, figures
from galshift.report.pictures import gallery
from galshift.runs.answers import AnsweredSet
from galshift.training.checkpoint import Trained
from galshift.verbs.suggest.config import SuggestConfig

_HOW = {
    "mix": "uncertain and unlike one another",
    "uncertainty": "those that the classifier is least sure of",
    "diversity": "unlike one another and unlike those whose labels are known",
    "random": "drawn at random",
}


def opening_sentences(results: Mapping[str, Any]) -> list[str]:
    """Return plain sentences about a choice."""
    if results.get("strata", "none") != "none":
        return [
            f"{results['n']} galaxies of {results['n_candidates']}, drawn at random among those of each "
            f"answer: their labels count the classes of {results['data']}, the rare ones too.",
            "Label all of them. Their accuracy is not that of the whole: draw others for that.",
        ]
    if results["aim"] == "measure":
        return [
            f"{results['n']} galaxies of {results['n_candidates']}, drawn at random: their labels give the "
            f"accuracy on {results['data']} to within ± {results['half_width']:.0%} (95%), at worst.",
            "Label all of them: leaving out the hard ones would flatter the classifier.",
        ]
    how = _HOW[results.get("by", "mix")]
    paid = f" Their labels cost {results['spent']:g} in all ({results['cost']})." if "cost" in results else ""
    lines = [
        f"{results['n']} galaxies of {results['n_candidates']}, {how}.{paid}",
        "They are for training: do not measure an accuracy on them (--aim measure chooses for that).",
    ]
    if results.get("n_learnt"):
        lines.append(
            f"At the end of suggest.csv stand the {results['n_learnt']} whose labels the run has learnt: the "
            "next training learns all labels of one file."
        )
    return lines


def suggest_report(
    trained: Trained,
    pool: AnsweredSet,
    chosen: np.ndarray,
    table: Table,
    results: Mapping[str, Any],
    config: SuggestConfig,
) -> ReportData:
    """Return the whole page."""
    sections = []
    if config.pictures:
        shown = chosen[: config.pictures]
        pictures = gallery(
            pool.linear_images(trained, shown),
            [str(i) for i in pool.ids[shown]],
            notes=[f"{row['prediction']} {row['confidence']:.0%}" for row in table[: len(shown)]],
            bands=trained.bands,
        )
        told = f"In the order of labelling; suggest.csv has all {len(chosen)}."
        sections.append(Section("Galaxies to label", (told,), (pictures,)))
    everything = entropy(pool.probabilities[pool.usable])
    samples = {f"all of {pool.name}": everything, "suggested": np.asarray(table["entropy"])}
    drawn = figures.histogram(samples, x_label="entropy of the predicted class [nat]", n_bins=20)
    sections.append(Section("How sure the classifier is of them", (), (Figure(drawn),)))
    return about(
        f"{results['n']} galaxies of {pool.name} to label",
        lede=opening_sentences(results),
        warnings=results["warnings"],
        sections=sections,
        facts={"run": bare_name(config.run), "seed": config.seed},
    )
