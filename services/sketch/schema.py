"""The sketch API's HTTP face: what a request may hold, and its way to and from protobuf."""

import math
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from services.runtime.answer import ModelVersion, Prediction

MAX_SKETCHES = 256
MAX_STROKES = 1_000
MAX_POINTS = 10_000
DEFAULT_TOP_K, MAX_TOP_K = 5, 1000

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Axis = Annotated[list[Number], Field(min_length=1, max_length=MAX_POINTS)]
Stroke = Annotated[list[Axis], Field(min_length=2, max_length=3)]
Stroke3Row = tuple[Number, Number, Annotated[int, Field(strict=True, ge=0, le=1)]]

FACE_EXAMPLE = [
    [[10, 240, 240, 10, 10], [10, 10, 240, 240, 10]],
    [[80, 81], [90, 110]],
    [[170, 171], [90, 110]],
]


class Sketch(BaseModel):
    """One drawing, as strokes or in stroke-3."""

    model_config = ConfigDict(extra="forbid")

    strokes: list[Stroke] | None = Field(
        None,
        min_length=1,
        max_length=MAX_STROKES,
        description="Strokes as in Quick, Draw!: [[x…], [y…]] each; a third row of times is ignored.",
        examples=[FACE_EXAMPLE],
    )
    stroke3: list[Stroke3Row] | None = Field(
        None,
        min_length=2,
        max_length=MAX_POINTS,
        description="Rows of [dx, dy, pen] as in SketchRNN: pen is 1 on the last point of a stroke.",
    )

    @model_validator(mode="after")
    def _check_points(self) -> Self:
        if (self.strokes is None) == (self.stroke3 is None):
            raise ValueError("give either strokes or stroke3")
        for i, (x, y, *_) in enumerate(self.strokes or []):
            if len(x) != len(y):
                raise ValueError(f"strokes[{i}] has {len(x)} x and {len(y)} y values; as many of both")
        points = sum(len(stroke[0]) for stroke in self.strokes or [])
        if points > MAX_POINTS:
            raise ValueError(f"the drawing has {points} points; at most {MAX_POINTS}")
        return self

    def to_proto(self) -> pb.Sketch:
        strokes = self.strokes if self.strokes is not None else _strokes_of(self.stroke3 or [])
        return pb.Sketch(strokes=[pb.Stroke(x=s[0], y=s[1]) for s in strokes])


class ClassifySketchesRequest(BaseModel):
    """Many drawings in one call."""

    model_config = ConfigDict(extra="forbid")

    sketches: list[Sketch] = Field(min_length=1, max_length=MAX_SKETCHES)
    top_k: int = Field(DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, strict=True, description="Classes to return per drawing.")

    @classmethod
    def check(cls, request: pb.ClassifySketchRequest) -> pb.ClassifySketchRequest:
        """The request with its defaults.

        Raises:
            ValidationError: it is not what this schema allows.
        """
        if not _is_sound(request):
            cls.from_proto(request)  # says what is wrong
        request.top_k = request.top_k or DEFAULT_TOP_K
        return request

    @classmethod
    def from_proto(cls, request: pb.ClassifySketchRequest) -> Self:
        sketches = [{"strokes": [[list(s.x), list(s.y)] for s in one.strokes]} for one in request.sketches]
        return cls.model_validate({"sketches": sketches, "top_k": request.top_k or DEFAULT_TOP_K})

    def to_proto(self) -> pb.ClassifySketchRequest:
        return pb.ClassifySketchRequest(sketches=[s.to_proto() for s in self.sketches], top_k=self.top_k)


class ClassifySketchRequest(Sketch):
    """One drawing in one call."""

    top_k: int = Field(DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, strict=True, description="Classes to return.")

    def to_proto(self) -> pb.ClassifySketchRequest:  # type: ignore[override]  # one drawing is a batch of one
        return pb.ClassifySketchRequest(sketches=[super().to_proto()], top_k=self.top_k)


class ClassifySketchResponse(BaseModel):
    """Classes of one drawing, most probable first."""

    model: ModelVersion
    predictions: list[Prediction]
    cached: bool

    @classmethod
    def from_proto(cls, response: pb.ClassifySketchResponse, cached: bool) -> dict[str, Any]:
        batch = ClassifySketchesResponse.from_proto(response, cached)
        return {"model": batch["model"], **batch["results"][0], "cached": cached}


class SketchPrediction(BaseModel):
    """Classes of one drawing of a batch."""

    predictions: list[Prediction]


class ClassifySketchesResponse(BaseModel):
    """Classes of each drawing, in the order of the request."""

    model: ModelVersion
    results: list[SketchPrediction]
    cached: bool

    @classmethod
    def from_proto(cls, response: pb.ClassifySketchResponse, cached: bool) -> dict[str, Any]:
        results = [
            {"predictions": [{"label": p.label, "probability": p.probability} for p in r.predictions]}
            for r in response.results
        ]
        model = {"name": response.model.name, "version": response.model.version}
        return {"model": model, "results": results, "cached": cached}


def _is_sound(request: pb.ClassifySketchRequest) -> bool:
    """Whether the schema allows a message, without making Python's lists of it."""
    are_counted = 1 <= len(request.sketches) <= MAX_SKETCHES and 0 <= request.top_k <= MAX_TOP_K
    return are_counted and all(map(_is_sound_sketch, request.sketches))


def _is_sound_sketch(sketch: pb.Sketch) -> bool:
    points = sum(len(stroke.x) for stroke in sketch.strokes)
    return (
        1 <= len(sketch.strokes) <= MAX_STROKES
        and points <= MAX_POINTS
        and all(
            len(s.x) == len(s.y) > 0 and math.isfinite(sum(s.x)) and math.isfinite(sum(s.y)) for s in sketch.strokes
        )
    )


def _strokes_of(rows: list[Stroke3Row]) -> list[list[list[float]]]:
    strokes: list[list[list[float]]] = []
    x = y = 0.0
    pen_up = True
    for dx, dy, pen in rows:
        x, y = x + dx, y + dy
        if pen_up:
            strokes.append([[], []])
        strokes[-1][0].append(x)
        strokes[-1][1].append(y)
        pen_up = pen == 1
    return strokes
