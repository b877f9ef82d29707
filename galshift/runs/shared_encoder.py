"""Answers of networks that share an encoder: images pass through it once, each head reads the features."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch

from galshift.data.cutouts import Dataset
from galshift.provenance import canonical_json
from galshift.training.checkpoint import Trained
from galshift.training.feature_store import encoder_key
from galshift.training.predict import Forward, collected
from galshift.training.threads import cpu_threads, suited_threads

_BATCH = 64  # as a whole pass has, so that the sums in the head are in the same order


class SharedEncoder:
    """Remembers the features of the encoders that it met, by data set.

    Two heads on one encoder, as ``tune: head`` gives for every method and seed, then cost one pass.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int, bytes], tuple[Dataset, Forward]] = {}

    def outputs(
        self, trained: Trained, dataset: Dataset, rows: np.ndarray, compute: Callable[[], Forward]
    ) -> Forward:
        """Return the outputs for `rows` (n,) of `dataset`: from known features, or else by `compute`.

        `compute` is called where no network with the same encoder and preprocessing was asked for these rows
        before.
        """
        constants = canonical_json(trained.preprocessing.model_dump(mode="json"))
        key = (encoder_key(trained.model), constants, id(dataset), np.asarray(rows).tobytes())
        if key not in self._known:
            self._known[key] = (dataset, compute())  # the data set is held, so that its id stays its own
            return self._known[key][1]
        return _by_head(trained, self._known[key][1])


def _by_head(trained: Trained, known: Forward) -> Forward:
    head = copy.deepcopy(trained.model.head).cpu().eval()
    features = torch.from_numpy(known.features)
    with cpu_threads(suited_threads(trained.model)), torch.inference_mode():
        logits = torch.cat([head(part) for part in features.split(_BATCH)])
    return collected(logits.numpy(), known.features.copy(), known.flags)
