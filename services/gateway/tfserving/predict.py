"""PredictionService/Predict: tensors in, tensors out."""

from seqserve.tfserving.v1 import prediction_pb2 as pb

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.tfserving.codec import read_tensor, write_tensor
from services.gateway.tfserving.servables import DEFAULT_SIGNATURE, echo, find_servable, infer
from services.gateway.tfserving.signatures import check_inputs, check_outputs, predict_signature
from services.runtime.errors import InvalidInput


async def predict(
    catalogue: Catalogue, max_bytes: int, request: pb.PredictRequest, call: Call
) -> tuple[pb.PredictResponse, str]:
    """Runs a signature on the tensors of a request; returns the response, and what the cache did.

    Raises:
        FailedPrecondition: the version has no such signature.
        ServiceError: the request is wrong, or the service did not answer.
    """
    if not request.HasField("model_spec"):
        raise InvalidInput("Missing ModelSpec")
    servable = await find_servable(catalogue, request.model_spec)
    signature = predict_signature(servable, request.model_spec.signature_name)
    check_inputs(request.inputs, signature)
    inputs = {name: read_tensor(request.inputs[name], name, max_bytes) for name in request.inputs}
    check_outputs(request.output_filter, signature)
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    outputs = await infer(catalogue, servable, name, inputs, request.output_filter, call)
    response = pb.PredictResponse(model_spec=echo(servable, name, outputs.version))
    for output, array in outputs.arrays.items():
        response.outputs[output].CopyFrom(write_tensor(array))
    return response, outputs.cache
