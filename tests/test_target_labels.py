"""A few labels of the target: how they are read, learnt, and kept out of everything that judges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.table import Table

from galshift.data.augment import AugmentConfig
from galshift.data.options import ReadOptions
from galshift.domains.config import SplitConfig
from galshift.domains.domain import Domain, open_source, open_target
from galshift.domains.label_record import pixel_keys, read_label_record
from galshift.domains.target_labels import TRAINED, read_target_labels, set_aside
from galshift.errors import ConfigError, DataError
from galshift.methods import METHODS
from galshift.training.config import TrainConfig
from galshift.training.feature_store import FeatureStore
from galshift.training.loop import fit
from galshift.training.plan import Plan
from galshift.training.sets import TrainingSet
from galshift.training.train_network import Augmenter
from tests import training_helpers as problem
from tests.labels_helpers import CLASSES, few, images, named, survey

SPLIT = SplitConfig(valid=0.2, test=0.25)


def opened(source: Path, target: Path, seed: int = 3) -> tuple[Domain, Domain]:
    """Return both domains, split."""
    one = open_source(str(source), ReadOptions(), SPLIT, seed)
    return one, open_target(str(target), ReadOptions(), SPLIT, seed, one)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Domain, Domain]:
    """Two surveys of other galaxies: 30 and 40, the target's in two images each."""
    source = survey(tmp_path / "sim.h5", named("s", 30))
    galaxies = [name for name in named("g", 40) for _ in "ab"]
    ids = [f"{name}-{view}" for name, view in zip(galaxies, "ab" * 40, strict=True)]
    target = survey(tmp_path / "sky.h5", ids, groups=galaxies, seed=1)
    return opened(source, target)


def read(pair: tuple[Domain, Domain], file: Path):
    return read_target_labels(str(file), pair[1].dataset, pair[0].info, ReadOptions())


# ---- reading ---------------------------------------------------------------------------------------------


def test_labels_join_the_images_that_they_name(pair, tmp_path: Path) -> None:
    """Cells that are not filled in, and other columns, say nothing; rows come in any order."""
    path = tmp_path / "few.csv"
    path.write_text("order,id,label\n1,g007-b,ring\n2,g003-a,bar\n3,g004-a,\n")
    found = read(pair, path)
    ids = pair[1].info.ids
    assert [str(ids[row]) for row in found.rows] == ["g003-a", "g007-b"]
    assert [CLASSES[k] for k in found.labels[found.rows]] == ["bar", "ring"]
    assert (np.delete(found.labels, found.rows) == -1).all()
    assert found.counts() == {"bar": 1, "disc": 0, "ring": 1}


