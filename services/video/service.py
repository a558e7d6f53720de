"""The video service's RPCs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import numpy as np
from seqserve.model.v1.model_service_pb2 import ModelVersion
from seqserve.video.v1 import video_service_pb2 as pb
from seqserve.video.v1 import video_service_pb2_grpc as pb_grpc

from services.runtime.caller import Caller
from services.runtime.execution.servable import Servable
from services.runtime.rpc import streaming, unary
from services.runtime.versions.repository import Repository
from services.video.decoder import ClipDecoder, Decode, decode_with
from services.video.schema import DEFAULT_TOP_K, read_step_s
from services.video.stream_decoder import StreamLimits
from services.video.streaming import VideoStreams, split_options
from services.video.transforms import ClipOptions, rank_classes

DECODER_THREADS = 2


class VideoService(pb_grpc.VideoServiceServicer):
    """Classifies clips with the model of its name, which returns `probabilities`. The gateway has the uploads."""

    MODEL = "video"
    INPUTS = frozenset({"frames"})

    def __init__(
        self, repository: Repository[Servable], decode: Decode | None = None, limits: StreamLimits | None = None
    ) -> None:
        """Puts the service together.

        Args:
            repository: holds the model.
            decode: decodes clips; threads of this process where it is left out.
            limits: what a video on a stream may cost; its frames are always decoded here.
        """
        self._repository = repository
        self._decode = decode or decode_with(ClipDecoder(DECODER_THREADS))
        self._streams = VideoStreams(limits)

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

    @streaming
    async def StreamVideo(
        self, requests: AsyncIterator[pb.StreamVideoRequest], caller: Caller
    ) -> AsyncGenerator[pb.StreamVideoResponse]:
        wanted, chunks = await split_options(requests)
        step_s, top_k = read_step_s(wanted), wanted.top_k or DEFAULT_TOP_K
        with self._repository.lease(self.MODEL, preferred=caller.version) as model:
            options = ClipOptions.from_manifest(model.manifest.options)
            async with self._streams.open(chunks, options, step_s) as batches:
                async for windows in batches:
                    rows = [{"frames": window.frames} for window in windows]
                    outputs = await model.infer_rows(rows, caller.deadline)
                    results = _results([row["probabilities"] for row in outputs], model.manifest.labels, top_k)
                    for window, result in zip(windows, results, strict=True):
                        yield pb.StreamVideoResponse(
                            model=ModelVersion(name=model.name, version=model.version),
                            start_s=round(window.start_s, 6),
                            end_s=round(window.end_s, 6),
                            predictions=result.predictions,
                        )


def _results(probabilities: Sequence[np.ndarray], labels: Sequence[str], top_k: int) -> list[pb.ClipPrediction]:
    rows = rank_classes(np.stack(probabilities), labels, top_k) if probabilities else []
    return [pb.ClipPrediction(predictions=[pb.ClassPrediction(label=c, probability=p) for c, p in row]) for row in rows]
