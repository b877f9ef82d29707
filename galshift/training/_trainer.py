"""A training run from step to step: do one, save when due, stop when asked, validate after each epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from galshift.console import warn
from galshift.errors import Interrupted, NumericalError, ResourceError
from galshift.methods._base import Method
from galshift.provenance import fingerprint
from galshift.timing import timed
from galshift.training import parallel, validate
from galshift.training._feed import Feed
from galshift.training._live import live_line
from galshift.training._networks import Networks
from galshift.training._record import Record
from galshift.training._store import Store
from galshift.training._validation import Validation
from galshift.training.job import TrainingJob
from galshift.training.plan import Plan
from galshift.training.sets import ANY_ORDER
from galshift.training.signals import StopRequest
from galshift.training.statistics_guard import statistics_doubt
from galshift.training.tracking import Tracker
from galshift.training.world import World
from galshift.types import Output

_CHECK_EVERY = 25  # steps between checks of a GPU's losses: each makes it wait
_EPOCHS_EVERY = 10.0  # seconds between saves at the end of an epoch: short epochs would do little else
_OUTSIDE_IDENTITY = {"checkpoint_every_s", "track"}  # options that change no number


class Trainer:
    """One run.  Made by :func:`galshift.training.loop.fit`, which documents the parameters."""

    def __init__(
        self, job: TrainingJob, model: nn.Module, method: Method, *, directory: Path, seed: int, world: World
    ) -> None:
        self.job, self.method, self.world = job, method, world
        stepped = job if _steps_see_target(method) else replace(job, target=None)
        self.plan = _plan(stepped, method, seed, world)
        identity = _identity(job, model, method, self.plan)
        self.validation = Validation(job, method)
        self.networks = Networks(job, model, method, self.plan, world)
        self.feed = Feed(stepped, self.plan, method.views, self.networks.layout, world)
        self.store = Store(directory, identity)
        self.record = Record(accumulate=job.training.accumulate)
        self._saved = time.monotonic()
        self._shown, self._line = 0.0, ""
        self.valid: Output | None = None
        self._best_valid: tuple[int, Output | None] = (0, None)

    def run(
        self,
        trackers: Sequence[Tracker],
        on_epoch: Sequence[Callable[[dict[str, Any]], None]],
        advance: Callable[[int, str], None],
    ) -> None:
        """Train until the last epoch, or until patience is at an end.

        Raises
        ------
        Interrupted, NumericalError, ResourceError
        """
        record = self.record
        with StopRequest() as request, torch.random.fork_rng(devices=_devices(self.job.choice.device)):
            while not record.stopped:
                while record.step < (record.epoch + 1) * self.plan.steps_per_epoch:
                    self._timed_step()
                    advance(1, self._note())
                    self._pause(request)
                row = self._end_epoch()
                for tracker in trackers:
                    tracker.row(row)
                for call in on_epoch:
                    call(row)
                if record.stopped:
                    self.save()
                self._pause(request, after_epoch=True)

    def _note(self) -> str:
        """The live line, made afresh once a second: to read the losses makes a GPU wait."""
        if time.monotonic() - self._shown > 1:
            self._shown, self._line = time.monotonic(), live_line(self.record, self.plan)
        return self._line

    def _timed_step(self) -> None:
        """One optimiser step, in smaller pieces if memory does not suffice."""
        record, started = self.record, time.perf_counter()
        probe = record.step % self.plan.steps_per_epoch == 0
        while True:
            try:
                record.add(self.networks.step(record.step, self._inputs, record.accumulate, probe=probe))
                break
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                self._halve(error)
        if self.job.choice.device.type == "cpu" or record.step % _CHECK_EVERY == 0:
            self._check_finite()
        record.step += 1
        record.seconds += time.perf_counter() - started

    def _inputs(self, number: int, accumulate: int) -> list:
        return self.feed.inputs(self.record.step, number, accumulate)

    def _halve(self, error: Exception) -> None:
        """Split the batch into twice as many micro-batches after running out of memory."""
        record, batch = self.record, self.plan.batch_size
        if self.job.choice.device.type == "cuda":
            torch.cuda.empty_cache()
        smallest = batch // (2 * record.accumulate)
        if smallest < 2 or self.world.size > 1:
            raise ResourceError(
                f"not enough memory for {batch // record.accumulate} images of "
                f"{self.networks.model.spec['size']} pixels",
                where=str(self.job.choice.device),
                hint="smaller batch_size or size, a smaller model, or a larger accumulate",
            ) from error
        record.accumulate *= 2
        record.notes.append(
            f"out of memory at step {record.step}: from there batches of {batch} went through in "
            f"{record.accumulate} parts of {smallest}; adaptation and batch norm saw one part at a time"
        )
        warn(record.notes[-1])

    def _pause(self, request: StopRequest, *, after_epoch: bool = False) -> None:
        """Save when it is time to, or when asked to stop."""
        every = self.job.training.checkpoint_every_s
        due = time.monotonic() - self._saved > (min(every, _EPOCHS_EVERY) if after_epoch else every)
        stop, due = parallel.agree([request.name is not None, due], self.world)
        if stop or due:
            self.save()
        if stop:
            name = request.name or "a signal"
            raise Interrupted(
                f"stopped by {name} at epoch {self.record.epoch}, step {self.record.step}; all is saved",
                where=self.store.directory,
                hint="repeat the same command to go on",
            )

    def _check_finite(self) -> None:
        """Refuse to go on from a loss or gradient that is not finite."""
        # A scaler meets infinite gradients on purpose, skips those steps and lowers its scale.
        expected = {"gradient_norm"} if self.networks.scaler.is_enabled() else set()
        named = self.record.not_finite(but=expected | self.method.observed.keys())
        if named:
            raise NumericalError(
                f"not finite at epoch {self.record.epoch + 1}, step {self.record.step}: {', '.join(named)}",
                where=self.store.directory,
                hint="lower lr, or the method's weight; the last good state is on disk",
            )

    def _end_epoch(self) -> dict[str, Any]:
        """Validate, choose, and return the epoch's row."""
        self._check_finite()
        record, plan = self.record, self.plan
        row: dict[str, Any] = {"epoch": record.epoch + 1, "step": record.step}
        row["lr"] = plan.lr(record.step - 1) * self.method.lr_scale
        row["phase"] = plan.phase(record.step - 1)
        row |= {name: float(value) / plan.steps_per_epoch for name, value in record.sums.items()}
        row |= {f"pull_{name}": value for name, value in self.networks.pulls.items()}
        values, measured = self.validation.measure(self.networks.best, record.epoch)
        scores = self.validation.scores([*record.kept, measured])
        row, scores = parallel.from_first([row | values | {"score": scores[-1]}, scores], self.world)
        record.sums = {}
        record.epoch += 1
        if row["phase"] != "warm-up":
            record.kept.append(measured)
            if record.choose(scores, self.job.training.patience):
                self._hold_best()
        if not record.stopped and record.epoch >= self.job.training.epochs:
            record.stopped = "epochs"
        row["best_epoch"] = record.best_epoch
        record.history.append(row)
        return row

    def _hold_best(self) -> None:
        """Hold the weights of the epoch just done; every process must call this."""
        best = self.networks.best_state()
        self._best_valid = (self.record.epoch, self.validation.latest)
        if self.world.rank == 0:
            self.store.hold(self.record.epoch, best)

    @timed("validation")
    def finish(self) -> nn.Module:
        """Return the best epoch's model, whole and in evaluation mode, after the method's last word."""
        parallel.agree([False], self.world)  # the first process has written the file once all are here
        model = self.networks.released(self.store.best(self.record.best_epoch))
        epoch, self.valid = self._best_valid
        if epoch != self.record.best_epoch or self.world.size > 1:  # resumed, or the model was in parts
            self.valid = self.validation.outputs(model)
        self.method.select_domain(model, "source")
        job = self.job
        if job.target is not None:
            self.method.select_domain(model, "target")
            doubt = statistics_doubt(model, job) if self.method.replaces_statistics else None
            if doubt is not None:
                self.record.notes.append(doubt)
                warn(doubt)
                return model.eval().requires_grad_(False)
            self.method.finish(model, validate.model_inputs(job.target, job.stretch, job.choice.device))
        return model.eval().requires_grad_(False)

    def save(self) -> None:
        """Write everything needed to go on; every process must call this, the first one writes."""
        self._check_finite()
        state = {
            "networks": self.networks.state(),
            "pulls": dict(self.networks.pulls),
            "record": self.record.state(),
        }
        self._saved = time.monotonic()
        if self.world.rank == 0:
            self.store.save(state, self.record.best_epoch)

    def resume(self) -> bool:
        """Take up the saved state, if there is one."""
        state = self.store.load()
        if state is None:
            return False
        self.networks.load(state["networks"])
        self.networks.pulls = state["pulls"]
        self.record = Record.from_state(state["record"], self.job.choice.device)
        return True


