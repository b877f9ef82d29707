"""The tasks of the benchmark of unknown classes, made from nothing, one file per task and seed.

====================  ==================================================================================
lens                  source: mergers, spirals, ellipticals; in the target strong lenses besides
merger                source: spirals, ellipticals, edge-on discs; in the target mergers besides
universal             source: nine classes of Galaxy Zoo's kind; in the target strong lenses besides
====================  ==================================================================================

Galaxies stand at z = 0.5 in cutouts of 48 pixels of 0.2 arcsec, g, r and i: the source as LSST's tenth year
shows them, the target as its first, of other galaxies.  Each class of the source has 600 images to train on,
100 to validate and 200 to test; of each class, the unknown one too, the target has 400 to adapt to and 200
to test.  A quarter of the target is thus of the unknown class.  The lenses' Einstein radii are 0.8 to 2.1
arcsec under a seeing of 0.9 arcsec, their sources 1 to 5 % of the lens's light before magnification; a
network that is given the target's labels tells them apart with an AUROC of 0.98 (mergers: 1.00), so both are
there to be found.

The universal task is the kind that DeepAstroUDA is shown on (arXiv:2302.02005): ten classes, of which one is
unknown, and other shares of them in the target.  Its galaxies stand at z = 0.2 in pixels of 0.4 arcsec; each
class of the source has 200 images to train on, 40 to validate and 40 to test, and the target 80, 160 or 240
of a class to adapt to, 320 of the unknown one, which is 2 images in 11.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from galshift import surveys
from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.preprocess import PreprocessConfig, Preprocessing, fit_preprocessing, training_sky_sigma
from galshift.mocks.observe import observe
from galshift.provenance import atomic_path
from galshift.simulate.generate import simulate_all
from tests.benchmarks.transfer_tasks import Task

NINE = (
    "round",
    "cigar",
    "spiral-tight",
    "spiral-loose",
    "barred",
    "edge-on-bulge",
    "edge-on-no-bulge",
    "merger",
    "disturbed",
)
PARTS = {
    "source": {"source": 600, "valid": 100, "source_test": 200},
    "target": {"target": 400, "target_test": 200},
}
SURVEYS = {"source": "lsst-y10", "target": "lsst-y1"}
SIZE = 48


@dataclass(frozen=True)
class Layout:
    """What a task is made of: images of each class by part, and how often each class is in the target."""

    known: tuple[str, ...]
    unknown: str
    parts: dict[str, dict[str, int]] = field(default_factory=lambda: PARTS)
    target_shares: tuple[float, ...] = ()  # of each known class, then the unknown one; all 1 without
    scale: float = 0.2
    redshift: float = 0.5
    stem: str = ""  # of the files of its galaxies

    def counts(self, domain: str, number: int) -> dict[str, int]:
        """Return how many images of a class there are in each part of `domain`."""
        share = self.target_shares[number] if self.target_shares and domain == "target" else 1.0
        return {part: round(share * n) for part, n in self.parts[domain].items()}


LAYOUTS = {
    "lens": Layout(("merger", "spiral", "elliptical"), "lens"),
    "merger": Layout(("spiral", "elliptical", "edge-on"), "merger"),
    "universal": Layout(
        NINE,
        "lens",
        parts={
            "source": {"source": 200, "valid": 40, "source_test": 40},
            "target": {"target": 160, "target_test": 60},
        },
        target_shares=(0.5, 1.0, 1.5, 1.0, 0.5, 1.5, 1.0, 1.5, 0.5, 2.0),
        scale=0.4,
        redshift=0.2,
        stem="universal-",
    ),
}
KNOWN = {name: layout.known for name, layout in LAYOUTS.items()}


def load_task(name: str, seed: int, work: Path) -> Task:
    """Return a task, made on the first call and kept in `work`; label -1 is the unknown class."""
    path = work / f"{name}-{seed}.npz"
    if not path.is_file():
        made = _make(name, seed, work)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **made)
    with np.load(path) as stored:
        parts = {
            part: (torch.from_numpy(stored[part]), torch.from_numpy(stored[f"{part}_labels"]))
            for parts in LAYOUTS[name].parts.values()
            for part in parts
        }
        preprocessing = Preprocessing.model_validate_json(str(stored["preprocessing"]))
    sky = [torch.tensor(training_sky_sigma(parts[part][0].numpy())) for part in ("source", "target")]
    return Task(
        **parts, classes=KNOWN[name], preprocessing=preprocessing, noise_scale=torch.maximum(sky[0], sky[1])
    )


def _make(name: str, seed: int, work: Path) -> dict[str, np.ndarray]:
    """Put the galaxies of one task together."""
    layout = LAYOUTS[name]
    classes = {"source": layout.known, "target": (*layout.known, layout.unknown)}
    seen = {
        domain: [_observed(layout, kind, domain, number, seed, work) for number, kind in enumerate(kinds)]
        for domain, kinds in classes.items()
    }
    first = layout.parts["source"]["source"]
    train = _join([cutouts.take(np.arange(first)) for cutouts in seen["source"]])
    config = PreprocessConfig(size=SIZE, pixel_scale_arcsec=layout.scale)
    preprocessing = fit_preprocessing(InMemory(train), None, config, seed)
    made: dict[str, np.ndarray] = {"preprocessing": np.array(preprocessing.model_dump_json())}
    for domain, parts in layout.parts.items():
        linear = [preprocessing.linear(cutouts) for cutouts in seen[domain]]
        first = [0] * len(linear)
        for part in parts:
            n = [layout.counts(domain, number)[part] for number in range(len(linear))]
            labels = np.repeat([k if k < len(layout.known) else -1 for k in range(len(linear))], n)
            order = np.random.default_rng(seed).permutation(len(labels))
            chosen = [images[begin : begin + m] for images, begin, m in zip(linear, first, n, strict=True)]
            made[part] = np.concatenate(chosen)[order]
            made[f"{part}_labels"] = labels[order]
            first = [begin + m for begin, m in zip(first, n, strict=True)]
    return made


def _join(parts: list[Cutouts]) -> Cutouts:
    """Return several kinds as one set; the preprocessing asks only for pixels, bands and labels."""
    return parts[0].with_(
        images=np.concatenate([part.images for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        labels=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
    )


def _observed(layout: Layout, kind: str, domain: str, place: int, seed: int, work: Path) -> Cutouts:
    """Return one kind as the domain's survey shows it: other galaxies in either domain and every seed."""
    number, n = 2 * seed + (domain == "target") + 1000, sum(layout.counts(domain, place).values())
    path = work / f"{layout.stem}{kind}-{domain}-{seed}.npy"
    options = {"redshift": layout.redshift, "pixel_scale_arcsec": layout.scale / 2}
    made = simulate_all(1 if path.is_file() else n, classes=(kind,), seed=number, **options)
    ids = np.array([f"{kind}-{number}-{k}" for k in range(n)])
    if not path.is_file():
        made = made.with_(ids=ids, groups=ids, table=None)
        seen = observe(made, surveys.load(SURVEYS[domain]), seed=2 * seed + (domain == "target"))
        np.save(path, seen.images)
    images = np.load(path)
    return made.with_(
        images=images,
        pixel_scale=layout.scale,
        survey=SURVEYS[domain],
        ids=ids,
        groups=ids,
        labels=np.zeros(n, np.int64),
        classes=(kind,),
        table=None,
    )
