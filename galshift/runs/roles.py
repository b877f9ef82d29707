"""What the network of a run was trained on, also where the run is older than the record of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from galshift.data.paths import split_pair
from galshift.domains.splits import BEFORE, SplitRecord, read_splits
from galshift.domains.target_labels import TRAINED
from galshift.errors import GalshiftError
from galshift.rundirectory import BASELINE
from galshift.training.checkpoint import ENCODER, Trained
from galshift.training.roles import Roles, Seen, Stage, roles_of

_LABELLED = ("train", "valid", TRAINED)  # parts whose labels a training, or its choice of an epoch, has used


def trained_on(
    trained: Trained, splits: Mapping[str, SplitRecord], config: Mapping[str, Any] | None = None
) -> Roles:
    """Return what a network was trained on.

    A run that does not say, made by galshift before 0.2, is told by its method, splits and config.

    Parameters
    ----------
    trained : Trained
    splits : mapping of str to SplitRecord
    config : mapping, optional
        Both of its run.
    """
    found = roles_of(trained.meta)
    if found is not None:
        return found
    target = _seen(splits, "target") if _adapted(trained, splits) else None
    stage = Stage(source=_seen(splits, "source"), target=target)
    started = bool(config and config.get("init"))  # from a run that nothing is known of
    return Roles((Stage(), stage) if started else (stage,))


def _adapted(trained: Trained, splits: Mapping[str, SplitRecord]) -> bool:
    from galshift.methods import METHODS

    try:
        return bool(METHODS.get(str(trained.meta.get("method", BASELINE))).uses_target)
    except GalshiftError:
        return "target" in splits


def _seen(splits: Mapping[str, SplitRecord], role: str) -> Seen | None:
    record = splits.get(role)
    if record is None:
        return None
    return Seen(record.name or Path(split_pair(record.path)[0]).stem, len(record.parts.get("train", ())))


def begun_as(init: Trained | None) -> Roles | None:
    """Return what the network that a training starts from had been trained on; None for a fresh one."""
    if init is None or init.meta.get(ENCODER):
        return None
    return trained_on(init, read_splits(init.path.parent))


def learnt_before(init: Trained | None) -> dict[str, SplitRecord]:
    """Return the records of the images whose labels the network to start from has learnt, by new names.

    A run that starts from it lists them in its own record, so that none of them judges it either.
    """
    found = {}
    for name, record in ({} if init is None else read_splits(init.path.parent, before=True)).items():
        told = name.startswith(BEFORE) or name == "source"
        parts = {
            part: ids for part, ids in record.parts.items() if part in (_LABELLED if told else (TRAINED,))
        }
        if any(parts.values()):
            found[name if name.startswith(BEFORE) else f"{BEFORE}{name}"] = replace(record, parts=parts)
    return found
