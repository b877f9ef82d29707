"""Train the head alone, on features that its encoder gave before.

With ``tune: head`` the encoder gives the same features for the same view at every step and with every method
and seed: see :mod:`galshift.training.feature_store`.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from galshift.console import warn
from galshift.models.tuning import HEAD
from galshift.training.feature_store import FeatureStore, Views, encoder_key
from galshift.training.job import NetworkJob
from galshift.types import Output

MEMORY_BYTES = 2_000_000_000  # of features that one domain may take


class Probe(nn.Module):
    """The head of a network, on features that were computed before.

    Parameters
    ----------
    network : nn.Module
        Whose ``head`` is trained; the probe has a copy of it.
    views : int
        Number of stored views of each image, the plain one among them.
    encoder : str
        Key of the encoder, so that a saved state is not taken up with another one.
    other : tuple of int
        Side of the target's images that are stored at another size [pixel]; empty without.

    """

    takes_features = True

    def __init__(self, network: nn.Module, views: int, encoder: str, other: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.head = copy.deepcopy(network.head)
        self.feature_dim = network.feature_dim
        self.spec = {**network.spec, "features": [views, encoder, *other]}

    def forward(self, features: Tensor) -> Output:
        """Return the features (B, D) and their logits (B, K)."""
        return Output(features, self.head(features))


def plain_view(features: Tensor) -> Tensor:
    """Return the features of the images as they are; drawn views pass through."""
    return features[:, 0] if features.ndim == 3 else features


def on_fixed_features(
    job: NetworkJob,
    network: nn.Module,
    strong_views: int,
    store: FeatureStore | None,
    other_size: float = 0.0,
) -> tuple[NetworkJob, nn.Module]:
    """Return `job` and `network` with features in the place of images, where only the head is trained.

    Parameters
    ----------
    job : NetworkJob
    network : nn.Module
        To start from; its encoder is not changed.
    strong_views : int
        Strong views of each target image that the method needs at a step.
    store : FeatureStore or None
        Of the run; without it nothing is kept.
    other_size : float
        Share of the encoder's size at which the method wants the target's plain features too; 0: it does
        not.  They cost a pass over its images, and are the job's ``resized`` where they can be had.

    Returns
    -------
    tuple of NetworkJob and nn.Module
        Both as given where the encoder is trained too, fresh views are asked for, or features have no room.
    """
    if job.training.tune != HEAD or job.training.cached_views == 0 or store is None:
        return job, network
    sets = {"source": job.source, "valid": job.valid, "target": job.target, "labelled": job.labelled}
    sets = {name: images for name, images in sets.items() if images is not None}
    other = network.resized(other_size) if other_size and job.target is not None else None
    rows = 1 + (other is not None)
    plan = _room_for(job, network.feature_dim, max(map(len, sets.values())), strong_views, rows)
    if plan is None:
        return job, network
    featured: dict[str, Any] = {}
    for name, images in sets.items():
        own = Views(plan.plain if name != "valid" else 0, plan.strong if name == "target" else 0)
        values = store.features(job, network, images, name, own)
        featured[name] = replace(images, images=values, observe=None)
    draws = {
        "augment": plan.draw if plan.plain else None,
        "strong_augment": plan.draw_strong if plan.strong else None,
    }
    own = replace(job, **featured, **draws, stretch=plain_view)
    if other is None:
        return own, Probe(network, plan.stored, encoder_key(network))
    resized = store.features(job, other, job.target, "target", Views(0))[:, 0]
    sides = (other.spec["options"]["size"],)
    return replace(own, resized=resized), Probe(network, plan.stored, encoder_key(network), sides)


def _room_for(job: NetworkJob, feature_dim: int, largest: int, strong_views: int, rows: int) -> Views | None:
    """As many views as are wanted and fit in memory beside `rows` features of each image that are no views.

    None where there is no room for one of each kind.
    """
    kinds = (job.augment is not None) + (strong_views > 0)
    wanted = job.training.cached_views
    room = MEMORY_BYTES // (4 * feature_dim * max(largest, 1)) - rows
    number = min(wanted, room // kinds) if kinds else 0
    if room < 0 or (kinds and number < 1):
        warn(f"features of {largest} images do not fit in {MEMORY_BYTES / 1e9:g} GB: computed at every step")
        return None
    if kinds and number < wanted:
        warn(f"{number} instead of {wanted} views of each image are cached: more do not fit in memory")
    return Views(number if job.augment is not None else 0, number if strong_views else 0)


def without_other_size(job: NetworkJob, other_size: float) -> list[str]:
    """Say, and return as a note, that a `job` lacks the features at the other size that its method wants."""
    if not other_size or job.resized is not None:
        return []
    note = (
        "other_size changed nothing: the encoder's features at another input size cannot be had here (they "
        "need a pre-trained encoder that takes several sizes, and cached_views above 0)"
    )
    warn(note)
    return [note]


def with_head(network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of the whole `network` with the head that a probe learnt, its state being `state`."""
    return network.state_dict() | state
