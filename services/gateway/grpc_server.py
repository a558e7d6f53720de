"""The gRPC door: the typed services, health (grpc.health.v1) and reflection."""

import asyncio
from collections.abc import AsyncIterable, Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.model.v1 import model_service_pb2_grpc as model_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from seqserve.video.v1 import video_service_pb2 as video_pb
from seqserve.video.v1 import video_service_pb2_grpc as video_grpc

from services.forecast.schema import ForecastRequest
from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.door import Door
from services.gateway.endpoints import CLASSIFY_SKETCH, CLASSIFY_VIDEO, FORECAST
from services.gateway.entry import Entry
from services.gateway.inference import Inference
from services.gateway.model_servicer import ModelServicer
from services.gateway.oip.grpc_service import InferenceService
from services.gateway.settings import GatewaySettings
from services.gateway.streams.admission import StreamAdmission
from services.gateway.streams.sketch import STREAM_SKETCH, SketchStream
from services.gateway.streams.upload import UPLOAD_VIDEO, classify_upload
from services.gateway.tfserving.grpc_service import add_tfserving
from services.sketch.schema import ClassifySketchesRequest
from services.video.schema import ClassifyVideosRequest

HEALTH_INTERVAL_S = 0.5
SERVICE_NAMES = {
    "sketch": sketch_pb.DESCRIPTOR.services_by_name["SketchService"].full_name,
    "forecast": forecast_pb.DESCRIPTOR.services_by_name["ForecastService"].full_name,
    "video": video_pb.DESCRIPTOR.services_by_name["VideoService"].full_name,
}


class SketchServicer(sketch_grpc.SketchServiceServicer):
    """seqserve.sketch.v1.SketchService."""

    def __init__(self, door: Door, inference: Inference, admission: StreamAdmission) -> None:
        self._door = door
        self._inference = inference
        self._admission = admission

    async def ClassifySketch(
        self, request: sketch_pb.ClassifySketchRequest, context: grpc.aio.ServicerContext
    ) -> sketch_pb.ClassifySketchResponse:
        return await self._door.answer(CLASSIFY_SKETCH, ClassifySketchesRequest.from_proto, request, context)

    async def StreamSketch(
        self, request_iterator: AsyncIterable[sketch_pb.StreamSketchRequest], context: grpc.aio.ServicerContext
    ) -> None:
        async with self._door.open(context, STREAM_SKETCH) as call, self._admission.admit(STREAM_SKETCH):
            stream = SketchStream(self._inference, call, context.write)
            await stream.run(self._admission.receive(request_iterator))


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

    def __init__(self, door: Door, inference: Inference, admission: StreamAdmission, max_request_bytes: int) -> None:
        self._door = door
        self._inference = inference
        self._admission = admission
        self._max_request_bytes = max_request_bytes

    async def ClassifyVideo(
        self, request: video_pb.ClassifyVideoRequest, context: grpc.aio.ServicerContext
    ) -> video_pb.ClassifyVideoResponse:
        return await self._door.answer(CLASSIFY_VIDEO, ClassifyVideosRequest.from_proto, request, context)

    async def UploadVideo(
        self, request_iterator: AsyncIterable[video_pb.UploadVideoRequest], context: grpc.aio.ServicerContext
    ) -> video_pb.UploadVideoResponse:
        async def handle(call: Call) -> tuple[video_pb.UploadVideoResponse, str]:
            async with self._admission.admit(UPLOAD_VIDEO):
                requests = self._admission.receive(request_iterator)
                answer = await classify_upload(requests, self._max_request_bytes, self._inference, call)
            return answer.response, answer.cache

        return await self._door.run(context, UPLOAD_VIDEO, video_pb.UploadVideoResponse, handle)


def build_grpc_server(
    inference: Inference, settings: GatewaySettings, closing: asyncio.Event | None = None
) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """Builds the server, bound to its port; once `closing` is set, it refuses calls.

    Raises:
        RuntimeError: the port is taken.
    """
    options: Sequence[tuple[str, int]] = [
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_send_message_length", settings.max_request_bytes),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options)
    door = Door(inference, Entry(settings.request_timeout_s), closing)
    admission = StreamAdmission(settings.max_streams, settings.stream_idle_timeout_s, settings.stream_lifetime_s)
    sketch_grpc.add_SketchServiceServicer_to_server(SketchServicer(door, inference, admission), server)
    forecast_grpc.add_ForecastServiceServicer_to_server(ForecastServicer(door), server)
    video = VideoServicer(door, inference, admission, settings.max_request_bytes)
    video_grpc.add_VideoServiceServicer_to_server(video, server)
    catalogue = Catalogue(inference, settings.model_control, settings.load_timeout_s)
    model_grpc.add_ModelServiceServicer_to_server(ModelServicer(door, catalogue), server)
    server.add_generic_rpc_handlers([InferenceService(catalogue, door, admission).handlers()])
    add_tfserving(server, door, catalogue, settings.max_request_bytes)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    model_service = model_pb.DESCRIPTOR.services_by_name["ModelService"].full_name
    names = [*SERVICE_NAMES.values(), model_service, health.SERVICE_NAME, reflection.SERVICE_NAME]
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
        ready = {name: client.is_ready for name, client in inference.clients.items()}
        for name, full_name in SERVICE_NAMES.items():
            await servicer.set(full_name, serving if ready[name] else not_serving)
        await servicer.set("", serving if all(ready.values()) else not_serving)
        await asyncio.sleep(HEALTH_INTERVAL_S)
