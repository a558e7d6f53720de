"""A video on a stream: chunks go to a spool, a thread decodes it, and windows come out a few at a time.

Reading never waits for the answers to be taken: a client may send its whole video before it reads the first of them.
Decoding does, so that what is decoded and not yet asked for stays small.
"""

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing

from seqserve.video.v1 import video_service_pb2 as pb

from services.runtime.errors import InvalidInput, Overloaded
from services.video.spool import Spool
from services.video.stream_decoder import StreamLimits, decode_windows
from services.video.transforms import ClipOptions
from services.video.windows import Window

FIELD = "chunk"
RETRY_AFTER_S = 5.0


class Abandoned(Exception):
    """Nobody wants the rest of a video."""


class VideoStreams:
    """Reads videos, so many at a time."""

    def __init__(self, limits: StreamLimits | None = None) -> None:
        """Takes what one may cost."""
        self._limits = limits or StreamLimits()
        self._threads = ThreadPoolExecutor(self._limits.max_open, "stream")
        self._open = 0

    @asynccontextmanager
    async def open(
        self, requests: AsyncIterator[pb.StreamVideoRequest], options: ClipOptions, step_s: float
    ) -> AsyncIterator[AsyncIterator[list[Window]]]:
        """The windows of a video that arrives: lists of those that are ready, in their order.

        Args:
            requests: its chunks.
            options: how the model wants its clips.
            step_s: seconds from one window to the next.

        Raises:
            Overloaded: too many videos are read here.
            InvalidInput: it cannot be decoded, or a message is wrong.
            PayloadTooLarge: it has too many bytes.
        """
        most = self._limits.max_open
        if self._open >= most:
            raise Overloaded(f"{self._open} videos are read; at most {most}", retry_after_s=RETRY_AFTER_S)
        self._open += 1
        try:
            with Spool(self._limits.max_bytes, FIELD) as spool:
                handover = _Handover(self._limits.max_waiting)
                windows = decode_windows(spool, options, step_s, FIELD, self._limits)
                decoding = asyncio.get_running_loop().run_in_executor(self._threads, handover.put_all, windows)
                filling = asyncio.create_task(_fill(spool, requests))
                try:
                    yield handover.take_all()
                finally:
                    spool.fail(Abandoned())
                    handover.abandon()
                    filling.cancel()
                    await asyncio.wait({filling, decoding})  # both use the spool
        finally:
            self._open -= 1


async def split_options(
    requests: AsyncIterable[pb.StreamVideoRequest],
) -> tuple[pb.StreamVideoOptions, AsyncIterator[pb.StreamVideoRequest]]:
    """The options of a stream's first message, defaults where it has none, and the messages with chunks."""
    iterator = aiter(requests)
    first = await anext(iterator, None)
    if first is None or first.WhichOneof("part") == "options":
        return (first.options if first else pb.StreamVideoOptions()), iterator

    async def all_of_them() -> AsyncIterator[pb.StreamVideoRequest]:
        yield first
        async for request in iterator:
            yield request

    return pb.StreamVideoOptions(), all_of_them()


async def _fill(spool: Spool, requests: AsyncIterator[pb.StreamVideoRequest]) -> None:
    """Writes the chunks down as they come; whatever is wrong, who reads the spool gets to know."""
    try:
        async for request in requests:
            await _append(spool, _read_chunk(request))
        spool.finish()
    except Exception as error:
        spool.fail(error)


def _read_chunk(request: pb.StreamVideoRequest) -> bytes:
    part = request.WhichOneof("part")
    if part == "options":
        raise InvalidInput("only the first message may have them", part)
    if part is None:
        raise InvalidInput("none is set; options or chunk", "part")
    return request.chunk


async def _append(spool: Spool, chunk: bytes) -> None:
    writing = asyncio.get_running_loop().run_in_executor(None, spool.append, chunk)
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait({writing})  # the file is closed next
        raise


class _Handover:
    """Windows from a thread to the event loop; the thread waits while enough of them wait."""

    def __init__(self, max_waiting: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Window | Exception | None] = asyncio.Queue()
        self._free = threading.Semaphore(max_waiting)
        self._is_abandoned = False

    def put_all(self, windows: Generator[Window]) -> None:
        """Runs in the thread."""
        end: Exception | None = None
        try:
            with closing(windows):
                for window in windows:
                    self._free.acquire()
                    if self._is_abandoned:
                        break
                    self._put(window)
        except Exception as error:
            end = error
        self._put(end)

    async def take_all(self) -> AsyncIterator[list[Window]]:
        """Those that wait, each time that there is one; at the end, what was wrong."""
        while True:
            items = [await self._queue.get()]
            while not self._queue.empty():
                items.append(self._queue.get_nowait())
            windows = [item for item in items if isinstance(item, Window)]
            if windows:
                self._free.release(len(windows))  # the next are decoded while these are classified
                yield windows
            last = items[-1]
            if isinstance(last, Exception):
                raise last
            if last is None:
                return

    def abandon(self) -> None:
        """Lets the thread go, which then ends."""
        self._is_abandoned = True
        self._free.release()

    def _put(self, item: Window | Exception | None) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
