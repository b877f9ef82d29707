"""The network's outputs on a whole set, in evaluation mode, and the source's validation values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from galshift.methods._base import Method
from galshift.training.device import DeviceChoice
from galshift.training.heads import Head
from galshift.training.sets import Stretch, TrainingSet
from galshift.types import Batch, Output

HELD_BYTES = 1 << 30  # of network input that is held from one validation to the next


def model_inputs(
    images: TrainingSet,
    stretch: Stretch | None,
    device: torch.device,
    *,
    size: int = 256,
    limit: int | None = None,
) -> Iterator[Tensor]:
    """Yield the set's stretched, unaugmented images in order, in batches on `device`.

    Batches are (B, C, S, S) of at most `size`; with `limit` they are an even sample of so many images.
    Without a `stretch` the images are model input already.
    """
    for indices in images.chunks(size, limit):
        batch = images.take(indices).to(device)
        yield batch if stretch is None else stretch(batch)


class HeldInputs:
    """A set's network input in order, made once where it fits in memory and at every pass where it does not.

    Parameters
    ----------
    images : TrainingSet
    stretch : callable
    device : torch.device
    limit : int, optional
        An even sample of so many images.
    """

    def __init__(
        self, images: TrainingSet, stretch: Stretch, device: torch.device, limit: int | None = None
    ) -> None:
        self._arguments = (images, stretch, device, limit)
        self._held: list[Tensor] | None = None

    def __iter__(self) -> Iterator[Tensor]:
        """Yield batches on the device."""
        if self._held is not None:
            yield from self._held
            return
        images, stretch, device, limit = self._arguments
        room = HELD_BYTES
        if device.type == "cuda":
            room = min(room, torch.cuda.mem_get_info(device)[0] // 8)
        held: list[Tensor] = []
        for batch in model_inputs(images, stretch, device, limit=limit):
            room -= batch.nbytes
            if room >= 0:
                held.append(batch)
            else:
                held.clear()
            yield batch
        if room >= 0:
            self._held = held


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
    return outputs_of(model, model_inputs(images, stretch, choice.device, size=size, limit=limit), choice)


@torch.no_grad()
def outputs_of(model: nn.Module, inputs: Iterable[Tensor], choice: DeviceChoice) -> Output:
    """Return features (N, D) and logits (N, K) of batches of network input, as :func:`outputs` does."""
    training = model.training
    model.eval()
    parts = []
    for batch in inputs:
        with choice.autocast():
            out = model(batch)
        parts.append((out.features.float().cpu(), out.logits.float().cpu()))
    model.train(training)
    features, logits = zip(*parts, strict=True)
    return Output(torch.cat(features), torch.cat(logits))


def validation_row(
    output: Output, labels: Tensor, criterion: Callable[[Tensor, Tensor], Tensor], head: Head
) -> dict[str, float]:
    """Return the validation loss (the one that is trained on), and what else the head measures.

    `output` and `labels` are of the N validation images.
    """
    return {
        "valid_loss": float(criterion(output.logits, labels)),
        **head.measures(output.logits, labels),
    }


@torch.no_grad()
def adaptation_loss(
    method: Method, source: Output, labels: Tensor, target: Output, place: Tensor, *, size: int
) -> float:
    """Return the sum of a method's terms between two sets, as a mean over batches of `size` of both.

    Learned weights do not enter, and the method's own networks and memories stay as they are.

    Parameters
    ----------
    method : Method
    source, target : Output
        Of the source's validation images and of target images, in evaluation mode, on the CPU.
    labels : Tensor
        (N,) classes of the source's images.
    place : Tensor
        (M,) positions of the target's images in its training set.
    size : int
        The last batch may be smaller; what one set has more than the other is left out.
    """
    method, values = method.apart(), []
    count = min(len(labels), len(place))
    for rows in torch.arange(count).split(size):
        if len(rows) == 1 and count > 1:
            continue  # distances within a batch need two
        batches = [
            Batch(part.features[rows, :0], Output(part.features[rows], part.logits[rows]), known, index)
            for part, known, index in ((source, labels[rows], rows), (target, None, place[rows]))
        ]
        terms = method.losses(*batches, 1.0)
        values.append(sum(float(term) for term in terms.values()))
    return sum(values) / len(values)
