"""From one row an image to the numbers of ``attack.json``, and two runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from galshift.audit.curves import success, success_by_amplitude, success_by_pixels
from galshift.audit.faults._base import Variant
from galshift.audit.statistics import flip_curve, mcnemar, query_quartiles
from galshift.intervals import wilson_interval

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Searched:
    """What all compared runs were searched for.

    Attributes
    ----------
    variants : sequence of Variant
        The grid of the fault.
    electrons : bool
        True where its amplitudes are electrons.
    pixels : int
        Most pixels that could change.
    one_by_one : bool
        True where the search adds pixel after pixel, so that it also says what fewer would have done.
    """

    variants: Sequence[Variant] = ()
    electrons: bool = False
    pixels: int = 1
    one_by_one: bool = True

    def curves(self, attacked: Sequence[Values]) -> dict[str, Any]:
        """Return ``by_amplitude`` and ``by_pixels``, empty where the search does not tell."""
        return {
            "by_amplitude": success_by_amplitude(attacked, self.variants, electrons=self.electrons),
            "by_pixels": success_by_pixels(attacked, self.pixels) if self.one_by_one else [],
        }


NOTHING_STATED = Searched()


def summarise(
    rows: Sequence[Values],
    classes: Sequence[str],
    *,
    grid: Mapping[str, Any] | None,
    spread: float,
    searched: Searched = NOTHING_STATED,
) -> dict[str, Any]:
    """Return the summary of one run.

    Parameters
    ----------
    rows : sequence of mapping
        ``Row.values`` of every image.
    classes : sequence of str
    grid : mapping or None
        The grid that was searched in full (:func:`grid_of`), or None where the search was not complete.
    spread : float
        Within-class spread of the clean features (:func:`within_class_spread`); NaN where it is not known.
    searched : Searched

    Returns
    -------
    dict
        ``n_images``, ``n_attacked`` (correctly classified images only), ``clean_accuracy``,
        ``success_rate`` and ``success_ci95`` (NaN and [0, 1] without an attacked image), ``per_class``,
        ``queries``, ``certificate``, ``not_attacked`` (reason to count), ``latent``, ``rescaling`` (for a
        stretch that depends on the whole image: what flips by the struck pixels alone, and what only because
        the rest of the image is stretched anew; else None), ``by_amplitude`` and ``by_pixels``.
    """
    classified = [row for row in rows if row["status"] in ("attacked", "already wrong", "is the target")]
    attacked = [row for row in rows if row["status"] == "attacked"]
    n_right = sum(row["status"] != "already wrong" for row in classified)
    reasons = sorted({row["status"] for row in rows} - {"attacked"})
    certified = [row["id"] for row in attacked if row["certified"]]
    shares = [row["flip_share"] for row in attacked if np.isfinite(_number(row["flip_share"]))]
    return {
        "n_images": len(rows),
        **_success(attacked),
        "clean_accuracy": n_right / len(classified) if classified else None,
        "clean_ci95": list(wilson_interval(n_right, len(classified))),
        "not_attacked": {reason: sum(row["status"] == reason for row in rows) for reason in reasons},
        "per_class": {
            name: {
                **_success([row for row in attacked if row["label"] == name]),
                "n_images": sum(row["label"] == name for row in classified),
                "clean_accuracy": _share(
                    [row["status"] != "already wrong" for row in classified if row["label"] == name]
                ),
            }
            for name in classes
            if any(row["label"] == name for row in classified)
        },
        "queries": _queries(attacked),
        "certificate": None if grid is None else {**grid, "n_certified": len(certified)},
        "mean_flip_share": float(np.mean(shares)) if shares else None,
        "rescaling": _rescaling(attacked),
        "latent": latent_distances(attacked, spread),
        **searched.curves(attacked),
    }


def compare(
    names: Sequence[str],
    runs: Sequence[Sequence[Values]],
    spreads: Sequence[float],
    searched: Searched = NOTHING_STATED,
) -> dict[str, Any]:
    """Compare two or more runs on the images that all of them classify right.

    Returns
    -------
    dict
        ``n_common``; ``runs`` (name, success, interval, per-class success, queries, latent distances on those
        images); ``pairs``, McNemar's test, :func:`latent_ratios` and a sentence for every two runs; of the
        first pair also ``mcnemar`` and ``mcnemar_p``; and ``verdict``, every pair's sentence.
    """
    tables = [{row["id"]: row for row in rows if row["status"] == "attacked"} for rows in runs]
    common = [name for name in tables[0] if all(name in table for table in tables[1:])]
    shared = [[table[name] for name in common] for table in tables]
    labels = list(dict.fromkeys(row["label"] for row in shared[0]))
    sides = [
        {
            "name": name,
            **_success(rows),
            "per_class": {label: _success([r for r in rows if r["label"] == label]) for label in labels},
            "queries": _queries(rows),
            "latent": latent_distances(rows, spread),
            **searched.curves(rows),
        }
        for name, rows, spread in zip(names, shared, spreads)
    ]
    pairs = []
    for first, second in combinations(range(len(sides)), 2):
        paired = mcnemar(
            [row["flipped"] for row in shared[first]], [row["flipped"] for row in shared[second]]
        )
        two = sides[first], sides[second]
        pairs.append(
            {
                "runs": [side["name"] for side in two],
                **paired,
                "latent_ratio": latent_ratios(two[0]["latent"], two[1]["latent"]),
                "verdict": _verdict(two, paired, len(common)),
            }
        )
    return {
        "n_common": len(common),
        "runs": sides,
        "pairs": pairs,
        "mcnemar": {key: pairs[0][key] for key in ("only_first", "only_second", "both", "neither", "p")},
        "mcnemar_p": pairs[0]["p"],
        "verdict": " ".join(pair["verdict"] for pair in pairs),
    }


def within_class_spread(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the root mean square distance of features (N, D) from their class's mean.

    NaN where no class has two images.  Dividing a latent distance by it removes the scale of the features,
    which training with a regulariser changes without making a model more robust.
    """
    squares, freedom = 0.0, 0
    for label in np.unique(labels):
        own = np.asarray(features, dtype=np.float64)[labels == label]
        squares += float(((own - own.mean(axis=0)) ** 2).sum())
        freedom += len(own) - 1
    return float(np.sqrt(squares / freedom)) if freedom > 0 else float("nan")


