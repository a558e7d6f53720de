"""The gRPC face: tensorflow.serving.PredictionService and ModelService, under their own method paths."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import Message
from seqserve.tfserving.v1 import model_pb2, prediction_pb2

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.door import Door
from services.gateway.tfserving.classification import classify, regress
from services.gateway.tfserving.metadata import get_metadata, get_status
from services.gateway.tfserving.multi_inference import infer_tasks
from services.gateway.tfserving.predict import predict
from services.gateway.tfserving.reload import reload_config

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"

Handle = Callable[[Any, Call], Awaitable[tuple[Any, str]]]
Rpc = tuple[type[Message], type[Message], Handle]


def add_tfserving(server: grpc.aio.Server, door: Door, catalogue: Catalogue, max_bytes: int) -> None:
    """Adds both services to a server.

    Args:
        server: the server, not yet started.
        door: lets calls in.
        catalogue: the models.
        max_bytes: largest array that the values of a request may expand to.
    """
    pb = prediction_pb2
    prediction: dict[str, Rpc] = {
        "Predict": (pb.PredictRequest, pb.PredictResponse, partial(predict, catalogue, max_bytes)),
        "Classify": (pb.ClassificationRequest, pb.ClassificationResponse, partial(classify, catalogue, max_bytes)),
        "Regress": (pb.RegressionRequest, pb.RegressionResponse, partial(regress, catalogue, max_bytes)),
        "MultiInference": (
            pb.MultiInferenceRequest,
            pb.MultiInferenceResponse,
            partial(infer_tasks, catalogue, max_bytes),
        ),
        "GetModelMetadata": (
            pb.GetModelMetadataRequest,
            pb.GetModelMetadataResponse,
            partial(get_metadata, catalogue),
        ),
    }
    models: dict[str, Rpc] = {
        "GetModelStatus": (
            model_pb2.GetModelStatusRequest,
            model_pb2.GetModelStatusResponse,
            partial(get_status, catalogue),
        ),
        "HandleReloadConfigRequest": (
            model_pb2.ReloadConfigRequest,
            model_pb2.ReloadConfigResponse,
            partial(reload_config, catalogue),
        ),
    }
    for service, rpcs in ((PREDICTION_SERVICE, prediction), (MODEL_SERVICE, models)):
        handlers = {name: _make_handler(door, f"/{service}/{name}", *rpc) for name, rpc in rpcs.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


def _make_handler(
    door: Door, method: str, request_type: type[Message], response_type: type[Message], handle: Handle
) -> grpc.RpcMethodHandler:
    async def answer(request: Message, context: grpc.aio.ServicerContext) -> Message:
        return await door.run(context, method, response_type, partial(handle, request))

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request_type.FromString,
        response_serializer=response_type.SerializeToString,
    )
