"""Each method at its default weight on 8x8 digits under blur, gain, background and noise.

The protocol is fixed so that figures can be compared between versions: 700 source images to train on, 200 to
validate, 500 unlabelled target images, 397 target images to test on; 330 steps of Adam at 1e-3 with 64 + 64
images; the last step counts, nothing is selected.  ``python -m tests.benchmarks.digits [--seeds N] [--methods
a,b]`` prints a table of target accuracies; every row of one seed starts from the same network.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from torch import Tensor, nn

from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.types import Batch, Output, Strict

STEPS = 330
BATCH = 64


@dataclass(frozen=True)
class Digits:
    """One seed's data: images (N, 1, 8, 8) and labels (N,)."""

    source: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    target: Tensor
    test: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Score:
    """What one run reached."""

    test: float
    validation: float
    seconds: float


class Net(nn.Module):
    """Two convolutions and two linear layers, 64 features; with batch norm where a method asks for it."""

    def __init__(self, batchnorm: bool = False) -> None:
        super().__init__()
        norms = [nn.BatchNorm2d(16), nn.BatchNorm2d(32)] if batchnorm else [nn.Identity(), nn.Identity()]
        self.encoder = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), norms[0], nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, padding=1), norms[1], nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(512, 64), nn.ReLU()),
        )
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Output:
        """Return features and logits of (B, 1, 8, 8) images."""
        features = self.encoder(images)
        return Output(features, self.head(features))


def make_digits(seed: int) -> Digits:
    """Return the split and the shifted target of one seed."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 8, 8)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    train, validation, target, test = np.split(order, [700, 900, 1400])

    def shifted(rows: np.ndarray) -> Tensor:
        blurred = np.stack([gaussian_filter(image, 0.5) for image in images[rows]])
        return _tensor(0.6 * blurred + 0.3 + rng.normal(0, 0.1, blurred.shape))

    target_images, test_images = shifted(target), shifted(test)
    return Digits(
        source=(_tensor(images[train]), torch.as_tensor(labels[train])),
        validation=(_tensor(images[validation]), torch.as_tensor(labels[validation])),
        target=target_images,
        test=(test_images, torch.as_tensor(labels[test])),
    )


def _tensor(images: np.ndarray) -> Tensor:
    return torch.as_tensor(images, dtype=torch.float32)[:, None]


def run(data: Digits, name: str, seed: int, config: Strict | None = None, steps: int = STEPS) -> Score:
    """Train once with the method called `name` and return its accuracies."""
    start = time.process_time()
    method: Method = METHODS.get(name)(config)
    torch.manual_seed(seed)
    model = Net(batchnorm=name in ("adabn", "tent") or method.shared.domain_batchnorm)
    torch.manual_seed(seed + 1000)
    nets = method.build(64, 10, len(data.target))
    model = method.prepare(model)
    if not method.needs_source:
        _pretrain(model, data, seed, steps)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam([*method.trainable(model), *nets.parameters()], lr=1e-3 * method.lr_scale)
    for step in range(steps):
        _step(model, method, optimiser, data, generator, step / steps)
    with torch.no_grad():
        method.finish(model, data.target.split(250))
        model.eval()
        scores = [
            (model(x).logits.argmax(1) == y).float().mean().item() for x, y in (data.test, data.validation)
        ]
    return Score(scores[0], scores[1], time.process_time() - start)


def _pretrain(model: nn.Module, data: Digits, seed: int, steps: int) -> None:
    """Train on the source alone: where source-free methods start from."""
    method = METHODS.get("source-only")()
    method.build(64, 10, len(data.target))
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(steps):
        _step(model, method, optimiser, data, generator, step / steps)


def _step(
    model: nn.Module,
    method: Method,
    optimiser: torch.optim.Optimizer,
    data: Digits,
    generator: torch.Generator,
    progress: float,
) -> None:
    model.train()
    rows = torch.randint(len(data.target), (BATCH,), generator=generator)
    picks = torch.randint(len(data.source[0]), (BATCH,), generator=generator)
    images = {}
    if method.needs_source:
        images["source"] = (data.source[0][picks],)
    if method.uses_target:
        x = data.target[rows]
        images["target"] = (x, *(_strong(x, generator) for _ in range(method.views)))
    outputs = _forward(model, method, images)
    source, target, terms = None, None, {}
    if "source" in images:
        labels = data.source[1][picks]
        source = Batch(images["source"][0], outputs["source"][0], labels, picks)
        terms["classification"] = nn.functional.cross_entropy(source.logits, labels)
    if "target" in images:
        first, *views = outputs["target"]
        target = Batch(images["target"][0], first, None, rows, tuple(views))
    terms |= method.terms(source, target, progress)
    total = method.combine(terms, progress)
    optimiser.zero_grad()
    total.backward()
    optimiser.step()


def _forward(
    model: nn.Module, method: Method, images: dict[str, tuple[Tensor, ...]]
) -> dict[str, list[Output]]:
    """Return the outputs of each domain's images and views: one batch, unless the method keeps them apart."""
    together = len(images) > 1 and not method.own_forward
    results = {}
    for group in [tuple(images)] if together else [(domain,) for domain in images]:
        method.select_domain(model, group[0])
        pieces = [piece for domain in group for piece in images[domain]]
        output = model(torch.cat(pieces))
        sizes = [len(piece) for piece in pieces]
        parts = [Output(*pair) for pair in zip(*(part.split(sizes) for part in output), strict=True)]
        for domain in group:
            results[domain] = [parts.pop(0) for _ in images[domain]]
    return results


def _strong(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift by up to one pixel, change the gain, add noise: changes that leave a digit the digit it is."""
    dy, dx = (int(v) for v in torch.randint(-1, 2, (2,), generator=generator))
    gain = 0.8 + 0.4 * torch.rand(len(images), 1, 1, 1, generator=generator)
    noise = 0.1 * torch.randn(images.shape, generator=generator)
    return torch.roll(images, (dy, dx), (2, 3)) * gain + noise


def compare(names: list[str], seeds: list[int]) -> dict[str, list[Score]]:
    """Return the scores of every method over the seeds, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    scores: dict[str, list[Score]] = {name: [] for name in names}
    for seed in seeds:
        data = make_digits(seed)
        for name in names:
            scores[name].append(run(data, name, seed))
    torch.set_num_threads(threads)
    return scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--methods", default=",".join(METHODS.names()))
    options = parser.parse_args()
    scores = compare(options.methods.split(","), list(range(options.seeds)))
    print("| method | target accuracy | worst seed | source validation | CPU s |\n|---|---|---|---|---|")
    for name, rows in sorted(scores.items(), key=lambda item: -np.mean([s.test for s in item[1]])):
        test = np.array([s.test for s in rows])
        spread = test.std(ddof=1) if len(test) > 1 else float("nan")
        validation, seconds = (np.mean([getattr(s, k) for s in rows]) for k in ("validation", "seconds"))
        accuracy = f"{test.mean():.3f} +- {spread:.3f} | {test.min():.3f}"
        print(f"| {name} | {accuracy} | {validation:.3f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
