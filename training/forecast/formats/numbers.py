"""Values as text: plain numbers, decimal commas where they cannot be anything else, and the signs for a missing one."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)  # 1,234
_GROUPED = re.compile(r"[+-]?\d{1,3}(?P<mark>[,.'’_\s])\d{3}((?P=mark)\d{3})*([.,]\d+)?", re.ASCII)


def read_numbers(cells: pd.Series | Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Reads stripped cells as float64 [n], NaN where missing.

    Returns also the positions [m] of the cells that are neither a number nor a sign for a missing one.
    """
    texts = np.array(cells, object)
    numbers = pd.to_numeric(texts, errors="coerce").astype(np.float64)
    blank = np.flatnonzero(np.isnan(numbers))
    return numbers, blank[[text.lower() not in _MISSING for text in texts[blank]]]


def explain(cell: str) -> str:
    """Why a cell is no number, and how to write it."""
    if _EITHER.fullmatch(cell):
        return f"'{cell}' can be read in two ways; write {cell.replace(',', '')} or {cell.replace(',', '.')}"
    if _GROUPED.fullmatch(cell):
        return f"'{cell}' has thousands separators; write digits and a decimal point only, as in 1234.5"
    return f"'{cell[:40]}' is no number; expected one such as 1234.5, or nothing where it is missing"


def have_decimal_commas(odd: Sequence[str], points: bool) -> bool:
    """Whether the commas in the numbers of one file can only be decimal ones.

    Args:
        odd: every cell of the file that is no number as it stands.
        points: whether the file's other numbers have decimal points.
    """
    commas = all(_DECIMAL_COMMA.fullmatch(cell) for cell in odd)
    return commas and not points and not all(_EITHER.fullmatch(cell) for cell in odd)
