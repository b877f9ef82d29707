"""Continuous labels and votes from the file to the report, small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.hdf5 import write_hdf5
from galshift.data.numeric_labels import DEFAULT_VOTES, vote_counts, votes_of, with_numbers
from galshift.data.open import ReadOptions, open_dataset
from galshift.data.pack import pack
from galshift.data.summary import lines, summarize
from galshift.errors import ConfigError, DataError
from galshift.recipes.execute import execute
from galshift.training.checkpoint import load_checkpoint
from tests.file_operations import galshift, galshift_alone

SIZE = 16
QUICK = {"epochs": 2, "batch_size": 16}


def discs(seed: int, n: int = 48, noise: float = 0.1, **changes) -> Cutouts:
    """Gaussian discs of random width; the width in pixels, and votes on it, are columns of the table."""
    rng = np.random.default_rng(seed)
    width = rng.uniform(1.0, 3.0, n)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    images = np.exp(-0.5 * (x**2 + y**2) / width[:, None, None] ** 2)
    images = images[:, None] + noise * rng.normal(size=(n, 1, SIZE, SIZE))
    share = (width - 1.0) / 2
    total = rng.integers(20, 60, n)
    wide = rng.binomial(total, share)
    table = Table({"width": width, "wide": wide / total, "thin": 1 - wide / total, "n_votes": total})
    options = {"unit": "nJy", "pixel_scale": 0.2, "bands": ("r",)}
    return Cutouts(images, ids=[f"s{seed}-{i}" for i in range(n)], table=table, **options | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A source and a noisier target, and runs on them."""
    where = tmp_path_factory.mktemp("numbers")
    write_hdf5(where / "source.h5", discs(1))
    write_hdf5(where / "target.h5", discs(2, noise=0.2))
    return where


def value_config(folder: Path, **changes) -> dict:
    """An adaptation to `target.h5` of the width."""
    return {
        "source": str(folder / "source.h5"),
        "target": str(folder / "target.h5"),
        "read": {"label_kind": "value", "label_column": "width"},
        "method": "coral",
        "training": QUICK,
        "samples": 2,
    } | changes


