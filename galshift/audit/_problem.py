"""What every search is given, and what every search returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from galshift.audit.injector import Injector
from galshift.audit.prober import Prober


@dataclass(frozen=True)
class Hit:
    """One struck pixel: place, variant index, and the values written where they are not the variant's own."""

    row: int
    column: int
    variant: int
    value: tuple[float, ...] = ()


@dataclass(frozen=True)
class Goal:
    """What counts as fooled: any other class than `label`, or `target` where one is given."""

    label: int
    target: int | None = None

    def reached(self, logits: Tensor) -> Tensor:
        """Return (B,) bool, whether each query is fooled."""
        chosen = logits.argmax(dim=1)
        return chosen != self.label if self.target is None else chosen == self.target

    def margin(self, logits: Tensor) -> Tensor:
        """Return (B,) how far each query is from being fooled, negative once it is [logit].

        Untargeted: the true class's logit less the best other; targeted: the best other less the target's.
        """
        wanted = self.label if self.target is None else self.target
        own = logits[:, wanted]
        rest = logits.clone()
        rest[:, wanted] = -torch.inf
        best = rest.amax(dim=1)
        return own - best if self.target is None else best - own


@dataclass
class Problem:
    """One image to attack."""

    prober: Prober
    injector: Injector
    goal: Goal
    linear: Tensor
    pixels: int = 1


@dataclass
class Found:
    """The result of a search on one image.

    Attributes
    ----------
    hits : tuple of Hit
        The strongest change found: that with the smallest margin.
    first : Hit or None
        The first change in the order of the search that fooled the model.
    stretched, linear : Tensor
        (C, H, W) image after `hits`.
    queries : int
        Questions asked of the model.
    queries_to_flip : int or None
        Questions until `first`; None where the search failed (it is then censored at `queries`).
    complete : bool
        True where every place and variant was tried, so that a failure is a certificate.
    flip_share : float
        Probability that one event at a random place fools the model; NaN where the search is not complete.
    variant_flips : tuple of int
        How many places fool the model, by variant; empty where the search is not complete.
    vulnerability : Tensor or None
        (H, W) largest drop of the true class's probability over the variants, by place.
    flips_local : bool or None
        For a stretch that depends on the whole image: whether the struck pixels alone fool the model, the
        rest of the image being stretched as before.
    """

    hits: tuple[Hit, ...]
    first: Hit | None
    stretched: Tensor
    linear: Tensor
    queries: int
    queries_to_flip: int | None
    complete: bool = False
    flip_share: float = float("nan")
    variant_flips: tuple[int, ...] = ()
    vulnerability: Tensor | None = None
    flips_local: bool | None = None
