"""Loggers say what metrics.jsonl says, go on after a kill, and never stop a training."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from galshift.errors import Interrupted, ResourceError
from galshift.training.loggers import Forgiving, open_logger
from tests.training_helpers import train


def stopped_and_resumed(directory: Path, **options) -> list[dict]:
    """Train with a stop after the second epoch, and return the rows of metrics.jsonl."""

    def stop(row: dict) -> None:
        if row["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(directory, on_epoch=[stop], **options)
    train(directory, **options)
    return [json.loads(line) for line in (directory / "metrics.jsonl").open()]


def test_tensorboard_holds_every_epoch_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = stopped_and_resumed(tmp_path, track=("tensorboard",))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    logged = [(event.step, event.value) for event in events.Scalars("valid_loss")]
    assert logged == [(row["epoch"], pytest.approx(row["valid_loss"], rel=1e-6)) for row in rows]


@pytest.mark.filterwarnings("ignore")
def test_mlflow_is_one_run_over_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rows = stopped_and_resumed(tmp_path, track=("mlflow",))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("galshift").experiment_id])
    assert run.info.status == "FINISHED"
    logged = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "loss")]
    assert logged == [(row["epoch"], pytest.approx(row["loss"])) for row in rows]


def test_a_logger_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ResourceError, match="mlflow is not installed"):
        open_logger("mlflow", tmp_path)


def test_a_logger_that_fails_is_given_up(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    class Down:
        def __init__(self) -> None:
            self.calls = 0

        def resume(self, rows) -> None:
            self.calls += 1

        def row(self, row) -> None:
            self.calls += 1
            raise ConnectionError("the server is down\nand more")

        def close(self) -> None:
            self.calls += 1

    down = Down()
    result = train(tmp_path, trackers=[Forgiving("remote", down)])
    assert len(result.history) == 4
    assert down.calls == 2
    assert capsys.readouterr().err.count("warning: remote is given up: the server is down\n") == 1


def test_loggers_are_no_part_of_what_a_state_belongs_to(tmp_path: Path) -> None:
    first = train(tmp_path, checkpoint_every_s=9.0)
    assert train(tmp_path, trackers=[]).history == first.history
