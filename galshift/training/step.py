"""One training step: both domains through the network, the losses, the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from galshift.methods._base import Method
from galshift.training.device import DeviceChoice
from galshift.training.job import TrainingJob
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
        (B,) int64 classes, or (B, L) numbers.
    views : tuple of Tensor
        Strongly augmented views of the same images.
    """

    images: Tensor
    index: Tensor
    labels: Tensor | None = None
    views: tuple[Tensor, ...] = ()


class DomainForward(nn.Module):
    """Both domains through the network: one module, so that data parallelism sees one forward pass a step.

    Unless the method keeps the domains apart, they pass as ONE batch.  Batch norm then standardises both with
    their common mean and variance, which is also what its running statistics become: training and prediction
    agree.  In two passes each domain is standardised by its own statistics while the running ones, all that
    prediction has, average the two domains and fit neither.  ``tests/benchmarks/engine.py`` measures both.

    Parameters
    ----------
    model : nn.Module
        Possibly compiled.
    method : Method
    choice : DeviceChoice
        The precision of the network; what comes out is float32, for losses are never computed in less.
    """

    def __init__(self, model: nn.Module, method: Method, choice: DeviceChoice) -> None:
        super().__init__()
        self.model = model
        self._method, self._choice = method, choice

    def forward(self, domains: dict[str, tuple[Tensor, ...]]) -> tuple[dict[str, list[Output]], list[Tensor]]:
        """Return each domain's outputs, piece by piece, and the feature tensors as the network gave them.

        Parameters
        ----------
        domains : dict of str to tuple of Tensor
            Images and further views, (B, C, S, S) each, of ``source``, ``target`` and ``labelled`` (a few
            images of the target with labels), or some of them.
        """
        together = len(domains) > 1 and not self._method.own_forward
        groups = [tuple(domains)] if together else _by_survey(domains)
        results, features = {}, []
        for group in groups:
            self._method.select_domain(self.model, "source" if group[0] == "source" else "target")
            pieces = [piece for name in group for piece in domains[name]]
            with self._choice.autocast():
                output = self.model(torch.cat(pieces) if len(pieces) > 1 else pieces[0])
            features.append(output.features)
            outputs = _split(output, [len(piece) for piece in pieces])
            for name in group:
                results[name] = [outputs.pop(0) for _ in domains[name]]
        return results, features


def _by_survey(domains: dict[str, tuple[Tensor, ...]]) -> list[tuple[str, ...]]:
    """The names of `domains`, the source's apart from what shows the target."""
    groups = [
        tuple(name for name in domains if name == "source"),
        tuple(name for name in domains if name != "source"),
    ]
    return [group for group in groups if group]


def _split(output: Output, sizes: list[int]) -> list[Output]:
    """Undo the concatenation, in float32."""
    features, logits = (part.float().split(sizes) for part in output)
    return [Output(*parts) for parts in zip(features, logits, strict=True)]


def forward_domains(
    network: nn.Module,
    source: DomainInput | None,
    target: DomainInput | None,
    labelled: DomainInput | None = None,
) -> tuple[Batch | None, Batch | None, Batch | None, list[Tensor]]:
    """Return the batches after the forward pass of `network`, a (wrapped) :class:`DomainForward`.

    They are the source's, the target's and that of the target's labelled images; the last item is the feature
    tensors as the network gave them, for :func:`feature_gradients`.
    """
    parts = {"source": source, "target": target, "labelled": labelled}
    domains = {name: part for name, part in parts.items() if part is not None}
    results, features = network({name: (part.images, *part.views) for name, part in domains.items()})
    batches = {
        name: Batch(part.images, results[name][0], part.labels, part.index, tuple(results[name][1:]))
        for name, part in domains.items()
    }
    return batches.get("source"), batches.get("target"), batches.get("labelled"), features


def step_losses(
    job: TrainingJob,
    method: Method,
    source: Batch | None,
    target: Batch | None,
    progress: float,
    *,
    adapting: bool,
    labelled: Batch | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the scalar that is optimised, and its named terms.

    Parameters
    ----------
    job : TrainingJob
        Its head names the supervised loss, and says what of the labels the method sees.
    method : Method
    source, target : Batch or None
    progress : float
        Fraction of the adaptation done, in [0, 1].
    adapting : bool
        False during the warm-up, when only the supervised losses count.
    labelled : Batch or None
        Images of the target with labels, which the method does not see.
    """
    terms: dict[str, Tensor] = {}
    if source is not None and source.labels is not None:
        terms[job.head.term] = job.criterion(source.logits, source.labels)
        source = replace(source, labels=job.head.seen(source.labels))
    if adapting:
        terms |= method.terms(source, target, progress)
    if labelled is None:
        return method.combine(terms, progress), terms
    # Beside the method's weighing: its published weights are of the source's loss against the alignment.
    taught = job.training.target_label_weight * job.criterion(labelled.logits, labelled.labels)
    total = method.combine(terms, progress) + taught if terms else taught
    return total, terms | {f"target_{job.head.term}": taught}


def feature_gradients(terms: dict[str, Tensor], features: Sequence[Tensor]) -> dict[str, float]:
    """Return the norm of each term's gradient with respect to the features: how hard it pulls the encoder.

    `features` are (B, D).  Costs no pass through the encoder.  0 for a term that the features do not enter.
    """
    norms, features = {}, [tensor for tensor in features if tensor.requires_grad]
    for name, term in terms.items():
        if not term.requires_grad or not features:
            norms[name] = 0.0
            continue
        gradients = torch.autograd.grad(term, features, retain_graph=True, allow_unused=True)
        squares = [gradient.float().square().sum() for gradient in gradients if gradient is not None]
        norms[name] = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
    return norms
