"""The video service's RPCs."""

import asyncio
from collections.abc import Sequence

import numpy as np
from seqserve.model.v1.model_service_pb2 import ModelVersion
from seqserve.video.v1 import video_service_pb2 as pb
from seqserve.video.v1 import video_service_pb2_grpc as pb_grpc

from services.runtime.caller import Caller
from services.runtime.execution.servable import Servable
from services.runtime.rpc import unary
from services.runtime.versions.repository import Repository
from services.video.decoder import ClipDecoder, Decode, decode_with
from services.video.transforms import ClipOptions, rank_classes

DEFAULT_TOP_K = 5
DECODER_THREADS = 2


class VideoService(pb_grpc.VideoServiceServicer):
    """Classifies clips with the model of its name, which returns `probabilities`. The gateway has the uploads."""

    MODEL = "video"
    INPUTS = frozenset({"frames"})

    def __init__(self, repository: Repository[Servable], decode: Decode | None = None) -> None:
        """Takes a repository that holds the model, and who decodes clips; threads of this process without one."""
        self._repository = repository
        self._decode = decode or decode_with(ClipDecoder(DECODER_THREADS))

    @unary(pb.ClassifyVideoResponse)
    async def ClassifyVideo(self, request: pb.ClassifyVideoRequest, caller: Caller) -> pb.ClassifyVideoResponse:
        with self._repository.lease(self.MODEL, preferred=caller.version) as model:
            options = ClipOptions.from_manifest(model.manifest.options)
            clips = await asyncio.gather(
                *(
                    self._decode(clip.content, options, f"clips[{i}].content", caller.deadline)
                    for i, clip in enumerate(request.clips)
                )
            )
            rows = [{"frames": clip} for clip in clips]
            outputs = await model.infer_rows(rows, caller.deadline)
        self._repository.shadow(self.MODEL, model.version, lambda other: other.infer_rows(rows), outputs)
        probabilities = [row["probabilities"] for row in outputs]
        results = _results(probabilities, model.manifest.labels, request.top_k or DEFAULT_TOP_K)
        return pb.ClassifyVideoResponse(model=ModelVersion(name=model.name, version=model.version), results=results)


def _results(probabilities: Sequence[np.ndarray], labels: Sequence[str], top_k: int) -> list[pb.ClipPrediction]:
    rows = rank_classes(np.stack(probabilities), labels, top_k) if probabilities else []
    return [pb.ClipPrediction(predictions=[pb.ClassPrediction(label=c, probability=p) for c, p in row]) for row in rows]
