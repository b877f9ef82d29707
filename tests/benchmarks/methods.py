"""What each loss costs beside the cheapest thing it can be built on, and beside the form that peers use.

128 + 128 samples of 256 features, 4 classes, float32, forward and backward, one thread, CPU time.  The floor
is the matrix of squared distances between all 256 samples, by one matrix product; the broadcast form of MMD
subtracts every sample from every other in an N x N x d array.  All are timed in turns within one run, so that
ratios hold on a busy machine: ``python -m tests.benchmarks.methods [--repeats N]``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._distances import squared_distances
from galshift.types import Batch, Output

N, D, K = 128, 256, 4
FLOOR, BROADCAST = "distance matrix", "mmd, broadcast"
LIMITS = {"mmd": 3.0, "coral": 2.5, "deepjdot": 4.0, "sinkhorn": 8.0}
FASTER_THAN_BROADCAST = 100.0


def draw() -> tuple[Batch, Batch]:
    """Return a source and a target batch, shifted by 0.5 and wider by 1.3, that want gradients."""
    g = torch.Generator().manual_seed(1234)
    features = torch.randn(N, D, generator=g), 0.5 + 1.3 * torch.randn(N, D, generator=g)
    logits = [2 * torch.randn(N, K, generator=g) for _ in range(2)]
    labels = torch.randint(0, K, (N,), generator=g)
    source, target = (
        Output(z.requires_grad_(), x.requires_grad_()) for z, x in zip(features, logits, strict=True)
    )
    index, none = torch.arange(N), torch.zeros(0)
    return Batch(none, source, labels, index), Batch(none, target, None, index, (target,))


def distance_matrix(source: Batch, target: Batch) -> Tensor:
    """The floor: one distance matrix of all samples, summed."""
    both = torch.cat([source.features, target.features])
    return squared_distances(both, both).sum()


def broadcast_mmd(source: Batch, target: Batch) -> Tensor:
    """MMD with five kernels, each on distances from an N x N x d array: the common way to write it."""
    both = torch.cat([source.features, target.features])
    total = torch.zeros(())
    for power in range(-3, 2):
        d2 = (both[:, None] - both[None]).square().sum(dim=2)
        scale = 2.0**power * d2.detach().mean()
        kernel = torch.exp(-d2 / (2 * scale))
        total = total + kernel[:N, :N].mean() + kernel[N:, N:].mean() - 2 * kernel[:N, N:].mean()
    return total


def method_loss(name: str) -> Callable[[Batch, Batch], Tensor]:
    """The sum of a method's terms at its defaults, through the call that the loop makes."""
    torch.manual_seed(0)
    method = METHODS.get(name)()
    method.build(D, K, N)

    def loss(source: Batch, target: Batch) -> Tensor:
        return sum(method.terms(source if method.needs_source else None, target, 0.5).values())

    return loss


def cost(loss: Callable[[Batch, Batch], Tensor], source: Batch, target: Batch) -> float:
    """CPU seconds of one forward and backward pass."""
    for batch in (source, target):
        for tensor in batch.output:
            tensor.grad = None
    start = time.process_time()
    loss(source, target).backward()
    return time.process_time() - start


def measure(names: list[str], repeats: int) -> dict[str, float]:
    """Return the median CPU seconds of the floor, the broadcast form and the methods, timed in turns."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    source, target = draw()
    losses = {FLOOR: distance_matrix} | {name: method_loss(name) for name in names}
    times: dict[str, list[float]] = {name: [] for name in losses}
    for round_ in range(repeats + 5):
        for name, loss in losses.items():
            seconds = cost(loss, source, target)
            if round_ >= 5:
                times[name].append(seconds)
    times[BROADCAST] = [cost(broadcast_mmd, source, target) for _ in range(max(repeats // 10, 3))]
    torch.set_num_threads(threads)
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Print the table and whether the limits hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument(
        "--methods", default=",".join(n for n in METHODS.names() if n not in ("auto", "source-only", "adabn"))
    )
    options = parser.parse_args()
    seconds = measure(options.methods.split(","), options.repeats)
    floor = seconds[FLOOR]
    print("| loss | ms CPU | times the distance matrix | limit |\n|---|---|---|---|")
    for name, value in sorted(seconds.items(), key=lambda item: item[1]):
        limit = LIMITS.get(name)
        verdict = "" if limit is None else f"{limit:g}: {'held' if value <= limit * floor else 'MISSED'}"
        print(f"| {name} | {1e3 * value:.2f} | {value / floor:.2f} | {verdict} |")
    if "mmd" in seconds:
        ratio = seconds[BROADCAST] / seconds["mmd"]
        held = "held" if ratio >= FASTER_THAN_BROADCAST else "MISSED"
        goal = f"at least {FASTER_THAN_BROADCAST:g}: {held}"
        print(f"\nMMD is {ratio:.0f} times faster than the broadcast form ({goal}).")


if __name__ == "__main__":
    main()
