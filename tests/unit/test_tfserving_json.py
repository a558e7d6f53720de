"""The JSON of the REST face: values, rows and columns, examples, and what is refused."""

import base64
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.gateway.tfserving.json_arrays import to_array, to_json
from services.gateway.tfserving.json_predict import read_inputs, write_predictions
from services.runtime.errors import InvalidInput

MAX_BYTES = 2**20
FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)


def spec(dtype, *shape):
    return model_pb.TensorSpec(dtype=dtype, shape=shape)


INK = model_pb.Signature(
    inputs={"ink": spec("float32", -1, -1, 3), "lengths": spec("int32", -1)},
    outputs={"probabilities": spec("float32", -1, 20)},
    padded_input="ink",
    lengths_input="lengths",
)
PAIR = model_pb.Signature(
    inputs={"a": spec("float32", -1, 2), "b": spec("int32", -1), "c": spec("string", -1)}, optional_inputs=["c"]
)
ONE = model_pb.Signature(inputs={"x": spec("float32", -1)})
TEXT = model_pb.Signature(inputs={"s": spec("string", -1)})
STEP = [1.0, 2.0, 0.0]


@given(st.sampled_from(FLOATS + INTEGERS + ["bool"]).flatmap(lambda d: hnp.arrays(d, SHAPES)))
def test_arrays_read_back_bit_for_bit_through_json(array):
    text = json.dumps(to_json(array, as_base64=False))
    back = to_array(json.loads(text), array.dtype.name)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=4))
def test_bytes_read_back_as_base64(values):
    array = np.array([*values, None], object)[:-1]
    sent = to_json(array, as_base64=True)
    assert sent == [{"b64": base64.b64encode(v).decode()} for v in values]
    assert to_array(sent, "string").tolist() == values


@given(st.lists(st.text(max_size=9), min_size=1, max_size=4))
def test_text_reads_back(values):
    array = to_array(json.loads(json.dumps(values)), "string")
    assert to_json(array, as_base64=False) == values


def test_floats_are_as_short_as_they_can_be_and_never_look_like_integers():
    values = np.array([0.1, 1.0, -0.0, 16777216.0, 1e-7, 3.4028235e38, math.nan, math.inf, -math.inf], np.float32)
    text = json.dumps(to_json(values, as_base64=False))
    assert text == "[0.1, 1.0, -0.0, 16777216.0, 1e-07, 3.4028235e+38, NaN, Infinity, -Infinity]"
    assert json.dumps(to_json(np.array([0.1, 1 / 3]), as_base64=False)) == "[0.1, 0.3333333333333333]"
    assert to_json(np.array(2.0, np.float32), as_base64=False) == 2.0


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        ([1.0], "int32", "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ([1, True], "int32", "JSON Value: True Type: True is not of expected type: int32"),
        ([1, False], "float32", "JSON Value: False Type: False is not of expected type: float"),
        ([0], "bool", "JSON Value: 0 Type: Number is not of expected type: bool"),
        (["1"], "float64", "JSON Value: '1' Type: String is not of expected type: double"),
        ([None], "float32", "JSON Value: None Type: Null is not of expected type: float"),
        ([{"b64": "AA=="}], "int8", "Type: Object is not of expected type: int8"),
        ([1], "string", "JSON Value: 1 Type: Number is not of expected type: string"),
        ([1, 256], "uint8", "JSON Value: 256 Type: Number is not of expected type: uint8"),
        ([-1], "uint64", "JSON Value: -1 Type: Number is not of expected type: uint64"),
        ([2**63], "int64", "is not of expected type: int64"),
        ([16777217], "float32", "Cannot convert JSON value: 16777217 to float without loss of precision."),
        ([0.5, 1e39], "float32", "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ([2**53 + 1], "float64", "to double without loss of precision."),
        ([10**400], "float64", "to double without loss of precision."),
        ([[1, 2], [3]], "int32", "lists of different sizes at level 1: [1, 2]"),
        ([[1], 2], "int32", "values and lists are mixed at level 1"),
        ([1], "complex64", "complex64 is not supported"),
        ([{"b64": "!"}], "string", "Unable to base64 decode '!'"),
        ([{"b64": "AA==", "x": 1}], "string", "not formatted correctly for base64 data"),
    ],
)
def test_values_of_the_wrong_type_are_refused(value, dtype, said):
    with pytest.raises(InvalidInput) as caught:
        to_array(value, dtype)
    assert said in caught.value.message


def test_bytes_that_json_cannot_hold_are_refused():
    with pytest.raises(InvalidInput, match="_bytes"):
        to_json(np.array([b"\xff", b"a"], object), as_base64=False)
    with pytest.raises(InvalidInput, match="complex64"):
        to_json(np.array([1j], np.complex64), as_base64=False)


def test_rows_named_and_unnamed():
    read = read_inputs({"instances": [1.5, 2, math.nan]}, ONE, MAX_BYTES)
    np.testing.assert_array_equal(read["x"], np.array([1.5, 2, math.nan], np.float32))
    named = {"instances": [{"a": [1, 2], "b": 3}, {"a": [4, 5], "b": 6}]}
    read = read_inputs(named, PAIR, MAX_BYTES)
    assert {n: (a.dtype.name, a.tolist()) for n, a in read.items()} == {
        "a": ("float32", [[1, 2], [4, 5]]),
        "b": ("int32", [3, 6]),
    }
    assert read_inputs({"instances": ["é", {"b64": "/w"}]}, TEXT, MAX_BYTES)["s"].tolist() == ["é".encode(), b"\xff"]


