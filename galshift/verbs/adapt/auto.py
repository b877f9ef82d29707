"""``adapt --method auto``: train a few methods, choose among them and no alignment, without target labels."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from galshift.console import say
from galshift.errors import ConfigError
from galshift.methods import METHODS
from galshift.provenance import atomic_path, write_json
from galshift.report import Section, Table
from galshift.rundirectory import BASELINE, CANDIDATES, SELECTION
from galshift.selection import DEFAULT
from galshift.selection._base import Candidate
from galshift.selection.choose import Choice, choose
from galshift.selection.mix_evidence import believed_mix, correction
from galshift.training import parallel, unknown
from galshift.training.checkpoint import FILE, Trained, save_trained
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
    correct: bool = True,
    base: str = BASELINE,
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
    correct : bool
        Whether another class mix of the target may change the answers; not where they are vote fractions.
    base : str
        What `plain` is called.

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
    aligning = [name for name in fitted if METHODS.get(name).aligns]
    pool = {base: plain, **fitted}
    choice = choose({name: one.candidate for name, one in pool.items()}, chooser(select), aligning=aligning)
    chosen = pool[parallel.from_first(choice.chosen, parallel.connect())]
    for name in (OUTPUTS, "metrics.jsonl", FILE, unknown.FILE):
        if (chosen.directory / name).is_file():
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(chosen.directory / name, temporary)
    adapted = chosen.copied(folder)
    if not correct:
        choice = replace(choice, shifted_mix=None)
    if choice.shifted_mix is not None:
        adapted = replace(adapted, network=corrected(adapted.trained, adapted.candidate))
    write_json(folder / SELECTION, choice.document())
    return fitted, adapted, choice


def corrected(trained: Trained, candidate: Candidate) -> Trained:
    """Return a network that answers for the target's class mix, half-way from the source's, and write it.

    Calibration and the ratio of the mixes go into the last layer, ``logits / T + b + ln(p_t / p_s) / 2``,
    so that every later verb has them.  A network that does not end in a linear layer stays as it is.
    """
    model = copy.deepcopy(trained.model)
    linear = [layer for layer in model.head.modules() if isinstance(layer, nn.Linear)]
    if not linear or linear[-1].bias is None:
        return trained
    calibration, ratio = correction(candidate)
    shift = torch.from_numpy(calibration.bias + ratio).float()
    with torch.no_grad():
        linear[-1].weight.div_(calibration.temperature)
        linear[-1].bias.div_(calibration.temperature).add_(shift)
    meta = {**trained.meta, "class_mix": believed_mix(candidate).tolist()}
    found = replace(trained, model=model, meta=meta)
    save_trained(found)
    return found


def choice_section(choice: Choice, classes: Sequence[str]) -> Section:
    """Return the part of the report that says what was chosen, and what each score says of each candidate."""
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
    base = next(iter(choice.mixes))  # the network without an alignment
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
            f"mix on it were left out, {base} was chosen unless the accounts of another agree better, "
            "and the answers were corrected for the mix, half-way."
        )
    elif choice.failed:
        text.append(
            f"The {base} network's answers tell little about the target's images, so not adapting was no "
            "option: what tells most was taken, among what still recognises the source. Check it by eye."
        )
    elif choice.chosen != base and choice.selector == DEFAULT:
        text.append(
            f"On the target's images {choice.chosen} says most often what the networks that adapted say on "
            "the mean: where one of them goes astray, the others seldom go with it."
        )
    elif choice.chosen == base:
        text.append(
            "No method was better than not adapting at all by this evidence, so the "
            f"{base} network was chosen."
        )
    return Section("How the method was chosen", (*text, *choice.doubts), (Table(columns, rows),))
