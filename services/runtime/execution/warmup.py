"""Replays `assets.extra/tf_serving_warmup_requests`, TensorFlow Serving's warm-up file, before a version serves."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from seqserve.tfserving.v1.example_pb2 import Input
from seqserve.tfserving.v1.model_pb2 import ModelSpec
from seqserve.tfserving.v1.prediction_log_pb2 import PredictionLog

from services.runtime.errors import InvalidInput
from services.runtime.execution.saved_model import Function

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_REQUESTS = 1000

log = structlog.get_logger(__name__)


def replay_warmup_requests(folder: Path, functions: Mapping[str, Function]) -> int:
    """Runs the recorded requests (at most 1,000) and returns how many ran; a bad one only warns.

    The file holds TFRecords of `tensorflow.serving.PredictionLog`.
    """
    if not (folder / WARMUP_FILE).is_file():
        return 0
    import tensorflow as tf

    ran = 0
    records = tf.data.TFRecordDataset(str(folder / WARMUP_FILE)).as_numpy_iterator()
    for record in islice(records, MAX_REQUESTS):
        try:
            _replay(PredictionLog.FromString(record), functions)
            ran += 1
        except Exception as error:
            log.warning("warm-up request failed", folder=str(folder), error=str(error)[:300])
    log.info("warm-up requests replayed", folder=str(folder), requests=ran)
    return ran


def _replay(record: PredictionLog, functions: Mapping[str, Function]) -> None:
    for spec, inputs in _list_calls(record):
        name = spec.signature_name or "serving_default"
        if name not in functions:
            raise InvalidInput(f"no signature '{name}'")
        function = functions[name]
        if isinstance(inputs, Input):  # a signature that reads Examples has one input
            examples = [example.SerializeToString() for example in inputs.example_list.examples]
            function.run({next(iter(function.inputs)): np.array(examples, object)})
        else:
            function.run({name: _to_array(tensor) for name, tensor in inputs.items()})


def _list_calls(record: PredictionLog) -> list[tuple[ModelSpec, Any]]:
    match record.WhichOneof("log_type"):
        case "predict_log":
            return [(record.predict_log.request.model_spec, record.predict_log.request.inputs)]
        case "classify_log":
            return [(record.classify_log.request.model_spec, record.classify_log.request.input)]
        case "regress_log":
            return [(record.regress_log.request.model_spec, record.regress_log.request.input)]
        case "multi_inference_log":
            request = record.multi_inference_log.request
            return [(task.model_spec, request.input) for task in request.tasks]
    return []


def _to_array(tensor: Any) -> Any:
    import tensorflow as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    return tf.make_ndarray(TensorProto.FromString(tensor.SerializeToString()))
