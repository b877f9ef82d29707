"""Catalogues as people have them: votes, missing labels, long ids, separators, rows chosen by a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from galshift.data.fits_text import escaped, history_cards, unescaped
from galshift.data.no_label import labels_of_words, missing_classes
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.data.tables import read_table
from galshift.data.where import rows_where
from galshift.errors import DataError, UsageError
from galshift.evaluation.predictions import write_predictions

N = 12
# The ids of SDSS DR7 and DR8: 18 and 19 digits, more than a float64 holds.
IDS = [587722981742084096 + 17 * k for k in range(6)] + [1237648720693755918 + k for k in range(6)]


@pytest.fixture
def images(tmp_path):
    """A folder of 12 FITS images that are called by their ids."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in IDS:
        hdu = fits.PrimaryHDU(rng.normal(size=(8, 8)).astype("f4"))
        hdu.header["BUNIT"], hdu.header["FILTER"] = "nJy", "r"
        hdu.writeto(folder / f"{name}.fits")
    return folder


def by_id(dataset):
    """Return {id: class or None}."""
    info = dataset.info
    return {int(i): info.classes[k] if k >= 0 else None for i, k in zip(info.ids, info.labels)}


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("head", ["objid,class", "# objid,class", "# of 2020, by me\nobjid,class"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_and_headers_in_comments(tmp_path, images, head, separator):
    rows = [f"{name},{'SE'[k % 2]}" for k, name in enumerate(IDS)]
    text = "\n".join([head, *rows]).replace(",", separator)
    dataset = open_dataset(images, ReadOptions(labels=written(tmp_path / "t.csv", text)))
    assert by_id(dataset) == {name: "SE"[k % 2] for k, name in enumerate(IDS)}


def test_decimal_commas(tmp_path):
    table = read_table_of(tmp_path, "id;z;name\n1;0,05;a,b\n2;;c\n3;1,5e-1;d\n")
    np.testing.assert_array_equal(np.asarray(table["z"]), [0.05, np.nan, 0.15])
    assert list(table["name"]) == ["a,b", "c", "d"]


def read_table_of(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path)


def test_commas_in_quotes_are_no_separators(tmp_path):
    table = read_table_of(tmp_path, 'id,name\n1,"a;b"\n2,"c,d"\n')
    assert list(table["name"]) == ["a;b", "c,d"]


@pytest.mark.parametrize("scale", [1, 40, 100])
def test_confidence_is_of_the_fraction_whatever_votes_are_given_as(tmp_path, images, scale):
    """Fractions, counts of 40 and per cent of the same votes give the same labels: 0.9 wins, 0.6 does not."""
    shares = [0.9 if k % 3 else 0.6 for k in range(N)]
    rows = [f"{name},{round(s * scale, 6)},{round((1 - s) * scale, 6)}" for name, s in zip(IDS, shares)]
    labels = written(tmp_path / "t.csv", "\n".join(["id,smooth,disk", *rows]))
    options = ReadOptions(labels=labels, vote_columns=("smooth", "disk"), min_confidence=0.8)
    dataset = open_dataset(images, options)
    assert by_id(dataset) == {name: "smooth" if s == 0.9 else None for name, s in zip(IDS, shares)}
    assert any(note.startswith("4 images have no label") for note in dataset.info.notes)


def test_confidence_counts_where_votes_are_the_labels(tmp_path, images):
    rows = [f"{name},{30 if k % 3 else 20},10" for k, name in enumerate(IDS)]
    labels = written(tmp_path / "t.csv", "\n".join(["id,smooth,disk", *rows]))
    options = {"labels": labels, "vote_columns": ("smooth", "disk"), "label_kind": "votes"}
    votes = open_dataset(images, ReadOptions(**options, min_confidence=0.7)).info.labels
    assert int(np.isnan(votes).all(axis=1).sum()) == 4
    assert sorted(set(votes[np.isfinite(votes)].tolist())) == [10, 30]


def test_counts_are_of_the_column_with_their_total(tmp_path, images):
    """30 of 40 votes are 0.75, though no other column has the other ten."""
    rows = [f"{name},30,2,40" for name in IDS[:-1]] + [f"{IDS[-1]},2,38,40"]
    labels = written(tmp_path / "t.csv", "\n".join(["id,smooth,disk,n", *rows]))
    options = {"labels": labels, "vote_columns": ("smooth", "disk"), "min_confidence": 0.8}
    found = by_id(open_dataset(images, ReadOptions(**options, vote_total="n")))
    assert list(found.values()).count("smooth") == 0
    assert found[IDS[-1]] == "disk"
    assert list(by_id(open_dataset(images, ReadOptions(**options))).values()).count("smooth") == N - 1


@pytest.mark.parametrize("none", ["", "nan", "NaN", "-99", "-99.0", "-999", "N/A", "null", "-1", "-9999"])
@pytest.mark.parametrize("classes", [("0", "1"), ("spiral", "elliptical")])
def test_what_says_no_label_is_none_and_is_counted(tmp_path, images, none, classes):
    words = [none if k % 4 == 0 else classes[k % 2] for k in range(N)]
    rows = [f"{name},{word}" for name, word in zip(IDS, words)]
    labels = written(tmp_path / "t.csv", "\n".join(["objid,label", *rows]))
    dataset = open_dataset(images, ReadOptions(labels=labels))
    assert len(dataset.info.classes) == 2
    known = {int(i) for i, k in zip(dataset.info.ids, dataset.info.labels) if k >= 0}
    assert known == {name for k, name in enumerate(IDS) if k % 4}
    assert "3 images have no label" in dataset.info.notes


def test_a_word_that_the_user_names_is_a_class(tmp_path, images):
    rows = [f"{name},{-1 if k % 2 else 1}" for k, name in enumerate(IDS)]
    labels = written(tmp_path / "t.csv", "\n".join(["objid,label", *rows]))
    named = {"-1": "late", "1": "early"}
    assert set(by_id(open_dataset(images, ReadOptions(labels=labels, classes_map=named))).values()) == {
        "late",
        "early",
    }


@given(st.lists(st.sampled_from(["-5", "-3", "-1", "0", "2", "10", "-99", "nan", ""]), min_size=1))
def test_types_of_hubble_keep_minus_one(words):
    """-1 is a class (S0) where other negative classes stand beside it, and none where it is the only one."""
    found, _ = labels_of_words(words)
    types = {"-5", "-3"} & set(words)
    for word, label in zip(words, found):
        wanted = word if word not in ("-99", "nan", "") and (word != "-1" or types) else ""
        assert label == wanted
    numbers = [float(word) if word else np.nan for word in words]
    np.testing.assert_array_equal(missing_classes(np.array(numbers)), [label == "" for label in found])


def test_continuous_columns_are_no_classes_by_silence(tmp_path, images):
    rows = [f"{name},{0.1 + 0.05 * k}" for k, name in enumerate(IDS)]
    labels = written(tmp_path / "t.csv", "\n".join(["objid,z", *rows]))
    with pytest.raises(DataError, match="continuous numbers") as error:
        open_dataset(images, ReadOptions(labels=labels, label_column="z"))
    assert "--label-bins" in error.value.hint
    assert "--label-kind value" in error.value.hint
    dataset = open_dataset(images, ReadOptions(labels=labels, label_column="z", label_bins=(0.1, 0.3, 0.6)))
    # 0.1 to 0.25 are below 0.3; 0.3 to 0.6, the last edge included, in the second bin; 0.65 is in none.
    assert dataset.info.classes == ("0.1 to 0.3", "0.3 to 0.6")
    counts = np.bincount(dataset.info.labels + 1, minlength=3)
    assert counts.tolist() == [1, 4, 7]
    hinted = error.value.hint.split("--label-bins ")[1].split(",")[:3]
    again = ReadOptions(
        labels=labels, label_column="z", label_bins=",".join(hinted).split(" ")[0].rstrip(",")
    )
    assert (open_dataset(images, again).info.labels >= 0).all()


def test_bins_of_labels_that_the_images_bring(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.ones((4, 1, 8, 8), "f4"), labels=[0.1, 0.2, np.nan, 0.9])
    info = open_dataset(tmp_path / "a.npz", ReadOptions(label_bins=(0.5,))).info
    assert info.classes == ("below 0.5", "from 0.5")
    assert info.labels.tolist() == [0, 0, -1, 1]


def test_wildcards_and_maps_that_match_nothing(tmp_path, images):
    words = ["Sa", "Sb", "SBc", "E0", "E3", "Irr"] * 2
    rows = [f"{name},{word}" for name, word in zip(IDS, words)]
    labels = written(tmp_path / "t.csv", "\n".join(["objid,class", *rows]))
    mapping = {"SBc": "barred", "S*": "spiral", "E?": "elliptical", "*": ""}
    dataset = open_dataset(images, ReadOptions(labels=labels, classes_map=mapping))
    wanted = {"Sa": "spiral", "Sb": "spiral", "SBc": "barred", "E0": "elliptical", "E3": "elliptical"}
    assert by_id(dataset) == {name: wanted[word] for name, word in zip(IDS, words) if word in wanted}
    with pytest.raises(DataError, match="names none of the classes") as error:
        open_dataset(images, ReadOptions(labels=labels, classes_map={"irr": "x"}))
    assert "Irr" in error.value.hint


def test_parquet_ids_with_missing_rows_keep_every_digit(tmp_path, images):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    ids = arrow.array([None, *IDS], type=arrow.int64())
    words = arrow.array([None, *("SE"[k % 2] for k in range(N))]).dictionary_encode()
    parquet.write_table(arrow.table({"dr7objid": ids, "class": words}), tmp_path / "t.parquet")
    dataset = open_dataset(images, ReadOptions(labels=str(tmp_path / "t.parquet")))
    assert by_id(dataset) == {name: "SE"[k % 2] for k, name in enumerate(IDS)}


@pytest.mark.parametrize("kind", ["float", "rounded integers", "few digits"])
@pytest.mark.parametrize("column", [None, "dr7objid"])
def test_ids_that_lost_digits_are_named(tmp_path, images, kind, column):
    make = {
        "float": float,
        "rounded integers": lambda name: int(float(name)),
        "few digits": lambda n: f"{n:.6e}",
    }
    write = {"float": repr, "rounded integers": str, "few digits": str}
    rows = [f"{write[kind](make[kind](name))},S,{k}" for k, name in enumerate(IDS)]
    labels = written(tmp_path / "t.csv", "\n".join(["dr7objid,class,rank", *rows]))
    with pytest.raises(DataError) as error:
        open_dataset(images, ReadOptions(labels=labels, id_column=column))
    assert "'dr7objid' have lost their last digits" in error.value.what


def test_short_ids_of_a_column_of_floats_fit(tmp_path):
    images = np.random.default_rng(0).normal(size=(3, 1, 8, 8)).astype("f4")
    np.savez(tmp_path / "a.npz", images=images)
    labels = written(tmp_path / "t.csv", "id,class\n0.0,a\n2.0,b\n,c\n")
    info = open_dataset(tmp_path / "a.npz", ReadOptions(labels=labels)).info
    assert [info.classes[k] if k >= 0 else None for k in info.labels] == ["a", None, "b"]


def test_numbers_have_sentinels_too(tmp_path, images):
    rows = [
        f"{name},{'N/A' if k == 0 else -99 if k == 1 else -1 if k == 2 else 0.5}"
        for k, name in enumerate(IDS)
    ]
    labels = written(tmp_path / "t.csv", "\n".join(["objid,z", *rows]))
    dataset = open_dataset(images, ReadOptions(labels=labels, label_column="z", label_kind="value"))
    found = dict(zip(map(int, dataset.info.ids), dataset.info.labels[:, 0]))
    assert np.isnan([found[IDS[0]], found[IDS[1]]]).all()
    assert found[IDS[2]] == -1


def test_rows_are_chosen_by_a_sentence(tmp_path, images):
    rows = [f"{name},{k / 10},{'SE'[k % 2]},{k}" for k, name in enumerate(IDS)]
    labels = written(tmp_path / "t.csv", "\n".join(["objid,p_smooth,class,smooth-or-not", *rows]))
    dataset = open_dataset(images, ReadOptions(labels=labels, where="p_smooth > 0.35 and class == S"))
    assert by_id(dataset) == {name: "S" for k, name in enumerate(IDS) if k > 3 and k % 2 == 0}
    assert any("8 of 12 images are left out" in note for note in dataset.info.notes)
    dataset = open_dataset(
        images, ReadOptions(labels=labels, where="smooth-or-not < 2", label_column="class")
    )
    assert len(dataset.read([0, 1])) == len(dataset) == 2
    with pytest.raises(DataError, match="no image is left"):
        open_dataset(images, ReadOptions(labels=labels, where="p_smooth > 7"))


TABLE = Table(
    {
        "z": [0.1, np.nan, 0.3, -99.0, 0.5],
        "class": ["S", "E", "", "S", "Irr"],
        "id": np.array([*IDS[:4], 3], dtype=np.int64),
        "odd name": [1, 2, 3, 4, 5],
        "flag": np.ma.array([0, 1, 1, 0, 0], mask=[0, 0, 0, 0, 1]),
    }
)


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("z > 0.2", [2, 4]),
        ("0.2 < z", [2, 4]),
        ("0.05 < z <= 0.3", [0, 2]),
        ("z != 0.1", [2, 4]),
        ("class = S", [0, 3]),
        ("CLASS == 'S' or class==\"Irr\"", [0, 3, 4]),
        ("class != S", [1, 4]),
        ("z>0.2 and class==Irr or id == 3", [4]),
        ("(z > 0.2 or class == E) and `odd name` < 4", [1, 2]),
        (f"id == {IDS[1]}", [1]),
        ("flag == 0", [0, 3]),
        ("z > 1e-2 & z < 2e-1", [0]),
        ("z == -99", [3]),
    ],
)
def test_sentences(words, rows):
    assert np.flatnonzero(rows_where(TABLE, words)).tolist() == rows


