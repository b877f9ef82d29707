"""What a count says in words: every fraction and number, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fraction(found: Mapping[str, Any]) -> str:
    """Return ``0.103 (0.081 to 0.131)``."""
    low, high = found["ci95"]
    return f"{found['fraction']:.3f} ({low:.3f} to {high:.3f})"


def number(found: Mapping[str, Any]) -> str:
    """Return ``206 (162 to 262)``."""
    low, high = found["n_ci95"]
    return f"{found['n']:,.0f} ({low:,.0f} to {high:,.0f})"


def lines(results: Mapping[str, Any]) -> list[str]:
    """Return a line for each class, and for each class in each bin."""
    classes = results["classes"]
    width = max(map(len, classes))
    told = [
        f"{name:{width}}  fraction {fraction(one)}  galaxies {number(one)}" for name, one in classes.items()
    ]
    for one in results["bins"]:
        place = f"{results['by']} {one['name']} ({one['n_galaxies']} galaxies): "
        if one["classes"] is None:
            told.append(place + ("no label" if results["with_labels"] else f"refused, p = {one['p']:.2g}"))
        else:
            told.append(place + ", ".join(f"{name} {fraction(row)}" for name, row in one["classes"].items()))
    return told


def basis(results: Mapping[str, Any]) -> list[str]:
    """Return on what the count rests: its premise, and the test of it."""
    n, name = results["n_galaxies"], results["data"]
    if results["with_labels"]:
        how = "at random" if results["simple"] else "at random among those with the same answer"
        text = [
            f"The {n} galaxies of {name} are counted by the labels of {results['n_labels']}, taken to be "
            f"drawn {how}; with that the 95% intervals hold however wrong the network is."
        ]
        if results["n_drawn_from"] < n:
            text.append(
                f"The labels are of the {results['n_drawn_from']} galaxies that the run left alone, which "
                "are taken for a random part of all."
            )
        return text
    test = results["test"]
    return [
        f"The {n} galaxies of {name} are counted without labels, on the premise that within a class their "
        f"images look to the network as the source's do ({results['n_source']} held-out galaxies of it).",
        f"No test rejects that: p = {test['p']:.2g}, corrected for {len(test['p_values'])} tests, and below "
        f"{test['level']} the count would have been refused. A class that has come to look just like another "
        "is beyond any test without labels.",
    ]
