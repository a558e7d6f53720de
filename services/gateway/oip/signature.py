"""Checks a request against the model's signature, in the protocol's words."""

from collections.abc import Mapping, Sequence

from seqserve.model.v1 import model_service_pb2 as model_pb

from services.gateway.oip.datatypes import datatype_of
from services.gateway.oip.query import Input
from services.runtime.errors import FailedPrecondition, InvalidInput

SIGNATURE = "serving_default"
MAX_NAME_CHARS = 64
PER_ROW = [-1]


def find_signature(model: str, version: model_pb.VersionDescription) -> model_pb.Signature:
    """The signature that the protocol calls.

    Raises:
        FailedPrecondition: the version does not have it.
    """
    if SIGNATURE not in version.signatures:
        known = ", ".join(sorted(version.signatures))
        raise FailedPrecondition(f"version {version.version} of '{model}' has no signature '{SIGNATURE}'; {known}")
    return version.signatures[SIGNATURE]


def check_inputs(signature: model_pb.Signature, inputs: Sequence[Input]) -> None:
    """Checks names, types and shapes of inputs.

    Raises:
        InvalidInput: names the input, what was sent, and what the model takes.
    """
    sent: set[str] = set()
    for given in inputs:
        field = f"inputs.{given.name[:MAX_NAME_CHARS]}"
        if given.name not in signature.inputs:
            raise InvalidInput(f"the model has no such input; {_names(signature.inputs)}", field)
        if given.name in sent:
            raise InvalidInput("given twice", field)
        sent.add(given.name)
        _check_input(given, signature.inputs[given.name], field)
    if missing := sorted(set(signature.inputs) - sent - set(signature.optional_inputs)):
        raise InvalidInput(f"missing; the model takes {_names(signature.inputs)}", f"inputs.{missing[0]}")


def check_outputs(signature: model_pb.Signature, names: Sequence[str]) -> None:
    """Checks names of requested outputs.

    Raises:
        InvalidInput: one is unknown, or asked for twice.
    """
    for i, name in enumerate(names):
        field = f"outputs.{name[:MAX_NAME_CHARS]}"
        if name not in signature.outputs:
            raise InvalidInput(f"the model has no such output; {_names(signature.outputs)}", field)
        if name in names[:i]:
            raise InvalidInput("asked for twice", field)


def model_shape(shape: Sequence[int], spec: model_pb.TensorSpec) -> Sequence[int]:
    """The shape that the model sees; [batch, 1] is [batch] to a model that takes one value per row."""
    return shape[:1] if list(spec.shape) == PER_ROW and len(shape) == 2 and shape[1] == 1 else shape


def _check_input(given: Input, spec: model_pb.TensorSpec, field: str) -> None:
    if given.datatype.dtype != spec.dtype:
        expected = datatype_of(spec.dtype, field).name
        raise InvalidInput(f"datatype {given.datatype.name}; the model takes {expected}", field)
    if any(size < 0 for size in given.shape):
        raise InvalidInput(f"shape {list(given.shape)} has a negative dimension", field)
    if spec.unknown_rank:
        return
    shape = model_shape(given.shape, spec)
    fits = len(shape) == len(spec.shape) and all(
        known in (-1, size) for size, known in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        raise InvalidInput(f"shape {list(given.shape)}; the model takes {list(spec.shape)}", field)


def _names(specs: Mapping[str, model_pb.TensorSpec]) -> str:
    return ", ".join(sorted(specs))
