"""Train the source-only and the adapted networks, and evaluate them on images that neither was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from galshift.data.card import resolve
from galshift.domains.balance import Balance, balance_of, tell
from galshift.domains.domain import Domain, open_source, open_target
from galshift.domains.splits import SplitRecord
from galshift.domains.start import started
from galshift.domains.target_labels import TargetLabels, read_target_labels, set_aside
from galshift.doubt.choice import Choice
from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.report import Section
from galshift.rundirectory import AUTO, BASELINE, CANDIDATES, JOINT, SELECTION
from galshift.runs.classifiers import Classifier, beside, open_classifiers
from galshift.runs.roles import begun_as
from galshift.runs.test_sets import open_test_sets
from galshift.training import parallel
from galshift.training.checkpoint import FILE
from galshift.training.feature_store import FeatureStore
from galshift.training.job import NetworkJob
from galshift.training.renewed import is_renewal, renewed
from galshift.training.roles import Seen, Stage, recorded
from galshift.training.start import check_tuning
from galshift.training.train_network import Fitted, from_trained, source_free, train_network
from galshift.types import Strict
from galshift.verbs._settings import settings_document
from galshift.verbs.adapt.auto import choice_section, fit_auto
from galshift.verbs.adapt.config import ON_FEATURES, AdaptStepConfig
from galshift.verbs.adapt.given import Given, given, show
from galshift.verbs.adapt.job import check, encoder_job, network_job
from galshift.verbs.adapt.mix_prior import target_mix
from galshift.verbs.adapt.records import records_of
from galshift.verbs.adapt.settings import settings_sections
from galshift.verbs.adapt.warnings import adaptation_warnings
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.products import write_evaluation
from galshift.verbs.evaluate.result import Evaluation
from galshift.verbs.evaluate.work import evaluate_open

PROBE = "probe"  # a linear head on frozen features


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
    source, target, labels = _domains(config)
    job = network_job(config, source, target, device, labels.found)
    check_tuning(job)
    balance = balance_of(job, source)
    tell(balance)
    seen = given({"source": source, "target": target}, job.preprocessing, labels.found)
    show(seen.document())
    seen.write(folder)
    records = records_of(config, source, target, labels.found, job.init)
    records.write(folder)
    names = source.dataset.name, target.dataset.name
    pairs, features = {}, FeatureStore(config.seed)
    for seed in range(config.seed, config.seed + config.seeds):
        own = folder if seed == config.seed else folder / f"seed-{seed}"
        pairs[seed] = fit_pair(config, job, own, seed, features, names)
        records.write(own)
        records.write_baseline(own)
    job.held.clear()  # network input that only training needs
    first, settled = pairs[config.seed], settings_document(config)
    found = replace(
        _evaluated(config, folder, records.splits, first, device),
        opening=(*settings_sections(settled), seen.section(), *_shown(balance)),
        training={} if balance is None else {"class_balance": balance.document()},
    )
    notes = [*labels.notes, *_without_curve(config, found)]
    found = replace(found, warnings=(*notes, *found.warnings))
    products = write_evaluation(found, folder, samples=config.samples, seed=config.seed)
    return {
        "method": config.method.kind if first.choice is None else first.choice.chosen,
        "model": first.adapted.trained.model.spec["name"],
        "n_source_train": len(job.source),
        "n_target_train": len(job.target),
        **({} if job.labelled is None else {"n_target_labels": len(job.labelled)}),
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


def _without_curve(config: AdaptStepConfig, found: Evaluation) -> list[str]:
    """Say why there is no learning curve where one was asked for."""
    if not config.earlier or found.learning:
        return []
    name = found.sets[-1].name
    if found.sets[-1].labelled:
        return ["There is no learning curve: the runs learnt the same number of labels."]
    return [
        f"There is no learning curve: no galaxy of {name} that judges has a label. Label a random sample of "
        "them (galshift suggest --aim measure), then galshift evaluate all runs with --labels."
    ]


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
    source, target, labels = _domains(config)
    pairs = (config.source, source), (config.target, target)
    _, preprocessing = started(config.init, config.preprocess, config.read, config.seed, *pairs)
    return given({"source": source, "target": target}, preprocessing, labels.found)


@dataclass(frozen=True)
class _Labels:
    """Labels of the target, if any were given, and what they changed in the splits."""

    found: TargetLabels | None = None
    notes: tuple[str, ...] = ()


def _domains(config: AdaptStepConfig) -> tuple[Domain, Domain, _Labels]:
    source = open_source(config.source, config.read, config.split, config.seed, config.observe)
    target = open_target(config.target, config.read_target, config.split, config.seed, source)
    if config.target_labels is None:
        return source, target, _Labels()
    found = read_target_labels(config.target_labels, target.dataset, source.info, config.read)
    target, source, notes = set_aside(found, target, source)
    return source, target, _Labels(found, tuple(notes))


def fit_pair(
    config: AdaptStepConfig,
    job: NetworkJob,
    folder: Path,
    seed: int,
    features: FeatureStore | None = None,
    names: tuple[str, str] = ("source", "target"),
) -> Pair:
    """Train the source-only network and the adapted one, or several to choose from, with one seed.

    `names` are those of the two data sets, for the record of what each network was trained on.
    """

    def fit(
        name: str,
        where: Path,
        options: Strict | None = None,
        job: NetworkJob = job,
        before: Fitted | None = None,
    ) -> Fitted:
        method = METHODS.get(name)(options)
        own, begun = job, begun_as(job.init)
        if method.from_trained or not method.needs_source:
            trained = plain if before is None else before
            own = from_trained(job, trained) if method.from_trained else source_free(job, trained)
            begun = begun_as(own.init)
        meta = {"method": name, **recorded(_stage(own, method, names), begun)}
        if name != BASELINE and is_renewal(method, own):
            return renewed(plain, own, method, where, meta=meta)
        label = name if before is None and where.name != PROBE else f"{job.network}: {name}"
        return train_network(own, method, where, seed, label=label, meta=meta, features=features)

    plain = fit(BASELINE, folder / BASELINE, job=replace(job, labelled=None))
    summaries = {BASELINE: plain.summary}
    if job.head.kind == "class":
        job = replace(job, prior_target=target_mix(plain, job))
    if config.method.kind != AUTO:
        adapted = fit(config.method.kind, folder, config.method.config)
        return Pair(plain, adapted, summaries | {"adapted": adapted.summary})
    how, select = config.method.config, config.training.select
    base, name = plain, BASELINE
    if job.labelled is not None:  # whoever gives labels does not want a network without them
        base, name = fit(BASELINE, folder / CANDIDATES / JOINT), JOINT
        summaries[JOINT] = base.summary
    others = _second_family(encoder_job(config, job), folder / CANDIDATES, fit)
    summaries |= {name: one.summary for name, one in others.items()}
    fitted, adapted, choice = fit_auto(how, select, folder, base, fit, base=name, others=others)
    summaries |= {name: one.summary for name, one in fitted.items()}
    return Pair(plain, adapted, summaries | {"adapted": summaries[choice.chosen]}, choice)


def _second_family(job: NetworkJob | None, folder: Path, fit: Callable[..., Fitted]) -> dict[str, Fitted]:
    """The probe of a named encoder, and what works on its features, by the name that they have in a pool."""
    if job is None:
        return {}
    probe = fit(BASELINE, folder / PROBE, job=job)
    found = {f"{job.network} {PROBE}": probe}
    for name in ON_FEATURES:
        found[f"{job.network} {name}"] = fit(name, folder / f"{PROBE}-{name}", job=job, before=probe)
    return found


def _stage(job: NetworkJob, method: Method, names: tuple[str, str]) -> Stage:
    """What one network of an adaptation between data sets of these names is trained on."""
    source = None if job.source is None or job.source.labels is None else job.source
    sets = (source, job.target if method.uses_target else None, job.labelled)
    of = (names[0], names[1], names[1])
    seen = [None if one is None else Seen(name, len(one)) for name, one in zip(of, sets, strict=True)]
    return Stage(*seen)


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
    earlier = open_classifiers(config.earlier, with_baseline=False) if config.earlier else []
    # The last one's record says what the test parts are: this run's, of which the others saw nothing either.
    sets = open_test_sets([*earlier, *classifiers], how.on, how.read, classifiers[0].trained.head.names)
    found = evaluate_open(beside(classifiers, earlier), sets, how, device)
    return _with_selection(found, pair, classifiers[0])


def _with_selection(found: Evaluation, pair: Pair, adapted: Classifier) -> Evaluation:
    """Add warnings that need no label, and how the method was chosen."""
    choice = pair.choice
    method = METHODS.get(str(pair.adapted.trained.meta["method"]))  # whatever its name in a pool
    outputs = (pair.adapted.candidate, pair.plain.candidate)
    another = None if choice is None else choice.another_mix
    lines = adaptation_warnings(*outputs, adapted.history, found.classes, method, another)
    sections = () if choice is None else (choice_section(choice, found.classes),)
    return replace(found, warnings=(*found.warnings, *lines), sections=sections)
