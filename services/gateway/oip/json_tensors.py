"""Tensors between JSON data and seqserve.model.v1."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from seqserve.model.v1.model_service_pb2 import Tensor

from services.gateway.oip.datatypes import BYTES, Datatype
from services.runtime.errors import InvalidInput
from services.runtime.tensors import NUMBERS, STRING, to_array

KINDS: dict[str, tuple[set[type], str]] = {  # by NumPy's kind: the JSON values that it takes
    "b": ({bool}, "true or false"),
    "i": ({int}, "a whole number"),
    "u": ({int}, "a whole number"),
    "f": ({int, float, type(None)}, "a number, or null for NaN"),
}


def from_json(name: str, datatype: Datatype, shape: Sequence[int], data: Any) -> Tensor:
    """A tensor of JSON data, nested as its shape or flat in C order; null is NaN.

    Raises:
        InvalidInput: the data has another shape, or an element is not of the type.
    """
    field = f"inputs.{name}.data"
    if not datatype.contents:
        raise InvalidInput(f"{datatype.name} has no JSON form; send binary data", field)
    values = _flatten(data, shape, field)
    if datatype.name == BYTES:
        return Tensor(name=name, dtype=STRING, shape=shape, strings=_encode(values, field))
    dtype = NUMBERS[datatype.dtype]
    taken, description = KINDS[dtype.kind]
    if wrong := set(map(type, values)) - taken:
        value = next(v for v in values if type(v) in wrong)
        raise InvalidInput(f"an element is {_show(value)}; {datatype.name} takes {description}", field)
    array = _to_floats(values, datatype, field) if dtype.kind == "f" else _to_integers(values, datatype, field)
    return Tensor(name=name, dtype=datatype.dtype, shape=shape, data=array.tobytes())


def to_json(tensor: Tensor) -> list[Any]:
    """The elements of a tensor in C order, as JSON data.

    Raises:
        InvalidInput: they have no JSON form.
    """
    array = to_array(tensor, f"outputs.{tensor.name}").reshape(-1)
    if tensor.dtype == STRING:
        try:
            return [element.decode() for element in array]
        except UnicodeDecodeError:
            raise InvalidInput(
                "holds bytes that are not UTF-8; ask for binary_data", f"outputs.{tensor.name}"
            ) from None
    if array.dtype == np.float32:
        return array.astype("U32").astype(np.float64).tolist()  # the shortest text that reads back as the same float32
    return array.tolist()


def _flatten(data: Any, shape: Sequence[int], field: str) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidInput(f"{_show(data)}; a list", field)
    try:
        array = np.array(data, object)  # as objects: one long text among numbers must not widen all of them
    except ValueError:
        raise InvalidInput("rows differ in length", field) from None
    size = math.prod(shape)
    if array.size != size or (array.ndim != 1 and array.shape != tuple(shape)):
        raise InvalidInput(f"data of shape {list(array.shape)}; {list(shape)}, or {size} in a row", field)
    return array.reshape(-1).tolist()


def _encode(values: list[Any], field: str) -> list[bytes]:
    for value in values:
        if not isinstance(value, str):
            raise InvalidInput(f"an element is {_show(value)}; BYTES takes text", field)
    try:
        return [value.encode() for value in values]
    except UnicodeEncodeError:
        raise InvalidInput("an element has half of a surrogate pair", field) from None


def _to_integers(values: list[int], datatype: Datatype, field: str) -> np.ndarray:
    dtype = NUMBERS[datatype.dtype]
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if values and not low <= min(values) <= max(values) <= high:
        value = next(v for v in values if not low <= v <= high)
        raise InvalidInput(f"an element is {_show(value)}; {datatype.name} has {low} to {high}", field)
    return np.array(values, dtype)


def _to_floats(values: list[Any], datatype: Datatype, field: str) -> np.ndarray:
    dtype = NUMBERS[datatype.dtype]
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, np.float64).astype(dtype)  # null becomes NaN
        is_inside = all(values[i] in (math.inf, -math.inf) for i in np.flatnonzero(np.isinf(array)))
    except OverflowError:
        is_inside = False
    if not is_inside:
        raise InvalidInput(f"an element is out of the range of {datatype.name}, ±{np.finfo(dtype).max:.3g}", field)
    return array


def _show(value: Any) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return repr(value)[:32]
