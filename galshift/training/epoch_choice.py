"""What chooses the epoch of a training, and which choices do for which labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from galshift.errors import ConfigError
from galshift.methods._base import Method
from galshift.selection import DEFAULT_EPOCH, SELECTORS
from galshift.selection._base import Candidate, Measured, Selector
from galshift.training.config import PLAIN_SELECTION, TrainConfig
from galshift.training.heads import Head, check_method, make_head


def check_choice(training: TrainConfig, name: str, method: Method, kind: str) -> None:
    """Refuse, before anything is trained, a method or selector that cannot do with this kind of label.

    Raises
    ------
    ConfigError
    """
    if kind == "value":
        head = make_head(kind, ["label"], np.array([[0.0], [1.0]]))
        check_method(method, head, name)
        selection(training, method, head)


def check_total(training: TrainConfig, method: Method) -> None:
    """Refuse to choose by a total loss that the method does not have on validation images.

    Raises
    ------
    ConfigError
    """
    if training.select == "total-loss" and (method.views or not method.needs_source):
        raise ConfigError(
            "the method's loss is not one between validation images and target images as they are",
            where="training.select",
            hint="source-loss or last" if method.needs_source else "last",
        )


def selection(training: TrainConfig, method: Method, head: Head) -> tuple[Selector | None, TrainConfig]:
    """Return what chooses the epoch, None where the loop itself does, and `training` with the choice made.

    A method that never sees the target leaves it to the source.

    Raises
    ------
    ConfigError
        When the choice ranks class predictions and the labels are continuous, or is the total loss of a
        method whose terms have none.
    """
    select = training.select
    if not head.has_classes and (select not in PLAIN_SELECTION or select == "source-accuracy"):
        raise ConfigError(
            f"'{select}' ranks class predictions, and the labels are continuous",
            where="training.select",
            hint="source-loss or last",
        )
    if not method.uses_target and select == "total-loss":
        select = "source-loss"  # there is no more to its total
    check_total(training, method)
    seen_alone = not method.uses_target or not head.has_classes
    if seen_alone and select not in ("source-accuracy", "total-loss", "last"):
        select = "source-loss"
    elif select == "auto":
        # The networks that tell an unknown class belong to the last epoch.
        select = "last" if method.scoring else DEFAULT_EPOCH
    selector = None if select in PLAIN_SELECTION else SELECTORS.get(select)()
    return selector, training.model_copy(update={"select": select})


def informed(selector: Selector | None, prior: np.ndarray | None) -> Selector | InformedSelector | None:
    """Return a selector that also sees the class mix of the target, where it is known."""
    return selector if selector is None or prior is None else InformedSelector(selector, prior)


@dataclass(frozen=True)
class InformedSelector:
    """Hands the class mix of the target to a selector."""

    selector: Selector
    prior: np.ndarray

    def measure(self, candidate: Candidate) -> Measured:
        """Return what `candidate` is ranked by."""
        return self.selector.measure(replace(candidate, prior_target=self.prior))

    def compare(self, measured: Sequence[Measured]) -> np.ndarray:
        """Return the scores (n,) of a pool."""
        return self.selector.compare(measured)
