"""A figure that remembers what it shows, so that it can be drawn again: for a paper, in another format.

On a page a figure is SVG whose text and axes take the page's colour.  :func:`on_paper` draws the same figure
with the user's own matplotlib style into a file; its data are in `Drawing.arguments`.
"""

from __future__ import annotations

import functools
import inspect
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

from galshift.provenance import jsonable

Arguments = ParamSpec("Arguments")
# Legible on white and on near-black, and to the colour-blind (after Okabe & Ito).
PALETTE = ("#2f8fd0", "#e07b00", "#1fa37a", "#c95fa6", "#b08d00", "#7a73d8", "#d1495b", "#6d8a96")
PAGE_INK = "#123456"  # replaced by currentColor
_PAGE_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "galshift",
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PAGE_INK,
    "axes.labelcolor": PAGE_INK,
    "axes.titlecolor": PAGE_INK,
    "text.color": PAGE_INK,
    "xtick.color": PAGE_INK,
    "ytick.color": PAGE_INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "axes.titlesize": 10.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "patch.edgecolor": "none",
}
# Fonts go into the file, as letters: Type 3 is refused by journals, and SVG text needs the reader's fonts.
_PAPER_STYLE = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "galshift"}
_PAPER_POINTS = 8.0  # of text, where the user's style does not say
FORMATS = ("pdf", "svg", "png")
_UNDATED = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
#: Functions that draw, by name.
KINDS: dict[str, Callable[..., Drawing]] = {}


class Drawing(str):
    """The text of an ``<svg>`` element, with the function that drew it and what it was given.

    Attributes
    ----------
    kind : str
    arguments : dict
        JSON values; NaN is None.
    """

    kind: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Paper:
    """Where and how a figure is drawn in place of a page.

    Attributes
    ----------
    path : Path
        Its ending is the format.
    width_inch : float
        The height keeps the figure's proportions.
    style : str or None
        A matplotlib style, by name or file, on top of the user's own.
    """

    path: Path
    width_inch: float
    style: str | None = None


_PAPER: ContextVar[Paper | None] = ContextVar("paper", default=None)


def drawn(function: Callable[Arguments, str]) -> Callable[Arguments, Drawing]:
    """Make `function`, which returns what :func:`svg` gives, one whose figures can be drawn again."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*given: Arguments.args, **named: Arguments.kwargs) -> Drawing:
        bound = signature.bind(*given, **named)
        bound.apply_defaults()
        drawing = Drawing(function(*given, **named))
        drawing.kind, drawing.arguments = function.__name__, jsonable(dict(bound.arguments))
        return drawing

    KINDS[function.__name__] = wrapped
    return wrapped


def on_paper(kind: str, arguments: Mapping[str, Any], paper: Paper) -> None:
    """Draw a figure again, into a file.

    Parameters
    ----------
    kind, arguments
        Of a `Drawing`.
    paper : Paper
    """
    token = _PAPER.set(paper)
    try:
        KINDS[kind](**{name: _restored(value) for name, value in arguments.items()})
    finally:
        _PAPER.reset(token)


def ink() -> str:
    """Return the colour of text and axes: the page's, or the style's."""
    import matplotlib

    return PAGE_INK if _PAPER.get() is None else matplotlib.rcParams["text.color"]


def colour(index: int) -> str:
    """Return the colour of line `index`: of our palette, or of the style where it has one of its own."""
    import matplotlib

    cycle = matplotlib.rcParams["axes.prop_cycle"]
    if _PAPER.get() is not None and cycle != matplotlib.rcParamsDefault["axes.prop_cycle"]:
        own = cycle.by_key().get("color", PALETTE)
        return own[index % len(own)]
    return PALETTE[index % len(PALETTE)]


def svg(draw: Any, size: tuple[float, float]) -> str:
    """Return the SVG that ``draw(figure)`` makes on an empty matplotlib figure of `size` inches.

    Within :func:`on_paper` it goes into the file instead, and the text is empty.
    """
    paper = _PAPER.get()
    if paper is not None:
        _to_file(draw, size, paper)
        return ""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with _style(_PAGE_STYLE):
        figure = _figure(draw, size, FigureCanvasSVG)
        figure.savefig(buffer, format="svg", metadata=_UNDATED["svg"])
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(PAGE_INK, "currentColor")


def _to_file(draw: Any, size: tuple[float, float], paper: Paper) -> None:
    """Draw into the file of `paper`."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    form = paper.path.suffix.lstrip(".")
    scaled = (paper.width_inch, size[1] * paper.width_inch / size[0])
    own = {} if _users("font.size") else {"font.size": _PAPER_POINTS}
    with _style({**own, **_PAPER_STYLE}, paper.style):
        dpi = matplotlib.rcParams["savefig.dpi"] if _users("savefig.dpi") else 300
        figure = _figure(draw, scaled, FigureCanvasAgg)
        figure.savefig(paper.path, format=form, metadata=_UNDATED[form], dpi=dpi)


def _users(name: str) -> bool:
    """Whether the user's matplotlibrc says something of its own."""
    import matplotlib

    return matplotlib.rcParams[name] != matplotlib.rcParamsDefault[name]


@contextmanager
def _style(settings: Mapping[str, Any], named: str | None = None) -> Iterator[None]:
    """Draw with `settings`, then with the style `named`; nothing is left of either."""
    import matplotlib
    from matplotlib import style

    with matplotlib.rc_context(), warnings.catch_warnings():
        # A class name in a script that the layout font lacks is drawn by the reader's own font.
        warnings.filterwarnings("ignore", message=".*missing from font.*")
        matplotlib.rcParams.update(settings)
        if named is not None:
            style.use(named)
            matplotlib.rcParams.update(_PAPER_STYLE)  # fonts are embedded in any style
        yield


def _figure(draw: Any, size: tuple[float, float], canvas: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    canvas(figure)
    draw(figure)
    return figure


def _restored(value: Any, *, inner: bool = False) -> Any:
    """JSON values as the functions take them: None among numbers is NaN, and none where it stands alone."""
    if isinstance(value, list):
        return [_restored(item, inner=True) for item in value]
    if isinstance(value, dict):
        return {key: _restored(item, inner=True) for key, item in value.items()}
    return float("nan") if value is None and inner else value
