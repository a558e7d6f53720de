"""One call of a model, whichever way it came in: resolved, checked, answered."""

from seqserve.model.v1 import model_service_pb2 as model_pb

from services.gateway.call import Call
from services.gateway.catalogue import AVAILABLE, Catalogue
from services.gateway.inference import Answer
from services.gateway.oip.classification import classify
from services.gateway.oip.query import Input, Query
from services.gateway.oip.signature import SIGNATURE, check_inputs, check_outputs, find_signature, model_shape
from services.runtime.errors import InvalidInput, NotFound

MAX_NAME_CHARS = 64


async def infer(catalogue: Catalogue, query: Query, call: Call) -> Answer[model_pb.InferResponse]:
    """Answers a query; outputs that ask for classes hold their text.

    Raises:
        InvalidInput: an input, output or parameter is wrong.
        NotFound: no such model or version.
        FailedPrecondition: the model cannot be called through this protocol.
        ServiceError: the service refused it or did not answer.
    """
    model, version = await find_version(catalogue, query.model, query.version)
    signature = find_signature(query.model, version)
    names = [output.name for output in query.outputs]
    check_inputs(signature, query.inputs)
    check_outputs(signature, names)
    if query.parameters.timeout_s is not None:
        call = call.within(query.parameters.timeout_s)
    request = model_pb.InferRequest(
        model=query.model,
        version=query.version,
        signature=SIGNATURE,
        inputs=[_decode(given, signature) for given in query.inputs],
        outputs=names,
    )
    answer = await catalogue.infer(request, call)
    if any(output.class_count for output in query.outputs):
        version = await _version_that_answered(catalogue, model, answer.response, version)
        _classify(query, answer.response, version)
    return answer


async def find_version(
    catalogue: Catalogue, name: str, number: str
) -> tuple[model_pb.ModelDescription, model_pb.VersionDescription]:
    """The available version of a model that answers a request for `number` ("" is the server's choice).

    Raises:
        InvalidInput: no name.
        NotFound: no such model or version.
        Unavailable: the service that serves it does not answer.
    """
    if not name:
        raise InvalidInput("missing", "model_name")
    shown = name[:MAX_NAME_CHARS]
    model = await catalogue.find_model(name)
    if model is None:
        raise NotFound(f"no model '{shown}'")
    model, version = await catalogue.find_version(model, number)
    if version is None:
        available = ", ".join(v.version for v in available_versions(model)) or "none"
        wanted = f"version '{number[:MAX_NAME_CHARS]}'" if number else "version"
        raise NotFound(f"model '{shown}' has no {wanted} that is available; available: {available}")
    return model, version


def available_versions(model: model_pb.ModelDescription) -> list[model_pb.VersionDescription]:
    """Versions that answer requests, by rising number."""
    return [v for v in model.versions if v.state == AVAILABLE]


def _decode(given: Input, signature: model_pb.Signature) -> model_pb.Tensor:
    tensor = given.decode()
    tensor.shape[:] = model_shape(given.shape, signature.inputs[given.name])
    return tensor


async def _version_that_answered(
    catalogue: Catalogue,
    model: model_pb.ModelDescription,
    response: model_pb.InferResponse,
    expected: model_pb.VersionDescription,
) -> model_pb.VersionDescription:
    """A canary, or a version that has just been loaded, has labels of its own."""
    if response.model.version == expected.version:
        return expected
    _, found = await catalogue.find_version(model, response.model.version)
    return found or expected


def _classify(query: Query, response: model_pb.InferResponse, version: model_pb.VersionDescription) -> None:
    specs = version.signatures[SIGNATURE].outputs
    for output, tensor in zip(query.outputs, response.outputs, strict=True):
        if output.class_count:
            labels = version.classes if output.name == version.classify_output else ()
            shape = specs[output.name].shape
            tensor.CopyFrom(classify(tensor, output.class_count, labels, has_rows=bool(shape) and shape[0] == -1))
