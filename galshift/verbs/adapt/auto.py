"""``adapt --method auto``: train a few methods, choose among them and no alignment, without target labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from galshift.console import say
from galshift.doubt.choice import Choice, choose
from galshift.errors import ConfigError
from galshift.provenance import atomic_path, write_json
from galshift.report import Section, Table
from galshift.rundirectory import BASELINE, CANDIDATES, SELECTION
from galshift.selection import DEFAULT
from galshift.training import parallel, unknown
from galshift.training.checkpoint import FILE
from galshift.training.outputs import OUTPUTS
from galshift.training.train_network import Fitted
from galshift.verbs.adapt.config import AutoConfig, chooser


def fit_auto(
    config: AutoConfig,
    select: str,
    folder: Path,
    plain: Fitted,
    fit: Callable[[str, Path], Fitted],
    *,
    base: str = BASELINE,
    others: Mapping[str, Fitted] | None = None,
) -> tuple[dict[str, Fitted], Fitted, Choice]:
    """Train every method, choose, and put the chosen network into `folder`.

    Parameters
    ----------
    config : AutoConfig
    select : str
        What chooses an epoch; see :func:`galshift.verbs.adapt.config.chooser`.
    folder : Path
        Of the run (or of one of its seeds).
    plain : Fitted
        Its network without an alignment: the source-only one, or that of source and target labels.
    fit : callable
        (method, folder) to the trained network.
    base : str
        What `plain` is called.
    others : mapping of str to Fitted, optional
        Networks of another family to choose from, by name.

    Returns
    -------
    tuple of dict, Fitted and Choice
        The networks by method, the one in `folder`, and the choice, which ``selection.json`` also holds.
    """
    fitted: dict[str, Fitted] = {}
    for name in config.methods:
        try:
            fitted[name] = fit(name, folder / CANDIDATES / name)
        except ConfigError as error:  # a method that this network cannot have: adabn without batch norm
            say(f"auto leaves {name} out: {error.what}")
    pool = {base: plain, **fitted, **(others or {})}
    choice = choose({name: one.candidate for name, one in pool.items()}, chooser(select))
    chosen = pool[parallel.from_first(choice.chosen, parallel.connect())]
    for name in (OUTPUTS, "metrics.jsonl", FILE, unknown.FILE):
        if (chosen.directory / name).is_file():
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(chosen.directory / name, temporary)
    adapted = chosen.copied(folder)
    write_json(folder / SELECTION, choice.document())
    return fitted, adapted, choice


def choice_section(choice: Choice, classes: Sequence[str]) -> Section:
    """Return the part of the report that says what was chosen and what was expected of each candidate."""
    columns = ("candidate", "source validation", choice.selector.replace("-", " "), *classes)
    rows = tuple(
        (
            f"{name} (chosen)" if name == choice.chosen else name,
            f"{choice.source[name]:.3f}" if name in choice.source else "",
            "dropped" if choice.scores[name] is None else f"{choice.scores[name]:.3f}",
            *(f"{share:.0%}" for share in mix),
        )
        for name, mix in choice.mixes.items()
    )
    base = next(iter(choice.mixes))  # the network without an alignment
    text = [
        "Chosen from the networks' own answers alone, without a label of the target. Source validation: "
        "balanced accuracy; the shares are of the answers on the target."
    ]
    if choice.selector == DEFAULT:
        text.append(
            "The highest accuracy expected on the target is taken; what is lost against the source is told "
            "by how decided the answers are and how far their classes leave the source's mix."
        )
    if choice.another_mix:
        text.append(
            f"But every network says that the target holds another mix of classes, and {base} says so "
            "consistently. Methods that align the two as wholes force the source's mix on the target, so "
            f"{base} was kept."
        )
    elif choice.chosen == base:
        text.append(f"No method promised more than not adapting at all, so {base} was kept.")
    return Section("How the method was chosen", tuple(text), (Table(columns, rows),))
