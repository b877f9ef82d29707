"""The two tasks of the benchmark of unknown classes, made from nothing, one file per task and seed.

====================  ==================================================================================
lens                  source: mergers, spirals, ellipticals; in the target strong lenses besides
merger                source: spirals, ellipticals, edge-on discs; in the target mergers besides
====================  ==================================================================================

Galaxies stand at z = 0.5 in cutouts of 48 pixels of 0.2 arcsec, g, r and i: the source as LSST's tenth year
shows them, the target as its first, of other galaxies.  Each class of the source has 600 images to train on,
100 to validate and 200 to test; of each class, the unknown one too, the target has 400 to adapt to and 200
to test.  A quarter of the target is thus of the unknown class.  The lenses' Einstein radii are 0.8 to 2.1
arcsec under a seeing of 0.9 arcsec, their sources 1 to 5 % of the lens's light before magnification; a
network that is given the target's labels tells them apart with an AUROC of 0.98 (mergers: 1.00), so both are
there to be found.
"""

from __future__ import annotations

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

KNOWN = {"lens": ("merger", "spiral", "elliptical"), "merger": ("spiral", "elliptical", "edge-on")}
PARTS = {
    "source": {"source": 600, "valid": 100, "source_test": 200},
    "target": {"target": 400, "target_test": 200},
}
SURVEYS = {"source": "lsst-y10", "target": "lsst-y1"}
SIZE, SCALE, REDSHIFT = 48, 0.2, 0.5


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
            for counts in PARTS.values()
            for part in counts
        }
        preprocessing = Preprocessing.model_validate_json(str(stored["preprocessing"]))
    sky = [torch.tensor(training_sky_sigma(parts[part][0].numpy())) for part in ("source", "target")]
    return Task(
        **parts, classes=KNOWN[name], preprocessing=preprocessing, noise_scale=torch.maximum(sky[0], sky[1])
    )


def _make(name: str, seed: int, work: Path) -> dict[str, np.ndarray]:
    """Put the galaxies of one task together."""
    classes = {"source": KNOWN[name], "target": (*KNOWN[name], name)}
    seen = {
        domain: [_observed(kind, domain, seed, work) for kind in kinds] for domain, kinds in classes.items()
    }
    train = _join([cutouts.take(np.arange(PARTS["source"]["source"])) for cutouts in seen["source"]])
    config = PreprocessConfig(size=SIZE, pixel_scale_arcsec=SCALE)
    preprocessing = fit_preprocessing(InMemory(train), None, config, seed)
    made: dict[str, np.ndarray] = {"preprocessing": np.array(preprocessing.model_dump_json())}
    for domain, counts in PARTS.items():
        linear, first = [preprocessing.linear(cutouts) for cutouts in seen[domain]], 0
        for part, n in counts.items():
            labels = np.repeat([k if k < len(KNOWN[name]) else -1 for k in range(len(linear))], n)
            order = np.random.default_rng(seed).permutation(len(labels))
            made[part] = np.concatenate([images[first : first + n] for images in linear])[order]
            made[f"{part}_labels"] = labels[order]
            first += n
    return made


def _join(parts: list[Cutouts]) -> Cutouts:
    """Return several kinds as one set; the preprocessing asks only for pixels, bands and labels."""
    return parts[0].with_(
        images=np.concatenate([part.images for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        labels=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
    )


def _observed(kind: str, domain: str, seed: int, work: Path) -> Cutouts:
    """Return one kind as the domain's survey shows it: other galaxies in either domain and every seed."""
    number, n = 2 * seed + (domain == "target") + 1000, sum(PARTS[domain].values())
    path = work / f"{kind}-{domain}-{seed}.npy"
    options = {"classes": (kind,), "seed": number, "redshift": REDSHIFT, "pixel_scale_arcsec": SCALE / 2}
    made = simulate_all(1 if path.is_file() else n, **options)
    ids = np.array([f"{kind}-{number}-{k}" for k in range(n)])
    if not path.is_file():
        made = made.with_(ids=ids, groups=ids, table=None)
        seen = observe(made, surveys.load(SURVEYS[domain]), seed=2 * seed + (domain == "target"))
        np.save(path, seen.images)
    images = np.load(path)
    return made.with_(
        images=images,
        pixel_scale=SCALE,
        survey=SURVEYS[domain],
        ids=ids,
        groups=ids,
        labels=np.zeros(n, np.int64),
        classes=(kind,),
        table=None,
    )
