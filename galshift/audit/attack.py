"""Attack the images that a model classifies right, one row an image, and say what could not be broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from galshift.audit import evolution, exhaustive, gradient
from galshift.audit._problem import Found, Goal, Hit, Problem
from galshift.audit.config import AttackConfig
from galshift.audit.faults._base import Fault, Scene, Variant
from galshift.audit.injector import Injector
from galshift.audit.prober import Prober


class Stack(Protocol):
    """Images that need not be in memory together."""

    shape: Sequence[int]

    def __getitem__(self, i: int) -> Tensor:
        """Return image `i` (C, S, S)."""
        ...


@dataclass(frozen=True)
class Images:
    """The images to attack.

    Attributes
    ----------
    linear : Tensor or Stack
        (N, C, S, S) in physical units; read one by one, in order.
    labels : ndarray
        (N,) class indices.
    ids : sequence of str
    classes, bands : sequence of str
    """

    linear: Tensor | Stack
    labels: np.ndarray
    ids: Sequence[str]
    classes: Sequence[str]
    bands: Sequence[str]


@dataclass(frozen=True)
class Row:
    """One image's outcome: JSON-able ``values`` and the vulnerability map (S, S), if any."""

    values: dict[str, Any]
    vulnerability: np.ndarray | None = None


@dataclass(frozen=True)
class Setting:
    """The model, its stretch and the fault: what stays the same for all images."""

    model: nn.Module
    stretch: Callable[[Tensor], Tensor]
    fault: Fault
    scene: Scene
    image_dependent: bool = False
    target: int | None = None


@dataclass(frozen=True)
class Tools:
    """What strikes images and what asks the model of them; the same for all images of one shape."""

    injector: Injector
    prober: Prober


def tools_for(setting: Setting, shape: tuple[int, int, int], config: AttackConfig) -> Tools:
    """Return the tools for images (C, H, W)."""
    injector = Injector(
        setting.fault, setting.scene, setting.stretch, image_dependent=setting.image_dependent
    )
    quick = not injector.rescales and config.search != "gradient"
    return Tools(injector, Prober(setting.model, shape, injector.patch, incremental=quick))


def attack(
    setting: Setting,
    images: Images,
    config: AttackConfig,
    *,
    done: Set[str] = frozenset(),
    tools: Tools | None = None,
) -> Iterator[Row]:
    """Yield a row for every image, in order, leaving out the ids in `done`.

    Images that the model gets wrong, that already are of the target class, or that hold values which are not
    finite are not attacked; their row says so in ``status``.  Every counter-example is confirmed by the whole
    network before it counts.
    """
    device = next(setting.model.parameters()).device
    tools = tools or tools_for(setting, tuple(images.linear.shape[1:]), config)
    injector, prober = tools.injector, tools.prober
    todo = [i for i in range(len(images.ids)) if images.ids[i] not in done]
    group = config.de.together if config.search == "de" else 1
    for start in range(0, len(todo), group):
        part = todo[start : start + group]
        clean = [_clean(prober, injector, images, i, setting.target) for i in part]
        problems = {
            i: Problem(
                prober,
                injector,
                Goal(int(images.labels[i]), setting.target),
                images.linear[i].to(device),
                config.pixels,
            )
            for i, before in zip(part, clean)
            if before["status"] == "attacked"
        }
        found = _search(problems, images, config)
        for i, before in zip(part, clean):
            yield _row(problems.get(i), found.get(i), before, images, setting, config)


def _search(problems: dict[int, Problem], images: Images, config: AttackConfig) -> dict[int, Found]:
    if config.search == "de":
        return evolution.search(problems, [images.ids[i] for i in problems], config.de, config.seed)
    if config.search == "gradient":
        return {i: gradient.search(problem, config.gradient) for i, problem in problems.items()}
    return {i: exhaustive.search(problem) for i, problem in problems.items()}


@torch.inference_mode()
def _clean(prober: Prober, injector: Injector, images: Images, i: int, target: int | None) -> dict[str, Any]:
    """Return what the model says of image `i` as it is, and whether it is attacked."""
    label = int(images.labels[i])
    values = {
        "id": str(images.ids[i]),
        "label": images.classes[label] if 0 <= label < len(images.classes) else None,
        "status": "attacked",
    }
    linear = images.linear[i].to(prober.device)
    if values["label"] is None:
        return {**values, "status": "no label"}
    if not bool(torch.isfinite(linear).all()):
        return {**values, "status": "not finite"}
    output = prober.output(injector.load(linear)[None])
    p = output.logits.softmax(dim=1)[0]
    predicted = int(p.argmax())
    values |= {"prediction": images.classes[predicted], "p_before": float(p[label])}
    if not bool(torch.isfinite(p).all()):
        return {**values, "status": "not finite"}
    if predicted != label:
        return {**values, "status": "already wrong"}
    if target is not None and label == target:
        return {**values, "status": "is the target"}
    return {**values, "features": output.features[0]}


