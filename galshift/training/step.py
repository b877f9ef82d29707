"""One training step: both domains through the network, the losses, the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from galshift.methods._base import Method
from galshift.training.device import DeviceChoice
from galshift.types import Batch, Output


@dataclass(frozen=True)
class DomainInput:
    """One domain's share of a step before the forward pass.

    Attributes
    ----------
    images : Tensor
        (B, C, S, S) augmented and stretched.
    index : Tensor
        (B,) positions in the training set.
    labels : Tensor or None
        (B,) int64.
    views : tuple of Tensor
        Strongly augmented views of the same images.
    """

    images: Tensor
    index: Tensor
    labels: Tensor | None = None
    views: tuple[Tensor, ...] = ()


def forward_domains(
    model: nn.Module,
    method: Method,
    source: DomainInput | None,
    target: DomainInput | None,
    choice: DeviceChoice,
) -> tuple[Batch | None, Batch | None, list[Tensor]]:
    """Return both domains' batches after the forward pass, and the feature tensors as the network gave them.

    Unless the method keeps the domains apart, they pass as ONE batch.  Batch norm then standardises both with
    their common mean and variance, which is also what its running statistics become: training and prediction
    agree.  In two passes each domain is standardised by its own statistics while the running ones, all that
    prediction has, average the two domains and fit neither.  `tests/benchmarks/engine.py` measures both.
    """
    domains = [(name, part) for name, part in (("source", source), ("target", target)) if part is not None]
    pieces = [piece for _, part in domains for piece in (part.images, *part.views)]
    if len(domains) == 1 or not method.own_forward:
        method.select_domain(model, domains[0][0])
        roots = [_forward(model, pieces, choice)]
        outputs = _split(roots[0], pieces)
    else:
        roots, outputs = [], []
        for name, part in domains:
            method.select_domain(model, name)
            own = [part.images, *part.views]
            roots.append(_forward(model, own, choice))
            outputs += _split(roots[-1], own)
    batches: dict[str, Batch] = {}
    for name, part in domains:
        first, *views = [outputs.pop(0) for _ in range(1 + len(part.views))]
        batches[name] = Batch(part.images, first, part.labels, part.index, tuple(views))
    return batches.get("source"), batches.get("target"), [root.features for root in roots]


def _forward(model: nn.Module, pieces: Sequence[Tensor], choice: DeviceChoice) -> Output:
    """The network on the pieces as one batch, in the chosen precision."""
    with choice.autocast():
        return model(torch.cat(list(pieces)) if len(pieces) > 1 else pieces[0])


def _split(output: Output, pieces: Sequence[Tensor]) -> list[Output]:
    """Undo the concatenation."""
    if len(pieces) == 1:
        return [output]
    sizes = [len(piece) for piece in pieces]
    return [
        Output(*parts) for parts in zip(output.features.split(sizes), output.logits.split(sizes), strict=True)
    ]


def step_losses(
    method: Method,
    source: Batch | None,
    target: Batch | None,
    criterion: Callable[[Tensor, Tensor], Tensor],
    progress: float,
    *,
    adapting: bool,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the scalar that is optimised, and its named terms.

    Parameters
    ----------
    criterion : callable
        (logits, labels) to the supervised source loss.
    progress : float
        Fraction of the adaptation done, in [0, 1].
    adapting : bool
        False during the warm-up, when only the supervised loss counts.
    """
    terms: dict[str, Tensor] = {}
    if source is not None and source.labels is not None:
        terms["classification"] = criterion(source.logits, source.labels)
    if adapting:
        terms |= method.terms(source, target, progress)
    return method.combine(terms, progress), terms


def feature_gradients(terms: dict[str, Tensor], features: Sequence[Tensor]) -> dict[str, float]:
    """Return the norm of each term's gradient with respect to the features: how hard it pulls the encoder.

    Costs no pass through the encoder.  0 for a term that the features do not enter.
    """
    norms = {}
    for name, term in terms.items():
        if not term.requires_grad:
            norms[name] = 0.0
            continue
        gradients = torch.autograd.grad(term, features, retain_graph=True, allow_unused=True)
        squares = [gradient.float().square().sum() for gradient in gradients if gradient is not None]
        norms[name] = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
    return norms
