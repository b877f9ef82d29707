"""Figures and tables for a paper: fonts, formats, the numbers behind, LaTeX, styles; from a real run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from galshift.errors import DataError
from galshift.report import Figure, ReportData, Section, build, figures
from galshift.report import Table as PageTable
from galshift.report.drawing import KINDS
from galshift.report.paper import KEPT, behind, escaped, latex, read, write
from tests import file_operations

NAMES = {"spiral", "$x_1$ & <b>", "_hidden"}


def page() -> ReportData:
    """A page with a figure of every kind."""
    line = ([0.0, 0.5, 1.0], [0.1, float("nan"), 0.9])
    drawn = [
        figures.confusion([[5, 1], [2, 7]], ["spiral", "$x_1$ & <b>"], title="net on sky"),
        figures.curves({"spiral": line, "_hidden": line}, x_label="x", y_label="y", title="ROC"),
        figures.reliability({"net": ([0.2, 0.8], [0.3, 0.7], [4, 0])}),
        figures.bars(["a", "b"], {"one": [0.1, float("nan")]}, y_label="share"),
        figures.intervals([("one", 0.5, 0.4, 0.6, 0.3), ("two", 0.2, *[float("nan")] * 3)], x_label="F1"),
        figures.points(
            ["15 to 17", "fainter"],
            {"spiral": [(0.5, 0.4, 0.6), (float("nan"),) * 3], "_hidden": [(0.0, 0.0, 0.2), (1.0, 0.8, 1.0)]},
            x_label="mag_r",
            y_label="fraction",
        ),
        figures.histogram({"one": [1.0, 2.0, 2.5, float("nan")]}, x_label="m", n_bins=4),
        figures.scatter(
            {"one": ([1.0], [2.0], [0.1]), "two": ([1.0], [2.0], None)}, ends=(0, 3), x_label="a", y_label="b"
        ),
    ]
    table = PageTable(("class", "n"), (("spiral & co", 3), ("50%_x", None)), caption="Of 100% of ~5 µJy.")
    return ReportData("Title", sections=[Section("A section", (), (*map(Figure, drawn), table))])


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A folder with the page."""
    folder = tmp_path_factory.mktemp("page")
    build(folder / "report.html", page())
    return folder


def test_every_kind_is_drawn_again_with_its_numbers(kept: Path, tmp_path: Path) -> None:
    found = read(kept)
    assert {one["kind"] for one in found["figures"].values()} == set(KINDS)
    for form, start in (("pdf", b"%PDF"), ("png", b"\x89PNG"), ("svg", b"<?xml")):
        folder = tmp_path / form
        folder.mkdir()
        files = write(found, folder, form=form, width="column")
        assert sorted(files) == sorted(path.name for path in folder.iterdir())
        drawings = sorted(folder.glob(f"*.{form}"))
        assert len(drawings) == 8
        assert all(path.read_bytes().startswith(start) for path in drawings)
    assert {Image.open(path).width for path in (tmp_path / "png").glob("*.png")} == {round(300 * 88 / 25.4)}


def test_fonts_are_in_the_pdf_as_truetype(kept: Path, tmp_path: Path) -> None:
    write(read(kept), tmp_path, form="pdf", width="page")
    for path in tmp_path.glob("*.pdf"):
        text = path.read_bytes()
        streams = re.findall(rb"stream\r?\n(.*?)endstream", text, re.DOTALL)
        for stream in streams:  # objects may be packed
            try:
                text += zlib.decompress(stream)
            except zlib.error:
                continue
        assert b"/FontFile2" in text  # TrueType, embedded (PDF 32000-1:2008, table 126)
        assert b"/Type3" not in text
        if shutil.which("pdffonts"):
            listed = subprocess.run(["pdffonts", path], capture_output=True, text=True).stdout
            rows = listed.splitlines()[2:]
            assert rows
            assert all(re.search(r"TrueType.*\byes\b", row) for row in rows), listed


def test_numbers_behind_are_those_that_were_drawn(kept: Path, tmp_path: Path) -> None:
    found = read(kept)
    write(found, tmp_path, form="svg", width="column")
    roc = Table.read(tmp_path / "a-section-roc.ecsv")
    assert roc.meta["x_label"] == "x"
    mine = roc[roc["line"] == "_hidden"]
    np.testing.assert_array_equal(
        np.asarray(mine["y"].filled(np.nan) if roc.masked else mine["y"]), [0.1, np.nan, 0.9]
    )
    confused = Table.read(tmp_path / "a-section-net-on-sky.ecsv")
    assert list(confused["n"]) == [5, 1, 2, 7]
    assert set(confused["predicted"]) == {"spiral", "$x_1$ & <b>"}
    binned = next(one for one in found["figures"].values() if one["kind"] == "points")
    table = behind(binned["kind"], binned["shows"])
    assert [tuple(row)[:3] for row in table if row["line"] == "_hidden"] == [
        ("15 to 17", "_hidden", 0.0),
        ("fainter", "_hidden", 1.0),
    ]
    outlines = next(one for one in found["figures"].values() if one["kind"] == "outlines")
    table = behind(outlines["kind"], outlines["shows"])
    assert (table["density"] * (table["to"] - table["from"])).sum() == pytest.approx(
        1 / 3
    )  # the outermost half per cent is cut


