"""The messages of the two streams: a drawing while it is drawn, and a clip in chunks. No call is made here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.video.v1 import video_service_pb2 as video_pb

from services.client.operations import ClipSource, decode_predictions
from services.client.results import Classification, SketchUpdate, Source

STREAM_SKETCH = "/seqserve.sketch.v1.SketchService/StreamSketch"
UPLOAD_VIDEO = "/seqserve.video.v1.VideoService/UploadVideo"

END_STROKE = sketch_pb.StreamSketchRequest(end_stroke=sketch_pb.EndStroke())
CLEAR = sketch_pb.StreamSketchRequest(clear=sketch_pb.ClearSketch())


def encode_sketch_options(
    top_k: int, confidence_threshold: float, confident_after: int, stop_when_confident: bool
) -> sketch_pb.StreamSketchRequest:
    """The first message of a drawing."""
    return sketch_pb.StreamSketchRequest(
        options=sketch_pb.StreamSketchOptions(
            top_k=top_k,
            confidence_threshold=confidence_threshold,
            confident_after=confident_after,
            stop_when_confident=stop_when_confident,
        )
    )


def encode_points(x: Any, y: Any) -> sketch_pb.StreamSketchRequest:
    """The next points of the current stroke: numbers, or [points] both.

    Raises:
        ValueError: x and y differ in shape.
    """
    xs, ys = np.atleast_1d(np.asarray(x, np.float32)), np.atleast_1d(np.asarray(y, np.float32))
    if xs.ndim != 1 or xs.shape != ys.shape:
        raise ValueError(f"x has shape {xs.shape}, y {ys.shape}; [points] both")
    return sketch_pb.StreamSketchRequest(points=sketch_pb.StrokePoints(x=xs, y=ys))


def decode_update(response: sketch_pb.StreamSketchResponse, request_id: str) -> SketchUpdate:
    """One response of a drawing's stream."""
    return SketchUpdate(
        predictions=decode_predictions(response.predictions),
        stroke_count=response.stroke_count,
        point_count=response.point_count,
        clear_count=response.clear_count,
        confident=response.confident,
        source=Source(response.model.name, response.model.version, request_id, ""),
    )


@contextmanager
def open_clip(source: ClipSource | BinaryIO) -> Iterator[tuple[BinaryIO, int]]:
    """The clip as a file, and its size in bytes; 0 where that is not known before its end."""
    if isinstance(source, bytes):
        yield BytesIO(source), len(source)
    elif isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    else:
        yield source, 0


def encode_upload_options(top_k: int, size_bytes: int) -> video_pb.UploadVideoRequest:
    """The first message of an upload."""
    return video_pb.UploadVideoRequest(options=video_pb.UploadVideoOptions(top_k=top_k, size_bytes=size_bytes))


def encode_chunk(content: bytes) -> video_pb.UploadVideoRequest:
    """The next bytes of a clip."""
    return video_pb.UploadVideoRequest(chunk=content)


def decode_upload(response: video_pb.UploadVideoResponse, request_id: str, cache: str) -> Classification:
    """The answer to an upload."""
    source = Source(response.model.name, response.model.version, request_id, cache)
    return Classification(decode_predictions(response.predictions), source)
