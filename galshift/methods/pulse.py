"""PULSE: an unknown class is what the target has and the source lacks, by positive-unlabelled learning.

A head learns to tell target from source.  Of equally many of both it gives ``s = ln(p_t / p_s)``, and with a
share pi of known classes, ``p_t = pi p_s + (1 - pi) p_u``: the odds are highest for the unknown class alone.
This needs known classes that look the same in both domains: bring the noise of one up to the other's first
(``galshift.data.match_noise``), or the head finds the survey instead.

References
----------
Garg, Balakrishnan & Lipton 2022 (NeurIPS, arXiv:2207.13048), the reduction and the reweighting of source
classes; Garg et al. 2021 (NeurIPS, arXiv:2111.00980), algorithm 1, for the share of known classes; Elkan &
Noto 2008 (KDD) for the posterior.  Unlike the paper's, head and classifier share encoder and training.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._memory import Memory
from galshift.types import Batch, Output

_SOURCE_ROWS = 2048  # the latest source images that the share is estimated from
_FOLD = 4  # one image in so many is kept from the head: of images that it learned by heart none looks known
_CONFIDENCE, _SLACK = 0.1, 0.01  # delta and gamma of the estimate
_LEAST_SHARE = 0.01
#: Share of known images in the target below which the domains differ in more than a class.
LITTLE_KNOWN = 0.5
#: Target images from which a head has learned enough for its share of known ones to be believed.
TAUGHT = 6400


def known_share(source: Tensor, target: Tensor) -> float:
    """Return the share of the target that is like the source, by best-bin estimation.

    Among the images most like the source, as many of the target as of the source would be found if all of the
    target were known; the bin is chosen where the ratio's upper confidence bound is least.

    Parameters
    ----------
    source, target : Tensor
        (n,) and (m,) values, low where an image looks like the source.

    Returns
    -------
    float
        In [0, 1]; 0 without images of either.
    """
    if not len(source) or not len(target):
        return 0.0
    source = source.sort().values
    below_s = torch.arange(1, len(source) + 1, device=source.device) / len(source)
    below_t = torch.searchsorted(target.sort().values, source, right=True) / len(target)
    noise = sum(math.sqrt(math.log(4 / _CONFIDENCE) / (2 * len(x))) for x in (source, target))
    best = ((below_t + (1 + _SLACK) * noise) / below_s).argmin()
    return min(1.0, float(below_t[best] / below_s[best]))


def class_shares(source: Tensor, labels: Tensor, right: Tensor, target: Tensor, classes: Tensor) -> Tensor:
    """Return the share of the target that each of the source's classes has.

    The share of what is known is estimated within each predicted class, where it does not matter that a class
    may be more common in one domain, and the predictions' recall on the source is allowed for.

    Parameters
    ----------
    source, labels, right : Tensor
        (n,) values as for `known_share`, classes in [0, K), and whether each was predicted.
    target, classes : Tensor
        (m,) values, and (m, K) bool, which class was predicted.

    Returns
    -------
    Tensor
        (K,), in [0, 1]; their sum may exceed 1 by error.
    """
    shares = []
    for k in range(classes.shape[1]):
        own, seen = labels == k, classes[:, k]
        recall = float(right[own].double().mean()) if bool(own.any()) else 0.0
        inside = known_share(source[own & right], target[seen])
        shares.append(inside * float(seen.double().mean()) / recall if recall else 0.0)
    return torch.tensor(shares, device=source.device).clamp(max=1.0)


def domain_loss(source: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy of source (0) against target (1), both domains of equal weight.

    Parameters
    ----------
    source, target : Tensor
        (n,) and (m,) logits of "from the target".
    weights : Tensor
        (n,) of mean about 1.

    Returns
    -------
    Tensor
        Scalar >= 0; a domain without images adds 0.
    """
    return (weights * softplus(source)).sum() / max(len(source), 1) + softplus(-target).sum() / max(
        len(target), 1
    )


def held_back(index: Tensor) -> Tensor:
    """Return which images (B,) bool the head never learns from, by their place in the training set."""
    # Knuth's multiplicative hash: classes may follow one another in turn.
    return (index * 2654435761 % 2**32) >= 2**32 // _FOLD * (_FOLD - 1)


