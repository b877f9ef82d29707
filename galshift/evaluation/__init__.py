"""How well a classifier does, how sure of that we are, and how far apart two data sets lie.

=================  =========================================================================================
metric             what a metric is: one row; ``METRICS`` holds them all, those of other packages too
classes            the metrics of classes, and the tables beside them in ``metrics.json``
values, votes      the metrics of continuous labels and of votes
per_class          completeness and purity of each class with their intervals
thresholds         from which probability on to select a class, and what to expect of that
count_labelled     the fraction of a class by a random sample of labels and predictions for all
count_unlabelled   the class mix without labels, and tests of its premise
bootstrap          draws of galaxies, intervals, paired differences between two networks
calibration        reliability curves, expected calibration error
honesty            what may be said without labels, and warnings in plain words
unknown            how well a class that the source does not have is found
gap                domain gap: proxy A-distance, MMD, Frechet distance
measurements       what differs between two sets of images: sky noise, size, colour, ...
explain            Grad-CAM maps and scores that say whether to believe them
predictions        the table of predictions, as FITS, CSV or Parquet
=================  =========================================================================================
"""

from galshift.evaluation.classes import class_metrics
from galshift.evaluation.metric import METRICS, Metric
from galshift.evaluation.values import continuous_metrics
from galshift.evaluation.votes import votes_metrics

__all__ = ["METRICS", "Metric", "class_metrics", "continuous_metrics", "votes_metrics"]
