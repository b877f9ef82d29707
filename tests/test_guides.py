"""Guides: every command of every guide is run as it stands, in one folder of practice data, in order."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from galshift.errors import UsageError
from galshift.guides import TOPICS, Guide, guide, parsed, picture_of, text_of
from tests import file_operations
from tests.file_operations import Server

# python -m pytest tests/test_guides.py with this set makes the pictures of the guides anew.
MAKE = os.environ.get("GALSHIFT_GUIDE_PICTURES")


@pytest.fixture(scope="module")
def practice(tmp_path_factory) -> Path:
    """The folder in which a reader would work."""
    return tmp_path_factory.mktemp("practice")


def label(table: Path, galaxies: Path) -> None:
    """Fill in the labels as a person would by eye: from what the galaxies are."""
    with h5py.File(galaxies) as file:
        names = json.loads(file.attrs["classes"])
        truth = dict(zip(file["ids"].asstr()[:], (names[k] for k in file["labels"][:]), strict=True))
    lines = table.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines))
    for row in rows:
        row["label"] = truth[row["id"]]
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.slow
def test_every_command_of_every_guide_runs_as_it_stands(practice: Path, server: Server) -> None:
    for topic in TOPICS:
        for block in guide(topic).code():
            if block.file:
                (practice / block.file).write_text(block.text + "\n", encoding="utf-8")
            if block.language != "bash":
                continue
            for line in block.text.splitlines():
                for table in practice.glob("to-*/suggest.csv"):
                    label(table, practice / "practice_sdss.h5")
                program, *words = shlex.split(line)
                if program == "galshift":
                    ended = server.run(practice, words)
                    assert ended.code == 0, f"{topic}: {line}\n{ended.said}"
                else:
                    assert program == "python"
                    done = subprocess.run(
                        [sys.executable, *words], cwd=practice, capture_output=True, text=True
                    )
                    assert done.returncode == 0, f"{topic}: {line}\n{done.stderr}"
    for topic in TOPICS:
        check_pictures(topic, practice)


def check_pictures(topic: str, practice: Path) -> None:
    """What a guide shows is there once its commands have run, and in the package."""
    for block in [block for _, blocks in guide(topic).parts for block in blocks if block.picture]:
        made, kept = practice / block.picture, picture_of(topic, block.picture)
        assert made.is_file(), made
        if MAKE:
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(made.read_bytes())
        assert kept.read_bytes()[:100] == made.read_bytes()[:100]
        assert kept.stat().st_size < 300_000


def test_guides_are_listed_shown_and_written(tmp_path: Path) -> None:
    def galshift(*words: str) -> subprocess.CompletedProcess:
        return file_operations.galshift(tmp_path, "guide", *words)

    listed = galshift()
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(TOPICS)
    shown = galshift("own-data")
    assert shown.stdout.rstrip() == text_of("own-data").rstrip()
    for topic in TOPICS:
        done = galshift(topic, "--html", f"{topic}.html")
        assert done.returncode == 0, done.stderr
        page = (tmp_path / f"{topic}.html").read_text(encoding="utf-8")
        assert guide(topic).title in page
        body = re.sub(r"<pre>.*?</pre>|data:image[^\"]*", "", page.split("<main>")[1], flags=re.DOTALL)
        assert "`" not in body
        assert "http" not in body
    wrong = galshift("own-dta")
    assert wrong.returncode == 2
    assert "own-data" in wrong.stderr
    with pytest.raises(UsageError):
        text_of("../console.py")


def test_a_guide_is_read_in_its_parts() -> None:
    text = "# T\nOne\nline.\n- a\n  b\n- c\n## P\n```yaml x.yaml\nk: 1\n\nz: 2\n```\n"
    text += "End `code`.\n![See](a/b.svg)\n"
    found = parsed(text)
    assert isinstance(found, Guide)
    assert found.title == "T"
    (_, opening), (heading, part) = found.parts
    assert [(block.text, block.item) for block in opening] == [
        ("One line.", False),
        ("a b", True),
        ("c", True),
    ]
    assert heading == "P"
    assert (part[0].text, part[0].language, part[0].file) == ("k: 1\n\nz: 2", "yaml", "x.yaml")
    assert part[1].text == "End `code`."
    assert (part[2].text, part[2].picture) == ("See", "a/b.svg")


def test_every_guide_is_a_file_and_every_file_a_guide() -> None:
    files = Path(picture_of("x", "y")).parents[1].glob("*.md")
    assert sorted(path.stem for path in files) == sorted(TOPICS)
