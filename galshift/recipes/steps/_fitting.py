"""One network trained on one pair of domains, kept with everything its use needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from galshift.data.augment import AugmentConfig, augment
from galshift.data.preprocess import Preprocessing
from galshift.errors import ConfigError, DataError
from galshift.methods._base import Method
from galshift.models.build import build_model
from galshift.recipes.steps._candidates import OUTPUTS, keep_outputs
from galshift.selection import DEFAULT_EPOCH, SELECTORS
from galshift.selection._base import Candidate, Measured, Selector
from galshift.training import parallel
from galshift.training.checkpoint import (
    ENCODER,
    FILE,
    Trained,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from galshift.training.config import PLAIN_SELECTION, TrainConfig
from galshift.training.heads import Head, check_method, make_head
from galshift.training.loop import clear, fit
from galshift.training.sets import TrainingSet
from galshift.training.unknown import FILE as UNKNOWN
from galshift.training.unknown import save_scorer

if TYPE_CHECKING:
    from galshift.data.options import ReadOptions
    from galshift.recipes.choice import Chosen
    from galshift.recipes.steps._domains import Domain

# A strong view for self-training: what a worse night or another pointing could have done to the galaxy.
STRONG = AugmentConfig(
    shift_px=2.0, zoom=0.1, flux_jitter=0.2, color_jitter=0.05, noise=(0.5, 3.0), blur_px=1.0
)


@dataclass(frozen=True)
class Material:
    """What every candidate of one run is trained on.

    Attributes
    ----------
    source, valid, target : TrainingSet or None
    preprocessing : Preprocessing
    noise_scale : Tensor
        (C,) noise level that augmentation is measured in, in the linear unit.
    augmentation : AugmentConfig
    model : Chosen
    init : Trained or None
        Weights to start from.
    training : TrainConfig
    device : str
    head : Head
        What the labels are.
    prior_target : ndarray or None
        (K,) class mix of the target, where another than the source's is credible.
    """

    source: TrainingSet | None
    valid: TrainingSet
    target: TrainingSet | None
    preprocessing: Preprocessing
    noise_scale: Tensor
    augmentation: AugmentConfig
    model: Chosen
    init: Trained | None
    training: TrainConfig
    device: str
    head: Head
    prior_target: np.ndarray | None = None

    @property
    def network(self) -> str:
        """Name of the network that is trained: the one to start from, where there is one."""
        return self.model.kind if self.init is None else str(self.init.model.spec["name"])


def fit_one(
    material: Material,
    method: Method,
    directory: Path,
    seed: int,
    *,
    label: str,
    meta: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train one network into `directory`, or return at once when it is there already.

    Returns
    -------
    dict
        ``best_epoch``, ``epochs``, ``stopped``, ``seconds`` (None when it had been trained before) and
        ``notes`` of the training.
    """
    kept = trained_before(directory)
    if kept is not None:
        return {**kept, "seconds": None}
    network = _network(material, seed)
    selector, training = selection(material.training, method, material.head)
    result = fit(
        network,
        method,
        material.source,
        material.valid,
        material.target if method.uses_target else None,
        training,
        directory=directory,
        seed=seed,
        head=material.head,
        device=material.device,
        augment=augmenter(material.augmentation, material.noise_scale),
        strong_augment=augmenter(STRONG, material.noise_scale),
        stretch=material.preprocessing.stretch,
        selector=_informed(selector, material.prior_target),
        progress=label,
    )
    summary = {
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "stopped": result.stopped,
        "seconds": round(result.seconds, 1),
        "notes": list(result.notes),
    }
    directory.mkdir(parents=True, exist_ok=True)
    if material.target is not None and material.head.has_classes:
        keep_outputs(directory, result.model, result.valid, material)
    if material.target is not None:
        sizes = {"n_classes": material.head.n_outputs, "n_target": len(material.target)}
        save_scorer(directory, label, method, {"feature_dim": result.model.feature_dim, **sizes})
    # Seconds differ from run to run and stay out of a checkpoint that repeats bit for bit.
    kept = {key: value for key, value in summary.items() if key != "seconds"}
    save_checkpoint(
        directory,
        result.model,
        preprocessing=material.preprocessing.model_dump(mode="json"),
        classes=material.preprocessing.classes,
        bands=material.preprocessing.bands,
        meta={**(meta or {}), **head_meta(material.head), "seed": seed, "fit": kept},
    )
    clear(directory)
    share(directory)
    return summary


def head_meta(head: Head) -> dict[str, Any]:
    """What a checkpoint's meta says of the head; nothing for classes, as ever."""
    return {} if head.kind == "class" else {"head": head.spec()}


def head_for(read: ReadOptions, source: Domain, classes: Sequence[str], init: Trained | None) -> Head:
    """Return the head for the labels of `source`: that of the run to start from, which its outputs mean.

    Parameters
    ----------
    read : ReadOptions
        How the source was read.
    source : Domain
    classes : sequence of str
        In the network's order.
    init : Trained or None
    """
    if init is not None and not init.meta.get(ENCODER):
        return init.head
    labels = np.asarray(source.info.labels)[source.parts["train"]]
    return make_head(read.label_kind, classes, labels, total=read.vote_total)


