"""Features of the training images by an encoder that is not trained, computed once per image and view.

Each training image is shown to the encoder once as it is and ``cached_views`` times augmented; a training
draws one of the augmented views of an image at every step.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from galshift.console import progress, say
from galshift.models.precision import exact_float32
from galshift.provenance import canonical_json
from galshift.streams import torch_stream
from galshift.training import feature_cache
from galshift.training.device import DeviceChoice, choose_device
from galshift.training.job import Augment, NetworkJob
from galshift.training.memory import held_memory
from galshift.training.sets import TrainingSet
from galshift.training.threads import cpu_threads, suited_threads

VERSION = 1  # raised when the numbers change
_BATCH = 64


@dataclass
class FeatureStore:
    """Features of a run's training images, in memory and in the user's cache folder.

    Attributes
    ----------
    seed : int
        Of the augmented views; one for all methods and seeds of a run.
    """

    seed: int
    _held: dict[str, Tensor] = field(default_factory=dict)
    _pixels: dict[int, tuple[TrainingSet, str]] = field(default_factory=dict)

    def features(
        self, job: NetworkJob, network: nn.Module, images: TrainingSet, name: str, plan: Views
    ) -> Tensor:
        """Return the (N, 1 + views, D) features of `images`, the plain ones first.

        Parameters
        ----------
        job : NetworkJob
        network : nn.Module
        images : TrainingSet
        name : str
            What the images are: ``source``, ``valid``, ``target`` or ``labelled``.
        plan : Views
            Which views.
        """
        key = self._key(job, network, images, name, plan)
        if key in self._held:
            return self._held[key]
        stored = None if key.startswith("?") else feature_cache.load(key)
        if stored is None:
            stored = _computed(job, network, images, name, plan, self.seed)
            if not key.startswith("?"):
                feature_cache.save(key, stored)
        else:
            say(f"features of {len(images)} {name} images: as computed before")
        self._held[key] = stored
        return stored

    def _key(self, job: NetworkJob, network: nn.Module, images: TrainingSet, name: str, plan: Views) -> str:
        """Everything that the features depend on; begins with ``?`` where not all of it can be named."""
        augments = [getattr(augment, "key", None) for augment, _ in plan.parts(job)]
        facts = {
            "version": [VERSION, torch.__version__],
            "encoder": encoder_key(network),
            "preprocessing": job.preprocessing.model_dump(mode="json"),
            "views": [plan.plain, plan.strong, augments],
            "seed": self.seed,
            "device": job.choice.device.type,
            "threads": suited_threads(network, job.training.threads),
            "name": name,
        }
        named = isinstance(images.images, Tensor) and images.observe is None and None not in augments
        facts["pixels"] = self._content(images) if named else id(images)
        key = hashlib.sha256(canonical_json(facts).encode()).hexdigest()
        return key if named else f"?{key}"

    def _content(self, images: TrainingSet) -> str:
        if id(images) not in self._pixels:
            digest = hashlib.sha256(repr(tuple(images.images.shape)).encode())
            digest.update(memoryview(images.images.contiguous().numpy()).cast("B"))
            self._pixels[id(images)] = (images, digest.hexdigest())  # held, so that the id stays its own
        return self._pixels[id(images)][1]


@dataclass(frozen=True)
class Views:
    """How many views of an image are stored beside the plain one.

    Attributes
    ----------
    plain : int
        With the job's augmentation.
    strong : int
        With its strong one, for methods that compare views.
    """

    plain: int
    strong: int = 0

    @property
    def stored(self) -> int:
        """Rows of features of each image."""
        return 1 + self.plain + self.strong

    def parts(self, job: NetworkJob) -> list[tuple[Augment, int]]:
        """Return the augmentations with the number of views of each."""
        strong = job.strong_augment or job.augment
        return [(job.augment, self.plain)] * (self.plain > 0) + [(strong, self.strong)] * (self.strong > 0)

    def draw(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """Return one augmented view (B, D) of each image of (B, 1 + views, D)."""
        return _drawn(features, 1, 1 + self.plain, generator)

    def draw_strong(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """Return one strongly augmented view (B, D) of each image."""
        return _drawn(features, 1 + self.plain, self.stored, generator)


def encoder_key(network: nn.Module) -> str:
    """Return a name for everything of `network` but its head: its weights and how it is built."""
    built = {key: value for key, value in network.spec.items() if key != "n_classes"}
    digest = hashlib.sha256(canonical_json(built).encode())
    for name, value in sorted(network.state_dict().items()):
        if not name.startswith("head."):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()


def _computed(
    job: NetworkJob, network: nn.Module, images: TrainingSet, name: str, plan: Views, seed: int
) -> Tensor:
    """Run the encoder over all images and views."""
    choice = job.choice if job.choice.precision == "float32" else choose_device(job.device, "float32")
    last = choice.device.type == "cuda" or getattr(network, "channels_last_on_cpu", False)
    layout = torch.channels_last if last else torch.contiguous_format
    encoder = copy.deepcopy(network).to(choice.device, memory_format=layout).eval()
    found = torch.empty((len(images), plan.stored, network.feature_dim), dtype=torch.float32)
    threads = suited_threads(network, job.training.threads)
    label = f"features of {name}, {plan.stored} views"
    with (
        held_memory(),
        cpu_threads(threads),
        exact_float32(choice.device),
        progress(label, found.shape[0]) as bar,
    ):
        for rows in images.chunks(_BATCH):
            for view, shown in enumerate(_shown(job, images, rows, name, plan, seed, choice)):
                with torch.inference_mode():
                    found[rows, view] = encoder(shown.contiguous(memory_format=layout)).features.float().cpu()
            bar.advance(len(rows))
    return found


def _shown(
    job: NetworkJob,
    images: TrainingSet,
    rows: Tensor,
    name: str,
    plan: Views,
    seed: int,
    choice: DeviceChoice,
) -> Iterator[Tensor]:
    """Yield the network's input for each view of some images."""
    linear = images.take(rows).to(choice.device)
    yield job.stretch(linear)
    number = 0
    for augment, count in plan.parts(job):
        for _ in range(count):
            number += 1
            if images.observe is not None:
                linear = images.take(rows, torch.full((len(rows),), number - 1)).to(choice.device)
            stream = torch_stream(seed, "features", name, number, int(rows[0]), device=str(choice.device))
            yield job.stretch(augment(linear, stream))


def _drawn(features: Tensor, first: int, end: int, generator: torch.Generator) -> Tensor:
    chosen = torch.randint(first, end, (len(features),), generator=generator, device=generator.device)
    return features[torch.arange(len(features), device=features.device), chosen.to(features.device)]
