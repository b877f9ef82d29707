"""Published recipes: what is in them, the same bytes again, and that nothing in them is taken on trust."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import galshift
from galshift.errors import ConfigError, DataError, NumericalError
from galshift.recipes import archive
from galshift.recipes.archive import read_archive, write_archive
from galshift.recipes.bibliography import bibtex, papers, references
from galshift.recipes.paths_of import portable
from galshift.recipes.publish import publish
from galshift.recipes.read import read_recipe
from galshift.recipes.run import run_recipe
from galshift.recipes.toy import toy_overrides
from galshift.recipes.verify import Verified, require_verified, verify_archive
from tests import file_operations, toy_steps

REAL = """\
recipe: 1
name: small
description: A small study.
steps:
  sky: {uses: simulate, n: 24, size: 20, classes: [merger, elliptical]}
  mocks: {uses: make-mocks, input: "${sky}", survey: hsc-wide, size: 20}
  net: {uses: train, data: "${mocks}", training: {epochs: 1, batch_size: 8}}
  judged:
    uses: evaluate
    runs: ["${net}"]
    on: ["${mocks}"]
    samples: 0
    expect: {results.0.domains.mocks.n: {at_least: 1}}
"""
TOY = """\
recipe: 1
name: toy
data: {own: own.txt}
steps:
  words: {uses: toy-make, n: 4}
  counted: {uses: toy-count, data: "${words}", others: ["${data.own}"]}
  again: {uses: toy-count, data: "${words.extra}"}
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe of real verbs that has run, and its archive."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "small.yaml").write_text(REAL)
    recipe = read_recipe(folder / "small.yaml")
    run_recipe(recipe)
    publish(recipe, folder / "small.yaml", folder / "out.zip")
    return folder


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive of a recipe of toy steps, in the working directory."""
    monkeypatch.chdir(tmp_path)
    assert toy_steps.Make.kind in TOY
    Path("own.txt").write_text("a b c")
    Path("toy.yaml").write_text(TOY)
    run_recipe(read_recipe("toy.yaml"))
    publish(read_recipe("toy.yaml"), Path("toy.yaml"), Path("toy.zip"))
    return tmp_path / "toy.zip"


def test_all_that_belongs_to_a_study_is_in_it(real: Path) -> None:
    with zipfile.ZipFile(real / "out.zip") as file:
        names = set(file.namelist())
        held = json.loads(file.read("manifest.json"))
        told = {name: hashlib.sha256(file.read(name)).hexdigest() for name in names - {"manifest.json"}}
        environment = json.loads(file.read("environment.json"))
        text = file.read("README.md").decode()
        assert file.read("small.yaml").decode() == REAL
    assert {
        "README.md", "small.yaml", "small.lock.json", "small.constraints.txt", "environment.json",
        "data.json", "references.bib", "manifest.json",
    } < names  # fmt: skip
    kinds = {re.sub(r"-[0-9a-f]{8}/", "/", name) for name in names}
    assert {"results/judged/metrics.json", "results/judged/report.html"} < kinds
    assert {name.rpartition(".")[2] for name in kinds if name.startswith("figures/judged/")} >= {
        "pdf",
        "ecsv",
    }
    assert not {"h5", "safetensors", "fits"} & {name.rpartition(".")[2] for name in names}
    assert {name: one["sha256"] for name, one in held["members"].items()} == told
    assert environment["galshift"] == galshift.__version__
    assert environment["packages"]["numpy"] == np.__version__
    assert "A small study." in text
    assert "Aihara et al. 2022" in text


def test_nothing_says_on_which_machine_it_was_made(real: Path) -> None:
    assert os.fsencode(real) not in (real / "out.zip").read_bytes()


def test_the_same_bytes_again_at_another_time_and_in_another_folder(real: Path, tmp_path: Path) -> None:
    shutil.copytree(real, tmp_path / "copy")
    there = tmp_path / "copy"
    again = publish(read_recipe(there / "small.yaml"), there / "small.yaml", there / "second.zip")
    assert (there / "second.zip").read_bytes() == (real / "out.zip").read_bytes()
    assert not again.there_already
    assert publish(
        read_recipe(there / "small.yaml"), there / "small.yaml", there / "second.zip"
    ).there_already
    assert {path.name for path in there.iterdir()} == {path.name for path in real.iterdir()} | {"second.zip"}


def test_in_a_fresh_folder_all_is_reproduced(real: Path, tmp_path: Path) -> None:
    shutil.copy(real / "out.zip", tmp_path / "theirs.zip")
    found = verify_archive(tmp_path / "theirs.zip", full=True)
    require_verified(found)
    assert found.n_steps == found.n_same == 4
    assert found.reproduced.other == []
    assert found.reproduced.within == []
    assert found.reproduced.n_files > 4
    assert [row["met"] for row in found.expectations] == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.zip"]


def test_the_command_lines(real: Path, tmp_path: Path) -> None:
    shutil.copytree(real, tmp_path / "s")
    (tmp_path / "s/out.zip").unlink()
    done = file_operations.galshift_alone(tmp_path / "s", "recipes", "publish", "small.yaml", "out.zip")
    assert (done.returncode, done.stdout) == (0, "out.zip\n"), done.stderr
    assert "next: galshift recipes verify out.zip" in done.stderr
    done = file_operations.galshift(tmp_path / "s", "recipes", "verify", "out.zip", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["scale"] == "toy"
    # Few galaxies and epochs are all that there were.
    assert told["n_published_steps"] == told["n_steps"] == 4
    assert told["reproduced"]["verdict"] == "bit for bit"
    data = bytearray((tmp_path / "s/out.zip").read_bytes())
    data[data.index(b"A small study")] ^= 1
    (tmp_path / "s/out.zip").write_bytes(data)
    done = file_operations.galshift(tmp_path / "s", "recipes", "verify", "out.zip")
    assert done.returncode == 4
    assert re.fullmatch(r"galshift: out\.zip: not as published: .*\n", done.stderr)


def test_one_flipped_byte_in_any_member_is_named(toy: Path) -> None:
    whole = toy.read_bytes()
    with zipfile.ZipFile(toy) as file:
        told = file.infolist()
    assert len(told) >= 10
    for one in told:
        start = one.header_offset + 30 + len(one.filename)
        place = start + len(whole[start : start + one.file_size]) // 2
        broken = bytearray(whole)
        broken[place] ^= 0x20
        toy.write_bytes(broken)
        with pytest.raises(DataError, match=re.escape(one.filename)):
            read_archive(toy)


def test_no_flipped_byte_anywhere_gets_through_as_another_content(toy: Path) -> None:
    whole = toy.read_bytes()
    wanted, _ = read_archive(toy)
    rng = np.random.default_rng(1)
    refused = 0
    for place in rng.integers(0, len(whole), 400):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(0, 8))
        toy.write_bytes(broken)
        try:
            found, _ = read_archive(toy)
        except DataError:
            refused += 1
        else:  # a date, a mode
            assert found == wanted
    assert refused > 200


def test_a_member_with_a_right_checksum_and_another_content_is_named(toy: Path) -> None:
    members, _ = read_archive(toy)
    with zipfile.ZipFile(toy) as file:
        manifest = file.read("manifest.json")
    for change, what in (
        ({"README.md": b"other"}, r"README\.md \(other content\)"),
        ({"README.md": None}, r"README\.md \(missing\)"),
        ({"more.txt": b"more"}, r"more\.txt \(not in manifest\.json\)"),
    ):
        with zipfile.ZipFile(toy, "w") as file:
            for name, content in {**members, **change, "manifest.json": manifest}.items():
                if content is not None:
                    file.writestr(name, content)
        with pytest.raises(DataError, match=what):
            read_archive(toy)


def test_a_zip_of_the_same_files_by_another_program_is_read(toy: Path) -> None:
    wanted, manifest = read_archive(toy)
    with zipfile.ZipFile(toy) as file:
        everything = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(toy, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("results/", b"")
        for name, content in everything.items():
            file.writestr(name, content)
    assert read_archive(toy) == (wanted, manifest)


def _member(
    name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644
) -> tuple[zipfile.ZipInfo, bytes]:
    told = zipfile.ZipInfo(name)
    told.create_system, told.external_attr = 3, mode << 16
    return told, content


def _zip(path: Path, *members: tuple[zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for told, content in members:
            file.writestr(told, content, packed)


def _renamed(path: Path, old: str, new: str) -> None:
    _zip(path, _member(old))
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))


def _bomb(path: Path) -> None:
    _zip(path, _member("a", b"\0" * 30_000_000), packed=zipfile.ZIP_DEFLATED)


def _says_huge(path: Path) -> None:
    _zip(path, _member("a"))
    data = path.read_bytes()
    place = data.index(b"PK\x01\x02")
    path.write_bytes(data[: place + 24] + struct.pack("<I", 4_000_000_000) + data[place + 28 :])


def _many(path: Path) -> None:
    _zip(path, *(_member(f"m{i}", b"") for i in range(archive.MOST_MEMBERS + 1)))


def _overlapping(path: Path) -> None:
    _zip(path, _member("a", b"x" * 1000), _member("b", b"x" * 1000))
    data = path.read_bytes()
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    path.write_bytes(data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :])


def _twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        _zip(path, _member("a"), _member("a", b"y"))


def _encrypted(path: Path) -> None:
    _zip(path, _member("a"))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "absolute": (lambda path: _zip(path, _member("/etc/passwd")), "leads out"),
    "up": (lambda path: _zip(path, _member("../../up.txt")), "leads out"),
    "up inside": (lambda path: _zip(path, _member("a/../../b")), "leads out"),
    "drive": (lambda path: _zip(path, _member("C:/windows")), "leads out"),
    "backslash": (lambda path: _renamed(path, "a/b/c", "..\\b\\"[:5]), "leads out"),
    "link": (lambda path: _zip(path, _member("a", b"/etc/passwd", stat.S_IFLNK | 0o777)), "link"),
    "device": (lambda path: _zip(path, _member("a", b"", stat.S_IFCHR | 0o666)), "special"),
    "control": (lambda path: _zip(path, _member("a\x1b[31mb")), "not printable"),
    "line feed": (lambda path: _zip(path, _member("a\nb")), "not printable"),
    "nul": (lambda path: _renamed(path, "abc", "a\0c"), "not printable"),
    "long": (lambda path: _zip(path, _member("a" * 1000)), "too long"),
    "twice": (_twice, "two members"),
    "capitals": (lambda path: _zip(path, _member("a"), _member("A")), "two members"),
    "bomb": (_bomb, "times its size"),
    "huge": (_says_huge, "larger than"),
    "many": (_many, "more than 10000 members"),
    "overlapping": (_overlapping, "lies over"),
    "encrypted": (_encrypted, "encrypted"),
    "bzip2": (lambda path: _zip(path, _member("a"), packed=zipfile.ZIP_BZIP2), "packed in a way"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "no zip": (lambda path: path.write_bytes(b"text" * 100), "no zip archive"),
    "another zip": (lambda path: _zip(path, _member("a")), "manifest.json is missing"),
    "half": (
        lambda path: (_zip(path, _member("a" * 9, b"x" * 999)), path.write_bytes(path.read_bytes()[:600])),
        "no zip",
    ),
    "manifest": (lambda path: _zip(path, _member("manifest.json", b"[" * 100_000)), "none that galshift"),
    "manifest of lists": (
        lambda path: _zip(path, _member("manifest.json", b'{"galshift_archive": 1, "members": {"a": []}}')),
        "none that galshift",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    write, what = HOSTILE[name]
    path = tmp_path / "bad.zip"
    write(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=what) as caught:
        verify_archive(path)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert sorted(tmp_path.rglob("*")) == before


def _republished(path: Path, **changed: bytes) -> None:
    members, manifest = read_archive(path)
    about = {key: manifest[key] for key in ("recipe", "file")}
    write_archive(path, {**members, **{name.replace("_", "."): new for name, new in changed.items()}}, about)


def test_a_recipe_that_reads_its_readers_files_is_refused(toy: Path) -> None:
    for outside in ("/etc/hostname", "../secret.txt", "~/secret"):
        text = TOY.replace("own.txt", json.dumps(outside))
        _republished(toy, toy_yaml=text.encode())
        with pytest.raises(DataError, match="outside its own folder"):
            verify_archive(toy)
    for value in ("/etc/hostname", "https://example.org/x", "a/../../b"):  # of a key that may not be a path
        _republished(toy, toy_yaml=TOY.replace("n: 4", f"word: {json.dumps(value)}").encode())
        with pytest.raises(DataError, match="outside its own folder"):
            verify_archive(toy)


def test_an_archive_without_its_parts_is_refused(toy: Path) -> None:
    members, manifest = read_archive(toy)
    about = {key: manifest[key] for key in ("recipe", "file")}
    for name, what in (
        ("toy.yaml", "no recipe"),
        ("toy.lock.json", "toy.lock.json"),
        ("data.json", "data.json"),
    ):
        write_archive(toy, {other: content for other, content in members.items() if other != name}, about)
        with pytest.raises(DataError, match=what):
            verify_archive(toy)


def test_data_of_others_are_asked_for_and_checked(toy: Path, tmp_path: Path) -> None:
    require_verified(verify_archive(toy, full=True))
    (tmp_path / "elsewhere").mkdir()
    shutil.move("own.txt", "elsewhere/own.txt")
    found = verify_archive(toy)
    assert found.left_out == ["counted"]
    assert found.n_same == 2  # those that need nothing from outside
    with pytest.raises(DataError, match=r"own\.txt is not there"):
        require_verified(found)
    require_verified(verify_archive(toy, full=True, data=Path("elsewhere")))
    Path("elsewhere/own.txt").write_text("a b d")
    with pytest.raises(DataError, match="other content than what was published"):
        require_verified(verify_archive(toy, full=True, data=Path("elsewhere")))


def test_the_table_over_a_matrix_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = TOY.replace("name: toy", "name: toy\nmatrix: {k: [1, 2]}\nsummary: {step: counted, keys: [total]}")
    Path("own.txt").write_text("a b c")
    Path("toy.yaml").write_text(text.replace('["${data.own}"]', '["${data.own}"], scale: "${matrix.k}"'))
    run_recipe(read_recipe("toy.yaml"))
    publish(read_recipe("toy.yaml"), Path("toy.yaml"), Path("toy.zip"))
    members, _ = read_archive(Path("toy.zip"))
    assert {"results/summary.html", "results/summary.ecsv", "results/summary.tex"} < set(members)
    assert "| 2 | 1 | 16.000 |" in members["README.md"].decode()
    require_verified(verify_archive(Path("toy.zip"), full=True))


def test_where_data_can_be_fetched_is_told(toy: Path) -> None:
    members, _ = read_archive(toy)
    (card,) = json.loads(members["data.json"])["data"]
    assert card == {
        "path": "own.txt",
        "sha256": hashlib.sha256(b"a b c").hexdigest(),
        "bytes": 5,
        "read_by": ["counted"],
    }


def test_another_result_is_named(toy: Path) -> None:
    members, _ = read_archive(toy)
    lock = json.loads(members["toy.lock.json"])
    lock["steps"]["counted"]["results"]["total"] = 99.0
    _republished(toy, toy_lock_json=json.dumps(lock).encode())
    found = verify_archive(toy)
    with pytest.raises(NumericalError, match="counted: total 99 → 8"):
        require_verified(found)
    assert any(line.startswith("NOT reproduced") for line in found.sentences())


def test_a_step_of_another_version_is_named(toy: Path) -> None:
    members, _ = read_archive(toy)
    lock = json.loads(members["toy.lock.json"])
    lock["steps"]["counted"]["versions"]["kernel gauss"] = 2
    lock["steps"]["counted"]["fingerprint"] = "0" * 64
    _republished(toy, toy_lock_json=json.dumps(lock).encode())
    with pytest.raises(ConfigError) as caught:
        verify_archive(toy, full=True)
    assert caught.value.problems[0] == "counted: kernel gauss version 2 → 3"


def test_what_has_not_run_or_was_changed_is_not_published(toy: Path) -> None:
    recipe = read_recipe("toy.yaml", overrides=["steps.words.n=5"])
    with pytest.raises(
        ConfigError, match=r"not run to its end: words, counted, again \(galshift run toy\.yaml\)"
    ):
        publish(recipe, Path("toy.yaml"), Path("other.zip"))
    (page,) = Path("runs/toy").glob("counted-*/report.html")
    page.write_text("changed")
    with pytest.raises(DataError, match="changed after it was made"):
        publish(read_recipe("toy.yaml"), Path("toy.yaml"), Path("other.zip"))
    assert not Path("other.zip").exists()
    assert not list(Path().glob(".other*"))


def test_another_file_is_not_written_over(toy: Path) -> None:
    Path("mine.zip").write_text("mine")
    with pytest.raises(DataError, match="there already"):
        publish(read_recipe("toy.yaml"), Path("toy.yaml"), Path("mine.zip"))
    assert Path("mine.zip").read_text() == "mine"


def test_paths_that_lead_out_are_brought_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study").mkdir()
    for name in ("far/own.txt", "near/own.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    text = TOY.replace("own.txt", f"{tmp_path}/far/own.txt  ").replace(
        'data: "${words.extra}"', "data: ../near/own.txt"
    )
    (tmp_path / "study/toy.yaml").write_text(f"# the data are in {tmp_path}/far/own.txt\n{text}")
    monkeypatch.chdir(tmp_path / "study")
    recipe = read_recipe("toy.yaml")
    changed, moved = portable(recipe, Path("toy.yaml").read_text())
    assert moved == {f"{tmp_path}/far/own.txt": "data/own.txt", "../near/own.txt": "data/own-2.txt"}
    assert str(tmp_path) not in changed
    run_recipe(recipe)
    publish(recipe, Path("toy.yaml"), Path("toy.zip"))
    Path("data").mkdir()
    shutil.copy("../far/own.txt", "data/own.txt")
    shutil.copy("../near/own.txt", "data/own-2.txt")
    require_verified(verify_archive(Path("toy.zip"), full=True))


def test_toy_scale_is_small_and_leaves_small_recipes_alone(tmp_path: Path) -> None:
    large = REAL.replace("n: 24", "n: 5000").replace("epochs: 1,", "epochs: 300,")
    large = large.replace("name: small", "name: small\nmatrix: {k: [1, 2, 3]}")
    large += '  attacked: {uses: one-pixel-attack, run: "${net}", data: "${mocks}", seed: "${matrix.k}"}\n'
    (tmp_path / "large.yaml").write_text(large)
    found = toy_overrides(read_recipe(tmp_path / "large.yaml"))
    assert found == [
        "matrix.k=[1, 2]",
        "steps.sky.n=60",
        "steps.net.training.epochs=2",
        "steps.attacked.limit=5",
    ]
    read_recipe(tmp_path / "large.yaml", overrides=found)
    (tmp_path / "small.yaml").write_text(REAL)
    assert toy_overrides(read_recipe(tmp_path / "small.yaml")) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Long et al. 2015, arXiv:1502.02791", [("Long", "others"), "2015", "1502.02791", ""]),
        ("Sun, Feng & Saenko 2016, arXiv:1511.05547", [("Sun", "Feng", "Saenko"), "2016", "1511.05547", ""]),
        ("Ganin et al. 2016, JMLR 17, 59", [("Ganin", "others"), "2016", "", "JMLR"]),
        ("Kuijken et al. 2019, A&A 625, A2 (KiDS DR4)", [("Kuijken", "others"), "2019", "", "A&A"]),
        ("RealSim's settings, Bottrell et al. 2019", [("Bottrell", "others"), "2019", "", ""]),
        ("Euclid Q1: VIS, arXiv:2503.15303", [(), "2025", "2503.15303", ""]),
        ("He et al. 2021, arXiv:2010.11929", [("He", "others"), "2021", "2010.11929", ""]),
        ("Keeton 2001, arXiv:astro-ph/0102341", [("Keeton",), "2001", "astro-ph/0102341", ""]),
    ],
)
def test_references_are_read(text: str, wanted: list[object]) -> None:
    (paper,) = papers(text)
    assert [paper.authors, paper.year, paper.arxiv, paper.journal] == wanted


@pytest.mark.parametrize("text", ["", "recalled from the literature", "photerr version 2 of 2024: visits"])
def test_what_is_no_paper_is_no_entry(text: str) -> None:
    assert papers(text) == []


def _entries(text: str) -> list[tuple[str, str, dict[str, str]]]:
    """Read BibTeX as Oren Patashnik's btxdoc has it: @kind{key, name = {balanced}, ...}."""
    found, place = [], 0
    while (start := text.find("@", place)) >= 0:
        head = re.match(r"@(\w+)\{([^\s,{}]+),\s*", text[start:])
        assert head, text[start : start + 40]
        place, fields = start + head.end(), {}
        while text[place] != "}":
            name = re.match(r"(\w+) = \{", text[place:])
            assert name, text[place : place + 40]
            place += name.end()
            begin, depth = place, 1
            while depth:
                depth += {"{": 1, "}": -1}.get(text[place], 0) if text[place - 1] != "\\" else 0
                place += 1
            assert name[1] not in fields
            fields[name[1]] = text[begin : place - 1]
            place += re.match(r",?\s*", text[place:]).end()  # type: ignore[union-attr]
        found.append((head[1], head[2], fields))
        place += 1
    return found


