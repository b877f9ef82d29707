"""A random forest on measured shapes: concentration, asymmetry, smoothness, Gini, M20, size and colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from galshift.evaluation.baselines import BASELINES
from galshift.evaluation.baselines._base import Baseline, Predict, in_all_classes, library_seed
from galshift.evaluation.morphology import measure

if TYPE_CHECKING:
    from galshift.data.preprocess import Preprocessing

N_TREES = 100


@BASELINES.register("morphology-forest")
class MorphologyForest(Baseline):
    """Breiman 2001 (Machine Learning 45, 5) on the measures of :mod:`galshift.evaluation.morphology`."""

    title = "morphology forest"

    def features(self, linear: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
        """Return seven measures and the colours of neighbouring bands, NaN where one is not defined."""
        return measure(linear, bands=tuple(preprocessing.bands)).features()

    def learn(self, features: np.ndarray, labels: np.ndarray, n_classes: int, seed: int) -> Predict:
        """Grow a forest with balanced class weights.

        What was not measured takes the median of the training images, and a column of its own says so.
        """
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        forest = RandomForestClassifier(
            N_TREES,
            min_samples_leaf=2,
            class_weight="balanced",
            n_jobs=1,
            random_state=library_seed(seed, "morphology-forest"),
        )
        imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        model = make_pipeline(imputer, forest).fit(features, labels)
        return lambda test: in_all_classes(model.predict_proba(test), forest.classes_, n_classes)
