"""What the networks of one adaptation are given: told before training, and the first part of the report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from galshift import console
from galshift.data.preprocess import Preprocessing
from galshift.domains.account import Account, account, write_accounts
from galshift.domains.domain import Domain
from galshift.domains.target_labels import TargetLabels
from galshift.domains.unlike import stands_out
from galshift.report import Section, Table
from galshift.report.pictures import gallery

_SHOWN = 8


@dataclass(frozen=True)
class Given:
    """The data of one adaptation as its networks see them.

    Attributes
    ----------
    accounts : dict of str to Account
        Of ``source`` and ``target``, training images only.
    pictures : dict of str to ndarray
        (n, C, S, S) linear images of each, a few.
    warnings : tuple of str
        What stands out.
    """

    accounts: dict[str, Account]
    pictures: dict[str, np.ndarray]
    warnings: tuple[str, ...]

    def rows(self) -> list[tuple[str, ...]]:
        """Return (what, of the source, of the target) as text."""
        columns = [dict(one.rows()) for one in self.accounts.values()]
        return [(what, *(column[what] for column in columns)) for what in columns[0]]

    def names(self) -> list[str]:
        """Return what the two data sets are called."""
        return [f"{one.name} ({role})" for role, one in self.accounts.items()]

    def document(self) -> dict[str, Any]:
        """Return what ``adapt --dry-run --json`` prints."""
        return {
            **{role: one.document() for role, one in self.accounts.items()},
            "names": self.names(),
            "table": self.rows(),
            "warnings": list(self.warnings),
        }

    def section(self) -> Section:
        """Return the first part of the report."""
        shown = [
            gallery(images, [one.name] * len(images), bands=one.bands)
            for one, images in zip(self.accounts.values(), self.pictures.values(), strict=True)
        ]
        text = (
            "The training images of both data sets, brought to common bands, unit, pixel scale and size; the "
            "pictures show them so, before the stretch. Brackets say where a value came from."
        )
        table = Table(("", *self.names()), tuple(self.rows()))
        return Section("What the networks are given", (text,), (table, *shown), warnings=self.warnings)

    def write(self, run: Path) -> None:
        """Write ``data.json`` into a run."""
        write_accounts(run, self.accounts)


def show(document: Mapping[str, Any], *, to_stdout: bool = False) -> None:
    """Print the table and what stands out, for people, from what `Given.document` returned."""
    columns = ("", *document["names"])
    console.table("what the networks are given", columns, document["table"], to_stdout=to_stdout)
    for line in document["warnings"]:
        console.say(f"note: {line}")


def given(
    domains: Mapping[str, Domain], preprocessing: Preprocessing, labels: TargetLabels | None = None
) -> Given:
    """Return what networks that see through `preprocessing` are given of the training parts of `domains`.

    `labels` are those of the target that they learn.
    """
    accounts, samples = {}, {}
    for role, domain in domains.items():
        accounts[role], samples[role] = account(domain.dataset, domain.parts["train"], preprocessing)
    if labels is not None:
        accounts["target"] = replace(accounts["target"], classes=labels.counts())
    warnings = [*_same(domains, samples), *stands_out(list(accounts.values()))]
    pictures = {role: images[:: max(1, len(images) // _SHOWN)][:_SHOWN] for role, images in samples.items()}
    return Given(accounts, pictures, tuple(warnings))


def _same(domains: Mapping[str, Domain], samples: Mapping[str, np.ndarray]) -> list[str]:
    """Say that source and target are one data set, or show the same images, where they do."""
    source, target = (str(domains[role].dataset.path) for role in ("source", "target"))
    if os.path.realpath(source) == os.path.realpath(target) and domains["source"].observe is None:
        return ["Source and target are the same data set: there is nothing to adapt to."]
    seen = {image.tobytes() for image in samples["source"]}
    same = sum(image.tobytes() in seen for image in samples["target"])
    if not same:
        return []
    return [f"{same} of {len(samples['target'])} sampled images of the target are in the source too."]
