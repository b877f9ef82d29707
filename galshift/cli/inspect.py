"""Say what a file, folder or run holds: shapes, units, bands, classes, and what is missing."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from galshift import console
from galshift.cli._common import Instead, verb

EXAMPLES = (
    "galshift inspect sdss/ --labels votes.csv --label-column class",
    "galshift inspect x.npy:y.npy --unit nJy --pixel-scale 0.2 --json",
    "galshift inspect train.npy --against test.npy",
)

_READING = "How to read"
_LEAKS = "Leaks"
_SHOWN = 20


@verb("inspect", without=("out", "seed", "device", "workers", "scheduler", "set", "overwrite"))
def command(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Data, or a run directory.", show_default=False)
    ],
    reader: Annotated[
        str | None, typer.Option(metavar="NAME", rich_help_panel=_READING, help="Reader.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="FILE|COLUMN", rich_help_panel=_READING, help="Catalogue with the classes."),
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME,...", rich_help_panel=_READING, help="Its class column.")
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", rich_help_panel=_READING, help="Its column with image names."),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|sky:1deg", rich_help_panel=_READING, help="Its column with the galaxy or field."
        ),
    ] = None,
    classes_map: Annotated[
        str | None,
        typer.Option(metavar="OLD=NEW,...", rich_help_panel=_READING, help="Rename, merge or drop classes."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="UNIT", rich_help_panel=_READING, help="Unit of a pixel (nJy).")
    ] = None,
    pixel_scale: Annotated[
        float | None, typer.Option(metavar="ARCSEC", rich_help_panel=_READING, help="arcsec per pixel.")
    ] = None,
    zero_point: Annotated[
        str | None,
        typer.Option(
            metavar="MAG|g=MAG,...", rich_help_panel=_READING, help="AB magnitude of one count; makes nJy."
        ),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="BAND,...", rich_help_panel=_READING, help="Names of the bands.")
    ] = None,
    hdu: Annotated[
        str | None, typer.Option(metavar="N|NAME", rich_help_panel=_READING, help="FITS extension.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", rich_help_panel=_READING, help="File names, as {id}_{band}.fits."),
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_READING, help="Sky positions of cut-outs from a frame."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="12arcsec|64pix", rich_help_panel=_READING, help="Side of those cut-outs."),
    ] = None,
    on_error: Annotated[
        str, typer.Option(metavar="raise|skip", rich_help_panel=_READING, help="What a broken file does.")
    ] = "raise",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="TEST",
            rich_help_panel=_LEAKS,
            help="Name TEST's images that PATH shows too: a check of files split beforehand.",
        ),
    ] = None,
    similarity: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, rich_help_panel=_LEAKS, help="Smallest correlation of near copies."),
    ] = 0.999,
) -> Instead:
    """Say what a file, folder or run holds, and what must be declared before it can be used.

    Nothing is written into the data but the header index of a FITS folder, which makes the next opening
    quick.  Of an HDF5 file the data sets are listed; galshift itself writes /images (N, C, H, W), /labels,
    /ids, /groups, and where there are any /mask, /ivar, /psf, /truth and /table/*.
    """
    from pathlib import Path

    if Path(path, "run.json").is_file():
        return Instead(lambda options: _manifest(path), lambda found: _show_run(path, found))
    words = {
        "reader": reader,
        "labels": labels,
        "label_column": label_column,
        "id_column": id_column,
        "group_column": group_column,
        "unit": unit,
        "pixel_scale_arcsec": pixel_scale,
        "bands": [word.strip() for word in (bands or "").split(",") if word.strip()],
        "hdu": hdu,
        "pattern": pattern,
        "catalog": catalog,
        "cutout_size": size,
        "on_error": on_error,
    }
    given = {"classes_map": classes_map, "zero_point": zero_point}
    return Instead(
        lambda options: _account(path, words, given, against, similarity),
        lambda account: _show(account, path, against),
    )


def _account(
    path: str, words: dict[str, Any], given: dict[str, str | None], against: str | None, similarity: float
) -> dict[str, Any]:
    from pydantic import ValidationError

    from galshift.data.open import ReadOptions, open_dataset, parse_classes_map
    from galshift.data.options import parse_zero_point
    from galshift.data.summary import summarize
    from galshift.errors import UsageError

    try:
        options = ReadOptions(
            classes_map=parse_classes_map(given["classes_map"]),
            zero_point=parse_zero_point(given["zero_point"]),
            **words,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{first['msg'].lower()}, not {first['input']!r}", where=".".join(map(str, first["loc"]))
        ) from None
    dataset = open_dataset(path, options)
    account = summarize(dataset)
    if against is not None:
        # Labels and positions belong to PATH; how pixels are read holds for both.
        own = {"labels": None, "label_column": None, "group_column": None, "classes_map": {}}
        own |= {"where": None, "label_bins": ()}
        account["leaks"] = _leaks(dataset, open_dataset(against, options.model_copy(update=own)), similarity)
    return account


def _show(account: dict[str, Any], path: str, against: str | None) -> None:
    from galshift.data.summary import lines

    console.table(f"{path} ({account['reader']})", ("property", "value"), lines(account), to_stdout=True)
    numbers = ("min", "median", "max", "noise")
    rows = []
    for band, values in account["pixels"]["bands"].items():
        cells = (f"{values[key]:.4g}" if key in values else "" for key in numbers)
        rows.append([band, *cells, f"{100 * values['bad']:.2g} %"])
    title = f"pixels of {account['pixels']['sampled']} images"
    console.table(title, ("band", *numbers, "bad"), rows, to_stdout=True)
    if against is not None:
        _show_leaks(account["leaks"], path, against)


def _leaks(train: Any, test: Any, similarity: float) -> dict[str, Any]:
    from dataclasses import asdict

    from galshift.data.leakage import find_leaks

    with console.progress("compare", len(train) + len(test)) as bar:
        leaks = find_leaks(train, test, threshold=similarity, progress=bar.advance)
    return {**asdict(leaks), "fraction": leaks.fraction}


def _show_leaks(leaks: dict[str, Any], path: str, against: str) -> None:
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


def _manifest(path: str) -> dict[str, Any]:
    from galshift.rundirectory import RunDirectory

    return RunDirectory.load(path).manifest()


def _show_run(path: str, manifest: dict[str, Any]) -> None:
    rows = [("kind", manifest["kind"]), ("fingerprint", manifest["fingerprint"][:16])]
    rows += [(f"input {name}", text[:16]) for name, text in manifest.get("inputs", {}).items()]
    rows += [(name, entry["bytes"]) for name, entry in manifest.get("outputs", {}).items()]
    console.table(path, ("property", "value"), rows, to_stdout=True)
