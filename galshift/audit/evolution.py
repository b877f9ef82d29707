"""Differential evolution, the published search: rand/1, F = 0.5, many images advancing together.

Su, Vargas & Sakurai 2019, arXiv:1710.08864.  Population 400 and 100 generations: 40 400 queries for an
image that holds out, and no certificate.  Parents are distinct from each other and from the member they
challenge; a gene that leaves its range is drawn anew.  Every image has its own random stream, so its result
does not depend on which images run beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from galshift.audit._problem import Found, Hit, Problem
from galshift.audit.config import EvolutionConfig
from galshift.streams import torch_stream


@dataclass
class _Evolving:
    """One image's population: genes (M, k, G) in [0, 1), margins (M,), and what it has spent."""

    problem: Problem
    generator: torch.Generator
    genes: Tensor
    margins: Tensor
    queries: int = 0
    to_flip: int | None = None
    first: Tensor | None = None


def search(
    problems: Mapping[int, Problem], ids: Sequence[str], config: EvolutionConfig, seed: int
) -> dict[int, Found]:
    """Return the outcome for every image; each stops at its first success."""
    states = {
        key: _start(problem, torch_stream(seed, "one-pixel-attack", "de", name), config)
        for (key, problem), name in zip(problems.items(), ids)
    }
    _select(list(states.values()), [state.genes for state in states.values()])
    for _ in range(config.generations):
        active = [state for state in states.values() if state.to_flip is None]
        if not active:
            break
        _select(active, [_children(state, config.factor) for state in active])
    return {key: _found(state) for key, state in states.items()}


def _start(problem: Problem, generator: torch.Generator, config: EvolutionConfig) -> _Evolving:
    n_values = problem.linear.shape[0] if problem.injector.fault.stretched else 1
    shape = (config.population, problem.pixels, 2 + n_values)
    genes = torch.rand(shape, generator=generator)
    if problem.injector.fault.stretched:
        # The published start: colours from a normal distribution about the middle of the range.
        genes[..., 2:] = _inside(
            0.5 + 0.5 * torch.randn(genes[..., 2:].shape, generator=generator), generator
        )
    return _Evolving(problem, generator, genes, torch.full((config.population,), torch.inf))


def _children(state: _Evolving, factor: float) -> Tensor:
    """Return one challenger a member: a + F (b − c) of three others."""
    size = len(state.genes)
    keys = torch.rand(size, size, generator=state.generator)
    keys.fill_diagonal_(2.0)
    a, b, c = keys.topk(3, dim=1, largest=False).indices.T
    return _inside(state.genes[a] + factor * (state.genes[b] - state.genes[c]), state.generator)


def _inside(genes: Tensor, generator: torch.Generator) -> Tensor:
    """Return `genes` with those outside [0, 1) drawn anew."""
    fresh = torch.rand(genes.shape, generator=generator)
    return torch.where((genes >= 0) & (genes < 1), genes, fresh)


@torch.inference_mode()
def _select(states: list[_Evolving], challengers: list[Tensor]) -> None:
    """Ask the model about every image's challengers; the better of each pair stays.

    Populations live on the CPU, where their random numbers are the same for every device.
    """
    for state, genes, logits in zip(states, challengers, _answers(states, challengers)):
        goal = state.problem.goal
        margins, flips = goal.margin(logits), goal.reached(logits)
        if bool(flips.any()) and state.to_flip is None:
            position = int(flips.to(torch.uint8).argmax())
            state.to_flip, state.first = state.queries + position + 1, genes[position]
            # A flip outranks everything that is not one.
            margins = torch.where(flips, margins.clamp(max=0.0) - 1e6, margins)
        state.queries += len(genes)
        better = margins < state.margins
        state.genes = torch.where(better[:, None, None], genes, state.genes)
        state.margins = torch.where(better, margins, state.margins)


