"""What a training step costs beside the network itself: views, stretch, and a whole epoch with validation.

``python -m tests.benchmarks.step [views|epoch|resnet18]`` (default: all three).

CPU time of one process with one torch thread, everything in turns, medians.  The former formulas are kept
here as the peer.  The loop holds freed memory for the next step (``training/memory.py``), which saves the
network alone 30 % of its time at 72 pixels and 40 % at 128: views are set against the network as PyTorch
runs it by itself, for which the limit is meant, and against the faster one; epochs against the faster one.

On a GPU, where none of it was measured yet, the same lines with ``--device cuda``:
``python -m tests.benchmarks.step views --device cuda`` times the parts, waiting for the GPU at each;
``python -m tests.benchmarks.step epoch --device cuda`` times whole epochs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from galshift.data.input_config import AugmentConfig
from galshift.data.stretch import Stretch
from galshift.methods import METHODS
from galshift.models.build import build_model
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.memory import held_memory
from galshift.training.sets import TrainingSet
from galshift.training.train_network import Augmenter

BANDS, CLASSES, BATCH, ROUNDS = 3, 3, 64, 21
N_TRAIN, N_VALID, EPOCHS = 512, 128, 8
SIGMA = torch.ones(BANDS)
CONFIG = AugmentConfig()
STRETCH = Stretch(kind="asinh", softening=[1.0] * BANDS, mean=[0.4] * BANDS, std=[1.3] * BANDS)


def galaxies(n: int, side: int, seed: int = 0) -> Tensor:
    """Return exponential discs of a peak of 3 to 300 sky sigmas on noise, (N, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    row = torch.arange(side) - side / 2 + 0.3
    peak, scale = 3 * 100 ** torch.rand(n, BANDS, 1, 1, generator=generator), side / 12
    disc = torch.exp(-torch.hypot(row[:, None], row) / scale)
    return peak * disc + torch.randn(n, BANDS, side, side, generator=generator)


def former_views(linear: Tensor, generator: torch.Generator) -> Tensor:
    """The default views as they were: turns by subset, 16 neighbours a pixel, noise in two passes."""
    n, (height, width) = len(linear), linear.shape[-2:]
    on = generator.device
    element = torch.randint(8, (n,), generator=generator, device=on)
    x = torch.empty_like(linear)
    for k in range(8):
        chosen = (element == k).nonzero().flatten()
        if len(chosen):
            part = linear[chosen].flip(-1) if k >= 4 else linear[chosen]
            x[chosen] = torch.rot90(part, k % 4, dims=(-2, -1))
    shift = (2 * torch.rand((n, 2), generator=generator, device=on) - 1) * CONFIG.shift_px
    zoom = 1 + CONFIG.zoom * (2 * torch.rand((n,), generator=generator, device=on) - 1)
    theta = torch.zeros(n, 2, 3, device=on)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / zoom
    theta[:, 0, 2], theta[:, 1, 2] = -2 * shift[:, 1] / width / zoom, -2 * shift[:, 0] / height / zoom
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False)
    x = x * torch.exp(CONFIG.flux_jitter * torch.randn((n, 1, 1, 1), generator=generator, device=on))
    low, high = CONFIG.noise
    floor = max(low, high / 20)
    sigma = floor * (high / floor) ** torch.rand((n, 1, 1, 1), generator=generator, device=on)
    noise = torch.randn(x.shape, generator=generator, device=on)
    return x + sigma * SIGMA.to(x).view(1, -1, 1, 1) * noise


def former_stretch(linear: Tensor) -> Tensor:
    """The asinh stretch as it was."""
    soft, mean, std = (
        torch.tensor(values, device=linear.device).view(1, -1, 1, 1)
        for values in (STRETCH.softening, STRETCH.mean, STRETCH.std)
    )
    return (torch.asinh(linear / soft) - mean) / std


HOW = {
    "before": {"augment": former_views, "stretch": former_stretch},
    "now": {"augment": Augmenter(CONFIG, SIGMA), "stretch": STRETCH},
}


class Bare:
    """A network and its optimiser, with nothing around them."""

    def __init__(self, name: str, side: int, device: str) -> None:
        self.model = build_model(name, in_channels=BANDS, size=side, n_classes=CLASSES).to(device)
        first = getattr(self.model, "channels_last_on_cpu", False) or device != "cpu"
        self.layout = torch.channels_last if first else torch.contiguous_format
        self.model = self.model.to(memory_format=self.layout)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)

    def step(self, images: Tensor, labels: Tensor) -> None:
        """Forward, backward, optimiser."""
        self.model.train()
        self.optimizer.zero_grad()
        functional.cross_entropy(self.model(images).logits, labels).backward()
        self.optimizer.step()

    @torch.no_grad()
    def validate(self, batches: list[Tensor]) -> None:
        """Forward passes in evaluation mode."""
        self.model.eval()
        for images in batches:
            self.model(images).logits.sum().item()


