"""A drawing on a stream: strokes in, classes out. One session for code that blocks, one for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from queue import SimpleQueue
from typing import Any, Self

import grpc
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from services.client import streams
from services.client.ending import Ending
from services.client.errors import to_call_error
from services.client.results import SketchUpdate

FINISHED = "the drawing is finished; open another stream"


class SketchSession(Iterator[SketchUpdate]):
    """Drawing does not block; iterating waits for the next prediction, until the one on the whole drawing.

    with client.stream_sketch(stop_when_confident=True) as sketch:
        sketch.draw(xs, ys)
        sketch.finish()
        for update in sketch:
            print(update.predictions[0], update.confident)
    """

    def __init__(
        self,
        channel: grpc.Channel,
        options: pb.StreamSketchRequest,
        timeout_s: float,
        request_id: str,
        metadata: list[tuple[str, str]],
    ) -> None:
        """Opens the stream; the client does."""
        self._request_id = request_id
        self._is_finished = False
        self._outbox: SimpleQueue[pb.StreamSketchRequest | None] = SimpleQueue()
        self._outbox.put(options)
        rpc = channel.stream_stream(
            streams.STREAM_SKETCH, pb.StreamSketchRequest.SerializeToString, pb.StreamSketchResponse.FromString
        )
        self._responses = rpc(iter(self._outbox.get, None), timeout=timeout_s, metadata=metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        self._responses.cancel()

    def __next__(self) -> SketchUpdate:
        """The next prediction.

        Raises:
            CallError: the server refused a message, or failed.
        """
        try:
            return streams.decode_update(next(self._responses), self._request_id)
        except grpc.RpcError as error:
            raise to_call_error(error, self._request_id) from None

    def draw(self, x: Any, y: Any) -> None:
        """Adds points to the current stroke: two numbers, or two arrays [points].

        Raises:
            ValueError: x and y differ in shape, or the drawing is finished.
        """
        self._send(streams.encode_points(x, y))

    def end_stroke(self) -> None:
        """Lifts the pen."""
        self._send(streams.END_STROKE)

    def clear(self) -> None:
        """Empties the drawing."""
        self._send(streams.CLEAR)

    def finish(self) -> None:
        """Says that the drawing is whole: iteration ends after its prediction."""
        self._is_finished = True
        self._outbox.put(None)  # ends the thread in which gRPC waits for messages, too

    def _send(self, request: pb.StreamSketchRequest) -> None:
        if self._is_finished:
            raise ValueError(FINISHED)
        self._outbox.put(request)


class AsyncSketchSession(AsyncIterator[SketchUpdate]):
    """As SketchSession; what draws waits only where the server does not keep up."""

    def __init__(self, stream: grpc.aio.StreamStreamCall, options: pb.StreamSketchRequest, request_id: str) -> None:
        """Takes an open stream; the client makes it."""
        self._stream, self._options, self._request_id = stream, options, request_id
        self._responses = aiter(stream)
        self._ending = Ending(stream)
        self._is_finished = False

    async def __aenter__(self) -> Self:
        await self._send(self._options)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stream.cancel()

    async def __anext__(self) -> SketchUpdate:
        """The next prediction.

        Raises:
            CallError: the server refused a message, or failed.
        """
        try:
            return streams.decode_update(await anext(self._responses), self._request_id)
        except grpc.aio.AioRpcError:
            status = await self._ending.status()
        if status.code() is grpc.StatusCode.OK:
            raise StopAsyncIteration
        raise to_call_error(status, self._request_id)

    async def draw(self, x: Any, y: Any) -> None:
        """Adds points to the current stroke: two numbers, or two arrays [points].

        Raises:
            ValueError: x and y differ in shape, or the drawing is finished.
        """
        await self._send(streams.encode_points(x, y))

    async def end_stroke(self) -> None:
        """Lifts the pen."""
        await self._send(streams.END_STROKE)

    async def clear(self) -> None:
        """Empties the drawing."""
        await self._send(streams.CLEAR)

    async def finish(self) -> None:
        """Says that the drawing is whole: iteration ends after its prediction."""
        self._is_finished = True
        await self._stream.done_writing()

    async def _send(self, request: pb.StreamSketchRequest) -> None:
        if self._is_finished:
            raise ValueError(FINISHED)
        try:
            await self._stream.write(request)
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
            return  # the server has ended the stream; iterating tells how
