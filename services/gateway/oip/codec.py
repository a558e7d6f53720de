"""Tensors between the protocol's messages and seqserve.model.v1, raw or typed. Raw numbers are never decoded."""

import math
import struct
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from seqserve.model.v1.model_service_pb2 import Tensor
from seqserve.oip.v1 import inference_pb2 as inference_pb

from services.gateway.oip.datatypes import BYTES, Datatype, datatype_of, find_datatype
from services.gateway.oip.parameters import refuse_shared_memory
from services.gateway.oip.query import Input
from services.runtime.errors import InvalidInput
from services.runtime.tensors import NUMBERS, STRING, to_array

LENGTH = struct.Struct("<I")  # precedes each element of BYTES
CARRIERS = {
    "bool_contents": np.dtype(np.bool_),
    "int_contents": np.dtype(np.int32),
    "int64_contents": np.dtype(np.int64),
    "uint_contents": np.dtype(np.uint32),
    "uint64_contents": np.dtype(np.uint64),
    "fp32_contents": np.dtype(np.float32),
    "fp64_contents": np.dtype(np.float64),
}

InferInputTensor = inference_pb.ModelInferRequest.InferInputTensor


def read_inputs(request: inference_pb.ModelInferRequest) -> list[Input]:
    """The inputs of a request, all raw or all typed.

    Raises:
        InvalidInput: a type is unknown, raw and typed data are mixed, or tensors are not in the message.
    """
    for tensor in request.inputs:
        refuse_shared_memory(tensor.parameters, f"inputs.{tensor.name}.parameters")
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidInput(f"{len(raw)} buffers for {len(request.inputs)} inputs", "raw_input_contents")
    inputs = []
    for i, tensor in enumerate(request.inputs):
        datatype = find_datatype(tensor.datatype, f"inputs.{tensor.name}")
        if raw and tensor.HasField("contents"):
            raise InvalidInput("set beside raw_input_contents; send one of them", f"inputs.{tensor.name}.contents")
        decode = partial(raw_tensor, tensor.name, datatype, tensor.shape, raw[i]) if raw else partial(_typed, tensor)
        inputs.append(Input(tensor.name, datatype, tensor.shape, decode))
    return inputs


def write_outputs(response: inference_pb.ModelInferResponse, tensors: Iterable[Tensor], raw: bool) -> None:
    """Puts tensors into a response: raw if asked for, or if one of them has a type without typed contents.

    Raises:
        FailedPrecondition: the protocol has no type for an output.
    """
    pairs = [(tensor, datatype_of(tensor.dtype, f"outputs.{tensor.name}")) for tensor in tensors]
    raw = raw or any(not datatype.contents for _, datatype in pairs)
    for tensor, datatype in pairs:
        output = response.outputs.add(name=tensor.name, datatype=datatype.name, shape=tensor.shape)
        if raw:
            response.raw_output_contents.append(pack_tensor(tensor))
        else:
            array = to_array(tensor, f"outputs.{tensor.name}")
            getattr(output.contents, datatype.contents).extend(array.reshape(-1).tolist())


def raw_tensor(name: str, datatype: Datatype, shape: Sequence[int], data: bytes) -> Tensor:
    """A tensor of raw data.

    Raises:
        InvalidInput: the data does not fill the shape.
    """
    field = f"inputs.{name}"
    size = math.prod(shape)
    if datatype.name == BYTES:
        return Tensor(name=name, dtype=STRING, shape=shape, strings=unpack_strings(data, size, field))
    expected = size * NUMBERS[datatype.dtype].itemsize
    if len(data) != expected:
        raise InvalidInput(f"{len(data)} bytes; {datatype.name} of shape {list(shape)} has {expected}", field)
    return Tensor(name=name, dtype=datatype.dtype, shape=shape, data=data)


def pack_tensor(tensor: Tensor) -> bytes:
    """The raw data of a tensor."""
    if tensor.dtype == STRING:
        return b"".join(part for s in tensor.strings for part in (LENGTH.pack(len(s)), s))
    return tensor.data


def unpack_strings(data: bytes, count: int, field: str) -> list[bytes]:
    """The elements of raw BYTES.

    Raises:
        InvalidInput: a length goes past the end, or there are not `count` of them.
    """
    strings: list[bytes] = []
    start = 0
    while start < len(data):
        body = start + LENGTH.size
        end = body + LENGTH.unpack_from(data, start)[0] if body <= len(data) else body
        if end > len(data):
            raise InvalidInput(f"element {len(strings)} of BYTES ends {end - len(data)} bytes past the data", field)
        strings.append(data[body:end])
        start = end
    if len(strings) != count:
        raise InvalidInput(f"{len(strings)} elements of BYTES; the shape holds {count}", field)
    return strings


def narrow_integers(array: np.ndarray, datatype: Datatype, field: str) -> np.ndarray:
    """Whole numbers as the type that they are declared to have.

    Raises:
        InvalidInput: one of them is out of its range.
    """
    dtype = NUMBERS[datatype.dtype]
    limits = np.iinfo(dtype)
    outside = np.flatnonzero((array < limits.min) | (array > limits.max))
    if outside.size:
        value = array.reshape(-1)[outside[0]]
        raise InvalidInput(f"element {outside[0]} is {value}; {datatype.name} has {limits.min} to {limits.max}", field)
    return array.astype(dtype)


def _typed(tensor: InferInputTensor) -> Tensor:
    field = f"inputs.{tensor.name}"
    datatype = find_datatype(tensor.datatype, field)
    size = math.prod(tensor.shape)
    if not datatype.contents:
        raise InvalidInput(f"{datatype.name} has no typed contents; send raw_input_contents", field)
    if wrong := [f.name for f, _ in tensor.contents.ListFields() if f.name != datatype.contents]:
        raise InvalidInput(f"{wrong[0]} is set; {datatype.name} is read from {datatype.contents}", field)
    values = getattr(tensor.contents, datatype.contents)
    if len(values) != size:
        raise InvalidInput(f"{len(values)} elements; shape {list(tensor.shape)} holds {size}", field)
    if datatype.name == BYTES:
        return Tensor(name=tensor.name, dtype=STRING, shape=tensor.shape, strings=values)
    array = np.fromiter(values, CARRIERS[datatype.contents], len(values))
    if array.dtype.kind in "iu":
        array = narrow_integers(array, datatype, field)
    return Tensor(name=tensor.name, dtype=datatype.dtype, shape=tensor.shape, data=array.tobytes())
