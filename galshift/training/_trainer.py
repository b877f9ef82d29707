"""What a training run holds between two steps, and how it moves on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galshift.console import warn
from galshift.errors import DataError, Interrupted, NumericalError, ResourceError
from galshift.methods._base import Method
from galshift.provenance import fingerprint
from galshift.training import parallel, validate
from galshift.training._feed import Feed
from galshift.training._networks import Networks
from galshift.training.config import TrainConfig
from galshift.training.criterion import class_weights, source_loss
from galshift.training.device import DeviceChoice
from galshift.training.parallel import World
from galshift.training.plan import Plan
from galshift.training.sets import Stretch, TrainingSet, stretched
from galshift.training.signals import StopRequest
from galshift.training.state import load_state, save_state
from galshift.training.tracking import Tracker

STATE_FILE = "state.safetensors"
_CHECK_EVERY = 25  # steps between looks at a GPU's losses: each look makes it wait


class Trainer:
    """One run.  Made by :func:`galshift.training.loop.fit`, which documents the parameters.

    Attributes
    ----------
    step, epoch : int
        Steps and epochs done.
    history : list of dict
        One row per epoch done.
    best_epoch, best_score
        The epoch (from 1) with the highest score, and that score; 0 and None before the first.
    stopped : str
        Why the run ended; empty while it has not.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        method: Method,
        source: TrainingSet | None,
        valid: TrainingSet | None,
        target: TrainingSet | None,
        config: TrainConfig,
        directory: Path,
        seed: int,
        choice: DeviceChoice,
        world: World,
        augment: Callable | None,
        strong_augment: Callable | None,
        stretch: Stretch,
        selector: Callable | None,
    ) -> None:
        self.method, self.config, self.choice, self.world = method, config, choice, world
        self.directory, self.stretch, self.selector, self.target = directory, stretch, selector, target
        self.spec, paired = model.spec, target if _steps_see_target(method) else None
        sizes = [0 if images is None else len(images) for images in (source, paired)]
        self.plan = Plan(config, seed, *sizes, parts=world.size * config.accumulate)
        # The network sees the validation set unaugmented after every epoch: stretch it once.
        self.valid = None if valid is None else stretched(valid, stretch)
        self.weights = None
        if source is not None:
            weights = class_weights(source.labels, model.spec["n_classes"], config.class_weights)
            self.weights = None if weights is None else weights.to(choice.device)
        channels_last = _channels_last(model, config, choice)
        n_target = 0 if target is None else len(target)
        self.networks = Networks(
            model,
            method,
            self.plan,
            choice,
            world,
            self._criterion,
            channels_last=channels_last,
            n_target=n_target,
        )
        self.feed = Feed(
            source,
            paired,
            self.plan,
            augment=augment,
            strong_augment=strong_augment,
            stretch=stretch,
            views=method.views,
            device=choice.device,
            channels_last=channels_last,
            rank=world.rank,
            world=world.size,
        )
        self.step = self.epoch = self.best_epoch = self.stale = 0
        self.best_score: float | None = None
        self.accumulate = config.accumulate
        self.history: list[dict[str, Any]] = []
        self.sums: dict[str, Tensor] = {}
        self.stopped, self.seconds, self.notes = "", 0.0, []
        self._saved = time.monotonic()

    # Running

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
        note = ""
        with StopRequest() as request, torch.random.fork_rng(devices=_devices(self.choice.device)):
            while not self.stopped:
                while self.step < (self.epoch + 1) * self.plan.steps_per_epoch:
                    self._timed_step()
                    advance(1, note)
                    self._pause(request)
                row = self._end_epoch()
                note = _note(row, self.best_epoch)
                for tracker in trackers:
                    tracker.row(row)
                for call in on_epoch:
                    call(row)
                self.save()
                self._pause(request)
        self.feed.close()

    def _timed_step(self) -> None:
        """One optimiser step, in smaller pieces if memory does not suffice."""
        started = time.perf_counter()
        probe = self.step % self.plan.steps_per_epoch == 0
        while True:
            try:
                values = self.networks.step(self.step, self._inputs, self.accumulate, probe=probe)
                break
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                self._halve(error)
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        if self.choice.device.type == "cpu" or self.step % _CHECK_EVERY == 0:
            self._check_finite()
        self.step += 1
        self.seconds += time.perf_counter() - started

    def _inputs(self, number: int, accumulate: int) -> list:
        return self.feed.inputs(self.step, number, accumulate)

    def _halve(self, error: Exception) -> None:
        """Split the batch into twice as many micro-batches after running out of memory."""
        if self.choice.device.type == "cuda":
            torch.cuda.empty_cache()
        smallest = self.plan.batch_size // (2 * self.accumulate)
        if smallest < 2 or self.world.size > 1:
            part = self.plan.batch_size // self.accumulate
            raise ResourceError(
                f"not enough memory for {part} images of {self.spec['size']} pixels",
                where=str(self.choice.device),
                hint="smaller batch_size or size, a smaller model, or a larger accumulate",
            ) from error
        self.accumulate *= 2
        self.notes.append(
            f"out of memory at step {self.step}: from there batches of {self.plan.batch_size} went through "
            f"in {self.accumulate} parts of {smallest}; adaptation and batch norm saw one part at a time"
        )
        warn(self.notes[-1])

    def _pause(self, request: StopRequest) -> None:
        """Save when it is time to, or when asked to stop."""
        due = time.monotonic() - self._saved > self.config.checkpoint_every_s
        stop, due = parallel.agree([request.name is not None, due], self.world)
        if stop or due:
            self.save()
        if stop:
            name = request.name or "a signal"
            raise Interrupted(
                f"stopped by {name} at epoch {self.epoch}, step {self.step}; all is saved",
                where=self.directory,
                hint="repeat the same command to go on",
            )

    def _criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The supervised loss, the same in training and validation."""
        weights = None if self.weights is None else self.weights.to(logits.device)
        smoothing, focal = self.config.label_smoothing, self.config.focal
        return source_loss(logits, labels, weights=weights, smoothing=smoothing, focal=focal)

    def _check_finite(self) -> None:
        """Refuse to go on from a loss or gradient that is not finite; sums keep a NaN until it is seen."""
        # A scaler meets infinite gradients on purpose, skips those steps and lowers its scale.
        watched = [
            name for name in self.sums if name != "gradient_norm" or not self.networks.scaler.is_enabled()
        ]
        if not watched or bool(
            torch.isfinite(torch.stack([self.sums[name].cpu() for name in watched])).all()
        ):
            return
        named = [name for name in watched if not bool(torch.isfinite(self.sums[name]))]
        raise NumericalError(
            f"not finite at epoch {self.epoch + 1}, step {self.step}: {', '.join(named)}",
            where=self.directory,
            hint="lower lr, or the method's weight; the last good state is kept",
        )

    # After an epoch

    def _end_epoch(self) -> dict[str, Any]:
        """Validate, choose, and return the epoch's row."""
        self._check_finite()
        steps = self.plan.steps_per_epoch
        row: dict[str, Any] = {"epoch": self.epoch + 1, "step": self.step, "lr": self.plan.lr(self.step - 1)}
        row["phase"] = self.plan.phase(self.step - 1)
        row |= {name: float(value) / steps for name, value in self.sums.items()}
        row |= {f"pull_{name}": value for name, value in self.networks.pulls.items()}
        row |= self._score(self.networks.best)
        row = parallel.from_first(row, self.world)
        self.sums = {}
        self.epoch += 1
        if row["phase"] != "warm-up":
            self._choose(row["score"])
        if not self.stopped and self.epoch >= self.config.epochs:
            self.stopped = "epochs"
        row["best_epoch"] = self.best_epoch
        self.history.append(row)
        return row

    def _score(self, model: nn.Module) -> dict[str, float]:
        """The validation values, and the score that chooses the epoch (higher is better)."""
        row: dict[str, float] = {}
        valid = None
        if self.valid is not None:
            self.method.select_domain(model, "source")
            valid = validate.outputs(model, self.valid, None, self.choice)
            row = validate.validation_row(valid, self.valid.labels, self._criterion)
        if self.selector is not None:
            row["score"] = float(self.selector(self._candidate(model, valid)))
        elif self.config.select == "last":
            row["score"] = float(self.epoch)
        else:
            row["score"] = -row["valid_loss"]
        return row

    def _candidate(self, model: nn.Module, valid: Any) -> Any:
        """What a label-free selector sees of this epoch."""
        from galshift.selection._base import Candidate

        self.method.select_domain(model, "target")
        limit = self.config.select_limit
        target = validate.outputs(model, self.target, self.stretch, self.choice, limit=limit)
        return Candidate(
            features_target=target.features,
            logits_target=target.logits,
            features_source_val=None if valid is None else valid.features,
            logits_source_val=None if valid is None else valid.logits,
            labels_source_val=None if self.valid is None else self.valid.labels,
            n_classes=self.spec["n_classes"],
            prior_target=None,
        )

    def _choose(self, score: float) -> None:
        """Keep the weights of the best epoch so far; patience starts again with each improvement."""
        if self.best_score is None or score > self.best_score:
            self.best_score, self.best_epoch, self.stale = score, self.epoch, 0
            # A file of its own per epoch, which the state names: the two cannot disagree after a kill.
            best = self.networks.best_state()
            if self.world.rank == 0:
                save_state(self._best_file(), {"model": best})
            return
        self.stale += 1
        if self.config.patience is not None and self.stale >= self.config.patience:
            self.stopped = "patience"

    def _best_file(self) -> Path:
        return self.directory / f"best-{self.best_epoch:05d}.safetensors"

    def finish(self) -> nn.Module:
        """Return the best epoch's model, whole and in evaluation mode, after the method's last word."""
        parallel.agree([False], self.world)  # the first process has written the file once all are here
        model = self.networks.released(load_state(self._best_file())["model"])
        if self.target is not None:
            self.method.select_domain(model, "target")
            self.method.finish(model, validate.model_inputs(self.target, self.stretch, self.choice.device))
        return model.eval().requires_grad_(False)

    # Saving

    def save(self) -> None:
        """Write everything needed to go on, by rename."""
        self._check_finite()
        state = self.networks.state() | {
            "identity": self._identity(),
            "pulls": dict(self.networks.pulls),
            "step": self.step,
            "epoch": self.epoch,
            "best": [self.best_epoch, self.best_score, self.stale],
            "accumulate": self.accumulate,
            "threads": torch.get_num_threads(),
            "history": self.history,
            "sums": self.sums,
            "stopped": self.stopped,
            "seconds": self.seconds,
            "notes": self.notes,
        }
        self._saved = time.monotonic()
        if self.world.rank != 0:
            return
        save_state(self.directory / STATE_FILE, state)
        for old in self.directory.glob("best-*.safetensors"):
            if old != self._best_file():
                old.unlink(missing_ok=True)

    def resume(self) -> bool:
        """Take up the saved state, if there is one."""
        path = self.directory / STATE_FILE
        if not path.is_file():
            return False
        state = load_state(path)
        if state["identity"] != self._identity():
            raise DataError(
                "this directory holds the state of another training",
                where=path,
                hint="choose another directory, or remove the file",
            )
        # The order of a sum depends on the number of threads, and the last bits on the order.
        torch.set_num_threads(state["threads"])
        self.networks.load(state)
        self.networks.pulls = state["pulls"]
        self.step, self.epoch, self.accumulate = state["step"], state["epoch"], state["accumulate"]
        self.best_epoch, self.best_score, self.stale = state["best"]
        self.history, self.stopped = state["history"], state["stopped"]
        self.seconds, self.notes = state["seconds"], state["notes"]
        self.sums = {name: value.to(self.choice.device) for name, value in state["sums"].items()}
        return True

    def _identity(self) -> str:
        """What a saved state belongs to."""
        held = {
            "model": self.spec,
            "method": type(self.method).__name__,
            "method_config": self.method.config.model_dump(mode="json"),
            "config": self.config.model_dump(mode="json", exclude={"checkpoint_every_s"}),
            "sizes": [self.plan.n_source, self.plan.n_target, 0 if self.valid is None else len(self.valid)],
            "seed": self.plan.seed,
        }
        return fingerprint("fit", 1, held)


def _steps_see_target(method: Method) -> bool:
    """Whether the steps need target batches; AdaBN, which only ends with the target, does without."""
    silent = type(method).losses is Method.losses and method.shared.entropy == 0
    return method.uses_target and not (silent and method.needs_source)


def _channels_last(model: nn.Module, config: TrainConfig, choice: DeviceChoice) -> bool:
    """As configured; else on a GPU, and on a CPU for the networks that say they gain by it."""
    if config.channels_last is not None:
        return config.channels_last
    return choice.device.type == "cuda" or getattr(model, "channels_last_on_cpu", False)


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _out_of_memory(error: Exception) -> bool:
    """A GPU's error has a type of its own; a CPU's only a message."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _note(row: dict[str, Any], best: int) -> str:
    """The live line of an epoch."""
    shown = {"loss": "loss", "valid_accuracy": "source accuracy", "score": "score"}
    values = ", ".join(f"{label} {row[name]:.3g}" for name, label in shown.items() if name in row)
    return f"epoch {row['epoch']} ({row['phase']}): {values}, best {best or '-'}"