@pytest.fixture(scope="module")
def adapted(folder) -> dict:
    """The width, adapted on the command line."""
    words = "adapt source.h5 target.h5 --label-kind value --label-column width --method coral --epochs 2"
    done = galshift(folder, *words.split(), "--set", "training.batch_size=16", "--out", "value", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---- data ------------------------------------------------------------------------------------------------


def test_columns_become_labels_and_pack_keeps_them(folder, tmp_path):
    options = ReadOptions(label_kind="value", label_column="width")
    dataset = open_dataset(folder / "source.h5", options)
    expected = discs(1).table["width"].data.astype(np.float32)
    np.testing.assert_array_equal(dataset.info.labels[:, 0], expected)
    assert dataset.info.classes == ("width",)
    pack(folder / "source.h5", tmp_path / "packed.h5", options, scratch=tmp_path / "pieces")
    packed = open_dataset(tmp_path / "packed.h5", ReadOptions(label_kind="value"))
    np.testing.assert_array_equal(packed.info.labels, dataset.info.labels)
    np.testing.assert_array_equal(packed.read([3, 1]).labels, dataset.info.labels[[3, 1]])
    shown = dict(lines(summarize(packed, sample=0)))
    assert shown["label"].startswith("width, 1.")
    assert "known for 48 images" in shown["label"]


def test_a_catalogue_is_joined_by_name_and_gaps_stay_unknown(tmp_path):
    cutouts = discs(3, n=4).with_(table=None)
    (tmp_path / "z.csv").write_text("name,z,word\ns3-2,0.5,a\ns3-0,0.1,b\ns3-3,,c\n")
    options = ReadOptions(labels=str(tmp_path / "z.csv"), label_kind="value", label_column="z")
    labels = with_numbers(InMemory(cutouts), options).info.labels[:, 0]
    np.testing.assert_allclose(labels, [0.1, np.nan, 0.5, np.nan], rtol=1e-6)
    with pytest.raises(DataError, match="'word' does not hold one number"):
        with_numbers(InMemory(cutouts), options.model_copy(update={"label_column": "word"}))
    with pytest.raises(DataError, match="no continuous labels"):
        with_numbers(InMemory(cutouts), ReadOptions(label_kind="value"))


def test_whole_numbers_without_names_may_be_values(tmp_path):
    images = discs(1, n=4).images
    np.savez(tmp_path / "stages.npz", images=images, labels=np.array([3, 0, -1, 7]))
    found = open_dataset(tmp_path / "stages.npz", ReadOptions(label_kind="value")).info
    np.testing.assert_array_equal(found.labels[:, 0], [3, 0, np.nan, 7])
    assert found.classes == ("label",)


def test_fractions_counts_and_totals_give_the_same_votes():
    counts = np.array([[3.0, 7.0], [20.0, 20.0], [0.0, 0.0]])
    total = counts.sum(axis=1)
    fractions = counts[:2] / total[:2, None]
    np.testing.assert_allclose(vote_counts(counts)[:2], counts[:2])
    assert np.isnan(vote_counts(counts)[2]).all()
    np.testing.assert_allclose(vote_counts(fractions, total[:2]), counts[:2])
    np.testing.assert_allclose(vote_counts(fractions), fractions * DEFAULT_VOTES)
    info = InMemory(discs(1)).info
    votes = votes_of(info, ("wide", "thin"), "n_votes")
    np.testing.assert_allclose(votes.sum(axis=1), info.table["n_votes"])


def test_votes_are_renamed_added_and_dropped():
    options = ReadOptions(
        label_kind="votes",
        vote_columns=("wide", "thin", "n_votes"),
        classes_map={"wide": "disc", "n_votes": ""},
    )
    found = with_numbers(InMemory(discs(1)), options).info
    assert found.classes == ("disc", "thin")
    with pytest.raises(DataError, match="two classes"):
        with_numbers(InMemory(discs(1)), options.model_copy(update={"classes_map": {"*": "any"}}))


# ---- continuous labels, end to end -----------------------------------------------------------------------


def test_the_document_judges_both_networks_beside_the_training_mean(adapted, folder):
    assert adapted["label_kind"] == "value"
    assert adapted["labels"] == ["width"]
    by_name = {result["name"]: result["domains"] for result in adapted["results"]}
    assert set(by_name) == {"coral", "source-only"}
    for domain in by_name["coral"].values():
        found = domain["labels"]["width"]
        low, high = found["ci95"]["rmse"]
        assert low <= found["rmse"] <= high
        assert found["training_mean"]["rmse"] > 0
    assert "rmse" in adapted["results"][0]["difference_from_reference"]["target"]["width"]
    assert (folder / "value" / "report.html").stat().st_size > 10_000


def test_predictions_are_in_the_labels_unit_and_metrics_follow_from_them(adapted, folder):
    table = Table.read(folder / "value" / "predictions.fits")
    mine = table[table["data_set"] == "target"]
    truth = dict(zip(discs(2).ids, discs(2).table["width"], strict=True))
    np.testing.assert_allclose(mine["label"], [truth[name] for name in mine["id"]])
    rmse = np.sqrt(np.mean((mine["value"] - mine["label"]) ** 2))
    domain = adapted["results"][0]["domains"]["target"]["labels"]["width"]
    assert domain["rmse"] == pytest.approx(rmse, rel=1e-5)
    assert (mine["value_sigma"] > 0).all()


def test_predict_and_evaluate_name_the_label_as_the_run_does(adapted, folder):
    done = galshift(folder, "predict", "value", "target.h5", "p.csv")
    assert done.returncode == 0, done.stderr
    table = Table.read(folder / "p.csv")
    np.testing.assert_allclose(table["label"], discs(2).table["width"])
    np.testing.assert_array_equal(np.isfinite(table["value"]), True)
    found = execute("evaluate", {"runs": [str(folder / "value")], "on": [str(folder / "target.h5")],
                                 "n_bootstrap": 0}, out=folder / "judged").results  # fmt: skip
    assert found["results"][0]["domains"]["target"]["labelled"]


def test_a_label_by_another_name_counts_only_where_it_is_named(adapted, folder, tmp_path):
    """A packed data set with one other quantity is no truth for the width."""
    options = ReadOptions(label_kind="value", label_column="n_votes")
    pack(folder / "target.h5", tmp_path / "other.h5", options, scratch=tmp_path / "pieces")
    bare = open_dataset(tmp_path / "other.h5")
    write_hdf5(tmp_path / "bare.h5", bare.read(np.arange(len(bare))).with_(table=None))
    config = {"runs": [str(folder / "value")], "on": [str(tmp_path / "bare.h5")], "n_bootstrap": 0}
    found = execute("evaluate", config, out=tmp_path / "silent").results
    assert not found["results"][0]["domains"]["bare"]["labelled"]
    config |= {"on": [str(folder / "target.h5")], "read": {"labels": "n_votes"}}
    found = execute("evaluate", config, out=tmp_path / "named").results
    assert found["results"][0]["domains"]["target"]["labels"]["width"]["bias"] < -10


def test_target_values_never_reach_adaptation(folder, tmp_path):
    """Other widths in the target's table: the same bits of the model."""
    cutouts = discs(2, noise=0.2)
    table = cutouts.table.copy()
    table["width"] = np.random.default_rng(0).permutation(table["width"]) * 7
    (tmp_path / "other").mkdir()
    write_hdf5(tmp_path / "other" / "target.h5", cutouts.with_(table=table, labels=table["width"].data))
    for method in ("coral", "deepjdot"):
        tensors = []
        for place, target in (("a", folder / "target.h5"), ("b", tmp_path / "other" / "target.h5")):
            out = tmp_path / f"{method}-{place}"
            execute("adapt", value_config(folder, target=str(target), method=method), out=out)
            tensors.append(load_checkpoint(out).model.state_dict())
        assert all(bool((tensors[0][name] == tensors[1][name]).all()) for name in tensors[0])


def test_the_same_seed_gives_the_same_bits_and_init_keeps_the_scale(adapted, folder, tmp_path):
    config = value_config(folder)
    config["read"] = dict(config["read"])
    first = load_checkpoint(folder / "value")
    execute("adapt", config, out=tmp_path / "again")
    again = load_checkpoint(tmp_path / "again")
    held = first.model.state_dict()
    assert all(bool((held[name] == t).all()) for name, t in again.model.state_dict().items())
    assert first.head == again.head
    assert first.head.kind == "value"
    start = {"data": str(folder / "target.h5"), "read": config["read"], "init": str(folder / "value")}
    execute("train", start | {"training": {"epochs": 1}}, out=tmp_path / "more")
    assert load_checkpoint(tmp_path / "more").head == first.head
    with pytest.raises(DataError, match="kind 'value', not 'votes'"):
        read = {"label_kind": "votes", "vote_columns": ["wide", "thin"]}
        execute("train", start | {"read": read}, out=tmp_path / "wrong")


# ---- votes -----------------------------------------------------------------------------------------------


def test_votes_adapt_with_a_method_for_classes(folder):
    words = "adapt source.h5 target.h5 --votes wide,thin --vote-total n_votes --method mcc --epochs 2"
    done = galshift(folder, *words.split(), "--set", "training.batch_size=16", "--out", "votes", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["label_kind"] == "votes"
    assert found["classes"] == ["wide", "thin"]
    domain = found["results"][0]["domains"]["target"]
    assert 0 <= domain["mad"] <= 1
    assert domain["training_mean"]["nll"] > 0
    table = Table.read(folder / "votes" / "predictions.fits")
    np.testing.assert_allclose(table["p_wide"] + table["p_thin"], 1, rtol=1e-6)
    np.testing.assert_allclose(table["observed_wide"], table["wide"], rtol=1e-6)
    np.testing.assert_allclose(table["votes"], table["n_votes"])
    assert (table["concentration"] > 0).all()
    assert set(np.asarray(table["prediction"]).astype(str)) <= {"wide", "thin"}


# ---- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "auto"}, "auto chooses between classifiers"),
        ({"method": "mcc"}, "mcc .*needs classes"),
        ({"training": {**QUICK, "select": "infomax"}}, "ranks class predictions"),
        ({"training": {**QUICK, "label_smoothing": 0.1}}, "for classes"),
        ({"method": {"kind": "mmd", "entropy": 0.1}}, "entropy.*needs classes"),
    ],
)
def test_what_needs_classes_is_refused_before_training(folder, tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words):
        execute("adapt", value_config(folder, **changes), out=tmp_path / "out")
    assert not list((tmp_path / "out").glob("**/model.safetensors"))


