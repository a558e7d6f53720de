"""StreamVideo: passes a video on to its service while it arrives, and the answers back as they come."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

import grpc
import structlog
from seqserve.video.v1 import video_service_pb2 as pb

from services.gateway.call import Call
from services.gateway.inference import Inference
from services.gateway.target import drawn_version, find_target
from services.runtime.errors import InvalidInput, PayloadTooLarge
from services.video.schema import MAX_TOP_K, read_step_s

STREAM_VIDEO = "/seqserve.video.v1.VideoService/StreamVideo"
MODEL = "video"

log = structlog.get_logger(__name__)


async def stream_video(
    requests: AsyncIterable[pb.StreamVideoRequest], max_bytes: int, inference: Inference, call: Call
) -> AsyncGenerator[pb.StreamVideoResponse]:
    """The answers to a video, in order. All of it may be sent before the first is taken.

    Args:
        requests: the client's messages.
        max_bytes: how large the video may be.
        inference: the middle.
        call: what the client said around its stream.

    Raises:
        ServiceError: the video is too large, a message is wrong, or the service refused it or failed.
    """
    call.client.check_model(MODEL)
    client = inference.clients[MODEL]
    target = find_target(client.models or {}, MODEL)
    answers = 0
    try:
        async with client.stream(STREAM_VIDEO, call.timeout_s, call.request_id, drawn_version(target)) as rpc:
            async for response in _exchange(rpc, _check(requests, max_bytes)):
                call.outcome.model, call.outcome.version = response.model.name, response.model.version
                answers += 1
                yield response
    finally:
        log.info("video stream", answers=answers)


async def _exchange(
    rpc: grpc.aio.StreamStreamCall, requests: AsyncIterable[pb.StreamVideoRequest]
) -> AsyncIterator[pb.StreamVideoResponse]:
    """Sends and receives side by side; what is wrong with a request ends both."""
    sending = asyncio.create_task(_send(rpc, requests))
    reading = asyncio.create_task(rpc.read())
    try:
        while True:
            under_way = {reading} if sending.done() else {reading, sending}
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            if not reading.done():
                continue
            if (response := reading.result()) is grpc.aio.EOF:
                return
            yield pb.StreamVideoResponse.FromString(response)
            reading = asyncio.create_task(rpc.read())
    finally:
        for task in (sending, reading):
            task.cancel()
        await asyncio.gather(sending, reading, return_exceptions=True)


async def _send(rpc: grpc.aio.StreamStreamCall, requests: AsyncIterable[pb.StreamVideoRequest]) -> None:
    try:
        async for request in requests:
            await rpc.write(request.SerializeToString())
        await rpc.done_writing()
    except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
        return  # the service has ended the stream; reading tells how


async def _check(
    requests: AsyncIterable[pb.StreamVideoRequest], max_bytes: int
) -> AsyncIterator[pb.StreamVideoRequest]:
    size, is_first = 0, True
    async for request in requests:
        part = request.WhichOneof("part")
        if part == "chunk":
            size += len(request.chunk)
            if size > max_bytes:
                raise PayloadTooLarge(f"the video has {size} bytes or more; at most {max_bytes}", part)
        elif part == "options" and is_first:
            _check_options(request.options)
        elif part == "options":
            raise InvalidInput("only the first message may have them", part)
        else:
            raise InvalidInput("none is set; options or chunk", "part")
        is_first = False
        yield request
    if size == 0:
        raise InvalidInput("the video has 0 bytes; at least 1", "chunk")


def _check_options(options: pb.StreamVideoOptions) -> None:
    if not 0 <= options.top_k <= MAX_TOP_K:
        raise InvalidInput(f"{options.top_k}; 1 to {MAX_TOP_K}, or 0 for 5", "options.top_k")
    read_step_s(options)