def test_latex_of_a_table_has_its_structure_and_escapes(kept: Path, tmp_path: Path) -> None:
    write(read(kept), tmp_path, form="svg", width="column")
    text = (tmp_path / "table-a-section.tex").read_text(encoding="utf-8")
    assert text == (
        "\\begin{table}\n\\caption{Of 100\\% of \\textasciitilde{}5 µJy.}\n\\begin{tabular}{lr}\n\\hline\n"
        "class & n \\\\\n\\hline\nspiral \\& co & 3 \\\\\n50\\%\\_x & -- \\\\\n\\hline\n\\end{tabular}\n"
        "\\end{table}\n"
    )
    assert escaped("a\n\\b{$}") == r"a \textbackslash{}b\{\$\}"
    assert latex(("a",), ()).count("\\\\") == 1
    if shutil.which("pdflatex"):
        (tmp_path / "all.tex").write_text(
            "\\documentclass{article}\\usepackage[utf8]{inputenc}\\begin{document}"
            f"{text}\\end{{document}}"
        )
        done = subprocess.run(["pdflatex", "-halt-on-error", "all.tex"], cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done.stdout[-2000:]


def test_what_is_no_file_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="keeps no figures"):
        read(tmp_path)
    (tmp_path / "table.fits").write_bytes(b"")
    with pytest.raises(DataError, match="not the folder of a run"):
        read(tmp_path / "table.fits")
    good = {"schema": 1, "figures": {}, "tables": {}}
    strange = {"kind": "curves", "shows": {"lines": 3}, "section": "", "caption": ""}
    for text in (
        "[",
        "[]",
        "{}",
        json.dumps({**good, "figures": {"x": {"kind": "os.system", "shows": {}}}}),
        json.dumps({**good, "figures": {"../x": strange}}),
        "[" * 100_000,
    ):
        (tmp_path / KEPT).write_text(text)
        with pytest.raises(DataError, match="not a file of figures"):
            read(tmp_path)
    (tmp_path / KEPT).write_text(json.dumps({**good, "figures": {"x": strange}}))
    with pytest.raises(DataError, match="cannot be drawn"):
        write(read(tmp_path), tmp_path, form="svg", width="column")


def test_the_command_draws_a_run_with_the_users_style(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["spiral", "lens"], 30)
    np.savez(tmp_path / "a.npz", images=rng.normal(size=(60, 1, 16, 16)).astype(np.float32), labels=labels)

    def galshift(*words: str) -> subprocess.CompletedProcess:
        return file_operations.galshift(tmp_path, *words)

    read_as = ["--unit", "nJy", "--pixel-scale", "0.4"]
    assert galshift("train", "a.npz", "--epochs", "1", "--out", "net", *read_as).returncode == 0
    assert galshift("evaluate", "net", "--out", "judged").returncode == 0
    done = galshift("figures", "judged", "plots")
    assert done.returncode == 0, done.stderr
    drawn = sorted(path.stem for path in (tmp_path / "plots").glob("*.pdf"))
    assert any(name.startswith("which-classes-are-confused") for name in drawn)
    assert drawn == sorted(
        path.stem for path in (tmp_path / "plots").glob("*.ecsv") if path.stem != "contents"
    )
    assert list((tmp_path / "plots").glob("table-*.tex"))
    assert "nothing to do" in galshift("figures", "judged", "plots").stderr
    first = (tmp_path / "plots" / f"{drawn[0]}.pdf").read_bytes()
    assert galshift("figures", "judged", "again").returncode == 0
    assert (tmp_path / "again" / f"{drawn[0]}.pdf").read_bytes() == first
    # A matplotlibrc of one's own, read when matplotlib is imported, makes other figures: another result.
    (tmp_path / "matplotlibrc").write_text("font.size: 13\nfont.family: serif\n")
    styled = file_operations.galshift_alone(tmp_path, "figures", "judged", "serif")
    assert styled.returncode == 0, styled.stderr
    assert (tmp_path / "serif" / f"{drawn[0]}.pdf").read_bytes() != first
    refused = file_operations.galshift_alone(tmp_path, "figures", "judged", "plots")
    assert refused.returncode == 3
    wrong = galshift("figures", "judged", "odd", "--style", "no-such-style")
    assert wrong.returncode == 3
    assert "no style 'no-such-style'" in wrong.stderr
    none = galshift("figures", "net", "none")
    assert none.returncode == 4
    assert "keeps no figures" in none.stderr
    assert not (tmp_path / "none").exists()
    html = (tmp_path / "judged/report.html").read_text(encoding="utf-8")
    assert 'href="figures.json"' in html
