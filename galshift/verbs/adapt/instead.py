"""What `adapt` does instead: say in seconds what the networks would be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.verbs._base import Context
from galshift.verbs._options import Instead
from galshift.verbs.adapt.config import AdaptStepConfig


def dry_run(config: AdaptStepConfig, context: Context) -> dict[str, Any]:
    """Open both data sets, bring them to one frame, and describe what is left of them."""
    from galshift.verbs.adapt.work import first_look

    return first_look(config).document()


def show_dry_run(found: Mapping[str, Any]) -> None:
    """Print it as a table."""
    from galshift.verbs.adapt.given import show

    show(found, to_stdout=True)


DRY_RUN = Instead(
    "dry_run", "Say in seconds what the networks would be given, and train nothing.", dry_run, show_dry_run
)
