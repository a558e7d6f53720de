"""POST /v1/videos:stream: a video as the request's body, and a line of JSON for each of its seconds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json
from seqserve.video.v1 import video_service_pb2 as pb
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from services.gateway.bodies import kind_of, refuse_media
from services.gateway.entry import read_deadline
from services.gateway.failures import describe_failure
from services.gateway.openapi import VIDEO, VIDEO_LINES
from services.gateway.streams.upload import FRAMING_BYTES
from services.gateway.streams.video import stream_video
from services.runtime.errors import (
    INTERNAL_MESSAGE,
    Internal,
    InvalidInput,
    PayloadTooLarge,
    ServiceError,
)
from services.video.schema import DEFAULT_STEP_S, DEFAULT_TOP_K, MAX_STEP_S, MAX_TOP_K, MIN_STEP_S, StreamVideoResponse

STREAM_PATH = "/v1/videos:stream"
RAW_KINDS = ("application/octet-stream", "image/gif")
LINES = "application/x-ndjson"

TopK = Annotated[int, Query(ge=1, le=MAX_TOP_K, description="Classes per answer.")]
StepS = Annotated[
    float, Query(ge=MIN_STEP_S, le=MAX_STEP_S, allow_inf_nan=False, description="Seconds from answer to answer.")
]

log = structlog.get_logger(__name__)
router = APIRouter()


@router.post(STREAM_PATH, tags=["video"], response_class=Response, responses=VIDEO_LINES, openapi_extra=VIDEO)
async def classify_by_second(request: Request, top_k: TopK = DEFAULT_TOP_K, step_s: StepS = DEFAULT_STEP_S) -> Response:
    """Which class is each second of this video? Send the file itself as the body; an answer is one line of JSON.

    Answers begin while the video arrives. An error after the first answer is a last line `{"error": ...}`.
    """
    kind = kind_of(request.headers)
    if not (kind.startswith("video/") or kind in RAW_KINDS):
        raise refuse_media(request, "video/*", RAW_KINDS[0])
    return VideoLines(request, pb.StreamVideoOptions(top_k=top_k, step_s=step_s))


class VideoLines(Response):
    """Reads the body and answers side by side. What fails before the first line is an answer of its own."""

    def __init__(self, request: Request, options: pb.StreamVideoOptions) -> None:
        """Takes a request whose body has not been read."""
        super().__init__(media_type=LINES)
        del self.headers["content-length"]
        self._request, self._options = request, options
        self._is_read = asyncio.Event()
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or stops where the client leaves."""
        answering = asyncio.create_task(self._answer(send))
        watching = asyncio.create_task(self._watch(receive))
        try:
            await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            for task in (answering, watching):
                task.cancel()
            await asyncio.gather(answering, watching, return_exceptions=True)

    async def _watch(self, receive: Receive) -> None:
        """Ends when the client leaves; until the body is read, who reads it finds out."""
        await self._is_read.wait()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _answer(self, send: Send) -> None:
        try:
            await self._send_lines(send)
        except ServiceError as error:
            await self._send_failure(send, error)
        except Exception:
            log.exception("stream failed")
            await self._send_failure(send, Internal(INTERNAL_MESSAGE))
        await self._begin(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_failure(self, send: Send, error: ServiceError) -> None:
        if not self._has_begun:
            raise error
        await self._send_line(send, describe_failure(self._request, error))

    async def _send_lines(self, send: Send) -> None:
        state = self._request.app.state
        admission, settings = state.admission, state.settings
        call = self._request.state.call
        call = replace(call, deadline=read_deadline(self._request.headers, None, admission.lifetime_s))
        requests = admission.receive(self._read(settings.max_request_bytes - FRAMING_BYTES))
        async with (
            admission.admit(STREAM_PATH),
            aclosing(stream_video(requests, settings.max_stream_bytes, state.inference, call)) as answers,
        ):
            async for answer in answers:
                await self._send_line(send, StreamVideoResponse.from_proto(answer))

    async def _read(self, most: int) -> AsyncIterator[pb.StreamVideoRequest]:
        """The options, and the body in chunks of `most` bytes or fewer."""
        yield pb.StreamVideoRequest(options=self._options)
        try:
            async for chunk in self._request.stream():
                for start in range(0, len(chunk), most):
                    yield pb.StreamVideoRequest(chunk=chunk[start : start + most])
        except HTTPException as error:  # the body limit's
            raise PayloadTooLarge(error.detail, "body") from None
        except ClientDisconnect:
            raise InvalidInput("the connection was closed before its end", "body") from None
        self._is_read.set()

    async def _send_line(self, send: Send, line: object) -> None:
        await self._begin(send)
        await send({"type": "http.response.body", "body": to_json(line) + b"\n", "more_body": True})

    async def _begin(self, send: Send) -> None:
        if not self._has_begun:
            self._has_begun = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
