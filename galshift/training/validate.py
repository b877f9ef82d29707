"""The network's outputs on a whole set, in evaluation mode, and the source's validation values."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from galshift.training.device import DeviceChoice
from galshift.training.heads import Head
from galshift.training.sets import Stretch, TrainingSet
from galshift.types import Output


def model_inputs(
    images: TrainingSet,
    stretch: Stretch | None,
    device: torch.device,
    *,
    size: int = 256,
    limit: int | None = None,
) -> Iterator[Tensor]:
    """Yield the set's stretched, unaugmented images in order, in batches on `device`.

    Without a `stretch` they are model input already.
    """
    for indices in images.chunks(size, limit):
        batch = images.take(indices).to(device)
        yield batch if stretch is None else stretch(batch)


@torch.no_grad()
def outputs(
    model: nn.Module,
    images: TrainingSet,
    stretch: Stretch | None,
    choice: DeviceChoice,
    *,
    size: int = 256,
    limit: int | None = None,
) -> Output:
    """Return features (N, D) and logits (N, K) of the set, float32 on the CPU; the model's mode is kept."""
    training = model.training
    model.eval()
    parts = []
    for batch in model_inputs(images, stretch, choice.device, size=size, limit=limit):
        with choice.autocast():
            out = model(batch)
        parts.append((out.features.float().cpu(), out.logits.float().cpu()))
    model.train(training)
    features, logits = zip(*parts, strict=True)
    return Output(torch.cat(features), torch.cat(logits))


def validation_row(
    output: Output, labels: Tensor, criterion: Callable[[Tensor, Tensor], Tensor], head: Head
) -> dict[str, float]:
    """Return the validation loss (the one that is trained on), and what else the head measures."""
    return {
        "valid_loss": float(criterion(output.logits, labels)),
        **head.measures(output.logits, labels),
    }
