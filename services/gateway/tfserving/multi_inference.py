"""PredictionService/MultiInference: several signatures of one model on the same Examples."""

from seqserve.tfserving.v1 import prediction_pb2 as pb
from seqserve.tfserving.v1.model_pb2 import ModelSpec

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.tfserving.classification import read_classes, read_values, run_examples
from services.gateway.tfserving.errors import cut
from services.gateway.tfserving.servables import DEFAULT_SIGNATURE, Servable, echo, find_servable
from services.gateway.tfserving.signatures import CLASSIFY, REGRESS
from services.runtime.errors import InvalidInput, NotFound


async def infer_tasks(
    catalogue: Catalogue, max_bytes: int, request: pb.MultiInferenceRequest, call: Call
) -> tuple[pb.MultiInferenceResponse, str]:
    """Runs every task on one version of the model; returns the results, and what the cache did for the last one.

    Raises:
        ServiceError: the request is wrong, or the service did not answer.
    """
    _check_tasks(request)
    try:
        return await _run_tasks(catalogue, max_bytes, request, call)
    except NotFound:
        if request.tasks[0].model_spec.HasField("version"):
            raise
        return await _run_tasks(catalogue, max_bytes, request, call)  # a swap took the version between two tasks


async def _run_tasks(
    catalogue: Catalogue, max_bytes: int, request: pb.MultiInferenceRequest, call: Call
) -> tuple[pb.MultiInferenceResponse, str]:
    servable = await find_servable(catalogue, request.tasks[0].model_spec)
    response, cache = pb.MultiInferenceResponse(), ""
    for task in request.tasks:
        spec = task.model_spec
        outputs = await run_examples(catalogue, max_bytes, servable, spec, task.method_name, request.input, call)
        result = response.results.add()
        result.model_spec.CopyFrom(echo(servable, spec.signature_name or DEFAULT_SIGNATURE, outputs.version))
        if task.method_name == CLASSIFY:
            result.classification_result.CopyFrom(await read_classes(catalogue, servable, outputs))
        else:
            result.regression_result.CopyFrom(read_values(outputs))
        servable, cache = await _pin(catalogue, servable, outputs.version), outputs.cache
    return response, cache


def _check_tasks(request: pb.MultiInferenceRequest) -> None:
    if not request.tasks:
        raise InvalidInput("0 tasks; at least 1", "tasks")
    signatures = set()
    for task in request.tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if not task.model_spec.name:
            raise InvalidInput("Found ModelSpec with an empty model name.")
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise InvalidInput("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if name in signatures:
            raise InvalidInput(f"Duplicate evaluation of signature: {cut(name)}")
        if task.method_name not in (CLASSIFY, REGRESS):
            raise InvalidInput(f"Unsupported signature method_name: {cut(task.method_name)}")
        signatures.add(name)


async def _pin(catalogue: Catalogue, servable: Servable, version: str) -> Servable:
    """The version that answered the first task, so that it answers the others too."""
    if servable.version == version:
        return servable
    spec = ModelSpec(name=servable.model)
    spec.version.value = int(version)
    return await find_servable(catalogue, spec)
