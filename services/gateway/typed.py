"""The typed services on the gRPC door."""

from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import aclosing

import grpc
from google.protobuf.message import Message
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.video.v1 import video_service_pb2 as video_pb

from services.forecast.schema import ForecastRequest
from services.gateway.call import Call
from services.gateway.door import Door
from services.gateway.endpoints import CLASSIFY_SKETCH, CLASSIFY_VIDEO, FORECAST
from services.gateway.inference import Inference
from services.gateway.settings import GatewaySettings
from services.gateway.streams.admission import StreamAdmission
from services.gateway.streams.sketch import STREAM_SKETCH, SketchStream
from services.gateway.streams.upload import UPLOAD_VIDEO, classify_upload
from services.gateway.streams.video import STREAM_VIDEO, stream_video
from services.sketch.schema import ClassifySketchesRequest
from services.video.schema import ClassifyVideosRequest

SERVICE_NAMES = {
    "sketch": sketch_pb.DESCRIPTOR.services_by_name["SketchService"].full_name,
    "forecast": forecast_pb.DESCRIPTOR.services_by_name["ForecastService"].full_name,
    "video": video_pb.DESCRIPTOR.services_by_name["VideoService"].full_name,
}


def make_typed_handlers(
    door: Door, inference: Inference, admission: StreamAdmission, settings: GatewaySettings
) -> list[grpc.GenericRpcHandler]:
    """The handlers of the three services.

    Args:
        door: lets calls in.
        inference: the middle.
        admission: lets streams in.
        settings: how large uploads and videos may be, and how long an answer may take.
    """

    async def stream_sketch(
        requests: AsyncIterable[sketch_pb.StreamSketchRequest], call: Call, write: Callable[[Message], Awaitable[None]]
    ) -> None:
        async with admission.admit(STREAM_SKETCH):
            stream = SketchStream(inference, call, settings.request_timeout_s, write)
            await stream.run(admission.receive(requests))

    async def upload_video(
        requests: AsyncIterable[video_pb.UploadVideoRequest], call: Call
    ) -> tuple[video_pb.UploadVideoResponse, str]:
        async with admission.admit(UPLOAD_VIDEO):
            answer = await classify_upload(admission.receive(requests), settings.max_request_bytes, inference, call)
        return answer.response, answer.cache

    async def answer_video(
        requests: AsyncIterable[video_pb.StreamVideoRequest], call: Call, write: Callable[[Message], Awaitable[None]]
    ) -> None:
        async with (
            admission.admit(STREAM_VIDEO),
            aclosing(stream_video(admission.receive(requests), settings.max_stream_bytes, inference, call)) as answers,
        ):
            async for answer in answers:
                await write(answer)

    methods = {
        "sketch": {
            "ClassifySketch": door.typed(
                CLASSIFY_SKETCH, sketch_pb.ClassifySketchRequest, ClassifySketchesRequest.check
            ),
            "StreamSketch": door.stream(
                STREAM_SKETCH, sketch_pb.StreamSketchRequest, stream_sketch, timeout_s=admission.lifetime_s
            ),
        },
        "forecast": {"Forecast": door.typed(FORECAST, forecast_pb.ForecastRequest, ForecastRequest.check)},
        "video": {
            "ClassifyVideo": door.typed(CLASSIFY_VIDEO, video_pb.ClassifyVideoRequest, ClassifyVideosRequest.check),
            "UploadVideo": door.upload(UPLOAD_VIDEO, video_pb.UploadVideoRequest, upload_video),
            "StreamVideo": door.stream(
                STREAM_VIDEO, video_pb.StreamVideoRequest, answer_video, timeout_s=admission.lifetime_s
            ),
        },
    }
    return [grpc.method_handlers_generic_handler(SERVICE_NAMES[name], rpcs) for name, rpcs in methods.items()]
