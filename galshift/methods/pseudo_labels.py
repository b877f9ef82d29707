"""Class-wise pseudo-labels on fixed features, believed only where heads, views and input sizes agree.

An input size is one more look at each target image: the encoder is given the same images, unaugmented, at
another size.  What its features are like changes with the size (a mean over fewer pixels, other scales of the
galaxy in the same filters), so that no head could read them as they come: each is first given the mean and
the variance over all target images that it has at the encoder's own size.  As both are of the same images,
that assumes nothing of their classes.  The other size says which labels are believed and teaches nothing.
It costs one more pass over the target's images (three quarters of the side: half of the pixels), whatever the
number of views and seeds.  It is off by default: on 31 pairs (``tests/benchmarks/pairs/sizes.py``) fewer
labels were accepted, of 0.36 for 0.44 of the images, and more of them right, 0.940 for 0.925, as with a lower
``last`` too; macro-F1 changed by no more than +0.004 ± 0.004.

References
----------
Zou et al. 2018 (ECCV, arXiv:1810.07911), section 4: of each class the same share of its own images is taken
as labelled, the surest first, and the share grows.  Agreement of independent heads is French, Mackiewicz &
Fisher 2018 (ICLR, arXiv:1706.05208) reduced to its test: what changes with seed, view or size is not
believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from galshift.methods import METHODS
from galshift.methods._base import MethodConfig
from galshift.methods._feature_map import FeatureMap, FixedFeatures, scaling
from galshift.types import Batch

KEPT, OUT_OF = 7, 10  # of ten source images each head of the committee learns seven


class Config(MethodConfig):
    """Options of `pseudo-labels`."""

    newer: ClassVar[Mapping[str, Any]] = {**MethodConfig.newer, "other_size": 0.0}

    weight: float = Field(1.0, ge=0, description="Of the pseudo-labels beside the source's labels.")
    heads: int = Field(
        3, ge=2, le=20, description="Heads that must agree, each taught by seven tenths of the source."
    )
    first: float = Field(0.2, gt=0, le=1, description="Share of each class that is believed at first.")
    last: float = Field(0.8, gt=0, le=1, description="Share of each class that is believed at the end.")
    standardise: bool = Field(True, description="Each domain's features by its own mean and variance first.")
    other_size: float = Field(
        0.0,
        ge=0,
        le=2,
        description="Share of the encoder's input size at which the target is seen too, such as 0.75, to the "
        "nearest size that suits the network; labels must agree there as well. 0 or 1: at its own alone.",
    )


class Beliefs(nn.Module):
    """What the committee last said of every target image: a class or -1, and how sure it was."""

    def __init__(self, n_target: int) -> None:
        super().__init__()
        self.register_buffer("labels", torch.full((n_target,), -1, dtype=torch.int64))
        self.register_buffer("sure", torch.zeros(n_target))

    @torch.no_grad()
    def update(self, index: Tensor, answers: Tensor) -> None:
        """Remember the `answers` (voters, B, K), probabilities, to the images `index` (B,)."""
        said = answers.argmax(dim=2)
        agreed = (said == said[0]).all(dim=0)
        self.labels[index] = torch.where(agreed, said[0], -1)
        mean = answers.mean(dim=0).gather(1, said[0][:, None]).squeeze(1)
        # What differs by rounding alone is equally sure, in whatever order a batch comes.
        self.sure[index] = mean.to(self.sure.dtype).round(decimals=6)

    def accepted(self, index: Tensor, n_classes: int, share: float) -> Tensor:
        """Return the labels (B,) of `index`: -1 but for the surest `share` of those of each class."""
        found = torch.full_like(index, -1)
        for k in range(n_classes):
            own = self.sure[self.labels == k]
            if len(own):
                limit = own.sort(descending=True).values[max(round(share * len(own)), 1) - 1]
                found[(self.labels[index] == k) & (self.sure[index] >= limit)] = k
        return found


@METHODS.register("pseudo-labels")
class PseudoLabels(FixedFeatures):
    """Train the head also on target images on whose class heads, views and sizes agree; fixed features."""

    Config = Config
    reference = "Zou et al. 2018, arXiv:1810.07911, section 4"
    views = 2
    again: Tensor | None = None

    @property
    def other_size(self) -> float:
        """Share of the encoder's input size at which the target is seen too; 0 where it is not."""
        return 0.0 if self.config.other_size == 1 else self.config.other_size

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the committee, its maps and what it said; arguments as for `Method.modules`."""
        heads = nn.ModuleList(nn.Linear(feature_dim, n_classes) for _ in range(self.config.heads))
        return nn.ModuleDict(
            {"committee": heads, "maps": FeatureMap(feature_dim), "beliefs": Beliefs(n_target)}
        )

    def maps(self, source: Tensor, target: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the scaling of each domain, or the source's for both without ``standardise``."""
        own, theirs = scaling(source), scaling(target)
        # Of the target at the other size, as if at the encoder's own.
        self.again = None if self.resized is None else rescaled(self.resized, theirs).float()
        return own, theirs if self.config.standardise else own

    def start(self, model: nn.Module, source: Iterable[Tensor], target: Iterable[Tensor]) -> None:
        """Set the maps of the network, and of the committee."""
        super().start(model, source, target)
        self.nets["maps"].load_state_dict(model.head[0].state_dict())

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``committee`` and ``pseudo_label``; arguments as for `Method.losses`."""
        c, maps, beliefs = self.config, self.nets["maps"], self.nets["beliefs"]
        seen = maps.of("source", source.features)
        looks = [maps.of("target", output.features) for output in (target.output, *target.views)]
        if self.again is not None:
            looks.append(maps.of("target", self.again[target.index]))
        with torch.no_grad():
            answers = [head(look).softmax(dim=1) for head in self.nets["committee"] for look in looks]
            beliefs.update(target.index, torch.stack(answers))
        k = target.logits.shape[1]
        labels = beliefs.accepted(target.index, k, c.first + (c.last - c.first) * progress)
        self.observed = {
            "agreed": (beliefs.labels >= 0).float().mean(),
            "pseudo_labelled": (labels >= 0).float().mean(),
        }
        taught = [
            _bagged(head(seen), source, number) + c.weight * by_class(head(looks[0]), labels)
            for number, head in enumerate(self.nets["committee"])
        ]
        return {
            "committee": torch.stack(taught).mean(),
            "pseudo_label": c.weight * by_class(target.logits, labels),
        }


def rescaled(features: Tensor, wanted: tuple[Tensor, Tensor]) -> Tensor:
    """Return features (M, D) moved and scaled, each by itself, until their `scaling` is the `wanted` one.

    The result is float64.  What hardly varies is not blown up; see `scaling`.
    """
    features = features.double()
    weight, bias = scaling(features)
    theirs, moved = wanted
    return (features * weight.diagonal() + bias - moved) / theirs.diagonal()


def by_class(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the labelled rows, the mean over classes of the mean over each class.

    Parameters
    ----------
    logits : Tensor
        (B, K).
    labels : Tensor
        (B,), -1 for rows that do not count.

    Returns
    -------
    Tensor
        Scalar; 0 where no row is labelled, NaN where any logit is not finite.
    """
    known = labels >= 0
    each = cross_entropy(logits, labels.clamp(min=0), reduction="none")
    counts = torch.bincount(labels[known], minlength=logits.shape[1])
    share = 1 / (counts.clamp(min=1) * (counts > 0).sum().clamp(min=1))
    return (each * torch.where(known, share[labels.clamp(min=0)], 0.0)).sum()


def _bagged(logits: Tensor, source: Batch, number: int) -> Tensor:
    """Cross-entropy of the source images that head `number` learns: seven of ten, others for every head."""
    mixed = (source.index * 2654435761 + (number + 1) * 40503) % 4294967296
    own = (mixed // 65536) % OUT_OF < KEPT
    each = cross_entropy(logits, source.labels, reduction="none")
    return (each * own).sum() / own.sum().clamp(min=1)
