"""tf.Examples as the named inputs of a signature.

A feature fills the input of its name. Its values are the elements of one row in C order, so that an input with time
has as many steps as the values make up. A SequenceExample goes where an Example does, unchanged on the wire; one of
its feature lists fills the input of its name with one step per entry.
"""

import math
from collections.abc import Sequence

import numpy as np
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.tfserving.v1 import example_pb2 as pb

from services.gateway.tfserving.features import read_feature
from services.gateway.tfserving.ragged import check_lengths, is_paddable, stack_rows
from services.runtime.errors import InvalidInput
from services.runtime.tensors import NUMBERS

SOURCE = "examples"


def list_examples(rows: pb.Input, max_bytes: int) -> list[pb.Example]:
    """The rows of an Input, each with the context's features that it does not have itself.

    Raises:
        InvalidInput: there are none, or the context makes them too large.
    """
    if rows.WhichOneof("kind") != "example_list_with_context":
        examples = list(rows.example_list.examples)
    else:
        shared = rows.example_list_with_context
        size = shared.context.ByteSize() * len(shared.examples)
        if size > max_bytes:
            raise InvalidInput(f"{size} bytes in {len(shared.examples)} examples; at most {max_bytes}", "context")
        examples = [_merge(shared.context, example) for example in shared.examples]
    if not examples:
        raise InvalidInput("Input is empty.")
    return examples


def serialize_examples(examples: Sequence[pb.Example]) -> np.ndarray:
    """Examples for a signature that parses them itself: [batch] of bytes."""
    return np.array([*(e.SerializeToString(deterministic=True) for e in examples), None], object)[:-1]


def decode_examples(
    examples: Sequence[pb.Example], signature: model_pb.Signature, max_bytes: int
) -> dict[str, np.ndarray]:
    """The inputs of a signature: one row per example, padded with zeros where lengths differ.

    Raises:
        InvalidInput: names the feature, and the index of the example, that does not fit the signature.
    """
    inputs, steps = {}, [0] * len(examples)
    for name, spec in sorted(signature.inputs.items()):  # so that the same input is named each time
        if name == signature.lengths_input or not _is_wanted(name, examples, signature):
            continue
        rows = [_read_row(example, name, spec, f"{SOURCE}[{i}].{name}") for i, example in enumerate(examples)]
        inputs[name] = stack_rows(rows, name, signature, SOURCE, max_bytes)
        if is_paddable(name, signature):
            steps = [len(row) for row in rows]
    if signature.lengths_input:
        inputs[signature.lengths_input] = _read_lengths(examples, signature, steps)
    return inputs


def _merge(context: pb.Example, example: pb.Example) -> pb.Example:
    merged = pb.Example()
    merged.CopyFrom(context)
    merged.MergeFrom(example)
    return merged


def _is_wanted(name: str, examples: Sequence[pb.Example], signature: model_pb.Signature) -> bool:
    return name not in signature.optional_inputs or any(_has(example, name) for example in examples)


def _has(example: pb.Example, name: str) -> bool:
    return name in example.features.feature or name in example.feature_lists.feature_list


def _read_row(example: pb.Example, name: str, spec: model_pb.TensorSpec, field: str) -> np.ndarray:
    """One row of one input, without the batch dimension."""
    sizes = tuple(spec.shape[1:])
    if name in example.feature_lists.feature_list:
        if name in example.features.feature:
            raise InvalidInput("given as a feature and as a feature list; one of them", field)
        entries = example.feature_lists.feature_list[name].feature
        steps = [_read_step(e, spec.dtype, sizes, f"{field}[{i}]") for i, e in enumerate(entries)]
        values = np.concatenate(steps) if steps else np.zeros(0)
    elif name in example.features.feature:
        values = read_feature(example.features.feature[name], spec.dtype, field)
    else:
        raise InvalidInput("the feature is missing", field)
    return values if spec.unknown_rank else _shape_row(values, sizes, field)


def _read_step(entry: pb.Feature, dtype: str, sizes: tuple[int, ...], field: str) -> np.ndarray:
    """The values of one time step: [values per step]."""
    if not sizes:
        raise InvalidInput("a feature list, but the input has no time", field)
    values = read_feature(entry, dtype, field)
    if -1 not in sizes[1:] and values.size != math.prod(sizes[1:]):
        raise InvalidInput(f"{values.size} values; {math.prod(sizes[1:])} per step", field)
    return values


def _shape_row(values: np.ndarray, sizes: tuple[int, ...], field: str) -> np.ndarray:
    """Values in C order -> one row; the one dimension that varies has the size that they make up."""
    shown = "[" + ", ".join("?" if size < 0 else str(size) for size in sizes) + "]"
    if sum(size < 0 for size in sizes) > 1:
        raise InvalidInput(f"the input has shape {shown}, which no number of values determines; use Predict", field)
    known = math.prod(size for size in sizes if size >= 0)
    fits = values.size == known if -1 not in sizes else values.size > 0 and known > 0 and values.size % known == 0
    if not fits:
        raise InvalidInput(f"{values.size} values; a row of shape {shown} has {_count(known, sizes)}", field)
    return values.reshape(sizes)


def _count(known: int, sizes: tuple[int, ...]) -> str:
    return f"a multiple of {known}, at least {known}" if -1 in sizes else str(known)


def _read_lengths(examples: Sequence[pb.Example], signature: model_pb.Signature, steps: Sequence[int]) -> np.ndarray:
    """The valid steps of each row: what the example says, or all that it has."""
    name = signature.lengths_input
    dtype = signature.inputs[name].dtype
    lengths = np.array(steps, NUMBERS[dtype])
    for i, example in enumerate(examples):
        if _has(example, name):
            lengths[i] = _read_row(example, name, signature.inputs[name], f"{SOURCE}[{i}].{name}")
    check_lengths(lengths, steps, name, SOURCE)
    return lengths
