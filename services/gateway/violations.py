"""Turns Pydantic's findings into one error that names the field, the value and the limit."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.runtime.errors import InvalidInput

MAX_VALUE_CHARS = 60


def to_invalid_input(findings: Sequence[Mapping[str, Any]]) -> InvalidInput:
    """The first finding of `ValidationError.errors()` as InvalidInput."""
    first = findings[0]
    field = _path(first["loc"])
    if first["type"] == "json_invalid":
        return InvalidInput(f"not JSON: {first['ctx']['error']}", "body")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("missing", "value_error", "extra_forbidden", "too_long", "too_short"):
        return InvalidInput(message, field)
    return InvalidInput(f"{message}, got {_show(first['input'])}", field)


def _path(location: Sequence[str | int]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".body").lstrip(".") or "body"


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= MAX_VALUE_CHARS else f"{shown[:MAX_VALUE_CHARS]}…"
