"""Find the galaxies most like one galaxy."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.errors import DataError
from galshift.rundirectory import RunDirectory
from galshift.types import Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading

if TYPE_CHECKING:
    import numpy as np
    from astropy.table import Table

    from galshift.report import ReportData
    from galshift.runs.answers import Looked
    from galshift.training.checkpoint import Trained


class SimilarConfig(Strict):
    """Which galaxy, and where to look for others like it."""

    run: str = Field(description="Run whose features are compared.")
    data: str = Field(description="The data set that holds the galaxy; name=DATA names it.")
    id: str = Field(description="The image's name.")
    among: list[str] = Field([], description="Data sets to search; empty: the galaxy's own.")
    n: int = Field(24, ge=1, le=1000, description="How many galaxies.")
    limit: int = Field(50_000, ge=10, description="Look at no more images of each data set than this.")
    read: ReadOptions = ReadOptions()
    seed: int = 42


@STEPS.register("similar")
class Similar(Step):
    """Find the galaxies most like one galaxy, by the features that a classifier decides on.

    Each galaxy is given once, and the asked one's other views do not count.  Writes similar.fits and
    report.html with their pictures, and says how alone the galaxy stands.
    """

    kind = "similar"
    version = 1
    Config = SimilarConfig
    positionals = ("run", "data", "id")
    options = (
        option("among", metavar="DATA...", several=True),
        option("n", flags=("-n", "--n")),
        "limit",
        *reading("read"),
    )
    examples = (
        "galshift similar runs/adapt-1a2b3c4d sdss/ J101217.5",
        "galshift similar runs/adapt-1a2b3c4d sdss/ J101217.5 --among sim.h5 -n 50",
    )
    inputs = ("run", "data", "among", "read.labels?")

    def run(self, config: SimilarConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Forward, search, draw."""
        import numpy as np

        from galshift.embedding.neighbors import nearest, rarity
        from galshift.evaluation.predictions import write_predictions
        from galshift.report import build
        from galshift.runs.answers import look
        from galshift.training.checkpoint import load_checkpoint

        trained = load_checkpoint(config.run)
        options = {"limit": config.limit, "seed": config.seed}
        home = look(trained, config.data, config.read, context.device, keep=config.id, **options)
        place = find_image(home, config.id)
        searched = [look(trained, text, config.read, context.device, **options) for text in config.among]
        searched = searched or [home]
        features = np.concatenate([s.features for s in searched])
        groups = np.concatenate([s.groups for s in searched])
        query, group = home.features[place], str(home.groups[place])
        rows, distances = nearest(query, features, groups, n=config.n, group=group)
        if not len(rows):
            raise DataError("there is no other galaxy to compare with", where=config.data)
        alone = rarity(query, features, groups, n=min(config.n, 10), group=group, seed=config.seed)
        table = similar_table(trained, searched, rows, distances)
        answered = trained.classes[int(home.probabilities[place].argmax())]
        results = {
            "id": config.id,
            "prediction": answered,
            "confidence": float(home.probabilities[place].max()),
            "n": len(rows),
            "n_searched": len(np.unique(groups)),
            "rarity": alone,
            "same_answer": float((np.asarray(table["prediction"]) == answered).mean()),
            "nearest": [str(i) for i in table["id"][:10]],
            "outputs": {"table": "similar.fits", "report": "report.html"},
        }
        write_predictions(run.path / "similar.fits", table, provenance={"run": config.run, "id": config.id})
        build(run.path / "report.html", _page(trained, home, place, searched, rows, table, results))
        return results

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how alone it stands and what the others are taken for."""
        return sentences(results)

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at them."""
        return [f"open {results['run']}/report.html in a browser"]


