"""GRPCInferenceService on the gateway's gRPC port, under the protocol's own method paths."""

from collections.abc import AsyncIterable, Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf.message import Message
from seqserve.oip.v1 import description_pb2 as description_pb
from seqserve.oip.v1 import inference_pb2 as inference_pb
from seqserve.oip.v1 import repository_pb2 as repository_pb

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.door import Door
from services.gateway.metrics import STREAM_PREDICTION
from services.gateway.oip import operations
from services.gateway.oip.codec import read_inputs, write_outputs
from services.gateway.oip.inference import infer
from services.gateway.oip.parameters import read_output, read_request_parameters, to_values
from services.gateway.oip.query import Query
from services.gateway.oip.stream import answer_in_order
from services.gateway.streams.admission import StreamAdmission
from services.runtime.errors import INTERNAL_MESSAGE, ServiceError

SERVICE = "inference.GRPCInferenceService"
FINAL_FLAG = "triton_final_response"

Operation = Callable[[Catalogue, Any, Call], Awaitable[Message]]
OPERATIONS: dict[str, tuple[type[Message], Operation]] = {
    "ServerLive": (inference_pb.ServerLiveRequest, operations.server_live),
    "ServerReady": (inference_pb.ServerReadyRequest, operations.server_ready),
    "ModelReady": (inference_pb.ModelReadyRequest, operations.model_ready),
    "ServerMetadata": (description_pb.ServerMetadataRequest, operations.server_metadata),
    "ModelMetadata": (description_pb.ModelMetadataRequest, operations.model_metadata),
    "ModelConfig": (description_pb.ModelConfigRequest, operations.model_config),
    "ModelStatistics": (description_pb.ModelStatisticsRequest, operations.model_statistics),
    "RepositoryIndex": (repository_pb.RepositoryIndexRequest, operations.repository_index),
    "RepositoryModelLoad": (repository_pb.RepositoryModelLoadRequest, operations.load_model),
    "RepositoryModelUnload": (repository_pb.RepositoryModelUnloadRequest, operations.unload_model),
}
SHARED_MEMORY = "shared memory is not supported; send tensors in the message"
REFUSED = {
    **{f"SystemSharedMemory{verb}": SHARED_MEMORY for verb in ("Status", "Register", "Unregister")},
    **{f"CudaSharedMemory{verb}": SHARED_MEMORY for verb in ("Status", "Register", "Unregister")},
    "TraceSetting": "requests are not traced this way; each one is logged under its x-request-id",
    "LogSettings": "the log level is set when the gateway starts: SEQSERVE_GATEWAY_LOG_LEVEL",
}

log = structlog.get_logger(__name__)


class InferenceService:
    """The protocol's RPCs, each let in by the door."""

    def __init__(self, catalogue: Catalogue, admission: StreamAdmission) -> None:
        """Takes the way to the models, and the rules for streams."""
        self._catalogue, self._admission = catalogue, admission

    def handlers(self, door: Door) -> grpc.GenericRpcHandler:
        """What a server must be given to serve it."""
        methods = {
            name: door.unary(_path(name), request_type, self._adapt(operation))
            for name, (request_type, operation) in OPERATIONS.items()
        }
        methods["ModelInfer"] = door.unary(_path("ModelInfer"), inference_pb.ModelInferRequest, self.model_infer)
        methods["ModelStreamInfer"] = door.stream(
            _path("ModelStreamInfer"), inference_pb.ModelInferRequest, self.model_stream_infer
        )
        for name, reason in REFUSED.items():
            methods[name] = grpc.unary_unary_rpc_method_handler(partial(_refuse, f"{name}: {reason}"))
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def model_infer(
        self, request: inference_pb.ModelInferRequest, call: Call
    ) -> tuple[inference_pb.ModelInferResponse, str]:
        """One call of a model; raw data in, raw data out."""
        return await self._infer(request, call)

    async def model_stream_infer(
        self,
        requests: AsyncIterable[inference_pb.ModelInferRequest],
        call: Call,
        write: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Many calls on one stream; what is wrong with one of them is told in its response, and the stream goes on."""
        async with self._admission.admit(_path("ModelStreamInfer")):
            await answer_in_order(self._admission.receive(requests), partial(self._answer_one, call), write)

    async def _answer_one(
        self, call: Call, request: inference_pb.ModelInferRequest
    ) -> inference_pb.ModelStreamInferResponse:
        try:
            with STREAM_PREDICTION.time():
                response, _ = await self._infer(request, call)
            if read_request_parameters(to_values(request.parameters)).wants_final_flag:
                response.parameters[FINAL_FLAG].bool_param = True
            return inference_pb.ModelStreamInferResponse(infer_response=response)
        except ServiceError as error:
            message = str(error)
        except Exception:
            log.exception("request of a stream failed")
            message = INTERNAL_MESSAGE
        named = inference_pb.ModelInferResponse(
            model_name=request.model_name, model_version=request.model_version, id=request.id
        )
        return inference_pb.ModelStreamInferResponse(error_message=message, infer_response=named)

    async def _infer(
        self, request: inference_pb.ModelInferRequest, call: Call
    ) -> tuple[inference_pb.ModelInferResponse, str]:
        query = Query(
            request.model_name,
            request.model_version,
            read_inputs(request),
            [read_output(output.name, to_values(output.parameters)) for output in request.outputs],
            read_request_parameters(to_values(request.parameters)),
        )
        answer = await infer(self._catalogue, query, call)
        response = inference_pb.ModelInferResponse(
            model_name=request.model_name, model_version=answer.response.model.version, id=request.id
        )
        write_outputs(response, answer.response.outputs, raw=bool(request.raw_input_contents) or not request.inputs)
        return response, answer.cache

    def _adapt(self, operation: Operation) -> Callable[[Any, Call], Awaitable[tuple[Message, str]]]:
        async def handle(request: Any, call: Call) -> tuple[Message, str]:
            return await operation(self._catalogue, request, call), ""

        return handle


async def _refuse(reason: str, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    context.set_code(grpc.StatusCode.UNIMPLEMENTED)
    context.set_details(reason)
    return b""


def _path(method: str) -> str:
    return f"/{SERVICE}/{method}"
