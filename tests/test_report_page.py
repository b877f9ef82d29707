"""The report page: complete in itself, everything escaped, quiet in a browser."""

from __future__ import annotations

import base64
import io
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from galshift.report import (
    Card,
    Figure,
    Preformatted,
    ReportData,
    Section,
    Table,
    build,
    figures,
    pictures,
    render,
)
from galshift.report.scores import number

EVIL = "<script>document.title='owned'</script>"
QUOTE = "\"' onmouseover=\"document.title='owned'\" $x$ _hidden"


def page():
    """A page with an evil text in every place that takes one."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 3, 16, 16))
    drawn = (
        Figure(figures.confusion([[5, 1], [2, 9]], [EVIL, QUOTE], title=EVIL), EVIL, QUOTE),
        Figure(
            figures.curves(
                {EVIL: ([0, 1], [0, 1]), "_under": ([0, 1], [1, 0])}, x_label=EVIL, y_label="y", diagonal=True
            )
        ),
        Figure(figures.reliability({EVIL: ([0.5, np.nan], [0.4, np.nan], [3, 0])})),
        Figure(figures.bars([EVIL, "b"], {QUOTE: [0.2, np.nan]}, y_label=EVIL)),
        Figure(figures.intervals([(EVIL, 0.5, 0.4, np.nan, 0.3)], x_label="x", title=EVIL)),
        Figure(figures.histogram({EVIL: [1.0, 2.0, np.nan], "empty": []}, x_label=EVIL)),
    )
    blocks = (
        *drawn,
        Table((EVIL, "n"), ((QUOTE, 3), (EVIL, None)), EVIL, strong=(0,)),
        pictures.gallery(images, [EVIL, QUOTE], notes=[QUOTE, EVIL], tones=["good", "bad"], caption=EVIL),
        Preformatted(EVIL, EVIL),
    )
    return ReportData(
        title=EVIL,
        lede=(QUOTE,),
        cards=(Card(EVIL, QUOTE, EVIL),),
        warnings=(EVIL,),
        sections=tuple(Section(f"{EVIL}{i}", (EVIL,), blocks, (QUOTE,), folded=i == 1) for i in range(3)),
        command=f"galshift evaluate {EVIL}",
        provenance={EVIL: {QUOTE: [EVIL, 1]}},
    )


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        """Remember one tag."""
        self.seen.append((tag, dict(attrs)))


def test_everything_is_escaped_and_nothing_is_fetched():
    html = render(page())
    tags = Tags()
    tags.feed(html)
    assert not [t for t, _ in tags.seen if t == "script"]
    assert not [a for _, attrs in tags.seen for a in attrs if a.startswith("on")]
    urls = [v for _, attrs in tags.seen for k, v in attrs.items() if k in ("src", "href", "xlink:href")]
    assert urls
    # A link beside the page to what its figures show; nothing that a browser fetches by itself.
    assert all(url.startswith(("data:", "#")) or url == "figures.json" for url in urls)
    assert "default-src 'none'" in html
    assert not re.search(r"url\((?!#)", html)


def test_the_page_is_deterministic_and_written_whole(tmp_path):
    assert render(page()) == render(page())
    path = build(tmp_path / "report.html", page())
    assert path.read_text(encoding="utf-8") == render(page())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figures.json", "report.html"]


def test_what_rounds_to_zero_has_no_sign():
    assert [number(-0.001), number(-0.004, 3), number(float("nan"))] == ["0.00", "-0.004", None]


def test_figures_take_the_colour_of_the_page():
    drawing = figures.curves({"a": ([0, 1], [0, 1])}, x_label="x", y_label="y")
    assert "currentColor" in drawing
    assert "#000000" not in drawing
    assert "#123456" not in drawing


def test_class_names_are_drawn_as_typed():
    drawing = figures.bars(["_a", "$b$", "c^2"], {"_s": [1, 2, 3]}, y_label="n")
    for text in ("_a", "$b$", "c^2", "_s"):
        assert f"{text}</text>" in drawing


def test_a_failed_page_leaves_nothing_behind(tmp_path):
    with pytest.raises(AttributeError):
        build(tmp_path / "report.html", ReportData(title="x", sections=("not a section",)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_composite_of_any_number_of_bands(bands):
    image = np.random.default_rng(0).normal(size=(bands, 20, 24))
    image[:, 10, 12] += 100
    image[0, 0, 0] = np.nan
    shown = pictures.composite(image)
    assert shown.shape == (20, 24, 3)
    assert shown.dtype == np.uint8
    assert shown[10, 12].max() > 200
    assert shown[10, 12].max() > np.median(shown)


def test_composite_puts_the_last_band_in_red_and_survives_constant_images():
    image = np.zeros((3, 9, 9))
    image[2, 4, 4] = 1.0
    shown = pictures.composite(image)
    assert shown[4, 4, 0] > shown[4, 4, 2]
    pictures.composite(np.zeros((3, 9, 9)))
    pictures.composite(np.full((1, 9, 9), np.nan))


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_data_uri_holds_the_picture(kind):
    from matplotlib.image import imread

    picture = np.full((8, 9, 3), (200, 100, 50), np.uint8)
    uri = pictures.data_uri(picture, kind=kind, quality=95)
    head, payload = uri.split(",", 1)
    assert head == f"data:image/{kind};base64"
    back = imread(io.BytesIO(base64.b64decode(payload)), format=kind)[..., :3]
    back = back * 255 if back.dtype.kind == "f" else back
    assert np.abs(back - picture).max() < 8


def test_a_browser_finds_nothing_to_complain_about(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    path = build(tmp_path / "report.html", page())
    complaints, requests = [], []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(path.as_uri())
        assert tab.title() == EVIL
        wide = tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        browser.close()
    assert complaints == []
    assert wide
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
