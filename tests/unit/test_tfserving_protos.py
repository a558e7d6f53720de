"""Our declarations of the protocol's messages are the protocol's own on the wire: same numbers, types and names."""

import pytest
from google.protobuf import descriptor_pool
from seqserve.tfserving.v1 import example_pb2, model_pb2, prediction_log_pb2, prediction_pb2, tensor_pb2

FILES = [example_pb2, model_pb2, prediction_pb2, prediction_log_pb2, tensor_pb2]
PACKAGE = "seqserve.tfserving.v1."
ADDED = {"Example.feature_lists"}  # a SequenceExample's, so that one message reads both
PREFIXES = {"DataType": ("DATA_TYPE_", "DT_"), "State": ("STATE_", ""), "Code": ("CODE_", "")}


def messages_of(container):
    for message in container:
        if not message.GetOptions().map_entry:
            yield message
            yield from messages_of(message.nested_types)


MESSAGES = [m for file in FILES for m in messages_of(file.DESCRIPTOR.message_types_by_name.values())]


def theirs_of(full_name, find):
    """The protocol's message or enum of that name."""
    from tensorflow_serving.apis import (  # noqa: F401  # they fill the pool
        model_service_pb2,
        prediction_log_pb2,
        prediction_service_pb2,
    )

    name = full_name.removeprefix(PACKAGE)
    for package in ("tensorflow.serving.", "tensorflow.", "tensorflow.error."):
        try:
            return find(package + name)
        except KeyError:
            continue
    raise AssertionError(f"the protocol has no {name}")


@pytest.mark.parametrize("ours", MESSAGES, ids=lambda m: m.full_name.removeprefix(PACKAGE))
def test_fields_are_the_same_on_the_wire(ours):
    theirs = theirs_of(ours.full_name, descriptor_pool.Default().FindMessageTypeByName)
    for field in ours.fields:
        if f"{ours.name}.{field.name}" in ADDED:
            continue
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.type) == (other.number, other.type), field.full_name
        assert field.is_repeated == other.is_repeated, field.full_name
        if field.message_type:
            assert same_name(field.message_type.full_name, other.message_type.full_name), field.full_name


def same_name(ours, theirs):
    """The messages of two fields are counterparts; entries of maps have no name of their own."""
    return ours.rsplit(".", 1)[-1] == theirs.rsplit(".", 1)[-1]


@pytest.mark.parametrize("ours", [tensor_pb2.DataType, model_pb2.ModelVersionStatus.State, model_pb2.Code])
def test_enum_values_are_the_same(ours):
    descriptor = ours.DESCRIPTOR
    prefix, other_prefix = PREFIXES[descriptor.name]
    theirs = theirs_of(descriptor.full_name, descriptor_pool.Default().FindEnumTypeByName).values_by_name
    for name, number in ours.items():
        if number:
            assert theirs[other_prefix + name.removeprefix(prefix)].number == number


def test_a_sequence_example_reads_as_an_example():
    import tensorflow as tf

    sequence = tf.train.SequenceExample.DESCRIPTOR.fields_by_name
    ours = example_pb2.Example.DESCRIPTOR.fields_by_name
    assert sequence["context"].number == ours["features"].number
    assert sequence["feature_lists"].number == ours["feature_lists"].number
