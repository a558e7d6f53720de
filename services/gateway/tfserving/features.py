"""Values of a Feature as a flat array of the type that an input has."""

import numpy as np
from seqserve.tfserving.v1 import example_pb2 as pb

from services.runtime.errors import InvalidInput
from services.runtime.tensors import NUMBERS, STRING

LISTS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def read_feature(feature: pb.Feature, dtype: str, field: str) -> np.ndarray:
    """The values of a feature: [values] of the type `dtype`; strings become an object array of bytes.

    Integers may fill a float input. Bytes may fill a uint8 input, one value each.

    Raises:
        InvalidInput: the values are of another kind, or out of the type's range.
    """
    kind = feature.WhichOneof("kind")
    if kind is None:
        return np.zeros(0, object if dtype == STRING else NUMBERS[dtype])
    if dtype == STRING and kind == "bytes_list":
        return np.array([*feature.bytes_list.value, None], object)[:-1]
    target = NUMBERS.get(dtype)
    if target is not None:
        if kind == "bytes_list" and dtype == "uint8":
            return np.frombuffer(b"".join(feature.bytes_list.value), target)
        if kind == "int64_list":
            return _from_integers(np.array(feature.int64_list.value, np.int64), target, field)
        if kind == "float_list" and (target.kind in "fc" or dtype == "bfloat16"):
            return np.array(feature.float_list.value, np.float32).astype(target)
    raise InvalidInput(f"{LISTS[kind]} values; the input is {dtype}", field)


def _from_integers(values: np.ndarray, target: np.dtype, field: str) -> np.ndarray:
    if target.kind in "iub" and values.size:
        low, high = (0, 1) if target.kind == "b" else (np.iinfo(target).min, np.iinfo(target).max)
        outside = values[(values < low) | (values > high)]
        if outside.size:
            raise InvalidInput(f"{outside[0]}; {target.name} holds {low} to {high}", field)
    return values.astype(target)
