"""What a benchmark found: as tables on the terminal, as JSON and as Markdown."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from training.recipe.report.markdown import format_rows


@dataclass(frozen=True)
class Sheet:
    """One table; every cell is text already."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def print_sheets(sheets: Sequence[Sheet], console: Console) -> None:
    """Shows the tables; the first column is to the left, numbers to the right."""
    for sheet in sheets:
        table = Table(title=sheet.title, title_justify="left")
        for i, column in enumerate(sheet.columns):
            table.add_column(column, justify="right" if i else "left", no_wrap=True)
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)


def write_report(folder: Path, name: str, method: Sequence[str], sheets: Sequence[Sheet], data: dict[str, Any]) -> None:
    """Writes `<folder>/<name>.json` (numbers and method) and `<folder>/<name>.md` (method and tables)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"method": list(method), **data}, indent=2) + "\n")
    parts = [f"# {name}", "", *(f"- {line}" for line in method)]
    for sheet in sheets:
        parts += ["", f"## {sheet.title}", "", format_rows(sheet.columns, sheet.rows)]
    (folder / f"{name}.md").write_text("\n".join(parts) + "\n")
