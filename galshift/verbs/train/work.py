"""Train one network on one labelled data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from galshift.data.card import resolve
from galshift.domains.account import account, write_accounts
from galshift.domains.balance import balance_of, tell
from galshift.domains.domain import open_source
from galshift.domains.label_record import read_label_record
from galshift.domains.splits import write_splits
from galshift.domains.start import started
from galshift.domains.training_set import head_for, training_set
from galshift.methods import METHODS
from galshift.rundirectory import BASELINE
from galshift.runs.roles import begun_as, learnt_before
from galshift.training.checkpoint import FILE
from galshift.training.feature_store import FeatureStore
from galshift.training.job import NetworkJob
from galshift.training.roles import Seen, Stage, recorded
from galshift.training.start import check_tuning
from galshift.training.train_network import augmentations, train_network
from galshift.verbs._settings import settings_document
from galshift.verbs.train.config import TrainStepConfig


def work(config: TrainStepConfig, folder: Path, device: str) -> dict[str, Any]:
    """Train into `folder` and return the headline results.

    Raises
    ------
    DataError
        When the data set or the run to start from cannot be trained on.
    """
    config = config.model_copy(update={"read": resolve(config.data, config.read).options})
    source = open_source(config.data, config.read, config.split, config.seed, config.observe)
    init, preprocessing = started(
        config.init, config.preprocess, config.read, config.seed, (config.data, source)
    )
    job = NetworkJob(
        source=training_set(source, "train", preprocessing),
        valid=training_set(source, "valid", preprocessing),
        target=None,
        training=config.training,
        head=head_for(config.read, source, preprocessing.classes, init),
        device=device,
        **augmentations(config.augment, torch.tensor(preprocessing.sky_sigma)),
        stretch=preprocessing.stretch,
        preprocessing=preprocessing,
        model=config.model,
        init=init,
    )
    check_tuning(job)
    balance = balance_of(job, source)
    tell(balance)
    write_splits(folder, {"source": source.record(config.data, config.read), **learnt_before(init)})
    seen, _ = account(source.dataset, source.parts["train"], preprocessing)
    write_accounts(folder, {"source": seen})
    record = None if init is None else read_label_record(init.path.parent)
    if record is not None:
        record.write(folder)
    stage = Stage(source=Seen(source.dataset.name, len(job.source)))
    method, meta = METHODS.get(BASELINE)(), {"method": BASELINE, **recorded(stage, begun_as(init))}
    fitted = train_network(
        job, method, folder, config.seed, label="train", meta=meta, features=FeatureStore(config.seed)
    )
    return {
        "model": job.network,
        "method": BASELINE,
        "classes": list(preprocessing.classes),
        **({} if config.read.label_kind == "class" else {"label_kind": config.read.label_kind}),
        "n_train": len(job.source),
        **({} if balance is None else {"class_balance": balance.document()}),
        "fit": fitted.summary,
        **settings_document(config),
        "outputs": {"model": FILE},
    }
