"""What an adaptation leaves on record beside each of its networks: which images were in which part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from galshift.domains.domain import Domain
from galshift.domains.label_record import LabelRecord, read_label_record
from galshift.domains.splits import SplitRecord, write_splits
from galshift.domains.target_labels import TRAINED, TargetLabels
from galshift.rundirectory import BASELINE
from galshift.runs.roles import learnt_before
from galshift.training.checkpoint import Trained
from galshift.verbs.adapt.config import AdaptStepConfig


@dataclass(frozen=True)
class Records:
    """The records of one adaptation.

    Attributes
    ----------
    splits : dict of str to SplitRecord
        Of ``source`` and ``target``.
    before : dict of str to SplitRecord
        What the run that it starts from had learnt.
    taught : LabelRecord or None
        The galaxies of a target whose labels its networks have learnt.
    """

    splits: dict[str, SplitRecord]
    before: dict[str, SplitRecord]
    taught: LabelRecord | None

    def write(self, folder: Path) -> None:
        """Write them into the folder of a network."""
        write_splits(folder, self.splits | self.before)
        if self.taught is not None:
            self.taught.write(folder)

    def write_baseline(self, folder: Path) -> None:
        """Write those of the source-only network, which has learnt none of the target's labels."""
        plain = {role: record.without(TRAINED) for role, record in self.splits.items()}
        write_splits(folder / BASELINE, plain | self.before)


def records_of(
    config: AdaptStepConfig,
    source: Domain,
    target: Domain,
    labels: TargetLabels | None,
    init: Trained | None,
) -> Records:
    """Return what there is to record of an adaptation between these data sets, which starts from `init`."""
    taught = None if init is None else read_label_record(init.path.parent)
    if labels is not None:
        taught = labels.record(target).beside(taught)
    splits = {
        "source": source.record(config.source, config.read),
        "target": target.record(config.target, config.read_target),
    }
    return Records(splits, learnt_before(init), taught)
