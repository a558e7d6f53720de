"""Inference requests and responses as HTTP bodies: a JSON header, and binary tensors after it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from seqserve.model.v1 import model_service_pb2 as model_pb

from services.gateway.oip.codec import pack_tensor, raw_tensor
from services.gateway.oip.datatypes import Datatype, datatype_of, find_datatype
from services.gateway.oip.json_tensors import from_json, to_json
from services.gateway.oip.parameters import (
    Parameters,
    read_count,
    read_output,
    read_request_parameters,
    refuse_shared_memory,
)
from services.gateway.oip.query import Input, Query
from services.runtime.errors import InvalidInput

BINARY_SIZE = "binary_data_size"


@dataclass(frozen=True)
class Body:
    """A request's body, read.

    Attributes:
        query: what it asks.
        id: id that the response repeats; None where the client sent none.
    """

    query: Query
    id: str | None


def read_body(model: str, version: str, body: bytes, header_length: str | None) -> Body:
    """Reads an inference request.

    Args:
        model: model name, from the path.
        version: version number, from the path, or "".
        body: the whole body, decompressed.
        header_length: bytes of JSON before the binary tensors, as the client's header says; None if all is JSON.

    Raises:
        InvalidInput: it is not a request.
    """
    header_end = len(body) if header_length is None else _header_end(header_length, len(body))
    header = parse_object(body[:header_end])
    tail = _Tail(body, header_end)
    parameters = _object(header, "parameters", "parameters")
    query = Query(
        model=model,
        version=version,
        inputs=[_read_input(item, i, tail) for i, item in enumerate(_list(header, "inputs"))],
        outputs=[
            read_output(_text(item, "name", f"outputs[{i}].name"), _object(item, "parameters", f"outputs[{i}]"))
            for i, item in enumerate(_list(header, "outputs"))
        ],
        parameters=read_request_parameters(parameters),
    )
    tail.check_end()
    return Body(query, _text(header, "id", "id") if "id" in header else None)


def write_body(request: Body, response: model_pb.InferResponse) -> tuple[bytes, int | None]:
    """The response's body, and the bytes of JSON that it begins with; None if all is JSON.

    Raises:
        InvalidInput: an output that should be JSON has no such form.
        FailedPrecondition: the protocol has no type for an output.
    """
    binary = {output.name: output.binary for output in request.query.outputs if output.binary is not None}
    outputs, buffers = [], []
    for tensor in response.outputs:
        datatype = datatype_of(tensor.dtype, f"outputs.{tensor.name}")
        output: dict[str, Any] = {"name": tensor.name, "datatype": datatype.name, "shape": list(tensor.shape)}
        if binary.get(tensor.name, request.query.parameters.binary_output):
            buffers.append(pack_tensor(tensor))
            output["parameters"] = {BINARY_SIZE: len(buffers[-1])}
        elif not datatype.contents:
            raise InvalidInput(f"{datatype.name} has no JSON form; ask for binary_data", f"outputs.{tensor.name}")
        else:
            output["data"] = to_json(tensor)
        outputs.append(output)
    answer: dict[str, Any] = {"model_name": request.query.model, "model_version": response.model.version}
    if request.id is not None:
        answer["id"] = request.id
    header = json.dumps(answer | {"outputs": outputs}, separators=(",", ":")).encode()
    return (b"".join([header, *buffers]), len(header)) if buffers else (header, None)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        InvalidInput: there is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise InvalidInput(f"not JSON: {reason}", "body") from None
    if not isinstance(value, dict):
        raise InvalidInput("not a JSON object", "body")
    return value


class _Tail:
    """The binary part of a body, taken from front to back."""

    def __init__(self, body: bytes, start: int) -> None:
        self._body, self._start = body, start

    def take(self, size: int, field: str) -> bytes:
        left = len(self._body) - self._start
        if size > left:
            raise InvalidInput(f"{size} bytes; the body has {left} left for it", field)
        self._start += size
        return self._body[self._start - size : self._start]

    def check_end(self) -> None:
        if left := len(self._body) - self._start:
            raise InvalidInput(f"{left} bytes more than its inputs have in {BINARY_SIZE}", "body")


def _header_end(text: str, size: int) -> int:
    if not text.isdecimal() or len(text) > 19 or int(text) > size:
        raise InvalidInput(f"'{text[:32]}'; 0 to {size}, the body's length", "Inference-Header-Content-Length")
    return int(text)


def _read_input(item: dict[str, Any], index: int, tail: _Tail) -> Input:
    field = f"inputs[{index}]"
    name = _text(item, "name", f"{field}.name")
    datatype = find_datatype(_text(item, "datatype", f"{field}.datatype"), f"inputs.{name}")
    shape, parameters = _shape(item, field), _object(item, "parameters", field)
    refuse_shared_memory(parameters, f"{field}.parameters")
    if BINARY_SIZE not in parameters:
        return Input(name, datatype, shape, partial(from_json, name, datatype, shape, item.get("data")))
    if "data" in item:
        raise InvalidInput(f"set beside {BINARY_SIZE}; send one of them", f"{field}.data")
    return Input(name, datatype, shape, _binary_decoder(name, datatype, shape, parameters, field, tail))


def _binary_decoder(
    name: str, datatype: Datatype, shape: Sequence[int], parameters: Parameters, field: str, tail: _Tail
) -> "partial[model_pb.Tensor]":
    size = read_count(parameters, BINARY_SIZE, f"{field}.parameters")
    return partial(raw_tensor, name, datatype, shape, tail.take(size, f"{field}.parameters.{BINARY_SIZE}"))


def _text(item: dict[str, Any], key: str, field: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        raise InvalidInput("missing" if value is None else "not text", field)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput("has half of a surrogate pair", field) from None
    return value


def _shape(item: dict[str, Any], field: str) -> list[int]:
    shape = item.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and abs(size) < 2**63 for size in shape):
        raise InvalidInput("missing" if shape is None else "not a list of whole numbers", f"{field}.shape")
    return shape


def _object(item: dict[str, Any], key: str, field: str) -> dict[str, Any]:
    value = item.get(key, {})
    if not isinstance(value, dict):
        raise InvalidInput("not an object", field if field == key else f"{field}.{key}")
    return value


def _list(item: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = item.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InvalidInput("not a list of objects", key)
    return values
