"""The complete one-pixel search beside the full forward and beside another toolbox's differential evolution.

``python -m tests.benchmarks.attack [--images 12] [--side 75] [--model deepmerge]`` trains a small network on
simulated galaxies, then attacks the same images of it, in one process on one thread:

- galshift's search of every pixel at every corner of the range of values, by the incremental forward;
- the same search by whole forward passes;
- PixelAttack of the Adversarial Robustness Toolbox by differential evolution (400 x 100, one pixel).

Expected: the same verdicts from both complete searches, at least 6 times the images per CPU second of the
full one and 12 times those of the toolbox on images that hold out, and a success rate never below it.

``python -m tests.benchmarks.attack gpu`` trains ResNet18 on 64 x 64 pixels in 3 bands and searches 20 images,
two values in each band, on the GPU, and some of them on two CPU threads.  Expected: the same verdicts, at
least 20 times the queries per second.  Without a GPU it says so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import galshift
from galshift.audit import attack as attacks
from galshift.audit import exhaustive
from galshift.audit._problem import Goal, Problem
from galshift.audit.attack import Setting
from galshift.audit.config import Detector
from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Scene
from galshift.audit.injector import Injector
from galshift.audit.prober import Prober
from galshift.data.open import open_dataset
from galshift.training.checkpoint import load_checkpoint
from tests.benchmarks import attack_gpu


class Logits(nn.Module):
    """What the toolbox expects of a network."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return logits alone."""
        return self.model(x).logits


def trained(folder: Path, side: int, model: str, epochs: int) -> tuple[Setting, Tensor, np.ndarray]:
    """Train `model`; return it under the free attack, images that it gets right, and their labels."""
    with contextlib.chdir(folder):
        galshift.simulate(out=folder / "sim.h5", n=300, views=2, size=side)
        galshift.train(folder / "sim.h5", model=model, epochs=epochs, out=folder / "run")
    loaded = load_checkpoint(folder / "run")
    pre, dataset = loaded.preprocessing, open_dataset(folder / "sim.h5")
    cutouts = dataset.read(np.arange(len(dataset)))
    generator = torch.Generator().manual_seed(0)
    linear = torch.from_numpy(pre.linear(cutouts))
    linear += torch.randn(linear.shape, generator=generator) * torch.tensor(pre.sky_sigma)[:, None, None]
    stretched = pre.stretch(linear)
    # One range for all bands: the toolbox knows only one.
    low, high = stretched.min().expand(len(pre.bands)), stretched.max().expand(len(pre.bands))
    kind = FAULTS.get("rgb")
    setting = Setting(
        loaded.model.eval(), pre.stretch, kind(kind.Config()), Scene(pre.bands, Detector(), low, high)
    )
    with torch.inference_mode():
        found = torch.cat([setting.model(part).logits.argmax(1) for part in stretched.split(64)]).numpy()
    right = np.flatnonzero(found == cutouts.labels)
    print(f"{model} at {side} pixels: {len(right)} of {len(found)} images are classified right")
    return setting, linear[right], found[right]


def complete(setting: Setting, incremental: bool) -> Callable[[Tensor, int], bool]:
    """Return a function that searches one image in full and says whether it flips."""
    injector = Injector(setting.fault, setting.scene, setting.stretch)
    prober: list[Prober] = []

    def search(linear: Tensor, label: int) -> bool:
        if not prober:
            prober.append(Prober(setting.model, tuple(linear.shape), incremental=incremental))
            assert prober[0].incremental is incremental
        return exhaustive.search(Problem(prober[0], injector, Goal(label), linear)).first is not None

    return search


def toolbox(setting: Setting, shape: tuple[int, ...]) -> Callable[[Tensor, int], bool]:
    """Return PixelAttack by differential evolution, one pixel, 100 generations of 400."""
    from art.attacks.evasion import PixelAttack
    from art.estimators.classification import PyTorchClassifier

    low, high = float(setting.scene.low[0]), float(setting.scene.high[0])
    classifier = PyTorchClassifier(
        model=Logits(setting.model),
        loss=nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=setting.model.head.out_features
        if isinstance(setting.model.head, nn.Linear)
        else setting.model.head[-1].out_features,
        clip_values=(low, high),
        device_type="cpu",
    )
    attack = PixelAttack(classifier, th=1, es=1, max_iter=100, verbose=False)

    def search(linear: Tensor, label: int) -> bool:
        after = attack.generate(setting.stretch(linear[None]).numpy())
        with torch.inference_mode():
            return int(setting.model(torch.from_numpy(after.astype(np.float32))).logits.argmax()) != label

    return search


