"""Poisson variates, exact and several times faster than one by one, for the expectations that skies have.

Algorithm PD of Ahrens & Dieter 1982 (ACM Transactions on Mathematical Software 8, 163), all pixels at once.
A normal variate rounded down is right for all but a few in a hundred, which a short test tells; those few are
drawn again from what the normal left out, by a double exponential.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

#: Below this expectation PD does not hold; above the other float32 no longer counts single electrons.
SMALLEST, LARGEST = 10.0, 2.0**22
#: Taylor coefficients of (log(1 + v) - v) / v^2, as PD tabulates them.
_A = (-0.5, 0.3333333, -0.2500068, 0.2000118, -0.1661269, 0.1421878, -0.1384794, 0.1250060)
_ROUNDS = 8
_ROOT = 0.3989422804014327  # (2 pi)^(-1/2)


def poisson(expected: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Return Poisson variates of `expected`, each plane from its own generator.

    Parameters
    ----------
    expected : Tensor
        (N, H, W) float32, >= 0.
    generators : sequence of torch.Generator
        N, on the device of `expected`.

    Returns
    -------
    Tensor
        (N, H, W) float32 whole numbers.  A plane does not depend on the others.
    """
    drawn = torch.empty_like(expected)
    open_: list[tuple[int, Tensor, Tensor]] = []
    normal, uniform = torch.empty_like(expected[:1])[0], torch.empty_like(expected[:1])[0]
    for i, (mu, generator) in enumerate(zip(expected, generators)):
        if mu.device.type != "cpu" or float(mu.min()) < SMALLEST or float(mu.max()) > LARGEST:
            drawn[i] = torch.poisson(mu, generator=generator)
            continue
        k = torch.addcmul(mu, mu.sqrt(), normal.normal_(generator=generator)).floor_()
        uniform.uniform_(generator=generator)
        # Steps I and S: right at and above the expectation, and below it where a cubic says so.
        gap = mu - k
        unsettled = gap.mul(gap).mul_(gap) > mu.mul(mu).mul_(uniform).mul_(6.0)
        drawn[i] = k
        where = torch.nonzero(unsettled.view(-1)).view(-1)
        if len(where):
            open_.append((i, where, uniform.view(-1)[where]))
    if open_:
        _settle(expected, drawn, open_, generators)
    return drawn


def _settle(
    expected: Tensor,
    drawn: Tensor,
    unsettled: list[tuple[int, Tensor, Tensor]],
    generators: Sequence[torch.Generator],
) -> None:
    """Draw again, in place, the pixels that the squeeze left open; of all planes at once, as they are few."""
    size = expected[0].numel()
    flat = torch.cat([where + i * size for i, where, _ in unsettled])
    counts = [len(where) for _, where, _ in unsettled]
    # Each plane goes on with a stream of its own, made from its generator.
    rngs = [np.random.Generator(np.random.SFC64(_seed(generators[i]))) for i, _, _ in unsettled]
    mu, k = (x.view(-1)[flat].double().numpy() for x in (expected, drawn))
    u = torch.cat([values for _, _, values in unsettled]).double().numpy()
    again = _finish(mu, k, u, np.repeat(np.arange(len(counts)), counts), rngs)
    drawn.view(-1)[flat] = torch.from_numpy(again).float()


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (1,), generator=generator).item())


def _finish(
    mu: np.ndarray, k: np.ndarray, u: np.ndarray, owner: np.ndarray, rngs: list[np.random.Generator]
) -> np.ndarray:
    """Steps P to H for the pixels that the squeeze did not settle; `owner` says whose stream each follows."""
    px, py, fx, fy = _densities(mu, np.maximum(k, 0))
    with np.errstate(over="ignore"):
        accepted = (k >= 0) & (fy * (1 - u) <= py * np.exp(px - fx))
    result = np.where(accepted, k, -1.0)
    left = np.flatnonzero(~accepted)
    while left.size:
        # Numbers for several rounds at a time; how many a plane takes depends on its own pixels alone.
        counts = np.bincount(owner[left], minlength=len(rngs))
        rows = [
            (rng.exponential(size=(n, _ROUNDS)), rng.random((n, _ROUNDS)))
            for rng, n in zip(rngs, counts)
            if n
        ]
        e, v = (np.concatenate(parts) for parts in zip(*rows))
        for one in range(_ROUNDS):
            open_ = np.flatnonzero(result[left] < 0)
            if not open_.size:
                break
            result[left[open_]] = _tried(mu[left[open_]], e[open_, one], 2 * v[open_, one] - 1)
        left = left[result[left] < 0]
    return result


def _tried(mu: np.ndarray, e: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Steps E and H: a double-exponential candidate where it is accepted, -1 where not."""
    t = 1.8 + np.copysign(e, v)
    k = np.floor(mu + np.sqrt(mu) * t)
    px, py, fx, fy = _densities(mu, np.maximum(k, 0))
    good = (t > -0.6744) & (0.1069 / mu * np.abs(v) <= py * np.exp(px + e) - fy * np.exp(fx + e))
    return np.where(good, k, -1.0)


def _densities(mu: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Procedure F: py exp(px) is the Poisson probability of `k`, fy exp(fx) that of the rounded normal."""
    sigma = np.sqrt(mu)
    omega, b1 = _ROOT / sigma, 1 / (24 * mu)
    b2 = 0.3 * b1 * b1
    c3 = b1 * b2 / 7
    c2, c1, c0 = b2 - 15 * c3, b1 - 6 * b2 + 45 * c3, 1 - b1 + 3 * b2 - 15 * c3
    x = (k - mu + 0.5) / sigma
    square = x * x
    fx, fy = -0.5 * square, omega * (((c3 * square + c2) * square + c1) * square + c0)
    few = k < 10
    log_factorial = np.array([0, *np.cumsum(np.log(np.arange(1, 10)))])
    small = np.clip(k, 0, 9).astype(int)
    safe = np.maximum(k, 10)
    delta = 1 / (12 * safe)
    delta -= 4.8 * delta**3
    v = (mu - safe) / safe
    series = safe * v * v * np.polynomial.polynomial.polyval(v, _A) - delta
    with np.errstate(invalid="ignore", divide="ignore"):
        log = safe * np.log1p(v) - (mu - safe) - delta
    px = np.where(few, -mu, np.where(np.abs(v) > 0.25, log, series))
    py = np.where(few, np.exp(small * np.log(mu) - log_factorial[small]), _ROOT / np.sqrt(safe))
    return px, py, fx, fy
