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
OPERATIONS: dict[str, tuple[type[Message], type[Message], Operation]] = {
    "ServerLive": (inference_pb.ServerLiveRequest, inference_pb.ServerLiveResponse, operations.server_live),
    "ServerReady": (inference_pb.ServerReadyRequest, inference_pb.ServerReadyResponse, operations.server_ready),
    "ModelReady": (inference_pb.ModelReadyRequest, inference_pb.ModelReadyResponse, operations.model_ready),
    "ServerMetadata": (
        description_pb.ServerMetadataRequest,
        description_pb.ServerMetadataResponse,
        operations.server_metadata,
    ),
    "ModelMetadata": (
        description_pb.ModelMetadataRequest,
        description_pb.ModelMetadataResponse,
        operations.model_metadata,
    ),
    "ModelConfig": (description_pb.ModelConfigRequest, description_pb.ModelConfigResponse, operations.model_config),
    "ModelStatistics": (
        description_pb.ModelStatisticsRequest,
        description_pb.ModelStatisticsResponse,
        operations.model_statistics,
    ),
    "RepositoryIndex": (
        repository_pb.RepositoryIndexRequest,
        repository_pb.RepositoryIndexResponse,
        operations.repository_index,
    ),
    "RepositoryModelLoad": (
        repository_pb.RepositoryModelLoadRequest,
        repository_pb.RepositoryModelLoadResponse,
        operations.load_model,
    ),
    "RepositoryModelUnload": (
        repository_pb.RepositoryModelUnloadRequest,
        repository_pb.RepositoryModelUnloadResponse,
        operations.unload_model,
    ),
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

    def __init__(self, catalogue: Catalogue, door: Door, admission: StreamAdmission) -> None:
        """Takes the way to the models, and the rules for calls and streams."""
        self._catalogue, self._door, self._admission = catalogue, door, admission

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a server must be given to serve it."""
        methods = {name: self._unary(name, *types) for name, types in OPERATIONS.items()}
        methods["ModelInfer"] = grpc.unary_unary_rpc_method_handler(
            self.model_infer, inference_pb.ModelInferRequest.FromString, _serialize
        )
        methods["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            self.model_stream_infer, inference_pb.ModelInferRequest.FromString, _serialize
        )
        for name, reason in REFUSED.items():
            methods[name] = grpc.unary_unary_rpc_method_handler(partial(_refuse, f"{name}: {reason}"))
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def model_infer(
        self, request: inference_pb.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> inference_pb.ModelInferResponse:
        """One call of a model; raw data in, raw data out."""
        return await self._door.run(
            context, _path("ModelInfer"), inference_pb.ModelInferResponse, partial(self._infer, request)
        )

    async def model_stream_infer(
        self, requests: AsyncIterable[inference_pb.ModelInferRequest], context: grpc.aio.ServicerContext
    ) -> None:
        """Many calls on one stream; what is wrong with one of them is told in its response, and the stream goes on."""
        path = _path("ModelStreamInfer")
        async with self._door.open(context, path) as call, self._admission.admit(path):
            answer = partial(self._answer_one, call)
            await answer_in_order(self._admission.receive(requests), answer, context.write)

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

    def _unary(
        self, name: str, request_type: type[Message], response_type: type[Message], operation: Operation
    ) -> grpc.RpcMethodHandler:
        async def serve(request: Message, context: grpc.aio.ServicerContext) -> Message:
            async def handle(call: Call) -> tuple[Message, str]:
                return await operation(self._catalogue, request, call), ""

            return await self._door.run(context, _path(name), response_type, handle)

        return grpc.unary_unary_rpc_method_handler(serve, request_type.FromString, _serialize)


async def _refuse(reason: str, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    context.set_code(grpc.StatusCode.UNIMPLEMENTED)
    context.set_details(reason)
    return b""


def _path(method: str) -> str:
    return f"/{SERVICE}/{method}"


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
