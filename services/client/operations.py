"""The unary calls, as data: what to send where, and how to read the answer. No call is made here."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from google.protobuf.message import Message
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.video.v1 import video_service_pb2 as video_pb

from services.client.results import Classification, Forecast, Prediction, Source

CLASSIFY_SKETCH = "/seqserve.sketch.v1.SketchService/ClassifySketch"
FORECAST = "/seqserve.forecast.v1.ForecastService/Forecast"
CLASSIFY_VIDEO = "/seqserve.video.v1.VideoService/ClassifyVideo"

Result = TypeVar("Result")
Strokes = Sequence[Any]  # of [x, y], [points] each
Drawing = Strokes | np.ndarray
ClipSource = bytes | str | os.PathLike[str]


@dataclass(frozen=True)
class Operation(Generic[Result]):
    """One unary call.

    Attributes:
        method: full gRPC method path.
        request: message to send.
        response_type: message that comes back.
        decode: makes the result of the response; takes the request id and the cache's outcome too.
    """

    method: str
    request: Message
    response_type: type[Message]
    decode: Callable[[Any, str, str], Result]


@dataclass(frozen=True, eq=False)
class Series:
    """One daily series.

    Attributes:
        values: one per day from `start` on, [days]; NaN or None marks a missing day.
        start: date of the first value; text is ISO 8601.
        id: name of the series, which its forecast repeats.
    """

    values: Any
    start: date | str | np.datetime64
    id: str = ""


def classify_sketches(drawings: Sequence[Drawing], top_k: int) -> Operation[list[Classification]]:
    """Asks for the classes of drawings.

    Args:
        drawings: each is a list of strokes, [x, y] or [x, y, times] of [points] each, or stroke-3 rows as one array
            [points, 3]: dx, dy, and 1 on the last point of a stroke.
        top_k: classes per drawing.

    Raises:
        ValueError: a drawing has another shape.
    """
    sketches = [encode_drawing(drawing) for drawing in drawings]
    request = sketch_pb.ClassifySketchRequest(sketches=sketches, top_k=top_k)
    return Operation(CLASSIFY_SKETCH, request, sketch_pb.ClassifySketchResponse, _decode_classes)


def classify_videos(clips: Sequence[ClipSource], top_k: int) -> Operation[list[Classification]]:
    """Asks for the classes of clips.

    Args:
        clips: bytes of an encoded video file, or its path.
        top_k: classes per clip.

    Raises:
        OSError: a file cannot be read.
    """
    contents = [clip if isinstance(clip, bytes) else Path(clip).read_bytes() for clip in clips]
    request = video_pb.ClassifyVideoRequest(clips=[video_pb.Clip(content=c) for c in contents], top_k=top_k)
    return Operation(CLASSIFY_VIDEO, request, video_pb.ClassifyVideoResponse, _decode_classes)


def forecast(series: Sequence[Series], horizon: int, quantiles: Sequence[float]) -> Operation[list[Forecast]]:
    """Asks for the next `horizon` days of series, with quantiles at these levels.

    Raises:
        ValueError: a start is no date, or values are not one row of numbers.
    """
    request = forecast_pb.ForecastRequest(
        series=[_encode_series(one) for one in series], horizon=horizon, quantiles=quantiles
    )
    return Operation(FORECAST, request, forecast_pb.ForecastResponse, _decode_forecasts)


def encode_drawing(drawing: Drawing) -> sketch_pb.Sketch:
    """A drawing as a message; see `classify_sketches`."""
    if isinstance(drawing, np.ndarray) and drawing.ndim == 2:
        drawing = _strokes_of(drawing)
    sketch = sketch_pb.Sketch()
    for i, stroke in enumerate(drawing):
        if not 2 <= len(stroke) <= 3:
            raise ValueError(f"strokes[{i}] has {len(stroke)} rows; x and y, and times that are ignored")
        x, y = np.asarray(stroke[0], np.float32), np.asarray(stroke[1], np.float32)
        if x.ndim != 1 or x.shape != y.shape:
            raise ValueError(f"strokes[{i}]: x has shape {x.shape}, y {y.shape}; [points] both")
        sketch.strokes.add(x=x, y=y)
    return sketch


def decode_predictions(predictions: Any) -> tuple[Prediction, ...]:
    """ClassPrediction messages as results."""
    return tuple(Prediction(p.label, p.probability) for p in predictions)


def _strokes_of(rows: np.ndarray) -> list[np.ndarray]:
    if rows.shape[1] != 3:
        raise ValueError(f"the drawing has shape {list(rows.shape)}; stroke-3 has [points, 3]")
    points = np.cumsum(rows[:, :2], axis=0).T
    ends = np.flatnonzero(rows[:-1, 2] == 1) + 1
    strokes = np.split(points, ends, axis=1)
    return [s if s.shape[1] > 1 else np.repeat(s, 2, axis=1) for s in strokes]  # a dot has its point twice


def _encode_series(series: Series) -> forecast_pb.Series:
    values = np.asarray(series.values, np.float64)
    if values.ndim != 1:
        raise ValueError(f"values have shape {list(values.shape)}; [days]")
    start = str(np.array(series.start, "datetime64[D]"))
    return forecast_pb.Series(id=series.id, start=start, values=values)


def _decode_classes(response: Any, request_id: str, cache: str) -> list[Classification]:
    source = Source(response.model.name, response.model.version, request_id, cache)
    return [Classification(decode_predictions(result.predictions), source) for result in response.results]


def _decode_forecasts(response: forecast_pb.ForecastResponse, request_id: str, cache: str) -> list[Forecast]:
    source = Source(response.model.name, response.model.version, request_id, cache)
    return [
        Forecast(
            id=one.id,
            dates=np.array(one.dates, "datetime64[D]"),
            mean=np.array(one.mean),
            quantiles={q.level: np.array(q.values) for q in one.quantiles},
            source=source,
        )
        for one in response.forecasts
    ]
