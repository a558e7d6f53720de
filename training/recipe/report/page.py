"""A report: report.html, which is whole in itself, report.json for programs, and the plots as PNG files."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

_NUMBERS = re.compile(r"\[[-\d.,\s]+\]")  # a list of nothing but numbers takes one line


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        name: of its file, without ".png"; one of its own in the whole page.
        png: the picture.
        caption: what it shows and how to read it.
        wide: whether it takes the whole width of the page, or half of it where that is wide enough.
    """

    name: str
    png: bytes
    caption: str
    wide: bool = True

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Table:
    """Cells of text.

    Attributes:
        title: above the table.
        columns: names of the columns.
        rows: cells; as many per row as columns.
        align: "l" or "r" for each column.
        folded: whether it is shown only when asked for.
        wide: as of a figure.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    folded: bool = False
    wide: bool = True

    def __post_init__(self) -> None:
        for row in (self.columns, self.align, *self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"table '{self.title}' has {len(self.columns)} columns, but {row!r} {len(row)} cells")


@dataclass(frozen=True)
class Section:
    """A part of the page. `parts` follow each other; a string is a paragraph."""

    title: str
    parts: Sequence[Figure | Table | str]

    @property
    def anchor(self) -> str:
        """Where links within the page point to."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Headline:
    """A figure for the top of the page, such as "Top-1", "97.2 %", "96.2 to 98.0 %"."""

    title: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        title: what was trained.
        subtitle: of what and when.
        headlines: what to know first.
        sections: the parts.
        results: what report.json holds, JSON types.
    """

    title: str
    subtitle: str
    headlines: Sequence[Headline]
    sections: Sequence[Section]
    results: Mapping[str, Any]


def write_page(page: Page, folder: Path) -> Path:
    """Writes report.json, the PNG files and, last, report.html, whose path it returns. Overwrites an earlier report."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = [part for section in page.sections for part in section.parts if isinstance(part, Figure)]
    for figure in figures:
        (folder / f"{figure.name}.png").write_bytes(figure.png)
    results = {**page.results, "figures": [f"{figure.name}.png" for figure in figures]}
    text = json.dumps(results, indent=2, allow_nan=False)
    (folder / "report.json").write_text(_NUMBERS.sub(lambda row: " ".join(row[0].split()), text) + "\n")
    path = folder / "report.html"
    path.write_text(render_page(page), encoding="utf-8")
    return path


def render_page(page: Page) -> str:
    """The page as HTML that needs no other file."""
    template = files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.tests |= {
        "figure": lambda part: isinstance(part, Figure),
        "table": lambda part: isinstance(part, Table),
    }
    return environment.from_string(template).render(page=page)
