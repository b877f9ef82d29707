"""Train the source-only and the adapted networks, and evaluate them on images that neither was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from galshift.data.card import resolve
from galshift.domains.balance import Balance, balance_of, tell
from galshift.domains.domain import Domain, open_source, open_target
from galshift.domains.splits import SplitRecord, write_splits
from galshift.domains.start import started
from galshift.methods import METHODS
from galshift.report import Section
from galshift.rundirectory import AUTO, BASELINE, SELECTION
from galshift.runs.classifiers import Classifier, open_classifiers
from galshift.runs.test_sets import open_test_sets
from galshift.selection.choose import Choice
from galshift.training import parallel
from galshift.training.checkpoint import FILE
from galshift.training.feature_store import FeatureStore
from galshift.training.job import NetworkJob
from galshift.training.start import check_tuning
from galshift.training.train_network import Fitted, from_trained, source_free, train_network
from galshift.types import Strict
from galshift.verbs._settings import settings_document
from galshift.verbs.adapt.auto import choice_section, fit_auto
from galshift.verbs.adapt.config import AdaptStepConfig
from galshift.verbs.adapt.given import Given, given, show
from galshift.verbs.adapt.job import check, network_job
from galshift.verbs.adapt.mix_prior import target_mix
from galshift.verbs.adapt.settings import settings_sections
from galshift.verbs.adapt.warnings import adaptation_warnings
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.products import write_evaluation
from galshift.verbs.evaluate.result import Evaluation
from galshift.verbs.evaluate.work import evaluate_open


@dataclass(frozen=True)
class Pair:
    """The networks that were trained with one seed.

    Attributes
    ----------
    plain, adapted : Fitted
    summaries : dict
        Of the training of each network, by method; ``adapted`` is the one that was asked for or chosen.
    choice : Choice or None
        How it was chosen, where that was asked for.
    """

    plain: Fitted
    adapted: Fitted
    summaries: dict[str, Any]
    choice: Choice | None = None


def work(config: AdaptStepConfig, folder: Path, device: str) -> dict[str, Any]:
    """Train and evaluate into `folder` and return the headline results.

    Raises
    ------
    ConfigError, DataError
        When options do not go together, or the data sets cannot be trained on.
    """
    config = with_cards(config)
    check(config)
    source, target = _domains(config)
    job = network_job(config, source, target, device)
    check_tuning(job)
    balance = balance_of(job, source)
    tell(balance)
    seen = given({"source": source, "target": target}, job.preprocessing)
    show(seen.document())
    seen.write(folder)
    records = {
        "source": source.record(config.source, config.read),
        "target": target.record(config.target, config.read_target),
    }
    write_splits(folder, records)
    pairs, features = {}, FeatureStore(config.seed)
    for seed in range(config.seed, config.seed + config.seeds):
        own = folder if seed == config.seed else folder / f"seed-{seed}"
        pairs[seed] = fit_pair(config, job, own, seed, features)
        for place in (own, own / BASELINE):
            write_splits(place, records)
    job.held.clear()  # network input that only training needs
    first, settled = pairs[config.seed], settings_document(config)
    found = replace(
        _evaluated(config, folder, records, first, device),
        opening=(*settings_sections(settled), seen.section(), *_shown(balance)),
        training={} if balance is None else {"class_balance": balance.document()},
    )
    products = write_evaluation(found, folder, samples=config.samples, seed=config.seed)
    return {
        "method": config.method.kind if first.choice is None else first.choice.chosen,
        "model": job.network,
        "n_source_train": len(job.source),
        "n_target_train": len(job.target),
        "fit": {str(seed): pair.summaries for seed, pair in pairs.items()},
        **({} if first.choice is None else {"selection": first.choice.document()}),
        **settled,
        **found.document(),
        "outputs": {
            "model": FILE,
            "baseline": f"{BASELINE}/{FILE}",
            **({} if first.choice is None else {"selection": SELECTION}),
            **products,
        },
    }


def _shown(balance: Balance | None) -> tuple[Section, ...]:
    section = None if balance is None else balance.section()
    return () if section is None else (section,)


def with_cards(config: AdaptStepConfig) -> AdaptStepConfig:
    """Return `config` with what the data cards of source and target say among its reading options."""
    read = resolve(config.source, config.read).options
    read_target = resolve(config.target, config.read_target).options
    return config.model_copy(update={"read": read, "read_target": read_target})


def first_look(config: AdaptStepConfig) -> Given:
    """Return what the networks of `config` would be given, without training any.

    Raises
    ------
    ConfigError, DataError
        As :func:`work`.
    """
    config = with_cards(config)
    check(config)
    source, target = _domains(config)
    pairs = (config.source, source), (config.target, target)
    _, preprocessing = started(config.init, config.preprocess, config.read, config.seed, *pairs)
    return given({"source": source, "target": target}, preprocessing)


def _domains(config: AdaptStepConfig) -> tuple[Domain, Domain]:
    source = open_source(config.source, config.read, config.split, config.seed, config.observe)
    return source, open_target(config.target, config.read_target, config.split, config.seed, source)


def fit_pair(
    config: AdaptStepConfig, job: NetworkJob, folder: Path, seed: int, features: FeatureStore | None = None
) -> Pair:
    """Train the source-only network and the adapted one, or several to choose from, with one seed."""

    def fit(name: str, where: Path, options: Strict | None = None) -> Fitted:
        method = METHODS.get(name)(options)
        own = job
        if method.from_trained:
            own = from_trained(job, plain)
        elif not method.needs_source:
            own = source_free(job, plain)
        meta = {"method": name}
        return train_network(own, method, where, seed, label=name, meta=meta, features=features)

    plain = fit(BASELINE, folder / BASELINE)
    summaries = {BASELINE: plain.summary}
    if job.head.kind == "class":
        job = replace(job, prior_target=target_mix(plain, job))
    if config.method.kind != AUTO:
        adapted = fit(config.method.kind, folder, config.method.config)
        return Pair(plain, adapted, summaries | {"adapted": adapted.summary})
    how, select, correct = config.method.config, config.training.select, job.head.kind == "class"
    fitted, adapted, choice = fit_auto(how, select, folder, plain, fit, correct=correct)
    summaries |= {name: one.summary for name, one in fitted.items()}
    return Pair(plain, adapted, summaries | {"adapted": summaries[choice.chosen]}, choice)


def _evaluated(
    config: AdaptStepConfig, folder: Path, records: dict[str, SplitRecord], pair: Pair, device: str
) -> Evaluation:
    """The evaluation of both networks on the open domains, with what needs no label to be said."""
    # What the other processes of a distributed training write is thrown away.
    baselines = config.baselines and parallel.connect().rank == 0
    how = EvaluateConfig(runs=[str(folder)], seed=config.seed, baselines=baselines)
    networks = {one.directory: one.trained for one in (pair.adapted, pair.plain)}
    classifiers = [
        replace(one, splits=records) for one in open_classifiers(how.runs, finished=False, networks=networks)
    ]
    sets = open_test_sets(classifiers, how.on, how.read, classifiers[0].trained.head.names)
    found = evaluate_open(classifiers, sets, how, device)
    return _with_selection(found, config, pair, classifiers[0])


def _with_selection(
    found: Evaluation, config: AdaptStepConfig, pair: Pair, adapted: Classifier
) -> Evaluation:
    """Add warnings that need no label, and how the method was chosen."""
    choice = pair.choice
    method = METHODS.get(config.method.kind if choice is None else choice.chosen)
    outputs = (pair.adapted.candidate, pair.plain.candidate)
    lines = adaptation_warnings(*outputs, adapted.history, found.classes, method)
    if choice is None:
        return replace(found, warnings=(*found.warnings, *lines))
    return replace(
        found,
        warnings=(*found.warnings, *lines, *choice.doubts),
        sections=(choice_section(choice, found.classes),),
    )