def check_choice(training: TrainConfig, name: str, method: Method, kind: str) -> None:
    """Refuse, before anything is trained, a method or selector that cannot do with this kind of label.

    Raises
    ------
    ConfigError
    """
    if kind == "value":
        head = make_head(kind, ["label"], np.array([[0.0], [1.0]]))
        check_method(method, head, name)
        selection(training, method, head)


def selection(training: TrainConfig, method: Method, head: Head) -> tuple[Selector | None, TrainConfig]:
    """What chooses the epoch; a method that never sees the target leaves that to the source."""
    select = training.select
    if not head.has_classes and select not in PLAIN_SELECTION:
        raise ConfigError(
            f"'{select}' ranks class predictions, and the labels are continuous",
            where="training.select",
            hint="source-loss or last",
        )
    if (not method.uses_target or not head.has_classes) and select != "last":
        select = "source-loss"
    elif select == "auto":
        # The networks that tell an unknown class belong to the last epoch.
        select = "last" if method.scoring else DEFAULT_EPOCH
    selector = None if select in PLAIN_SELECTION else SELECTORS.get(select)()
    return selector, training.model_copy(update={"select": select})


def _informed(selector: Selector | None, prior: np.ndarray | None) -> Selector | InformedSelector | None:
    """A selector that also sees the class mix of the target, where it is known."""
    return selector if selector is None or prior is None else InformedSelector(selector, prior)


@dataclass(frozen=True)
class InformedSelector:
    """Hands the class mix of the target to a selector."""

    selector: Selector
    prior: np.ndarray

    def measure(self, candidate: Candidate) -> Measured:
        """Return what is kept of `candidate`."""
        return self.selector.measure(replace(candidate, prior_target=self.prior))

    def compare(self, measured: Sequence[Measured]) -> np.ndarray:
        """Return the scores (n,) of a pool."""
        return self.selector.compare(measured)


def trained_before(directory: Path) -> dict[str, Any] | None:
    """Return the summary of the training whose model is in `directory` already, or None."""
    here = read_checkpoint(directory)[0]["meta"]["fit"] if (directory / FILE).is_file() else None
    found = parallel.from_first(here, parallel.connect())
    if found is not None:
        clear(directory)
        share(directory)
    return found


def share(directory: Path) -> None:
    """Give every other process a copy of what the first one has in `directory`, once it is all there."""
    world = parallel.connect()
    first = Path(parallel.from_first(str(directory.absolute()), world))
    if world.rank > 0:
        directory.mkdir(parents=True, exist_ok=True)
        for name in (UNKNOWN, FILE, OUTPUTS, "metrics.jsonl"):
            if (first / name).is_file():
                shutil.copyfile(first / name, directory / name)


def source_free(material: Material, baseline: Path) -> Material:
    """Return the material of a method that changes a trained network by the target alone.

    It starts from the run to start from, or else from the source-only network in `baseline`.  The source's
    loss, which such a method does not see, cannot choose its epoch: the last one counts instead.
    """
    training = material.training
    if training.select in ("auto", "source-loss"):
        training = training.model_copy(update={"select": "last"})
    return replace(
        material, source=None, init=material.init or load_checkpoint(baseline, values=True), training=training
    )


def start_from(init: str | None, classes: list[str], bands: list[str], kind: str = "class") -> Trained | None:
    """Return the run to start from, checked against the classes and bands of the new data.

    Raises
    ------
    DataError
        When its bands or kind of label are others, or it does not know all classes; their order may differ.
    """
    if init is None:
        return None
    trained = load_checkpoint(init, encoder=True, values=True)
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


def _known_names(mine: Sequence[str], theirs: Sequence[str], kind: str) -> bool:
    """A class may be missing from new data; a number that every image needs may not."""
    return set(mine) <= set(theirs) if kind == "class" else set(mine) == set(theirs)


def _network(material: Material, seed: int) -> torch.nn.Module:
    """A fresh network, a copy of the one to start from, or a pre-trained encoder with a fresh head."""
    p, init = material.preprocessing, material.init
    if init is not None and not init.meta.get(ENCODER):
        return load_checkpoint(init.path, values=True).model.requires_grad_(True).train()
    network = build_model(
        material.network,
        in_channels=len(p.bands),
        size=p.size,
        n_classes=material.head.n_outputs,
        options=material.model.config.model_dump(mode="json") if init is None else init.model.spec["options"],
        seed=seed,
    )
    if init is not None:
        head = {f"head.{name}" for name in network.head.state_dict()}
        learnt = {name: value for name, value in init.model.state_dict().items() if name not in head}
        network.load_state_dict(network.state_dict() | learnt)
    return network


def augmenter(config: AugmentConfig, noise_scale: Tensor) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Return the augmentation of `config` as the loop calls it: (linear images, generator) to images."""

    def change(linear: Tensor, generator: torch.Generator) -> Tensor:
        return augment(linear, config, generator, noise_scale.to(linear.device))

    return change
