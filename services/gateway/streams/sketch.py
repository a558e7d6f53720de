"""StreamSketch: predictions on a drawing while it is drawn, each one a call of the sketch service."""

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import replace

import structlog
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from services.gateway.call import Call
from services.gateway.endpoints import CLASSIFY_SKETCH
from services.gateway.inference import Inference
from services.gateway.metrics import STREAM_PREDICTION
from services.gateway.streams.drawing import Confidence, Drawing, Snapshot
from services.runtime.errors import InvalidInput, Overloaded, ServiceError, Unavailable
from services.sketch.schema import DEFAULT_TOP_K, MAX_TOP_K

STREAM_SKETCH = "/seqserve.sketch.v1.SketchService/StreamSketch"
DEFAULT_THRESHOLD = 0.9
DEFAULT_CONFIDENT_AFTER, MAX_CONFIDENT_AFTER = 2, 100
MAX_FAILURES = 3  # in a row; each is a call that the channel has tried again already
PAUSE_S = 0.2

log = structlog.get_logger(__name__)


class SketchStream:
    """One client that draws. Reading and predicting go side by side; a prediction takes the latest drawing."""

    def __init__(
        self,
        inference: Inference,
        call: Call,
        timeout_s: float,
        write: Callable[[pb.StreamSketchResponse], Awaitable[None]],
    ) -> None:
        """Takes the middle, what the client said around its stream, how long a prediction may take, and the way to
        send one."""
        self._inference, self._timeout_s = inference, timeout_s
        self._call = replace(call, caching="off")  # half a drawing is never drawn again
        self._write = write
        self._drawing = Drawing()
        self._confidence = Confidence(DEFAULT_THRESHOLD, DEFAULT_CONFIDENT_AFTER)
        self._top_k = DEFAULT_TOP_K
        self._stops = False
        self._is_whole = False
        self._news = asyncio.Event()
        self._predictions = 0

    async def run(self, requests: AsyncIterable[pb.StreamSketchRequest]) -> None:
        """Predicts until the whole drawing has its prediction, or one is as sure as the client asked for.

        Raises:
            ServiceError: a message is wrong, or the service fails.
        """
        reader = asyncio.create_task(self._read(requests))
        predictor = asyncio.create_task(self._predict())
        try:
            await asyncio.wait({reader, predictor}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done():
                reader.result()
            await predictor
        finally:
            for task in (reader, predictor):
                task.cancel()
            await asyncio.gather(reader, predictor, return_exceptions=True)
            log.info("sketch stream", predictions=self._predictions, points=self._drawing.point_count)

    async def _read(self, requests: AsyncIterable[pb.StreamSketchRequest]) -> None:
        is_first = True
        async for request in requests:
            event = request.WhichOneof("event")
            if event == "points":
                self._drawing.append(request.points)
            elif event == "end_stroke":
                self._drawing.end_stroke()
            elif event == "clear":
                self._drawing.clear()
                self._confidence.reset()
            elif event == "options" and is_first:
                self._take_options(request.options)
            elif event == "options":
                raise InvalidInput("only the first message may have them", event)
            else:
                raise InvalidInput("none is set; options, points, end_stroke or clear", "event")
            is_first = False
            self._news.set()
        self._drawing.end_stroke()
        self._is_whole = True
        self._news.set()

    def _take_options(self, options: pb.StreamSketchOptions) -> None:
        if not 0 <= options.top_k <= MAX_TOP_K:
            raise InvalidInput(f"{options.top_k}; 1 to {MAX_TOP_K}, or 0 for {DEFAULT_TOP_K}", "options.top_k")
        if not 0 <= options.confidence_threshold <= 1:
            raise InvalidInput(f"{options.confidence_threshold:g}; 0 to 1", "options.confidence_threshold")
        if not 0 <= options.confident_after <= MAX_CONFIDENT_AFTER:
            limits = f"1 to {MAX_CONFIDENT_AFTER}, or 0 for {DEFAULT_CONFIDENT_AFTER}"
            raise InvalidInput(f"{options.confident_after}; {limits}", "options.confident_after")
        self._top_k = options.top_k or DEFAULT_TOP_K
        self._stops = options.stop_when_confident
        self._confidence = Confidence(
            options.confidence_threshold or DEFAULT_THRESHOLD, options.confident_after or DEFAULT_CONFIDENT_AFTER
        )

    async def _predict(self) -> None:
        seen, failures = self._drawing.revision, 0
        while True:
            if seen == self._drawing.revision:
                if self._is_whole:
                    return
                await self._news.wait()
                self._news.clear()
                continue
            revision, snapshot = self._drawing.revision, self._drawing.snapshot()
            try:
                if snapshot and await self._send_prediction(snapshot):
                    return
            except (Unavailable, Overloaded) as error:
                failures += 1
                if failures == MAX_FAILURES:
                    raise
                await asyncio.sleep(_pause_s(error, failures))
                continue
            seen, failures = revision, 0

    async def _send_prediction(self, snapshot: Snapshot) -> bool:
        """Sends one prediction; True if the stream is to end with it."""
        started = time.perf_counter()
        request = pb.ClassifySketchRequest(sketches=[snapshot.sketch], top_k=self._top_k)
        call = self._call.within(self._timeout_s)  # people draw for longer than that
        answer = (await self._inference.infer(CLASSIFY_SKETCH, request, call)).response
        STREAM_PREDICTION.observe(time.perf_counter() - started)
        if snapshot.clear_count != self._drawing.clear_count:
            return False
        predictions = answer.results[0].predictions
        response = pb.StreamSketchResponse(
            model=answer.model,
            predictions=predictions,
            stroke_count=len(snapshot.sketch.strokes),
            point_count=snapshot.point_count,
            clear_count=snapshot.clear_count,
            confident=self._confidence.observe(predictions[0].label, predictions[0].probability),
        )
        self._predictions += 1
        await self._write(response)
        return response.confident and self._stops


def _pause_s(error: ServiceError, failures: int) -> float:
    asked = error.retry_after_s if isinstance(error, Overloaded) else 0.0
    return max(asked, PAUSE_S * 2**failures)
