"""How well a classifier does, how sure of that we are, and how far apart two data sets lie.

=================  =========================================================================================
metrics            the numbers of ``metrics.json``, each with an interval from resampling galaxies
bootstrap          resampling weights, weighted statistics, paired differences between two models
calibration        reliability curves, expected calibration error
honesty            what may be said without labels, and warnings in plain words
gap                domain gap: proxy A-distance, MMD, Frechet distance
measurements       what differs between two sets of images: sky noise, size, colour, ...
explain            Grad-CAM maps and scores that say whether to believe them
predictions        the table of predictions, as FITS, CSV or Parquet
=================  =========================================================================================
"""
