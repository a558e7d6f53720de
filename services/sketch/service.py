"""The sketch service's RPCs."""

import numpy as np
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from services.runtime.artifact import Model
from services.runtime.description import describe
from services.runtime.rpc import unary
from services.sketch.transforms import InkOptions, pad_inks, rank_classes, to_ink

DEFAULT_TOP_K = 5


class SketchService:
    """Classifies drawings with one model."""

    INPUTS = frozenset({"ink", "lengths"})

    def __init__(self, model: Model) -> None:
        """Takes a loaded model that reads `ink` and `lengths` and returns `probabilities`."""
        options = model.manifest.options
        self._model = model
        self._options = InkOptions(
            max_points=options["max_points"],
            box=options["box"],
            simplify_tolerance=options["simplify_tolerance"],
            length_buckets=tuple(options["length_buckets"]),
        )

    @unary(pb.ClassifySketchResponse)
    async def ClassifySketch(self, request: pb.ClassifySketchRequest) -> pb.ClassifySketchResponse:
        inks = [to_ink(_strokes(s), self._options, f"sketches[{i}]") for i, s in enumerate(request.sketches)]
        outputs = await self._model.predict(pad_inks(inks, self._options)) if inks else {}
        return _response(outputs, self._model, request.top_k or DEFAULT_TOP_K)

    @unary(model_pb.DescribeModelResponse)
    async def DescribeModel(self, request: model_pb.DescribeModelRequest) -> model_pb.DescribeModelResponse:
        return describe(self._model)


def _strokes(sketch: pb.Sketch) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.array(s.x, np.float64), np.array(s.y, np.float64)) for s in sketch.strokes]


def _response(outputs: dict[str, np.ndarray], model: Model, top_k: int) -> pb.ClassifySketchResponse:
    rows = rank_classes(outputs["probabilities"], model.manifest.labels, top_k) if outputs else []
    return pb.ClassifySketchResponse(
        model=describe(model).model,
        results=[
            pb.SketchPrediction(predictions=[pb.ClassPrediction(label=c, probability=p) for c, p in row])
            for row in rows
        ],
    )
