"""From a ModelSpec to the version that it names, and calls to that version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.tfserving.v1 import model_pb2 as pb

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.inference import Answer
from services.gateway.tfserving.errors import in_own_words, servable_not_found, unknown_label
from services.runtime.errors import InvalidInput, ServiceError
from services.runtime.tensors import to_array, to_tensor

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Servable:
    """A version that a request names.

    Attributes:
        model: model name.
        version: its number as text, where the request names one; the service chooses where that is empty.
        label: its label, where the request names one.
        description: the version as far as it is known now; where the service chooses, the one that it does by default.
    """

    model: str
    version: str
    label: str
    description: model_pb.VersionDescription


@dataclass(frozen=True)
class Outputs:
    """What a version answered: its number, its outputs by name, and what the cache did."""

    version: str
    arrays: dict[str, np.ndarray]
    cache: str


async def find_servable(catalogue: Catalogue, spec: pb.ModelSpec) -> Servable:
    """The version that a request names.

    Raises:
        InvalidInput: it names no model, or an unknown label.
        NotFound: no such model or version.
        Unavailable: the service that would know does not answer.
    """
    if not spec.name:
        raise InvalidInput("ModelSpec has no name specified.")
    version = str(spec.version.value) if spec.HasField("version") else ""
    label = spec.version_label
    model = await catalogue.find_model(spec.name)
    if label and not (model and label in model.labels):
        if model:
            model, _ = await catalogue.find_version(model, label)  # asks the service again
        if not (model and label in model.labels):
            version, label = _number_of(label), ""
    if not model:
        raise servable_not_found(spec.name, version)
    number = model.labels[label] if label else version
    _, description = await catalogue.find_version(model, number)
    if not description:
        raise servable_not_found(spec.name, number)
    return Servable(spec.name, version, label, description)


async def infer(
    catalogue: Catalogue,
    servable: Servable,
    signature: str,
    inputs: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    call: Call,
) -> Outputs:
    """Runs a signature: named arrays -> the named outputs, or all of them.

    Raises:
        ServiceError: the service refused it or did not answer.
    """
    request = model_pb.InferRequest(
        model=servable.model,
        version=servable.version,
        label=servable.label,
        signature=signature,
        inputs=[to_tensor(name, array) for name, array in sorted(inputs.items())],
        outputs=outputs,
    )
    try:
        answer: Answer[model_pb.InferResponse] = await catalogue.infer(request, call)
    except ServiceError as error:
        raise in_own_words(error, servable.model, servable.version, servable.label) from error
    arrays = {tensor.name: to_array(tensor, f"outputs.{tensor.name}") for tensor in answer.response.outputs}
    return Outputs(answer.response.model.version, arrays, answer.cache)


def echo(servable: Servable, signature: str, version: str) -> pb.ModelSpec:
    """The ModelSpec of a response."""
    spec = pb.ModelSpec(name=servable.model, signature_name=signature)
    spec.version.value = int(version)
    return spec


def _number_of(label: str) -> str:
    """The version that a label is where no version has that label: its number.

    Raises:
        InvalidInput: it is no number.
    """
    if not (label.isascii() and label.isdecimal()):
        raise unknown_label(label)
    return str(int(label))
