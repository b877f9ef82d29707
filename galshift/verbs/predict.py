"""Classify every image of a data set and write a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.domains.splits import split_column
from galshift.rundirectory import RunDirectory
from galshift.types import Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import reading

if TYPE_CHECKING:
    from galshift.training.checkpoint import Trained


class PredictConfig(Strict):
    """What to classify with what."""

    run: str = Field(description="Run directory, or its model.safetensors.")
    data: str = Field(description="Images; labels are passed through where there are any.")
    read: ReadOptions = ReadOptions()


@STEPS.register("predict")
class Predict(Step):
    """Classify every image: one row each, with the catalogue's columns passed through.

    Columns: id, group, data_set, split (train, valid or test where the run used the image), label,
    prediction, confidence, p_<class>, entropy [nat], flag (0 = good).  For a continuous label: label, value,
    value_sigma; for votes also observed_<class>, votes, concentration.
    """

    kind = "predict"
    version = 1
    Config = PredictConfig
    positionals = ("run", "data")
    options = reading("read")
    examples = (
        "galshift predict runs/adapt-1a2b3c4d sdss/ predictions.fits",
        "galshift predict runs/adapt-1a2b3c4d sdss/ predictions.csv --on-error skip",
    )
    out_help = "Table to write: .fits, .csv or .parquet."
    inputs = ("run", "data", "read.labels?")
    product = "predictions.fits"

    def products(self, config: PredictConfig, out: Path) -> list[Path]:
        """Return the table, once its ending is known to name a format."""
        from galshift.evaluation.predictions import check_format

        check_format(out)
        return [out]

    def run(self, config: PredictConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Classify, in chunks, into ``context.out``."""
        import numpy as np

        from galshift.console import progress
        from galshift.data.open import open_dataset
        from galshift.domains.splits import absolute, read_splits
        from galshift.evaluation.honesty import unlabelled_summary
        from galshift.evaluation.predictions import predictions_table, write_predictions
        from galshift.runs.test_sets import matched_labels
        from galshift.training.checkpoint import load_checkpoint
        from galshift.training.predict import forward
        from galshift.training.unknown import THRESHOLD, load_scorer, unknown_scores

        trained = load_checkpoint(config.run, values=True)
        if trained.head.kind != "class":
            return _predict_numbers(trained, config, run, context)
        dataset = open_dataset(config.data, config.read)
        with progress("predict", len(dataset)) as bar:
            out = forward(trained, dataset, device=context.device, progress=bar.advance)
        info, scorer = dataset.info, load_scorer(trained.path.parent)
        labels, notes = matched_labels(dataset, np.arange(len(dataset)), trained.classes)
        table = predictions_table(
            ids=info.ids,
            groups=info.groups,
            probabilities=out.probabilities,
            classes=trained.classes,
            data_set=dataset.name,
            split=split_column(info.ids, read_splits(trained.path.parent), absolute(config.data)),
            labels=labels,
            flags=out.flags,
            unknown=None if scorer is None else unknown_scores(scorer, out),
            catalogue=info.table,
        )
        path = context.out or run.path / self.product
        details = {"run": str(config.run), "data": str(config.data), "meta": trained.meta}
        write_predictions(path, table, provenance=details)
        usable = np.isfinite(out.probabilities).all(axis=1)
        summary = unlabelled_summary(out.probabilities[usable], trained.classes) if usable.any() else {}
        summary.pop("labelled", None)
        if scorer is not None:
            summary["share_unknown"] = float((table["unknown_score"][usable] > THRESHOLD).mean())
        return {
            **summary,
            "n": len(dataset),
            "n_flagged": int((~usable).sum()),
            "classes": list(trained.classes),
            "warnings": notes,
            "outputs": {"predictions": path.name},
            "product": path.name,
        }

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say the predicted mix, without a claim about how right it is."""
        verb = "classified" if "label_kind" not in results else "looked at"
        lines = [f"{results['n']} images {verb}, {results['n_flagged']} flagged as unusable"]
        if "mean_prediction" in results:
            means = ", ".join(f"{name} {mean:.3g}" for name, mean in results["mean_prediction"].items())
            lines.append(f"mean prediction: {means}")
        if "predicted_mix" in results:
            mix = ", ".join(f"{name} {share:.0%}" for name, share in results["predicted_mix"].items())
            lines.append(
                f"predicted: {mix}; mean confidence {results['mean_confidence']:.0%} (not an accuracy)"
            )
        if "share_unknown" in results:
            lines.append(f"{results['share_unknown']:.0%} of the images look like no class of the source")
        return [*lines, *(f"note: {line}" for line in results["warnings"])]


def _predict_numbers(
    trained: Trained, config: PredictConfig, run: RunDirectory, context: Context
) -> dict[str, Any]:
    """Write the table of a network for continuous labels or votes."""
    import numpy as np

    from galshift.console import progress
    from galshift.data.open import open_dataset
    from galshift.domains.splits import absolute, read_splits
    from galshift.evaluation.predictions import write_predictions
    from galshift.runs.number_answers import answers, prediction_table
    from galshift.runs.truth import numbered_options, truth_of
    from galshift.training.predict import forward

    head = trained.head
    dataset = open_dataset(config.data, numbered_options(config.read, head))
    with progress("predict", len(dataset)) as bar:
        out = forward(trained, dataset, device=context.device, progress=bar.advance)
    said = answers(trained, out, head.names)
    parts = split_column(dataset.info.ids, read_splits(trained.path.parent), absolute(config.data))
    table = prediction_table(
        head.kind,
        head.names,
        said,
        truth_of(dataset, head, config.read),
        dataset,
        np.arange(len(dataset)),
        data_set=dataset.name,
        split=parts,
    )
    path = context.out or run.path / Predict.product
    details = {"run": str(config.run), "data": str(config.data), "meta": trained.meta}
    write_predictions(path, table, provenance=details)
    good = said.usable
    means = said.centre[good].mean(axis=0).tolist() if good.any() else [float("nan")] * len(head.names)
    return {
        "n": len(dataset),
        "n_flagged": int(np.sum(~good)),
        "label_kind": head.kind,
        "labels": list(head.names),
        "mean_prediction": dict(zip(head.names, means, strict=True)),
        "warnings": [],
        "outputs": {"predictions": path.name},
        "product": path.name,
    }
