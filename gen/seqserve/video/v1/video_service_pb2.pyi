from seqserve.model.v1 import model_service_pb2 as _model_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Clip(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class ClassifyVideoRequest(_message.Message):
    __slots__ = ("clips", "top_k")
    CLIPS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    clips: _containers.RepeatedCompositeFieldContainer[Clip]
    top_k: int
    def __init__(self, clips: _Optional[_Iterable[_Union[Clip, _Mapping]]] = ..., top_k: _Optional[int] = ...) -> None: ...

class ClassPrediction(_message.Message):
    __slots__ = ("label", "probability")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class ClipPrediction(_message.Message):
    __slots__ = ("predictions",)
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    predictions: _containers.RepeatedCompositeFieldContainer[ClassPrediction]
    def __init__(self, predictions: _Optional[_Iterable[_Union[ClassPrediction, _Mapping]]] = ...) -> None: ...

class ClassifyVideoResponse(_message.Message):
    __slots__ = ("model", "results")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    model: _model_service_pb2.ModelVersion
    results: _containers.RepeatedCompositeFieldContainer[ClipPrediction]
    def __init__(self, model: _Optional[_Union[_model_service_pb2.ModelVersion, _Mapping]] = ..., results: _Optional[_Iterable[_Union[ClipPrediction, _Mapping]]] = ...) -> None: ...

class UploadVideoOptions(_message.Message):
    __slots__ = ("top_k", "size_bytes")
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    top_k: int
    size_bytes: int
    def __init__(self, top_k: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class UploadVideoRequest(_message.Message):
    __slots__ = ("options", "chunk")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    options: UploadVideoOptions
    chunk: bytes
    def __init__(self, options: _Optional[_Union[UploadVideoOptions, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class UploadVideoResponse(_message.Message):
    __slots__ = ("model", "predictions")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    model: _model_service_pb2.ModelVersion
    predictions: _containers.RepeatedCompositeFieldContainer[ClassPrediction]
    def __init__(self, model: _Optional[_Union[_model_service_pb2.ModelVersion, _Mapping]] = ..., predictions: _Optional[_Iterable[_Union[ClassPrediction, _Mapping]]] = ...) -> None: ...

class StreamVideoOptions(_message.Message):
    __slots__ = ("top_k", "step_s")
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    STEP_S_FIELD_NUMBER: _ClassVar[int]
    top_k: int
    step_s: float
    def __init__(self, top_k: _Optional[int] = ..., step_s: _Optional[float] = ...) -> None: ...

class StreamVideoRequest(_message.Message):
    __slots__ = ("options", "chunk")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    options: StreamVideoOptions
    chunk: bytes
    def __init__(self, options: _Optional[_Union[StreamVideoOptions, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class StreamVideoResponse(_message.Message):
    __slots__ = ("model", "start_s", "end_s", "predictions")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    model: _model_service_pb2.ModelVersion
    start_s: float
    end_s: float
    predictions: _containers.RepeatedCompositeFieldContainer[ClassPrediction]
    def __init__(self, model: _Optional[_Union[_model_service_pb2.ModelVersion, _Mapping]] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ..., predictions: _Optional[_Iterable[_Union[ClassPrediction, _Mapping]]] = ...) -> None: ...
