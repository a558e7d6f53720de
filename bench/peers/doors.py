"""How each contestant wants its requests: a path or method per task, and the same items in its own words."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.oip.v1 import inference_pb2 as oip_pb
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.video.v1 import video_service_pb2 as video_pb

from bench.doors.drawings import Drawing
from bench.peers.items import FIRST_DAY, Clip, Series

Task = Literal["sketch", "sketches", "forecast", "video"]
MODELS: dict[Task, str] = {"sketch": "sketch", "sketches": "sketch", "forecast": "forecast", "video": "video"}
Encode = Callable[[Task, Sequence[Any]], bytes]


@dataclass(frozen=True)
class Door:
    """One way into a server.

    Attributes:
        name: "REST" or "gRPC".
        targets: HTTP path or gRPC method of each task.
        encode: items of one request -> its body or message.
    """

    name: Literal["REST", "gRPC"]
    targets: Mapping[Task, str]
    encode: Encode


def _to_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _describe(item: Drawing | Series | Clip) -> dict[str, Any]:
    if isinstance(item, Drawing):
        return {"strokes": item.strokes}
    if isinstance(item, Series):
        return {"start": FIRST_DAY.isoformat(), "values": item.values}
    return {"content": item.text}


def _encode_instances(_task: Task, items: Sequence[Any]) -> bytes:
    return _to_json({"instances": [_describe(item) for item in items]})


def _encode_ours(task: Task, items: Sequence[Any]) -> bytes:
    described = [_describe(item) for item in items]
    whole = {"sketches": {"sketches": described}, "forecast": {"series": described}}
    return _to_json(whole.get(task, described[0]))


def _encode_typed(task: Task, items: Sequence[Any]) -> bytes:
    message: Any
    if task == "forecast":
        series = [forecast_pb.Series(start=FIRST_DAY.isoformat(), values=s.values) for s in items]
        message = forecast_pb.ForecastRequest(series=series)
    elif task == "video":
        message = video_pb.ClassifyVideoRequest(clips=[video_pb.Clip(content=c.content) for c in items])
    else:
        sketches = [sketch_pb.Sketch(strokes=[sketch_pb.Stroke(x=x, y=y) for x, y in d.strokes]) for d in items]
        message = sketch_pb.ClassifySketchRequest(sketches=sketches)
    return bytes(message.SerializeToString())


def _encode_oip_json(task: Task, items: Sequence[Any]) -> bytes:
    def tensor(name: str, datatype: str, shape: list[int], data: list[Any], **more: Any) -> dict[str, Any]:
        return {"name": name, "datatype": datatype, "shape": shape, "data": data, **more}

    rows = len(items)
    if task == "forecast":
        days = len(items[0].values)
        inputs = [
            tensor("values", "FP64", [rows, days], [v for s in items for v in s.values]),
            tensor("first_day", "INT32", [rows, 1], [s.first_forecast_day for s in items]),
        ]
    elif task == "video":
        inputs = [tensor("clips", "BYTES", [rows, 1], [c.text for c in items], parameters={"content_type": "base64"})]
    else:
        inputs = [tensor("drawings", "BYTES", [rows, 1], [_to_json(_describe(d)).decode() for d in items])]
    return _to_json({"inputs": inputs})


def _encode_oip(task: Task, items: Sequence[Any]) -> bytes:
    def tensor(name: str, datatype: str, width: int) -> Any:
        return oip_pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=[len(items), width])

    if task == "forecast":
        values = np.array([s.values for s in items], np.float64)
        days = np.array([s.first_forecast_day for s in items], np.int32)
        inputs = [tensor("values", "FP64", values.shape[1]), tensor("first_day", "INT32", 1)]
        raw = [values.tobytes(), days.tobytes()]
    elif task == "video":
        inputs, raw = [tensor("clips", "BYTES", 1)], [_join([c.content for c in items])]
    else:
        inputs, raw = [tensor("drawings", "BYTES", 1)], [_join([_to_json(_describe(d)) for d in items])]
    request = oip_pb.ModelInferRequest(model_name=MODELS[task], inputs=inputs, raw_input_contents=raw)
    return bytes(request.SerializeToString())


def _join(elements: Sequence[bytes]) -> bytes:
    """Elements of a BYTES tensor: each with its length in four bytes before it."""
    return b"".join(len(element).to_bytes(4, "little") + element for element in elements)


def _paths(pattern: str) -> dict[Task, str]:
    return {task: pattern.format(model) for task, model in MODELS.items()}


OURS_REST = Door(
    "REST",
    {
        "sketch": "/v1/sketches:classify",
        "sketches": "/v1/sketches:batchClassify",
        "forecast": "/v1/series:forecast",
        "video": "/v1/videos:classify",
    },
    _encode_ours,
)
_SKETCH = "/seqserve.sketch.v1.SketchService/ClassifySketch"
OURS_GRPC = Door(
    "gRPC",
    {
        "sketch": _SKETCH,
        "sketches": _SKETCH,
        "forecast": "/seqserve.forecast.v1.ForecastService/Forecast",
        "video": "/seqserve.video.v1.VideoService/ClassifyVideo",
    },
    _encode_typed,
)
INSTANCES = Door("REST", _paths("/{}"), _encode_instances)
KSERVE_V1 = Door("REST", _paths("/v1/models/{}:predict"), _encode_instances)
OIP_REST = Door("REST", _paths("/v2/models/{}/infer"), _encode_oip_json)
OIP_GRPC = Door("gRPC", _paths("/inference.GRPCInferenceService/ModelInfer"), _encode_oip)