def latent_distances(attacked: Sequence[Values], spread: float) -> dict[str, Any]:
    """Return the latent distances that the attack went, of successes, of failures, and of all.

    Returns
    -------
    dict
        ``within_class_spread``; for each of ``successes``, ``failures`` and ``all`` their ``n`` and quartiles
        over that spread; and ``mean_distance``, the plain mean Euclidean distance of each of the three, as
        Ciprijanovic et al. 2022 (arXiv:2112.14299) have it.  None where a number is not defined.
    """
    found: dict[str, Any] = {"within_class_spread": spread, "mean_distance": {}}
    for name, wanted in (("successes", (True,)), ("failures", (False,)), ("all", (True, False))):
        distances = np.array([row["latent_distance"] for row in attacked if row["flipped"] in wanted], float)
        usable = len(distances) > 0 and np.isfinite(spread) and spread > 0
        quartiles = np.quantile(distances / spread, (0.25, 0.5, 0.75)) if usable else (None, None, None)
        found[name] = {"n": len(distances), **dict(zip(("q25", "median", "q75"), map(_float, quartiles)))}
        found["mean_distance"][name] = float(distances.mean()) if len(distances) else None
    return found


def latent_ratios(first: Values, second: Values) -> dict[str, Any]:
    """Return how many times farther the attack went in the `second` run's latent space than in the `first`'s.

    Parameters
    ----------
    first, second : mapping
        From :func:`latent_distances`.

    Returns
    -------
    dict
        The ratio of mean distances of ``successes`` (the "2.3 times" of DeepAdversaries) and of ``all``, and
        of both over each run's within-class spread (``successes_over_spread``, ``all_over_spread``), which
        the scale of the features does not change.  None where there is nothing to divide.
    """
    spread = _ratio(first["within_class_spread"], second["within_class_spread"])
    found: dict[str, Any] = {}
    for name in ("successes", "all"):
        plain = _ratio(first["mean_distance"][name], second["mean_distance"][name])
        found[name] = plain
        found[f"{name}_over_spread"] = plain / spread if plain is not None and spread else None
    return found


def _ratio(before: float | None, after: float | None) -> float | None:
    usable = before is not None and after is not None and np.isfinite([before, after]).all() and before > 0
    return float(after / before) if usable else None


def _success(attacked: Sequence[Values]) -> dict[str, Any]:
    return success(sum(bool(row["flipped"]) for row in attacked), len(attacked))


def _rescaling(attacked: Sequence[Values]) -> dict[str, int] | None:
    known = [row for row in attacked if row.get("flipped_locally") is not None]
    if not known:
        return None
    return {
        "n_flipped": sum(bool(row["flipped"]) for row in known),
        "n_flipped_locally": sum(bool(row["flipped_locally"]) for row in known),
        "n_only_by_rescaling": sum(row["flipped"] and not row["flipped_locally"] for row in known),
    }


def _queries(attacked: Sequence[Values]) -> dict[str, Any]:
    """Return how many questions the search asked, and needed, failures censored."""
    spent = [row["queries_to_flip"] or row["queries"] for row in attacked]
    flipped = [row["queries_to_flip"] is not None for row in attacked]
    return {
        "total": sum(row["queries"] for row in attacked),
        "per_image": max((row["queries"] for row in attacked), default=0),
        "to_flip": query_quartiles(spent, flipped),
        "curve": [list(point) for point in flip_curve(spent, flipped)],
        "failures_censored": len(flipped) - sum(flipped),
    }


def _verdict(sides: Sequence[Values], paired: Values, n: int) -> str:
    first, second = sides[0]["name"], sides[1]["name"]
    if n == 0:
        return f"{first} and {second} classify no image right in common: which is more robust cannot be told."
    rates = [f"{side['success_rate']:.0%}" for side in sides]
    flips = f"{rates[0]} of {n} common images flip for {first} and {rates[1]} for {second}"
    if paired["p"] < 0.05:
        better = second if paired["only_first"] > paired["only_second"] else first
        return f"{better} is more robust: {flips} (McNemar p = {paired['p']:.2g})."
    return f"Which is more robust cannot be told: {flips} (McNemar p = {paired['p']:.2g})."


def _share(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
