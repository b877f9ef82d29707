"""A verb called by name with its arguments: what the command line and the Python functions both do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galshift.errors import UsageError
from galshift.recipes.execute import Executed, execute
from galshift.recipes.prepare import prepare
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import Instead
from galshift.verbs._parameters import Parameter, config_values, parameters


@dataclass(frozen=True)
class Common:
    """What every verb can be told besides its own options.

    Attributes
    ----------
    out : path or None
        Where the result goes; None: ``runs/<verb>-<fingerprint8>``.
    seed : int or None
        None: the verb's own.
    device, workers, scheduler
        As of :class:`galshift.verbs.Context`.
    overwrite : bool
        Move aside what stands at `out` when it is not this result.
    set : sequence of str
        ``key.path=value`` of any key of the config.
    profile : bool
        Say where the seconds went.
    """

    out: str | Path | None = None
    seed: int | None = None
    device: str = "auto"
    workers: int = 1
    scheduler: str | None = None
    overwrite: bool = False
    set: Sequence[str] = ()
    profile: bool = False


@dataclass(frozen=True)
class Answered:
    """What a verb answered in place of its work; see :class:`galshift.verbs.Instead`."""

    instead: Instead
    answer: Any


def call(kind: str, given: Mapping[str, Any], common: Common | None = None) -> Executed | Answered:
    """Run the verb `kind`, or do what is asked of it instead.

    Parameters
    ----------
    kind : str
    given : mapping of str to object
        Arguments by name (see :func:`galshift.verbs._parameters.parameters`); None: not given.
    common : Common, optional

    Raises
    ------
    UsageError
        When an argument is missing, or cannot be read.
    GalshiftError
        As of :func:`galshift.recipes.execute.execute`.
    """
    step, common = STEPS.get(kind), common or Common()
    if common.scheduler is not None and "scheduler" not in step.resources:
        _refuse_scheduler(step)
    given = {name: value for name, value in given.items() if value is not None}
    wanted = parameters(step)
    required = tuple(one.name for one in wanted if one.required)
    context = Context(
        device=common.device, workers=common.workers, scheduler=common.scheduler, profile=common.profile
    )
    asked = next((one for one in step.instead if one.asked(given, required)), None)
    for other in step.instead:
        given.pop(other.name, None)
    _check_complete(kind, wanted, given, required if asked is None or asked.needs is None else asked.needs)
    out = given.pop("out", None) or common.out
    if asked is None:
        values = _values(step, given, common)
        return execute(
            kind, values, out=out, overwrite=common.overwrite, context=context, overrides=common.set
        )
    if asked.bare:
        return Answered(asked, asked.work({"seed": common.seed, **given}, context))
    config = prepare(kind, _values(step, given, common), overrides=common.set).config
    return Answered(asked, asked.work(config, context))


def _refuse_scheduler(step: type[Step]) -> None:
    training = (
        "start it with torchrun or srun for several processes, or as a cell by galshift run --scheduler"
    )
    raise UsageError(
        f"{step.kind} does not share its work out over a Dask cluster",
        where="--scheduler",
        hint=training if step.distributed else "leave it out",
    )


def _values(step: type[Step], given: Mapping[str, Any], common: Common) -> dict[str, Any]:
    values = config_values(step, given)
    if common.seed is not None and "seed" in step.Config.model_fields:
        values.setdefault("seed", common.seed)
    return values


def _check_complete(
    kind: str, wanted: Sequence[Parameter], given: Mapping[str, Any], needs: Sequence[str]
) -> None:
    missing = [one for one in wanted if one.name in needs and one.name not in given]
    if missing:
        names = " and ".join(one.flag for one in missing)
        raise UsageError(f"{kind} needs {names}", hint=f"{missing[0].flag}: {missing[0].help.rstrip('.')}")
