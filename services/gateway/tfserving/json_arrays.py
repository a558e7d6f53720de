"""JSON values as arrays of a type, strictly, and arrays as JSON values that read back to the same numbers."""

import base64
import binascii
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from services.runtime.errors import InvalidInput
from services.runtime.tensors import NUMBERS, STRING

BASE64_KEY = "b64"
MAX_SHOWN_CHARS = 60
TYPE_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
EXACT_DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}  # bits of an integer that a float holds


def to_array(value: Any, dtype: str) -> np.ndarray:
    """A JSON value, nested lists for dimensions, as an array of type `dtype`; strings become an object array of bytes.

    Raises:
        InvalidInput: lists of one level differ in size or depth, a value is not of the type or loses precision in it.
    """
    shape: list[int] = []
    values = [value]
    while (types := set(map(type, values))) == {list}:
        sizes = set(map(len, values))
        if len(sizes) > 1:
            raise InvalidInput(f"Encountered lists of different sizes at level {len(shape)}: {sorted(sizes)[:8]}")
        shape.append(sizes.pop())
        values = list(chain.from_iterable(values))
        if not values:
            break
    if list in types and values:
        raise InvalidInput(f"Encountered list at unexpected level: values and lists are mixed at level {len(shape)}")
    return _convert(values, dtype).reshape(shape)


def is_base64(value: Any) -> bool:
    """Whether a JSON value is an object that holds bytes, {"b64": "..."}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(BASE64_KEY), str)


def read_bytes(value: Any) -> bytes:
    """The bytes of a JSON string, or of a {"b64": "..."} object.

    Raises:
        InvalidInput: it is neither.
    """
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if not is_base64(value):
        raise InvalidInput(f"JSON Value: {show(value)} not formatted correctly for base64 data")
    text: str = value[BASE64_KEY]
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"Unable to base64 decode {show(text)}") from None


def to_json(array: np.ndarray, as_base64: bool) -> Any:
    """An array as nested lists. Floats are the shortest that read back to the same value.

    Raises:
        InvalidInput: JSON has no such values, or a string is not UTF-8 and not sent as base64.
    """
    if array.dtype == object:
        return _map_leaves(array.tolist(), _encode if as_base64 else _decode)
    if array.dtype.kind == "c":
        raise InvalidInput(f"Failed to write JSON value for tensor type: {array.dtype.name}")
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind == "f" and array.dtype != np.float64:
        array = array.astype("U").astype(np.float64)  # the shortest decimal of the narrow type, as a double
    return array.tolist()


def show(value: Any) -> str:
    """A JSON value for people, cut to a length."""
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[:MAX_SHOWN_CHARS]}…"


def _convert(values: list[Any], dtype: str) -> np.ndarray:
    types = set(map(type, values))
    if dtype == STRING:
        if types - {str, dict}:
            raise _type_error(values, (str, dict), dtype)
        return np.array([*map(read_bytes, values), None], object)[:-1]
    target = NUMBERS[dtype]
    is_float = target.kind == "f" or dtype == "bfloat16"
    allowed: tuple[type, ...] = (bool,) if target.kind == "b" else (int, float) if is_float else (int,)
    if target.kind == "c":
        raise InvalidInput(f"Conversion of JSON values to type: {dtype} is not supported")
    if types - set(allowed):
        raise _type_error(values, allowed, dtype)
    try:
        if not is_float:
            return np.array(values, target)
        exact = np.array(values, np.float64)
    except OverflowError:
        raise _overflow(values, target, dtype) from None
    _check_precision(values, exact, types, dtype)
    return exact.astype(target)


def _check_precision(values: list[Any], exact: np.ndarray, types: set[type], dtype: str) -> None:
    """Refuses numbers that the type cannot hold: integers with too many bits, and what is over its range."""
    finite = np.isfinite(exact)
    with np.errstate(over="ignore"):  # 3.4028235e+38, the largest float32, is a little more
        over = finite & ~np.isfinite(exact.astype(np.float32 if dtype == "bfloat16" else dtype))
    limit = 2 ** EXACT_DIGITS[dtype]
    if int in types:
        large = finite & (np.abs(exact) >= limit)
        over |= large & np.array([isinstance(v, int) for v in values]) if large.any() else over
    if over.any():
        raise InvalidInput(
            f"Cannot convert JSON value: {show(values[int(np.argmax(over))])} to {TYPE_NAMES.get(dtype, dtype)} "
            "without loss of precision."
        )


def _overflow(values: list[Any], target: np.dtype, dtype: str) -> InvalidInput:
    if target.kind not in "iu":
        worst = next(v for v in values if isinstance(v, int) and abs(v) >= 2**1024)
        return InvalidInput(f"Cannot convert JSON value: {show(worst)} to double without loss of precision.")
    limits = np.iinfo(target)
    worst = next(v for v in values if not limits.min <= v <= limits.max)
    return _mismatch(worst, dtype)


def _type_error(values: list[Any], allowed: tuple[type, ...], dtype: str) -> InvalidInput:
    return _mismatch(next(v for v in values if type(v) not in allowed), dtype)


def _mismatch(value: Any, dtype: str) -> InvalidInput:
    kinds = {bool: str(value), int: "Number", float: "Number", str: "String", dict: "Object", list: "Array"}
    kind = kinds.get(type(value), "Null")
    return InvalidInput(
        f"JSON Value: {show(value)} Type: {kind} is not of expected type: {TYPE_NAMES.get(dtype, dtype)}"
    )


def _map_leaves(value: Any, change: Callable[[bytes], Any]) -> Any:
    return [_map_leaves(v, change) for v in value] if isinstance(value, list) else change(value)


def _encode(value: bytes) -> dict[str, str]:
    return {BASE64_KEY: base64.b64encode(value).decode()}


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidInput(
            "an output holds bytes that are not UTF-8; only outputs whose name ends in _bytes are sent as base64"
        ) from None
