"""Calls of any model by named arrays, over the Open Inference Protocol v2, which the same port speaks."""

import math
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from seqserve.oip.v1 import inference_pb2 as pb

from services.client.operations import Operation
from services.client.results import Outputs, Source

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
BYTES, BF16 = "BYTES", "BF16"
LENGTH = struct.Struct("<I")  # precedes each element of BYTES
DATATYPES = {
    "bool": "BOOL",
    **{f"{kind}{bits}": f"{kind.upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
    "bfloat16": BF16,  # an extension type, which whoever sends it has
}
DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items() if datatype != BF16}


def infer(
    model: str, inputs: Mapping[str, np.ndarray], version: str = "", outputs: Sequence[str] = ()
) -> Operation[Outputs]:
    """Asks a model for its outputs.

    Args:
        model: model name.
        inputs: arrays by name; text or bytes of any length are object or text arrays.
        version: version number as text; empty leaves the choice to the server.
        outputs: names to return; empty means all.

    Raises:
        ValueError: an array has a type that the protocol does not know.
    """
    request = pb.ModelInferRequest(model_name=model, model_version=version)
    request.outputs.extend(pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs)
    for name, given in inputs.items():
        array = np.asarray(given)
        datatype, raw = _encode(name, array)
        request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        request.raw_input_contents.append(raw)
    return Operation(MODEL_INFER, request, pb.ModelInferResponse, _decode_outputs)


def _encode(name: str, array: np.ndarray) -> tuple[str, bytes]:
    if array.dtype.kind in "OSU":
        elements = [e if isinstance(e, bytes) else str(e).encode() for e in array.reshape(-1)]
        return BYTES, b"".join(part for e in elements for part in (LENGTH.pack(len(e)), e))
    datatype = DATATYPES.get(array.dtype.name)
    if datatype is None:
        raise ValueError(f"inputs['{name}'] has type {array.dtype.name}; {', '.join(DATATYPES)}, text or bytes")
    return datatype, array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _decode_outputs(response: pb.ModelInferResponse, request_id: str, cache: str) -> Outputs:
    pairs = zip(response.outputs, response.raw_output_contents, strict=True)
    arrays = {output.name: _decode(output.datatype, tuple(output.shape), raw) for output, raw in pairs}
    return Outputs(arrays, Source(response.model_name, response.model_version, request_id, cache))


def _decode(datatype: str, shape: tuple[int, ...], raw: bytes) -> np.ndarray:
    if datatype == BYTES:
        return _decode_bytes(shape, raw)
    if datatype == BF16:  # the upper half of a float32
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return np.frombuffer(raw, np.dtype(DTYPES[datatype]).newbyteorder("<")).reshape(shape)


def _decode_bytes(shape: tuple[int, ...], raw: bytes) -> np.ndarray:
    array = np.empty(math.prod(shape), object)
    start = 0
    for i in range(len(array)):
        body = start + LENGTH.size
        start = body + LENGTH.unpack_from(raw, start)[0]
        array[i] = raw[body:start]
    return array.reshape(shape)
