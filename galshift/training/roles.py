"""What a network was trained on, as its checkpoint records it: all that is said of that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from galshift.errors import DataError

KEY = "trained_on"  # in a checkpoint's meta


@dataclass(frozen=True)
class Seen:
    """Images of one data set that a training saw.

    Attributes
    ----------
    data : str
    n : int
        Images.
    """

    data: str
    n: int


@dataclass(frozen=True)
class Stage:
    """One training, whose weights the next began with.

    Attributes
    ----------
    source : Seen or None
        Images with labels.
    target : Seen or None
        Images without.
    target_labels : Seen or None
        A few images of the target with labels.
    """

    source: Seen | None = None
    target: Seen | None = None
    target_labels: Seen | None = None


@dataclass(frozen=True)
class Roles:
    """What a network was trained on.

    Attributes
    ----------
    stages : tuple of Stage
        The first training first.
    """

    stages: tuple[Stage, ...]

    @property
    def source_only(self) -> bool:
        """True when all that it saw is one labelled data set."""
        others = any(stage.target or stage.target_labels for stage in self.stages)
        return not others and len(self.sources) < 2

    @property
    def sources(self) -> frozenset[str]:
        """Names of the data sets that it learnt with labels, but for the few labels of a target."""
        return frozenset(stage.source.data for stage in self.stages if stage.source is not None)

    @property
    def adapted(self) -> bool:
        """True when it saw images without their labels."""
        return any(stage.target is not None for stage in self.stages)

    @property
    def fine_tuned(self) -> bool:
        """True when its last training was on labels alone, and began with what other data had taught."""
        *before, last = self.stages
        alone = last.source is not None and last.target is None and last.target_labels is None
        return alone and any(
            stage.target is not None or stage.source is None or stage.source.data != last.source.data
            for stage in before
        )

    @property
    def target_labels(self) -> Seen | None:
        """The labels of the target that it learnt last: by fine-tuning, or together with a source."""
        if self.fine_tuned:
            return self.stages[-1].source
        return next((one.target_labels for one in reversed(self.stages) if one.target_labels), None)

    def n_labels(self, data: str) -> int:
        """Return how many labelled images of the data set `data` it saw."""
        seen = [
            one for stage in self.stages for one in (stage.source, stage.target_labels) if one is not None
        ]
        return sum(one.n for one in seen if one.data == data)

    def words(self) -> str:
        """Return it as it follows on "trained on": ``400 labelled images of sim, and ...``."""
        return ", then on ".join(_words(stage) for stage in self.stages)

    def document(self) -> list[dict[str, Any]]:
        """Return it for a checkpoint and for ``metrics.json``."""
        return [{key: one for key, one in asdict(stage).items() if one is not None} for stage in self.stages]


def _words(stage: Stage) -> str:
    told = []
    if stage.source is not None:
        told.append(f"{stage.source.n} labelled images of {stage.source.data}")
    if stage.target is not None:
        told.append(f"{stage.target.n} images of {stage.target.data} without labels")
    if stage.target_labels is not None:
        told.append(f"{stage.target_labels.n} labelled images of {stage.target_labels.data}")
    if not told:
        return "images that its run does not record"
    return f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]


def roles_of(meta: Mapping[str, Any]) -> Roles | None:
    """Return what the checkpoint with this `meta` was trained on; None where it does not say.

    Raises
    ------
    DataError
        When the record is damaged.
    """
    stored = meta.get(KEY)
    if not isinstance(stored, Sequence) or not stored:
        return None
    try:
        stages = [Stage(**{key: Seen(**one) for key, one in stage.items()}) for stage in stored]
    except (TypeError, AttributeError) as error:
        raise DataError("a checkpoint's record of what it was trained on is damaged") from error
    return Roles(tuple(stages))


def recorded(stage: Stage, before: Roles | None = None) -> dict[str, Any]:
    """Return what goes into the meta of a network that `stage` trained, from one trained as `before`."""
    stages = (*(() if before is None else before.stages), stage)
    return {KEY: Roles(stages).document()}
