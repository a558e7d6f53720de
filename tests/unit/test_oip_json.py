"""Inference requests and responses as HTTP bodies."""

import json
import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.oip.v1 import description_pb2 as description_pb

from services.gateway.oip.datatypes import BY_NAME
from services.gateway.oip.json_body import parse_object, read_body, write_body
from services.gateway.oip.json_messages import to_dict
from services.gateway.oip.json_tensors import from_json, to_json
from services.runtime.errors import InvalidInput, ServiceError
from services.runtime.tensors import NUMBERS, to_array, to_tensor

JSON_TYPES = [n for n, datatype in BY_NAME.items() if datatype.contents and n != "BYTES"]


def elements(datatype):
    dtype = NUMBERS[BY_NAME[datatype].dtype]
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind == "f":
        return st.floats(width=32 if datatype == "FP32" else 64)
    return st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max)


@given(st.data(), st.sampled_from(JSON_TYPES), st.integers(0, 3), st.integers(0, 3), st.booleans())
@settings(deadline=None)
def test_numbers_round_trip_through_json(data, datatype, rows, columns, is_nested):
    values = data.draw(st.lists(elements(datatype), min_size=rows * columns, max_size=rows * columns))
    sent = np.array(values, NUMBERS[BY_NAME[datatype].dtype]).reshape(rows, columns)
    text = json.dumps(sent.tolist() if is_nested else values)
    tensor = from_json("x", BY_NAME[datatype], [rows, columns], json.loads(text))
    np.testing.assert_array_equal(to_array(tensor, "x"), sent)
    back = from_json("x", BY_NAME[datatype], [rows, columns], json.loads(json.dumps(to_json(tensor))))
    np.testing.assert_array_equal(to_array(back, "x"), sent)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_text_round_trips_through_json(texts):
    tensor = from_json("x", BY_NAME["BYTES"], [len(texts)], texts)
    assert list(tensor.strings) == [text.encode() for text in texts]
    assert to_json(tensor) == texts


def test_floats_are_written_as_short_as_they_can_be_read_back():
    assert json.dumps(to_json(to_tensor("y", np.array([0.1, 1e-20, 16777216, np.nan, np.inf], np.float32)))) == (
        "[0.1, 1e-20, 16777216.0, NaN, Infinity]"
    )


def test_null_is_nan():
    array = to_array(from_json("x", BY_NAME["FP64"], [3], [1, None, 2.5]), "x")
    np.testing.assert_array_equal(array, [1, math.nan, 2.5])


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "text"),
    [
        ("FP32", [2], "ab", "'ab'; a list"),
        ("FP32", [2], None, "None; a list"),
        ("FP32", [2], [1], "data of shape [1]; [2], or 2 in a row"),
        ("FP32", [2, 2], [[1, 2]], "data of shape [1, 2]; [2, 2], or 4 in a row"),
        ("FP32", [3], [[1, 2], [3]], "data of shape [2]; [3], or 3 in a row"),
        ("FP32", [2], [[1, 2], [3]], "an element is a list; FP32 takes a number"),
        ("FP32", [2], [1, "2"], "an element is '2'; FP32 takes a number"),
        ("FP32", [2], [1, True], "an element is True; FP32 takes a number"),
        ("FP32", [2], [1, 1e39], "an element is out of the range of FP32"),
        ("FP64", [2], [10**400, 1], "an element is out of the range of FP64"),
        ("INT32", [1], [1.0], "an element is 1.0; INT32 takes a whole number"),
        ("INT32", [1], [True], "an element is True; INT32 takes a whole number"),
        ("UINT8", [2], [0, 256], "an element is 256; UINT8 has 0 to 255"),
        ("UINT64", [2], [2**64, 1], f"an element is {2**64}; UINT64 has 0 to {2**64 - 1}"),
        ("BOOL", [1], [1], "an element is 1; BOOL takes true or false"),
        ("BYTES", [1], [1], "an element is 1; BYTES takes text"),
        ("BYTES", [1], ["\ud800"], "an element has half of a surrogate pair"),
        ("FP16", [1], [1.0], "FP16 has no JSON form; send binary data"),
    ],
)
def test_data_that_is_not_of_its_type_is_named(datatype, shape, data, text):
    with pytest.raises(InvalidInput) as caught:
        from_json("x", BY_NAME[datatype], shape, data)
    assert str(caught.value).startswith(f"inputs.x.data: {text}")


def test_large_unsigned_numbers_stay_exact():
    assert to_json(from_json("x", BY_NAME["UINT64"], [2], [2**64 - 1, 1])) == [2**64 - 1, 1]


def test_a_long_text_among_numbers_costs_no_more_than_itself():
    with pytest.raises(InvalidInput, match="takes a number"):
        from_json("x", BY_NAME["FP32"], [300_001], [1.0] * 300_000 + ["x" * 10_000_000])


BINARY = {"name": "x", "datatype": "INT16", "shape": [2], "parameters": {"binary_data_size": 4}}
PLAIN = {"name": "x", "datatype": "INT16", "shape": [2], "data": [1, 2]}


def encode(header, tail=b""):
    text = json.dumps(header).encode()
    return text + tail, str(len(text))


