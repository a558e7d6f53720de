"""Examples and SequenceExamples, as TensorFlow makes them and as JSON, into the inputs of a signature."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.tfserving.v1 import example_pb2 as pb
from seqserve.tfserving.v1.prediction_pb2 import Class, ClassificationResult, Classifications, RegressionResult

from services.gateway.tfserving.examples import decode_examples, list_examples, serialize_examples
from services.gateway.tfserving.json_examples import read_examples, write_classes, write_values
from services.runtime.errors import InvalidInput

MAX_BYTES = 2**20


def spec(dtype, *shape):
    return model_pb.TensorSpec(dtype=dtype, shape=shape)


INK = model_pb.Signature(
    inputs={"ink": spec("float32", -1, -1, 3), "lengths": spec("int32", -1)},
    padded_input="ink",
    lengths_input="lengths",
)
SERIES = model_pb.Signature(inputs={"values": spec("float64", -1, 4), "first_day": spec("int32", -1)})
CLIP = model_pb.Signature(inputs={"frames": spec("uint8", -1, 2, 1, 3)})
MIXED = model_pb.Signature(
    inputs={"flag": spec("bool", -1), "name": spec("string", -1, 2), "z": spec("complex64", -1)},
    optional_inputs=["name", "z"],
)
RAGGED = model_pb.Signature(inputs={"x": spec("float32", -1, -1)})  # nothing says what padding would mean
CUBE = model_pb.Signature(inputs={"x": spec("float32", -1, -1, -1)})


def feature(**values):
    (kind, value), *_ = values.items()
    lists = {"floats": ("float_list", pb.FloatList), "ints": ("int64_list", pb.Int64List)}
    name, made = lists.get(kind, ("bytes_list", pb.BytesList))
    return pb.Feature(**{name: made(value=value)})


def example(**features):
    return pb.Example(features=pb.Features(feature=features))


def sequence(**lists):
    made = {name: pb.FeatureList(feature=steps) for name, steps in lists.items()}
    return pb.Example(feature_lists=pb.FeatureLists(feature_list=made))


def decode(signature, *examples):
    return decode_examples(examples, signature, MAX_BYTES)


def test_values_fill_the_input_of_their_name():
    read = decode(SERIES, example(values=feature(floats=[1, 2, 3, 4]), first_day=feature(ints=[7])))
    assert read["values"].dtype == np.float64
    assert read["values"].tolist() == [[1, 2, 3, 4]]
    assert read["first_day"].tolist() == [7]
    whole = example(values=feature(ints=[1, 2, 3, 4]), first_day=feature(ints=[7]), another=feature(ints=[1]))
    assert decode(SERIES, whole)["values"].tolist() == [[1, 2, 3, 4]]


def test_lengths_come_from_the_values_and_rows_are_padded_with_zeros():
    read = decode(INK, example(ink=feature(floats=range(1, 4))), example(ink=feature(floats=range(1, 10))))
    assert read["ink"].shape == (2, 3, 3)
    assert read["ink"][0].tolist() == [[1, 2, 3], [0, 0, 0], [0, 0, 0]]
    assert read["lengths"].tolist() == [1, 3]
    assert read["lengths"].dtype == np.int32
    given_length = example(ink=feature(floats=range(9)), lengths=feature(ints=[2]))
    assert decode(INK, given_length)["lengths"].tolist() == [2]


def test_a_feature_list_has_one_step_per_entry():
    steps = [feature(floats=[1, 2, 3]), feature(ints=[4, 5, 6])]
    read = decode(INK, sequence(ink=steps), example(ink=feature(floats=[7, 8, 9])))
    assert read["ink"][0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read["lengths"].tolist() == [2, 1]
    frames = sequence(frames=[feature(ints=[0, 1, 255]), feature(raw=[bytes([7, 8, 9])])])
    assert decode(CLIP, frames)["frames"].tolist() == [[[[0, 1, 255]], [[7, 8, 9]]]]


def test_other_types_and_what_may_be_left_out():
    read = decode(MIXED, example(flag=feature(ints=[1]), name=feature(raw=[b"a", b"b"])))
    assert read["flag"].tolist() == [True]
    assert read["name"].tolist() == [[b"a", b"b"]]
    assert sorted(read) == ["flag", "name"]
    assert decode(MIXED, example(flag=feature(ints=[0]), z=feature(floats=[2])))["z"].tolist() == [2 + 0j]


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(*[st.floats(width=32, allow_nan=False)] * 3), min_size=1), min_size=1, max_size=5))
def test_what_tensorflow_makes_is_read_the_same_as_an_example_and_as_a_sequence_example(rows):
    import tensorflow as tf

    flat = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"ink": tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(row)))}
            )
        )
        for row in rows
    ]
    timed = [tf.train.SequenceExample() for _ in rows]
    for one, row in zip(timed, rows, strict=True):
        for step in row:
            one.feature_lists.feature_list["ink"].feature.add().float_list.value.extend(step)
    for made in (flat, timed):
        read = decode(INK, *(pb.Example.FromString(one.SerializeToString()) for one in made))
        assert read["lengths"].tolist() == [len(row) for row in rows]
        for array, row in zip(read["ink"], rows, strict=True):
            np.testing.assert_array_equal(array[: len(row)], np.array(row, np.float32))
            assert not array[len(row) :].any()


def test_serialized_examples_are_what_was_sent():
    import tensorflow as tf

    sent = sequence(ink=[feature(floats=[1, 2, 3])])
    sent.features.feature["who"].CopyFrom(feature(raw=[b"me"]))
    (raw,) = serialize_examples([sent])
    read = tf.train.SequenceExample.FromString(raw)
    assert list(read.context.feature["who"].bytes_list.value) == [b"me"]
    assert list(read.feature_lists.feature_list["ink"].feature[0].float_list.value) == [1, 2, 3]


def test_context_is_merged_into_each_example_and_gives_way_to_its_own_features():
    rows = pb.Input(
        example_list_with_context=pb.ExampleListWithContext(
            context=example(a=feature(ints=[1, 2]), b=feature(ints=[3])),
            examples=[example(b=feature(ints=[4])), example()],
        )
    )
    first, second = list_examples(rows, MAX_BYTES)
    assert first == example(a=feature(ints=[1, 2]), b=feature(ints=[4]))
    assert second == example(a=feature(ints=[1, 2]), b=feature(ints=[3]))


def test_an_input_without_rows_or_with_a_context_that_multiplies_is_refused():
    for rows in (pb.Input(), pb.Input(example_list=pb.ExampleList())):
        with pytest.raises(InvalidInput, match=r"Input is empty\."):
            list_examples(rows, MAX_BYTES)
    bomb = pb.ExampleListWithContext(context=example(a=feature(raw=[b"x" * 1000])), examples=[pb.Example()] * 2000)
    with pytest.raises(InvalidInput, match=r"context: \d+ bytes in 2000 examples; at most 1048576"):
        list_examples(pb.Input(example_list_with_context=bomb), MAX_BYTES)


GOOD = example(ink=feature(floats=range(9)))


@pytest.mark.parametrize(
    ("signature", "rows", "said"),
    [
        (INK, [GOOD, example()], "examples[1].ink: the feature is missing"),
        (INK, [GOOD, example(ink=feature(floats=range(8)))], "examples[1].ink: 8 values; a row of shape [?, 3] has a"),
        (INK, [example(ink=pb.Feature())], "examples[0].ink: 0 values; a row of shape [?, 3] has a multiple of 3"),
        (INK, [sequence(ink=[])], "examples[0].ink: 0 values"),
        (INK, [sequence(ink=[feature(floats=[1, 2, 3]), feature(floats=[1, 2])])], "examples[0].ink[1]: 2 values; 3"),
        (INK, [example(ink=feature(raw=[b"x"]))], "examples[0].ink: bytes values; the input is float32"),
        (INK, [example(ink=feature(floats=range(9)), lengths=feature(ints=[4]))], "examples[0].lengths: 4 steps; 1 to"),
        (INK, [example(ink=feature(floats=range(9)), lengths=feature(ints=[1, 2]))], "examples[0].lengths: 2 values"),
        (INK, [example(ink=feature(floats=[0.0] * 240_000)), GOOD], "examples.ink: padded to 80000 steps, 1920000 byt"),
        (
            SERIES,
            [example(values=feature(floats=[1] * 5), first_day=feature(ints=[1]))],
            "examples[0].values: 5 values; a row of shape [4] has 4",
        ),
        (
            SERIES,
            [example(values=feature(floats=[1] * 4), first_day=feature(floats=[1]))],
            "examples[0].first_day: float values; the input is int32",
        ),
        (
            SERIES,
            [example(values=feature(floats=[1] * 4), first_day=feature(ints=[2**31]))],
            "examples[0].first_day: 2147483648; int32 holds -2147483648 to 2147483647",
        ),
        (
            SERIES,
            [sequence(first_day=[feature(ints=[1])], values=[feature(ints=[1])] * 4)],
            "first_day[0]: a feature l",
        ),
        (CLIP, [sequence(frames=[feature(ints=[1, 2, 3])] * 3)], "examples[0].frames: 9 values; a row of shape [2, 1"),
        (CLIP, [example(frames=feature(ints=[256] * 6))], "examples[0].frames: 256; uint8 holds 0 to 255"),
        (MIXED, [example(flag=feature(ints=[2]))], "examples[0].flag: 2; bool holds 0 to 1"),
        (
            MIXED,
            [example(flag=feature(ints=[1]), name=feature(raw=[b"a"] * 2)), example(flag=feature(ints=[1]))],
            "[1].",
        ),
        (
            RAGGED,
            [example(x=feature(ints=[1])), example(x=feature(ints=[1, 2]))],
            "examples[1].x: shape [2]; the first",
        ),
        (CUBE, [example(x=feature(ints=[1]))], "examples[0].x: the input has shape [?, ?], which no number"),
    ],
)
def test_rows_that_do_not_fit_name_the_feature_and_the_index(signature, rows, said):
    with pytest.raises(InvalidInput) as caught:
        decode(signature, *rows)
    assert said in str(caught.value)


def test_a_name_that_is_a_feature_and_a_feature_list_is_refused():
    both = sequence(ink=[feature(floats=[1, 2, 3])])
    both.features.feature["ink"].CopyFrom(feature(floats=[1, 2, 3]))
    with pytest.raises(InvalidInput, match="a feature and as a feature list"):
        decode(INK, both)


def test_json_examples():
    body = {
        "context": {"where": "here", "raw": {"b64": "/w=="}},
        "examples": [{"n": [1, 2], "f": [1, 2.5], "yes": True}, {"ink": [[1, 2, 3], [4.5, 5, 6]], "none": []}],
    }
    shared = read_examples(body).example_list_with_context
    assert shared.context == example(where=feature(raw=[b"here"]), raw=feature(raw=[b"\xff"]))
    expected = example(n=feature(ints=[1, 2]), f=feature(floats=[1, 2.5]), yes=feature(ints=[1]))
    assert shared.examples[0] == expected
    steps = [feature(floats=[1, 2, 3]), feature(floats=[4.5, 5, 6])]  # one kind for all steps
    timed = sequence(ink=steps)
    timed.features.feature["none"].CopyFrom(pb.Feature())
    assert shared.examples[1] == timed
    assert read_examples({"examples": [{"n": 1}]}).example_list.examples[0] == example(n=feature(ints=[1]))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "key 'examples' is expected and was not found"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [{}, 1]}, "examples[1]: Example must be JSON object but got 1"),
        ({"examples": [{"a": None}]}, "examples[0].a: a feature holds numbers or strings, all of one kind; got None"),
        ({"examples": [{"a": [1, "b"]}]}, "examples[0].a: a feature holds numbers or strings"),
        (
            {"examples": [{"a": [1, [2]]}]},
            "examples[0].a: a feature holds numbers or strings, all of one kind; got [2]",
        ),
        ({"examples": [{"a": [2**63]}]}, "examples[0].a: 9223372036854775808; an integer feature has 64 bits"),
        ({"examples": [{"a": [1e39]}]}, "examples[0].a: Cannot convert JSON value: 1e+39 to float without loss"),
        ({"examples": [{"a": [[1.0], [1e39]]}]}, "examples[0].a[1]: Cannot convert JSON value"),
        ({"examples": [{"a": {"b64": "!"}}]}, "examples[0].a: Unable to base64 decode"),
        ({"examples": [{"a": {"x": "!"}}]}, "not formatted correctly for base64 data"),
        ({"examples": [{}], "context": 1}, "context: Example must be JSON object but got 1"),
    ],
)
def test_json_examples_that_are_none(body, said):
    with pytest.raises(InvalidInput) as caught:
        read_examples(body)
    assert said in str(caught.value)


def test_json_results():
    classes = [Class(label="ant", score=0.1), Class(label="bee", score=1)]
    result = ClassificationResult(classifications=[Classifications(classes=classes)])
    assert write_classes(result) == {"results": [[["ant", 0.1], ["bee", 1.0]]]}
    assert write_values(RegressionResult(regressions=[{"value": 0.1}, {"value": 2}])) == {"results": [0.1, 2.0]}
