"""What a training run holds between two steps, and how it moves on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galshift.errors import ConfigError, DataError, Interrupted, NumericalError
from galshift.methods._base import Method
from galshift.provenance import fingerprint
from galshift.streams import stream_seed, torch_stream
from galshift.training import validate
from galshift.training.config import TrainConfig
from galshift.training.criterion import check_labels, class_weights, source_loss
from galshift.training.device import DeviceChoice
from galshift.training.ema import ema_copy, ema_decay, ema_update
from galshift.training.optim import build_optimizer, set_lr
from galshift.training.schedule import adaptation_progress, lr_factor
from galshift.training.sets import Stretch, TrainingSet, batch_indices
from galshift.training.signals import StopRequest
from galshift.training.state import load_state, save_state
from galshift.training.step import DomainInput, feature_gradients, forward_domains, step_losses
from galshift.training.tracking import Tracker

STATE_FILE = "state.safetensors"


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
        augment: Callable | None,
        strong_augment: Callable | None,
        stretch: Stretch,
        selector: Callable | None,
    ) -> None:
        self.method, self.config, self.seed, self.choice = method, config, seed, choice
        self.source, self.valid, self.target = source, valid, target
        self.directory, self.stretch, self.selector = directory, stretch, selector
        self.augment, self.strong_augment = augment, strong_augment
        self._check_sets(model)
        self.model = self._prepare(model)
        self.steps_per_epoch = config.steps_per_epoch or -(-self._epoch_images() // self._batch_size())
        self.total_steps = config.epochs * self.steps_per_epoch
        self.warmup_steps = self._warmup_epochs() * self.steps_per_epoch
        self.step = self.epoch = self.best_epoch = self.stale = 0
        self.best_score: float | None = None
        self.history: list[dict[str, Any]] = []
        self.sums: dict[str, Tensor] = {}
        self.stopped, self.seconds, self.notes = "", 0.0, []
        self._saved = time.monotonic()

    # Setting up

    def _check_sets(self, model: nn.Module) -> None:
        n_classes = model.spec["n_classes"]
        if self.method.needs_source or self.source is not None:
            if self.source is None:
                raise DataError("this method needs labelled source images")
            check_labels(self.source.labels, n_classes, "source training set")
        if self.valid is not None:
            check_labels(self.valid.labels, n_classes, "source validation set")
        if self.method.uses_target and (self.target is None or len(self.target) == 0):
            raise DataError("this method needs target images")
        if self.target is not None and self.target.labels is not None:
            raise DataError("the target's labels must not reach the training loop")
        wanted = (model.spec["in_channels"], model.spec["size"], model.spec["size"])
        for name, images in (("source", self.source), ("validation", self.valid), ("target", self.target)):
            if images is not None and tuple(images.take(torch.arange(1)).shape[1:]) != wanted:
                found = tuple(images.take(torch.arange(1)).shape[1:])
                raise DataError(
                    f"the {name} images are {found} and the network takes {wanted} (bands, pixels)"
                )
        if self.selector is None and self.config.select != "last" and self.valid is None:
            raise ConfigError("choosing the best epoch needs a validation set, a selector or select: last")

    def _prepare(self, model: nn.Module) -> nn.Module:
        device, n_target = self.choice.device, 0 if self.target is None else len(self.target)
        spec = model.spec
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(stream_seed(self.seed, "method"))
            self.nets = self.method.build(model.feature_dim, spec["n_classes"], n_target).to(device)
            model = self.method.prepare(model).to(device)
        if self._channels_last():
            model = model.to(memory_format=torch.channels_last)
        chosen = {id(parameter) for parameter in self.method.trainable(model)}
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in chosen)
        self.parameters = [p for p in (*model.parameters(), *self.nets.parameters()) if p.requires_grad]
        self.optimizer = build_optimizer(self.parameters, self.config)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.choice.precision == "float16")
        self.mean = ema_copy(model) if self.config.ema else None
        self.weights = None
        if self.source is not None:
            self.weights = class_weights(self.source.labels, spec["n_classes"], self.config.class_weights)
        self.forward = torch.compile(model) if self.config.compile else model
        return model

    def _channels_last(self) -> bool:
        chosen = self.config.channels_last
        return self.choice.device.type == "cuda" if chosen is None else chosen

    def _epoch_images(self) -> int:
        return len(self.source if self.source is not None else self.target)

    def _batch_size(self) -> int:
        """Images per domain and step: never more than the smaller domain has."""
        target = self.target if self.method.uses_target else None
        sizes = [len(images) for images in (self.source, target) if images is not None]
        return min(self.config.batch_size, *sizes)

    def _warmup_epochs(self) -> int:
        """Epochs on the source alone: for methods that use a target beside a source."""
        return self.config.warmup if self.method.uses_target and self.source is not None else 0

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
        Interrupted, NumericalError
        """
        note = ""
        with StopRequest() as request, torch.random.fork_rng(enabled=True):
            while not self.stopped:
                while self.step < (self.epoch + 1) * self.steps_per_epoch:
                    started = time.perf_counter()
                    self._step()
                    self.seconds += time.perf_counter() - started
                    advance(1, note)
                    self._pause(request)
                row = self._end_epoch()
                note = _note(row)
                for tracker in trackers:
                    tracker.row(row)
                for call in on_epoch:
                    call(row)
                self.save()
                self._pause(request)

    def _pause(self, request: StopRequest) -> None:
        """Save when it is time to, or when asked to stop."""
        if request.name is not None:
            self.save()
            raise Interrupted(
                f"stopped by {request.name} after epoch {self.epoch}, step {self.step}; everything is saved",
                where=self.directory,
                hint="repeat the same command to go on",
            )
        if time.monotonic() - self._saved > self.config.checkpoint_every_s:
            self.save()

    def _step(self) -> None:
        """One optimiser step."""
        config, adapting = self.config, self.step >= self.warmup_steps and self.method.uses_target
        set_lr(
            self.optimizer,
            config.lr
            * lr_factor(
                self.step, self.total_steps, ramp=config.lr_ramp, final=config.lr_final, shape=config.schedule
            ),
        )
        torch.manual_seed(stream_seed(self.seed, "step", self.step))
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        progress = adaptation_progress(self.step, self.warmup_steps, self.total_steps)
        first = self.step % self.steps_per_epoch == 0
        source = self._indices("source", self.source)
        target = self._indices("target", self.target) if adapting else None
        for number in range(config.accumulate):
            inputs = [
                self._input(name, images, indices, number)
                for name, images, indices in (
                    ("source", self.source, source),
                    ("target", self.target, target),
                )
            ]
            *batches, features = forward_domains(self.forward, self.method, *inputs, self.choice)
            total, terms = step_losses(self.method, *batches, self._criterion, progress, adapting=adapting)
            if first and number == 0:
                self.pulls = feature_gradients(terms, features)
            self.scaler.scale(total / config.accumulate).backward()
            self._add({"loss": total, **terms})
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.clip or float("inf"))
        self._check_finite(total, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._add({"gradient_norm": norm * config.accumulate})
        if self.mean is not None:
            ema_update(self.mean, self.model, ema_decay(self.step, config.ema))
        self.step += 1

    def _indices(self, name: str, images: TrainingSet | None) -> Tensor | None:
        """Which images of a domain this step takes; the target's stream begins with the adaptation."""
        if images is None:
            return None
        size, number = self._batch_size(), self.step - (self.warmup_steps if name == "target" else 0)
        return batch_indices(len(images), self.seed, name, number * size, size)

    def _input(
        self, name: str, images: TrainingSet | None, indices: Tensor | None, number: int
    ) -> DomainInput | None:
        """Take, augment and stretch one micro-batch of a domain."""
        if images is None or indices is None:
            return None
        device = self.choice.device
        indices = indices.tensor_split(self.config.accumulate)[number]
        linear = images.take(indices).to(device, non_blocking=True)
        first = self._augmented(linear, self.augment, name, number, 0)
        n_views = self.method.views if name == "target" else 0
        views = tuple(
            self._augmented(linear, self.strong_augment, name, number, k + 1) for k in range(n_views)
        )
        labels = None if images.labels is None else images.labels[indices].to(device, non_blocking=True)
        return DomainInput(first, indices.to(device), labels, views)

    def _augmented(self, linear: Tensor, augment: Callable | None, *names: object) -> Tensor:
        """Augment linear images with a random stream of this step, and stretch them."""
        if augment is not None:
            generator = torch_stream(self.seed, "augment", self.step, *names, device=str(linear.device))
            linear = augment(linear, generator)
        images = self.stretch(linear)
        return images.contiguous(memory_format=torch.channels_last) if self._channels_last() else images

    def _criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The supervised loss, the same in training and validation."""
        weights = None if self.weights is None else self.weights.to(logits.device)
        config = self.config
        return source_loss(
            logits, labels, weights=weights, smoothing=config.label_smoothing, focal=config.focal
        )

    def _add(self, values: dict[str, Tensor]) -> None:
        """Add to the epoch's sums, on the device: reading a value would make a GPU wait."""
        for name, value in values.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def _check_finite(self, total: Tensor, norm: Tensor) -> None:
        """Refuse to go on from a loss or gradient that is not finite (a scaler skips such steps)."""
        if self.scaler.is_enabled() or bool(torch.isfinite(total.detach()) & torch.isfinite(norm)):
            return
        named = [name for name, value in self.sums.items() if not bool(torch.isfinite(value))]
        raise NumericalError(
            f"not finite at epoch {self.epoch + 1}, step {self.step}: {', '.join(named) or 'gradient'}",
            where=self.directory,
            hint="lower lr, or the method's weight; the last good state is kept",
        )

    # After an epoch

    def _end_epoch(self) -> dict[str, Any]:
        """Validate, choose, and return the epoch's row."""
        steps = self.steps_per_epoch
        micro = {
            name: steps * (1 if name == "gradient_norm" else self.config.accumulate) for name in self.sums
        }
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "step": self.step,
            "lr": self.optimizer.param_groups[0]["lr"],
        }
        row["phase"] = "train" if self.step <= self.warmup_steps or not self.method.uses_target else "adapt"
        if self.warmup_steps and self.step <= self.warmup_steps:
            row["phase"] = "warm-up"
        row |= {name: float(value) / micro[name] for name, value in self.sums.items()}
        row |= {f"pull_{name}": value for name, value in self.pulls.items()}
        row |= self._score(self.mean if self.mean is not None else self.model)
        self.sums = {}
        self.epoch += 1
        if row["phase"] != "warm-up":
            self._choose(row)
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
            valid = validate.outputs(model, self.valid, self.stretch, self.choice)
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
        target = validate.outputs(
            model, self.target, self.stretch, self.choice, limit=self.config.select_limit
        )
        return Candidate(
            features_target=target.features,
            logits_target=target.logits,
            features_source_val=None if valid is None else valid.features,
            logits_source_val=None if valid is None else valid.logits,
            labels_source_val=None if self.valid is None else self.valid.labels,
            n_classes=self.model.spec["n_classes"],
            prior_target=None,
        )

    def _choose(self, row: dict[str, Any]) -> None:
        """Keep the weights of the best epoch so far; patience starts again with each improvement."""
        if self.best_score is None or row["score"] > self.best_score:
            self.best_score, self.best_epoch, self.stale = row["score"], self.epoch, 0
            best = self.mean if self.mean is not None else self.model
            # A file of its own per epoch, which the state names: the two cannot disagree after a kill.
            save_state(self._best_file(), {"model": best.state_dict()})
            return
        self.stale += 1
        if self.config.patience is not None and self.stale >= self.config.patience:
            self.stopped = "patience"

    def _best_file(self) -> Path:
        return self.directory / f"best-{self.best_epoch:05d}.safetensors"

    def finish(self) -> nn.Module:
        """Return the best epoch's model, in evaluation mode, after the method's last word."""
        stored = load_state(self._best_file())["model"]
        self.model.load_state_dict(stored)
        self.model.eval().requires_grad_(False)
        if self.target is not None:
            self.method.select_domain(self.model, "target")
            self.method.finish(
                self.model, validate.model_inputs(self.target, self.stretch, self.choice.device)
            )
        return self.model.eval()

    # Saving

    def save(self) -> None:
        """Write everything needed to go on, by rename."""
        state = {
            "identity": self._identity(),
            "model": self.model.state_dict(),
            "nets": self.nets.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "mean": None if self.mean is None else self.mean.state_dict(),
            "step": self.step,
            "epoch": self.epoch,
            "best": [self.best_epoch, self.best_score, self.stale],
            "history": [dict(row) for row in self.history],
            "sums": dict(self.sums),
            "pulls": dict(getattr(self, "pulls", {})),
            "stopped": self.stopped,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }
        save_state(self.directory / STATE_FILE, state)
        for old in self.directory.glob("best-*.safetensors"):
            if old != self._best_file():
                old.unlink(missing_ok=True)
        self._saved = time.monotonic()

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
        self.model.load_state_dict(state["model"])
        self.nets.load_state_dict(state["nets"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.mean is not None:
            self.mean.load_state_dict(state["mean"])
        self.step, self.epoch = state["step"], state["epoch"]
        self.best_epoch, self.best_score, self.stale = state["best"]
        self.history, self.pulls = state["history"], state["pulls"]
        self.sums = {name: value.to(self.choice.device) for name, value in state["sums"].items()}
        self.stopped, self.seconds, self.notes = state["stopped"], state["seconds"], state["notes"]
        return True

    def _identity(self) -> str:
        """What a saved state belongs to."""
        sizes = [None if images is None else len(images) for images in (self.source, self.valid, self.target)]
        held = {
            "model": self.model.spec,
            "method": type(self.method).__name__,
            "method_config": self.method.config.model_dump(mode="json"),
            "config": self.config.model_dump(mode="json", exclude={"checkpoint_every_s"}),
            "sizes": sizes,
            "seed": self.seed,
        }
        return fingerprint("fit", 1, held)


def _note(row: dict[str, Any]) -> str:
    """The live line of an epoch."""
    shown = {"loss": "loss", "valid_accuracy": "accuracy", "score": "score"}
    values = " ".join(f"{label} {row[name]:.3g}" for name, label in shown.items() if name in row)
    return f"epoch {row['epoch']} {values}"