@pytest.mark.parametrize(
    "words",
    ["", "z", "z >", "> 3", "z > 0.1 and", "(z > 0.1", "z > 0.1)", "zz > 0.1", "clas == S", "class > S",
     "1 < 2", "z > 0.1 z < 2", "__import__('os')", "z > `", "class > 3", "and and and", "z = = 3",
     "`z` > `class`"],
)  # fmt: skip
def test_sentences_that_cannot_be_read_are_refused(words):
    with pytest.raises(UsageError) as error:
        rows_where(TABLE, words)
    assert error.value.where == "--where"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="zclasid <>=!()&|'\"`.0123456789andorE-_", max_size=24))
def test_no_sentence_breaks_the_parser(words):
    """Whatever is typed gives rows or one refusal."""
    try:
        rows = rows_where(TABLE, words)
    except UsageError:
        return
    assert rows.dtype == bool
    assert rows.shape == (5,)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(0, 6)), min_size=1),
    st.lists(st.sampled_from(["and", "or"]), min_size=8, max_size=8),
)
def test_sentences_mean_what_python_means(parts, joints):
    """`and` binds more than `or`: compared with Python's own reading, row by row."""
    parts = parts[:8]
    words = "".join(f"x {sign} {value} {joint} " for (sign, value), joint in zip(parts, joints))
    words = words.rsplit(" ", 2)[0]
    rows = rows_where(Table({"x": np.arange(7)}), words)
    assert rows.tolist() == [eval(words, {"x": x}) for x in range(7)]


