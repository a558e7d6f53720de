"""The video service's RPCs."""

import asyncio

import numpy as np
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.video.v1 import video_service_pb2 as pb

from services.runtime.artifact import Model
from services.runtime.description import describe
from services.runtime.rpc import unary
from services.video.transforms import ClipOptions, decode_clip, rank_classes

DEFAULT_TOP_K = 5


class VideoService:
    """Classifies clips with one model."""

    INPUTS = frozenset({"frames"})

    def __init__(self, model: Model) -> None:
        """Takes a loaded model that reads `frames` and returns `probabilities`."""
        options = model.manifest.options
        self._model = model
        self._options = ClipOptions(
            frames=options["frames"], height=options["height"], width=options["width"], fps=options["fps"]
        )

    @unary(pb.ClassifyVideoResponse)
    async def ClassifyVideo(self, request: pb.ClassifyVideoRequest) -> pb.ClassifyVideoResponse:
        clips = [await self._decode(clip.content, i) for i, clip in enumerate(request.clips)]
        outputs = await self._model.predict({"frames": np.stack(clips)}) if clips else {}
        return _response(outputs, self._model, request.top_k or DEFAULT_TOP_K)

    @unary(model_pb.DescribeModelResponse)
    async def DescribeModel(self, request: model_pb.DescribeModelRequest) -> model_pb.DescribeModelResponse:
        return describe(self._model)

    async def _decode(self, content: bytes, index: int) -> np.ndarray:
        # Decoding takes milliseconds and releases the GIL; the event loop must not wait for it.
        return await asyncio.to_thread(decode_clip, content, self._options, f"clips[{index}].content")


def _response(outputs: dict[str, np.ndarray], model: Model, top_k: int) -> pb.ClassifyVideoResponse:
    rows = rank_classes(outputs["probabilities"], model.manifest.labels, top_k) if outputs else []
    return pb.ClassifyVideoResponse(
        model=describe(model).model,
        results=[
            pb.ClipPrediction(predictions=[pb.ClassPrediction(label=c, probability=p) for c, p in row]) for row in rows
        ],
    )
