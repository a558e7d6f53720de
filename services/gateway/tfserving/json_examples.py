"""The JSON of REST classify and regress: examples in, classes or values out.

An example is an object: a value or a list of values per feature. A list of lists is a feature list, one step each.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
from seqserve.tfserving.v1 import example_pb2 as pb
from seqserve.tfserving.v1.prediction_pb2 import ClassificationResult, RegressionResult

from services.gateway.tfserving.errors import cut
from services.gateway.tfserving.json_arrays import read_bytes, show, to_array, to_json
from services.runtime.errors import InvalidInput

CONTEXT, EXAMPLES = "context", "examples"
KINDS: dict[str, set[type]] = {"int64_list": {bool, int}, "float_list": {int, float}, "bytes_list": {str, dict}}


def read_examples(body: Mapping[str, Any]) -> pb.Input:
    """The Input of a request.

    Raises:
        InvalidInput: the body is not formed as the protocol asks, or a feature holds what no feature can.
    """
    if EXAMPLES not in body:
        raise InvalidInput(f"When method is classify, key '{EXAMPLES}' is expected and was not found")
    rows = body[EXAMPLES]
    if not isinstance(rows, list):
        raise InvalidInput(f"Expecting '{EXAMPLES}' value to be an list/array")
    if not rows:
        raise InvalidInput(f"'{EXAMPLES}' value is an empty array")
    examples = [_read_example(row, f"{EXAMPLES}[{i}]") for i, row in enumerate(rows)]
    if CONTEXT not in body:
        return pb.Input(example_list=pb.ExampleList(examples=examples))
    context = _read_example(body[CONTEXT], CONTEXT)
    shared = pb.ExampleListWithContext(context=context, examples=examples)
    return pb.Input(example_list_with_context=shared)


def write_classes(result: ClassificationResult) -> dict[str, Any]:
    """The response: [label, score] of each class of each row."""
    return {
        "results": [
            [[c.label, score] for c, score in zip(row.classes, _shortest([c.score for c in row.classes]), strict=True)]
            for row in result.classifications
        ]
    }


def write_values(result: RegressionResult) -> dict[str, Any]:
    """The response: a value per row."""
    return {"results": _shortest([r.value for r in result.regressions])}


def _shortest(values: list[float]) -> Any:
    return to_json(np.array(values, np.float32), as_base64=False)


def _read_example(row: Any, field: str) -> pb.Example:
    if not isinstance(row, dict):
        raise InvalidInput(f"Example must be JSON object but got {show(row)}", field)
    example = pb.Example()
    for name, value in row.items():
        path = f"{field}.{cut(name)}"
        values = value if isinstance(value, list) else [value]
        if values and all(isinstance(step, list) for step in values):
            steps = [_flatten(step) for step in values]
            kind = _find_kind(list(chain.from_iterable(steps)), path)
            features = [_make_feature(step, kind, f"{path}[{i}]") for i, step in enumerate(steps)]
            example.feature_lists.feature_list[name].feature.extend(features)
        else:
            feature = _make_feature(values, _find_kind(values, path), path)
            example.features.feature[name].CopyFrom(feature)
    return example


def _find_kind(values: list[Any], field: str) -> str:
    """The list of a Feature that holds the values; floats where one is, as JSON writes whole floats without a point."""
    types = set(map(type, values))
    for kind, allowed in KINDS.items():
        if types <= allowed:
            return kind
    known = set().union(*KINDS.values())
    wrong = next((v for v in values if type(v) not in known), values[0])
    raise InvalidInput(f"a feature holds numbers or strings, all of one kind; got {show(wrong)}", field)


def _make_feature(values: list[Any], kind: str, field: str) -> pb.Feature:
    try:
        if not values:
            return pb.Feature()
        if kind == "int64_list":
            return pb.Feature(int64_list=pb.Int64List(value=[int(v) for v in values]))
        if kind == "float_list":
            return pb.Feature(float_list=pb.FloatList(value=to_array(values, "float32")))
        return pb.Feature(bytes_list=pb.BytesList(value=[read_bytes(v) for v in values]))
    except InvalidInput as error:
        raise InvalidInput(error.message, field) from None
    except (ValueError, OverflowError):
        raise InvalidInput(f"{show(max(values, key=abs))}; an integer feature has 64 bits", field) from None


def _flatten(values: list[Any]) -> list[Any]:
    """The values of one step in C order: its shape is the signature's to know."""
    while any(isinstance(value, list) for value in values):
        values = list(chain.from_iterable(value if isinstance(value, list) else [value] for value in values))
    return values
