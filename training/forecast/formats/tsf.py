"""The .tsf files of the Monash archive: a header of @ lines, then a line per series.

Source: Godahewa et al., Monash Time Series Forecasting Archive, 2021, https://forecastingdata.org.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.forecast.formats.daily import Daily, to_daily
from training.forecast.formats.dates import read_times
from training.forecast.formats.numbers import explain, read_numbers
from training.recipe.errors import DataError

_NAME, _START = "series_name", "start_timestamp"
_TYPES = ("string", "numeric", "date")
_IGNORED = ("@relation", "@horizon", "@missing", "@equallength")


@dataclass(frozen=True)
class _Header:
    attributes: tuple[str, ...]
    first_row: int  # index of the line after @data


def resembles_tsf(text: str) -> bool:
    """Whether the first line that is no comment begins with @."""
    lines = (line.strip() for line in io.StringIO(text))
    return next((line for line in lines if line and not line.startswith("#")), "").startswith("@")


def read_tsf(text: str, path: str) -> list[Daily]:
    """Reads every series.

    Raises:
        DataError: the header lacks something, the frequency is not daily, or a line is no series; names its number.
    """
    lines = text.split("\n")
    header = _read_header(lines, path)
    found: dict[str, Daily] = {}
    for number, line in enumerate(lines[header.first_row :], header.first_row + 1):
        row = line.strip()
        if not row or row.startswith("#"):
            continue
        one = _read_row(row, number, header, path)
        if one.name in found:
            raise DataError(f"{path}, line {number}: a second series '{one.name}'; expected different names")
        found[one.name] = one
    if not found:
        raise DataError(f"{path}: has no series after @data")
    return list(found.values())


def _read_header(lines: Sequence[str], path: str) -> _Header:
    attributes: list[str] = []
    frequency = ""
    for number, line in enumerate(lines, 1):
        place = f"{path}, line {number}"
        words = line.split()
        tag = words[0].lower() if words else "#"
        if tag == "@data":
            _refuse_header(attributes, frequency, place)
            return _Header(tuple(attributes), number)
        if tag == "@attribute":
            attributes.append(_read_attribute(words, place))
        elif tag == "@frequency":
            frequency = " ".join(words[1:]).lower()
        elif not tag.startswith("#") and tag not in _IGNORED:
            raise DataError(f"{place}: '{words[0][:40]}'; expected the header's @ lines until @data")
    raise DataError(f"{path}, line {len(lines)}: the file ends without @data")


def _read_attribute(words: Sequence[str], place: str) -> str:
    if len(words) != 3 or words[2].lower() not in _TYPES:
        raise DataError(f"{place}: '{' '.join(words)[:60]}'; expected @attribute NAME string, numeric or date")
    return words[1].lower()


def _refuse_header(attributes: Sequence[str], frequency: str, place: str) -> None:
    for name in (_NAME, _START):
        if attributes.count(name) != 1:
            raise DataError(f"{place}: {attributes.count(name)} times '@attribute {name}' before @data; expected once")
    if not frequency:
        raise DataError(f"{place}: no @frequency before @data; expected '@frequency daily'")
    if frequency != "daily":
        raise DataError(f"{place}: @frequency {frequency[:40]}; expected daily")


def _read_row(row: str, number: int, header: _Header, path: str) -> Daily:
    place = f"{path}, line {number}"
    fields = [field.strip() for field in row.split(":")]
    if len(fields) != len(header.attributes) + 1:
        raise DataError(
            f"{place}: {len(fields)} fields; expected {', '.join(header.attributes)} and values, with ':' between them"
        )
    named = dict(zip(header.attributes, fields, strict=False))
    cells = [cell.strip() for cell in fields[-1].split(",")]
    values, odd = read_numbers(cells)
    if len(odd):
        raise DataError(f"{place}, value {odd[0] + 1}: {explain(cells[odd[0]])}")
    start = read_times(pd.Series([named[_START]], index=[number]), path)
    times = start.astype("datetime64[D]") + np.arange(len(values))
    return to_daily(named[_NAME], times, values, path)
