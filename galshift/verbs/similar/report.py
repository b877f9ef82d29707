"""The report of a search: the galaxy, then those like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.data.paths import bare_name
from galshift.report import ReportData, Section, about
from galshift.report.pictures import gallery
from galshift.runs.answers import AnsweredSet
from galshift.training.checkpoint import Trained

_RARE = 0.95  # of galaxies have closer neighbours


def opening_sentences(results: Mapping[str, Any]) -> list[str]:
    """Return plain sentences about a search."""
    lines = [
        f"{results['id']} is classified as {results['prediction']} ({results['confidence']:.0%}); so are "
        f"{results['same_answer']:.0%} of the {results['n']} galaxies most like it."
    ]
    rarity = results["rarity"]
    if rarity is not None and rarity == rarity:
        start = "It is unusual" if rarity > _RARE else "It is not unusual"
        lines.append(f"{start}: {rarity:.0%} of galaxies have closer neighbours than it has.")
    return lines


def similar_report(
    trained: Trained,
    home: AnsweredSet,
    place: int,
    searched: Sequence[AnsweredSet],
    rows: np.ndarray,
    table: Table,
    results: Mapping[str, Any],
) -> ReportData:
    """Return the whole page.

    Parameters
    ----------
    trained : Trained
    home : AnsweredSet
        The set of the galaxy that is asked for.
    place : int
        Of that galaxy in it.
    searched : sequence of AnsweredSet
    rows : ndarray
        (n,) of the galaxies found; they count through the sets searched, in the order of `table`.
    table : Table
        From :func:`galshift.verbs.similar.work.similar_table`.
    results : mapping
        Of the verb.
    """
    starts = np.cumsum([0, *(len(s.rows) for s in searched)])
    part = np.searchsorted(starts, rows, side="right") - 1
    images = [
        searched[p].linear_images(trained, np.array([r - starts[p]]))[0]
        for p, r in zip(part, rows, strict=True)
    ]
    truths = [f"; truth: {row['label']}" if row["label"] else "" for row in table]
    sets = [f" of {row['data_set']}" if len(searched) > 1 else "" for row in table]
    shown = gallery(
        images,
        [f"{row['prediction']} {row['confidence']:.0%}" for row in table],
        notes=[
            f"{row['id']}{where}; distance {row['distance']:.2f}{truth}"
            for row, where, truth in zip(table, sets, truths, strict=True)
        ],
        bands=trained.bands,
    )
    asked = gallery(
        home.linear_images(trained, np.array([place])),
        [f"{results['prediction']} {results['confidence']:.0%}"],
        notes=[results["id"]],
        size_px=224,
        bands=trained.bands,
    )
    names = " and ".join(s.name for s in searched)
    found = f"From {results['n_searched']} galaxies of {names}, nearest first."
    return about(
        f"Galaxies like {results['id']}",
        lede=opening_sentences(results),
        sections=[Section("The galaxy", (), (asked,)), Section("Those most like it", (found,), (shown,))],
        facts={"run": bare_name(trained.path.parent)},
    )
