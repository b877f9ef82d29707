"""Classify every image of a data set and write a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import reading
from galshift.verbs._threshold import THRESHOLD
from galshift.verbs.predict.config import PredictConfig


@STEPS.register("predict")
class Predict(Step):
    """Classify every image: one row each, with the catalogue's columns passed through.

    Columns: id, group, data_set, split (train, valid or test where the run used the image), label,
    prediction, confidence, p_<class>, entropy [nat], prediction_set (classes that cannot be ruled out, at
    --level), in_doubt (not exactly one), flag (0 = good); the header has a verdict on them all.  For a
    continuous label: label, value, value_sigma; for votes also observed_<class>, votes, concentration.
    With --threshold: selected.
    """

    kind = "predict"
    version = 3  # verdict; prediction sets weighted by how sure the answers are
    Config = PredictConfig
    positionals = ("run", "data")
    options = ("shards", THRESHOLD, "level", *reading("read"))
    examples = (
        "galshift predict runs/adapt-1a2b3c4d sdss/ predictions.fits",
        "galshift predict runs/adapt-1a2b3c4d sdss/ predictions.csv --on-error skip",
        "galshift predict runs/adapt-1a2b3c4d sdss/ mergers.fits --threshold merger=purity:0.9",
        "galshift predict runs/adapt-1a2b3c4d 'sdss/*.h5' predictions.parquet --shards 100000 --workers 4",
    )
    out_help = "Table to write: .fits, .csv or .parquet."
    inputs = ("run", "data", "read.labels?", "read.psf?", "read.weights?")
    product = "predictions.fits"
    newer = ("shards", "threshold", "level")
    resources = ("device", "workers", "scheduler")

    def product_of(self, config: PredictConfig) -> str:
        """Return the table, or the folder of its shards."""
        return self.product if config.shards is None else "predictions.parquet"

    def products(self, config: PredictConfig, out: Path) -> list[Path]:
        """Return the table, once its ending is known to name a format."""
        from galshift.evaluation.predictions import check_format
        from galshift.evaluation.shards import check_folder

        (check_format if config.shards is None else check_folder)(out)
        return [out]

    def run(self, config: PredictConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Classify, in chunks, into ``context.out``."""
        from galshift.verbs.predict.work import work

        out = context.out or run.path / self.product_of(config)
        return work(config, out, context.device, context.engine)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say the predicted mix, without a claim about how right it is."""
        verb = "classified" if "label_kind" not in results else "read"
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
        lines += results.get("verdict_lines", [])
        if "share_in_doubt" in results:
            sets, share = results["prediction_sets"], results["share_in_doubt"]
            told = f"their set at {sets['level']:.0%} is not one class"
            lines.append(f"{share:.0%} of the images are in doubt: {told}")
            if not sets["holds"]:
                lines.append(
                    f"the sets may hold fewer truths than that here: they assume that {sets['assumes']}"
                )
        lines += results.get("selection", [])
        return [*lines, *(f"note: {line}" for line in results["warnings"])]
