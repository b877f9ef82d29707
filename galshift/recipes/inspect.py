"""What a file, folder or run holds, and what must be declared before it can be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from galshift import console
from galshift.data.options import ReadOptions
from galshift.rundirectory import RunDirectory
from galshift.types import Strict
from galshift.verbs._base import Step
from galshift.verbs._options import option, reading
from galshift.verbs._parameters import config_values

_SHOWN = 20
_LEAKS = "Leaks"


class InspectConfig(Strict):
    """What is inspected, and against what."""

    path: str = Field(description="Data, or a run directory.")
    read: ReadOptions = ReadOptions()
    against: str | None = Field(
        None, description="Name TEST's images that PATH shows too: a check of files split beforehand."
    )
    save: str | None = Field(None, description="Write a data card: what was declared, and what files say.")
    similarity: float = Field(0.999, ge=0.5, le=1, description="Smallest correlation of near copies.")


class Inspect(Step):
    """Say what a file, folder or run holds, and what must be declared before it can be used.

    Nothing is written into the data but the header index of a FITS folder, which makes the next opening
    quick.  Of an HDF5 file the data sets are listed; galshift itself writes /images (N, C, H, W), /labels,
    /ids, /groups, and where there are any /mask, /ivar, /psf, /truth and /table/*.
    """

    kind = "inspect"
    Config = InspectConfig
    positionals = ("path",)
    options = (
        option("save", metavar="CARD.yaml"),
        option("against", metavar="TEST", panel=_LEAKS),
        option("similarity", panel=_LEAKS),
        *reading("read", cutout_size="size"),
    )
    examples = (
        "galshift inspect sdss/ --labels votes.csv --label-column class",
        "galshift inspect x.npy:y.npy --unit nJy --pixel-scale 0.2 --json",
        "galshift inspect sdss/ --unit nanomaggy --pixel-scale 0.396 --labels zoo.csv --save sdss.yaml",
        "galshift inspect train.npy --against test.npy",
    )
    resources = ()


def inspect(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``galshift inspect --json`` prints, for arguments by name.

    Raises
    ------
    ConfigError
        When an option is not one.
    DataError
        When the data cannot be opened.
    """
    from galshift.recipes.prepare import check_config

    config = check_config(Inspect(), config_values(Inspect, given))
    if Path(config.path, "run.json").is_file():
        return RunDirectory.load(config.path).manifest()
    return _account(config)


def _account(config: InspectConfig) -> dict[str, Any]:
    from galshift.data.open import open_dataset
    from galshift.data.summary import summarize

    dataset = open_dataset(config.path, config.read)
    account = summarize(dataset)
    if config.save is not None:
        account["card"] = _save(config, dataset)
    if config.against is not None:
        # Labels and positions belong to PATH; how pixels are read holds for both.
        own = {"labels": None, "label_column": None, "group_column": None, "classes_map": {}}
        own |= {"where": None, "label_bins": ()}
        test = open_dataset(config.against, config.read.model_copy(update=own))
        account["leaks"] = _leaks(dataset, test, config.similarity)
    return account


def _save(config: InspectConfig, dataset: Any) -> str:
    """Write the card of a data set, never over anything but a card of the same data set."""
    import numpy as np

    from galshift.data.card import SUFFIXES, is_card, resolve, write_card
    from galshift.domains.splits import absolute
    from galshift.errors import UsageError

    place = Path(str(config.save))
    if place.suffix.lower() not in SUFFIXES:
        raise UsageError(
            "a data card is a YAML file", where="--save", hint=f"such as {place.stem or 'data'}.yaml"
        )
    if place.exists() and not is_card(place):
        raise UsageError(
            "a file that is no data card is there already", where=place, hint="choose another name"
        )
    found = resolve(config.path, config.read)
    if place.exists() and (there := absolute(str(place))) != absolute(found.path):
        raise UsageError(
            f"a data card of another data set is there already, of {there}",
            where=place,
            hint="choose another name",
        )
    info = dataset.info
    told = {
        "unit": info.unit,
        "pixel_scale_arcsec": None
        if info.pixel_scale is None
        else f"{float(np.median(info.pixel_scale)):.6g}",
        "bands": ", ".join(info.bands),
        "mask": "yes" if info.has_mask else None,
        "noise": "yes" if info.has_ivar else None,
        "psf": "yes" if info.has_psf else None,
    }
    names = {"pixel_scale_arcsec": "pixel_scale", "noise": "ivar"}
    sources = {key: info.origins.get(names.get(key, key), "the file") for key in told}
    origins = {
        key: (str(value), sources[key])
        for key, value in told.items()
        if value is not None and not sources[key].startswith(("--", "data card"))
    }
    write_card(place, found.path, found.options, origins)
    return str(place)


def _leaks(train: Any, test: Any, similarity: float) -> dict[str, Any]:
    from dataclasses import asdict

    from galshift.data.leakage import find_leaks

    with console.progress("compare", len(train) + len(test)) as bar:
        leaks = find_leaks(train, test, threshold=similarity, progress=bar.advance)
    return {**asdict(leaks), "fraction": leaks.fraction}


def show(found: Mapping[str, Any], path: str, against: str | None = None) -> None:
    """Print what `inspect` found, for people."""
    if "fingerprint" in found:
        _show_run(path, found)
        return
    from galshift.data.summary import lines

    if "card" in found:
        console.say(f"wrote {found['card']}: it stands wherever this data set is named")
    console.table(f"{path} ({found['reader']})", ("property", "value"), lines(found), to_stdout=True)
    numbers = ("min", "median", "max", "noise")
    rows = []
    for band, values in found["pixels"]["bands"].items():
        cells = (f"{values[key]:.4g}" if key in values else "" for key in numbers)
        rows.append([band, *cells, f"{100 * values['bad']:.2g} %"])
    title = f"pixels of {found['pixels']['sampled']} images"
    console.table(title, ("band", *numbers, "bad"), rows, to_stdout=True)
    if against is not None:
        _show_leaks(found["leaks"], path, against)


def _show_leaks(leaks: Mapping[str, Any], path: str, against: str) -> None:
    n, found = leaks["n_test"], leaks["images"]
    rows = [
        (leak["test"], leak["train"], "yes" if leak["identical"] else "", f"{leak['similarity']:.4f}")
        for leak in found[:_SHOWN]
    ]
    said = f"{len(found)} of {n} images of {against} ({leaks['fraction']:.1%}) are also in {path}"
    columns = ("in " + against, "is also in " + path, "to the pixel", "similarity")
    if rows:
        more = f"; the first {_SHOWN} (--json has all)" if len(found) > _SHOWN else ""
        console.table(said + more, columns, rows, to_stdout=True)
    else:
        console.result(said)
    if leaks["groups"]:
        shown = ", ".join(leaks["groups"][:5]) + (", ..." if len(leaks["groups"]) > 5 else "")
        console.result(
            f"{len(leaks['groups'])} galaxies by name are in both ({leaks['in_groups']} images): {shown}"
        )


def _show_run(path: str, manifest: Mapping[str, Any]) -> None:
    rows = [("kind", manifest["kind"]), ("fingerprint", manifest["fingerprint"][:16])]
    rows += [(f"input {name}", text[:16]) for name, text in manifest.get("inputs", {}).items()]
    rows += [(name, entry["bytes"]) for name, entry in manifest.get("outputs", {}).items()]
    console.table(path, ("property", "value"), rows, to_stdout=True)
