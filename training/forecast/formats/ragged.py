"""CSV without dates, as in the M4 competition: a row per series, its id first, rows of different lengths.

Source: https://github.com/Mcompetitions/M4-methods/tree/master/Dataset. M4-info.csv says when each series starts, as
DD-MM-YY hh:mm, sometimes as YYYY-MM-DD hh:mm:ss.
"""

import csv
import datetime as dt
import io
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from training.forecast.formats.columns import Columns
from training.forecast.formats.daily import Daily, to_daily
from training.forecast.formats.numbers import explain, read_numbers
from training.forecast.formats.source import read_text
from training.recipe.errors import DataError

DEFAULT_START = dt.date(2000, 1, 3)
"""A Monday. With it, what depends on the weekday stays periodic, but falls on other weekdays than it did; holidays and
the time of the year mean nothing."""

INFO_FILE = "M4-info.csv"
_FREQUENCIES = ("hourly", "weekly", "monthly", "quarterly", "yearly")
_LAST_YEAR = 2017  # M4 was collected then: later years of two digits are those of the century before
_TWO_DIGITS = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d\d)(?: .*)?", re.ASCII)


def read_ragged(text: str, delimiter: str, path: str, columns: Columns) -> list[Daily]:
    """Reads rows of an id and consecutive days.

    A series starts at `columns.start`; else where M4-info.csv says, beside the file or in the folder above; else at
    `DEFAULT_START`.

    Raises:
        DataError: the header does not number the days (id,V1,V2,…), a row is no series, or it is not daily.
    """
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    found: dict[str, Daily] = {}
    try:
        header = [cell.strip() for cell in next(rows)]
        _refuse_header(header, path)
        starts = {} if columns.start else _find_starts(Path(path))
        for row in rows:
            cells = _strip(row)
            if cells:
                one = _read_row(cells, len(header), f"{path}, line {rows.line_num}")
                if cells[0] in found:
                    raise DataError(
                        f"{path}, line {rows.line_num}: a second series '{cells[0]}'; expected different ids"
                    )
                start = _choose_start(cells[0], starts, columns, path)
                times = np.datetime64(start, "D") + np.arange(len(one))
                found[cells[0]] = to_daily(cells[0], times, one, path)
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: is no CSV: {error}") from None
    if not found:
        raise DataError(f"{path}: has a header and no rows")
    return list(found.values())


def _refuse_header(header: Sequence[str], path: str) -> None:
    numbered = [re.fullmatch(r"(\D*)(\d{1,9})", name, re.ASCII) for name in header[1:]]
    parts = [(match[1], int(match[2])) for match in numbered if match]
    if len(parts) < len(header) - 1 or any(b != (a[0], a[1] + 1) for a, b in pairwise(parts)):
        raise DataError(
            f"{path}: has the columns {', '.join(header)[:80]}; expected one with dates (ds, date, …, or say which), "
            "or numbered days as in M4 (id,V1,V2,…)"
        )
    name = Path(path).name.lower()
    if frequency := next((word for word in _FREQUENCIES if word in name), None):
        raise DataError(f"{path}: is {frequency} by its name, and has no dates; expected daily values")


def _strip(row: list[str]) -> list[str]:
    while row and not row[-1].strip():
        row.pop()
    return [cell.strip() for cell in row]


def _read_row(cells: Sequence[str], most: int, place: str) -> np.ndarray:
    if not cells[0]:
        raise DataError(f"{place}: the first cell is empty; expected the id of a series")
    if len(cells) > most:
        raise DataError(f"{place}: {len(cells)} cells; expected at most as many as in the first line, {most}")
    numbers, odd = read_numbers(cells[1:])
    if len(odd):
        raise DataError(f"{place}, value {odd[0] + 1}: {explain(cells[1 + odd[0]])}")
    return numbers


def _choose_start(name: str, starts: Mapping[str, dt.date], columns: Columns, path: str) -> dt.date:
    if starts and name not in starts:
        raise DataError(f"{path}: series '{name}' is no daily one of {INFO_FILE}; expected all there, or start for all")
    return columns.start or starts.get(name, DEFAULT_START)


def _find_starts(path: Path) -> dict[str, dt.date]:
    """Where the daily series start by M4-info.csv; empty where there is none, or it has no dates."""
    for folder in (path.parent, path.parent.parent):
        info = folder / INFO_FILE
        if info.is_file():
            return _read_info(info)
    return {}


def _read_info(path: Path) -> dict[str, dt.date]:
    rows = csv.DictReader(io.StringIO(read_text(path)))
    try:
        fields = rows.fieldnames or []
        if missing := {"M4id", "SP"} - set(fields):
            raise DataError(f"{path}: has no column '{missing.pop()}'; expected M4id, SP and StartingDate")
        if "StartingDate" not in fields:
            return {}
        daily = [row for row in rows if row["SP"] == "Daily"]
        return {row["M4id"]: _read_start(row["StartingDate"] or "", f"{path}, {row['M4id']}") for row in daily}
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: is no CSV: {error}") from None


def _read_start(text: str, place: str) -> dt.date:
    try:
        if match := _TWO_DIGITS.fullmatch(text):
            day, month, year = map(int, match.groups())
            return dt.date(2000 + year - 100 * (2000 + year > _LAST_YEAR), month, day)
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        raise DataError(f"{place}: starts '{text[:40]}'; expected DD-MM-YY hh:mm") from None
