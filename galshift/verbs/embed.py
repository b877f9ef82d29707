"""Map galaxies in a classifier's feature space, with pictures and the odd ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.errors import DataError
from galshift.rundirectory import RunDirectory
from galshift.types import Chosen, Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._choice import ChoiceOf
from galshift.verbs._options import reading

if TYPE_CHECKING:
    import numpy as np
    from astropy.table import Table

    from galshift.data.cutouts import Dataset
    from galshift.training.checkpoint import Trained


class EmbedConfig(Strict):
    """What to map, with which reducer."""

    run: str = Field(description="Run directory.")
    data: list[str] = Field(min_length=1, description="Data sets; name=DATA names one.")
    read: ReadOptions = ReadOptions()
    reduce: Annotated[Chosen, ChoiceOf("galshift.embedding.reducers", "REDUCERS")] = Field(
        "pca", validate_default=True, description="How to draw the features: pca, tsne, isomap or umap."
    )
    limit: int = Field(
        20_000, ge=10, description="At most as many galaxies of each data set, drawn at random."
    )
    thumbnails: int = Field(3000, ge=0, description="Pictures in the explorer; the most unusual come first.")
    seed: int = 42


@STEPS.register("embed")
class Embed(Step):
    """Map galaxies by the features that a classifier decides on.

    Writes embedding.fits (predictions, anomaly scores, x, y) and explorer.html, one file that works offline:
    hover for pictures, colour by any column, lasso, export.  pca is linear and quick; tsne and umap show
    neighbourhoods; whether data sets mix is measured in feature space, never on the map.
    """

    kind = "embed"
    version = 1
    Config = EmbedConfig
    positionals = ("run", "data")
    options = ("reduce", "limit", *reading("read"))
    examples = (
        "galshift embed runs/adapt-1a2b3c4d sim.h5 sdss/",
        "galshift embed runs/adapt-1a2b3c4d sim.h5 wide=sdss/ --reduce tsne",
    )
    inputs = ("run", "data", "read.labels?")
    display = ("thumbnails",)

    def run(self, config: EmbedConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Forward, reduce, score, draw."""
        import numpy as np

        from galshift.embedding.explorer import build_explorer
        from galshift.embedding.quality import domain_mixing, map_quality
        from galshift.embedding.reducers import REDUCERS
        from galshift.evaluation.predictions import write_predictions
        from galshift.provenance import command_line
        from galshift.training.checkpoint import load_checkpoint

        trained = load_checkpoint(config.run, values=True)
        parts = [_read(text, trained, config, context.device) for text in config.data]
        table, features = _joined(parts)
        usable = np.isfinite(features).all(axis=1)
        reducer = REDUCERS.get(config.reduce.kind)(config.reduce.config)
        points = np.full((len(features), 2), np.nan)
        points[usable] = reducer.reduce(features[usable].astype(np.float64), config.seed)
        table["x"], table["y"] = points[:, 0], points[:, 1]
        groups = np.asarray(table["group"])[usable]
        domains = np.asarray(table["data_set"])[usable]
        quality = map_quality(features[usable], points[usable], seed=config.seed)
        mixing = domain_mixing(features[usable], domains, groups=groups)
        results = {
            "n": len(table),
            "n_flagged": int((~usable).sum()),
            "reduce": config.reduce.kind,
            "quality": quality,
            "mixing": mixing,
            "outputs": {"embedding": "embedding.fits", "explorer": "explorer.html"},
        }
        details = {
            "run": str(config.run),
            "reduce": config.reduce.dump(),
            "quality": quality,
            "mixing": mixing,
        }
        write_predictions(run.path / "embedding.fits", table, provenance=details)
        build_explorer(
            run.path / "explorer.html",
            title=f"{' and '.join(part.name for part in parts)} as the classifier sees them",
            points=points,
            columns={name: np.ma.asarray(table[name]) for name in table.colnames if _shown(table[name])},
            colour_by="data_set" if len(parts) > 1 else _answer_column(table),
            thumbnails=_thumbnails(parts, np.asarray(table["anomaly"]), trained, config),
            notes=notes(results, len(parts)),
            axes=(f"{config.reduce.kind} 1", f"{config.reduce.kind} 2"),
            command=command_line(),
        )
        return results

    def versions(self, config: EmbedConfig) -> Mapping[str, int]:
        """Return the version of the reducer."""
        from galshift.embedding.reducers import REDUCERS

        return {f"reducer {config.reduce.kind}": REDUCERS.get(config.reduce.kind).version}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the explorer says at its top."""
        return notes(results, len(results["mixing"]["by_data_set"]))

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at it."""
        return [f"open {results['run']}/explorer.html in a browser"]


@dataclass(frozen=True)
class Part:
    """One data set, forwarded: its table of predictions and anomaly scores, and its features."""

    name: str
    dataset: Dataset
    rows: np.ndarray
    table: Table
    features: np.ndarray