def test_row_numbers_are_not_taken_for_names_of_images(tmp_path: Path) -> None:
    """A target whose images are called 0, 1, 2, ...: the column id joins, not a first column of numbers."""
    source = survey(tmp_path / "sim.h5", named("s", 30))
    target = survey(tmp_path / "sky.h5", [str(i) for i in range(40)], seed=1)
    path = tmp_path / "few.csv"
    path.write_text("order,id,label\n1,30,bar\n2,31,ring\n3,32,disc\n")
    assert read(opened(source, target), path).rows.tolist() == [30, 31, 32]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,label\n", "is empty"),
        ("id,label\ng001-a,\ng002-a,nan\n", "no row of the file of target labels has a label"),
        ("id,label\ng001-a,bar\nelsewhere,bar\n", "1 of 2 labels are of no image of the target: elsewhere"),
        ("id,label\ng001-a,lens\n", "the source has no class 'lens', only bar, disc, ring"),
        ("id,label\ng001-a,bar\ng001-a,ring\n", "the image 'g001-a' has two different labels"),
        ("id,kind_of\ng001-a,bar\n", "not clear which column holds the class"),
        ("name,label\nnobody,bar\n", "no row of the catalogue names an image"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_in_one_sentence(pair, tmp_path: Path, text, says) -> None:
    path = tmp_path / "few.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        read(pair, path)
    assert caught.value.exit_code == 4
    assert "\n" not in caught.value.what


def test_the_same_label_twice_is_one_label(pair, tmp_path: Path) -> None:
    path = few(tmp_path / "few.csv", [("g001-a", "bar"), ("g001-a", "bar"), ("g002-b", "disc")])
    assert len(read(pair, path).rows) == 2


# ---- the honest split ------------------------------------------------------------------------------------


def parts_of(domain: Domain) -> dict[str, set[str]]:
    return {part: set(map(str, domain.info.groups[rows])) for part, rows in domain.parts.items()}


def test_all_images_of_a_labelled_galaxy_leave_the_test_part_and_no_other_does(pair, tmp_path: Path) -> None:
    source, target = pair
    test = sorted(parts_of(target)["test"])
    train = sorted(parts_of(target)["train"])
    path = few(tmp_path / "few.csv", [(f"{test[0]}-a", "bar"), (f"{train[0]}-b", "disc")])
    moved, same, notes = set_aside(read(pair, path), target, source)
    assert parts_of(moved)["test"] == set(test[1:])
    assert parts_of(moved)["train"] == {*train, test[0]}
    assert sorted(moved.ids(TRAINED)) == sorted([f"{test[0]}-a", f"{train[0]}-b"])
    assert {part: list(rows) for part, rows in same.parts.items()} == {
        part: list(rows) for part, rows in source.parts.items()
    }
    assert [note[:41] for note in notes] == ["1 galaxies of the target's test part have"]


def turned(pixels: np.ndarray, how: int) -> np.ndarray:
    """One of the eight orientations."""
    pixels = np.rot90(pixels, how % 4, axes=(-2, -1))
    return pixels[..., ::-1] if how >= 4 else pixels


@pytest.mark.parametrize("how", range(8))
def test_copies_under_other_names_leave_the_test_part_too(tmp_path: Path, how: int) -> None:
    """Every galaxy of the target is there once more, turned, as a galaxy of another name."""
    source = survey(tmp_path / "sim.h5", named("s", 30))
    pixels = images(np.arange(30) % 3, 5)
    both = np.concatenate([pixels, turned(pixels, how)])
    names = [*named("g", 30), *named("copy", 30)]
    target = survey(tmp_path / "sky.h5", names, groups=names, pixels=both)
    pair = opened(source, target)
    path = few(tmp_path / "few.csv", [(name, "bar") for name in named("g", 6)])
    moved, _, _ = set_aside(read(pair, path), pair[1], pair[0])
    assert not parts_of(moved)["test"] & {*named("g", 6), *named("copy", 6)}
    assert parts_of(moved)["test"] == parts_of(pair[1])["test"] - {*named("g", 6), *named("copy", 6)}


def test_a_labelled_galaxy_judges_no_epoch_of_the_source_either(tmp_path: Path) -> None:
    """Both surveys show the same galaxies by name: labelled ones leave the source's valid and test parts."""
    names = named("g", 60)
    source = survey(tmp_path / "sim.h5", names, groups=names)
    target = survey(tmp_path / "sky.h5", names, groups=names, seed=1)
    pair = opened(source, target)
    before = parts_of(pair[0])
    labelled = {*sorted(before["valid"])[:3], *sorted(before["test"])[:4], *sorted(before["train"])[:5]}
    path = few(tmp_path / "few.csv", [(name, "bar") for name in sorted(labelled)])
    target, source, notes = set_aside(read(pair, path), pair[1], pair[0])
    after = parts_of(source)
    assert after["train"] == before["train"]
    assert after["valid"] == before["valid"] - labelled
    assert after["test"] == before["test"] - labelled
    assert not parts_of(target)["test"] & labelled
    assert any("7 images of the source" in note for note in notes)


def test_copies_in_the_source_judge_no_epoch(tmp_path: Path) -> None:
    """The source holds the target's images themselves, as galaxies of other names."""
    pixels = images(np.arange(60) % 3, 5)
    source = survey(tmp_path / "sim.h5", named("s", 60), pixels=pixels)
    target = survey(tmp_path / "sky.h5", named("g", 60), pixels=pixels[::-1])
    pair = opened(source, target)
    judging = [row for part in ("valid", "test") for row in pair[0].parts[part][:2]]
    path = few(tmp_path / "few.csv", [(f"g{59 - row:03d}", "bar") for row in judging])
    _, source, _ = set_aside(read(pair, path), pair[1], pair[0])
    left = {row for part in ("valid", "test") for row in source.parts[part]}
    assert left == {row for part in ("valid", "test") for row in pair[0].parts[part]} - set(judging)


def test_no_test_part_is_left_is_said(pair, tmp_path: Path) -> None:
    path = few(tmp_path / "few.csv", [(f"{name}-a", "bar") for name in sorted(parts_of(pair[1])["test"])])
    with pytest.raises(DataError, match="none is left to judge by"):
        set_aside(read(pair, path), pair[1], pair[0])


def test_blank_images_are_no_copies_of_one_another(tmp_path: Path) -> None:
    pixels = images(np.arange(40) % 3, 5)
    pixels[::2] = 0
    path = survey(tmp_path / "sky.h5", named("g", 40), pixels=pixels)
    target = open_target(str(path), ReadOptions(), SPLIT, 3)
    keys = pixel_keys(target.dataset, np.arange(40))
    assert (keys[::2] == "").all()
    assert len(set(keys[1::2])) == 20


def test_the_record_finds_its_galaxies_in_any_file(pair, tmp_path: Path) -> None:
    """By the galaxy's name where names are given, by pixels where nothing else is the same."""
    path = few(tmp_path / "few.csv", [("g002-a", "bar"), ("g005-b", "disc")])
    record = read(pair, path).record(pair[1])
    record.write(tmp_path)
    assert read_label_record(tmp_path) == record
    assert read_label_record(tmp_path / "nowhere") is None
    own = pair[1].dataset
    renamed = survey(tmp_path / "a.h5", named("x", 80), pixels=own.read(np.arange(80)[::-1]).images)
    other = survey(tmp_path / "b.h5", named("y", 40), groups=named("g", 40), seed=9)
    numbered = survey(tmp_path / "c.h5", named("g", 40), seed=9)  # the same names, which nobody gave a galaxy
    shown = {}
    for file in (renamed, other, numbered):
        dataset = open_target(str(file), ReadOptions(), SPLIT, 3).dataset
        found = record.shown_in(dataset, np.arange(len(dataset)))
        shown[file.name] = sorted(map(str, dataset.info.ids[found]))
    ids = list(map(str, own.info.ids))
    assert shown["a.h5"] == sorted(f"x{79 - ids.index(name):03d}" for name in ("g002-a", "g005-b"))
    assert shown["b.h5"] == ["y002", "y005"]
    assert shown["c.h5"] == []


# ---- learning --------------------------------------------------------------------------------------------


def labelled(n: int = 9) -> TrainingSet:
    return TrainingSet(*problem.images(n, 7, shift=0.5))


def learnt(directory: Path, method, **changes) -> dict[str, float]:
    """Train for a few steps with labelled target images, and return the last epoch's row."""
    data = problem.sets()
    job = problem.TrainingJob(
        source=data["source_train"] if method.needs_source else None,
        valid=data["source_valid"],
        target=data["target_train"] if method.uses_target else None,
        labelled=labelled(),
        training=TrainConfig(epochs=2, warmup_epochs=0, batch_size=16, select="last", **changes),
        head=problem.HEAD,
        device="cpu",
        augment=problem.noisy,
    )
    model = problem.build_model("deepmerge", in_channels=2, size=problem.SIZE, n_classes=3)
    return fit(model, method, job, directory=directory, seed=1, progress=None).history[-1]


FREE = [name for name in METHODS.available() if not METHODS.get(name).fixed_features]
FIXED = [name for name in METHODS.available() if METHODS.get(name).fixed_features]


@pytest.mark.parametrize("name", FREE)
def test_every_method_learns_target_labels_beside_its_own_terms(name: str, tmp_path: Path) -> None:
    with_labels = learnt(tmp_path / "a", METHODS.get(name)())
    heavier = learnt(tmp_path / "b", METHODS.get(name)(), target_label_weight=10.0)
    assert np.isfinite(with_labels["target_classification"])
    # Ten times the weight leaves the labels' own loss smaller.
    assert heavier["target_classification"] / 10 < with_labels["target_classification"]


@pytest.mark.parametrize("name", [*FIXED, "mmd", "infomax", "source-only"])
def test_labels_join_on_cached_features(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `tune: head` the labelled images' features are computed once, and the head alone learns them."""
    from galshift.training.fixed_features import on_fixed_features
    from tests.test_fixed_features import job

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    method = METHODS.get(name)()
    given = replace(job(), labelled=labelled(), augment=Augmenter(AugmentConfig(), torch.ones(2)))
    if not method.needs_source:
        given = replace(given, source=None, training=given.training.model_copy(update={"select": "last"}))
    network = problem.build_model("deepmerge", in_channels=2, size=problem.SIZE, n_classes=3)
    own, probe = on_fixed_features(given, network, method.views, FeatureStore(1))
    assert own.labelled.images.shape == (9, 5, network.feature_dim)
    own = replace(own, target=own.target if method.uses_target else None)
    result = fit(probe, method, own, directory=tmp_path / "run", seed=1, progress=None)
    assert np.isfinite(result.history[-1]["target_classification"])


def test_a_method_that_leaves_the_head_alone_is_refused_where_nothing_else_is_trained(tmp_path: Path) -> None:
    from galshift.training.fixed_features import on_fixed_features
    from tests.test_fixed_features import job

    given = replace(job(), source=None)
    network = problem.build_model("deepmerge", in_channels=2, size=problem.SIZE, n_classes=3)
    own, probe = on_fixed_features(given, network, 0, FeatureStore(1))
    own = replace(own, training=own.training.model_copy(update={"select": "last"}))
    with pytest.raises(ConfigError, match="trains nothing that 'head' leaves free"):
        fit(probe, METHODS.get("shot")(), own, directory=tmp_path, seed=1, progress=None)


def test_without_labels_nothing_changes_and_with_them_the_loss_has_their_term(tmp_path: Path) -> None:
    """The total is the sum of the terms, the labels' one weighted."""
    row = learnt(tmp_path / "a", METHODS.get("mmd")(), target_label_weight=0.5)
    parts = [row[key] for key in ("classification", "mmd", "target_classification")]
    assert row["loss"] == pytest.approx(sum(parts), rel=1e-5)
    none = learnt(tmp_path / "b", METHODS.get("mmd")(), target_label_weight=0.0)
    assert none["target_classification"] == 0


def test_weight_at_its_default_is_no_part_of_a_runs_name() -> None:
    assert "target_label_weight" not in TrainConfig().model_dump()
    assert TrainConfig(target_label_weight=2.0).model_dump()["target_label_weight"] == 2.0


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_every_step_takes_labelled_images_evenly(n: int) -> None:
    """All of few, a batch of many, each as often as the others."""
    plan = Plan(TrainConfig(epochs=1, batch_size=8), 0, n_source=64, n_target=64, n_labelled=n)
    taken = [plan.indices("labelled", step) for step in range(40)]
    assert {len(one) for one in taken} == {min(max(n, 2), 8)}
    counts = np.bincount(torch.cat(taken).numpy(), minlength=n)
    assert counts.max() - counts.min() <= 1
    draws = torch.cat([plan.draws("labelled", step) for step in range(40)])
    assert draws.tolist() == [i // n for i in range(len(draws))]
    assert Plan(TrainConfig(), 0, 64, 64).indices("labelled", 0) is None


# ---- numbers ---------------------------------------------------------------------------------------------


def number_survey(path: Path, names: list[str], columns: dict[str, np.ndarray]) -> Path:
    """A survey without classes, whose numbers stand in its table."""
    labels = np.full(len(names), -1)
    return survey(path, names, labels=labels, table=Table(columns), seed=len(names))


@pytest.mark.parametrize("kind", ["value", "votes"])
def test_numbers_join_by_the_names_of_the_sources(tmp_path: Path, kind: str) -> None:
    """A redshift, or votes with their total in a column; rows that are not filled in say nothing."""
    rng = np.random.default_rng(0)
    z, smooth = rng.uniform(0, 1, 30), rng.integers(0, 20, 30)
    columns = {"z": z, "smooth": smooth, "disc": 20 - smooth, "n": np.full(30, 20)}
    said = {"label_kind": "value", "label_column": "z"}
    text, wanted = "id,z\ng004,0.25\ng002,\ng009,0.5\n", [[0.25], [0.5]]
    if kind == "votes":
        said = {"label_kind": "votes", "vote_columns": ("smooth", "disc"), "vote_total": "n"}
        text = "id,smooth,disc,n\ng004,5,15,20\ng002,,,\ng009,0.5,0.5,20\n"
        wanted = [[5, 15], [10, 10]]
    options = ReadOptions(**said)
    source = open_source(str(number_survey(tmp_path / "sim.h5", named("s", 30), columns)), options, SPLIT, 3)
    target = open_target(str(survey(tmp_path / "sky.h5", named("g", 40))), ReadOptions(), SPLIT, 3, source)
    path = tmp_path / "few.csv"
    path.write_text(text)
    found = read_target_labels(str(path), target.dataset, source.info, options)
    assert found.rows.tolist() == [4, 9]
    np.testing.assert_allclose(found.labels[found.rows], wanted)
    assert np.isnan(np.delete(found.labels, found.rows, axis=0)).all()
    moved, _, _ = set_aside(found, target, source)
    assert found.domain(moved).info.labels.dtype == np.float32
    assert found.record(target).labels == tuple(wanted)
