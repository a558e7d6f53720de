"""The client for code that blocks. It needs numpy, grpcio and protobuf only, and threads may share it.

with Client("localhost:8500") as client:
    drawing = [[[10, 240, 240, 10, 10], [10, 10, 240, 240, 10]]]
    print(client.classify_sketch(drawing).predictions[0].label)
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, BinaryIO, Self, TypeVar, Unpack

import grpc
import numpy as np
from seqserve.video.v1 import video_service_pb2 as video_pb

from services.client import operations, streams, tensors, video
from services.client.channel import CACHE_KEY, CallOptions, ClientOptions, make_metadata, open_channel
from services.client.errors import to_call_error
from services.client.file_messages import FileMessages
from services.client.operations import ClipSource, Drawing, Operation, Series
from services.client.results import Classification, Forecast, Outputs, VideoStep
from services.client.retry import Attempts, RetryBudget
from services.client.session import SketchSession

Result = TypeVar("Result")


class Client:
    """Calls a platform.

    Every call takes `timeout_s`, `request_id` and `fresh` (no cached answer), and raises CallError. Calls are tried
    again within their deadline where that can help; streams and uploads are not.
    """

    def __init__(self, target: str, options: ClientOptions | None = None) -> None:
        """Takes host:port of the gRPC door; connects with the first call."""
        self._options = options or ClientOptions()
        self._channel = open_channel(target, self._options, grpc)
        self._budget = RetryBudget(self._options.retry)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel; calls that are under way are cancelled."""
        self._channel.close()

    def classify_sketch(self, drawing: Drawing, *, top_k: int = 5, **call: Unpack[CallOptions]) -> Classification:
        """Which object is this drawing? See `classify_sketches`."""
        return self.classify_sketches([drawing], top_k=top_k, **call)[0]

    def classify_sketches(
        self, drawings: Sequence[Drawing], *, top_k: int = 5, **call: Unpack[CallOptions]
    ) -> list[Classification]:
        """The classes of each drawing: a list of strokes [x, y], or stroke-3 rows as one array [points, 3]."""
        return self._run(operations.classify_sketches(drawings, top_k), call)

    def forecast(
        self,
        values: Any,
        start: date | str | np.datetime64,
        *,
        horizon: int = 7,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        **call: Unpack[CallOptions],
    ) -> Forecast:
        """The days after daily values [days] that begin at `start`; NaN or None marks a missing day."""
        return self.forecast_many([Series(values, start)], horizon=horizon, quantiles=quantiles, **call)[0]

    def forecast_many(
        self,
        series: Sequence[Series],
        *,
        horizon: int = 7,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        **call: Unpack[CallOptions],
    ) -> list[Forecast]:
        """The same for many series, each of its own length, in one call."""
        return self._run(operations.forecast(series, horizon, quantiles), call)

    def classify_video(self, clip: ClipSource, *, top_k: int = 5, **call: Unpack[CallOptions]) -> Classification:
        """Which class is this clip: bytes of a video file, or its path?"""
        return self.classify_videos([clip], top_k=top_k, **call)[0]

    def classify_videos(
        self, clips: Sequence[ClipSource], *, top_k: int = 5, **call: Unpack[CallOptions]
    ) -> list[Classification]:
        """The same for many clips in one call."""
        return self._run(operations.classify_videos(clips, top_k), call)

    def infer(
        self,
        model: str,
        inputs: Mapping[str, np.ndarray],
        *,
        version: str = "",
        outputs: Sequence[str] = (),
        **call: Unpack[CallOptions],
    ) -> Outputs:
        """The outputs of any model for named arrays: all of them, or those named in `outputs`."""
        return self._run(tensors.infer(model, inputs, version, outputs), call)

    def upload_video(
        self, source: ClipSource | BinaryIO, *, top_k: int = 5, **call: Unpack[CallOptions]
    ) -> Classification:
        """Which class is this clip? Sends it in chunks, so that a file is never in memory as a whole."""
        request_id, metadata = make_metadata(call, self._options)
        rpc = self._channel.stream_unary(
            streams.UPLOAD_VIDEO, video_pb.UploadVideoRequest.SerializeToString, video_pb.UploadVideoResponse.FromString
        )
        with streams.open_clip(source) as (file, size_bytes):
            messages = FileMessages(file, streams.encode_upload_options(top_k, size_bytes), streams.encode_chunk)
            try:
                response, done = rpc.with_call(messages, timeout=self._stream_timeout_s(call), metadata=metadata)
            except grpc.RpcError as error:
                raise messages.error or to_call_error(error, request_id) from None
            finally:
                messages.close()
        return streams.decode_upload(response, request_id, _cache_outcome(done))

    def stream_video(
        self, source: ClipSource | BinaryIO, *, top_k: int = 5, step_s: float = 1.0, **call: Unpack[CallOptions]
    ) -> Iterator[VideoStep]:
        """Which class is each second of this video? Answers come while it is sent, in order.

        for step in client.stream_video("holiday.mp4"):
            print(step.start_s, step.predictions[0].label)

        Args:
            source: bytes of a video file, its path, or a file that is read on.
            top_k: classes per answer.
            step_s: seconds from one answer to the next.
            call: as in every call; `timeout_s` is the time of the whole stream.
        """
        request_id, metadata = make_metadata(call, self._options)
        first = video.encode_options(top_k, step_s)
        return video.stream(self._channel, source, first, self._stream_timeout_s(call), request_id, metadata)

    def stream_sketch(
        self,
        *,
        top_k: int = 5,
        confidence_threshold: float = 0.9,
        confident_after: int = 2,
        stop_when_confident: bool = False,
        **call: Unpack[CallOptions],
    ) -> SketchSession:
        """Opens a drawing whose classes come while it is drawn; use it in a `with` block.

        Args:
            top_k: classes per prediction.
            confidence_threshold: probability that the best class must reach to be taken for sure.
            confident_after: predictions in a row that must agree on it.
            stop_when_confident: the server ends the stream after its first confident prediction.
            call: as in every call; `timeout_s` is the time of the whole stream.
        """
        request_id, metadata = make_metadata(call, self._options)
        options = streams.encode_sketch_options(top_k, confidence_threshold, confident_after, stop_when_confident)
        return SketchSession(self._channel, options, self._stream_timeout_s(call), request_id, metadata)

    def _stream_timeout_s(self, call: CallOptions) -> float:
        return call.get("timeout_s", self._options.stream_timeout_s)

    def _run(self, operation: Operation[Result], call: CallOptions) -> Result:
        request_id, metadata = make_metadata(call, self._options)
        request = operation.request.SerializeToString()
        rpc = self._channel.unary_unary(operation.method, None, operation.response_type.FromString)
        attempts = Attempts(self._options.retry, self._budget, call.get("timeout_s", self._options.timeout_s))
        while True:
            try:
                response, done = rpc.with_call(request, timeout=attempts.remaining_s(), metadata=metadata)
            except grpc.RpcError as error:
                failure = to_call_error(error, request_id)
                if (pause_s := attempts.pause_s(failure)) is None:
                    raise failure from None
                time.sleep(pause_s)
            else:
                self._budget.earn()
                return operation.decode(response, request_id, _cache_outcome(done))


def _cache_outcome(call: grpc.Call) -> str:
    return str(dict(call.trailing_metadata() or ()).get(CACHE_KEY, ""))
