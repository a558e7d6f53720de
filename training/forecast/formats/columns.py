"""Which column of a table is what: told by the user, else by names and content."""

import datetime as dt
import difflib
from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass

from training.forecast.formats.dates import resembles_date
from training.recipe.config import dataclass
from training.recipe.errors import DataError

DATE_NAMES = ("ds", "date", "day", "datum", "timestamp", "datetime", "time", "fecha")
SERIES_NAMES = ("unique_id", "series", "series_id", "series_name", "item_id", "ts_id", "id")
TARGET = "y"


@dataclass
class Columns:
    """Names of columns, as the header has them; what is empty is told by content.

    Columns without a name, such as pandas writes, are left out unless they are the dates.

    Attributes:
        date: else one of `DATE_NAMES`, or the only column that looks like dates.
        series: of the series' ids in a long table; else one of `SERIES_NAMES`, or there is none.
        values: else `y` alone where there is one, or every other column: a series each.
        start: first day of every row of a table without dates; before the dates of an M4-info.csv.
    """

    date: str = ""
    series: str = ""
    values: tuple[str, ...] = ()
    start: dt.date | None = None


@plain_dataclass(frozen=True)
class Roles:
    """Positions of the columns of one table.

    Attributes:
        date: of the dates.
        series: of the ids; None where each value column is a series.
        values: of the values.
        told: the user named the column of the ids.
    """

    date: int
    series: int | None
    values: tuple[int, ...]
    told: bool = False


def assign_roles(header: Sequence[str], sample: Sequence[Sequence[str]], columns: Columns, place: str) -> Roles | None:
    """Finds the columns of a table; None where it has no dates.

    Args:
        header: names.
        sample: the cells of some rows, which may be shorter than the header.
        columns: what the user says.
        place: the file, for messages.

    Raises:
        DataError: a named column is not there, or there are several that it could be.
    """
    _refuse_header(header, place)
    date = _find_date(header, sample, columns.date, place)
    if date is None:
        return None
    series = _find_series(header, columns.series, date, place)
    values = [_position(header, name, "values", place) for name in columns.values]
    if not values:
        free = [at for at, name in enumerate(header) if at not in (date, series) and name]
        values = [at for at in free if header[at].lower() == TARGET] or free
    if not values:
        raise DataError(f"{place}: has the columns {', '.join(header)[:200]}; expected one with values besides")
    if clash := {date, series} & set(values):
        raise DataError(f"{place}: column '{header[clash.pop() or 0]}' is named for values and for something else")
    return Roles(date, series, tuple(values), bool(columns.series))


def _refuse_header(header: Sequence[str], place: str) -> None:
    seen: set[str] = set()
    for name in header:
        if resembles_date(name):
            raise DataError(
                f"{place}: '{name}' stands in the first line; expected names of columns there (ds,y), and a row per day"
            )
        if name and name in seen:
            raise DataError(f"{place}: has two columns '{name}'; expected different names")
        seen.add(name)


def _find_date(header: Sequence[str], sample: Sequence[Sequence[str]], told: str, place: str) -> int | None:
    if told:
        return _position(header, told, "date", place)
    full = [at for at in range(len(header)) if _looks_like_dates(at, sample)]
    named = [at for at, name in enumerate(header) if name.lower() in DATE_NAMES]
    found = [at for at in named if at in full] or named or full
    if len(found) > 1:
        names = ", ".join(f"'{header[at]}'" for at in found)
        raise DataError(f"{place}: the columns {names} may all be the dates; say which (date)")
    return found[0] if found else None


def _looks_like_dates(at: int, sample: Sequence[Sequence[str]]) -> bool:
    cells = [row[at].strip() for row in sample if len(row) > at and row[at].strip()]
    return bool(cells) and all(map(resembles_date, cells))


def _find_series(header: Sequence[str], told: str, date: int, place: str) -> int | None:
    if told:
        return _position(header, told, "series", place)
    found = [at for at, name in enumerate(header) if name.lower() in SERIES_NAMES and at != date]
    if len(found) > 1:
        names = ", ".join(f"'{header[at]}'" for at in found)
        raise DataError(f"{place}: the columns {names} may all name the series; say which (series)")
    return found[0] if found else None


def _position(header: Sequence[str], name: str, field: str, place: str) -> int:
    if name in header:
        return header.index(name)
    near = difflib.get_close_matches(name, header, 1)
    meant = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(header)[:200]}"
    raise DataError(f"{place}: has no column '{name}' ({field}); {meant}")
