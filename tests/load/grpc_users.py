"""Users of the gRPC door: of the typed API, and of the two protocols that other servers speak."""

from typing import Any

import grpc
import numpy as np
from locust import tag, task
from seqserve.tfserving.v1 import prediction_pb2, tensor_pb2

from services.client.channel import make_metadata, open_channel
from services.client.operations import Series
from services.client.sync import Client
from tests.load.drawings import to_ink
from tests.load.series import DailySeries, to_window
from tests.load.visitors import FORECAST, SKETCH, TENSORS, VIDEO, Visitor, expect, make_client_options

PREDICT = "/tensorflow.serving.PredictionService/Predict"
TYPED, TFSERVING, OIP = "gRPC", "TFServing", "OIP"
DATA_TYPES = {
    "float32": tensor_pb2.DATA_TYPE_FLOAT,
    "float64": tensor_pb2.DATA_TYPE_DOUBLE,
    "int32": tensor_pb2.DATA_TYPE_INT32,
}


class TypedGrpcUser(Visitor):
    """Uses the client of this project: calls, streams, uploads."""

    weight = 4

    def on_start(self) -> None:
        """Connects."""
        self.client = Client(self.options.grpc_target, make_client_options(self.options))

    def on_stop(self) -> None:
        """Hangs up."""
        self.client.close()

    @tag(SKETCH)
    @task(12)
    def classify_sketch(self) -> None:
        """One drawing."""
        with self.measure(TYPED, "ClassifySketch"):
            answer = self.client.classify_sketch(self.drawings.draw())
            expect(answer.predictions, answer.source.cache)

    @tag(SKETCH)
    @task(2)
    def classify_sketches(self) -> None:
        """Many drawings."""
        drawings = [self.drawings.draw() for _ in range(self.options.batch)]
        with self.measure(TYPED, f"ClassifySketch of {len(drawings)}"):
            answers = self.client.classify_sketches(drawings)
            expect(answers, answers[0].source.cache)

    @tag(SKETCH)
    @task(1)
    def stream_sketch(self) -> None:
        """A drawing while it is drawn, without the pauses of a hand: from its first point to its last answer."""
        drawing = self.drawings.draw()
        with self.measure(TYPED, "StreamSketch"), self.client.stream_sketch() as sketch:
            for xs, ys in drawing:
                sketch.draw(xs, ys)
                sketch.end_stroke()
            sketch.finish()
            expect(list(sketch))

    @tag(FORECAST)
    @task(6)
    def forecast(self) -> None:
        """One series."""
        series = self.series.draw()
        with self.measure(TYPED, "Forecast"):
            answer = self.client.forecast_many([_to_client(series)])[0]
            expect(answer.mean, answer.source.cache)

    @tag(VIDEO)
    @task(1)
    def classify_video(self) -> None:
        """One clip in one message."""
        clip = self.clips.draw()
        with self.measure(TYPED, "ClassifyVideo"):
            answer = self.client.classify_video(clip)
            expect(answer.predictions, answer.source.cache)

    @tag(VIDEO)
    @task(1)
    def upload_video(self) -> None:
        """One clip in chunks."""
        clip = self.clips.draw()
        with self.measure(TYPED, "UploadVideo"):
            answer = self.client.upload_video(clip)
            expect(answer.predictions, answer.source.cache)


class OipGrpcUser(Visitor):
    """Sends named tensors by the Open Inference Protocol v2."""

    def on_start(self) -> None:
        """Connects."""
        self.client = Client(self.options.grpc_target, make_client_options(self.options))

    def on_stop(self) -> None:
        """Hangs up."""
        self.client.close()

    @tag(SKETCH, TENSORS)
    @task(3)
    def infer_sketch(self) -> None:
        """One drawing."""
        self._infer(SKETCH, _sketch_tensors(self.drawings.draw()))

    @tag(FORECAST, TENSORS)
    @task(1)
    def infer_forecast(self) -> None:
        """One series."""
        self._infer(FORECAST, _forecast_tensors(self.series.draw()))

    def _infer(self, model: str, inputs: dict[str, np.ndarray]) -> None:
        with self.measure(OIP, f"ModelInfer {model}"):
            answer = self.client.infer(model, inputs)
            expect(answer.arrays, answer.source.cache)


class TfServingGrpcUser(Visitor):
    """Sends named tensors as TensorFlow Serving's clients do."""

    def on_start(self) -> None:
        """Connects."""
        self._options = make_client_options(self.options)
        self._channel = open_channel(self.options.grpc_target, self._options, grpc)
        messages = prediction_pb2.PredictRequest.SerializeToString, prediction_pb2.PredictResponse.FromString
        self._predict = self._channel.unary_unary(PREDICT, *messages)

    def on_stop(self) -> None:
        """Hangs up."""
        self._channel.close()

    @tag(SKETCH, TENSORS)
    @task(3)
    def predict_sketch(self) -> None:
        """One drawing."""
        self._send(SKETCH, _sketch_tensors(self.drawings.draw()))

    @tag(FORECAST, TENSORS)
    @task(1)
    def predict_forecast(self) -> None:
        """One series."""
        self._send(FORECAST, _forecast_tensors(self.series.draw()))

    def _send(self, model: str, inputs: dict[str, np.ndarray]) -> None:
        request = prediction_pb2.PredictRequest()
        request.model_spec.name = model
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(_to_proto(array))
        _, metadata = make_metadata({}, self._options)
        with self.measure(TFSERVING, f"Predict {model}"):
            answer, done = self._predict.with_call(request, timeout=self._options.timeout_s, metadata=metadata)
            expect(answer.outputs, str(dict(done.trailing_metadata() or ()).get("x-seqserve-cache", "")))


def _to_client(series: DailySeries) -> Series:
    return Series([np.nan if v is None else v for v in series.values], series.start)


def _sketch_tensors(drawing: Any) -> dict[str, np.ndarray]:
    ink = to_ink(drawing)
    return {"ink": ink[None], "lengths": np.array([len(ink)], np.int32)}


def _forecast_tensors(series: DailySeries) -> dict[str, np.ndarray]:
    values, first_day = to_window(series)
    return {"values": values, "first_day": first_day}


def _to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    shape = tensor_pb2.TensorShapeProto(dim=[tensor_pb2.TensorShapeProto.Dim(size=size) for size in array.shape])
    data_type = DATA_TYPES[array.dtype.name]
    return tensor_pb2.TensorProto(dtype=data_type, tensor_shape=shape, tensor_content=array.tobytes())
