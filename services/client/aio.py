"""The client for asyncio. It needs numpy, grpcio and protobuf only; make it where an event loop runs.

async with AsyncClient("localhost:8500") as client:
    forecast = await client.forecast(values, "2026-10-01")
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, BinaryIO, Self, TypeVar, Unpack

import grpc
import numpy as np
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.video.v1 import video_service_pb2 as video_pb

from services.client import operations, streams, tensors, video
from services.client.channel import CACHE_KEY, CallOptions, ClientOptions, make_metadata, open_channel
from services.client.ending import Ending
from services.client.errors import to_call_error
from services.client.file_messages import send_file
from services.client.operations import ClipSource, Drawing, Operation, Series
from services.client.results import Classification, Forecast, Outputs, VideoStep
from services.client.retry import Attempts, RetryBudget
from services.client.session import AsyncSketchSession

Result = TypeVar("Result")


class AsyncClient:
    """Calls a platform; the calls are those of `services.client.sync.Client`, awaited."""

    def __init__(self, target: str, options: ClientOptions | None = None) -> None:
        """Takes host:port of the gRPC door; connects with the first call."""
        self._options = options or ClientOptions()
        self._channel = open_channel(target, self._options, grpc.aio)
        self._budget = RetryBudget(self._options.retry)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel; calls that are under way are cancelled."""
        await self._channel.close()

    async def classify_sketch(self, drawing: Drawing, *, top_k: int = 5, **call: Unpack[CallOptions]) -> Classification:
        """Which object is this drawing? See `classify_sketches`."""
        return (await self.classify_sketches([drawing], top_k=top_k, **call))[0]

    async def classify_sketches(
        self, drawings: Sequence[Drawing], *, top_k: int = 5, **call: Unpack[CallOptions]
    ) -> list[Classification]:
        """The classes of each drawing: a list of strokes [x, y], or stroke-3 rows as one array [points, 3]."""
        return await self._run(operations.classify_sketches(drawings, top_k), call)

    async def forecast(
        self,
        values: Any,
        start: date | str | np.datetime64,
        *,
        horizon: int = 7,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        **call: Unpack[CallOptions],
    ) -> Forecast:
        """The days after daily values [days] that begin at `start`; NaN or None marks a missing day."""
        series = [Series(values, start)]
        return (await self.forecast_many(series, horizon=horizon, quantiles=quantiles, **call))[0]

    async def forecast_many(
        self,
        series: Sequence[Series],
        *,
        horizon: int = 7,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        **call: Unpack[CallOptions],
    ) -> list[Forecast]:
        """The same for many series, each of its own length, in one call."""
        return await self._run(operations.forecast(series, horizon, quantiles), call)

    async def classify_video(self, clip: ClipSource, *, top_k: int = 5, **call: Unpack[CallOptions]) -> Classification:
        """Which class is this clip: bytes of a video file, or its path?"""
        return (await self.classify_videos([clip], top_k=top_k, **call))[0]

    async def classify_videos(
        self, clips: Sequence[ClipSource], *, top_k: int = 5, **call: Unpack[CallOptions]
    ) -> list[Classification]:
        """The same for many clips in one call."""
        return await self._run(await asyncio.to_thread(operations.classify_videos, clips, top_k), call)

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, np.ndarray],
        *,
        version: str = "",
        outputs: Sequence[str] = (),
        **call: Unpack[CallOptions],
    ) -> Outputs:
        """The outputs of any model for named arrays: all of them, or those named in `outputs`."""
        return await self._run(tensors.infer(model, inputs, version, outputs), call)

    async def upload_video(
        self, source: ClipSource | BinaryIO, *, top_k: int = 5, **call: Unpack[CallOptions]
    ) -> Classification:
        """Which class is this clip? Sends it in chunks, so that a file is never in memory as a whole."""
        request_id, metadata = make_metadata(call, self._options)
        rpc = self._channel.stream_unary(
            streams.UPLOAD_VIDEO, video_pb.UploadVideoRequest.SerializeToString, video_pb.UploadVideoResponse.FromString
        )
        upload = rpc(timeout=self._stream_timeout_s(call), metadata=metadata)
        ending = Ending(upload)
        try:
            with streams.open_clip(source) as (file, size_bytes):
                first = streams.encode_upload_options(top_k, size_bytes)
                await send_file(upload, file, first, streams.encode_chunk)
            response = await upload
        except grpc.aio.AioRpcError:
            raise to_call_error(await ending.status(), request_id) from None
        finally:
            upload.cancel()
        return streams.decode_upload(response, request_id, await _cache_outcome(upload))

    def stream_video(
        self, source: ClipSource | BinaryIO, *, top_k: int = 5, step_s: float = 1.0, **call: Unpack[CallOptions]
    ) -> AsyncIterator[VideoStep]:
        """Which class is each second of this video? Answers come while it is sent, in order; iterate by `async for`.

        The arguments are those of the blocking client.
        """
        request_id, metadata = make_metadata(call, self._options)
        first = video.encode_options(top_k, step_s)
        return video.stream_async(self._channel, source, first, self._stream_timeout_s(call), request_id, metadata)

    def stream_sketch(
        self,
        *,
        top_k: int = 5,
        confidence_threshold: float = 0.9,
        confident_after: int = 2,
        stop_when_confident: bool = False,
        **call: Unpack[CallOptions],
    ) -> AsyncSketchSession:
        """Opens a drawing whose classes come while it is drawn; use it in an `async with` block.

        The arguments are those of the blocking client.
        """
        request_id, metadata = make_metadata(call, self._options)
        options = streams.encode_sketch_options(top_k, confidence_threshold, confident_after, stop_when_confident)
        rpc = self._channel.stream_stream(
            streams.STREAM_SKETCH,
            sketch_pb.StreamSketchRequest.SerializeToString,
            sketch_pb.StreamSketchResponse.FromString,
        )
        stream = rpc(timeout=self._stream_timeout_s(call), metadata=metadata)
        return AsyncSketchSession(stream, options, request_id)

    def _stream_timeout_s(self, call: CallOptions) -> float:
        return call.get("timeout_s", self._options.stream_timeout_s)

    async def _run(self, operation: Operation[Result], call: CallOptions) -> Result:
        request_id, metadata = make_metadata(call, self._options)
        request = operation.request.SerializeToString()
        rpc = self._channel.unary_unary(operation.method, None, operation.response_type.FromString)
        attempts = Attempts(self._options.retry, self._budget, call.get("timeout_s", self._options.timeout_s))
        while True:
            attempt = rpc(request, timeout=attempts.remaining_s(), metadata=metadata)
            try:
                response = await attempt
            except grpc.aio.AioRpcError as error:
                failure = to_call_error(error, request_id)
                if (pause_s := attempts.pause_s(failure)) is None:
                    raise failure from None
                await asyncio.sleep(pause_s)
            else:
                self._budget.earn()
                return operation.decode(response, request_id, await _cache_outcome(attempt))


async def _cache_outcome(call: Any) -> str:
    return str(dict(await call.trailing_metadata() or ()).get(CACHE_KEY, ""))
