from seqserve.model.v1 import model_service_pb2 as _model_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stroke(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: _containers.RepeatedScalarFieldContainer[float]
    y: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, x: _Optional[_Iterable[float]] = ..., y: _Optional[_Iterable[float]] = ...) -> None: ...

class Sketch(_message.Message):
    __slots__ = ("strokes",)
    STROKES_FIELD_NUMBER: _ClassVar[int]
    strokes: _containers.RepeatedCompositeFieldContainer[Stroke]
    def __init__(self, strokes: _Optional[_Iterable[_Union[Stroke, _Mapping]]] = ...) -> None: ...

class ClassifySketchRequest(_message.Message):
    __slots__ = ("sketches", "top_k")
    SKETCHES_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    sketches: _containers.RepeatedCompositeFieldContainer[Sketch]
    top_k: int
    def __init__(self, sketches: _Optional[_Iterable[_Union[Sketch, _Mapping]]] = ..., top_k: _Optional[int] = ...) -> None: ...

class ClassPrediction(_message.Message):
    __slots__ = ("label", "probability")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class SketchPrediction(_message.Message):
    __slots__ = ("predictions",)
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    predictions: _containers.RepeatedCompositeFieldContainer[ClassPrediction]
    def __init__(self, predictions: _Optional[_Iterable[_Union[ClassPrediction, _Mapping]]] = ...) -> None: ...

class ClassifySketchResponse(_message.Message):
    __slots__ = ("model", "results")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    model: _model_service_pb2.ModelVersion
    results: _containers.RepeatedCompositeFieldContainer[SketchPrediction]
    def __init__(self, model: _Optional[_Union[_model_service_pb2.ModelVersion, _Mapping]] = ..., results: _Optional[_Iterable[_Union[SketchPrediction, _Mapping]]] = ...) -> None: ...

class StreamSketchOptions(_message.Message):
    __slots__ = ("top_k", "confidence_threshold", "confident_after", "stop_when_confident")
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    CONFIDENT_AFTER_FIELD_NUMBER: _ClassVar[int]
    STOP_WHEN_CONFIDENT_FIELD_NUMBER: _ClassVar[int]
    top_k: int
    confidence_threshold: float
    confident_after: int
    stop_when_confident: bool
    def __init__(self, top_k: _Optional[int] = ..., confidence_threshold: _Optional[float] = ..., confident_after: _Optional[int] = ..., stop_when_confident: _Optional[bool] = ...) -> None: ...

class StrokePoints(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: _containers.RepeatedScalarFieldContainer[float]
    y: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, x: _Optional[_Iterable[float]] = ..., y: _Optional[_Iterable[float]] = ...) -> None: ...

class EndStroke(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClearSketch(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamSketchRequest(_message.Message):
    __slots__ = ("options", "points", "end_stroke", "clear")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    END_STROKE_FIELD_NUMBER: _ClassVar[int]
    CLEAR_FIELD_NUMBER: _ClassVar[int]
    options: StreamSketchOptions
    points: StrokePoints
    end_stroke: EndStroke
    clear: ClearSketch
    def __init__(self, options: _Optional[_Union[StreamSketchOptions, _Mapping]] = ..., points: _Optional[_Union[StrokePoints, _Mapping]] = ..., end_stroke: _Optional[_Union[EndStroke, _Mapping]] = ..., clear: _Optional[_Union[ClearSketch, _Mapping]] = ...) -> None: ...

class StreamSketchResponse(_message.Message):
    __slots__ = ("model", "predictions", "stroke_count", "point_count", "clear_count", "confident")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    STROKE_COUNT_FIELD_NUMBER: _ClassVar[int]
    POINT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLEAR_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENT_FIELD_NUMBER: _ClassVar[int]
    model: _model_service_pb2.ModelVersion
    predictions: _containers.RepeatedCompositeFieldContainer[ClassPrediction]
    stroke_count: int
    point_count: int
    clear_count: int
    confident: bool
    def __init__(self, model: _Optional[_Union[_model_service_pb2.ModelVersion, _Mapping]] = ..., predictions: _Optional[_Iterable[_Union[ClassPrediction, _Mapping]]] = ..., stroke_count: _Optional[int] = ..., point_count: _Optional[int] = ..., clear_count: _Optional[int] = ..., confident: _Optional[bool] = ...) -> None: ...