def test_columns_named_and_unnamed():
    assert read_inputs({"inputs": [1.5, 2]}, ONE, MAX_BYTES)["x"].tolist() == [1.5, 2]
    assert read_inputs({"inputs": 1.5}, ONE, MAX_BYTES)["x"].shape == ()
    assert read_inputs({"inputs": {"b64": "/w=="}}, TEXT, MAX_BYTES)["s"].tolist() == b"\xff"
    read = read_inputs({"inputs": {"a": [[1, 2]], "b": [3], "unknown": 1}}, PAIR, MAX_BYTES)
    assert sorted(read) == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [[STEP], [STEP] * 3]},
        {"instances": [{"ink": [STEP]}, {"ink": [STEP] * 3}]},
        {"inputs": {"ink": [[STEP], [STEP] * 3]}},
        {"inputs": [[STEP], [STEP] * 3]},
    ],
)
def test_rows_of_different_lengths_are_padded_with_zeros_and_counted(body):
    read = read_inputs(body, INK, MAX_BYTES)
    assert read["ink"].shape == (2, 3, 3)
    assert read["ink"].dtype == np.float32
    assert read["ink"][0].tolist() == [STEP, [0, 0, 0], [0, 0, 0]]
    assert read["ink"][1].tolist() == [STEP] * 3
    assert read["lengths"].dtype == np.int32
    assert read["lengths"].tolist() == [1, 3]


def test_lengths_that_the_client_gave_are_kept():
    rows = [{"ink": [STEP] * 2, "lengths": 1}, {"ink": [STEP] * 3, "lengths": 3}]
    assert read_inputs({"instances": rows}, INK, MAX_BYTES)["lengths"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("body", "signature", "said"),
    [
        ({}, ONE, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "inputs": [1]}, ONE, "only one of 'inputs' or 'instances'"),
        ({"instances": 1}, ONE, "Excepting 'instances' to be an list/array"),
        ({"instances": []}, ONE, "No values in 'instances' array"),
        ({"instances": [[1, 2]]}, PAIR, "instances is a plain list, but expecting list of objects"),
        ({"inputs": [[1, 2]]}, PAIR, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"a": [[1, 2]]}}, PAIR, "Missing named input: b in 'inputs' object."),
        ({"instances": [{"x": 1}, 2]}, ONE, "Expecting object but got value/list at item 1"),
        ({"instances": [1, {"x": 2}]}, ONE, "Expecting value/list but got object at item 1"),
        ({"instances": [{"a": [1, 2]}]}, PAIR, "keys must be equal to: a,b,c"),
        ({"instances": [{"a": [1, 2], "b": 1}, {"a": [1, 2], "b": 1, "c": "s"}]}, PAIR, "Failed to process element: 1"),
        ({"instances": [{"a": [1, 2], "b": 1, "z": 1}]}, PAIR, "keys must be equal to: a,b,c"),
        ({"instances": [{"a": [1, 2], "b": 1}, {"a": [1, 2], "b": 1.0}]}, PAIR, "element: 1 key: b of 'instances'"),
        ({"instances": [{"a": [1, 2], "b": 1}, {"a": [1], "b": 1}]}, PAIR, "instances[1].a: shape [1]; the first"),
        ({"instances": [[STEP], [[1, 2]]]}, INK, "instances[1].ink: shape [1, 2]; the first row has [1, 3]"),
        ({"instances": [[STEP], []]}, INK, "instances[1].ink: shape [0]; the first row has [1, 3]"),
        (
            {"instances": [[STEP], [[1, 2, "3"]]]},
            INK,
            "element: 1 key: ink of 'instances' list. Error: JSON Value: '3'",
        ),
        ({"instances": [{"ink": [STEP], "lengths": 2}]}, INK, "instances[0].lengths: 2 steps; 1 to 1"),
        ({"instances": [{"ink": [STEP], "lengths": [1]}]}, INK, "instances.lengths: shape [1, 1]; one length per row"),
        ({"instances": [[STEP] * 90_000, [STEP]]}, INK, "instances.ink: padded to 90000 steps, 2160000 bytes"),
    ],
)
def test_bodies_that_do_not_fit_are_refused(body, signature, said):
    with pytest.raises(InvalidInput) as caught:
        read_inputs(body, signature, MAX_BYTES)
    assert said in str(caught.value)


def test_one_output_goes_without_its_name_and_several_by_row():
    x, y = np.array([[1.0], [2.0]], np.float32), np.array([3, 4])
    assert write_predictions({"x": x}, is_row=True) == {"predictions": [[1.0], [2.0]]}
    assert write_predictions({"x": x}, is_row=False) == {"outputs": [[1.0], [2.0]]}
    rows = [{"x": [1.0], "y": 3}, {"x": [2.0], "y": 4}]
    assert write_predictions({"y": y, "x": x}, is_row=True) == {"predictions": rows}
    assert write_predictions({"y": y, "x": x}, is_row=False) == {"outputs": {"x": [[1.0], [2.0]], "y": [3, 4]}}


def test_strings_are_base64_only_where_the_name_says_bytes():
    strings = np.array([b"a", b"b"], object)
    assert write_predictions({"s": strings}, is_row=True) == {"predictions": ["a", "b"]}
    assert write_predictions({"s_bytes": strings}, is_row=True) == {"predictions": [{"b64": "YQ=="}, {"b64": "Yg=="}]}
    assert write_predictions({"n_bytes": np.array([1])}, is_row=True) == {"predictions": [1]}


def test_outputs_that_are_not_rows_are_refused_as_rows():
    x = np.zeros((2, 1))
    with pytest.raises(InvalidInput, match="Tensor name: y has inconsistent batch size: 3 expecting: 2"):
        write_predictions({"x": x, "y": np.zeros(3)}, is_row=True)
    with pytest.raises(InvalidInput, match="Tensor name: y has no shape information"):
        write_predictions({"y": np.zeros(())}, is_row=True)
