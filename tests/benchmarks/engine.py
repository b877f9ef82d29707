"""What the loop costs beside a bare one, whether a killed run ends in the same bits, and why one batch.

``python -m tests.benchmarks.engine [overhead|kills|batchnorm]`` (default: overhead).
"""

from __future__ import annotations

import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from galshift.methods import METHODS
from galshift.models.build import build_model
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.sets import TrainingSet
from tests import killing

SIZE, BANDS, CLASSES, BATCH, EPOCHS = 75, 3, 3, 64, 16
N_TRAIN, N_VALID = 512, 128


def data(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return N random images and labels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, BANDS, SIZE, SIZE, generator=generator), torch.arange(n) % CLASSES


def network(channels_last: bool) -> nn.Module:
    """Return a fresh DeepMerge network in the layout asked for."""
    model = build_model("deepmerge", in_channels=BANDS, size=SIZE, n_classes=CLASSES)
    return model.to(memory_format=torch.channels_last) if channels_last else model


def bare_loop(*, target: bool, channels_last: bool) -> Iterator[float]:
    """Yield the CPU seconds of each epoch of a loop written by hand, validation included."""
    (x, y), (xv, yv), (xt, _) = data(N_TRAIN, 0), data(N_VALID, 1), data(N_TRAIN, 2)
    model, method = network(channels_last), METHODS.get("mmd")()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    while True:
        started, running = time.process_time(), 0.0
        model.train()
        order, other = torch.randperm(N_TRAIN), torch.randperm(N_TRAIN)
        for index, pair in zip(order.split(BATCH), other.split(BATCH), strict=True):
            images = torch.cat([x[index], xt[pair]]) if target else x[index]
            features, logits = model(images.contiguous(memory_format=layout))
            loss = functional.cross_entropy(logits[: len(index)], y[index])
            if target:
                loss = loss + mmd(method, features[: len(index)], features[len(index) :])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            running += loss.item()
        model.eval()
        with torch.no_grad():
            functional.cross_entropy(model(xv.contiguous(memory_format=layout)).logits, yv).item()
        yield time.process_time() - started


def mmd(method: object, source: Tensor, target: Tensor) -> Tensor:
    """The distance as the method computes it, called straight from the loop."""
    from galshift.types import Batch, Output

    none = torch.zeros(0)
    batches = [Batch(none, Output(features, none), None, none) for features in (source, target)]
    return sum(method.losses(*batches, 0.5).values())


def compared(*, target: bool, ours: bool, bare: bool) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of epochs of galshift's loop and of the bare one, taken in turns.

    `ours` and `bare` say whether the images are channels-last.
    """
    other, mine, theirs = bare_loop(target=target, channels_last=bare), [], []
    mark = time.process_time()

    def take_turns(row: dict) -> None:
        nonlocal mark
        mine.append(time.process_time() - mark)
        theirs.append(next(other))
        mark = time.process_time()

    config = TrainConfig(epochs=EPOCHS, warmup_epochs=0, batch_size=BATCH, patience=None, channels_last=ours)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            build_model("deepmerge", in_channels=BANDS, size=SIZE, n_classes=CLASSES),
            METHODS.get("mmd" if target else "source-only")(),
            TrainingJob(
                source=TrainingSet(*data(N_TRAIN, 0)),
                valid=TrainingSet(*data(N_VALID, 1)),
                target=TrainingSet(data(N_TRAIN, 2)[0]) if target else None,
                training=config,
                head=ClassHead(("a", "b", "c")),
                device="cpu",
            ),
            directory=Path(folder),
            seed=0,
            on_epoch=[take_turns],
            progress=None,
        )
    return mine[1:], theirs[1:]


def overhead() -> None:
    """Print the loop's cost over a bare loop."""
    print("CPU time of an epoch, galshift over a bare PyTorch loop (DeepMerge, 75 px, batch 64)")
    for target, limit in ((False, 1.08), (True, 1.15)):
        verb = "adapt (mmd)" if target else "train"
        for ours, theirs, words in (
            (False, False, "same memory layout"),
            (True, True, "both channels-last"),
            (True, False, "galshift's default against PyTorch's"),
        ):
            mine, bare = compared(target=target, ours=ours, bare=theirs)
            value = statistics.median(mine) / statistics.median(bare)
            print(f"{verb:12s} {words:38s} {value:.3f} (at most {limit})", flush=True)


def kills(moments: int = 20) -> None:
    """SIGKILL train and adapt at random moments from the start of the process on, and go on each time."""
    for kind in killing.OPTIONS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            killing.make_data(folder / "whole")
            started = time.monotonic()
            killing.finish(folder / "whole", kind)
            whole, longest = killing.products(folder / "whole"), time.monotonic() - started
            rng, done, runs, wrong = random.Random(kind), 0, 0, set()
            while done < moments:
                here = folder / f"killed{runs}"
                here.mkdir()
                shutil.copy(folder / "whole/sim.h5", here)
                runs += 1
                while done < moments and not (here / "run/manifest.json").is_file():
                    code = killing.stop(here, kind, signal.SIGKILL, rng, within=longest, training=False)
                    done += code == -signal.SIGKILL
                killing.finish(here, kind)
                found = killing.products(here)
                wrong |= {name for name in whole.keys() | found.keys() if whole.get(name) != found.get(name)}
                wrong |= set(killing.leftovers(here))
            how = f"no: {', '.join(sorted(wrong))}" if wrong else "yes"
            print(f"{kind}: killed {done} times in {runs} runs; weights and metrics bit-equal: {how}")


def batchnorm(seeds: int = 3) -> None:
    """Target accuracy on the shifted digits, the domains in one batch or in two."""
    print("target accuracy (mean and range over seeds) of a network with batch norm")
    for name in ("coral", "mmd", "sinkhorn", "dann"):
        for apart in (False, True):
            found = sorted(_digits(name, apart, seed) for seed in range(seeds))
            mean = statistics.mean(found)
            how = "apart" if apart else "as one"
            print(f"{name:10s} {how:8s} {mean:.3f} ({found[0]:.3f} to {found[-1]:.3f})")


def _digits(name: str, apart: bool, seed: int) -> float:
    """Train on shifted digits for the protocol's 330 steps and return the target accuracy."""
    from tests.benchmarks.digits import Net, make_digits

    digits, method = make_digits(seed), METHODS.get(name)()
    method.own_forward = apart
    torch.manual_seed(seed)
    model = Net(batchnorm=True)
    model.feature_dim, model.spec = 64, {"name": "digits", "in_channels": 1, "size": 8, "n_classes": 10}
    config = TrainConfig(
        epochs=30, warmup_epochs=0, batch_size=64, schedule="constant", lr_ramp=0, select="last"
    )
    job = TrainingJob(
        source=TrainingSet(*digits.source),
        valid=TrainingSet(*digits.validation),
        target=TrainingSet(digits.target),
        training=config,
        head=ClassHead(tuple("0123456789")),
        device="cpu",
    )
    with tempfile.TemporaryDirectory() as folder:
        run = fit(model, method, job, directory=Path(folder), seed=seed, progress=None)
    images, labels = digits.test
    with torch.no_grad():
        return float((run.model(images).logits.argmax(1) == labels).double().mean())


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"overhead": overhead, "kills": kills, "batchnorm": batchnorm}[
        sys.argv[1] if len(sys.argv) > 1 else "overhead"
    ]()