def _answers(states: list[_Evolving], challengers: list[Tensor]) -> list[Tensor]:
    """Return the logits, on the CPU, for every image's challengers: by patches there, else in one batch."""
    prober = states[0].problem.prober
    problem = states[0].problem
    if prober.incremental and problem.pixels == 1 and prober.device.type == "cpu":
        return [_by_patches(state.problem, genes) for state, genes in zip(states, challengers)]
    images = [struck_images(state.problem, genes) for state, genes in zip(states, challengers)]
    return list(prober.output(torch.cat(images)).logits.cpu().split([len(part) for part in images]))


def _by_patches(problem: Problem, genes: Tensor) -> Tensor:
    prober, injector = problem.prober, problem.injector
    prober.load(injector.load(problem.linear))
    rows, columns = _places(problem, genes[:, 0])
    if injector.fault.stretched:
        values = _values(problem, genes[:, 0])[:, :, None, None]
        return torch.cat(
            [
                prober.query(prober.places(r, c), v).logits
                for r, c, v in zip(
                    rows.split(prober.chunk), columns.split(prober.chunk), values.split(prober.chunk)
                )
            ]
        )
    variants = _variants(problem, genes[:, 0])
    logits = None
    for variant in variants.unique().tolist():
        chosen = (variants == variant).nonzero()[:, 0]
        places = prober.places(rows[chosen], columns[chosen])
        answer = prober.query(places, injector.patches(variant, places)).logits
        logits = answer.new_empty(len(genes), answer.shape[1]) if logits is None else logits
        logits[chosen] = answer
    return logits


def struck_images(problem: Problem, genes: Tensor) -> Tensor:
    """Return the stretched images (M, C, H, W) that `genes` (M, k, G) stand for."""
    injector, device = problem.injector, problem.prober.device
    image = injector.load(problem.linear)
    if injector.fault.stretched:
        images = image.expand(len(genes), *image.shape).clone()
        everyone = torch.arange(len(genes), device=device)
        for pixel in range(genes.shape[1]):
            rows, columns = _places(problem, genes[:, pixel])
            images[everyone, :, rows.to(device), columns.to(device)] = _values(problem, genes[:, pixel]).to(
                device
            )
        return images
    linear = problem.linear.expand(len(genes), *problem.linear.shape)
    for pixel in range(genes.shape[1]):
        rows, columns = _places(problem, genes[:, pixel])
        variants = _variants(problem, genes[:, pixel]).to(device)
        linear = injector.strike_mixed(variants, linear, problem.prober.bare_places(rows, columns))
    return injector.stretch(linear)


def _places(problem: Problem, genes: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and columns; every pixel has the same share of [0, 1)."""
    height, width = problem.linear.shape[1:]
    return (genes[:, 0] * height).long().clamp(max=height - 1), (genes[:, 1] * width).long().clamp(
        max=width - 1
    )


def _values(problem: Problem, genes: Tensor) -> Tensor:
    """Return the stretched values (M, C) between the ends of each band's range."""
    low, high = problem.injector.scene.low.cpu(), problem.injector.scene.high.cpu()
    return low + genes[:, 2:] * (high - low)


def _variants(problem: Problem, genes: Tensor) -> Tensor:
    n = len(problem.injector.variants)
    return (genes[:, 2] * n).long().clamp(max=n - 1)


def _found(state: _Evolving) -> Found:
    problem = state.problem
    best = state.genes[int(state.margins.argmin())][None]
    hits = []
    for pixel in range(problem.pixels):
        rows, columns = _places(problem, best[:, pixel])
        if problem.injector.fault.stretched:
            value = tuple(_values(problem, best[:, pixel])[0].tolist())
            hits.append(Hit(int(rows), int(columns), -1, value))
        else:
            hits.append(Hit(int(rows), int(columns), int(_variants(problem, best[:, pixel]))))
    stretched = struck_images(problem, best)[0]
    first = hits[0] if state.to_flip is not None else None
    return Found(tuple(hits), first, stretched, problem.linear, state.queries, state.to_flip)
