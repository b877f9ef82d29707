"""What a network answers: a class, one or more numbers, or the votes that people would give.

=========  ========================  ========================================================================
kind       outputs                   supervised loss
=========  ========================  ========================================================================
``class``  K scores                  cross-entropy (:mod:`galshift.training.criterion`)
``votes``  K logs of concentrations  Dirichlet-multinomial likelihood of the votes; the softmax of outputs is
                                     the expected vote fraction, so that every method works unchanged
``value``  L means, L log variances  Gaussian likelihood of the standardised labels, each with a variance
=========  ========================  ========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from galshift.errors import ConfigError, DataError
from galshift.methods._base import Method
from galshift.training.config import TrainConfig
from galshift.training.criterion import Criterion, build_criterion, check_labels
from galshift.training.likelihoods import (
    LOG_CONCENTRATION,
    LOG_VARIANCE,
    concentrations,
    dirichlet_multinomial_nll,
    gaussian_nll,
)


@dataclass(frozen=True)
class ClassHead:
    """One score for each class.

    Attributes
    ----------
    names : tuple of str
    """

    names: tuple[str, ...]
    kind: ClassVar[str] = "class"
    term: ClassVar[str] = "classification"
    has_classes: ClassVar[bool] = True

    @property
    def n_outputs(self) -> int:
        """K."""
        return len(self.names)

    def criterion(self, config: TrainConfig, labels: Tensor | None) -> Criterion:
        """Return the supervised loss of (outputs, labels)."""
        return build_criterion(config, labels, self.n_outputs)

    def seen(self, labels: Tensor) -> Tensor:
        """Return the labels as a method sees them: (B,) int64 classes."""
        return labels

    def check(self, labels: Tensor | None, where: str) -> None:
        """Refuse labels (N,) that cannot be trained on.

        Raises
        ------
        DataError
            When they are not int64 class indices of this head, or there are none.
        """
        if labels is not None and labels.dtype != torch.int64:
            raise DataError(f"labels must be int64 class indices, not {labels.dtype}", where=where)
        check_labels(labels, self.n_outputs, where)

    def measures(self, outputs: Tensor, labels: Tensor) -> dict[str, float]:
        """Return what an epoch's row says of the validation images besides the loss."""
        return {"valid_accuracy": float((outputs.argmax(1) == labels).double().mean())}

    def spec(self) -> dict[str, Any]:
        """Return the JSON that :func:`head_of` rebuilds it from."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class VotesHead(ClassHead):
    """Concentrations of the votes for each class.

    Attributes
    ----------
    names : tuple of str
    mean : tuple of float
        (K,) mean fractions of the training part: what knowing nothing of an image says.
    concentration : float
        The concentration that makes the training part's votes likeliest with these fractions.
    total : str or float or None
        Column with the number of votes, or that number; where other data sets' votes are looked for.
    """

    mean: tuple[float, ...]
    concentration: float
    total: str | float | None = None
    kind: ClassVar[str] = "votes"
    term: ClassVar[str] = "votes"

    def criterion(self, config: TrainConfig, labels: Tensor | None) -> Criterion:
        """Return the Dirichlet-multinomial loss of (outputs, counts), (B, K) each."""
        _without_class_options(config)
        return dirichlet_multinomial_nll

    def seen(self, labels: Tensor) -> Tensor:
        """Return the class with the most votes, (B,) int64."""
        return labels.argmax(dim=1)

    def check(self, labels: Tensor | None, where: str) -> None:
        """Refuse labels (N, K) that are no votes.

        Raises
        ------
        DataError
            When they are missing or of another shape, one is negative or not finite, or an image has none.
        """
        _check_numbers(labels, self.n_outputs, where)
        if bool((labels < 0).any()) or not bool((labels.sum(dim=1) > 0).all()):
            raise DataError("every image needs a vote, and none may be negative", where=where)

    def measures(self, outputs: Tensor, labels: Tensor) -> dict[str, float]:
        """Return how often the expected winner has the most votes."""
        return super().measures(outputs, self.seen(labels))

    def concentration_of(self, outputs: np.ndarray) -> np.ndarray:
        """Return the (N,) sums of the concentrations that outputs (N, K) stand for; NaN where they are."""
        return concentrations(torch.from_numpy(np.asarray(outputs))).sum(dim=1).numpy()


@dataclass(frozen=True)
class ValueHead:
    """Mean and variance of each of L continuous labels.

    Attributes
    ----------
    names : tuple of str
    mean, sd : tuple of float
        Of the training part's labels, in the labels' own units.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    kind: ClassVar[str] = "value"
    term: ClassVar[str] = "regression"
    has_classes: ClassVar[bool] = False

    @property
    def n_outputs(self) -> int:
        """Means first, then what the variances come from: 2 L."""
        return 2 * len(self.names)

    def criterion(self, config: TrainConfig, labels: Tensor | None) -> Criterion:
        """Return the Gaussian loss of (outputs (B, 2 L), labels (B, L) in their own units)."""
        _without_class_options(config)
        return lambda outputs, found: gaussian_nll(outputs, self.seen(found))

    def seen(self, labels: Tensor) -> Tensor:
        """Return the standardised labels, (B, L) float32."""
        mean, sd = (torch.tensor(v, dtype=torch.float64, device=labels.device) for v in (self.mean, self.sd))
        return ((labels.double() - mean) / sd).float()

    def check(self, labels: Tensor | None, where: str) -> None:
        """Refuse labels that are not (N, L) finite numbers."""
        _check_numbers(labels, len(self.names), where)

    def measures(self, outputs: Tensor, labels: Tensor) -> dict[str, float]:
        """Return the root mean square error in units of the training labels' standard deviation."""
        error = outputs[:, : len(self.names)] - self.seen(labels)
        return {"valid_rmse": float(error.double().square().mean().sqrt())}

    def spec(self) -> dict[str, Any]:
        """Return the JSON that :func:`head_of` rebuilds it from."""
        return {"kind": self.kind, **asdict(self)}

    def values(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations (N, L) in the labels' own units from outputs (N, 2 L)."""
        outputs = np.asarray(outputs, dtype=np.float64)
        raw, n = outputs[:, len(self.names) :], len(self.names)
        sigma = np.exp(0.5 * LOG_VARIANCE * np.tanh(raw / LOG_VARIANCE))
        return outputs[:, :n] * np.array(self.sd) + np.array(self.mean), sigma * np.array(self.sd)


Head = ClassHead | VotesHead | ValueHead
_KINDS: dict[str, type] = {kind.kind: kind for kind in (ClassHead, VotesHead, ValueHead)}


def make_head(
    kind: str, names: Sequence[str], labels: np.ndarray, *, total: str | float | None = None
) -> Head:
    """Return the head for `labels` of the training part.

    Parameters
    ----------
    kind : {"class", "value", "votes"}
    names : sequence of str
        Of the classes, or of the continuous labels.
    labels : ndarray
        (N, ...) of the training part; ``value`` takes their mean and standard deviation.
    total : str or float, optional
        See `VotesHead`.

    Raises
    ------
    DataError
        When a continuous label does not vary.
    """
    names = tuple(str(name) for name in names)
    if kind == "class":
        return ClassHead(names)
    values = np.asarray(labels, dtype=np.float64)
    if kind == "votes":
        mean = (values / values.sum(axis=1, keepdims=True)).mean(axis=0)
        return VotesHead(names, tuple(mean.tolist()), _likeliest_concentration(values, mean), total)
    mean, sd = values.mean(axis=0), values.std(axis=0)
    for name, centre, spread in zip(names, mean, sd, strict=True):
        if not spread > 1e-6 * max(abs(centre), 1e-30):
            raise DataError(
                f"the label '{name}' is {centre:g} for every training image, so there is nothing to learn"
            )
    return ValueHead(names, tuple(mean.tolist()), tuple(sd.tolist()))


def head_of(spec: Mapping[str, Any] | None, classes: Sequence[str]) -> Head:
    """Return the head of a checkpoint: that of its `spec`, or, without one, of its classes."""
    if spec is None:
        return ClassHead(tuple(classes))
    held = {key: tuple(value) if isinstance(value, list) else value for key, value in spec.items()}
    return _KINDS[str(held.pop("kind"))](**held)


def _likeliest_concentration(counts: np.ndarray, mean: np.ndarray) -> float:
    """The concentration of greatest Dirichlet-multinomial likelihood at fixed fractions."""
    from scipy.optimize import minimize_scalar

    logs, votes = np.log(np.maximum(mean, 1e-6)), torch.from_numpy(counts)

    def loss(log_total: float) -> float:
        row = torch.from_numpy(logs + log_total - np.logaddexp.reduce(logs))
        return float(dirichlet_multinomial_nll(row.expand(len(votes), -1), votes))

    return float(np.exp(minimize_scalar(loss, bounds=LOG_CONCENTRATION, method="bounded").x))


def check_method(method: Method, head: Head, name: str | None = None) -> None:
    """Refuse a method that reads the network's outputs as classes where they are none.

    Raises
    ------
    ConfigError
        Naming the methods that work.
    """
    if head.has_classes or not (reasons := method.class_based()):
        return
    from galshift.methods import METHODS

    fit = [known for known in METHODS.available() if not METHODS.get(known).needs_classes]
    raise ConfigError(
        f"{name or type(method).__name__} ({', '.join(reasons)}) needs classes; the labels are continuous",
        where="method",
        hint=f"these work: {', '.join(fit)}",
    )


def _without_class_options(config: TrainConfig) -> None:
    """Options of the cross-entropy mean nothing here."""
    given = config.class_weights not in ("auto", "none") and "class_weights"
    given = given or (config.label_smoothing and "label_smoothing") or (config.focal and "focal")
    if given:
        raise ConfigError("this option is for classes", where=f"training.{given}")


def _check_numbers(labels: Tensor | None, n: int, where: str) -> None:
    """Labels must be (N, n) finite floats."""
    if labels is None:
        raise DataError("training needs labels", where=where)
    if len(labels) == 0:
        raise DataError("there are no images to train on", where=where)
    if not labels.is_floating_point() or labels.ndim != 2 or labels.shape[1] != n:
        raise DataError(f"labels of shape {tuple(labels.shape)} for {n} names", where=where)
    if not bool(torch.isfinite(labels).all()):
        raise DataError("a label is not finite", where=where)