def test_binary_inputs_are_taken_in_order():
    second = BINARY | {"name": "z", "datatype": "UINT8", "parameters": {"binary_data_size": 2}}
    body, length = encode({"inputs": [BINARY, PLAIN | {"name": "y"}, second]}, b"\1\0\2\0\7\x08")
    given = read_body("m", "", body, length).query.inputs
    assert [to_array(i.decode(), "").tolist() for i in given] == [[1, 2], [1, 2], [7, 8]]


@pytest.mark.parametrize(
    ("header", "tail", "length", "text"),
    [
        ([], b"", None, "body: not a JSON object"),
        ({}, b"x", None, "body: not JSON: Extra data"),
        ({"inputs": 1}, b"", None, "inputs: not a list of objects"),
        ({"inputs": [1]}, b"", None, "inputs: not a list of objects"),
        ({"inputs": [{}]}, b"", None, "inputs[0].name: missing"),
        ({"inputs": [{"name": 1}]}, b"", None, "inputs[0].name: not text"),
        ({"inputs": [{"name": "\ud800"}]}, b"", None, "inputs[0].name: has half of a surrogate pair"),
        ({"inputs": [{"name": "x"}]}, b"", None, "inputs[0].datatype: missing"),
        ({"inputs": [{"name": "x", "datatype": "BOOL"}]}, b"", None, "inputs[0].shape: missing"),
        ({"inputs": [PLAIN | {"shape": [1.5]}]}, b"", None, "inputs[0].shape: not a list of whole numbers"),
        ({"inputs": [PLAIN | {"shape": [2**70]}]}, b"", None, "inputs[0].shape: not a list of whole numbers"),
        ({"inputs": [PLAIN | {"parameters": []}]}, b"", None, "inputs[0].parameters: not an object"),
        ({"inputs": [PLAIN | {"parameters": BINARY["parameters"]}]}, b"", None, "inputs[0].data: set beside"),
        ({"inputs": [BINARY]}, b"123", "", "inputs[0].parameters.binary_data_size: 4 bytes; the body has 3 left"),
        ({"inputs": [BINARY]}, b"12345", "", "body: 1 bytes more than its inputs have in binary_data_size"),
        ({"inputs": [BINARY]}, b"", None, "inputs[0].parameters.binary_data_size: 4 bytes; the body has 0 left"),
        ({"inputs": [PLAIN]}, b"", "-1", "Inference-Header-Content-Length: '-1'; 0 to "),
        ({"inputs": [PLAIN]}, b"", "9" * 30, "Inference-Header-Content-Length: '"),
        ({"inputs": [PLAIN | {"parameters": {"shared_memory_region": "r"}}]}, b"", None, "inputs[0].parameters.shared"),
        ({"inputs": [], "outputs": [{}]}, b"", None, "outputs[0].name: missing"),
        ({"inputs": [], "id": 5}, b"", None, "id: not text"),
        ({"inputs": [], "parameters": 5}, b"", None, "parameters: not an object"),
    ],
)
def test_malformed_bodies_are_named(header, tail, length, text):
    body, own_length = encode(header, tail)
    with pytest.raises(InvalidInput) as caught:
        read_body("m", "", body, own_length if length == "" else length)
    assert str(caught.value).startswith(text)


@given(st.binary(max_size=80), st.one_of(st.none(), st.text(max_size=4)))
def test_any_body_is_read_or_refused(body, length):
    with suppress(ServiceError):
        assert read_body("m", "", body, length).query.model == "m"


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe\x00", b"9" * 5000, b"", b'"a"'])
def test_hostile_json_is_refused(body):
    with pytest.raises(InvalidInput):
        parse_object(body)


def test_outputs_are_binary_where_they_ask_for_it():
    header = {
        "id": "7",
        "inputs": [],
        "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}],
        "parameters": {"binary_data_output": True},
    }
    asked = read_body("m", "", json.dumps(header).encode(), None)
    outputs = [to_tensor(name, np.array([1, 2], np.int16)) for name in "ab"]
    response = model_pb.InferResponse(model=model_pb.ModelVersion(name="m", version="3"), outputs=outputs)
    body, length = write_body(asked, response)
    assert body[length:] == b"\1\0\2\0"
    assert json.loads(body[:length]) == {
        "model_name": "m",
        "model_version": "3",
        "id": "7",
        "outputs": [
            {"name": "a", "datatype": "INT16", "shape": [2], "parameters": {"binary_data_size": 4}},
            {"name": "b", "datatype": "INT16", "shape": [2], "data": [1, 2]},
        ],
    }


def test_what_has_no_json_form_is_refused():
    asked = read_body("m", "", b"{}", None)
    for array, text in ((np.ones(1, np.float16), "FP16 has no JSON"), (np.array([b"\xff"], object), "not UTF-8")):
        with pytest.raises(InvalidInput, match=text):
            write_body(asked, model_pb.InferResponse(outputs=[to_tensor("y", array)]))


def test_messages_become_json_with_whole_numbers():
    config = description_pb.ModelConfig(name="m", max_batch_size=4)
    config.input.add(name="x", data_type=description_pb.DATA_TYPE_FP32, dims=[-1, 3])
    assert to_dict(config) == {
        "name": "m",
        "platform": "",
        "backend": "",
        "max_batch_size": 4,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 3], "optional": False}],
        "output": [],
    }
