"""The report of a realism ladder."""

from __future__ import annotations

from typing import Any

from galshift.report import Figure, ReportData, Section, Table, about, figures
from galshift.report.pictures import gallery
from galshift.report.scores import number
from galshift.verbs.gap.report import worth_saying
from galshift.verbs.ladder.config import LadderConfig
from galshift.verbs.ladder.result import Rungs


def opening_sentences(found: Rungs) -> list[str]:
    """Return the opening sentences: what brought the sets closer, and what still tells them apart."""
    first, last = found.rungs[0], found.rungs[-1]
    steps = [(b.name, a.mean_ks - b.mean_ks) for a, b in zip(found.rungs, found.rungs[1:])]
    lines = [
        f"Measured quantities of {found.sim} and {found.real} differ by {first.mean_ks:.2f} on average as "
        f"simulated, and by {last.mean_ks:.2f} {last.name}, the last step towards {found.survey} "
        "(Kolmogorov-Smirnov: 0 is the same, 1 no overlap)."
    ]
    name, gain = max(steps, key=lambda step: step[1])
    if gain > 0:
        lines.append(f"The step that helps most is '{name}' ({gain:+z.2f} closer).")
    worse = [name for name, change in steps if change < -0.02]
    if worse:
        lines.append(f"No help here: {', '.join(worse)}.")
    left = worth_saying(last.quantities)[:4]
    if left:
        lines.append("What still differs most: " + "; ".join(row["quantity"] for row in left) + ".")
    else:
        lines.append("Nothing that was measured still differs beyond chance.")
    return lines


def ladder_report(found: Rungs, config: LadderConfig) -> ReportData:
    """Return the whole page: the rungs as numbers, then as pictures."""

    def told_apart(gap: dict[str, Any] | None) -> str | None:
        return None if gap is None else f"{1 - gap['domain_classifier_error']:.0%}"

    rungs = found.rungs
    modelled = ("told apart by the model",) if config.model else ()
    table = Table(
        ("rung", "mean difference (KS)", "told apart", *modelled),
        tuple(
            (
                r.name,
                number(r.mean_ks),
                told_apart(r.gap),
                *([told_apart(r.features)] if config.model else []),
            )
            for r in rungs
        ),
        "Mean difference: over the quantities that every rung shares with the real images; 0 is the same, 1 "
        "no overlap. Told apart: by a cross-validated linear classifier of all measured quantities; 50% is "
        "chance.",
    )
    by_rung = [{row["quantity"]: row["ks"] for row in r.quantities} for r in rungs]
    # Equal differences stand in the order of their names: a set has an order of its own in every process.
    names = sorted(
        {name for row in by_rung for name in row}, key=lambda name: (-by_rung[-1].get(name, 0), name)
    )
    quantities = Table(
        ("difference (KS) in", *(r.name for r in rungs)),
        tuple((name, *(number(row.get(name)) for row in by_rung)) for name in names),
        "The largest on the last rung first; a dash where a rung has no such quantity, as noise-free images "
        "have no signal-to-noise ratio.",
    )
    none = float("nan")
    drawn = figures.intervals(
        [(r.name, r.mean_ks, none, none, none) for r in rungs],
        x_label="mean difference (KS)",
        limits=(0, 1),
    )
    sections = [
        Section("What each step does", (), (Figure(drawn), table)),
        Section("In which quantity", (), (quantities,)),
    ]
    if config.samples:
        sections += _pictures(found)
    return about(
        f"From {found.sim} to {found.real}, step by step",
        lede=opening_sentences(found),
        warnings=found.notes,
        sections=sections,
        facts={"sim": config.sim, "real": config.real, "seed": config.seed},
    )


def _pictures(found: Rungs) -> list[Section]:
    """The same galaxies on every rung, then real ones."""
    shown = [(f"{found.sim}, {rung.name}", rung.images, found.bands) for rung in found.rungs]
    shown.append((f"{found.real}, real", found.real_images, found.real_bands))
    return [
        Section(title, (), (gallery(images, [""] * len(images), bands=bands),))
        for title, images, bands in shown
    ]
