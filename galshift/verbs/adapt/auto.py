"""``adapt --method auto``: train a few methods, choose among them and source-only without target labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galshift.console import say
from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.provenance import atomic_path, write_json
from galshift.rundirectory import BASELINE, FOLDER, RECORD
from galshift.selection import DEFAULT, SELECTORS
from galshift.verbs.adapt.config import AutoConfig

if TYPE_CHECKING:
    from galshift.report import Section
    from galshift.selection._base import Candidate
    from galshift.selection.choose import Choice


def chooser(select: str) -> str:
    """Return what chooses between methods, given what chooses epochs: the selector named there, or ours."""
    return select if select in SELECTORS.names() else DEFAULT


def fit_auto(
    config: AutoConfig,
    select: str,
    folder: Path,
    fit: Callable[[str, Path], dict[str, Any]],
    *,
    correct: bool = True,
) -> tuple[dict[str, Any], Choice]:
    """Train every method, choose, and put the chosen network into `folder`.

    Parameters
    ----------
    config : AutoConfig
    select : str
        What chooses an epoch; see :func:`chooser`.
    folder : Path
        Of the run (or of one of its seeds); its source-only network has been trained already.
    fit : callable
        (method, folder) to the summary of its training.
    correct : bool
        Whether another class mix of the target may change the answers; not where they are vote fractions.

    Returns
    -------
    tuple of dict and Choice
        The summaries by method, and the choice, which ``selection.json`` also holds.
    """
    from galshift.selection.choose import choose
    from galshift.training import parallel, unknown
    from galshift.training.checkpoint import FILE
    from galshift.training.outputs import OUTPUTS, read_candidate

    folders = {BASELINE: folder / BASELINE} | {name: folder / FOLDER / name for name in config.methods}
    fits = {}
    for name in config.methods:
        try:
            fits[name] = fit(name, folders[name])
        except (
            ConfigError
        ) as error:  # a method that this network cannot have, such as adabn without batch norm
            say(f"auto leaves {name} out: {error.what}")
            del folders[name]
    aligning = [name for name in fits if METHODS.get(name).aligns]
    pool = {name: read_candidate(path) for name, path in folders.items()}
    choice = choose(pool, chooser(select), aligning=aligning)
    chosen = parallel.from_first(choice.chosen, parallel.connect())
    for name in (OUTPUTS, "metrics.jsonl", FILE, unknown.FILE):
        if (folders[chosen] / name).is_file():
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(folders[chosen] / name, temporary)
    if not correct:
        choice = replace(choice, shifted_mix=None)
    if choice.shifted_mix is not None:
        correct_mix(folder, pool[chosen])
    write_json(folder / RECORD, choice.document())
    return fits, choice


def correct_mix(folder: Path, candidate: Candidate) -> None:
    """Make the network in `folder` answer for the target's class mix, half-way from the source's.

    Calibration and the ratio of the mixes go into the last layer, ``logits / T + b + ln(p_t / p_s) / 2``,
    so that every later verb has them.  A network that does not end in a linear layer stays as it is.
    """
    import torch
    from torch import nn

    from galshift.selection.mix_evidence import believed_mix, correction
    from galshift.training.checkpoint import load_checkpoint, save_checkpoint

    trained = load_checkpoint(folder)
    linear = [layer for layer in trained.model.head.modules() if isinstance(layer, nn.Linear)]
    if not linear or linear[-1].bias is None:
        return
    calibration, ratio = correction(candidate)
    shift = torch.from_numpy(calibration.bias + ratio).float()
    with torch.no_grad():
        linear[-1].weight.div_(calibration.temperature)
        linear[-1].bias.div_(calibration.temperature).add_(shift)
    save_checkpoint(
        folder,
        trained.model,
        preprocessing=trained.preprocessing.model_dump(mode="json"),
        classes=trained.classes,
        bands=trained.bands,
        meta={**trained.meta, "class_mix": believed_mix(candidate).tolist()},
    )


def choice_section(choice: Choice, classes: Sequence[str]) -> Section:
    """Return the part of the report that says what was chosen, and what each score says of each candidate."""
    from galshift.report import Section, Table

    told = ("evidence of another mix",) if choice.evidence else ()
    columns = ("candidate", "source validation", *choice.scores, *told)
    rows = tuple(
        (
            f"{name} (chosen)" if name == choice.chosen else name,
            f"{choice.source[name]:.3f}" if name in choice.source else "",
            *("dropped" if found[name] is None else f"{found[name]:.3f}" for found in choice.scores.values()),
            *((f"{choice.evidence[name]:.3f}" if name in choice.evidence else "left out",) if told else ()),
        )
        for name in choice.mixes
    )
    text = [
        f"Chosen by {choice.selector} from predictions and features alone, without a label of the target; "
        "the other scores are second opinions. Higher is better in every score."
    ]
    if choice.shifted_mix is not None:
        shares = ", ".join(
            f"{share:.0%} {name}" for share, name in zip(choice.shifted_mix, classes, strict=True)
        )
        text.append(
            f"The target seems to hold another mix of classes ({shares}). Methods that force the source's "
            "mix on it were left out, source-only was kept unless the accounts of another agree better, and "
            "the answers were corrected for the mix, half-way."
        )
    elif choice.failed:
        text.append(
            "The source-only network's answers tell little about the target's images, so not adapting was no "
            "option: what tells most was taken, among what still recognises the source. Check it by eye."
        )
    elif choice.chosen != BASELINE and choice.selector == DEFAULT:
        text.append(
            f"On the target's images {choice.chosen} says most often what the networks that adapted say on "
            "the mean: where one of them goes astray, the others seldom go with it."
        )
    elif choice.chosen == BASELINE:
        text.append(
            "No method was better than not adapting at all by this evidence, so the network that was kept is "
            "the source-only one."
        )
    return Section("How the method was chosen", (*text, *choice.doubts), (Table(columns, rows),))