def _row(
    problem: Problem | None,
    found: Found | None,
    clean: dict[str, Any],
    images: Images,
    setting: Setting,
    config: AttackConfig,
) -> Row:
    """Return the row of one image; `clean` is what :func:`_clean` said."""
    features = clean.pop("features", None)
    if problem is None or found is None:
        return Row(clean)
    output = problem.prober.output(found.stretched[None])
    p = output.logits.softmax(dim=1)[0]
    flipped = found.first is not None and bool(problem.goal.reached(output.logits)[0])
    variants = problem.injector.variants
    strongest = found.hits[0]
    values = {
        **clean,
        "flipped": flipped,
        "prediction_after": images.classes[int(p.argmax())],
        "p_after": float(p[problem.goal.label]),
        "rows": [hit.row for hit in found.hits],
        "columns": [hit.column for hit in found.hits],
        "bands": [_bands(hit, variants, images.bands) for hit in found.hits],
        "amplitudes": [list(hit.value or variants[hit.variant].values) for hit in found.hits],
        "variants": [hit.variant for hit in found.hits],
        "variant_name": "free values" if strongest.value else variants[strongest.variant].name,
        "first": None if found.first is None else [found.first.row, found.first.column, found.first.variant],
        "queries": found.queries,
        "queries_to_flip": found.queries_to_flip if flipped else None,
        "certified": found.complete and found.first is None,
        "flip_share": found.flip_share,
        "variant_flips": list(found.variant_flips),
        "flipped_locally": found.flips_local,
        "latent_distance": float((output.features[0] - features).norm()),
        "seed": config.seed,
    }
    return Row(values, None if found.vulnerability is None else found.vulnerability.numpy())


def _bands(hit: Hit, variants: Sequence[Variant], names: Sequence[str]) -> str:
    return "+".join(names if hit.value else [names[i] for i in variants[hit.variant].bands])


@torch.inference_mode()
def replay(setting: Setting, linear: Tensor, values: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Return the stretched image (C, S, S) before and after the change that a row tells of."""
    device = next(setting.model.parameters()).device
    injector = Injector(
        setting.fault, setting.scene, setting.stretch, image_dependent=setting.image_dependent
    )
    image = linear.to(device)
    before = stretched = injector.load(image)
    for row, column, variant, amplitudes in zip(
        values["rows"], values["columns"], values["variants"], values["amplitudes"]
    ):
        if variant < 0:
            stretched = stretched.clone()
            stretched[:, row, column] = torch.tensor(amplitudes, device=device)
        else:
            image, stretched = injector.apply(variant, row, column)
        injector.continue_from(image, stretched)
    return before.cpu(), stretched.cpu()


def n_queries(setting: Setting, config: AttackConfig, shape: Sequence[int]) -> int:
    """Return the most questions that one image of `shape` (C, H, W) can need."""
    n_variants = len(setting.fault.variants(setting.scene))
    if config.search == "de":
        return config.de.population * (config.de.generations + 1)
    if config.search == "gradient":
        return (min(config.gradient.candidates, n_variants * shape[1] * shape[2]) + 1) * config.pixels
    return n_variants * shape[1] * shape[2] * config.pixels


def seconds_per_query(setting: Setting, config: AttackConfig, linear: Tensor) -> float:
    """Return the measured time of one question of this search about the image `linear` (C, H, W).

    A few batches are asked after one that warms up; the wall time of a search is that times
    :func:`n_queries`.
    """
    injector = Injector(
        setting.fault, setting.scene, setting.stretch, image_dependent=setting.image_dependent
    )
    quick = config.search == "exhaustive" and not injector.rescales
    prober = Prober(setting.model, tuple(linear.shape), injector.patch, incremental=quick)
    prober.load(injector.load(linear.to(prober.device)))
    height, width = linear.shape[1:]
    pixels = torch.arange(min(prober.chunk, height * width))
    places = prober.places(pixels // width, pixels % width)
    asked, started = 0, 0.0
    for repeat in range(4):
        if repeat == 1:
            started = time.perf_counter()
        values = injector.patches(repeat % len(injector.variants), places)
        logits = prober.query(places, values).logits
        asked += len(places) if repeat else 0
        logits.sum().item()  # waits for a GPU
    return (time.perf_counter() - started) / asked


def is_incremental(setting: Setting, shape: Sequence[int]) -> bool:
    """Return whether the complete search recomputes only what a struck pixel reaches."""
    injector = Injector(
        setting.fault, setting.scene, setting.stretch, image_dependent=setting.image_dependent
    )
    return not injector.rescales and Prober(setting.model, tuple(shape)).incremental


def grid_of(setting: Setting, config: AttackConfig, shape: Sequence[int]) -> dict[str, Any] | None:
    """Return what a complete search of one pixel covers, in words and numbers; None for other searches."""
    if config.search != "exhaustive" or config.pixels != 1:
        return None
    variants = setting.fault.variants(setting.scene)
    goal = "changes the class" if setting.target is None else "gives the target class"
    return {
        "statement": f"no single event of this grid, at any of the {shape[1]} x {shape[2]} pixels, {goal}",
        "pixels": [shape[1], shape[2]],
        "unit": "stretched value" if setting.fault.stretched else "electron",
        "adds": setting.fault.adds,
        "variants": [
            {"name": v.name, "bands": [setting.scene.bands[b] for b in v.bands], "values": list(v.values)}
            for v in variants
        ],
        "queries_per_image": n_queries(setting, config, shape),
    }


def value_range(stretch: Callable[[Tensor], Tensor], linear: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest stretched value of each band (C,) over finite images (N, C, S, S)."""
    low, high = [], []
    for part in linear.split(256):
        stretched = stretch(part)
        low.append(stretched.amin(dim=(0, 2, 3)))
        high.append(stretched.amax(dim=(0, 2, 3)))
    return torch.stack(low).amin(0), torch.stack(high).amax(0)