def notes(results: Mapping[str, Any], n_sets: int) -> list[str]:
    """Return plain sentences about a map."""
    quality, mixing = results["quality"], results["mixing"]
    lines = [f"{results['n']} galaxies, each placed by the features that the classifier decides on."]
    if quality["trustworthiness"] is not None and quality["trustworthiness"] == quality["trustworthiness"]:
        trust, kept = quality["trustworthiness"], quality["continuity"]
        lines.append(
            f"Neighbours on this {results['reduce']} map are neighbours in feature space with "
            f"trustworthiness "
            f"{trust:.2f}, and the reverse holds with continuity {kept:.2f} (1 is perfect, 0.5 is chance)."
        )
    if n_sets > 1 and mixing["mixing"] is not None:
        lines.append(
            f"In feature space, not on the map, galaxies have {mixing['mixing']:.0%} of the neighbours from "
            "other data sets that perfect mixing would give (0% = the sets lie apart)."
        )
    lines.append("Anomaly is a rank within each data set: 1 is its most unusual galaxy, 0 its most ordinary.")
    return lines


def _read(text: str, trained: Trained, config: EmbedConfig, device: str) -> Part:
    """Forward one data set and score its galaxies."""
    import numpy as np

    from galshift.console import progress
    from galshift.data.open import open_dataset
    from galshift.data.paths import split_name
    from galshift.domains.splits import absolute, read_splits, split_column
    from galshift.embedding.anomaly import anomaly_scores
    from galshift.evaluation.predictions import predictions_table
    from galshift.runs.number_answers import answers, prediction_table
    from galshift.runs.test_sets import matched_labels
    from galshift.runs.truth import numbered_options, truth_of
    from galshift.streams import numpy_stream
    from galshift.training.predict import forward

    label, path = split_name(text)
    dataset = open_dataset(path, numbered_options(config.read, trained.head))
    order = numpy_stream(config.seed, "embed", "limit").permutation(len(dataset))
    rows = np.sort(order[: config.limit])
    with progress(f"embed {dataset.name}", len(rows)) as bar:
        out = forward(trained, dataset, rows, device=device, progress=bar.advance)
    if not np.isfinite(out.features).all(axis=1).any():
        raise DataError(
            "not one image of this data set gave an answer",
            where=path,
            hint="galshift inspect shows what the images hold",
        )
    info, head = dataset.info, trained.head
    columns = {
        "ids": info.ids[rows],
        "groups": info.groups[rows],
        "data_set": label or dataset.name,
        "split": split_column(info.ids[rows], read_splits(trained.path.parent), absolute(path)),
        "catalogue": None if info.table is None else info.table[rows],
    }
    if head.kind == "class":
        table = predictions_table(
            probabilities=out.probabilities,
            classes=trained.classes,
            labels=matched_labels(dataset, rows, trained.classes)[0],
            flags=out.flags,
            **columns,
        )
    else:
        said = answers(trained, out, head.names)
        truth = truth_of(dataset, head, config.read)[rows]
        named = {name: columns[name] for name in ("data_set", "split")}
        table = prediction_table(head.kind, head.names, said, truth, dataset, rows, **named)
    scores = anomaly_scores(out.features, groups=info.groups[rows], seed=config.seed)
    place = table.colnames.index("flag")
    for name in ("mahalanobis", "neighbors", "isolation", "anomaly"):
        table.add_column(scores[name], name=name if name == "anomaly" else f"anomaly_{name}", index=place)
    return Part(label or dataset.name, dataset, rows, table, out.features)


def _joined(parts: Sequence[Part]) -> tuple[Table, np.ndarray]:
    import numpy as np
    from astropy.table import vstack

    tables = [part.table for part in parts]
    table = vstack(tables, metadata_conflicts="silent") if len(tables) > 1 else tables[0]
    return table, np.concatenate([part.features for part in parts])


def _thumbnails(
    parts: Sequence[Part], anomaly: np.ndarray, trained: Trained, config: EmbedConfig
) -> dict[int, np.ndarray]:
    """Draw the most unusual third, and a random choice of the others, up to the limit."""
    import numpy as np

    from galshift.report.pictures import composite, shrunk
    from galshift.streams import numpy_stream

    ranked = np.argsort(-np.nan_to_num(anomaly, nan=-1.0), kind="stable")
    first = ranked[: config.thumbnails // 3]
    rest = numpy_stream(config.seed, "embed", "thumbnails").permutation(ranked[len(first) :])
    wanted = set(np.concatenate([first, rest])[: config.thumbnails].tolist())
    found: dict[int, np.ndarray] = {}
    start = 0
    for part in parts:
        mine = np.array([i - start for i in sorted(wanted) if start <= i < start + len(part.rows)], dtype=int)
        for at in range(0, len(mine), 256):
            chunk = mine[at : at + 256]
            linear = trained.preprocessing.linear(part.dataset.read(part.rows[chunk]))
            for i, image in zip(chunk, linear, strict=True):
                found[start + int(i)] = shrunk(composite(image, bands=trained.bands), 48)
        start += len(part.rows)
    return found


def _answer_column(table: Table) -> str:
    """The column that says what the network answers: a class, or the first continuous label."""
    return next(name for name in table.colnames if name == "prediction" or name.startswith("value"))


def _shown(column: Any) -> bool:
    return column.ndim == 1 and column.dtype.kind in "fiubUSO"
