"""One self-contained HTML page from plain words, numbers and arrays.

A page is a :class:`ReportData`: a title, opening sentences, warnings, headline numbers, sections and
provenance.  A :class:`Section` has a title, sentences and blocks; a block is a :class:`Figure` (inline SVG),
a :class:`Table`, a :class:`Gallery` of pictures, or :class:`Preformatted` text.  Everything a caller gives is
escaped; the page asks for nothing over the network and reads well on light and dark screens and on paper.

    from galshift.report import ReportData, Section, Table, build
    section = Section("How well", ("A sentence.",), (Table(("class", "n"), (("spiral", 12),)),))
    build("report.html", ReportData(title="A title", lede=("The answer.",), sections=(section,)))

================  ==========================================================================================
page              the parts of a page, and ``build(path, data)``
figures           matplotlib figures as inline SVG: ``confusion``, ``curves``, ``bars``, ``intervals``, ...
pictures          galaxy images as PNG or JPEG data URIs: ``composite``, ``data_uri``, ``gallery``
scores            sections of a classifier's report: headline table, confusion, ROC, reliability, samples
================  ==========================================================================================
"""

from galshift.report.page import (
    Card,
    Figure,
    Gallery,
    Picture,
    Preformatted,
    ReportData,
    Section,
    Table,
    about,
    build,
    render,
)

__all__ = [
    "Card",
    "Figure",
    "Gallery",
    "Picture",
    "Preformatted",
    "ReportData",
    "Section",
    "Table",
    "about",
    "build",
    "render",
]
