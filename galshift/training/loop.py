"""The training loop: one function that trains, adapts, survives being killed and repeats bit for bit.

Everything random is a function of (seed, step): which images a step takes, how they are augmented, dropout.
A saved run is therefore its tensors and a step counter; there is no random state to lose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galshift.console import progress as show_progress
from galshift.console import say
from galshift.methods._base import Method
from galshift.training import parallel
from galshift.training._check import check_sets
from galshift.training._trainer import Trainer
from galshift.training.config import TrainConfig
from galshift.training.job import TrainingJob
from galshift.training.loggers import open_logger
from galshift.training.memory import held_memory
from galshift.training.threads import suited_threads
from galshift.training.tracking import JsonLines, Tracker
from galshift.types import Output

OnEpoch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class FitResult:
    """What a training run gave.

    Attributes
    ----------
    model : nn.Module
        In evaluation mode, with the best epoch's weights, after the method's ``finish``.
    history : tuple of dict
        One row an epoch, as in ``metrics.jsonl``.
    best_epoch : int
        From 1.
    stopped : str
        ``epochs`` (all were done) or ``patience``.
    state : dict of str to Tensor
        The model's state, on the CPU.
    seconds : float
        Time spent training, over all resumed parts.
    notes : tuple of str
        What the run changed by itself (a smaller micro-batch), for the report.
    valid : Output or None
        Of the source's validation images, before ``finish`` gave the model over to the target.
    """

    model: nn.Module
    history: tuple[dict[str, Any], ...]
    best_epoch: int
    stopped: str
    state: dict[str, Tensor]
    seconds: float
    notes: tuple[str, ...] = ()
    valid: Output | None = None


def fit(
    model: nn.Module,
    method: Method,
    job: TrainingJob,
    *,
    directory: Path,
    seed: int,
    on_epoch: Sequence[OnEpoch] = (),
    trackers: Sequence[Tracker] = (),
    progress: str | None = "train",
) -> FitResult:
    """Train `model` on the source of `job`, aligned to its target by `method`.

    Parameters
    ----------
    model : nn.Module
        From :func:`galshift.models.build.build_model`; it is changed in place.
    method : Method
        ``source-only`` for plain training.
    job : TrainingJob
        What it is trained on, and how.
    directory : Path
        Holds ``metrics.jsonl`` and the state of the unfinished run.  The same call with the same directory
        resumes, on a CPU to the same bits as a run that was never stopped.  Of several processes, all use
        the first one's, which they must be able to read.
    seed : int
    on_epoch : sequence of callable
        Each receives the row of every finished epoch.
    trackers : sequence of Tracker
        Further loggers beside ``metrics.jsonl`` and those of the config.
    progress : str or None
        Label of the progress display; None for none.

    Returns
    -------
    FitResult

    Raises
    ------
    Interrupted
        After SIGINT, SIGTERM or SIGUSR1; the state has been saved.
    NumericalError
        When a loss is not finite; the last good state stays on disk.
    DataError
        When a set does not fit the network, or `directory` holds the state of another training.
    """
    check_sets(job, model, method)
    config, world = job.training, parallel.connect()
    threads = torch.get_num_threads()
    torch.set_num_threads(suited_threads(model, config.threads))
    directory = Path(parallel.from_first(str(directory.absolute()), world))
    directory.mkdir(parents=True, exist_ok=True)
    first = world.rank == 0
    everyone = _trackers(config, directory, trackers) if first else []
    trainer = Trainer(job, model, method, directory=directory, seed=seed, world=world)
    if trainer.resume() and first:
        done = trainer.record
        say(f"resuming at epoch {min(done.epoch + 1, config.epochs)}/{config.epochs}, step {done.step}")
    for tracker in everyone:
        tracker.resume(trainer.record.history)
    try:
        with held_memory():
            _run(trainer, everyone, on_epoch if first else (), progress if first else None)
    finally:
        trainer.feed.close()
        for tracker in everyone:
            tracker.close()
        torch.set_num_threads(threads)
    return _result(trainer)


def _run(
    trainer: Trainer, trackers: Sequence[Tracker], on_epoch: Sequence[OnEpoch], progress: str | None
) -> None:
    """Train to the end, with a progress bar where it has a label."""
    if progress is None:
        trainer.run(trackers, on_epoch, lambda steps, note: None)
        return
    with show_progress(progress, trainer.plan.total_steps) as bar:
        bar.advance(trainer.record.step)
        trainer.run(trackers, on_epoch, bar.advance)


def _result(trainer: Trainer) -> FitResult:
    """The trained model, after the method's last word, and how it came about."""
    model, record = trainer.finish(), trainer.record
    return FitResult(
        model=model,
        history=tuple(record.history),
        best_epoch=record.best_epoch,
        stopped=record.stopped,
        state={name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()},
        seconds=record.seconds,
        notes=tuple(record.notes),
        valid=trainer.valid,
    )


def _trackers(config: TrainConfig, directory: Path, further: Sequence[Tracker]) -> list[Tracker]:
    """The truth, the loggers of the config, and the caller's."""
    loggers = [open_logger(name, directory) for name in config.track]
    return [JsonLines(directory / "metrics.jsonl"), *loggers, *further]
