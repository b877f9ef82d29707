"""Settings of published systems: what they hold, where it was read, and how options go over them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from galshift import settings
from galshift.data.hdf5 import write_hdf5
from galshift.errors import ConfigError
from galshift.recipes.doctor import examine
from galshift.recipes.execute import execute
from galshift.recipes.json_schema import recipe_schema
from galshift.recipes.prepare import InvalidConfig, prepare
from galshift.simulate.generate import simulate
from galshift.verbs import STEPS
from galshift.verbs._settings import settings_document, settings_lines
from galshift.verbs.adapt.config import AdaptStepConfig
from galshift.verbs.train.config import TrainStepConfig

SYSTEMS = ["deepadversaries", "deepastrouda", "deepmerge", "deepmerge2", "galaxy-da", "gammalearn", "sidda"]

# None of their training loops changes an image but by a fixed stretch: only DeepAstroUDA's does.
UNCHANGED = {"dihedral": False, "shift_px": 0.0, "flux_jitter": 0.0, "noise": (0.0, 0.0)}
# Read in the systems' own files, at the commits that the settings name; typed here by hand.  A class loss
# without weights, a clip or a ramp of the learning rate that is not there, has no line that could be cited.
PUBLISHED = {
    # deepskies/SIDDA 5485e01, src/scripts/example_yaml_train_SIDDA.yaml, train_SIDDA.py, models.py
    "sidda": {
        "model": {"kind": "sidda", "latent": 256, "dropout": 0.2, "small_start": True},
        "method": {
            "kind": "sinkhorn",
            "weighting": "uncertainty",
            "weight": 1.0,
            "diameter": "between",
            "relative_blur": 0.05,
            "min_blur": 0.01,
            "scaling": 0.9,
            "anneal_from": "box",
            "polish": 0,
        },
        "preprocess": {"stretch": "linear", "normalise": (0.5, 0.5)},
        "augment": UNCHANGED,
        "training": {
            "schedule": "step",
            "lr_ramp": 0.0,
            "select": "last",
            "lr": 1e-2,
            "weight_decay": 1e-3,
            "batch_size": 128,
            "epochs": 50,
            "patience": 50,
            "lr_decay": 0.1,
            "lr_milestones": (25, 40),
            "warmup_epochs": 5,
            "clip": 10.0,
            "clip_of": "network",
            "decay_of": "all",
            "class_weights": "none",
            "optimiser": "adamw",
        },
    },
    # deepskies/deepmerge-public 26102e3, DeepMerge-noisy.ipynb
    "deepmerge": {
        "model": {"kind": "deepmerge", "dropout": 0.5},
        "method": {"kind": "source-only"},
        "preprocess": {"stretch": "linear"},
        "augment": UNCHANGED,
        "training": {
            "weight_decay": 0.0,
            "schedule": "constant",
            "lr_ramp": 0.0,
            "clip": None,
            "class_weights": "none",
            "select": "source-accuracy",
            "batch_size": 128,
            "epochs": 500,
            "patience": 50,
            "optimiser": "adam",
            "lr": 1e-3,
        },
    },
    # AleksCipri/DeepMergeDomainAdaptation 2ffb6ce, train_MMD.py:633 and the notebook's command
    "deepmerge2": {
        "model": {"dropout": 0.0, "kind": "deepmerge", "latent": "convolutional"},
        "method": {
            "statistic": "biased",
            "kind": "mmd",
            "kernels": "merger",
            "weight": 1.0,
            "entropy": 0.05,
            "fisher": 0.64,
            "fisher_start": "random",
        },
        "preprocess": {"stretch": "linear"},
        "augment": UNCHANGED,
        "training": {
            "optimiser": "adam",
            "warmup_epochs": 0,
            "lr_ramp": 0.0,
            "clip": None,
            "class_weights": "none",
            "select": "source-accuracy",
            "betas": (0.7, 0.8),
            "lr": 1e-3,
            "weight_decay": 1e-3,
            "batch_size": 128,
            "epochs": 200,
            "patience": 20,
            "schedule": "cycle",
            "lr_cycle": 4.5,
            "decay_of": "all",
        },
    },
    # AleksCipri/DeepAdversaries 2a0d952, training.py:256-258, networks.py
    "deepadversaries": {
        "model": {"kind": "resnet18", "latent": 256, "dropout": 0.5},
        "method": {"statistic": "biased", "kind": "mmd", "kernels": "merger", "weight": 0.01},
        "preprocess": {"stretch": "percentile"},
        "augment": UNCHANGED,
        "training": {
            "warmup_epochs": 0,
            "schedule": "constant",
            "lr_ramp": 0.0,
            "clip": None,
            "select": "source-accuracy",
            "optimiser": "adam",
            "betas": (0.7, 0.8),
            "lr": 1e-5,
            "weight_decay": 1e-4,
            "batch_size": 128,
            "epochs": 100,
            "patience": 10,
            "class_weights": "balanced",
            "decay_of": "all",
        },
    },
    # deepskies/DeepAstroUDA c19c028, config_templates/config.yaml, model/lr_schedule.py
    "deepastrouda": {
        "model": {"kind": "resnet50"},
        "method": {"domain_batchnorm": True, "kind": "dance", "weight": 0.05, "temperature": 0.05},
        "preprocess": {"stretch": "linear", "size": 224},
        "augment": {"dihedral": True, "shift_px": 16.0, "flux_jitter": 0.0, "noise": (0.0, 0.0)},
        "training": {
            "epochs": 50,
            "steps_per_epoch": 200,
            "warmup_epochs": 0,
            "patience": None,
            "lr_ramp": 0.0,
            "clip": None,
            "class_weights": "none",
            "select": "last",
            "optimiser": "sgd",
            "momentum": 0.9,
            "lr": 0.01,
            "weight_decay": 5e-4,
            "batch_size": 36,
            "decay_of": "all",
            "schedule": "inverse",
        },
    },
    # ahmedsalim3/galaxy-da beb80e8, configs/euclidean_trainable_weights.yml
    "galaxy-da": {
        "model": {"kind": "resnet18", "dropout": 0.3},
        "method": {"weight": 1.0, "weighting": "learned", "kind": "sinkhorn", "blur": 10.0, "entropy": 0.02},
        "preprocess": {"stretch": "linear", "size": 224},
        "augment": UNCHANGED,
        "training": {
            "optimiser": "adamw",
            "lr_ramp": 0.0,
            "select": "source-loss",
            "lr": 1e-4,
            "weight_decay": 1e-2,
            "batch_size": 128,
            "epochs": 200,
            "warmup_epochs": 20,
            "clip": 10.0,
            "clip_of": "network",
            "decay_of": "all",
            "class_weights": "effective",
            "focal": 2.0,
            "schedule": "cosine",
            "lr_final": 0.01,
            "patience": 10,
        },
    },
    # gammalearn 0.15.0 of the Python Package Index, configuration/examples/experiment_settings_dann.py
    "gammalearn": {
        "model": {"kind": "resnet18", "width": 16, "latent": 256},
        "method": {
            "kind": "dann",
            "conditional": True,
            "strength": 1.0,
            "gamma": 10.0,
            "hidden": 100,
            "weighting": "uncertainty",
        },
        "preprocess": {"stretch": "linear", "size": 55},
        "augment": UNCHANGED,
        "training": {
            "lr_ramp": 0.0,
            "warmup_epochs": 0,
            "class_weights": "none",
            "select": "last",
            "optimiser": "adam",
            "lr": 1e-3,
            "weight_decay": 1e-4,
            "schedule": "step",
            "lr_milestones": (10, 20, 30, 40),
            "lr_decay": 0.1,
            "label_smoothing": 0.0,
            "decay_of": "all",
            "clip": None,
        },
    },
}


def adapt_config(**values: object) -> AdaptStepConfig:
    return AdaptStepConfig.model_validate({"source": "a", "target": "b", **values})


def test_the_seven_systems_are_listed_with_a_line_each() -> None:
    assert settings.names() == SYSTEMS == sorted(PUBLISHED)
    assert all(len(settings.summary(name)) > 20 for name in SYSTEMS)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_config_has_the_published_values(name: str) -> None:
    config = adapt_config(settings=name)
    for key, wanted in PUBLISHED[name].items():
        held = getattr(config, key)
        for field, value in wanted.items():
            place = held.config if key in ("model", "method") and field != "kind" else held
            assert getattr(place, field) == value, (name, key, field)
    # No value of the file is without one that was typed here.
    typed = {f"{key}.{field}" for key, wanted in PUBLISHED[name].items() for field in wanted}
    assert typed == set(settings.load(name).values)
    # Every value is taken as it stands, and the resolved config says all of them without the file.
    said = settings_document(config)["settings"]
    assert said["overridden"] == []
    resolved = config.model_dump(mode="json")
    assert AdaptStepConfig.model_validate(resolved) == config
    without = AdaptStepConfig.model_validate({**resolved, "settings": None})
    assert without.model_dump(exclude={"settings"}) == config.model_dump(exclude={"settings"})


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_value_has_a_place_where_it_was_read(name: str) -> None:
    found = settings.load(name)
    for key, value in found.values.items():
        assert value.place or not value.verified, (name, key)
        assert value.source in found.sources
    assert found.name == name


def test_single_options_win_and_are_told() -> None:
    config = adapt_config(settings="sidda", training={"epochs": 9}, method={"weight": 0.3})
    assert (config.training.epochs, config.training.lr, config.method.kind) == (9, 0.01, "sinkhorn")
    said = settings_document(config)["settings"]
    assert sorted(said["overridden"]) == [["method.weight", 1.0, 0.3], ["training.epochs", 50, 9]]
    rows = {key: (new, old, verified) for key, new, old, _, verified in said["differs"]}
    # Typed from the defaults of galshift's own help.
    assert rows["training.lr"] == (0.01, 0.001, True)
    assert rows["model.kind"] == ("sidda", "deepmerge", True)
    assert "training.clip" not in rows  # 10 in both
    lines = settings_lines({"settings": said})
    assert "training.lr 0.01 for 0.001" in lines[0]
    assert lines[1] == "settings overridden: method.weight 0.3 for 1.0, training.epochs 9 for 50"


def test_another_method_or_network_brings_its_own_options() -> None:
    config = adapt_config(settings="sidda", method="coral", model="resnet18")
    assert (config.method.kind, config.model.kind, config.training.lr) == ("coral", "resnet18", 0.01)
    said = {key: used for key, _, used in settings_document(config)["settings"]["overridden"]}
    assert said["method.kind"] == "coral"
    assert said["method.relative_blur"] is None
    same = adapt_config(settings="sidda", method="sinkhorn")
    assert same.method.config.relative_blur == 0.05


def test_train_takes_what_is_not_of_a_method() -> None:
    config = TrainStepConfig.model_validate({"data": "a", "settings": "deepadversaries"})
    assert (config.model.kind, config.training.lr, config.training.select) == (
        "resnet18",
        1e-5,
        "source-accuracy",
    )
    assert not any(row[0].startswith("method") for row in settings_document(config)["settings"]["differs"])


def test_a_weighting_whose_numbers_changed_is_in_the_fingerprint() -> None:
    step = STEPS.get("adapt")()
    assert step.versions(adapt_config(settings="sidda"))["weighting uncertainty"] == 2
    assert not any("weighting" in name for name in step.versions(adapt_config(method="coral")))
    assert not any("weighting" in name for name in step.versions(adapt_config(method="auto")))


def test_set_reaches_an_option_of_the_settings_method(tmp_path: Path) -> None:
    for name in "ab":
        write_hdf5(tmp_path / f"{name}.h5", simulate(8, size=24, seed=1, bands=("r",)))
    values = {"source": str(tmp_path / "a.h5"), "target": str(tmp_path / "b.h5")}
    ready = prepare("adapt", {**values, "settings": "sidda"}, overrides=["method.weight=0.5"])
    assert (ready.config.method.kind, ready.config.method.config.weight) == ("sinkhorn", 0.5)
    # Without settings nothing of a fingerprint has changed.
    plain = prepare("adapt", {**values, "method": "sinkhorn"})
    assert "settings" not in plain.parameters
    assert not {"diameter", "fisher_start"} & set(plain.parameters["method"])
    assert not {"betas", "lr_milestones", "lr_decay", "lr_cycle"} & set(plain.parameters["training"])
    assert prepare("adapt", {**values, "settings": "sidda"}).parameters["settings"] == "sidda"


def test_wrong_names_and_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown settings 'sida'") as error:
        settings.load("sida")
    assert "sidda" in error.value.hint
    with pytest.raises(InvalidConfig) as refused:
        prepare("adapt", {"source": "a", "target": "b", "settings": "sida"})
    (problem,) = refused.value.problems
    assert problem.startswith("settings: unknown settings 'sida'")
    with pytest.raises(InvalidConfig) as refused:
        prepare("adapt", {"source": "a", "target": "b", "settings": "sidda", "training": {"epochs": 2}})
    (problem,) = refused.value.problems
    assert "warmup_epochs (5) must be less than epochs (2)" in problem
    assert "of the settings 'sidda'" in problem
    own = tmp_path / "own.yaml"
    own.write_text(
        "name: own\nsummary: s\nvalues:\n  data: {value: 1, source: x, verified: true}\nsources: {}\n"
    )
    with pytest.raises(ConfigError, match="settings may set model"):
        settings.load(own)
    own.write_text("name: [\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        settings.load(own)
    with pytest.raises(ConfigError, match="no such settings file"):
        settings.load(tmp_path / "none.yaml")


def test_a_file_of_ones_own_is_taken(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "name: own\nsummary: mine\nvalues:\n  training.lr: {value: 0.5, source: me, verified: false}\n"
        "sources: {me: my notebook}\n"
    )
    assert adapt_config(settings=str(own)).training.lr == 0.5


def test_schema_and_doctor_know_them() -> None:
    text = json.dumps(recipe_schema()["$defs"]["adapt"]["properties"]["settings"])
    assert all(f'"{name}"' in text for name in SYSTEMS)
    assert not [line for line in examine()["problems"] if "settings" in line]


def test_an_adaptation_runs_with_settings_and_its_report_tells_them(tmp_path: Path) -> None:
    for name, seed in (("sim", 1), ("sky", 2)):
        write_hdf5(tmp_path / f"{name}.h5", simulate(48, size=24, seed=seed, bands=("r",)))
    values = {
        "source": str(tmp_path / "sim.h5"),
        "target": str(tmp_path / "sky.h5"),
        "settings": "sidda",
        "training": {"epochs": 3, "warmup_epochs": 1, "lr_milestones": [1, 2], "precision": "float32"},
        "samples": 0,
    }
    done = execute("adapt", values, out=tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["lr"] for row in rows] == pytest.approx([0.01, 0.001, 0.0001])
    assert rows[-1]["best_epoch"] == 3  # the last
    page = (done.run.path / "report.html").read_text(encoding="utf-8")
    assert "Settings of sidda" in page
    assert "src/scripts/train_SIDDA.py:152" in page
    config = (done.run.path / "config.yaml").read_text(encoding="utf-8")
    assert "settings: sidda" in config
    assert "relative_blur: 0.05" in config
