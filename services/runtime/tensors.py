"""Named tensors between protobuf (seqserve.model.v1.Tensor) and NumPy."""

import math
from collections.abc import Iterable, Mapping

import ml_dtypes
import numpy as np
from seqserve.model.v1.model_service_pb2 import Tensor

from services.runtime.errors import InvalidInput

Arrays = Mapping[str, np.ndarray]

STRING = "string"
NUMBERS = {
    **{n: np.dtype(n) for n in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{n: np.dtype(n) for n in ("float16", "float32", "float64", "complex64", "complex128")},
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}


def to_array(tensor: Tensor, field: str) -> np.ndarray:
    """The tensor as an array, without a copy where it holds numbers; strings become an object array of bytes.

    Raises:
        InvalidInput: the type is unknown, or the data does not fill the shape.
    """
    size = math.prod(tensor.shape)
    if any(d < 0 for d in tensor.shape):
        raise InvalidInput(f"shape {list(tensor.shape)} has a negative dimension", field)
    if tensor.dtype == STRING:
        if len(tensor.strings) != size:
            raise InvalidInput(f"{len(tensor.strings)} strings; shape {list(tensor.shape)} holds {size}", field)
        return np.array([*tensor.strings, None], object)[:-1].reshape(tuple(tensor.shape))
    if tensor.dtype not in NUMBERS:
        raise InvalidInput(f"type '{tensor.dtype[:32]}' is unknown; {', '.join(NUMBERS)}, {STRING}", field)
    dtype = NUMBERS[tensor.dtype]
    if len(tensor.data) != size * dtype.itemsize:
        raise InvalidInput(
            f"{len(tensor.data)} bytes; {tensor.dtype} of shape {list(tensor.shape)} has {size * dtype.itemsize}", field
        )
    return np.frombuffer(tensor.data, dtype).reshape(tuple(tensor.shape))


def to_tensor(name: str, array: np.ndarray) -> Tensor:
    """The array as a tensor; an object or text array becomes strings."""
    if array.dtype.kind in "OSU":
        strings = [s if isinstance(s, bytes) else str(s).encode() for s in array.reshape(-1)]
        return Tensor(name=name, dtype=STRING, shape=array.shape, strings=strings)
    return Tensor(name=name, dtype=array.dtype.name, shape=array.shape, data=np.ascontiguousarray(array).tobytes())


def to_arrays(tensors: Iterable[Tensor]) -> dict[str, np.ndarray]:
    """Arrays by name.

    Raises:
        InvalidInput: two tensors share a name, or one is malformed.
    """
    arrays: dict[str, np.ndarray] = {}
    for tensor in tensors:
        field = f"inputs.{tensor.name}"
        if tensor.name in arrays:
            raise InvalidInput("given twice", field)
        arrays[tensor.name] = to_array(tensor, field)
    return arrays
