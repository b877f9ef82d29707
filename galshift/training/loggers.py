"""TensorBoard and MLflow, for those who watch many runs: they copy what ``metrics.jsonl`` says.

Both are optional (the extra ``tracking``), and trouble with either never stops a training.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from galshift.console import warn
from galshift.errors import ResourceError
from galshift.training.tracking import Tracker

_RUN_ID = "mlflow-run.txt"


def open_logger(name: str, directory: Path) -> Tracker:
    """Return the logger `name` (``tensorboard`` or ``mlflow``) of the run in `directory`.

    Raises
    ------
    ResourceError
        When its package is not installed.
    """
    opened: Callable[[Path], Tracker] = {"tensorboard": TensorBoard, "mlflow": MLflow}[name]
    try:
        return Forgiving(name, opened(directory))
    except ImportError as error:
        raise ResourceError(
            f"{name} is not installed ({error})", where="track", hint="pip install 'galshift[tracking]'"
        ) from error


class TensorBoard:
    """Event files in ``tensorboard/`` of the run; the epoch is the step."""

    def __init__(self, directory: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._open, self._folder, self._writer = SummaryWriter, directory / "tensorboard", None

    def resume(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Begin; what a killed run logged of epochs beyond `rows` is hidden."""
        self._writer = self._open(str(self._folder), purge_step=len(rows) + 1)

    def row(self, row: Mapping[str, Any]) -> None:
        """Log every number of one epoch."""
        for name, value in _numbers(row).items():
            self._writer.add_scalar(name, value, global_step=int(row["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()


class MLflow:
    """One MLflow run, taken up again after a kill; the epoch is the step.

    It goes to ``MLFLOW_TRACKING_URI`` where that is set, else to ``mlflow.db`` in the run directory.
    """

    def __init__(self, directory: Path) -> None:
        from mlflow import MlflowClient

        own = f"sqlite:///{directory.absolute() / 'mlflow.db'}"
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or own)
        self._directory, self._run = directory, ""

    def resume(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Begin a run, or go on with the one that this directory began."""
        stored = self._directory / _RUN_ID
        if rows and stored.is_file():
            self._run = stored.read_text(encoding="utf-8").strip()
            self._client.update_run(self._run, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "galshift")
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self._client.create_experiment(name)
        self._run = self._client.create_run(experiment, run_name=self._directory.name).info.run_id
        stored.write_text(self._run + "\n", encoding="utf-8")

    def row(self, row: Mapping[str, Any]) -> None:
        """Log every number of one epoch."""
        for name, value in _numbers(row).items():
            self._client.log_metric(self._run, name, value, step=int(row["epoch"]))

    def close(self) -> None:
        """Mark the run as ended."""
        if self._run:
            self._client.set_terminated(self._run)


class Forgiving:
    """A logger that is given up, with one warning, at its first error: the truth is ``metrics.jsonl``."""

    def __init__(self, name: str, logger: Tracker) -> None:
        self.name, self._logger = name, logger

    def resume(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Begin."""
        self._try(lambda logger: logger.resume(rows))

    def row(self, row: Mapping[str, Any]) -> None:
        """Log one epoch."""
        self._try(lambda logger: logger.row(row))

    def close(self) -> None:
        """End."""
        self._try(lambda logger: logger.close())

    def _try(self, call: Callable[[Tracker], None]) -> None:
        if self._logger is None:
            return
        try:
            call(self._logger)
        except Exception as error:
            reason = str(error).strip() or repr(error)
            warn(f"{self.name} is given up: {reason.splitlines()[0]}")
            self._logger = None


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The plottable part of a row."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in ("epoch", "step") and isinstance(value, int | float) and not isinstance(value, bool)
    }
