"""The video API's HTTP face: what a request may hold, and its way to and from protobuf."""

import base64
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator
from seqserve.video.v1 import video_service_pb2 as pb

from services.runtime.answer import ModelVersion, Prediction
from services.runtime.errors import InvalidInput

MAX_CLIPS = 16
DEFAULT_TOP_K, MAX_TOP_K = 5, 1000
DEFAULT_STEP_S, MIN_STEP_S, MAX_STEP_S = 1.0, 0.1, 3600.0

TopK = Annotated[int, Field(ge=1, le=MAX_TOP_K, strict=True, description="Classes to return per clip.")]


def read_step_s(options: pb.StreamVideoOptions) -> float:
    """Seconds between answers.

    Raises:
        InvalidInput: out of range.
    """
    if options.step_s and not MIN_STEP_S <= options.step_s <= MAX_STEP_S:
        limits = f"{MIN_STEP_S:g} to {MAX_STEP_S:g}, or 0 for {DEFAULT_STEP_S:g}"
        raise InvalidInput(f"{options.step_s:g}; {limits}", "options.step_s")
    return options.step_s or DEFAULT_STEP_S


class ClassifyVideoRequest(BaseModel):
    """One clip in one call."""

    model_config = ConfigDict(extra="forbid")

    content: bytes = Field(
        min_length=1, description="The encoded video file, in base64.", json_schema_extra={"format": "base64"}
    )
    top_k: TopK = DEFAULT_TOP_K

    @field_validator("content", mode="before")
    @classmethod
    def _decode(cls, content: Any) -> bytes:
        try:
            return base64.b64decode(content, validate=True)
        except (TypeError, ValueError):
            raise ValueError("not base64") from None

    def to_proto(self) -> pb.ClassifyVideoRequest:
        return pb.ClassifyVideoRequest(clips=[pb.Clip(content=self.content)], top_k=self.top_k)


class Clip(BaseModel):
    """One encoded video file."""

    content: bytes = Field(min_length=1)


class ClassifyVideosRequest(BaseModel):
    """Many clips in one call."""

    clips: list[Clip] = Field(min_length=1, max_length=MAX_CLIPS)
    top_k: TopK = DEFAULT_TOP_K

    @classmethod
    def check(cls, request: pb.ClassifyVideoRequest) -> pb.ClassifyVideoRequest:
        """The request with its defaults.

        Raises:
            ValidationError: it is not what this schema allows.
        """
        request.top_k = cls.from_proto(request).top_k
        return request

    @classmethod
    def from_proto(cls, request: pb.ClassifyVideoRequest) -> Self:
        clips = [{"content": clip.content} for clip in request.clips]
        return cls.model_validate({"clips": clips, "top_k": request.top_k or DEFAULT_TOP_K})

    def to_proto(self) -> pb.ClassifyVideoRequest:
        return pb.ClassifyVideoRequest(clips=[pb.Clip(content=c.content) for c in self.clips], top_k=self.top_k)


class ClassifyVideoResponse(BaseModel):
    """Classes of one clip, most probable first."""

    model: ModelVersion
    predictions: list[Prediction]
    cached: bool

    @classmethod
    def from_proto(cls, response: pb.ClassifyVideoResponse, cached: bool) -> dict[str, Any]:
        batch = ClassifyVideosResponse.from_proto(response, cached)
        return {"model": batch["model"], **batch["results"][0], "cached": cached}


class ClipPrediction(BaseModel):
    """Classes of one clip of a batch."""

    predictions: list[Prediction]


class ClassifyVideosResponse(BaseModel):
    """Classes of each clip, in the order of the request."""

    model: ModelVersion
    results: list[ClipPrediction]
    cached: bool

    @classmethod
    def from_proto(cls, response: pb.ClassifyVideoResponse, cached: bool) -> dict[str, Any]:
        results = [
            {"predictions": [{"label": p.label, "probability": p.probability} for p in r.predictions]}
            for r in response.results
        ]
        model = {"name": response.model.name, "version": response.model.version}
        return {"model": model, "results": results, "cached": cached}


class StreamVideoResponse(BaseModel):
    """Classes of one step of a video, most probable first."""

    start_s: float = Field(description="Where the step begins, in seconds after the first frame.")
    end_s: float = Field(description="Where it ends.")
    predictions: list[Prediction]
    model: ModelVersion

    @classmethod
    def from_proto(cls, response: pb.StreamVideoResponse) -> dict[str, Any]:
        return {
            "start_s": response.start_s,
            "end_s": response.end_s,
            "predictions": [{"label": p.label, "probability": p.probability} for p in response.predictions],
            "model": {"name": response.model.name, "version": response.model.version},
        }