def test_bibtex_has_one_valid_entry_a_paper(real: Path) -> None:
    members, _ = read_archive(real / "out.zip")
    found = _entries(members["references.bib"].decode())
    assert [key for _, key, _ in found] == ["galshift", "aihara2022", "ciprijanovic2021"]
    assert found[1][0] == "article"
    assert found[1][2]["journal"] == "PASJ"
    assert found[1][2]["author"] == "{Aihara} and others"
    used = references(json.loads(members["small.lock.json"]))
    assert set(used) == {"model deepmerge", "survey hsc-wide"}


def test_every_reference_that_is_stated_makes_valid_bibtex() -> None:
    from galshift import surveys
    from galshift.data.public import names, public_set
    from galshift.methods import METHODS
    from galshift.models import MODELS

    own = [registry.get(name) for registry in (METHODS, MODELS) for name in registry.names()]
    texts = [getattr(thing, "reference", "") or "" for thing in own]
    texts += [text for name in surveys.names() for text in surveys.load(name).sources.values()]
    texts += [public_set(name).paper for name in names()]
    found = _entries(bibtex([*texts, *texts]))
    keys = [key for _, key, _ in found]
    assert len(set(keys)) == len(keys) > 40
    papers_told = [tuple(sorted(fields.items())) for _, _, fields in found]
    assert len(set(papers_told)) == len(papers_told)
    numbers = [fields["eprint"] for _, _, fields in found if "eprint" in fields]
    assert len(set(numbers)) == len(numbers)
    assert {number for text in texts for number in re.findall(r"arXiv:(\d{4}\.\d{5})", text)} == set(numbers)


def test_sentences_of_a_toy_run_do_not_claim_more_than_was_done() -> None:
    found = Verified("x", 5, full=False, n_steps=3, n_same=0)
    assert "none is as large as what was published: --full compares the results" in found.sentences()
    assert not any("reproduced" in line for line in found.sentences())
    assert io.StringIO("\n".join(found.sentences())).readline() == "5 files are as they were published\n"
