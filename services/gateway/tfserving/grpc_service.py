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
Rpc = tuple[type[Message], Handle]


def make_tfserving_handlers(door: Door, catalogue: Catalogue, max_bytes: int) -> list[grpc.GenericRpcHandler]:
    """The handlers of both services.

    Args:
        door: lets calls in.
        catalogue: the models.
        max_bytes: largest array that the values of a request may expand to.
    """
    pb = prediction_pb2
    services: dict[str, dict[str, Rpc]] = {}
    services[PREDICTION_SERVICE] = {
        "Predict": (pb.PredictRequest, partial(predict, catalogue, max_bytes)),
        "Classify": (pb.ClassificationRequest, partial(classify, catalogue, max_bytes)),
        "Regress": (pb.RegressionRequest, partial(regress, catalogue, max_bytes)),
        "MultiInference": (pb.MultiInferenceRequest, partial(infer_tasks, catalogue, max_bytes)),
        "GetModelMetadata": (pb.GetModelMetadataRequest, partial(get_metadata, catalogue)),
    }
    services[MODEL_SERVICE] = {
        "GetModelStatus": (model_pb2.GetModelStatusRequest, partial(get_status, catalogue)),
        "HandleReloadConfigRequest": (model_pb2.ReloadConfigRequest, partial(reload_config, catalogue)),
    }
    return [
        grpc.method_handlers_generic_handler(
            service, {name: door.unary(f"/{service}/{name}", *rpc) for name, rpc in rpcs.items()}
        )
        for service, rpcs in services.items()
    ]
