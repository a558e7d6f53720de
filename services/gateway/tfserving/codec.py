"""Tensors between TensorProto and NumPy, typed fields and tensor_content alike."""

import math

import numpy as np
from seqserve.tfserving.v1 import tensor_pb2 as pb

from services.gateway.tfserving.errors import MalformedTensor
from services.runtime.tensors import NUMBERS, STRING

DTYPES: dict[int, str] = {
    pb.DATA_TYPE_FLOAT: "float32",
    pb.DATA_TYPE_DOUBLE: "float64",
    pb.DATA_TYPE_INT32: "int32",
    pb.DATA_TYPE_UINT8: "uint8",
    pb.DATA_TYPE_INT16: "int16",
    pb.DATA_TYPE_INT8: "int8",
    pb.DATA_TYPE_STRING: STRING,
    pb.DATA_TYPE_COMPLEX64: "complex64",
    pb.DATA_TYPE_INT64: "int64",
    pb.DATA_TYPE_BOOL: "bool",
    pb.DATA_TYPE_BFLOAT16: "bfloat16",
    pb.DATA_TYPE_UINT16: "uint16",
    pb.DATA_TYPE_COMPLEX128: "complex128",
    pb.DATA_TYPE_HALF: "float16",
    pb.DATA_TYPE_UINT32: "uint32",
    pb.DATA_TYPE_UINT64: "uint64",
}
NUMBERS_OF_DTYPES = {dtype: number for number, dtype in DTYPES.items()}
FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
    **dict.fromkeys(("int32", "uint8", "int16", "int8", "uint16"), "int_val"),
}
PARTS = {"complex64": "float32", "complex128": "float64"}


def read_tensor(proto: pb.TensorProto, name: str, max_bytes: int) -> np.ndarray:
    """The array of a TensorProto; strings become an object array of bytes.

    Args:
        proto: the tensor.
        name: name of the input, for errors.
        max_bytes: largest array that a few values may expand to.

    Raises:
        MalformedTensor: the type is unknown, or the elements do not fit it or the shape.
    """
    dtype = DTYPES.get(proto.dtype)
    if dtype is None:
        raise MalformedTensor(f"data type {proto.dtype} is not supported", name)
    shape = _read_shape(proto.tensor_shape, name)
    if dtype == STRING:
        if proto.tensor_content:
            raise MalformedTensor("tensor_content holds strings; send string_val", name)
        values = np.array([*proto.string_val, None], object)[:-1]
        return _fill(values, shape, b"", max_bytes // np.dtype(object).itemsize, name)
    target = NUMBERS[dtype]
    if proto.tensor_content:
        expected = math.prod(shape) * target.itemsize
        if len(proto.tensor_content) != expected:
            said = (
                f"tensor_content has {len(proto.tensor_content)} bytes; {dtype} of shape {list(shape)} has {expected}"
            )
            raise MalformedTensor(said, name)
        return np.frombuffer(proto.tensor_content, target).reshape(shape)
    return _fill(_read_values(proto, dtype, name), shape, 0, max_bytes // target.itemsize, name)


def write_tensor(array: np.ndarray) -> pb.TensorProto:
    """The TensorProto of an array, with typed fields, which every client reads."""
    is_string = array.dtype == object
    dtype = STRING if is_string else array.dtype.name
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in array.shape])
    proto = pb.TensorProto(dtype=NUMBERS_OF_DTYPES[dtype], tensor_shape=shape)  # type: ignore[arg-type]
    values = array.reshape(-1)
    if is_string:
        proto.string_val.extend(values.tolist())
        return proto
    if dtype in PARTS:
        values = values.view(PARTS[dtype])
    elif FIELDS[dtype] == "half_val":
        values = values.view(np.uint16)
    getattr(proto, FIELDS[dtype]).extend(values.tolist())
    return proto


def _read_shape(shape: pb.TensorShapeProto, name: str) -> tuple[int, ...]:
    sizes = tuple(dim.size for dim in shape.dim)
    if shape.unknown_rank or any(size < 0 for size in sizes):
        raise MalformedTensor(f"shape {list(sizes)} is not fully known", name)
    return sizes


def _read_values(proto: pb.TensorProto, dtype: str, name: str) -> np.ndarray:
    field, target = FIELDS[dtype], NUMBERS[dtype]
    raw = getattr(proto, field)
    if dtype in PARTS:
        parts = np.array(raw, PARTS[dtype])
        if parts.size % 2:
            raise MalformedTensor(f"{field} has {parts.size} values; {dtype} has two per element", name)
        return parts.view(target)
    values = np.array(raw)
    if not values.size:
        return np.zeros(0, target)
    carrier = np.dtype(np.uint16) if field == "half_val" else target
    if carrier.kind in "iu":
        limits = np.iinfo(carrier)
        if values.min() < limits.min or values.max() > limits.max:
            worst = values.min() if values.min() < limits.min else values.max()
            raise MalformedTensor(f"{field} has {worst}; {dtype} holds {limits.min} to {limits.max}", name)
    return values.astype(carrier).view(target) if field == "half_val" else values.astype(target, copy=False)


def _fill(values: np.ndarray, shape: tuple[int, ...], zero: bytes | int, max_size: int, name: str) -> np.ndarray:
    """The values in a shape; where there are fewer, the last one fills the rest, and `zero` where there is none."""
    size = math.prod(shape)
    if values.size == size:
        return values.reshape(shape)
    if values.size > size:
        raise MalformedTensor(f"{values.size} values; shape {list(shape)} holds {size}", name)
    if size > max_size:
        raise MalformedTensor(f"shape {list(shape)} holds {size} values; at most {max_size}", name)
    filled = np.full(size, values[-1] if values.size else zero, values.dtype)
    filled[: values.size] = values
    return filled.reshape(shape)