def _plan(job: TrainingJob, method: Method, seed: int, world: World) -> Plan:
    """The steps over the sets of `job`."""
    sets, parts = (job.source, job.target), world.size * job.training.accumulate
    n_source, n_target = (0 if images is None else len(images) for images in sets)
    mixing = tuple(ANY_ORDER if images is None else images.mixing for images in sets)
    n_labelled = 0 if job.labelled is None else len(job.labelled)
    return Plan(
        job.training,
        seed,
        n_source,
        n_target,
        parts=parts,
        aim=method.aim,
        mixing=mixing,
        n_labelled=n_labelled,
    )


def _identity(job: TrainingJob, model: nn.Module, method: Method, plan: Plan) -> str:
    """What a saved state belongs to."""
    held = {
        "model": model.spec,
        "method": type(method).__name__,
        "method_config": method.config.model_dump(mode="json"),
        "config": plan.config.model_dump(mode="json", exclude=_OUTSIDE_IDENTITY),
        "sizes": [0 if images is None else len(images) for images in (job.source, job.target, job.valid)],
        "seed": plan.seed,
    }
    if job.head.kind != "class":  # what a classifier's state belongs to was fixed before there were others
        held["head"] = job.head.spec()
    if job.labelled is not None:
        held["labelled"] = len(job.labelled)
    return fingerprint("fit", 2, held)


def _steps_see_target(method: Method) -> bool:
    """Whether the steps need target batches; AdaBN, which only ends with the target, does without."""
    silent = type(method).losses is Method.losses and method.shared.entropy == 0
    return method.uses_target and not (silent and method.needs_source)


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _out_of_memory(error: Exception) -> bool:
    """A GPU's error has a type of its own; a CPU's only a message."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