def timed(
    search: Callable[[Tensor, int], bool], linear: Tensor, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's verdict and CPU seconds, after one image that warms up."""
    search(linear[0], int(labels[0]))
    verdicts, seconds = [], []
    for image, label in zip(linear, labels):
        start = time.process_time()
        verdicts.append(search(image, int(label)))
        seconds.append(time.process_time() - start)
    return np.array(verdicts), np.array(seconds)


def chosen(setting: Setting, linear: Tensor, labels: np.ndarray, wanted: int) -> np.ndarray:
    """Return images, half of which hold out where there are so many, in a random order."""
    order = np.random.default_rng(1).permutation(len(linear))[: 12 * wanted]
    search = complete(setting, True)
    flips = np.array([search(linear[i], int(labels[i])) for i in order])
    print(f"of {len(order)} images taken at random, {flips.mean():.0%} flip under the complete search")
    holds, flips = order[~flips], order[flips]
    n_hold = min(len(holds), max(wanted // 2, wanted - len(flips)))
    return np.concatenate([holds[:n_hold], flips[: wanted - n_hold]])


def main() -> None:
    """Print verdicts, images per CPU second and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", nargs="?", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--images", type=int, help="[default: 12; 20 for gpu]")
    parser.add_argument("--side", type=int, help="[default: 75; 64 for gpu]")
    parser.add_argument("--model", help="[default: deepmerge; resnet18 for gpu]")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--keep", help="folder to train in, kept for another run")
    parser.add_argument("--device", default="cuda", help="of mode gpu; cpu tries the benchmark itself")
    parser.add_argument("--cpu-images", type=int, default=2, help="images of mode gpu that the CPU does too")
    options = parser.parse_args()
    for name, values in {"images": (12, 20), "side": (75, 64), "model": ("deepmerge", "resnet18")}.items():
        if getattr(options, name) is None:
            setattr(options, name, values[options.mode == "gpu"])
    torch.set_num_threads(1)
    with contextlib.ExitStack() as stack:
        folder = Path(options.keep or stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        os.makedirs(folder, exist_ok=True)
        if options.mode == "gpu":
            given = (folder, options.side, options.model, options.epochs)
            attack_gpu.main(options, lambda: trained(*given))
            return
        setting, linear, labels = trained(folder, options.side, options.model, options.epochs)
        picked = chosen(setting, linear, labels, options.images)
        report(setting, linear[picked], labels[picked])


def report(setting: Setting, linear: Tensor, labels: np.ndarray) -> None:
    """Time the three searches on the same images and print them."""
    shape = tuple(linear.shape[1:])
    runs = {
        "incremental": timed(complete(setting, True), linear, labels),
        "full": timed(complete(setting, False), linear, labels),
        "toolbox": timed(toolbox(setting, shape), linear, labels),
    }
    holds = ~runs["full"][0]
    queries = attacks.n_queries(setting, attacks.AttackConfig(), shape)
    print(f"{len(labels)} images, {int(holds.sum())} of them hold out; {queries:,} queries an image")
    print(f"{'search':12} {'flip':>5} {'images / CPU s':>15} {'of those that hold out':>23}")
    for name, (verdicts, seconds) in runs.items():
        rate = len(seconds) / seconds.sum()
        holding = holds.sum() / seconds[holds].sum() if holds.any() else float("nan")
        print(f"{name:12} {int(verdicts.sum()):5} {rate:15.3f} {holding:23.3f}")
    quick, slow, other = runs["incremental"], runs["full"], runs["toolbox"]
    print(f"same verdicts as the full search: {bool((quick[0] == slow[0]).all())}")
    print(f"images / CPU s over the full search: {slow[1].sum() / quick[1].sum():.1f} x (>= 6)")
    if holds.any():
        ratio = other[1][holds].sum() / quick[1][holds].sum()
        print(f"over the toolbox, images that hold out: {ratio:.1f} x (>= 12)")
    print(f"success: {int(quick[0].sum())} against the toolbox's {int(other[0].sum())}")
    print(f"flipped by the toolbox alone: {int((other[0] & ~quick[0]).sum())}")


if __name__ == "__main__":
    main()