@given(st.text())
def test_escapes_come_back(text):
    written = escaped(text)
    assert written.isascii()
    assert unescaped(written) == text


def test_names_that_fits_cannot_hold_come_back_and_are_told(tmp_path, capsys):
    names = ["Σπείρα α−1", "groß", "a\\b", "plain 100%'s"]
    table = Table({"id": names, "p_groß": [0.1, 0.2, 0.3, 0.4], "plain": ["a", "b", "c", "d"]})
    write_predictions(tmp_path / "p.fits", table)
    assert "written as escapes" in capsys.readouterr().err
    back = read_table(tmp_path / "p.fits")
    assert back["id"].tolist() == names
    assert back.colnames == ["id", "p_groß", "plain"]
    with fits.open(tmp_path / "p.fits") as hdus:
        assert hdus[1].header["ESCAPED"] == "id"
        assert "\\u03a3" in str(hdus[1].data["id"][0])
    write_predictions(tmp_path / "q.fits", Table({"id": ["a\\b"]}))
    assert capsys.readouterr().err == ""
    assert read_table(tmp_path / "q.fits")["id"].tolist() == ["a\\b"]


@given(st.text(alphabet="ab ", max_size=300))
def test_history_keeps_every_space_within_a_text(text: str) -> None:
    text = text.strip(" ")
    header = fits.Header()
    for line in history_cards(text):
        header.add_history(line)
    read = fits.Header.fromstring(header.tostring())
    assert "".join(read["HISTORY"]) == text if text else "HISTORY" not in read
