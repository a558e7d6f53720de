"""A video that is classified second by second while it is sent, for clients that block and for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO

import grpc
from seqserve.video.v1 import video_service_pb2 as pb

from services.client.ending import Ending
from services.client.errors import to_call_error
from services.client.file_messages import FileMessages, send_file
from services.client.operations import ClipSource, decode_predictions
from services.client.results import Source, VideoStep
from services.client.streams import open_clip

STREAM_VIDEO = "/seqserve.video.v1.VideoService/StreamVideo"
Metadata = list[tuple[str, str]]


def encode_options(top_k: int, step_s: float) -> pb.StreamVideoRequest:
    """The first message of a video."""
    return pb.StreamVideoRequest(options=pb.StreamVideoOptions(top_k=top_k, step_s=step_s))


def stream(
    channel: grpc.Channel,
    source: ClipSource | BinaryIO,
    first: pb.StreamVideoRequest,
    timeout_s: float,
    request_id: str,
    metadata: Metadata,
) -> Iterator[VideoStep]:
    """Sends a video, and gives the answers as they come; a thread of gRPC's reads the file meanwhile.

    Raises:
        CallError: the server refused the video, or failed.
        OSError: the file cannot be read.
    """
    rpc = channel.stream_stream(
        STREAM_VIDEO, pb.StreamVideoRequest.SerializeToString, pb.StreamVideoResponse.FromString
    )
    with open_clip(source) as (file, _):
        messages = FileMessages(file, first, _encode_chunk)
        responses = rpc(messages, timeout=timeout_s, metadata=metadata)
        try:
            for response in responses:
                yield _decode(response, request_id)
        except grpc.RpcError as error:
            raise messages.error or to_call_error(error, request_id) from None
        finally:
            messages.close()
            responses.cancel()


async def stream_async(
    channel: grpc.aio.Channel,
    source: ClipSource | BinaryIO,
    first: pb.StreamVideoRequest,
    timeout_s: float,
    request_id: str,
    metadata: Metadata,
) -> AsyncIterator[VideoStep]:
    """The same for asyncio."""
    rpc = channel.stream_stream(
        STREAM_VIDEO, pb.StreamVideoRequest.SerializeToString, pb.StreamVideoResponse.FromString
    )
    with open_clip(source) as (file, _):
        call = rpc(timeout=timeout_s, metadata=metadata)
        ending = Ending(call)
        sending = asyncio.create_task(send_file(call, file, first, _encode_chunk))
        sending.add_done_callback(lambda task: call.cancel() if not task.cancelled() and task.exception() else None)
        try:
            while (response := await _read(call, ending, sending, request_id)) is not None:
                yield _decode(response, request_id)
        finally:
            sending.cancel()
            call.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _read(
    call: grpc.aio.StreamStreamCall, ending: Ending, sending: asyncio.Task[None], request_id: str
) -> pb.StreamVideoResponse | None:
    try:
        response = await call.read()
    except asyncio.CancelledError:
        if sending.done() and not sending.cancelled() and (error := sending.exception()):
            raise error from None  # the file could not be read
        raise
    except grpc.aio.AioRpcError:
        status = await ending.status()
        if status.code() is grpc.StatusCode.OK:  # only a write failed
            return None
        raise to_call_error(status, request_id) from None
    return None if response is grpc.aio.EOF else response


def _encode_chunk(content: bytes) -> pb.StreamVideoRequest:
    return pb.StreamVideoRequest(chunk=content)


def _decode(response: pb.StreamVideoResponse, request_id: str) -> VideoStep:
    source = Source(response.model.name, response.model.version, request_id, "")
    return VideoStep(response.start_s, response.end_s, decode_predictions(response.predictions), source)