def test_verbs_for_classes_say_what_the_run_is(adapted, folder):
    done = galshift(folder, "one-pixel-attack", "value", "target.h5")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert "this network predicts continuous labels (width)" in done.stderr
    for verb, config in (
        ("explain", {"run": str(folder / "value"), "data": [str(folder / "target.h5")]}),
        ("suggest", {"run": str(folder / "value"), "data": str(folder / "target.h5"), "budget": 3}),
    ):
        with pytest.raises(DataError, match="predicts continuous labels"):
            execute(verb, config, out=folder / verb)


def test_continuous_labels_without_their_kind_get_the_hint(tmp_path):
    cutouts = discs(1)
    write_hdf5(tmp_path / "z.h5", cutouts.with_(labels=cutouts.table["width"].data.astype(np.float32)))
    with pytest.raises(DataError, match="no class labels") as caught:
        execute("train", {"data": str(tmp_path / "z.h5")}, out=tmp_path / "out")
    assert "--label-kind value" in caught.value.hint
    with pytest.raises(DataError, match="ten are needed"):
        table = cutouts.table.copy()
        table["width"][9:] = np.nan
        write_hdf5(tmp_path / "few.h5", cutouts.with_(table=table))
        config = {"data": str(tmp_path / "few.h5"), "read": value_config(tmp_path)["read"]}
        execute("train", config, out=tmp_path / "few")


