"""Everything that is optimised in a run, and one optimiser step of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from galshift.errors import ConfigError
from galshift.methods._base import Method
from galshift.models import tuning
from galshift.streams import stream_seed
from galshift.timing import part, timed
from galshift.training import _sharding, parallel, validate
from galshift.training.ema import ema_copy, ema_decay, ema_update
from galshift.training.job import TrainingJob
from galshift.training.optim import build_optimizer, set_lr
from galshift.training.plan import Plan
from galshift.training.step import DomainForward, DomainInput, feature_gradients, forward_domains, step_losses
from galshift.training.world import World

Inputs = Callable[[int, int], list[DomainInput | None]]


class Networks:
    """The model, the method's own networks, their optimiser and the running mean.

    Parameters
    ----------
    job : TrainingJob
    model : nn.Module
    method : Method
    plan : Plan
    world : World

    Attributes
    ----------
    layout : torch.memory_format
        Of the model's weights, and so of the images that it is given.
    """

    def __init__(self, job: TrainingJob, model: nn.Module, method: Method, plan: Plan, world: World) -> None:
        self.job, self.method, self.plan, self.world = job, method, plan, world
        self.config, self.choice = job.training, job.choice
        self.layout = _layout(job, model)
        device, sizes = self.choice.device, (model.feature_dim, model.spec["n_classes"], job.n_target)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(stream_seed(plan.seed, "method"))
            nets = method.build(*sizes, label_kind=job.head.kind, supervised=job.head.term)
            self.nets = nets.to(device)
            model = method.prepare(model).to(device)
        self._start(model)
        if self.layout is torch.channels_last:
            model = model.to(memory_format=self.layout)
        self.plain = None
        if world.size > 1:
            self.plain = copy.deepcopy(model).cpu()
            model = parallel.synchronise_batchnorm(model, device)
        self._choose(model)
        self.model = model
        self.network = self._wrapped(model)
        own = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.own, self.extra = own, [p for p in self.nets.parameters() if p.requires_grad]
        rates = None if self.config.layer_decay == 1 else self._rates(model)
        self.optimizer = build_optimizer([*self.own, *self.extra], self.config, rates)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.choice.precision == "float16")
        self.mean = ema_copy(model) if self.config.ema else None
        self.pulls: dict[str, float] = {}

    def _start(self, model: nn.Module) -> None:
        """Let the method measure the images of both domains, where it wants to."""
        resized = self.job.resized
        self.method.see_resized(None if resized is None else resized.to(self.choice.device))
        if type(self.method).start is Method.start:
            return
        job, device = self.job, self.choice.device
        sets = (job.source, job.target)
        self.method.start(
            model, *(() if one is None else validate.model_inputs(one, job.stretch, device) for one in sets)
        )

    def _choose(self, model: nn.Module) -> None:
        """Let those parameters be trained that the method trains and ``tune`` leaves free."""
        tune = self.config.tune
        free = tuning.trained(model, tune)
        chosen = {id(parameter) for parameter in self.method.trainable(model)}
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(id(parameter) in chosen and name in free)
        # A head on features that were computed before has nothing else that such a method could train.
        asked = chosen or tune != tuning.ALL
        if asked and not any(parameter.requires_grad for parameter in model.parameters()):
            raise ConfigError(
                f"the method trains nothing that '{tune}' leaves free",
                where="training.tune",
                hint="tune: all",
            )

    def _rates(self, model: nn.Module) -> dict[nn.Parameter, float]:
        """Return the learning rate of every parameter as a fraction of the head's."""
        by_name = tuning.rates(model, self.config.layer_decay)
        return {parameter: by_name[name] for name, parameter in model.named_parameters()}

    def _wrapped(self, model: nn.Module) -> nn.Module:
        """Compile and parallelise as configured."""
        config = self.config
        if config.shard and self.world.size > 1:
            if config.ema:
                raise ConfigError(
                    "a sharded network has no running mean of weights", where="ema", hint="ema: null"
                )
            _sharding.shard(model, self.choice.device)
        forward = torch.compile(model) if config.compile else model
        network = DomainForward(forward, self.method, self.choice)
        if self.world.size == 1 or config.shard:
            return network
        # Domain batch norm leaves the target's parameters out of the warm-up.
        return parallel.data_parallel(network, self.choice.device, unused=self.method.own_forward)

    @property
    def best(self) -> nn.Module:
        """The model that is evaluated: the running mean where there is one."""
        return self.mean if self.mean is not None else self.model

    def step(self, step: int, inputs: Inputs, accumulate: int, *, probe: bool) -> dict[str, Tensor]:
        """Do one optimiser step and return its detached values, means over the micro-batches.

        They are ``loss``, the terms of the loss, ``gradient_norm``, and what the method observed beside.

        Parameters
        ----------
        step : int
            Number of the step; with the seed it fixes everything random.
        inputs : callable
            (number, accumulate) to the micro-batch of both domains.
        accumulate : int
            Number of micro-batches.
        probe : bool
            Whether to measure how hard each term pulls at the features.
        """
        set_lr(self.optimizer, self.plan.lr(step) * self.method.lr_scale)
        self.model.train()
        if self.config.tune != tuning.ALL:
            tuning.hold(self.model)
        self.optimizer.zero_grad(set_to_none=True)
        values: dict[str, Tensor] = {}
        for number in range(accumulate):
            found = self._micro_step(step, number, accumulate, inputs, probe=probe and number == 0)
            for name, value in found.items():
                share = value.detach().double() / accumulate
                values[name] = values[name] + share if name in values else share
        values["gradient_norm"] = self._update(step)
        return values

    def _micro_step(
        self, step: int, number: int, accumulate: int, inputs: Inputs, *, probe: bool
    ) -> dict[str, Tensor]:
        """Forward, losses and backward of one micro-batch; return the loss, its terms and the observed."""
        self._seed("forward", step, number, self.world.rank)
        images = inputs(number, accumulate)
        with part("network"):
            *batches, features = forward_domains(self.network, *images)
        source, target, labelled = (parallel.gather_batch(batch, self.world) for batch in batches)
        # Draws inside a loss must be the same on every device, for the loss is.
        self._seed("losses", step, number)
        # Without target batches there is no warm-up either, and terms on the source alone count throughout.
        adapting = self.plan.adapting(step) or self.plan.n_target == 0
        progress = self.plan.progress(step)
        with part("losses"):
            total, terms = step_losses(
                self.job, self.method, source, target, progress, adapting=adapting, labelled=labelled
            )
            if probe:
                self.pulls = feature_gradients(terms, features)
        with part("network"):
            self.scaler.scale(total / accumulate).backward()
        return {"loss": total, **terms, **(self.method.observed if adapting else {})}

    def _seed(self, *names: object) -> None:
        """Seed torch for what follows (``torch.manual_seed`` would also queue work for absent devices)."""
        number = stream_seed(self.plan.seed, *names)
        torch.default_generator.manual_seed(number)
        if self.choice.device.type == "cuda":
            with torch.cuda.device(self.choice.device):
                torch.cuda.manual_seed(number)

    @timed("optimizer")
    def _update(self, step: int) -> Tensor:
        """Clip, step the optimiser and the running mean; return the gradient norm before clipping."""
        self.scaler.unscale_(self.optimizer)
        parallel.average_gradients(self.extra, self.world)
        clipped = self.extra if self.config.clip_of == "all" else []
        norm = _sharding.clip_gradients(self.own, clipped, self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.mean is not None:
            ema_update(self.mean, self.model, ema_decay(step, self.config.ema))
        return norm.detach().double()

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        model, optimizer = _sharding.full_state(
            self.model, self.optimizer, self.config.shard and self.world.size > 1
        )
        return {
            "model": model,
            "optimizer": optimizer,
            "nets": self.nets.state_dict(),
            "scaler": self.scaler.state_dict(),
            "mean": None if self.mean is None else self.mean.state_dict(),
        }

    def best_state(self) -> dict[str, Any]:
        """Return the whole state of the model that is evaluated; every process must call this."""
        sharded = self.config.shard and self.world.size > 1
        return _sharding.full_state(self.best, self.optimizer, sharded)[0]

    def released(self, state: dict[str, Tensor]) -> nn.Module:
        """Return the model with the weights `state`, free of all parallelism, in evaluation mode."""
        model = self.model if self.plain is None else self.plain.to(self.choice.device)
        model.load_state_dict(state)
        return model.eval()

    def load(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""
        sharded = self.config.shard and self.world.size > 1
        _sharding.load_full_state(self.model, self.optimizer, state["model"], state["optimizer"], sharded)
        self.nets.load_state_dict(state["nets"])
        self.scaler.load_state_dict(state["scaler"])
        if self.mean is not None:
            self.mean.load_state_dict(state["mean"])


def _layout(job: TrainingJob, model: nn.Module) -> torch.memory_format:
    """As configured; else channels last on a GPU, and on a CPU for the networks that say they gain by it."""
    if getattr(model, "takes_features", False):
        return torch.contiguous_format  # rows of numbers have no other
    last = job.training.channels_last
    if last is None:
        last = job.choice.device.type == "cuda" or getattr(model, "channels_last_on_cpu", False)
    return torch.channels_last if last else torch.contiguous_format
