"""Checks of a request against a signature, with the protocol's own messages."""

from collections.abc import Collection, Iterable, Sequence

from seqserve.model.v1 import model_service_pb2 as model_pb

from services.gateway.tfserving.errors import cut
from services.gateway.tfserving.servables import DEFAULT_SIGNATURE, Servable
from services.runtime.errors import FailedPrecondition, InvalidInput
from services.runtime.tensors import STRING

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
KINDS = {CLASSIFY: "classification", REGRESS: "regression"}


def predict_signature(servable: Servable, name: str) -> model_pb.Signature:
    """The signature of a Predict call ("" for the default one).

    Raises:
        FailedPrecondition: the version has no such signature.
    """
    name = name or DEFAULT_SIGNATURE
    if name not in servable.description.signatures:
        raise FailedPrecondition(f'Serving signature key "{cut(name)}" not found.')
    return servable.description.signatures[name]


def rest_signature(servable: Servable, name: str) -> model_pb.Signature:
    """The signature of a REST predict call ("" for the default one).

    Raises:
        InvalidInput: the version has no such signature.
    """
    name = name or DEFAULT_SIGNATURE
    if name not in servable.description.signatures:
        raise InvalidInput(f'Serving signature name: "{cut(name)}" not found in signature def')
    return servable.description.signatures[name]


def example_signature(servable: Servable, name: str) -> model_pb.Signature:
    """The signature of a Classify or Regress call ("" for the default one).

    Raises:
        InvalidInput: the version has no such signature.
    """
    name = name or DEFAULT_SIGNATURE
    if name not in servable.description.signatures:
        raise InvalidInput(f"No signature was found with the name: {cut(name)}")
    return servable.description.signatures[name]


def takes_serialized_examples(signature: model_pb.Signature, method: str) -> bool:
    """Whether a signature was made for CLASSIFY or REGRESS, and parses tf.Examples itself."""
    specs = list(signature.inputs.values())
    return signature.method_name == method and len(specs) == 1 and specs[0].dtype == STRING


def wrong_method(signature: model_pb.Signature, method: str) -> InvalidInput:
    """The error of a signature that can do neither by itself nor through its manifest what `method` asks for."""
    return InvalidInput(f"Expected {KINDS[method]} signature method_name to be {method}. Was: {signature.method_name}")


def check_inputs(sent: Collection[str], signature: model_pb.Signature) -> None:
    """Compares the names of the inputs with those of the signature.

    Raises:
        InvalidInput: an input is missing or unknown.
    """
    known = set(signature.inputs)
    extra, missing = set(sent) - known, known - set(sent) - set(signature.optional_inputs)
    if len(sent) > len(known) or (missing and len(sent) < len(known)):
        raise InvalidInput(
            f"input size does not match signature: {len(sent)}!={len(known)} "
            f"len({_set(sent)}) != len({_set(known)}). "
            f"Sent extra: {_set(extra)}. Missing but required: {_set(missing)}."
        )
    if extra:
        raise InvalidInput(
            f"input tensor alias not found in signature: {cut(min(extra))}. "
            f"Inputs expected to be in the set {_set(known)}."
        )


def check_outputs(wanted: Sequence[str], signature: model_pb.Signature) -> None:
    """Checks an output filter; an empty one means all.

    Raises:
        InvalidInput: an output is unknown or wanted twice.
    """
    seen: set[str] = set()
    for name in wanted:
        if name not in signature.outputs:
            raise InvalidInput(
                f"output tensor alias not found in signature: {cut(name)} "
                f"Outputs expected to be in the set {_set(signature.outputs)}."
            )
        if name in seen:
            raise InvalidInput(f"duplicate output tensor alias: {cut(name)}")
        seen.add(name)


def _set(names: Iterable[str]) -> str:
    return "{" + cut(",".join(sorted(names))) + "}"