def test_what_suggest_prints_next_holds_for_votes(folder):
    words = "train source.h5 --votes wide,thin --vote-total n_votes --epochs 1 --out voted"
    assert galshift(folder, *words.split()).returncode == 0
    write_hdf5(folder / "blind.h5", discs(7).with_(table=None))
    truth = {f"s7-{i}": row for i, row in enumerate(discs(7).table)}
    for aim in ("measure", "improve"):
        ask = f"suggest voted blind.h5 --budget 20 --aim {aim} --out ask-{aim}"
        told = (galshift_alone if aim == "measure" else galshift)(folder, *ask.split())
        assert told.returncode == 0, told.stderr
        lines = [line.strip() for line in (told.stdout + told.stderr).splitlines()]
        assert any("numbers of votes" in line and "(wide, thin, n_votes)" in line for line in lines)
        step = next(line[line.index("galshift ") :] for line in lines if "--labels" in line)
        table = Table.read(folder / f"ask-{aim}" / "suggest.csv")
        for name in ("wide", "thin", "n_votes"):
            assert table[name].mask.all()
            table[name] = [truth[i][name] for i in table["id"]]
        table.write(folder / f"ask-{aim}" / "suggest.csv", overwrite=True)
        step = step.replace("RUN", "voted").replace("DATA", "blind.h5")
        done = galshift(folder, *step.split()[1:], "--out", f"then-{aim}")
        assert done.returncode == 0, done.stderr
