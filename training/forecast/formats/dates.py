"""Dates as people write them. Which of two numbers is the month has to follow from the file itself.

Read are 2019-05-01, 2019/5/1, 20190501, 01/05/2019 and 1.5.2019, each also with a time of day and a time zone. The zone
is dropped: a day is a day of the clock on the wall.
"""

import re

import numpy as np
import pandas as pd

from training.recipe.errors import DataError

_CLOCK = (
    r"(?:[T ]\s*(?P<hour>\d{1,2})(?P<sign>[:-])(?P<minute>\d\d)(?:(?P=sign)(?P<second>\d\d)(?:[.,]\d+)?)?"
    r"\s*(?P<half>[AP]M)?\s*(?:Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)?)?"
)
_FLAGS = re.ASCII | re.IGNORECASE
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})(?P<mark>[-/.])(?P<one>\d{1,2})(?P=mark)(?P<two>\d{1,2})" + _CLOCK, _FLAGS)
_YEAR_LAST = re.compile(r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4})" + _CLOCK, _FLAGS)
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<one>\d\d)(?P<two>\d\d)" + _CLOCK, _FLAGS)
_LONGER = re.compile(r"\d{4}|\d{4}[-/. ]?(\d{1,2}|[QW]\d{1,2})|\d{1,2}[-/.]\d{4}|[a-z]{3,9}[-/. ]?\d{2,4}", _FLAGS)


def resembles_date(cell: str) -> bool:
    """Whether a cell is written like a date; 20190501 is not, since it may be a number."""
    return bool(_YEAR_FIRST.fullmatch(cell) or _YEAR_LAST.fullmatch(cell))


def read_times(cells: pd.Series, place: str) -> np.ndarray:
    """Reads a column of dates; its index has the line numbers. Returns datetime64[s] [rows].

    Raises:
        DataError: a cell is no date, or all of them can be read in two ways.
    """
    codes, texts = pd.factorize(cells)
    lines = cells.index[np.unique(codes, return_index=True)[1]]  # where each text stands first
    rows = [_split(text, f"{place}, line {line}") for text, line in zip(texts, lines, strict=True)]
    year, one, two, second, year_last = np.array(rows, np.int64).reshape(-1, 5).T
    month, day = one.copy(), two.copy()
    last = year_last == 1
    if last.any() and not _month_comes_first(one[last], two[last], texts[last], lines[last], place):
        month[last], day[last] = two[last], one[last]
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    length = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
    wrong = (month < 1) | (month > 12) | (day < 1) | (day > length.astype(np.int64)) | (second >= 86_400)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DataError(f"{place}, line {lines[at]}: there is no date '{texts[at]}'")
    times = (months.astype("datetime64[D]") + (day - 1)).astype("datetime64[s]") + second
    return times[codes]


def _split(text: str, place: str) -> tuple[int, int, int, int, int]:
    """Year, the two other numbers, seconds of the day (too many for an impossible time), and 1 if the year is last."""
    match = _YEAR_FIRST.fullmatch(text) or _YEAR_LAST.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        found = "a month, a quarter or a year, and no day" if _LONGER.fullmatch(text) else "no date"
        raise DataError(f"{place}: '{text[:40]}' is {found}; expected daily dates such as 2019-05-01")
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    possible = hour < 24 and minute < 60 and second < 60
    if half := match["half"]:
        possible &= 1 <= hour <= 12
        hour = hour % 12 + 12 * (half.upper() == "PM")
    second_of_day = hour * 3600 + minute * 60 + second if possible else 86_400
    year_last = match.re is _YEAR_LAST
    return int(match["year"]), int(match["one"]), int(match["two"]), second_of_day, int(year_last)


def _month_comes_first(one: np.ndarray, two: np.ndarray, texts: pd.Index, lines: pd.Index, place: str) -> bool:
    """Whether 05/01 is the first of May: some date of the file has to rule the other reading out."""
    day_first, month_first = np.flatnonzero(one > 12), np.flatnonzero(two > 12)
    if len(day_first) and len(month_first):
        i, j = int(day_first[0]), int(month_first[0])
        raise DataError(
            f"{place}: '{texts[i]}' in line {lines[i]} has the day first, '{texts[j]}' in line {lines[j]} the month; "
            "expected one order: write 2019-05-01"
        )
    if not len(day_first) and not len(month_first) and (one != two).any():
        at = int(np.flatnonzero(one != two)[0])
        raise DataError(
            f"{place}, line {lines[at]}: '{texts[at]}' can be read in two ways, and so can every date here; "
            "write year, month and day: 2019-05-01"
        )
    return len(month_first) > 0