def find_image(home: Looked, name: str) -> int:
    """Return the place of the image called `name`, or of the first image of the galaxy so called.

    Raises
    ------
    DataError
        With names like it, when there is none, or when the image gave no answer.
    """
    import numpy as np

    ids = home.dataset.info.ids[home.rows]
    found = np.flatnonzero(ids == name)
    found = found if found.size else np.flatnonzero(home.groups == name)
    if not found.size:
        close = difflib.get_close_matches(name, home.dataset.info.ids[:100_000].tolist(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"images are called like '{ids[0]}'"
        raise DataError(f"there is no image '{name}'", where=home.dataset.path, hint=hint)
    if not home.usable[found[0]]:
        raise DataError(
            f"the image '{name}' could not be used: it has no good pixels", where=home.dataset.path
        )
    return int(found[0])


def sentences(results: Mapping[str, Any]) -> list[str]:
    """Return plain sentences about a search."""
    lines = [
        f"{results['id']} is taken for {results['prediction']} ({results['confidence']:.0%}); "
        f"{results['same_answer']:.0%} of the {results['n']} galaxies most like it are, too."
    ]
    alone = results["rarity"]
    if alone is not None and alone == alone:
        word = "stands rather alone" if alone > 0.95 else "is in company"
        lines.append(f"It {word}: {alone:.0%} of galaxies have closer neighbours than it has.")
    return lines


def similar_table(
    trained: Trained, searched: Sequence[Looked], rows: np.ndarray, distances: np.ndarray
) -> Table:
    """Return one row for each galaxy found, nearest first."""
    import numpy as np
    from astropy.table import Table

    probabilities = np.concatenate([s.probabilities for s in searched])[rows]
    names = np.array([*trained.classes, ""])
    table = Table()
    table["rank"] = np.arange(1, len(rows) + 1)
    table["id"] = np.concatenate([s.ids for s in searched])[rows].astype(str)
    table["group"] = np.concatenate([s.groups for s in searched])[rows].astype(str)
    table["data_set"] = np.concatenate([np.full(len(s.rows), s.name) for s in searched])[rows]
    table["distance"] = distances
    table["label"] = names[np.concatenate([s.labels for s in searched])[rows]]
    table["prediction"] = names[probabilities.argmax(axis=1)]
    table["confidence"] = probabilities.max(axis=1)
    return table


def _page(
    trained: Trained,
    home: Looked,
    place: int,
    searched: Sequence[Looked],
    rows: np.ndarray,
    table: Table,
    results: Mapping[str, Any],
) -> ReportData:
    """The galaxy, then those like it."""
    import numpy as np

    from galshift.provenance import command_line, environment
    from galshift.report import ReportData, Section
    from galshift.report.pictures import gallery
    from galshift.runs.answers import images_of

    starts = np.cumsum([0, *(len(s.rows) for s in searched)])
    part = np.searchsorted(starts, rows, side="right") - 1
    images = [images_of(trained, searched[p], np.array([r - starts[p]]))[0] for p, r in zip(part, rows)]
    truths = [f"; truth: {row['label']}" if row["label"] else "" for row in table]
    sets = [f" of {row['data_set']}" if len(searched) > 1 else "" for row in table]
    shown = gallery(
        images,
        [f"{row['prediction']} {row['confidence']:.0%}" for row in table],
        notes=[
            f"{row['id']}{where}; distance {row['distance']:.2f}{truth}"
            for row, where, truth in zip(table, sets, truths)
        ],
        bands=trained.bands,
    )
    asked = gallery(
        images_of(trained, home, np.array([place])),
        [f"{results['prediction']} {results['confidence']:.0%}"],
        notes=[results["id"]],
        size_px=224,
        bands=trained.bands,
    )
    found = (
        f"From {results['n_searched']} galaxies of {' and '.join(s.name for s in searched)}, nearest first."
    )
    made = {key: value for key, value in environment().items() if key != "command"}
    return ReportData(
        title=f"Galaxies like {results['id']}",
        lede=tuple(sentences(results)),
        sections=(Section("The galaxy", (), (asked,)), Section("Those most like it", (found,), (shown,))),
        command=command_line(),
        provenance={**made, "run": str(trained.path.parent)},
    )
