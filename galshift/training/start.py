"""The network that a training starts from: a fresh one, another run's, or a pre-trained encoder."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch

from galshift.console import warn
from galshift.errors import ConfigError, DataError
from galshift.methods._base import Method
from galshift.models import MODELS
from galshift.models.build import build_model
from galshift.models.tuning import ALL, HEAD
from galshift.training.checkpoint import ENCODER, Trained, load_checkpoint
from galshift.training.config import TrainConfig
from galshift.training.job import NetworkJob


def start_from(init: str | None, classes: list[str], bands: list[str], kind: str = "class") -> Trained | None:
    """Return the run to start from, checked against the classes and bands of the new data.

    Raises
    ------
    DataError
        When its bands or kind of label are others, or it does not know all classes; their order may differ.
    """
    if init is None:
        return None
    trained = load_checkpoint(init, encoder=True)
    if trained.head.kind != kind and not trained.meta.get(ENCODER):
        raise DataError(
            f"the run to start from has labels of the kind '{trained.head.kind}', not '{kind}'", where=init
        )
    if trained.meta.get(ENCODER):
        constants = trained.preprocessing.model_copy(update={"classes": classes})
        trained = replace(trained, classes=tuple(classes), preprocessing=constants)
    for name, mine, theirs, fits in (
        ("classes", classes, list(trained.classes), _known_names(classes, trained.classes, kind)),
        ("bands", bands, list(trained.bands), bands == list(trained.bands)),
    ):
        if not fits:
            raise DataError(
                f"the run to start from has the {name} {', '.join(theirs)}; the data have {', '.join(mine)}",
                where=init,
                hint="choose the same with --classes-map or --bands, or leave --init out",
            )
    return trained


def check_tuning(job: NetworkJob) -> None:
    """Warn where layers would rest that nothing has trained: a fresh network's features are random."""
    tune = job.training.tune
    if tune != ALL and job.init is None and not MODELS.get(job.network).pretrained:
        warn(
            f"'{job.network}' starts from random weights, and 'tune: {tune}' leaves most of them so; name a "
            "pre-trained encoder (--model) or a run to start from (--init), or tune all"
        )


def check_tuned(method: type[Method] | Method, training: TrainConfig, name: str) -> None:
    """Refuse a method that measures features once, where the encoder that gives them is trained.

    Raises
    ------
    ConfigError
    """
    if method.fixed_features and training.tune != HEAD:
        raise ConfigError(
            f"{name} works on features that do not change, and 'tune: {training.tune}' changes them",
            where="training.tune",
            hint="--tune head, with a pre-trained encoder (--model efficientnet-lite0, or its folder) or a "
            "run to start from (--init RUN)",
        )


def starting_network(job: NetworkJob, seed: int) -> torch.nn.Module:
    """Return a fresh network, a copy of the one to start from, or a pre-trained encoder with a fresh head."""
    p, init = job.preprocessing, job.init
    if init is not None and not init.meta.get(ENCODER):
        return copy.deepcopy(init.model).requires_grad_(True).train()
    fresh = build_model(
        job.network,
        in_channels=len(p.bands),
        size=p.size,
        n_classes=job.head.n_outputs,
        options=job.model.config.model_dump(mode="json") if init is None else init.model.spec["options"],
        seed=seed,
    )
    if init is not None:
        head = {f"head.{name}" for name in fresh.head.state_dict()}
        learnt = {name: value for name, value in init.model.state_dict().items() if name not in head}
        fresh.load_state_dict(fresh.state_dict() | learnt)
    return fresh


def _known_names(mine: Sequence[str], theirs: Sequence[str], kind: str) -> bool:
    """A class may be missing from new data; a number that every image needs may not."""
    return set(mine) <= set(theirs) if kind == "class" else set(mine) == set(theirs)