class Discovery(nn.Module):
    """The head, what it last said of the images, and what follows: the share of known, and their mix.

    Parameters
    ----------
    feature_dim, n_classes, n_target : int
        As for `Method.modules`.
    hidden : int
        Width of the head's inner layer.
    reweight : bool
        Whether the mix is estimated; else it stays the source's.
    """

    def __init__(
        self, feature_dim: int, n_classes: int, n_target: int, *, hidden: int, reweight: bool
    ) -> None:
        super().__init__()
        self.reweight = reweight
        self.head = nn.Sequential(nn.Linear(feature_dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.target = Memory(n_target, 1 + n_classes)
        self.source = Memory(_SOURCE_ROWS, 3)
        self.register_buffer("next", torch.zeros((), dtype=torch.int64))
        self.register_buffer("since", torch.zeros((), dtype=torch.int64))
        self.register_buffer("taught", torch.zeros((), dtype=torch.int64))
        self.register_buffer("share", torch.ones(()))
        self.register_buffer("mix", torch.ones(n_classes))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B,) logits of "from the target"."""
        return self.head(features).squeeze(1)

    def heeded(self, features: Tensor) -> Tensor:
        """Return the features, cut off from the encoder where hardly any of the target looks known.

        The head then tells the surveys apart, and an encoder that helped it would tear known classes apart.
        To a head that has just begun everything looks known, so that it is not believed before `TAUGHT`.
        """
        believed = (self.taught >= TAUGHT) & (self.share >= LITTLE_KNOWN)
        return torch.where(believed, features, features.detach())

    @torch.no_grad()
    def remember(self, source: Batch, target: Batch, said: tuple[Tensor, Tensor]) -> None:
        """Keep what was said of images held back; once per pass over the target, estimate anew."""
        mine, theirs = held_back(source.index), held_back(target.index)
        rows = (self.next + torch.arange(int(mine.sum()), device=self.next.device)) % _SOURCE_ROWS
        self.next.copy_((self.next + len(rows)) % _SOURCE_ROWS)
        right = source.logits.argmax(dim=1) == source.labels
        self.source.remember(rows, torch.stack([said[0], source.labels, right], dim=1)[mine])
        classes = nn.functional.one_hot(target.logits.argmax(dim=1), target.logits.shape[1])
        values = torch.cat([said[1][:, None], classes.to(said[1])], dim=1)
        self.target.remember(target.index[theirs], values[theirs])
        self.since += len(target.index)
        self.taught += len(target.index)
        if int(self.since) >= len(self.target.rows):
            self.since.zero_()
            self.estimate()

    @torch.no_grad()
    def estimate(self) -> None:
        """Set the share of known classes, and the weights that give the source their mix in the target."""
        source, target = self.source.rows[self.source.seen], self.target.rows[self.target.seen]
        values, labels = source[:, 0], source[:, 1].long()
        if not self.reweight:
            self.share.fill_(max(_LEAST_SHARE, known_share(values, target[:, 0])))
            return
        if not len(source) or not len(target):
            return
        shares = class_shares(values, labels, source[:, 2] > 0, target[:, 0], target[:, 1:] > 0)
        self.share.fill_(float(shares.sum().clamp(_LEAST_SHARE, 1.0)))
        prior = torch.bincount(labels, minlength=len(self.mix)).to(shares) / len(labels)
        weights = (shares / shares.sum().clamp_min(1e-12) / prior.clamp_min(1e-12)).clamp(0.05, 20.0)
        self.mix.copy_(torch.where(prior > 0, weights, 1.0))


class Config(MethodConfig):
    """Options of `pulse`.

    Attributes
    ----------
    weight : float
        Multiplies the domain loss.
    hidden : int
        Width of the head's inner layer.
    reweight : bool
        Give the source's classes the mix that the known ones are estimated to have in the target, so that a
        class that is merely more common there is not taken for an unknown one.  Without it, the known classes
        are taken to keep their mix.  The estimate is by class, so it asks for many images: with some hundred
        a class its errors cost more than an even mix does.
    """

    weight: float = Field(3.0, ge=0)
    hidden: int = Field(32, ge=1)
    reweight: bool = False


@METHODS.register("pulse")
class Pulse(Method):
    """Find classes that only the target has; does not align the domains."""

    Config = Config
    reference = "Garg, Balakrishnan & Lipton 2022, arXiv:2207.13048"
    scoring = ("discovery",)
    matched = True
    version = 2

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the head with its memories; arguments as for `Method.modules`."""
        options = {"hidden": self.config.hidden, "reweight": self.config.reweight}
        return nn.ModuleDict({"discovery": Discovery(feature_dim, n_classes, n_target, **options)})

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``discovery``; arguments as for `Method.losses`."""
        nets = self.nets["discovery"]
        said = nets(nets.heeded(source.features)), nets(nets.heeded(target.features))
        learned = ~held_back(source.index), ~held_back(target.index)
        weights = nets.mix.to(said[0])[source.labels]
        loss = domain_loss(said[0][learned[0]], said[1][learned[1]], weights[learned[0]])
        nets.remember(source, target, said)
        self.observed = {"known_share": nets.share.clone()}
        return {"discovery": self.config.weight * loss}

    def unknown_score(self, output: Output) -> Tensor:
        """Return a score above 0.5 where an unknown class is likelier than the known ones.

        The posterior ``1 - pi exp(-s)`` is 1/2 at ``s = ln(2 pi)``; the score is a logistic function about
        that place, which, unlike the posterior, tells all images apart.  Arguments as for
        `Method.unknown_score`.
        """
        nets = self.nets["discovery"]
        return torch.sigmoid(nets(output.features) - torch.log(2 * nets.share))
