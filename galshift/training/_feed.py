"""Turn the images of a step into network input: take, move, augment, stretch."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import Tensor

from galshift.data.stretch import Stretch
from galshift.streams import torch_stream
from galshift.timing import part, timed
from galshift.training.job import TrainingJob
from galshift.training.plan import Plan
from galshift.training.sets import TrainingSet
from galshift.training.step import DomainInput
from galshift.training.world import World

DOMAINS = ("source", "target", "labelled")
_PLACE_FRACTION = 0.25  # of a GPU's free memory that a training set may take up


class Feed:
    """The network inputs of both domains, and of labelled images of the target, step by step.

    Parameters
    ----------
    job : TrainingJob
        A target that the steps do not see is left out of it.
    plan : Plan
    views : int
        Further strongly augmented views of each target image.
    layout : torch.memory_format
        Of the network.
    world : World
        Each process takes its part of every batch.
    """

    def __init__(
        self, job: TrainingJob, plan: Plan, views: int, layout: torch.memory_format, world: World
    ) -> None:
        self.plan, self.views, self.layout, self.world = plan, views, layout, world
        self.device, self.stretch = job.choice.device, job.stretch
        self.augment, self.strong_augment = job.augment, job.strong_augment or job.augment
        # Without augmentation the network sees the same input every epoch: stretch once.
        plain = self.augment is None
        self.ready = {"source": plain, "target": plain and self.strong_augment is None, "labelled": plain}
        sets = dict(zip(DOMAINS, (job.source, job.target, job.labelled), strict=True))
        if job.labelled is None:
            del sets["labelled"]
        self.sets = {name: self._placed(name, images) for name, images in sets.items()}
        # Begun one step ahead, while the network computes: images that must be fetched or observed and, where
        # a core is free, all that is done to images in memory.
        shown = {name: images for name, images in self.sets.items() if images is not None}
        self._begun: dict[str, Callable] = {
            name: self._linear for name, images in shown.items() if not images.ready
        }
        if _core_is_free(self.device, world):
            self._begun = {name: self._begun.get(name, self._input) for name in shown}
        self._helper = ThreadPoolExecutor(1, "galshift-feed") if self._begun else None
        self._ahead: dict[tuple, Future] = {}

    @timed("views")
    def inputs(self, step: int, number: int, accumulate: int) -> list[DomainInput | None]:
        """Return the micro-batch `number` of `accumulate` of `step`: of the source, of the target and, where
        there are such images, of the labelled ones.
        """
        place = (step, number, accumulate)
        ahead, self._ahead = self._ahead, {}
        ready = {name: future.result() for (name, *here), future in ahead.items() if tuple(here) == place}
        if self._helper is not None:
            self._begin_next(*place)
        return [
            made if isinstance(made, DomainInput) else self._input(name, *place, made)
            for name, made in ((name, ready.get(name)) for name in self.sets)
        ]

    def close(self) -> None:
        """Stop what was begun ahead."""
        if self._helper is not None:
            self._helper.shutdown(wait=True, cancel_futures=True)

    def _begin_next(self, step: int, number: int, accumulate: int) -> None:
        """Begin what comes after this micro-batch."""
        step, number = (step, number + 1) if number + 1 < accumulate else (step + 1, 0)
        if step < self.plan.total_steps:
            for name, make in self._begun.items():
                place = (name, step, number, accumulate)
                self._ahead[place] = self._helper.submit(make, *place)

    def _share(self, name: str, step: int, number: int, accumulate: int) -> tuple[Tensor, Tensor] | None:
        """Which images of a domain this process takes, and of which pass."""
        indices, draws = self.plan.indices(name, step), self.plan.draws(name, step)
        if indices is None or self.sets[name] is None:
            return None
        parts = (
            all.tensor_split(accumulate)[number].tensor_split(self.world.size) for all in (indices, draws)
        )
        mine, passes = (part[self.world.rank] for part in parts)
        return (mine, passes) if len(mine) else None  # fewer labelled images than micro-batches

    def _linear(self, name: str, step: int, number: int, accumulate: int) -> Tensor | None:
        """Linear images of one micro-batch, in memory that a GPU can copy from while it computes."""
        share = self._share(name, step, number, accumulate)
        if share is None:
            return None
        with part("reading"):
            linear = self.sets[name].take(*share)
        return linear.pin_memory() if self.device.type == "cuda" and not linear.is_cuda else linear

    def _input(
        self, name: str, step: int, number: int, accumulate: int, linear: Tensor | None = None
    ) -> DomainInput | None:
        """Move, augment and stretch one micro-batch, of `linear` images where they are there already."""
        share = self._share(name, step, number, accumulate)
        if share is None:
            return None
        indices, _ = share
        linear = self._linear(name, step, number, accumulate) if linear is None else linear
        linear = linear.to(self.device, non_blocking=True)
        labels = self.sets[name].labels
        names = (name, number, self.world.rank)
        views = range(1, 1 + self.views) if name == "target" else ()
        return DomainInput(
            images=self._view(linear, self.augment, name, step, *names, 0),
            index=indices.to(self.device, non_blocking=True),
            labels=None if labels is None else labels[indices].to(self.device, non_blocking=True),
            views=tuple(self._view(linear, self.strong_augment, name, step, *names, view) for view in views),
        )

    def _view(
        self, linear: Tensor, augment: Callable | None, domain: str, step: int, *names: object
    ) -> Tensor:
        """Augment with a random stream of this step and place, and stretch."""
        if self.ready[domain] and augment is None:
            return linear.contiguous(memory_format=self.layout)
        if augment is not None:
            linear = augment(
                linear, torch_stream(self.plan.seed, "augment", step, *names, device=str(self.device))
            )
        if isinstance(self.stretch, Stretch):
            return self.stretch.laid_out(linear, self.layout)
        return self.stretch(linear).contiguous(memory_format=self.layout)

    def _placed(self, name: str, images: TrainingSet | None) -> TrainingSet | None:
        """Stretch a set once where nothing random comes first, and hold it on the GPU where it is small."""
        if images is None or not images.ready:
            self.ready[name] = False
            return images
        held = images.images
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            if held.numel() * held.element_size() < _PLACE_FRACTION * free:
                held = held.to(self.device)
        if self.ready[name]:
            held = torch.cat([self.stretch(chunk.to(held.device)) for chunk in held.split(256)])
        return replace(images, images=held)


def _core_is_free(device: torch.device, world: World) -> bool:
    """Whether this process may use a CPU that no thread of a network on the CPU is meant for."""
    if device.type != "cpu":
        return False
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return mine > torch.get_num_threads() * world.size
