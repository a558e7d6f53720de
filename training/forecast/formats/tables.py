"""CSV with dates: `ds,y`, long tables with a column of ids, and wide ones with a column per series."""

import csv
import io
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pandas as pd

from training.forecast.formats.columns import TARGET, Columns, Roles, assign_roles
from training.forecast.formats.daily import Daily, to_daily
from training.forecast.formats.dates import read_times
from training.forecast.formats.numbers import explain, have_decimal_commas, read_numbers
from training.forecast.formats.ragged import read_ragged
from training.recipe.errors import DataError

_DELIMITERS = "\t;,"  # in this order where a header has as many of two
_SAMPLE_ROWS = 100
_MOST_CELLS = 50_000_000


@dataclass(frozen=True)
class _Table:
    path: str
    name: str
    header: list[str]
    cells: pd.DataFrame  # text; its index has the line numbers, its columns are numbered
    roles: Roles


def read_table(text: str, path: str, name: str, columns: Columns) -> list[Daily]:
    """Reads any CSV layout.

    Args:
        text: of the file; its first line is the header.
        path: for messages.
        name: of the series of a table that gives it none, with a column `y` alone.
        columns: what the user says about them.

    Raises:
        DataError: it is no table, or its content cannot be read in exactly one way.
    """
    delimiter = _find_delimiter(text, path)
    try:
        lines = list(islice(csv.reader(io.StringIO(text), delimiter=delimiter), 1 + _SAMPLE_ROWS))
    except csv.Error as error:
        raise DataError(f"{path}: is no CSV: {error}") from None
    header = [cell.strip() for cell in lines[0]]
    roles = assign_roles(header, lines[1:], columns, path)
    if roles is None:
        return read_ragged(text, delimiter, path, columns)
    cells = _read_cells(text, delimiter, len(header), path)
    table = _Table(path, name, header, cells, _drop_row_numbers(cells, roles))
    return _cut(table, read_times(cells[roles.date], path), _read_values(table))


def _find_delimiter(text: str, path: str) -> str:
    first = text.partition("\n")[0]
    counts = {mark: first.count(mark) for mark in _DELIMITERS}
    best = max(_DELIMITERS, key=counts.__getitem__)
    if not first.strip() or not counts[best]:
        raise DataError(
            f"{path}: the first line is '{first[:40]}'; expected names of columns, separated by comma, semicolon or tab"
        )
    return best


def _read_cells(text: str, delimiter: str, width: int, path: str) -> pd.DataFrame:
    """All rows with content as stripped text; the index has their line numbers, the columns are numbered."""
    size = (text.count("\n") + 1) * (width + 1)
    if size > _MOST_CELLS:
        raise DataError(f"{path}: {size:,} cells; expected {_MOST_CELLS:,} at most: split the file")
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            header=None,
            names=range(width + 1),  # one more, so that rows with too many cells show
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
        ).fillna("")
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: is no CSV: {' '.join(str(error).split())}") from None
    cells.index += 1
    cells = cells.iloc[1:].apply(lambda column: column.str.strip())
    cells = cells[(cells != "").any(axis=1)]
    longer = cells.index[cells.pop(width) != ""]
    if len(longer):
        raise DataError(
            f"{path}, line {longer[0]}: more than {width} cells, which is what the first line has; "
            "write numbers without thousands separators, and text with commas in quotes"
        )
    if not len(cells):
        raise DataError(f"{path}: has a header and no rows")
    return cells


def _drop_row_numbers(cells: pd.DataFrame, roles: Roles) -> Roles:
    """A column that is called id and differs in every row numbers the rows; it names no series."""
    if roles.series is None or roles.told or len(cells) == 1 or not cells[roles.series].is_unique:
        return roles
    return replace(roles, series=None)


def _read_values(table: _Table) -> np.ndarray:
    """Values float64 [rows, value columns], NaN where missing."""
    columns = {at: table.cells[at] for at in table.roles.values}
    read = {at: read_numbers(cells) for at, cells in columns.items()}
    odd = [str(cell) for at, (_, rows) in read.items() for cell in columns[at].iloc[rows].unique()]
    if odd and have_decimal_commas(odd, any(cells.str.contains(".", regex=False).any() for cells in columns.values())):
        read = {at: read_numbers(cells.str.replace(",", ".", regex=False)) for at, cells in columns.items()}
    for at, (_, rows) in read.items():
        if len(rows):
            place = f"{table.path}, line {columns[at].index[rows[0]]}, column '{table.header[at]}'"
            hint = "" if len(read) == 1 else "; if the column has no values, say which have (values)"
            raise DataError(f"{place}: {explain(columns[at].iloc[rows[0]])}{hint}")
    return np.column_stack([numbers for numbers, _ in read.values()])


def _cut(table: _Table, times: np.ndarray, values: np.ndarray) -> list[Daily]:
    """The series of a table, by columns or by columns and ids."""
    names = [table.header[at] for at in table.roles.values]
    if table.roles.series is None:
        if len(names) == 1 and names[0].lower() == TARGET:
            names = [table.name]
        return [to_daily(name, times, values[:, k], table.path) for k, name in enumerate(names)]
    codes, ids = pd.factorize(table.cells[table.roles.series])
    if "" in ids:
        line = table.cells.index[codes == list(ids).index("")][0]
        column = table.header[table.roles.series]
        raise DataError(f"{table.path}, line {line}, column '{column}': is empty; expected the id of a series")
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return [
        to_daily(f"{one}/{name}" if len(names) > 1 else str(one), times[rows], values[rows, k], table.path)
        for one, rows in zip(ids, parts, strict=True)
        for k, name in enumerate(names)
    ]
