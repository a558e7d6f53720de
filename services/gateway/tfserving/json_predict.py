"""The JSON of REST predict: rows under "instances", or whole inputs under "inputs"."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.gateway.tfserving.json_arrays import is_base64, show, to_array, to_json
from services.gateway.tfserving.ragged import check_lengths, is_paddable, stack_rows
from services.runtime.errors import InvalidInput
from services.runtime.tensors import NUMBERS

INSTANCES, INPUTS = "instances", "inputs"
BYTES_SUFFIX = "_bytes"


@dataclass(frozen=True)
class Columns:
    """What each input holds, as JSON: one entry per row.

    Attributes:
        values: rows by the name of the input.
        source: key of the request that they come from.
    """

    values: Mapping[str, Any]
    source: str


def read_inputs(body: Mapping[str, Any], signature: model_pb.Signature, max_bytes: int) -> dict[str, np.ndarray]:
    """The named arrays of a request. Rows of an input that may be padded may differ in length.

    Raises:
        InvalidInput: the body is not formed as the protocol asks, or a value does not fit the signature.
    """
    columns = _read_columns(body, signature)
    arrays, steps = {}, None
    for name, rows in columns.values.items():
        dtype = signature.inputs[name].dtype
        if is_paddable(name, signature) and isinstance(rows, list) and rows:
            parts = _read_rows(rows, name, dtype, columns.source)
            arrays[name] = stack_rows(parts, name, signature, columns.source, max_bytes)
            steps = [len(part) if part.ndim else 0 for part in parts]
        else:
            arrays[name] = _read_array(rows, name, dtype, columns.source)
    lengths = signature.lengths_input
    if lengths and steps:
        given = arrays.setdefault(lengths, np.array(steps, NUMBERS[signature.inputs[lengths].dtype]))
        check_lengths(given, steps, lengths, columns.source)
    return arrays


def write_predictions(arrays: Mapping[str, np.ndarray], is_row: bool) -> dict[str, Any]:
    """The response to "instances" (rows) or to "inputs" (whole outputs); a single output goes without its name.

    Raises:
        InvalidInput: outputs cannot be told apart by row, or JSON has no such values.
    """
    if not is_row:
        whole = {name: to_json(array, _is_bytes(name, array)) for name, array in sorted(arrays.items())}
        return {"outputs": whole if len(whole) > 1 else next(iter(whole.values()))}
    size = -1
    for name, array in arrays.items():
        if array.ndim == 0:
            raise InvalidInput(f"Tensor name: {name} has no shape information")
        if size >= 0 and len(array) != size:
            raise InvalidInput(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    columns = {name: to_json(array, _is_bytes(name, array)) for name, array in sorted(arrays.items())}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def _read_columns(body: Mapping[str, Any], signature: model_pb.Signature) -> Columns:
    if INSTANCES in body and INPUTS in body:
        raise InvalidInput(f"Not formatted correctly expecting only one of '{INPUTS}' or '{INSTANCES}' keys to exist")
    if INSTANCES in body:
        instances = body[INSTANCES]
        if not isinstance(instances, list):
            raise InvalidInput(f"Excepting '{INSTANCES}' to be an list/array")
        if not instances:
            raise InvalidInput(f"No values in '{INSTANCES}' array")
        return Columns(_split_instances(instances, signature), INSTANCES)
    if INPUTS in body:
        return Columns(_split_inputs(body[INPUTS], signature), INPUTS)
    raise InvalidInput(f"Missing '{INPUTS}' or '{INSTANCES}' key")


def _split_instances(instances: list[Any], signature: model_pb.Signature) -> dict[str, list[Any]]:
    are_objects = _is_object(instances[0])
    for i, instance in enumerate(instances):
        if _is_object(instance) != are_objects:
            said = "Expecting object but got value/list" if are_objects else "Expecting value/list but got object"
            raise InvalidInput(f"{said} at item {i} of input list")
    if not are_objects:
        name = _only_input(
            signature,
            "instances is a plain list, but expecting list of objects as multiple input tensors required "
            "as per tensorinfo_map",
        )
        return {name: instances}
    names = instances[0].keys()
    for i, instance in enumerate(instances):
        if instance.keys() != names or _missing(names, signature) or names - signature.inputs.keys():
            raise InvalidInput(
                f"Failed to process element: {i} of '{INSTANCES}' list. JSON object: {show(instance)} "
                f"keys must be equal to: {','.join(sorted(signature.inputs))}"
            )
    return {name: [instance[name] for instance in instances] for name in names}


def _split_inputs(inputs: Any, signature: model_pb.Signature) -> dict[str, Any]:
    if not _is_object(inputs):
        name = _only_input(
            signature,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required "
            "as per tensorinfo_map",
        )
        return {name: inputs}
    for name in _missing(inputs.keys(), signature):
        raise InvalidInput(f"Missing named input: {name} in '{INPUTS}' object.")
    return {name: value for name, value in inputs.items() if name in signature.inputs}


def _only_input(signature: model_pb.Signature, otherwise: str) -> str:
    """The one input that a request must name, and so need not."""
    needed = _missing((), signature)
    if len(needed) != 1:
        raise InvalidInput(otherwise)
    return needed[0]


def _missing(names: Collection[str], signature: model_pb.Signature) -> list[str]:
    """Inputs that a request must have and does not; lengths are counted where they are not given."""
    return sorted(signature.inputs.keys() - names - {signature.lengths_input} - set(signature.optional_inputs))


def _read_array(value: Any, name: str, dtype: str, source: str) -> np.ndarray:
    try:
        return to_array(value, dtype)
    except InvalidInput:
        if source == INSTANCES:
            stack_rows(_read_rows(value, name, dtype, source), name, model_pb.Signature(), source, 0)  # names the row
        raise


def _read_rows(rows: Sequence[Any], name: str, dtype: str, source: str) -> list[np.ndarray]:
    arrays = []
    for i, row in enumerate(rows):
        try:
            arrays.append(to_array(row, dtype))
        except InvalidInput as error:
            raise InvalidInput(
                f"Failed to process element: {i} key: {name} of '{source}' list. Error: {error.message}"
            ) from None
    return arrays


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _is_bytes(name: str, array: np.ndarray) -> bool:
    return array.dtype == object and name.endswith(BYTES_SUFFIX)
