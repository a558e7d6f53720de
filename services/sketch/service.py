"""The sketch service's RPCs."""

from collections.abc import Sequence

import numpy as np
from seqserve.model.v1.model_service_pb2 import ModelVersion
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as pb_grpc

from services.runtime.caller import Caller
from services.runtime.execution.servable import Servable
from services.runtime.rpc import unary
from services.runtime.versions.repository import Repository
from services.sketch.schema import DEFAULT_TOP_K
from services.sketch.transforms import InkOptions, rank_classes, to_inks, to_rows


class SketchService(pb_grpc.SketchServiceServicer):
    """Classifies drawings with the model of its name, which returns `probabilities`. The gateway has the streams."""

    MODEL = "sketch"
    INPUTS = frozenset({"ink", "lengths"})

    def __init__(self, repository: Repository[Servable]) -> None:
        """Takes a repository that holds the model."""
        self._repository = repository

    @unary(pb.ClassifySketchResponse)
    async def ClassifySketch(self, request: pb.ClassifySketchRequest, caller: Caller) -> pb.ClassifySketchResponse:
        with self._repository.lease(self.MODEL, preferred=caller.version) as model:
            options = InkOptions.from_manifest(model.manifest.options)
            drawings = [[(stroke.x, stroke.y) for stroke in sketch.strokes] for sketch in request.sketches]
            rows = to_rows(to_inks(drawings, options, [f"sketches[{i}]" for i in range(len(drawings))]))
            outputs = await model.infer_rows(rows, caller.deadline)
        self._repository.shadow(self.MODEL, model.version, lambda other: other.infer_rows(rows), outputs)
        probabilities = [row["probabilities"] for row in outputs]
        results = _results(probabilities, model.manifest.labels, request.top_k or DEFAULT_TOP_K)
        return pb.ClassifySketchResponse(model=ModelVersion(name=model.name, version=model.version), results=results)


def _results(probabilities: Sequence[np.ndarray], labels: Sequence[str], top_k: int) -> list[pb.SketchPrediction]:
    rows = rank_classes(np.stack(probabilities), labels, top_k) if probabilities else []
    return [
        pb.SketchPrediction(predictions=[pb.ClassPrediction(label=c, probability=p) for c, p in row]) for row in rows
    ]
