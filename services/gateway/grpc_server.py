"""The gRPC door: the typed services, health (grpc.health.v1) and reflection."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import grpc
import structlog
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from pydantic import ValidationError
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from seqserve.video.v1 import video_service_pb2 as video_pb
from seqserve.video.v1 import video_service_pb2_grpc as video_grpc

from services.forecast.schema import ForecastRequest
from services.gateway.endpoints import CLASSIFY_SKETCH, CLASSIFY_VIDEO, FORECAST
from services.gateway.inference import Call, Endpoint, Inference, Response
from services.gateway.metrics import REQUESTS
from services.gateway.settings import GatewaySettings
from services.gateway.violations import to_invalid_input
from services.runtime.errors import INTERNAL_MESSAGE, Internal, ServiceError, grpc_code
from services.runtime.rpc import REQUEST_ID_KEY, set_error
from services.sketch.schema import ClassifySketchesRequest
from services.video.schema import ClassifyVideosRequest

CACHE_KEY = "x-seqserve-cache"
HEALTH_INTERVAL_S = 0.5
SERVICE_NAMES = {
    "sketch": sketch_pb.DESCRIPTOR.services_by_name["SketchService"].full_name,
    "forecast": forecast_pb.DESCRIPTOR.services_by_name["ForecastService"].full_name,
    "video": video_pb.DESCRIPTOR.services_by_name["VideoService"].full_name,
}

log = structlog.get_logger(__name__)
Parse = Callable[[Any], Any]


class Door:
    """Validates a message, asks for the answer, and puts errors into the context."""

    def __init__(self, inference: Inference, timeout_s: float) -> None:
        """Takes the middle and the longest time that a request may take."""
        self._inference = inference
        self._timeout_s = timeout_s

    async def answer(
        self, endpoint: Endpoint[Response], parse: Parse, message: Message, context: grpc.aio.ServicerContext
    ) -> Response:
        """Answers one RPC."""
        started = time.perf_counter()
        call = self._read_call(context)
        code = grpc.StatusCode.OK
        with structlog.contextvars.bound_contextvars(request_id=call.request_id):
            try:
                await context.send_initial_metadata([(REQUEST_ID_KEY, call.request_id)])
                request = parse(message).to_proto()
                answer = await self._inference.infer(endpoint, request, call)
                context.set_trailing_metadata([(CACHE_KEY, answer.cache)])
            except Exception as error:
                meaning = _to_service_error(error)
                code = grpc_code(meaning)
                set_error(context, meaning)
                return endpoint.response_type()
            else:
                return answer.response
            finally:
                duration_s = time.perf_counter() - started
                REQUESTS.labels("grpc", endpoint.method, code.name).observe(duration_s)
                log.info("rpc", method=endpoint.method, code=code.name, duration_s=round(duration_s, 5))

    def _read_call(self, context: grpc.aio.ServicerContext) -> Call:
        metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
        remaining_s = context.time_remaining()
        return Call(
            request_id=str(metadata.get(REQUEST_ID_KEY) or uuid4().hex)[:64],
            timeout_s=self._timeout_s if remaining_s is None else min(remaining_s, self._timeout_s),
            bypass_cache="no-cache" in str(metadata.get("cache-control", "")),
        )


def _to_service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ValidationError):
        return to_invalid_input(error.errors())
    log.error("request failed", exc_info=error)
    return Internal(INTERNAL_MESSAGE)


class SketchServicer(sketch_grpc.SketchServiceServicer):
    """seqserve.sketch.v1.SketchService."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def ClassifySketch(
        self, request: sketch_pb.ClassifySketchRequest, context: grpc.aio.ServicerContext
    ) -> sketch_pb.ClassifySketchResponse:
        return await self._door.answer(CLASSIFY_SKETCH, ClassifySketchesRequest.from_proto, request, context)


class ForecastServicer(forecast_grpc.ForecastServiceServicer):
    """seqserve.forecast.v1.ForecastService."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def Forecast(
        self, request: forecast_pb.ForecastRequest, context: grpc.aio.ServicerContext
    ) -> forecast_pb.ForecastResponse:
        return await self._door.answer(FORECAST, ForecastRequest.from_proto, request, context)


class VideoServicer(video_grpc.VideoServiceServicer):
    """seqserve.video.v1.VideoService."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def ClassifyVideo(
        self, request: video_pb.ClassifyVideoRequest, context: grpc.aio.ServicerContext
    ) -> video_pb.ClassifyVideoResponse:
        return await self._door.answer(CLASSIFY_VIDEO, ClassifyVideosRequest.from_proto, request, context)


def build_grpc_server(
    inference: Inference, settings: GatewaySettings
) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """Builds the server, bound to its port.

    Raises:
        RuntimeError: the port is taken.
    """
    options: Sequence[tuple[str, int]] = [
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_send_message_length", settings.max_request_bytes),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options)
    door = Door(inference, settings.request_timeout_s)
    sketch_grpc.add_SketchServiceServicer_to_server(SketchServicer(door), server)
    forecast_grpc.add_ForecastServiceServicer_to_server(ForecastServicer(door), server)
    video_grpc.add_VideoServiceServicer_to_server(VideoServicer(door), server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [*SERVICE_NAMES.values(), health.SERVICE_NAME, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    try:
        server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
    except RuntimeError:
        raise RuntimeError(f"the gRPC port {settings.grpc_port} on {settings.host} is taken") from None
    return server, health_servicer


async def report_health(inference: Inference, servicer: health.aio.HealthServicer) -> None:
    """Keeps grpc.health.v1 in step with the services, until cancelled; "" is serving when all are."""
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    while True:
        ready = {name: client.model is not None for name, client in inference.clients.items()}
        for name, is_ready in ready.items():
            await servicer.set(SERVICE_NAMES[name], serving if is_ready else not_serving)
        await servicer.set("", serving if all(ready.values()) else not_serving)
        await asyncio.sleep(HEALTH_INTERVAL_S)