def timed(call: Callable[[], object], device: str) -> float:
    """Return milliseconds: of CPU time, or of the clock when a GPU has done what was asked of it."""
    if device == "cpu":
        start = time.process_time()
        call()
        return 1e3 * (time.process_time() - start)
    torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - start)


def views(device: str) -> None:
    """Print the cost of views and stretch over that of the network."""
    print(f"{BATCH} images to network input, over forward + backward + optimiser (DeepMerge); at most 0.22")
    for side in (72, 128):
        bare, linear = Bare("deepmerge", side, device), galaxies(BATCH, side).to(device)
        labels = torch.arange(BATCH, device=device) % CLASSES
        images = STRETCH(linear).contiguous(memory_format=bare.layout)

        def made(how: str, linear: Tensor = linear, layout: torch.memory_format = bare.layout) -> Tensor:
            generator = torch.Generator(device=device).manual_seed(1)
            seen = HOW[how]["augment"](linear, generator)
            stretch = HOW[how]["stretch"]
            if isinstance(stretch, Stretch):
                return stretch.laid_out(seen, layout)
            return stretch(seen).contiguous(memory_format=layout)

        calls = {"network": partial(bare.step, images, labels), **{how: partial(made, how) for how in HOW}}
        taken = {}
        for held in (False, True):
            with held_memory() if held else nullcontext():
                rows = [{name: timed(call, device) for name, call in calls.items()} for _ in range(ROUNDS)]
            taken[held] = {name: statistics.median(row[name] for row in rows[3:]) for name in calls}
        for held, words in ((False, "memory given back"), (True, "memory held")):
            network, before, now = taken[held].values()
            print(
                f"{side:4d} px, {words:17s}: network {network:6.1f} ms, before {before:6.1f} ms "
                f"({before / network:.2f}), now {now:6.1f} ms ({now / network:.2f})",
                flush=True,
            )


def bare_epochs(name: str, side: int, device: str, valid: Tensor) -> Iterator[float]:
    """Yield the milliseconds of epochs of the bare network: the loop's steps and validation passes."""
    bare = Bare(name, side, device)
    inputs = STRETCH(galaxies(N_TRAIN, side)).to(device).contiguous(memory_format=bare.layout).split(BATCH)
    labels = torch.arange(BATCH, device=device) % CLASSES
    held = list(valid.to(device).split(256))

    def epoch() -> None:
        for images in inputs:
            bare.step(images, labels)
        bare.validate(held)

    while True:
        yield timed(epoch, device)


def epochs(name: str, side: int, how: str, device: str, number: int) -> tuple[float, float]:
    """Return the milliseconds of an epoch of the loop and of the bare network, in turns, both medians."""
    valid, mine, theirs = galaxies(N_VALID, side, 1), [], []
    other, clock = bare_epochs(name, side, device, STRETCH(valid)), _clock(device)
    mark = clock()

    def take_turns(row: dict) -> None:
        nonlocal mark
        mine.append(1e3 * (clock() - mark))
        theirs.append(next(other))
        mark = clock()

    job = TrainingJob(
        source=TrainingSet(galaxies(N_TRAIN, side), torch.arange(N_TRAIN) % CLASSES),
        valid=TrainingSet(valid, torch.arange(N_VALID) % CLASSES),
        target=None,
        training=TrainConfig(epochs=number, batch_size=BATCH, patience=None, precision="float32"),
        head=ClassHead(tuple("abc")),
        device=device,
        **HOW[how],
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(
            build_model(name, in_channels=BANDS, size=side, n_classes=CLASSES),
            METHODS.get("source-only")(),
            job,
            directory=Path(folder),
            seed=0,
            on_epoch=[take_turns],
            progress=None,
        )
    return statistics.median(mine[1:]), statistics.median(theirs[1:])


def _clock(device: str) -> Callable[[], float]:
    """Seconds of CPU time, or of the clock for a GPU, whose epochs end with a look at the losses."""
    return time.process_time if device == "cpu" else time.perf_counter


def epoch(device: str, name: str = "deepmerge", most: float = 1.35, number: int = EPOCHS) -> None:
    """Print the cost of a whole epoch over that of the bare network."""
    print(f"source-only epoch, views, stretch and validation, over the bare network ({name}); at most {most}")
    for side in (72, 128) if name == "deepmerge" else (72,):
        for how in HOW:
            mine, bare = epochs(name, side, how, device, number)
            print(
                f"{side:4d} px, {how:6s}: {mine:7.0f} ms over {bare:7.0f} ms = {mine / bare:.2f}", flush=True
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="?", choices=("views", "epoch", "resnet18"))
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    if asked.what in (None, "views"):
        views(asked.device)
    if asked.what in (None, "epoch"):
        epoch(asked.device)
    if asked.what in (None, "resnet18"):
        epoch(asked.device, "resnet18", 1.08, 4)
