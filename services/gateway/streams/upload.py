"""UploadVideo: puts the chunks of a clip together, within its limit, and has the clip classified."""

from collections.abc import AsyncIterable

from seqserve.video.v1 import video_service_pb2 as pb

from services.gateway.call import Call
from services.gateway.endpoints import CLASSIFY_VIDEO
from services.gateway.inference import Answer, Inference
from services.runtime.errors import InvalidInput, PayloadTooLarge
from services.video.schema import DEFAULT_TOP_K, MAX_TOP_K, ClassifyVideosRequest

UPLOAD_VIDEO = "/seqserve.video.v1.VideoService/UploadVideo"
FRAMING_BYTES = 64  # the clip travels on inside one message, which has the same limit as its request


async def classify_upload(
    requests: AsyncIterable[pb.UploadVideoRequest], max_request_bytes: int, inference: Inference, call: Call
) -> Answer[pb.UploadVideoResponse]:
    """Reads one clip and classifies it.

    Raises:
        ServiceError: the clip is too large, a message is wrong, or the service refused the clip or failed.
    """
    request = await _collect(requests, max_request_bytes - FRAMING_BYTES)
    try:
        answer = await inference.infer(CLASSIFY_VIDEO, ClassifyVideosRequest.check(request), call)
    except InvalidInput as error:
        raise InvalidInput(error.message, error.field.replace("clips[0].content", "chunk")) from None
    response = pb.UploadVideoResponse(model=answer.response.model, predictions=answer.response.results[0].predictions)
    return Answer(response, answer.cache)


async def _collect(requests: AsyncIterable[pb.UploadVideoRequest], max_bytes: int) -> pb.ClassifyVideoRequest:
    options = pb.UploadVideoOptions()
    chunks: list[bytes] = []
    size, is_first = 0, True
    async for request in requests:
        part = request.WhichOneof("part")
        if part == "chunk":
            size += len(request.chunk)
            _check_size(size, max_bytes, "chunk")
            chunks.append(request.chunk)
        elif part == "options" and is_first:
            options = request.options
            _check_options(options, max_bytes)
        elif part == "options":
            raise InvalidInput("only the first message may have them", part)
        else:
            raise InvalidInput("none is set; options or chunk", "part")
        is_first = False
    if size == 0:
        raise InvalidInput("the clip has 0 bytes; at least 1", "chunk")
    if options.size_bytes not in (0, size):
        raise InvalidInput(f"{options.size_bytes}, but the clip has {size} bytes", "options.size_bytes")
    return pb.ClassifyVideoRequest(clips=[pb.Clip(content=b"".join(chunks))], top_k=options.top_k)


def _check_options(options: pb.UploadVideoOptions, max_bytes: int) -> None:
    if not 0 <= options.top_k <= MAX_TOP_K:
        raise InvalidInput(f"{options.top_k}; 1 to {MAX_TOP_K}, or 0 for {DEFAULT_TOP_K}", "options.top_k")
    if options.size_bytes < 0:
        raise InvalidInput(f"{options.size_bytes}; at least 0", "options.size_bytes")
    _check_size(options.size_bytes, max_bytes, "options.size_bytes")


def _check_size(size: int, max_bytes: int, field: str) -> None:
    if size > max_bytes:
        raise PayloadTooLarge(f"the clip has {size} bytes or more; at most {max_bytes}", field)
