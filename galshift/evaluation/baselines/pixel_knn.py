"""The nearest neighbours among small pixels: images averaged to about ten pixels a side, then stretched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from galshift.evaluation.baselines import BASELINES
from galshift.evaluation.baselines._base import Baseline, Predict, in_all_classes

if TYPE_CHECKING:
    from galshift.data.preprocess import Preprocessing

SIDE = 12  # pixels at most
NEIGHBOURS = 15


@BASELINES.register("pixel-knn")
class PixelKnn(Baseline):
    """Cover & Hart 1967 (IEEE Transactions on Information Theory 13, 21); every class has the same say."""

    title = "pixel k-NN"

    def features(self, linear: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
        """Return the pixels of block averages, stretched as the network's input is."""
        import torch

        small = block_average(linear).astype(np.float32)
        stretched = preprocessing.stretch(torch.from_numpy(small)).numpy()
        return stretched.reshape(len(linear), -1).astype(np.float64)

    def learn(self, features: np.ndarray, labels: np.ndarray, n_classes: int, seed: int) -> Predict:
        """Remember the images; a neighbour counts by one over the number of its class."""
        from sklearn.impute import SimpleImputer
        from sklearn.neighbors import KNeighborsClassifier

        imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(features)
        neighbours = KNeighborsClassifier(min(NEIGHBOURS, len(labels)), algorithm="brute", n_jobs=1)
        neighbours.fit(imputer.transform(features), labels)
        known = neighbours.classes_
        weight = 1 / np.bincount(labels, minlength=n_classes)[known]

        def predict(test: np.ndarray) -> np.ndarray:
            votes = neighbours.predict_proba(imputer.transform(test)) * weight
            return in_all_classes(votes / votes.sum(axis=1, keepdims=True), known, n_classes)

        return predict


def block_average(images: np.ndarray) -> np.ndarray:
    """Return means over square blocks, at most `SIDE` a side; what is left over at the edges is cut off.

    Parameters
    ----------
    images : ndarray
        (N, C, S, S).

    Returns
    -------
    ndarray
        (N, C, S // b, S // b) with ``b = ceil(S / SIDE)``.
    """
    n, c, side, _ = images.shape
    block = -(-side // SIDE)
    count = side // block
    start = (side - count * block) // 2
    inner = slice(start, start + count * block)
    cut = images[:, :, inner, inner].reshape(n, c, count, block, count, block)
    return cut.mean(axis=(3, 5), dtype=np.float64)
